# Reads the disk xvda in the three ways that bench/linux/disk.c does.
