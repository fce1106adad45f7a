/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What programs call: a transfer is taken on by the queue of this CPU, held back while plugged,
 * taken back by force. Submitting works in the caller's thread as long as the ring has room; the
 * rest waits in pending, in order.
 */
#include "frontends/blkfront/internal.h"

#include <arch/cpu.h>
#include "lib/base/string.h"

static bool shape_is_right(const struct blkfront_io *io)
{
    if (io->op == BLKFRONT_FLUSH || io->op == BLKFRONT_DISCARD)
        return io->nr_pages == 0;
    if (io->op > BLKFRONT_DISCARD || io->nr_pages == 0 || io->nr_pages > BLKFRONT_PAGES_MAX ||
        io->len == 0 || io->len > io->nr_pages * PAGE_SIZE || io->len % BLKFRONT_SECTOR != 0 ||
        io->len <= (io->nr_pages - 1) * PAGE_SIZE)
        return false;
    for (unsigned i = 0; i < io->nr_pages; i++)
        if (io->page[i] == NULL || (!io->copy && !IS_ALIGNED((uintptr_t)io->page[i], PAGE_SIZE)))
            return false;
    return true;
}

/* Which queue (io) waits in; it is locked. */
static struct queue *lock_queue(struct blkfront *bf)
{
    for (;;) {
        struct queue *q = load_acquire(&bf->queue[cpu_id() % load_acquire(&bf->nr_queues)]);

        blkfront_lock(q);
        if (q->index < load_relaxed(&bf->nr_queues))
            return q;
        blkfront_unlock(q); /* it went out of use */
    }
}

static int take_on(struct queue *q, struct blkfront_io *io)
{
    struct blkfront *bf = q->bf;
    nsec_t since = load_relaxed(&bf->down_since);

    if (load_relaxed(&bf->dead))
        return -ENODEV;
    if (since != 0 && time_now() - since >= bf->timeout)
        return -EIO;
    io->until = since != 0 ? time_now() + bf->timeout : 0;
    blkfront_io_accept(q, io);
    blkfront_pump(q);
    return 0;
}

int blkfront_submit(struct blkfront *bf, struct blkfront_io *io)
{
    struct queue *q;
    int rc;

    if (!shape_is_right(io))
        return -EINVAL;
    rc = blkfront_judge(bf, io);
    if (rc != 0)
        return rc;
    memset(io->page_lost, 0, sizeof(io->page_lost));
    io->status = 0;
    io->sent = io->parts = 0;
    io->total = (uint16_t)MAX(io->nr_pages, 1u);
    io->again = io->flushing = io->under_way = false;
    q = lock_queue(bf);
    rc = take_on(q, io);
    blkfront_unlock(q);
    return rc;
}

void blkfront_plug(struct blkfront *bf)
{
    atomic_add(&bf->plugged, 1);
}

void blkfront_unplug(struct blkfront *bf)
{
    if (atomic_sub(&bf->plugged, 1) > 0)
        return;
    for (unsigned i = 0; i < QUEUES_MAX; i++) {
        struct queue *q = load_acquire(&bf->queue[i]);

        if (q != NULL)
            blkfront_queue_pump(q);
    }
}

/* The request in (slot) goes on without (io). */
static void orphan(struct request *req, const struct blkfront_io *io)
{
    if (req->single == io)
        req->single = NULL;
    for (unsigned i = 0; i < req->nr; i++)
        if (req->seg[i].io == io)
            req->seg[i].io = NULL;
}

static bool carries(const struct request *req, const struct blkfront_io *io)
{
    bool found = req->single == io;

    for (unsigned i = 0; i < req->nr && !found; i++)
        found = req->seg[i].io == io;
    return found;
}

/* Is a request of (io) claimed: does the queue's thread work on it at this moment? */
static bool is_ending(const struct queue *q, const struct blkfront_io *io)
{
    for (unsigned slot = 0; slot < q->slots.nr; slot++)
        if (slots_is_claimed(&q->slots, slot) && carries(&q->request[slot], io))
            return true;
    return false;
}

static bool is_on(const struct list *list, const struct blkfront_io *io)
{
    list_for_each (pos, list)
        if (pos == &io->link)
            return true;
    return false;
}

/* False: it is not in (q), or what was answered of it is being taken in. */
static bool try_cancel(struct queue *q, struct blkfront_io *io)
{
    if (!is_on(&q->pending, io) && !is_on(&q->busy, io) && !is_on(&q->finished, io))
        return false;
    if (is_ending(q, io))
        return false;
    for (unsigned slot = 0; slot < q->slots.nr; slot++)
        if (slots_is_in_flight(&q->slots, slot))
            orphan(&q->request[slot], io);
    list_remove(&io->link);
    return true;
}

static bool cancel_anywhere(struct blkfront *bf, struct blkfront_io *io)
{
    bool done = false;

    for (unsigned i = 0; i < QUEUES_MAX && !done; i++) {
        struct queue *q = load_acquire(&bf->queue[i]);

        if (q == NULL)
            continue;
        blkfront_lock(q);
        done = try_cancel(q, io);
        blkfront_unlock(q);
    }
    return done;
}

bool blkfront_cancel(struct blkfront *bf, struct blkfront_io *io)
{
    while (load_acquire(&io->under_way)) {
        if (cancel_anywhere(bf, io))
            return true;
        /* Its queue's thread is between claim and put, or it is on its way to another queue. */
        thread_sleep_until(time_now() + NSEC_PER_MSEC);
    }
    return false;
}
