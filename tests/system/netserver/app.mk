# Small services for clients in dom0: echo, discard, source, one that never reads, and counters.
