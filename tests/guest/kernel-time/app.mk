# Clock and timers, on real Xen.
