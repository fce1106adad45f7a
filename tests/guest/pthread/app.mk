# Threads and what they synchronise with.
