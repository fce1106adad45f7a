/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Answers: taken from the ring, judged, and what they end. In the queue's thread, and when a
 * connection ends in the device's.
 *
 *     take --> claim by id --> verdict: 0, -errno, AGAIN --> pages back --> parts of transfers end
 *
 * I1 An answer is accepted for a request in flight (slots_claim) of the same operation, with one
 *    of the three statuses that exist. Anything else is a fault of the device.
 * I2 A slot that was claimed is the queue's thread's, without the lock, until it is put back.
 * I3 A part of a transfer ends only after all pages of its request are back (segment.c). If one is
 *    not, all that the request carried has failed.
 */
#include "frontends/blkfront/internal.h"

#include "kernel/log.h"

#define BUDGET 64 /* completions before others of the same priority get a turn */

/* ---- judging ---- */

/* From flush to barrier to nothing; of several that were under way, the first says it. */
static void flush_otherwise(struct blkfront *bf, uint8_t than)
{
    if (bf->flush_op != than)
        return;
    store_relaxed(&bf->flush_op, bf->flush_else);
    bf->flush_else = NO_FLUSH;
    bf->info.can_flush = bf->flush_op != NO_FLUSH;
    if (!bf->info.can_flush)
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

    blkfront_lock(q);
    rc = blk_ring_take(&q->ring, &rsp);
    if (rc > 0) {
        q->worked = true;
        q->answered = q->looks;
        blkfront_note(q->bf, BLKFRONT_ANSWER);
        claimed = slots_claim(&q->slots, rsp.id); /* I1 */
        if (claimed >= 0)
            *status = verdict(q, &q->request[claimed], &rsp);
        else
            store_relaxed(&q->bf->fault, "answer to a request that is not in flight");
    } else if (rc < 0) {
        store_relaxed(&q->bf->fault, "more answers than requests");
    }
    blkfront_unlock(q);
    *slot = (unsigned)claimed;
    return claimed >= 0;
}

/* ---- ending ---- */

/* End the request in the claimed (slot) (I2). */
static void end_request(struct queue *q, unsigned slot, int status)
{
    struct request *req = &q->request[slot];

    for (unsigned i = 0; i < req->nr; i++)
        if (!blkfront_segment_take_back(&req->seg[i], status == 0))
            status = -EIO; /* I3 */
    if (takes_long(req))
        atomic_sub(&q->bf->nr_long, 1);
    blkfront_lock(q);
    for (unsigned i = 0; i < req->nr; i++)
        if (req->seg[i].pooled)
            blkfront_pool_put(q, (struct granted){req->seg[i].bounce, req->seg[i].ref});
    blkfront_indirect_put(q, req);
    blkfront_request_ended(q, req, status);
    slots_put(&q->slots, slot);
    blkfront_pump(q);
    blkfront_unlock(q);
}

static bool rearm(struct queue *q)
{
    bool more;

    blkfront_lock(q);
    blkfront_pool_trim(q, q->segments + 1);
    blkfront_pump(q); /* memory or grants may have been short */
    more = blk_ring_rearm(&q->ring, 1);
    blkfront_unlock(q);
    return more;
}

void blkfront_queue_work(struct queue *q)
{
    const char *const *fault = &q->bf->fault;
    unsigned done = 0, slot;
    int status;

    blkfront_queue_finish(q);
    while (done < BUDGET && load_relaxed(fault) == NULL && take_answer(q, &slot, &status)) {
        end_request(q, slot, status);
        blkfront_queue_finish(q);
        done++;
    }
    q->more = load_relaxed(fault) == NULL && (done == BUDGET || rearm(q));
    blkfront_queue_finish(q);
    if (done == BUDGET)
        thread_yield();
    if (!q->more && load_relaxed(fault) == NULL && atomic_exchange(&q->owed, false)) {
        evtchn_eoi(q->port, q->worked);
        q->worked = false;
    }
}

static int claim_any(struct queue *q)
{
    int slot;

    blkfront_lock(q); /* a transfer is taken back, or its slot is claimed, not both */
    slot = slots_claim_any(&q->slots);
    blkfront_unlock(q);
    return slot;
}

void blkfront_queue_abandon(struct queue *q, int status)
{
    int slot;

    while ((slot = claim_any(q)) >= 0)
        end_request(q, (unsigned)slot, status != 0 ? status : AGAIN);
    blkfront_queue_restart(q);
}
