/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A transfer's life. It is on one list of its queue until its (done) is called:
 *
 *     accept --> pending --sent--> busy --ended--> finished --> done(io)
 *                  ^ some or all of it              |
 *                  +-- again: it cannot be done so, the backend has left, or (fua) to be flushed
 *
 * (parts) counts the requests that carry some of it and are not answered.
 *
 * I1 Every transfer that was accepted is completed once, whatever happens to the device.
 * I2 What is pending is in the order of submission, also what is there again.
 */
#include "frontends/blkfront/internal.h"

void blkfront_io_accept(struct queue *q, struct blkfront_io *io)
{
    store_relaxed(&io->under_way, true);
    io->order = atomic_add(&q->bf->order, 1);
    q->nr_held++;
    list_push_back(&q->pending, &io->link); /* I1 */
}

static void move_to(struct list *list, struct blkfront_io *io)
{
    list_remove(&io->link);
    list_push_back(list, &io->link);
}

void blkfront_io_finish(struct queue *q, struct blkfront_io *io, int status)
{
    io->status = status;
    move_to(&q->finished, io);
}

void blkfront_io_give_up(struct queue *q, struct blkfront_io *io)
{
    int status = io->op == BLKFRONT_DISCARD ? -EOPNOTSUPP : -EIO;

    if (io->parts == 0) {
        blkfront_io_finish(q, io, status);
        return;
    }
    io->status = status;
    io->total = io->sent;
    move_to(&q->busy, io);
}

static void count(struct queue *q, const struct blkfront_io *io)
{
    q->counts.reads += io->op == BLKFRONT_READ;
    q->counts.writes += io->op == BLKFRONT_WRITE;
    q->counts.flushes += io->op == BLKFRONT_FLUSH;
    q->counts.discards += io->op == BLKFRONT_DISCARD;
    q->counts.errors += io->status != 0;
}

static struct blkfront_io *take_finished(struct queue *q)
{
    struct blkfront_io *io = NULL;

    mutex_lock(&q->lock);
    if (!list_empty(&q->finished)) {
        io = list_first(&q->finished, struct blkfront_io, link);
        list_remove(&io->link);
        store_release(&io->under_way, false);
        count(q, io);
    }
    store_release(&q->due, !list_empty(&q->finished));
    mutex_unlock(&q->lock);
    return io;
}

void blkfront_queue_finish(struct queue *q)
{
    while (load_acquire(&q->due)) { /* who adds to it wakes us after that */
        struct blkfront_io *io = take_finished(q);

        if (io != NULL)
            io->done(io);
    }
}

/* Into pending where its order says. */
static void insert_pending(struct queue *q, struct blkfront_io *io)
{
    struct list *pos = q->pending.prev;

    while (pos != &q->pending && list_entry(pos, struct blkfront_io, link)->order > io->order)
        pos = pos->prev;
    list_remove(&io->link);
    list_push_front(pos, &io->link);
}

/* From its first page on, or the flush that it ends with. */
static void begin(struct blkfront_io *io, bool flush)
{
    io->again = false;
    io->flushing = flush;
    io->sent = 0;
    io->total = (uint16_t)(flush ? 1 : MAX(io->nr_pages, 1u));
}

static void send_again(struct queue *q, struct blkfront_io *io, bool flush)
{
    begin(io, flush);
    insert_pending(q, io);
}

/* (io), all of it, was answered. */
static void end_io(struct queue *q, struct blkfront_io *io)
{
    if (io->status != 0) {
        blkfront_io_finish(q, io, io->status);
    } else if (io->again) {
        q->counts.replays++;
        send_again(q, io, false);
    } else if (io->fua && io->op == BLKFRONT_WRITE && !io->flushing) {
        send_again(q, io, true);
    } else {
        blkfront_io_finish(q, io, 0);
    }
}

/* ---- the parts that a request carries ---- */

/* One more request carries pages of (io), of which (n) are now sent. */
static void part_sent(struct queue *q, struct blkfront_io *io, unsigned n, int unused)
{
    (void)unused;
    io->parts++;
    io->sent = (uint16_t)(io->sent + n);
    if (io->sent == io->total)
        move_to(&q->busy, io);
}

static void part_ended(struct queue *q, struct blkfront_io *io, unsigned n, int status)
{
    (void)n;
    io->parts--;
    if (status == AGAIN)
        io->again = true;
    else if (io->status == 0)
        io->status = status;
    if (io->parts == 0 && io->sent == io->total)
        end_io(q, io);
}

/* Call fn for each transfer of (req) with how many pages of it are there. */
static void for_each_part(struct queue *q, struct request *req,
                          void (*fn)(struct queue *, struct blkfront_io *, unsigned, int),
                          int status)
{
    unsigned n;

    if (req->single != NULL)
        fn(q, req->single, 1, status);
    for (unsigned i = 0; i < req->nr; i += n) {
        for (n = 1; i + n < req->nr && req->seg[i + n].io == req->seg[i].io; n++)
            ;
        if (req->seg[i].io != NULL)
            fn(q, req->seg[i].io, n, status);
    }
}

void blkfront_request_sent(struct queue *q, struct request *req)
{
    for_each_part(q, req, part_sent, 0);
}

void blkfront_request_ended(struct queue *q, struct request *req, int status)
{
    for_each_part(q, req, part_ended, status);
}

/* ---- while there is no backend ---- */

void blkfront_queue_restart(struct queue *q)
{
    blkfront_lock(q);
    list_for_each_safe (pos, &q->pending) {
        struct blkfront_io *io = list_entry(pos, struct blkfront_io, link);

        q->counts.replays += io->sent > 0;
        if (io->status != 0)
            blkfront_io_finish(q, io, io->status);
        else
            begin(io, false);
    }
    blkfront_unlock(q);
}

nsec_t blkfront_queue_expire(struct queue *q, nsec_t now, int status)
{
    nsec_t next = NEVER;

    blkfront_lock(q);
    list_for_each_safe (pos, &q->pending) {
        struct blkfront_io *io = list_entry(pos, struct blkfront_io, link);

        if (io->until == 0)
            io->until = now + q->bf->timeout;
        if (io->until <= now || now == NEVER)
            blkfront_io_finish(q, io, status);
        else
            next = MIN(next, io->until);
    }
    blkfront_unlock(q);
    blkfront_queue_finish(q);
    return next;
}

void blkfront_queue_move(struct queue *from, struct queue *to)
{
    struct list moved = LIST_INIT(moved);

    blkfront_lock(from);
    while (!list_empty(&from->pending)) {
        struct list *node = from->pending.next;

        list_remove(node);
        list_push_back(&moved, node);
    }
    blkfront_unlock(from);
    blkfront_lock(to);
    while (!list_empty(&moved)) {
        struct blkfront_io *io = list_first(&moved, struct blkfront_io, link);

        list_remove(&io->link);
        insert_pending(to, io);
    }
    blkfront_unlock(to);
}
