# Descriptors, pipes, poll and select.
