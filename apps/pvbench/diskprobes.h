/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sizes and depths at which disks are measured, up to more than the usual rings hold, the same
 * for us (blk.c) and for Linux (bench/linux/pvbench/disk.c). Each says what its operations are
 * called (OP_READ, OP_WRITE) and has run_transfers, SHAPE, absent_disk and absent_writable.
 */
#ifndef PVBENCH_DISKPROBES_H
#define PVBENCH_DISKPROBES_H

#define TRANSFERS(way, op, absent_, destroys_, size_name, size, depth)            \
    {                                                                             \
        .run = run_transfers, .arg = SHAPE(op, size, depth), .absent = (absent_), \
        .destroys = (destroys_), .series = {                                      \
            NS("blk." way "." size_name ".d" #depth),                             \
            PER_SECOND("blk." way "." size_name ".d" #depth ".iops"),             \
            PER_SECOND_OF("blk." way "." size_name ".d" #depth ".mbps", "MB/s")   \
        }                                                                         \
    }
#define READ(size_name, size, depth) \
    TRANSFERS("read", OP_READ, absent_disk, false, size_name, size, depth)
#define WRITE(size_name, size, depth) \
    TRANSFERS("write", OP_WRITE, absent_writable, true, size_name, size, depth)

#define ALL_TRANSFERS                                                                              \
    READ("512", 512, 1), READ("4k", 4096, 1), READ("64k", 65536, 1), READ("1m", 1048576, 1),       \
        READ("512", 512, 8), READ("4k", 4096, 8), READ("64k", 65536, 8), READ("1m", 1048576, 8),   \
        READ("512", 512, 32), READ("4k", 4096, 32), READ("64k", 65536, 32), READ("4k", 4096, 128), \
        WRITE("4k", 4096, 128), WRITE("512", 512, 1), WRITE("4k", 4096, 1),                        \
        WRITE("64k", 65536, 1), WRITE("1m", 1048576, 1), WRITE("512", 512, 8),                     \
        WRITE("4k", 4096, 8), WRITE("64k", 65536, 8), WRITE("1m", 1048576, 8),                     \
        WRITE("512", 512, 32), WRITE("4k", 4096, 32), WRITE("64k", 65536, 32)

#endif
