# Panics on one CPU while the others do all that can keep a CPU from noticing.
