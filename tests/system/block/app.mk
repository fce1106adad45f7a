# blkfront against a real backend: needs a writable scratch disk xvda of at least 16 MiB.
