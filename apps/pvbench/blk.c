/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The disk xvda through blkfront, at random places, N transfers of one size under way at any time.
 *
 *   blk.read.SIZE.dN    from submitting until the thread that measures knows of the end
 *   blk.write.SIZE.dN   the same; it overwrites the disk
 *     .iops, .mbps      how many, and how many 10^6 bytes, a second, in windows of 10 ms
 *   blk.flush           a flush with nothing to write
 *   blk.split.*         one read of 4 KiB at a time, in pieces:
 *
 *     submit()     notify              event        response taken       done()      waiter runs
 *        |---.submit---|-----.backend----|------.wake-----|---.complete----|---.waiter---|
 *
 * A transfer larger than blkfront takes at once is several, submitted together. What the host
 * keeps in memory is read from there: these are figures of the ring and the backend, not of a
 * device.
 */
#include <stdint.h>
#include <arch/page.h>
#include "apps/pvbench/diskprobes.h"
#include "apps/pvbench/handler.h"
#include "apps/pvbench/probes.h"
#include "frontends/blkfront/blkfront.h"
#include "kernel/page.h"
#include "kernel/spinlock.h"
#include "kernel/time.h"
#include "kernel/wait.h"
#include "kernel/xenstore.h"

#define XVDA "51712"
#define DEPTH_MAX 128
#define PLACES 32   /* to transfer to, of a request's pages each */
#define PARTS_MAX 8 /* requests of one transfer: 1 MiB */
#define IO_TIMEOUT (60 * NSEC_PER_SEC)
#define PAGES_ALL (PLACES * BLKFRONT_PAGES_MAX)
#define FAILED "a transfer failed"
#define SHAPE(op, size, depth) ((unsigned long)(op) << 32 | (unsigned long)(depth) << 24 | (size))

static struct blkfront *disk;
static struct blkfront_info info;
static uint32_t seed = 1;

struct transfer {
    struct list link;
    unsigned parts, pending;
    uint64_t begin;
    int status;
    struct blkfront_io io[PARTS_MAX];
};

static struct transfer transfers[DEPTH_MAX];
static struct list ended = LIST_INIT(ended);
static struct spinlock lock = SPINLOCK_INIT; /* of it and of what is pending */
static struct waitq queue = WAITQ_INIT(queue);
static volatile uint64_t done_at;

/* One page is as good as another as a place to transfer to; few of them are filled by all. */
static void *pages[PAGES_ALL];

static bool get_pages(void)
{
    for (unsigned i = 0; i < PAGES_ALL; i++)
        if (pages[i] == NULL && (pages[i] = page_alloc_zeroed()) == NULL)
            return false;
    return true;
}

static const char *absent_disk(void)
{
    static bool tried;

    if (absent_xenstore() != NULL)
        return "there is no xenstore, and so no disk";
    if (!tried) {
        char text[8];

        tried = true;
        if (xs_read(XS_NO_TX, "device/vbd/" XVDA "/state", text, sizeof(text)) < 0)
            return "there is no disk xvda";
        if (!get_pages() || blkfront_open(XVDA, &disk) != 0)
            disk = NULL;
    }
    if (disk == NULL)
        return "there is no disk xvda";
    blkfront_get_info(disk, &info);
    return NULL;
}

static const char *absent_writable(void)
{
    const char *why = absent_disk();

    return why ? why : info.read_only ? "the disk is read-only" : NULL;
}

static uint64_t random_sector(size_t size)
{
    uint64_t places = info.nr_sectors * BLKFRONT_SECTOR / size;

    seed = seed * 1664525 + 1013904223;
    return (seed * places >> 32) * (size / BLKFRONT_SECTOR);
}

/* In the driver's thread. */
static void on_done(struct blkfront_io *io)
{
    struct transfer *t = io->arg;
    irqstate_t state;
    bool last;

    done_at = stamp();
    state = spin_lock(&lock);
    if (io->status != 0)
        t->status = io->status;
    last = --t->pending == 0;
    if (last)
        list_push_back(&ended, &t->link);
    spin_unlock(&lock, state);
    if (last)
        waitq_wake_all(&queue);
}

/* Fill in the requests of (t); each place in the ring has pages of its own. */
static void prepare(struct transfer *t, unsigned slot, enum blkfront_op op, size_t size)
{
    const size_t most = BLKFRONT_PAGES_MAX * PAGE_SIZE;
    uint64_t sector = random_sector(size);

    t->status = 0;
    for (t->parts = 0; size > 0; t->parts++) {
        struct blkfront_io *io = &t->io[t->parts];
        size_t now = size < most ? size : most;

        *io = (struct blkfront_io){.op = op,
                                   .sector = sector,
                                   .len = (uint32_t)now,
                                   .nr_pages = (unsigned)((now + PAGE_SIZE - 1) / PAGE_SIZE),
                                   .done = on_done,
                                   .arg = t};
        for (unsigned i = 0; i < io->nr_pages; i++)
            io->page[i] = pages[((slot + t->parts) % PLACES) * BLKFRONT_PAGES_MAX + i];
        sector += now / BLKFRONT_SECTOR;
        size -= now;
    }
    t->pending = t->parts;
}

/* What could not be submitted ends at once, as failed. */
static void submit(struct transfer *t)
{
    unsigned parts = t->parts;

    t->begin = stamp();
    if (parts > 1)
        blkfront_plug(disk);
    for (unsigned i = 0; i < parts; i++) {
        if (blkfront_submit(disk, &t->io[i]) != 0) {
            t->io[i].status = -1;
            on_done(&t->io[i]);
        }
    }
    if (parts > 1)
        blkfront_unplug(disk);
}

static struct transfer *reap(nsec_t deadline)
{
    struct transfer *t = NULL;
    irqstate_t state;

    (void)wait_until(&queue, !list_empty(&ended), deadline);
    state = spin_lock(&lock);
    if (!list_empty(&ended)) {
        t = list_first(&ended, struct transfer, link);
        list_remove(&t->link);
    }
    spin_unlock(&lock, state);
    return t;
}

static void run_transfers(struct run *r)
{
    enum blkfront_op op = (enum blkfront_op)(run_arg(r) >> 32);
    unsigned depth = run_arg(r) >> 24 & 0xff, busy;
    size_t size = run_arg(r) & 0xffffff;
    struct window window = {.begin_ns = platform_clock()};
    bool more = true;

    if (size > info.nr_sectors * BLKFRONT_SECTOR || size % info.sector_size != 0) {
        run_give_up(r, "the disk is too small, or its sectors are larger");
        return;
    }
    for (busy = 0; busy < depth; busy++) {
        prepare(&transfers[busy], busy, op, size);
        submit(&transfers[busy]);
    }
    while (busy > 0) {
        struct transfer *t = reap(time_now() + IO_TIMEOUT);

        if (t == NULL || t->status != 0)
            run_give_up(r, FAILED);
        if (t == NULL) { /* what is under way stays so */
            disk = NULL;
            return;
        }
        more = more && run_more(r);
        if (!more) {
            busy--;
            continue;
        }
        run_sample(r, 0, t->begin, stamp());
        run_window(r, 1, &window, size);
        prepare(t, (unsigned)(t - transfers), op, size);
        submit(t);
    }
    run_window_end(r, 1, &window);
}

/* ---- in pieces ---- */

static volatile uint64_t moment[BLKFRONT_MOMENTS];

HANDLER static void observe(enum blkfront_moment m)
{
    moment[m] = stamp();
}

static void run_split(struct run *r)
{
    struct transfer *t = &transfers[0];

    blkfront_observe(disk, observe);
    while (run_more(r)) {
        uint64_t end;

        prepare(t, 0, BLKFRONT_READ, PAGE_SIZE);
        submit(t);
        if (reap(time_now() + IO_TIMEOUT) == NULL || t->status != 0) {
            run_give_up(r, FAILED);
            break;
        }
        end = stamp();
        run_sample(r, 0, t->begin, moment[BLKFRONT_NOTIFY]);
        run_sample(r, 1, moment[BLKFRONT_NOTIFY], moment[BLKFRONT_EVENT]);
        run_sample(r, 2, moment[BLKFRONT_EVENT], moment[BLKFRONT_ANSWER]);
        run_sample(r, 3, moment[BLKFRONT_ANSWER], done_at);
        run_sample(r, 4, done_at, end);
    }
    blkfront_observe(disk, NULL);
}

static void run_flush(struct run *r)
{
    while (run_more(r)) {
        uint64_t begin = stamp();

        if (blkfront_flush(disk) != 0)
            run_give_up(r, FAILED);
        run_sample(r, 0, begin, stamp());
    }
}

#define OP_READ BLKFRONT_READ
#define OP_WRITE BLKFRONT_WRITE

const struct probe blk_probes[] = {
    ALL_TRANSFERS,
    PROBE(run_split, 0, absent_disk, NS("blk.split.submit"), NS("blk.split.backend"),
          NS("blk.split.wake"), NS("blk.split.complete"), NS("blk.split.waiter")),
    PROBE(run_flush, 0, absent_writable, NS("blk.flush")),
};
PROBES_END(blk_probes);
