/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * blkverify OPERATIONS ID...: for each disk, one thread: write every block once, then OPERATIONS
 * random reads and writes (or, as "until", until there is a node data/stop), then flush and read
 * all. As many requests as there are slots are always under way, none over blocks of another. What
 * each block must hold follows from its number and how often it was written; the sum over these
 * counts is printed for whoever looks at the disk later. A read-only disk must refuse writes.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "frontends/blkfront/blkfront.h"
#include "kernel/page.h"
#include "kernel/time.h"
#include "kernel/wait.h"
#include "kernel/xenstore.h"
#include "lib/base/atomic.h"
#include "lib/base/macros.h"
#include "tests/system/pattern.h"

#define DISKS 8
#define SLOTS 64
#define PAGES 16 /* of a request at most */
#define LIMIT (300 * NSEC_PER_SEC)
#define SECTORS (PATTERN_BLOCK / BLKFRONT_SECTOR)

struct disk;

struct slot {
    struct blkfront_io io;
    struct disk *disk;
    uint32_t first;
    bool used, ended;
};

struct disk {
    const char *id;
    unsigned operations; /* ~0U: until data/stop */
    struct blkfront *bf;
    struct blkfront_info info;
    uint32_t nr_blocks, random;
    uint32_t *version;
    bool *busy;
    struct slot slot[SLOTS];
    struct waitq wait;
    unsigned signals, nr_used;
    const char *wrong;
    pthread_t thread;
};

static struct disk disks[DISKS];

static uint32_t random_below(struct disk *d, uint32_t n)
{
    d->random = d->random * 1664525 + 1013904223;
    return (uint32_t)((uint64_t)d->random * n >> 32);
}

static void complain(struct disk *d, const char *what)
{
    if (d->wrong == NULL)
        d->wrong = what;
}

static void done(struct blkfront_io *io)
{
    struct slot *s = io->arg;
    struct disk *d = s->disk;

    store_release(&s->ended, true);
    __atomic_add_fetch(&d->signals, 1, __ATOMIC_SEQ_CST);
    waitq_wake_all(&d->wait);
}

static void reap(struct disk *d, struct slot *s)
{
    if (s->io.status != 0)
        complain(d, "a request failed");
    for (unsigned i = 0; i < s->io.nr_pages; i++) {
        uint32_t block = s->first + i;

        if (s->io.op == BLKFRONT_READ && !block_right(s->io.page[i], block, d->version[block]))
            complain(d, "a block did not hold what was written");
        d->busy[block] = false;
    }
    s->used = false;
    d->nr_used--;
}

static void reap_all(struct disk *d)
{
    for (unsigned i = 0; i < SLOTS; i++)
        if (d->slot[i].used && load_acquire(&d->slot[i].ended))
            reap(d, &d->slot[i]);
}

/* Wait until no more than (n) requests are under way. */
static bool settle(struct disk *d, unsigned n)
{
    for (;;) {
        unsigned seen = load_acquire(&d->signals);

        reap_all(d);
        if (d->nr_used <= n)
            return true;
        if (wait_until(&d->wait, load_acquire(&d->signals) != seen, time_now() + LIMIT) != 0) {
            complain(d, "a request was never answered");
            return false;
        }
    }
}

static struct slot *free_slot(struct disk *d)
{
    if (!settle(d, SLOTS - 1))
        return NULL;
    for (unsigned i = 0; i < SLOTS; i++)
        if (!d->slot[i].used)
            return &d->slot[i];
    return NULL;
}

static bool submit(struct disk *d, enum blkfront_op op, uint32_t first, unsigned n)
{
    struct slot *s = free_slot(d);

    if (s == NULL)
        return false;
    s->io.op = op;
    s->io.sector = (uint64_t)first * SECTORS;
    s->io.nr_pages = n;
    s->io.len = n * PATTERN_BLOCK;
    s->first = first;
    s->ended = false;
    for (unsigned i = 0; i < n; i++) {
        d->busy[first + i] = true;
        if (op == BLKFRONT_WRITE)
            block_fill(s->io.page[i], first + i, ++d->version[first + i]);
        else
            memset(s->io.page[i], 0, PATTERN_BLOCK);
    }
    s->used = true;
    d->nr_used++;
    if (blkfront_submit(d->bf, &s->io) == 0)
        return true;
    complain(d, "a request was refused");
    return false;
}

static bool whole_disk(struct disk *d, enum blkfront_op op)
{
    for (uint32_t at = 0; at < d->nr_blocks; at += PAGES)
        if (!submit(d, op, at, MIN(d->nr_blocks - at, (uint32_t)PAGES)))
            return false;
    return settle(d, 0);
}

static bool is_free(const struct disk *d, uint32_t first, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (d->busy[first + i])
            return false;
    return true;
}

/* Looks now and then. */
static bool is_told_to_stop(const struct disk *d, unsigned done_ops)
{
    char value[8];

    return d->operations == ~0U && done_ops % 64 == 63 &&
           xs_read(XS_NO_TX, "data/stop", value, sizeof(value)) >= 0;
}

static bool mixture(struct disk *d)
{
    for (unsigned done_ops = 0; done_ops < d->operations && !is_told_to_stop(d, done_ops);) {
        unsigned n = 1 + random_below(d, PAGES);
        uint32_t first = random_below(d, d->nr_blocks - n + 1);

        if (!is_free(d, first, n)) {
            reap_all(d);
            continue;
        }
        if (!submit(d, random_below(d, 2) ? BLKFRONT_READ : BLKFRONT_WRITE, first, n))
            return false;
        done_ops++;
    }
    return settle(d, 0);
}

static bool prepare(struct disk *d)
{
    waitq_init(&d->wait);
    d->version = calloc(d->nr_blocks, sizeof(*d->version));
    d->busy = calloc(d->nr_blocks, sizeof(*d->busy));
    if (d->version == NULL || d->busy == NULL)
        return false;
    for (unsigned i = 0; i < SLOTS; i++) {
        d->slot[i] = (struct slot){.disk = d, .io = {.done = done, .arg = &d->slot[i]}};
        for (unsigned p = 0; p < PAGES; p++)
            if ((d->slot[i].io.page[p] = page_alloc()) == NULL)
                return false;
    }
    return true;
}

static void verify(struct disk *d)
{
    uint64_t sum = 0;

    if (!prepare(d))
        complain(d, "out of memory");
    else if (!whole_disk(d, BLKFRONT_WRITE) || !mixture(d))
        complain(d, "writing ended early");
    else if (blkfront_flush(d->bf) != 0)
        complain(d, "flush failed");
    else if (!whole_disk(d, BLKFRONT_READ))
        complain(d, "reading ended early");
    else {
        for (uint32_t i = 0; i < d->nr_blocks; i++)
            sum = versions_add(sum, d->version[i]);
        printf("%s: %u blocks of a disk with sectors of %u, depth %u, versions %016llx\n",
               d->info.name, d->nr_blocks, d->info.sector_size, d->info.depth,
               (unsigned long long)sum);
        blkfront_get_info(d->bf, &d->info);
        printf("%s: queues %u, pages %u, requests %llu, reconnects %llu, replays %llu\n",
               d->info.name, d->info.queues, d->info.pages, (unsigned long long)d->info.requests,
               (unsigned long long)d->info.reconnects, (unsigned long long)d->info.replays);
    }
}

static void refuse(struct disk *d)
{
    static char page[PATTERN_BLOCK];

    if (blkfront_write(d->bf, 0, page, sizeof(page)) != -EROFS)
        complain(d, "a write was not refused with EROFS");
    if (blkfront_read(d->bf, 0, page, sizeof(page)) != 0)
        complain(d, "a read failed");
    printf("%s: read-only, writes are refused\n", d->info.name);
}

static void *work(void *arg)
{
    struct disk *d = arg;

    if (blkfront_await(d->id, time_now() + LIMIT) != 0 || blkfront_open(d->id, &d->bf) != 0) {
        complain(d, "it does not open");
        return NULL;
    }
    blkfront_get_info(d->bf, &d->info);
    d->nr_blocks = (uint32_t)(d->info.nr_sectors / SECTORS);
    d->random = d->nr_blocks;
    if (d->info.read_only)
        refuse(d);
    else
        verify(d);
    blkfront_close(d->bf);
    return NULL;
}

int main(int argc, char **argv)
{
    int status = 0;

    for (int i = 0; i + 2 < argc && i < DISKS; i++) {
        disks[i].id = argv[i + 2];
        disks[i].operations = strcmp(argv[1], "until") == 0 ? ~0U : (unsigned)atoi(argv[1]);
        if (pthread_create(&disks[i].thread, NULL, work, &disks[i]) != 0)
            return 70;
    }
    for (int i = 0; i + 2 < argc && i < DISKS; i++) {
        pthread_join(disks[i].thread, NULL);
        if (disks[i].wrong != NULL) {
            printf("blkverify: %s: %s\n", disks[i].id, disks[i].wrong);
            status = 1;
        }
    }
    return argc < 3 ? 64 : status;
}
