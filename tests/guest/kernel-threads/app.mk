# Threads, mutexes, condition variables and what a switch keeps, on real Xen.
