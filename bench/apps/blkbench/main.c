/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * blkbench SECONDS: how fast the disk xvda is, by the guest's clock. What is on it is lost.
 *
 *   disk_seq      reads the whole disk from one end to the other and again, in requests as large as
 *                 the driver takes, with more under way than the ring holds; MB/s (10^6 bytes)
 *   disk_write    writes it in the same way
 *   disk_rand1    4 KiB at random places, one at a time; requests a second
 *   disk_rand32   the same, 32 at a time
 *
 * The thread that measures submits and reaps, as a program on Linux does with io_submit and
 * io_getevents (bench/linux/disk.c); the driver's thread only puts what ended on a list.
 */
#include <stdio.h>
#include <stdlib.h>
#include "frontends/blkfront/blkfront.h"
#include "kernel/page.h"
#include "kernel/spinlock.h"
#include "kernel/time.h"
#include "kernel/wait.h"

#define XVDA "51712"
#define SLOTS 96
#define SMALL 1 /* pages */
#define LARGE BLKFRONT_PAGES_MAX

struct load {
    const char *name;
    enum blkfront_op op;
    unsigned depth, pages;
    bool random;
};

static const struct load loads[] = {
    {"disk_seq", BLKFRONT_READ, SLOTS, LARGE, false},
    {"disk_write", BLKFRONT_WRITE, SLOTS, LARGE, false},
    {"disk_rand1", BLKFRONT_READ, 1, SMALL, true},
    {"disk_rand32", BLKFRONT_READ, 32, SMALL, true},
};

static struct blkfront *disk;
static struct blkfront_info info;
static struct blkfront_io slots[SLOTS];
static struct list ended = LIST_INIT(ended);
static struct spinlock ended_lock = SPINLOCK_INIT;
static struct waitq wait = WAITQ_INIT(wait);
static uint64_t next_page;
static uint32_t seed = 1;

static uint32_t random_below(uint32_t n)
{
    seed = seed * 1664525 + 1013904223;
    return (uint32_t)((uint64_t)seed * n >> 32);
}

/* In the driver's thread. */
static void on_done(struct blkfront_io *io)
{
    irqstate_t state = spin_lock(&ended_lock);

    list_push_back(&ended, &io->link);
    spin_unlock(&ended_lock, state);
    waitq_wake_all(&wait);
}

static struct blkfront_io *reap(void)
{
    struct blkfront_io *io = NULL;
    irqstate_t state = spin_lock(&ended_lock);

    if (!list_empty(&ended)) {
        io = list_first(&ended, struct blkfront_io, link);
        list_remove(&io->link);
    }
    spin_unlock(&ended_lock, state);
    return io;
}

static bool start(const struct load *l, struct blkfront_io *io)
{
    uint64_t nr_pages = info.nr_sectors * BLKFRONT_SECTOR / PAGE_SIZE, at;

    if (l->random) {
        at = random_below((uint32_t)nr_pages);
    } else {
        if (next_page + l->pages > nr_pages)
            next_page = 0;
        at = next_page;
        next_page += l->pages;
    }
    io->op = l->op;
    io->sector = at * (PAGE_SIZE / BLKFRONT_SECTOR);
    io->nr_pages = l->pages;
    io->len = l->pages * (uint32_t)PAGE_SIZE;
    io->done = on_done;
    return blkfront_submit(disk, io) == 0;
}

/* Everything that has ended is reaped and, before the time is up, started again: how many ended.
 * One that failed ends the program: its figure would be none. */
static unsigned turn(const struct load *l, bool again)
{
    struct blkfront_io *io;
    unsigned n = 0;

    blkfront_plug(disk);
    while ((io = reap()) != NULL) {
        n++;
        if (io->status != 0 || (again && !start(l, io))) {
            printf("blkbench: a request failed (%d)\n", io->status);
            exit(1);
        }
    }
    blkfront_unplug(disk);
    return n;
}

static void run(const struct load *l, nsec_t time)
{
    nsec_t begin = time_now(), end = begin + time;
    unsigned busy = l->depth;
    uint64_t done = 0;

    next_page = 0;
    for (unsigned i = 0; i < l->depth; i++)
        list_push_back(&ended, &slots[i].link);
    (void)turn(l, true);
    while (busy > 0) {
        bool again = time_now() < end;
        unsigned n;

        (void)wait_until(&wait, !list_empty(&ended), NEVER);
        n = turn(l, again);
        done += n;
        busy -= again ? 0 : n;
    }
    time = time_now() - begin;
    uint64_t units = l->random ? done : done * l->pages * PAGE_SIZE / 1000000;

    printf("%s %llu.%02llu\n", l->name, (unsigned long long)(units * NSEC_PER_SEC / time),
           (unsigned long long)(units * NSEC_PER_SEC % time * 100 / time));
}

int main(int argc, char **argv)
{
    unsigned seconds = argc > 1 ? (unsigned)atoi(argv[1]) : 2;

    if (blkfront_open(XVDA, &disk) != 0)
        return 1;
    blkfront_get_info(disk, &info);
    for (unsigned i = 0; i < SLOTS; i++)
        for (unsigned p = 0; p < LARGE; p++)
            if ((slots[i].page[p] = page_alloc_zeroed()) == NULL)
                return 1;
    for (unsigned i = 0; i < sizeof(loads) / sizeof(loads[0]); i++)
        run(&loads[i], seconds * NSEC_PER_SEC);
    return 0;
}
