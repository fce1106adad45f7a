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
 * TCP segments that follow each other are joined to one frame on the way, which the backend may
 * cut again (segment.c): the frame stays open, in the pool but not in the ring, until one comes
 * that cannot be joined or the burst ends (netfront_kick). Its first request is then followed by an
 * extra info with the size to cut to.
 *
 * I1 Pool pages were zeroed and never hold anything but frames for this backend, so a backend that
 *    reads all of a page learns nothing.
 * I2 The first slot has the Ethernet header and as much as fits of the rest; no slot is empty, none
 *    leaves its page, a frame has at most 16: what backends insist on.
 * I3 A request is prepared and published in one critical section; its page is not touched
 *    again until slots_claim accepted its response.
 * I4 A response has the status okay, error or dropped. "Null" answers extra infos, so there are at
 *    most as many; its id means nothing. Every other positive one is a violation.
 * I5 The ring has room for the open frame and its extra info before a byte is put into the pool, so
 *    closing it cannot fail.
 *
 * Responses are taken on each send, which costs one read of an index, and on each poll; an event
 * is asked for only when a frame found no room.
 */
#include "frontends/netfront/internal.h"

#include "kernel/page.h"
#include "lib/base/string.h"

void netfront_tx_init(struct netfront_queue *q)
{
    mutex_init(&q->tx.lock);
}

int netfront_tx_open(struct netfront_queue *q, unsigned nr)
{
    struct netfront_tx *tx = &q->tx;

    tx_ring_init(&tx->ring, tx->page.va);
    slots_init(&tx->slots, nr, 16);
    tx->open.nr_slots = tx->nr_extras = 0;
    tx->kick = tx->sent = tx->worked = false;
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

static void drop_unanswered(struct netfront_queue *q)
{
    int slot;

    while ((slot = slots_claim_any(&q->tx.slots)) >= 0) {
        q->count.tx_dropped += q->tx.heads_frame[slot];
        q->tx.heads_frame[slot] = false;
        slots_put(&q->tx.slots, (unsigned)slot);
    }
}

void netfront_tx_close(struct netfront_queue *q)
{
    drop_unanswered(q);
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
    int slot;

    if (rsp->status == NETIF_RSP_NULL && q->tx.nr_extras > 0) { /* I4 */
        q->tx.nr_extras--;
        return true;
    }
    slot = slots_claim(&q->tx.slots, rsp->id);
    if (slot < 0 || rsp->status > NETIF_RSP_OKAY) { /* I4 */
        netfront_fault(q->nf, slot < 0 ? "answer to a frame that was not sent"
                                       : "answer to a frame with an impossible status");
        return false;
    }
    if (rsp->status != NETIF_RSP_OKAY && q->tx.heads_frame[slot])
        q->count.tx_dropped++;
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

/* Slots and places in the ring for (need) pages more than the open frame has. */
static bool has_room(const struct netfront_queue *q, unsigned need)
{
    const struct netfront_tx *tx = &q->tx;
    unsigned extra = q->nf->terms.gso4 || q->nf->terms.gso6;

    return tx->slots.nr_free >= need &&
           tx_ring_SIZE - tx_ring_outstanding(&tx->ring) >= tx->open.nr_slots + need + extra;
}

/* Room for a new frame of (need) pages, or an event that will tell of it. */
static int make_room(struct netfront_queue *q, unsigned need)
{
    recycle(q);
    while (q->nf->fault == NULL && !has_room(q, need)) {
        if (!arm(q))
            return -ENOBUFS;
        recycle(q);
    }
    return netfront_link(q->nf) ? 0 : -ENETDOWN;
}

/* Add (len) bytes to the open frame. */
static void append(struct netfront_queue *q, struct cursor *c, uint32_t len)
{
    struct netfront_open_frame *open = &q->tx.open;

    while (len > 0) { /* I2 */
        uint32_t at = open->len % PAGE_SIZE, n = MIN(len, (uint32_t)PAGE_SIZE - at);

        if (at == 0)
            open->slot[open->nr_slots++] = (uint16_t)slots_get(&q->tx.slots);
        gather(c, (uint8_t *)q->tx.pool[open->slot[open->nr_slots - 1]].va + at, n);
        open->len += n;
        len -= n;
    }
}

/* Piece (i) of the open frame; the first one tells of the whole. */
static void request_piece(struct netfront_queue *q, unsigned i)
{
    const struct netfront_open_frame *open = &q->tx.open;
    struct netif_tx_request *req = &tx_ring_reserve(&q->tx.ring)->req;
    unsigned slot = open->slot[i], flags = 0;

    if (i == 0 && open->csum == NETFRONT_CSUM_BLANK)
        flags |= NETTXF_csum_blank | NETTXF_data_validated;
    if (i == 0 && open->nr_segments > 1)
        flags |= NETTXF_extra_info;
    if (i + 1 < open->nr_slots)
        flags |= NETTXF_more_data;
    q->tx.heads_frame[slot] = i == 0;
    *req = (struct netif_tx_request){
        .gref = q->tx.pool[slot].ref,
        .flags = (uint16_t)flags,
        .id = (uint16_t)slots_id(&q->tx.slots, slot),
        .size =
            (uint16_t)(i == 0 ? open->len : MIN(open->len - i * (uint32_t)PAGE_SIZE, PAGE_SIZE)),
    };
}

static void request_cutting(struct netfront_queue *q)
{
    const struct netfront_open_frame *open = &q->tx.open;

    tx_ring_reserve(&q->tx.ring)->extra = (struct netif_extra_info){
        .type = XEN_NETIF_EXTRA_TYPE_GSO,
        .u.gso = {.size = (uint16_t)open->first.payload, .type = open->first.gso},
    };
    q->tx.nr_extras++;
}

/* Hand over the open frame, if there is one (I3, I5). */
static void close_frame(struct netfront_queue *q)
{
    struct netfront_open_frame *open = &q->tx.open;
    bool joined = open->nr_segments > 1;

    if (open->nr_slots == 0)
        return;
    if (joined)
        netfront_segment_headers(q->tx.pool[open->slot[0]].va, open->head, &open->first, 0,
                                 open->len - open->first.headers, open->last);
    for (unsigned i = 0; i < open->nr_slots; i++) {
        request_piece(q, i);
        if (i == 0 && joined)
            request_cutting(q);
    }
    open->nr_slots = 0;
    if (tx_ring_publish(&q->tx.ring))
        store_relaxed(&q->tx.kick, true);
}

static void open_frame(struct netfront_queue *q, const struct netfront_frag *frags, uint32_t len,
                       enum netfront_csum csum, const struct netfront_segment *segment)
{
    struct netfront_open_frame *open = &q->tx.open;
    struct cursor c = {frags, 0};

    open->len = 0;
    open->csum = csum;
    open->nr_segments = 1;
    open->grows = segment != NULL && !segment->last;
    append(q, &c, len);
    if (!open->grows) {
        close_frame(q);
        return;
    }
    open->first = *segment;
    memcpy(open->head, frags[0].data, segment->headers);
}

/* Join (segment) to the open frame; false when it cannot be. */
static bool join(struct netfront_queue *q, const struct netfront_frag *frags,
                 const struct netfront_segment *segment)
{
    struct netfront_open_frame *open = &q->tx.open;
    struct cursor c = {frags, segment->headers};
    uint32_t len = open->len + segment->payload;
    unsigned need;

    if (open->nr_slots == 0 || !open->grows || len > XEN_NETIF_MAX_TX_SIZE ||
        !netfront_segment_follows(frags[0].data, segment, open->head, &open->first,
                                  open->nr_segments))
        return false;
    need = DIV_ROUND_UP(len, (uint32_t)PAGE_SIZE) - open->nr_slots;
    if (!has_room(q, need))
        recycle(q);
    if (!has_room(q, need))
        return false;
    append(q, &c, segment->payload);
    open->nr_segments++;
    open->last = segment->last;
    open->grows = !segment->last && segment->payload == open->first.payload;
    q->count.tx_joined++;
    return true;
}

/* The lock is held. */
static int send_frame(struct netfront_queue *q, const struct netfront_frag *frags, uint32_t len,
                      enum netfront_csum csum)
{
    struct netfront_segment segment;
    bool is_segment =
        csum == NETFRONT_CSUM_BLANK &&
        netfront_segment_of(frags[0].data, frags[0].len, len, &segment) &&
        (segment.gso == XEN_NETIF_GSO_TYPE_TCPV4 ? q->nf->terms.gso4 : q->nf->terms.gso6);
    int rc;

    if (!netfront_link(q->nf) || q->index >= q->nf->nr_queues) /* it went down, and up again */
        return -ENETDOWN;
    if (len < ETHERNET_HEADER || len > q->nf->info.tx_max)
        return -EMSGSIZE;
    if (is_segment && join(q, frags, &segment))
        return 0;
    close_frame(q);
    rc = make_room(q, DIV_ROUND_UP(len, (uint32_t)PAGE_SIZE));
    if (rc == 0)
        open_frame(q, frags, len, csum, is_segment ? &segment : NULL);
    return rc;
}

/* ---- which queue ---- */

static uint32_t mix(uint32_t hash, const uint8_t *p, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        hash = (hash ^ p[i]) * 0x01000193; /* FNV-1a */
    return hash;
}

/* The same for all frames of a flow, so that they stay in order. */
static uint32_t flow_of(const struct netfront_frag *frag)
{
    const uint8_t *p = frag->data, *ip = p + ETHERNET_HEADER;
    uint32_t hash = 0x811c9dc5;

    if (frag->len >= ETHERNET_HEADER + 24 && p[12] == 0x08 && p[13] == 0x00) {
        bool whole = (ip[6] & 0x3f) == 0 && ip[7] == 0 && ip[0] == 0x45;

        return mix(hash, ip + 12, whole ? 12 : 8); /* addresses, ports */
    }
    if (frag->len >= ETHERNET_HEADER + 44 && p[12] == 0x86 && p[13] == 0xdd)
        return mix(hash, ip + 8, ip[6] == 6 || ip[6] == 17 ? 36 : 32);
    return hash;
}

static struct netfront_queue *queue_for(struct netfront *nf, const struct netfront_frag *frag)
{
    unsigned n = load_acquire(&nf->nr_queues);
    uint32_t hash = n > 1 ? flow_of(frag) : 0;

    return nf->queue[n > 1 ? (hash ^ hash >> 16) % n : 0];
}

/* ---- for the user ---- */

int netfront_send(struct netfront *nf, const struct netfront_frag *frags, unsigned n,
                  enum netfront_csum csum)
{
    struct netfront_queue *q;
    uint32_t len = 0;
    int rc;

    if (!netfront_link(nf))
        return -ENETDOWN;
    q = queue_for(nf, frags);
    for (unsigned i = 0; i < n && len <= XEN_NETIF_MAX_TX_SIZE; i++)
        len += frags[i].len;
    mutex_lock(&q->tx.lock);
    rc = send_frame(q, frags, len, csum);
    if (rc == 0) {
        q->count.tx_frames++;
        q->count.tx_bytes += len;
        store_relaxed(&q->tx.sent, true);
    }
    mutex_unlock(&q->tx.lock);
    return rc;
}

static void kick(struct netfront_queue *q)
{
    mutex_lock(&q->tx.lock);
    store_relaxed(&q->tx.sent, false);
    if (netfront_link(q->nf) && q->index < q->nf->nr_queues)
        close_frame(q);
    mutex_unlock(&q->tx.lock);
    if (atomic_exchange(&q->tx.kick, false) && netfront_link(q->nf))
        netfront_notify_tx(q);
}

void netfront_kick(struct netfront *nf)
{
    for (unsigned i = 0; i < NETFRONT_QUEUES_MAX && nf->queue[i] != NULL; i++)
        if (load_relaxed(&nf->queue[i]->tx.sent))
            kick(nf->queue[i]);
}
