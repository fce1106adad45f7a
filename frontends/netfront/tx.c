/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Transmission: how a frame becomes slots (xen/io/netif.h, "Guest transmit").
 *
 * A pool of pages is granted read-only to the backend for the queue's whole life. A frame is
 * copied into as many of them as it has pages, in one request each, and is the caller's again at
 * once. The response frees the page for the next frame; nothing is granted or revoked on the way.
 *
 *     frame  |======|===|==========================|        fragments, anywhere
 *     pool   |==============|  |==============|  |===|      4096, 4096, rest; more_data on all
 *            size = whole frame      4096         rest      but the last
 *
 * I1 Pool pages were zeroed and never hold anything but frames for this backend, so a backend that
 *    reads all of a page learns nothing.
 * I2 The first slot has the Ethernet header and as much as fits of the rest; no slot is empty, none
 *    leaves its page, a frame has at most 16: what backends insist on.
 * I3 A request is prepared and published in one critical section; its page is not touched
 *    again until slots_claim accepted its response.
 * I4 A response has the status okay, error or dropped. "Null" answers extra infos only, and we
 *    send none: that and every other positive one is a violation.
 *
 * Responses are taken on each send, which costs one read of an index, and on each poll; an event
 * is asked for only when a frame found no room.
 */
#include "frontends/netfront/internal.h"

#include "kernel/page.h"
#include "lib/base/string.h"

int netfront_tx_open(struct netfront_queue *q, unsigned nr)
{
    struct netfront_tx *tx = &q->tx;

    mutex_init(&tx->lock);
    tx_ring_init(&tx->ring, tx->page.va);
    slots_init(&tx->slots, nr, 16);
    for (unsigned i = 0; i < nr; i++) {
        int rc;

        tx->pool[i].va = page_alloc_zeroed(); /* I1 */
        if (tx->pool[i].va == NULL)
            return -ENOMEM;
        rc = grant_page(q->nf->dev.backend_id, tx->pool[i].va, true, &tx->pool[i].ref);
        if (rc != 0)
            return rc;
    }
    return 0;
}

void netfront_tx_close(struct netfront_queue *q)
{
    for (unsigned i = 0; i < tx_ring_SIZE; i++) {
        struct netfront_page *p = &q->tx.pool[i];

        if (p->ref != GREF_NONE)
            grant_revoke_and_free(p->ref, p->va);
        else if (p->va != NULL)
            page_free(p->va);
        *p = (struct netfront_page){0};
    }
}

/* ---- completion; the lock is held ---- */

static bool complete(struct netfront_queue *q, const struct netif_tx_response *rsp)
{
    int slot = slots_claim(&q->tx.slots, rsp->id);

    if (slot < 0 || rsp->status > NETIF_RSP_OKAY) { /* I4 */
        netfront_fault(q->nf, slot < 0 ? "answer to a frame that was not sent"
                                       : "answer to a frame with an impossible status");
        return false;
    }
    if (rsp->status != NETIF_RSP_OKAY && q->tx.heads_frame[slot])
        q->nf->info.tx_dropped++;
    slots_put(&q->tx.slots, (unsigned)slot); /* I3 */
    return true;
}

static void recycle(struct netfront_queue *q)
{
    struct netif_tx_response rsp;
    int rc;

    while ((rc = tx_ring_take(&q->tx.ring, &rsp)) > 0) {
        store_relaxed(&q->tx.worked, true);
        if (!complete(q, &rsp))
            return;
    }
    if (rc < 0)
        netfront_fault(q->nf, "more answers than frames sent");
}

/* Ask for an event once half of what is in flight is answered. True when it is already: no event
 * will come for it. */
static bool arm(struct netfront_queue *q)
{
    return tx_ring_rearm(&q->tx.ring, tx_ring_outstanding(&q->tx.ring) / 2 + 1);
}

void netfront_tx_settle(struct netfront_queue *q)
{
    mutex_lock(&q->tx.lock);
    recycle(q);
    mutex_unlock(&q->tx.lock);
}

/* ---- sending; the lock is held ---- */

/* Where gathering has got to in a list of fragments. */
struct cursor {
    const struct netfront_frag *frag;
    uint32_t offset;
};

static void gather(struct cursor *c, uint8_t *to, uint32_t len)
{
    while (len > 0) {
        uint32_t n = MIN(len, c->frag->len - c->offset);

        memcpy(to, (const uint8_t *)c->frag->data + c->offset, n);
        to += n;
        len -= n;
        c->offset += n;
        if (c->offset == c->frag->len)
            *c = (struct cursor){c->frag + 1, 0};
    }
}

/* Room for (need) more slots, or an event that will tell of it. */
static int make_room(struct netfront_queue *q, unsigned need)
{
    recycle(q);
    while (q->nf->fault == NULL && q->tx.slots.nr_free < need) {
        if (!arm(q))
            return -ENOBUFS;
        recycle(q);
    }
    return netfront_is_up(q->nf) ? 0 : -ENETDOWN;
}

/* One piece of a frame, (size) for the backend, (len) bytes from (c). */
static void send_slot(struct netfront_queue *q, struct cursor *c, uint32_t len, uint32_t size,
                      unsigned flags, bool head)
{
    unsigned slot = (unsigned)slots_get(&q->tx.slots);
    struct netif_tx_request *req = tx_ring_reserve(&q->tx.ring);

    gather(c, q->tx.pool[slot].va, len);
    q->tx.heads_frame[slot] = head;
    *req = (struct netif_tx_request){
        .gref = q->tx.pool[slot].ref,
        .flags = (uint16_t)flags,
        .id = (uint16_t)slots_id(&q->tx.slots, slot),
        .size = (uint16_t)size,
    };
}

static void send_frame(struct netfront_queue *q, const struct netfront_frag *frags, uint32_t len,
                       enum netfront_csum csum)
{
    struct cursor c = {frags, 0};
    unsigned notes = csum == NETFRONT_CSUM_BLANK ? NETTXF_csum_blank | NETTXF_data_validated : 0;

    for (uint32_t left = len; left > 0;) { /* I2 */
        uint32_t n = MIN(left, PAGE_SIZE);
        bool head = left == len;

        left -= n;
        send_slot(q, &c, n, head ? len : n, (head ? notes : 0) | (left > 0 ? NETTXF_more_data : 0),
                  head);
    }
    if (tx_ring_publish(&q->tx.ring)) /* I3 */
        store_relaxed(&q->tx.kick, true);
    q->nf->info.tx_frames++;
    q->nf->info.tx_bytes += len;
}

int netfront_send(struct netfront *nf, const struct netfront_frag *frags, unsigned n,
                  enum netfront_csum csum)
{
    struct netfront_queue *q = &nf->queue;
    uint32_t len = 0;
    int rc;

    for (unsigned i = 0; i < n && len <= nf->info.tx_max; i++)
        len += frags[i].len;
    if (len < ETHERNET_HEADER || len > nf->info.tx_max)
        return -EMSGSIZE;
    if (!netfront_is_up(nf))
        return -ENETDOWN;
    mutex_lock(&q->tx.lock);
    rc = make_room(q, DIV_ROUND_UP(len, (uint32_t)PAGE_SIZE));
    if (rc == 0)
        send_frame(q, frags, len, csum);
    mutex_unlock(&q->tx.lock);
    return rc;
}

void netfront_kick(struct netfront *nf)
{
    if (atomic_exchange(&nf->queue.tx.kick, false) && netfront_is_up(nf))
        netfront_notify_tx(&nf->queue);
}
