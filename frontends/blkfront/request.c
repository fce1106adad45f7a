/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From transfers (what programs submit) to requests (what the wire has) and back:
 *
 *     submit --> pending --> gather: up to (segments) pages of neighbours --> slot, grants, ring
 *                  ^                                                            |
 *                  | again: reconnected, or the backend cannot do it so         v
 *                  +------------------ parts of a transfer <--- claimed by id, pages revoked
 *                                            |                  or copied
 *     done(io) <-- finished <-- the last one +
 *
 * A transfer may be cut into several requests and a request may carry several transfers: the pages
 * in pending are one stream, cut where the disk's sectors do not go on or a request is full.
 * Submitting works in the caller's thread as long as the ring has room; the rest waits in pending,
 * in order. The queue's thread takes responses, completes, and moves pending on.
 *
 * I1 A response is accepted for a request in flight (slots_claim) of the same operation, with one
 *    of the three statuses that exist. Anything else is a fault of the device.
 * I2 A transfer ends, and its data is looked at, only after every page was revoked, or copied
 *    (pool.c, bounce pages). A page that cannot be revoked is in the grants' quarantine, reported
 *    in page_lost, and the transfer failed.
 * I3 What the backend is to read is granted read-only, but for the pool's pages, which hold nothing
 *    but this disk's data. A request slot is zeroed before it is filled, other pages are zeroed
 *    before they are granted.
 * I4 Every transfer that was accepted is completed once, whatever happens to the device. It is on
 *    one list: pending until all of it was sent, busy until all parts have ended, finished.
 * I5 Sector numbers are in units of 512 bytes on the wire, always; sector-size is only alignment.
 * I6 What is sent was judged by what the backend says at that time, not when it was submitted.
 *
 * The queue's mutex guards the ring, slots and lists; (done) is called without it. A slot that was
 * claimed is the queue's thread's until it is put back.
 */
#include "frontends/blkfront/internal.h"

#include "kernel/log.h"
#include "kernel/page.h"
#include "lib/base/string.h"

#define BUDGET 64 /* completions before others of the same priority get a turn */
#define AGAIN 1   /* a verdict: to be sent once more */

/* The lock, and what is due when it is given back. */
static void lock(struct queue *q)
{
    mutex_lock(&q->lock);
}

static void unlock(struct queue *q)
{
    bool notify = q->kick;
    port_t port = notify ? q->port : PORT_NONE; /* what it is later harms nobody */
    bool wake = !list_empty(&q->finished);

    q->kick = false;
    q->counts.notifies += notify;
    mutex_unlock(&q->lock);
    if (notify) {
        blkfront_note(q->bf, BLKFRONT_NOTIFY);
        (void)evtchn_notify(port);
    }
    if (wake)
        waitq_wake_all(&q->work);
}

/* ---- judging transfers ---- */

bool blkfront_lies_within(const struct blkfront *bf, uint64_t sector, uint64_t n)
{
    uint64_t all = load_relaxed(&bf->info.nr_sectors);
    uint64_t unit = load_relaxed(&bf->info.sector_size) / BLKFRONT_SECTOR;

    return sector <= all && n <= all - sector && IS_ALIGNED(sector, unit) && /* I5 */
           IS_ALIGNED(n, unit);
}

static int judge_discard(const struct blkfront *bf, const struct blkfront_io *io)
{
    const struct blkfront_info *info = &bf->info;

    if (!blkfront_lies_within(bf, io->sector, io->nr_sectors))
        return -EINVAL;
    if (load_relaxed(&info->read_only))
        return -EROFS;
    return load_relaxed(io->secure ? &info->can_discard_securely : &info->can_discard)
               ? 0
               : -EOPNOTSUPP;
}

int blkfront_judge(const struct blkfront *bf, const struct blkfront_io *io)
{
    if (io->op == BLKFRONT_FLUSH)
        return 0;
    if (io->op == BLKFRONT_DISCARD)
        return judge_discard(bf, io);
    if (!blkfront_lies_within(bf, io->sector, io->len / BLKFRONT_SECTOR))
        return -EINVAL;
    return io->op == BLKFRONT_WRITE && load_relaxed(&bf->info.read_only) ? -EROFS : 0;
}

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

/* ---- pages of a request ---- */

static uint32_t bytes_of_page(const struct blkfront_io *io, unsigned i)
{
    return MIN(io->len - i * (uint32_t)PAGE_SIZE, (uint32_t)PAGE_SIZE);
}

/* A page for the data of (seg), granted. */
static int get_bounce(struct queue *q, struct segment *seg, bool write)
{
    struct granted page = {.va = NULL};
    int rc;

    seg->pooled = q->bf->pooled;
    if (seg->pooled) {
        rc = blkfront_pool_get(q, &page);
    } else {
        page.va = page_alloc_zeroed(); /* I3 */
        rc = page.va == NULL ? -ENOMEM : 0;
    }
    if (rc != 0)
        return rc;
    if (write)
        memcpy(page.va, seg->io->page[seg->page], bytes_of_page(seg->io, seg->page));
    if (!seg->pooled)
        rc = grant_page(q->bf->dev.backend_id, page.va, write, &page.ref);
    if (rc != 0)
        page_free(page.va);
    seg->bounce = page.va;
    seg->ref = page.ref;
    return rc;
}

static int grant_segment(struct queue *q, struct segment *seg)
{
    struct blkfront *bf = q->bf;
    bool write = seg->io->op == BLKFRONT_WRITE;

    if (bf->pooled || bf->bounce || seg->io->copy)
        return get_bounce(q, seg, write);
    seg->bounce = NULL;
    seg->pooled = false;
    return grant_page(bf->dev.backend_id, seg->io->page[seg->page], write, &seg->ref);
}

/* What no backend ever saw. */
static void ungrant(struct queue *q, struct segment *seg)
{
    if (seg->pooled)
        blkfront_pool_put(q, (struct granted){seg->bounce, seg->ref});
    else
        grant_revoke_and_free(seg->ref, seg->bounce);
}

/* The page of descriptors that a long request needs. */
static int get_indirect(struct queue *q, struct request *req)
{
    int rc;

    if (q->bf->pooled)
        return blkfront_pool_get(q, &req->indirect);
    req->indirect.va = page_alloc_zeroed(); /* I3 */
    if (req->indirect.va == NULL)
        return -ENOMEM;
    rc = grant_page(q->bf->dev.backend_id, req->indirect.va, true, &req->indirect.ref);
    if (rc != 0) {
        page_free(req->indirect.va);
        req->indirect.va = NULL;
    }
    return rc;
}

/* The lock is held. */
static void put_indirect(struct queue *q, struct request *req)
{
    if (req->indirect.va == NULL)
        return;
    if (q->bf->pooled)
        blkfront_pool_put(q, req->indirect);
    else
        grant_revoke_and_free(req->indirect.ref, req->indirect.va);
    req->indirect.va = NULL;
}

/* ---- gathering: from pending to a request ---- */

/* The first sector of page (i) of (io). */
static uint64_t sector_of(const struct blkfront_io *io, unsigned i)
{
    return io->sector + (uint64_t)i * (PAGE_SIZE / BLKFRONT_SECTOR);
}

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
    return has_data(io) && io->op == before->op && io->sector == end_of(before) &&
           blkfront_judge(q->bf, io) == 0;
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
            if (grant_segment(q, &req->seg[req->nr]) != 0)
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
        ungrant(q, &req->seg[--req->nr]);
}

/* How many pages could the next request have at most? */
static unsigned wanted(const struct queue *q)
{
    const struct blkfront_io *io = list_first(&q->pending, struct blkfront_io, link);

    return MIN((unsigned)(io->total - io->sent), MIN(q->segments, load_relaxed(&q->bf->segments)));
}

/* False: there is too little memory now, and answers under way will bring more. */
static bool prepare(struct queue *q, struct request *req)
{
    unsigned want = wanted(q);

    gather(q, req, MIN(q->segments, load_relaxed(&q->bf->segments)));
    if (req->nr < want && slots_in_use(&q->slots) > 1)
        cut(q, req, 0);
    if (req->nr > DIRECT_PAGES && get_indirect(q, req) != 0)
        cut(q, req, DIRECT_PAGES);
    return req->nr > 0;
}

static void describe(const struct segment *seg, struct blkif_request_segment *wire)
{
    *wire = (struct blkif_request_segment){
        .gref = seg->ref,
        .last_sect = (uint8_t)(bytes_of_page(seg->io, seg->page) / BLKFRONT_SECTOR - 1)};
}

static void fill_direct(struct queue *q, const struct request *req, struct blkif_request *wire)
{
    wire->operation = req->operation;
    wire->nr_segments = (uint8_t)req->nr;
    wire->handle = q->bf->handle;
    if (req->nr > 0)
        wire->sector_number = sector_of(req->seg[0].io, req->seg[0].page);
    for (unsigned i = 0; i < req->nr; i++)
        describe(&req->seg[i], &wire->seg[i]);
}

static void fill_indirect(struct queue *q, const struct request *req,
                          struct blkif_request_indirect *wire)
{
    struct blkif_request_segment *list = req->indirect.va; /* written only */

    wire->operation = BLKIF_OP_INDIRECT;
    wire->indirect_op = req->operation;
    wire->nr_segments = (uint16_t)req->nr;
    wire->sector_number = sector_of(req->seg[0].io, req->seg[0].page);
    wire->handle = q->bf->handle;
    wire->indirect_grefs[0] = req->indirect.ref;
    for (unsigned i = 0; i < req->nr; i++)
        describe(&req->seg[i], &list[i]);
}

/* The part of a discard that the disk can do: whole units of its granularity. */
static uint64_t discardable(const struct blkfront *bf, const struct blkfront_io *io,
                            uint64_t *first)
{
    uint64_t unit = bf->info.discard_granularity / BLKFRONT_SECTOR;
    uint64_t shift = bf->info.discard_alignment / BLKFRONT_SECTOR;
    uint64_t from = ALIGN_UP(io->sector + unit - shift, unit) - unit + shift;
    uint64_t to = ALIGN_DOWN(io->sector + io->nr_sectors + unit - shift, unit) - unit + shift;

    if (io->secure || unit == 0) {
        *first = io->sector;
        return io->nr_sectors;
    }
    *first = from;
    return to > from && from >= io->sector ? to - from : 0;
}

static void fill_discard(struct queue *q, const struct request *req,
                         struct blkif_request_discard *wire)
{
    uint64_t first;

    wire->operation = req->operation;
    wire->flag = req->single->secure ? BLKIF_DISCARD_SECURE : 0;
    wire->handle = q->bf->handle;
    wire->nr_sectors = discardable(q->bf, req->single, &first);
    wire->sector_number = first;
}

/* Into the ring. */
static void fill(struct queue *q, unsigned slot)
{
    struct request *req = &q->request[slot];
    struct blkif_request *wire = blk_ring_reserve(&q->ring);
    uint64_t id = slots_id(&q->slots, slot);

    memset(wire, 0, sizeof(*wire)); /* I3 */
    if (req->indirect.va != NULL) {
        fill_indirect(q, req, (struct blkif_request_indirect *)wire);
        ((struct blkif_request_indirect *)wire)->id = id;
    } else if (req->operation == BLKIF_OP_DISCARD) {
        fill_discard(q, req, (struct blkif_request_discard *)wire);
        ((struct blkif_request_discard *)wire)->id = id;
    } else {
        fill_direct(q, req, wire);
        wire->id = id;
    }
    q->counts.requests++;
}

static void finish(struct queue *q, struct blkfront_io *io, int status)
{
    io->status = status;
    list_remove(&io->link);
    list_push_back(&q->finished, &io->link);
}

/* One more request carries pages of (io), of which (n) are now sent. */
static void count_part(struct queue *q, struct blkfront_io *io, unsigned n)
{
    io->parts++;
    io->sent = (uint16_t)(io->sent + n);
    if (io->sent < io->total)
        return;
    list_remove(&io->link);
    list_push_back(&q->busy, &io->link); /* I4 */
}

/* Call fn for each transfer of (req) with how many pages of it are there. */
static void for_each_io(struct queue *q, struct request *req,
                        void (*fn)(struct queue *, struct blkfront_io *, unsigned))
{
    unsigned n;

    if (req->single != NULL)
        fn(q, req->single, 1);
    for (unsigned i = 0; i < req->nr; i += n) {
        for (n = 1; i + n < req->nr && req->seg[i + n].io == req->seg[i].io; n++)
            ;
        if (req->seg[i].io != NULL)
            fn(q, req->seg[i].io, n);
    }
}

/* A flush or a discard that needs no backend. */
static bool is_void(const struct queue *q, const struct blkfront_io *io)
{
    uint64_t first;

    if (io->op == BLKFRONT_DISCARD)
        return discardable(q->bf, io, &first) == 0;
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
    req->nr = 0;
    req->single = has_data(io) ? NULL : io;
    if (req->single == NULL && !prepare(q, req)) {
        slots_put(&q->slots, (unsigned)slot);
        return false;
    }
    fill(q, (unsigned)slot);
    for_each_io(q, req, count_part);
    return true;
}

/* What cannot be sent any more ends, when the parts that were sent have. */
static void give_up(struct queue *q, struct blkfront_io *io)
{
    int status = io->op == BLKFRONT_DISCARD ? -EOPNOTSUPP : -EIO;

    if (io->parts == 0) {
        finish(q, io, status);
        return;
    }
    io->status = status;
    io->total = io->sent;
    list_remove(&io->link);
    list_push_back(&q->busy, &io->link);
}

/* Is there reason to wait for more? */
static bool is_held_back(const struct queue *q)
{
    return load_relaxed(&q->bf->plugged) > 0 && q->nr_held < blk_ring_size(&q->ring);
}

/* Move pending on as far as it goes. The lock is held. */
static void pump(struct queue *q)
{
    if (!q->live || is_held_back(q))
        return;
    q->nr_held = 0;
    while (!list_empty(&q->pending)) {
        struct blkfront_io *io = list_first(&q->pending, struct blkfront_io, link);

        if (blkfront_judge(q->bf, io) != 0) /* I6 */
            give_up(q, io);
        else if (is_void(q, io))
            finish(q, io, io->status);
        else if (!send_next(q, io))
            break;
    }
    if (blk_ring_publish(&q->ring))
        q->kick = true;
}

void blkfront_queue_pump(struct queue *q)
{
    lock(q);
    pump(q);
    unlock(q);
}

/* ---- for programs ---- */

/* Which queue (io) waits in; it is locked. */
static struct queue *lock_queue(struct blkfront *bf)
{
    for (;;) {
        struct queue *q = load_acquire(&bf->queue[cpu_id() % load_acquire(&bf->nr_queues)]);

        lock(q);
        if (q->index < load_relaxed(&bf->nr_queues))
            return q;
        unlock(q); /* it went out of use */
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
    q->nr_held++;
    io->order = atomic_add(&bf->order, 1);
    list_push_back(&q->pending, &io->link);
    pump(q);
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
    io->again = io->flushing = false;
    q = lock_queue(bf);
    rc = take_on(q, io);
    unlock(q);
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

enum { ELSEWHERE, TAKEN, LATER };

static int try_cancel(struct queue *q, struct blkfront_io *io)
{
    if (!is_on(&q->pending, io) && !is_on(&q->busy, io) && !is_on(&q->finished, io))
        return ELSEWHERE;
    if (is_ending(q, io))
        return LATER;
    for (unsigned slot = 0; slot < q->slots.nr; slot++)
        if (slots_is_in_flight(&q->slots, slot))
            orphan(&q->request[slot], io);
    list_remove(&io->link);
    return TAKEN;
}

bool blkfront_cancel(struct blkfront *bf, struct blkfront_io *io)
{
    bool later = true;

    while (later) {
        later = false;
        for (unsigned i = 0; i < QUEUES_MAX; i++) {
            struct queue *q = load_acquire(&bf->queue[i]);
            int found;

            if (q == NULL)
                continue;
            lock(q);
            found = try_cancel(q, io);
            unlock(q);
            if (found == TAKEN)
                return true;
            later = later || found == LATER;
        }
        if (later) /* the queue's thread is between claim and put, and waits for nobody */
            thread_sleep_until(time_now() + NSEC_PER_MSEC);
    }
    return false;
}

/* ---- completing; the queue's thread ---- */

/* Hand the data of (seg) on if it was not the caller's page. */
static void take_data(const struct segment *seg)
{
    struct blkfront_io *io = seg->io;

    if (io != NULL && seg->bounce != NULL && io->op == BLKFRONT_READ)
        memcpy(io->page[seg->page], seg->bounce, bytes_of_page(io, seg->page));
}

/* Revoke the page of (seg), and take its data if there is any. */
static bool take_back(struct segment *seg, bool take)
{
    struct blkfront_io *io = seg->io;

    if (grant_revoke(seg->ref) != 0) { /* I2 */
        if (seg->bounce == NULL)
            io->page_lost[seg->page] = true;
        grant_revoke_and_free(seg->ref, seg->bounce != NULL ? seg->bounce : io->page[seg->page]);
        return false;
    }
    if (take)
        take_data(seg);
    if (seg->bounce != NULL)
        page_free(seg->bounce);
    return true;
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
        count(q, io);
    }
    mutex_unlock(&q->lock);
    return io;
}

void blkfront_queue_finish(struct queue *q)
{
    while (!list_empty(&q->finished)) { /* who adds to it wakes us after that */
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
static void send_again(struct queue *q, struct blkfront_io *io, bool flush)
{
    io->again = false;
    io->flushing = flush;
    io->sent = 0;
    io->total = (uint16_t)(flush ? 1 : MAX(io->nr_pages, 1u));
    insert_pending(q, io);
}

/* (io), all of it, was answered. */
static void end_io(struct queue *q, struct blkfront_io *io)
{
    if (io->status != 0) {
        finish(q, io, io->status);
    } else if (io->again) {
        q->counts.replays++;
        send_again(q, io, false);
    } else if (io->fua && io->op == BLKFRONT_WRITE && !io->flushing) {
        send_again(q, io, true);
    } else {
        finish(q, io, 0);
    }
}

/* A request of (io) has ended. */
static void end_part(struct queue *q, struct blkfront_io *io, int status)
{
    io->parts--;
    if (status == AGAIN)
        io->again = true;
    else if (status != 0 && io->status == 0)
        io->status = status;
    if (io->parts == 0 && io->sent == io->total)
        end_io(q, io);
}

static void end_ok(struct queue *q, struct blkfront_io *io, unsigned n)
{
    (void)n;
    end_part(q, io, 0);
}

static void end_again(struct queue *q, struct blkfront_io *io, unsigned n)
{
    (void)n;
    end_part(q, io, AGAIN);
}

static void end_failed(struct queue *q, struct blkfront_io *io, unsigned n)
{
    (void)n;
    end_part(q, io,
             io->op == BLKFRONT_DISCARD && !load_relaxed(&q->bf->info.can_discard) ? -EOPNOTSUPP
                                                                                   : -EIO);
}

/* End the request in the claimed (slot). */
static void end_request(struct queue *q, unsigned slot, int status)
{
    struct request *req = &q->request[slot];

    for (unsigned i = 0; i < req->nr; i++) {
        if (req->seg[i].pooled && status == 0)
            take_data(&req->seg[i]); /* I2 */
        else if (!req->seg[i].pooled && !take_back(&req->seg[i], status == 0))
            status = -EIO;
    }
    lock(q);
    for (unsigned i = 0; i < req->nr; i++)
        if (req->seg[i].pooled)
            blkfront_pool_put(q, (struct granted){req->seg[i].bounce, req->seg[i].ref});
    put_indirect(q, req);
    for_each_io(q, req, status == 0 ? end_ok : status == AGAIN ? end_again : end_failed);
    slots_put(&q->slots, slot);
    pump(q);
    unlock(q);
}

/* From flush to barrier to nothing. */
static void flush_otherwise(struct blkfront *bf, uint8_t than)
{
    bool barrier = than == BLKIF_OP_FLUSH_DISKCACHE && bf->offer.barrier;

    store_relaxed(&bf->flush_op, barrier ? BLKIF_OP_WRITE_BARRIER : NO_FLUSH);
    bf->info.can_flush = barrier;
    if (!barrier)
        log_warn("%s: the backend does not flush its cache after all", bf->dev.name);
}

static void do_not_discard(struct blkfront *bf)
{
    store_relaxed(&bf->info.can_discard, false);
    store_relaxed(&bf->info.can_discard_securely, false);
    bf->discard_off = true;
}

/* "Not supported": do without from now on. What that means for its request. */
static int do_without(struct blkfront *bf, const struct request *req)
{
    int verdict = AGAIN;

    mutex_lock(&bf->info_lock);
    if (req->operation == BLKIF_OP_FLUSH_DISKCACHE || req->operation == BLKIF_OP_WRITE_BARRIER) {
        flush_otherwise(bf, req->operation);
    } else if (req->operation == BLKIF_OP_DISCARD) {
        do_not_discard(bf);
        verdict = -EOPNOTSUPP;
    } else if (req->indirect.va != NULL) {
        store_relaxed(&bf->segments, DIRECT_PAGES);
    } else {
        verdict = -EIO;
    }
    mutex_unlock(&bf->info_lock);
    return verdict;
}

/* What the answer (rsp) means for its request. */
static int verdict(struct queue *q, const struct request *req, const struct blkif_response *rsp)
{
    bool same = rsp->operation == req->operation ||
                (req->indirect.va != NULL && rsp->operation == BLKIF_OP_INDIRECT);

    if (!same || rsp->status > BLKIF_RSP_OKAY || rsp->status < BLKIF_RSP_EOPNOTSUPP) { /* I1 */
        store_relaxed(&q->bf->fault, "answer of another operation or with an impossible status");
        return -EIO;
    }
    if (rsp->status == BLKIF_RSP_EOPNOTSUPP)
        return do_without(q->bf, req);
    return rsp->status == BLKIF_RSP_OKAY ? 0 : -EIO;
}

/* Take and judge one response: true, and the claimed slot with what became of it. */
static bool take_answer(struct queue *q, unsigned *slot, int *status)
{
    struct blkif_response rsp;
    int claimed = -1, rc;

    lock(q);
    rc = blk_ring_take(&q->ring, &rsp);
    if (rc > 0) {
        q->worked = true;
        blkfront_note(q->bf, BLKFRONT_ANSWER);
        claimed = slots_claim(&q->slots, rsp.id); /* I1 */
        if (claimed >= 0)
            *status = verdict(q, &q->request[claimed], &rsp);
        else
            store_relaxed(&q->bf->fault, "answer to a request that is not in flight");
    } else if (rc < 0) {
        store_relaxed(&q->bf->fault, "more answers than requests");
    }
    unlock(q);
    *slot = (unsigned)claimed;
    return claimed >= 0;
}

static bool rearm(struct queue *q)
{
    bool more;

    lock(q);
    blkfront_pool_trim(q, q->segments + 1);
    pump(q); /* memory or grants may have been short */
    more = blk_ring_rearm(&q->ring, 1);
    unlock(q);
    return more;
}

void blkfront_queue_work(struct queue *q)
{
    const char *const *fault = &q->bf->fault;
    unsigned done = 0, slot;
    int status;

    blkfront_queue_finish(q);
    do {
        while (load_relaxed(fault) == NULL && take_answer(q, &slot, &status)) {
            end_request(q, slot, status);
            blkfront_queue_finish(q);
            if (++done % BUDGET == 0)
                thread_yield();
        }
    } while (load_relaxed(fault) == NULL && rearm(q));
    blkfront_queue_finish(q);
    if (load_relaxed(fault) == NULL && atomic_exchange(&q->owed, false)) {
        evtchn_eoi(q->port, q->worked);
        q->worked = false;
    }
}

/* ---- the end of a connection; the device's thread ---- */

void blkfront_queue_abandon(struct queue *q, int status)
{
    int slot;

    while ((slot = slots_claim_any(&q->slots)) >= 0) /* I4 */
        end_request(q, (unsigned)slot, status != 0 ? status : AGAIN);
    lock(q);
    list_for_each_safe (pos, &q->pending) { /* what was sent in part */
        struct blkfront_io *io = list_entry(pos, struct blkfront_io, link);

        io->again = false;
        q->counts.replays += io->sent > 0;
        io->sent = 0;
        if (io->status != 0)
            finish(q, io, io->status);
    }
    unlock(q);
}

nsec_t blkfront_queue_expire(struct queue *q, nsec_t now, int status)
{
    nsec_t next = NEVER;

    lock(q);
    list_for_each_safe (pos, &q->pending) {
        struct blkfront_io *io = list_entry(pos, struct blkfront_io, link);

        if (io->until == 0)
            io->until = now + q->bf->timeout;
        if (io->until <= now || now == NEVER)
            finish(q, io, status);
        else
            next = MIN(next, io->until);
    }
    unlock(q);
    blkfront_queue_finish(q);
    return next;
}

void blkfront_queue_move(struct queue *from, struct queue *to)
{
    struct list moved = LIST_INIT(moved);

    lock(from);
    while (!list_empty(&from->pending)) {
        struct list *node = from->pending.next;

        list_remove(node);
        list_push_back(&moved, node);
    }
    unlock(from);
    lock(to);
    while (!list_empty(&moved)) {
        struct blkfront_io *io = list_first(&moved, struct blkfront_io, link);

        list_remove(&io->link);
        insert_pending(to, io);
    }
    unlock(to);
}
