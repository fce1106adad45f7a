/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Blocking transfers on top of blkfront_submit. One transfer is cut into pieces of up to 32 pages,
 * of which several are in flight:
 *
 *     read   |piece|piece|piece|piece|....        window: started, not yet ended
 *              ended  \______________/  not started
 *
 * The driver copies between its own pages and the caller's memory, which may be any.
 *
 * I1 The pieces live on the caller's stack, so none is left with the driver: one that does not end
 *    in time is cancelled, and what the backend says of it afterwards touches nobody's memory.
 * I2 Nobody waits longer for one piece than twice the disk's timeout: once for a backend to be
 * there again, once for its answer.
 */
#include "frontends/blkfront/internal.h"

#include <arch/page.h>
#include "kernel/log.h"
#include "kernel/time.h"
#include "kernel/wait.h"
#include "lib/base/string.h"

#define WINDOW 8
#define PIECE_MAX (BLKFRONT_PAGES_MAX * (uint32_t)PAGE_SIZE)

struct piece {
    struct blkfront_io io;
    bool used, ended;
};

/* All who wait for a piece of any disk; those whose piece it was not sleep on. */
static struct waitq ended = WAITQ_INIT(ended);

static void on_done(struct blkfront_io *io)
{
    struct piece *p = io->arg;

    store_release(&p->ended, true); /* the waiter's stack may be gone from here on */
    waitq_wake_all(&ended);
}

static int start(struct blkfront *bf, struct piece *p)
{
    int rc;

    p->io.done = on_done;
    p->io.arg = p;
    p->ended = false;
    rc = blkfront_submit(bf, &p->io);
    p->used = rc == 0;
    return rc;
}

/* Wait for (p), if it is used. */
static int end(struct blkfront *bf, struct piece *p)
{
    nsec_t deadline = time_now() + 2 * blkfront_timeout();

    if (!p->used)
        return 0;
    p->used = false;
    if (wait_until(&ended, load_acquire(&p->ended), deadline) == 0)
        return p->io.status;
    if (blkfront_cancel(bf, &p->io)) { /* I1 */
        log_err("blkfront: no answer for %u seconds",
                (unsigned)(2 * blkfront_timeout() / NSEC_PER_SEC));
        return -EIO;
    }
    (void)wait_until(&ended, load_acquire(&p->ended), NEVER); /* it is being ended */
    return p->io.status;
}

static void set_piece(struct piece *p, enum blkfront_op op, uint64_t sector, char *buf, size_t len)
{
    struct blkfront_io *io = &p->io;

    io->op = op;
    io->copy = true;
    io->fua = io->secure = false;
    io->sector = sector;
    io->len = (uint32_t)MIN(len, PIECE_MAX);
    io->nr_pages = DIV_ROUND_UP(io->len, (uint32_t)PAGE_SIZE);
    for (unsigned i = 0; i < io->nr_pages; i++)
        io->page[i] = buf + i * PAGE_SIZE;
}

static int end_all(struct blkfront *bf, struct piece *window)
{
    int rc = 0;

    for (unsigned i = 0; i < WINDOW; i++) {
        int one = end(bf, &window[i]);

        rc = rc != 0 ? rc : one;
    }
    return rc;
}

static int transfer(struct blkfront *bf, enum blkfront_op op, uint64_t sector, char *buf,
                    size_t len)
{
    struct piece window[WINDOW];
    int rc = 0, rest;

    /* A transfer that cannot be done is not begun. */
    if (len % BLKFRONT_SECTOR != 0 || !blkfront_lies_within(bf, sector, len / BLKFRONT_SECTOR))
        return -EINVAL;
    for (unsigned i = 0; i < WINDOW; i++)
        window[i].used = false;
    for (size_t done = 0, n = 0; done < len && rc == 0; done += window[n++ % WINDOW].io.len) {
        struct piece *p = &window[n % WINDOW];

        rc = end(bf, p);
        if (rc != 0)
            break;
        set_piece(p, op, sector + done / BLKFRONT_SECTOR, buf + done, len - done);
        rc = start(bf, p);
    }
    rest = end_all(bf, window);
    return rc != 0 ? rc : rest;
}

int blkfront_read(struct blkfront *bf, uint64_t sector, void *buf, size_t len)
{
    return transfer(bf, BLKFRONT_READ, sector, buf, len);
}

int blkfront_write(struct blkfront *bf, uint64_t sector, const void *buf, size_t len)
{
    return transfer(bf, BLKFRONT_WRITE, sector, (char *)(uintptr_t)buf, len);
}

/* A flush or a discard: without data. */
static int command(struct blkfront *bf, struct piece *p)
{
    int rc = start(bf, p);

    return rc != 0 ? rc : end(bf, p);
}

int blkfront_flush(struct blkfront *bf)
{
    struct piece p = {.io = {.op = BLKFRONT_FLUSH, .copy = true}};

    return command(bf, &p);
}

int blkfront_discard(struct blkfront *bf, uint64_t sector, uint64_t nr_sectors, bool securely)
{
    struct piece p = {.io = {.op = BLKFRONT_DISCARD,
                             .copy = true,
                             .secure = securely,
                             .sector = sector,
                             .nr_sectors = nr_sectors}};

    return command(bf, &p);
}
