/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Blocking transfers on top of blkfront_submit. One transfer is cut into chunks of up to 44 KiB
 * (all segments of a request), of which several are in flight, each with bounce pages of its own,
 * so that any memory can be read into or written from.
 *
 *     read   |chunk|chunk|chunk|chunk|....        window: started, not yet ended
 *              ended  \______________/  not started
 *
 * I1 A chunk belongs to whoever changes its state last: ended by the driver's done while
 *    somebody waits, it is the waiter's; abandoned by a waiter whose patience ended, it is done's,
 *    which frees it when the backend answers after all or the device closes.
 * I2 Nobody waits longer than PATIENCE for one chunk. The pages of an abandoned one stay the
 *    device's; they return to the allocator only after they were revoked.
 */
#include "frontends/blkfront/blkfront.h"

#include "kernel/heap.h"
#include "kernel/log.h"
#include "kernel/page.h"
#include "kernel/time.h"
#include "kernel/wait.h"
#include "lib/base/string.h"

#define WINDOW 8
#define CHUNK_MAX (BLKFRONT_PAGES_MAX * (uint32_t)PAGE_SIZE)
#define PATIENCE (30 * NSEC_PER_SEC)

enum chunk_state { BUSY, ENDED, ABANDONED };

struct chunk {
    struct blkfront_io io;
    uint8_t state; /* enum chunk_state, I1 */
    char *buf;     /* the caller's */
};

/* All who wait for a chunk of any device; those whose chunk it was not sleep on. */
static struct waitq ended = WAITQ_INIT(ended);

static void chunk_destroy(struct chunk *c)
{
    for (unsigned i = 0; i < c->io.nr_pages; i++)
        if (!c->io.page_lost[i])
            page_free(c->io.page[i]);
    heap_free(c);
}

static void on_done(struct blkfront_io *io)
{
    struct chunk *c = io->arg;

    /* I1: after this a waiter may free it. */
    if (atomic_exchange(&c->state, ENDED) == ABANDONED)
        chunk_destroy(c);
    else
        waitq_wake_all(&ended);
}

static uint32_t bytes_of_page(const struct chunk *c, unsigned i)
{
    return MIN(c->io.len - i * (uint32_t)PAGE_SIZE, (uint32_t)PAGE_SIZE);
}

/* As many pages as there are up to what (len) takes; (len) becomes what they hold. Zeroed: the
 * backend sees all of them. */
static struct chunk *chunk_create(enum blkfront_op op, uint64_t sector, char *buf, uint32_t len)
{
    struct chunk *c = heap_alloc_zeroed(sizeof(*c));

    if (c == NULL)
        return NULL;
    c->buf = buf;
    c->io.op = op;
    c->io.sector = sector;
    c->io.done = on_done;
    c->io.arg = c;
    while (c->io.nr_pages * PAGE_SIZE < len) {
        void *page = page_alloc_zeroed();

        if (page == NULL)
            break;
        c->io.page[c->io.nr_pages++] = page;
    }
    c->io.len = MIN(len, c->io.nr_pages * (uint32_t)PAGE_SIZE);
    if (c->io.len == 0 && len != 0) {
        heap_free(c);
        return NULL;
    }
    return c;
}

static int chunk_start(struct blkfront *bf, struct chunk *c)
{
    int rc;

    if (c->io.op == BLKFRONT_WRITE)
        for (unsigned i = 0; i < c->io.nr_pages; i++)
            memcpy(c->io.page[i], c->buf + i * PAGE_SIZE, bytes_of_page(c, i));
    rc = blkfront_submit(bf, &c->io);
    if (rc != 0)
        chunk_destroy(c);
    return rc;
}

/* False: it did not end in time and is not ours any more. */
static bool chunk_wait(struct chunk *c)
{
    uint8_t busy = BUSY;

    if (wait_until(&ended, load_acquire(&c->state) == ENDED, time_now() + PATIENCE) == 0)
        return true;
    return !atomic_cmpxchg(&c->state, &busy, ABANDONED); /* I1, I2 */
}

/* Wait for (*place), which may be empty, and empty it. */
static int chunk_end(struct chunk **place)
{
    struct chunk *c = *place;
    int rc;

    *place = NULL;
    if (c == NULL)
        return 0;
    if (!chunk_wait(c)) {
        log_err("blkfront: no answer for %u seconds", (unsigned)(PATIENCE / NSEC_PER_SEC));
        return -EIO;
    }
    rc = c->io.status;
    if (rc == 0 && c->io.op == BLKFRONT_READ)
        for (unsigned i = 0; i < c->io.nr_pages; i++)
            memcpy(c->buf + i * PAGE_SIZE, c->io.page[i], bytes_of_page(c, i));
    chunk_destroy(c);
    return rc;
}

struct transfer {
    struct blkfront *bf;
    struct chunk *window[WINDOW];
    unsigned next; /* place of the oldest chunk, where the next one goes */
};

static int end_oldest(struct transfer *t)
{
    int rc = chunk_end(&t->window[t->next]);

    t->next = (t->next + 1) % WINDOW;
    return rc;
}

static int end_all(struct transfer *t)
{
    int rc = 0;

    for (unsigned i = 0; i < WINDOW; i++) {
        int ended_rc = end_oldest(t);

        rc = rc != 0 ? rc : ended_rc;
    }
    return rc;
}

/* The bytes that were started, or -errno. */
static long start_next(struct transfer *t, enum blkfront_op op, uint64_t sector, char *buf,
                       size_t len)
{
    uint32_t want = (uint32_t)MIN(len, CHUNK_MAX), got;
    struct chunk *c, **place = &t->window[t->next];
    int rc = end_oldest(t);

    if (rc != 0)
        return rc;
    c = chunk_create(op, sector, buf, want);
    if (c == NULL) { /* what is in flight may give memory back */
        rc = end_all(t);
        c = rc == 0 ? chunk_create(op, sector, buf, want) : NULL;
    }
    if (c == NULL)
        return rc != 0 ? rc : -ENOMEM;
    got = c->io.len;
    rc = chunk_start(t->bf, c);
    if (rc != 0)
        return rc;
    *place = c;
    return got;
}

static int transfer(struct blkfront *bf, enum blkfront_op op, uint64_t sector, char *buf,
                    size_t len)
{
    struct transfer t = {.bf = bf};
    struct blkfront_info info;
    long n = 0;
    int rc;

    /* A transfer that cannot be done is not begun. */
    blkfront_get_info(bf, &info);
    if (len % info.sector_size != 0 || sector > info.nr_sectors ||
        len / BLKFRONT_SECTOR > info.nr_sectors - sector)
        return -EINVAL;
    for (size_t done = 0; done < len; done += (size_t)n) {
        n = start_next(&t, op, sector + done / BLKFRONT_SECTOR, buf + done, len - done);
        if (n < 0)
            break;
    }
    rc = end_all(&t);
    return n < 0 ? (int)n : rc;
}

int blkfront_read(struct blkfront *bf, uint64_t sector, void *buf, size_t len)
{
    return transfer(bf, BLKFRONT_READ, sector, buf, len);
}

int blkfront_write(struct blkfront *bf, uint64_t sector, const void *buf, size_t len)
{
    return transfer(bf, BLKFRONT_WRITE, sector, (char *)(uintptr_t)buf, len);
}

int blkfront_flush(struct blkfront *bf)
{
    struct chunk *c = chunk_create(BLKFRONT_FLUSH, 0, NULL, 0);
    int rc;

    if (c == NULL)
        return -ENOMEM;
    rc = chunk_start(bf, c);
    return rc != 0 ? rc : chunk_end(&c);
}
