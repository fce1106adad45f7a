# Reads and writes the disk xvda in the ways that bench/linux/disk.c does.
