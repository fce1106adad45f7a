/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From pending to the ring. A transfer may be cut into several requests and a request may carry
 * several transfers: the pages in pending are one stream, cut where the operation changes, where
 * the disk's sectors do not go on, or where a request is full.
 *
 *     pending:   | A 0 1 2 3 | B 0 1 | C 0 1 2 ...     A, B: neighbours on the disk; C is elsewhere
 *     requests:  |        1          |    2    ...
 *
 * I1 What is sent was judged by what the backend says now, not when it was submitted.
 * I2 With too little memory or too few grants a request waits for those under way; one at a time
 *    always goes on, with as many pages as there are.
 */
#include "frontends/blkfront/internal.h"

static uint64_t end_of(const struct blkfront_io *io)
{
    return io->sector + io->len / BLKFRONT_SECTOR;
}

static bool has_data(const struct blkfront_io *io)
{
    return (io->op == BLKFRONT_READ || io->op == BLKFRONT_WRITE) && !io->flushing;
}

/* May (io) share a request with (before), whose end has been reached? */
static bool goes_on(const struct queue *q, const struct blkfront_io *before,
                    const struct blkfront_io *io)
{
    return has_data(io) && io->op == before->op &&
           blkfront_sector_of(io, io->sent) == end_of(before) && blkfront_judge(q->bf, io) == 0;
}

/* Grant pages of the transfers in pending from the first on, as many as belong together. */
static void gather(struct queue *q, struct request *req, unsigned max)
{
    const struct blkfront_io *before = NULL;

    req->nr = 0;
    list_for_each (pos, &q->pending) {
        struct blkfront_io *io = list_entry(pos, struct blkfront_io, link);

        if (before != NULL && !goes_on(q, before, io))
            return;
        for (unsigned i = io->sent; i < io->total; i++) {
            if (req->nr == max)
                return;
            req->seg[req->nr] = (struct segment){.io = io, .page = (uint16_t)i};
            if (blkfront_segment_grant(q, &req->seg[req->nr]) != 0)
                return;
            req->nr++;
        }
        before = io;
    }
}

/* Only the first (n) segments. */
static void cut(struct queue *q, struct request *req, unsigned n)
{
    while (req->nr > n)
        blkfront_segment_ungrant(q, &req->seg[--req->nr]);
}

/* How many pages could the next request have at most? */
static unsigned wanted(const struct queue *q)
{
    const struct blkfront_io *io = list_first(&q->pending, struct blkfront_io, link);

    return MIN((unsigned)(io->total - io->sent), MIN(q->segments, load_relaxed(&q->bf->segments)));
}

/* False: there is too little memory now, and answers under way will bring more (I2). */
static bool prepare(struct queue *q, struct request *req)
{
    unsigned want = wanted(q);

    gather(q, req, MIN(q->segments, load_relaxed(&q->bf->segments)));
    if (req->nr < want && slots_in_use(&q->slots) > 1)
        cut(q, req, 0);
    if (req->nr > DIRECT_PAGES && blkfront_indirect_get(q, req) != 0)
        cut(q, req, DIRECT_PAGES);
    return req->nr > 0;
}

/* A flush or a discard that needs no backend. */
static bool is_void(const struct queue *q, const struct blkfront_io *io)
{
    uint64_t first;

    if (io->op == BLKFRONT_DISCARD)
        return blkfront_discardable(q->bf, io, &first) == 0;
    return !has_data(io) && load_relaxed(&q->bf->flush_op) == NO_FLUSH;
}

static uint8_t operation_of(const struct queue *q, const struct blkfront_io *io)
{
    if (io->op == BLKFRONT_DISCARD)
        return BLKIF_OP_DISCARD;
    if (!has_data(io))
        return load_relaxed(&q->bf->flush_op);
    return io->op == BLKFRONT_READ ? BLKIF_OP_READ : BLKIF_OP_WRITE;
}

/* Send what begins with (io), the first of pending. False: no slot, memory or grant now. */
static bool send_next(struct queue *q, struct blkfront_io *io)
{
    int slot = slots_get(&q->slots);
    struct request *req = slot < 0 ? NULL : &q->request[slot];

    if (req == NULL)
        return false;
    req->operation = operation_of(q, io);
    req->sent = q->looks;
    req->nr = 0;
    req->single = has_data(io) ? NULL : io;
    if (req->single == NULL && !prepare(q, req)) {
        slots_put(&q->slots, (unsigned)slot);
        return false;
    }
    if (takes_long(req))
        atomic_add(&q->bf->nr_long, 1);
    blkfront_wire_put(q, (unsigned)slot);
    blkfront_request_sent(q, req);
    return true;
}

/* Is there reason to wait for more? */
static bool is_held_back(const struct queue *q)
{
    return load_relaxed(&q->bf->plugged) > 0 && q->nr_held < blk_ring_size(&q->ring);
}

void blkfront_pump(struct queue *q)
{
    if (!q->live || is_held_back(q))
        return;
    q->nr_held = 0;
    while (!list_empty(&q->pending)) {
        struct blkfront_io *io = list_first(&q->pending, struct blkfront_io, link);

        if (blkfront_judge(q->bf, io) != 0) /* I1 */
            blkfront_io_give_up(q, io);
        else if (is_void(q, io))
            blkfront_io_finish(q, io, io->status);
        else if (!send_next(q, io))
            break;
    }
    if (blk_ring_publish(&q->ring))
        q->kick = true;
}

void blkfront_queue_pump(struct queue *q)
{
    blkfront_lock(q);
    blkfront_pump(q);
    blkfront_unlock(q);
}
