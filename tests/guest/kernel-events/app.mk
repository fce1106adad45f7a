# Event channels and grants to oneself, on real Xen.
