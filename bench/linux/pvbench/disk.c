/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * blk.read, blk.write and blk.flush of apps/pvbench/blk.c, on Linux: direct transfers of /dev/xvda
 * by io_submit and io_getevents and nothing else, so that no tool's own cost counts against Linux.
 */
#define _GNU_SOURCE 1
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "apps/pvbench/diskprobes.h"
#include "apps/pvbench/lists.h"

#define DEVICE "/dev/xvda"
#define DEPTH_MAX 128
#define SIZE_MAX_ (1 << 20)
#define FAILED "a transfer failed"
#define SHAPE(op, size, depth) ((unsigned long)(op) << 32 | (unsigned long)(depth) << 24 | (size))

static int disk = -1;
static bool read_only;
static uint64_t disk_size;
static aio_context_t context;
static struct iocb slots[DEPTH_MAX];
static uint64_t begun[DEPTH_MAX];
static void *buffers[DEPTH_MAX];
static uint32_t seed = 1;

static bool open_disk(void)
{
    disk = open(DEVICE, O_RDWR | O_DIRECT);
    read_only = disk < 0;
    if (disk < 0)
        disk = open(DEVICE, O_RDONLY | O_DIRECT);
    if (disk < 0 || ioctl(disk, BLKGETSIZE64, &disk_size) != 0 ||
        syscall(SYS_io_setup, DEPTH_MAX, &context) != 0)
        return false;
    for (unsigned i = 0; i < DEPTH_MAX; i++)
        if (posix_memalign(&buffers[i], 4096, SIZE_MAX_) != 0)
            return false;
    return true;
}

static const char *absent_disk(void)
{
    static bool tried, usable;

    if (!tried)
        usable = open_disk();
    tried = true;
    return usable ? NULL : "there is no disk xvda";
}

static const char *absent_writable(void)
{
    const char *why = absent_disk();

    return why ? why : read_only ? "the disk is read-only" : NULL;
}

static uint64_t random_offset(size_t size)
{
    seed = seed * 1664525 + 1013904223;
    return (seed * (disk_size / size) >> 32) * size;
}

static bool submit(unsigned slot, uint16_t op, size_t size)
{
    struct iocb *io = &slots[slot];

    *io = (struct iocb){.aio_lio_opcode = op,
                        .aio_fildes = (uint32_t)disk,
                        .aio_buf = (uintptr_t)buffers[slot],
                        .aio_nbytes = size,
                        .aio_offset = (int64_t)random_offset(size)};
    begun[slot] = stamp();
    return syscall(SYS_io_submit, context, 1L, &io) == 1;
}

static void run_transfers(struct run *r)
{
    const struct timespec limit = {.tv_sec = 60};
    uint16_t op = (uint16_t)(run_arg(r) >> 32);
    unsigned depth = run_arg(r) >> 24 & 0xff, busy = 0;
    size_t size = run_arg(r) & 0xffffff;
    struct window window = {.begin_ns = platform_clock()};
    bool more = true;

    while (busy < depth && submit(busy, op, size))
        busy++;
    if (busy < depth)
        run_give_up(r, FAILED);
    while (busy > 0) {
        struct io_event event;
        unsigned slot;

        if (syscall(SYS_io_getevents, context, 1L, 1L, &event, &limit) != 1) {
            run_give_up(r, "the disk does not answer");
            return;
        }
        slot = (unsigned)((struct iocb *)(uintptr_t)event.obj - slots);
        if (event.res != (int64_t)size)
            run_give_up(r, FAILED);
        more = more && run_more(r);
        busy -= !more;
        if (!more)
            continue;
        run_sample(r, 0, begun[slot], stamp());
        run_window(r, 1, &window, size);
        if (!submit(slot, op, size)) {
            run_give_up(r, FAILED);
            busy--;
        }
    }
    run_window_end(r, 1, &window);
}

static void run_flush(struct run *r)
{
    while (run_more(r)) {
        uint64_t begin = stamp();

        if (fsync(disk) != 0)
            run_give_up(r, FAILED);
        run_sample(r, 0, begin, stamp());
    }
}

#define OP_READ IOCB_CMD_PREAD
#define OP_WRITE IOCB_CMD_PWRITE

const struct probe disk_probes[] = {
    ALL_TRANSFERS,
    PROBE(run_flush, 0, absent_writable, NS("blk.flush")),
};
PROBES_END(disk_probes);
