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
 * The first request of a large TCP segment is followed by an extra info with the size to cut to
 * ("generic segmentation offload"). Who cuts makes the headers of each piece from those of the
 * whole: the sequence number goes on with the payload, lengths and sums are those of the piece, and
 * only the last one has PSH and FIN.
 *
 * Extra infos also tell the backend of multicast groups (groups.c): their request has no data.
 *
 * I1 Pool pages were zeroed and never hold anything but frames for this backend, so a backend that
 *    reads all of a page learns nothing.
 * I2 The first slot has the Ethernet header and as much as fits of the rest; no slot of a frame is
 *    empty, none leaves its page, a frame has at most 16: what backends insist on.
 * I3 A request is prepared and published in one critical section; its page is not touched
 *    again until slots_claim accepted its response.
 * I4 A response has the status okay, error or dropped. "Null" answers extra infos, so there are at
 *    most as many; its id means nothing. Every other positive one is a violation.
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
    tx->nr_extras = 0;
    tx->worked = false;
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
        netfront_count(&q->count.tx_dropped, q->tx.role[slot] == TX_HEAD);
        q->tx.role[slot] = TX_PIECE;
        slots_put(&q->tx.slots, (unsigned)slot);
    }
}

void netfront_tx_close(struct netfront_queue *q)
{
    drop_unanswered(q);
    store_relaxed(&q->tx.kick, false); /* the next life may do without this queue */
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

/* The backend did not do what was asked. */
static void failed(struct netfront_queue *q, enum tx_role role)
{
    if (role == TX_HEAD)
        netfront_count(&q->count.tx_dropped, 1);
    if (role != TX_GROUP)
        return;
    store_relaxed(&q->nf->multicast.refused, true);
    q->nf->user.wake(q->nf->user.arg);
}

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
    if (rsp->status != NETIF_RSP_OKAY)
        failed(q, q->tx.role[slot]);
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

static bool has_room(const struct netfront_queue *q, unsigned pages, unsigned extras)
{
    const struct netfront_tx *tx = &q->tx;

    return tx->slots.nr_free >= pages &&
           tx_ring_SIZE - tx_ring_outstanding(&tx->ring) >= pages + extras;
}

/* Room for a new frame, or an event that will tell of it. */
static int make_room(struct netfront_queue *q, unsigned pages, unsigned extras)
{
    recycle(q);
    while (load_relaxed(&q->nf->fault) == NULL && !has_room(q, pages, extras)) {
        if (!arm(q))
            return -ENOBUFS;
        recycle(q);
    }
    return netfront_link(q->nf) ? 0 : -ENETDOWN;
}

/* XEN_NETIF_GSO_TYPE_* that a large segment is, if the backend takes it; else 0. */
static uint8_t gso_type(const struct netfront *nf, const uint8_t *frame)
{
    bool six = frame[12] == 0x86 && frame[13] == 0xdd; /* Ethernet's type */

    if (six)
        return nf->terms.gso6 ? XEN_NETIF_GSO_TYPE_TCPV6 : 0;
    return nf->terms.gso4 ? XEN_NETIF_GSO_TYPE_TCPV4 : 0;
}

/* A frame as the caller gave it, and what is found out of it. */
struct outgoing {
    struct cursor data;
    uint32_t len;
    enum netfront_csum csum;
    uint16_t cut; /* 0: it is not to be cut */
    uint8_t gso;
    unsigned nr_queues; /* of which one was chosen */
};

/* A request for (n) bytes of it, the first of which tells of the whole. */
static void request_piece(struct netfront_queue *q, struct outgoing *out, uint32_t at, uint32_t n)
{
    unsigned slot = (unsigned)slots_get(&q->tx.slots), flags = 0;

    gather(&out->data, q->tx.pool[slot].va, n);
    if (at == 0 && out->csum == NETFRONT_CSUM_BLANK)
        flags |= NETTXF_csum_blank | NETTXF_data_validated;
    if (at == 0 && out->cut != 0)
        flags |= NETTXF_extra_info;
    if (at + n < out->len)
        flags |= NETTXF_more_data;
    q->tx.role[slot] = at == 0 ? TX_HEAD : TX_PIECE;
    tx_ring_reserve(&q->tx.ring)->req = (struct netif_tx_request){
        .gref = q->tx.pool[slot].ref,
        .flags = (uint16_t)flags,
        .id = (uint16_t)slots_id(&q->tx.slots, slot),
        .size = (uint16_t)(at == 0 ? out->len : n),
    };
}

static void put_extra(struct netfront_queue *q, const struct netif_extra_info *extra)
{
    tx_ring_reserve(&q->tx.ring)->extra = *extra;
    q->tx.nr_extras++;
}

static void request_cutting(struct netfront_queue *q, const struct outgoing *out)
{
    const struct netif_extra_info extra = {.type = XEN_NETIF_EXTRA_TYPE_GSO,
                                           .u.gso = {.size = out->cut, .type = out->gso}};

    put_extra(q, &extra);
}

static void publish(struct netfront_queue *q)
{
    if (tx_ring_publish(&q->tx.ring))
        store_relaxed(&q->tx.kick, true);
}

/* There is room (I2, I3). */
static void put_frame(struct netfront_queue *q, struct outgoing *out)
{
    for (uint32_t at = 0; at < out->len; at += PAGE_SIZE) {
        request_piece(q, out, at, MIN(out->len - at, (uint32_t)PAGE_SIZE));
        if (at == 0 && out->cut != 0)
            request_cutting(q, out);
    }
    publish(q);
}

/* There is room. The page is granted, but nothing is in it. */
static void put_group(struct netfront_queue *q, uint8_t type, const uint8_t *mac)
{
    unsigned slot = (unsigned)slots_get(&q->tx.slots);
    struct netif_extra_info extra = {.type = type};

    memcpy(extra.u.mcast.addr, mac, sizeof(extra.u.mcast.addr));
    q->tx.role[slot] = TX_GROUP;
    tx_ring_reserve(&q->tx.ring)->req = (struct netif_tx_request){
        .gref = q->tx.pool[slot].ref,
        .flags = NETTXF_extra_info,
        .id = (uint16_t)slots_id(&q->tx.slots, slot),
    };
    put_extra(q, &extra);
    publish(q);
}

/* The lock is held. */
static int send_frame(struct netfront_queue *q, struct outgoing *out)
{
    struct netfront *nf = q->nf;
    int rc;

    if (!netfront_link(nf) || out->nr_queues != nf->nr_queues) /* it went down, and up again */
        return -ENETDOWN;
    if (out->len < ETHERNET_HEADER || out->len > nf->info.tx_max)
        return -EMSGSIZE;
    if (out->cut != 0)
        out->gso = gso_type(nf, out->data.frag->data);
    if (out->cut != 0 && out->gso == 0)
        return -EMSGSIZE;
    rc = make_room(q, DIV_ROUND_UP(out->len, (uint32_t)PAGE_SIZE), out->cut != 0);
    if (rc != 0)
        return rc;
    put_frame(q, out);
    netfront_count(&q->count.tx_frames, 1);
    netfront_count(&q->count.tx_bytes, out->len);
    netfront_count(&q->count.tx_large, out->cut != 0);
    return 0;
}

int netfront_tx_group(struct netfront_queue *q, uint8_t type, const uint8_t mac[6])
{
    int rc;

    mutex_lock(&q->tx.lock);
    rc = netfront_link(q->nf) ? make_room(q, 1, 1) : -ENETDOWN;
    if (rc == 0)
        put_group(q, type, mac);
    mutex_unlock(&q->tx.lock);
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

/* One of (n). */
static struct netfront_queue *queue_for(struct netfront *nf, const struct netfront_frag *frag,
                                        unsigned n)
{
    uint32_t hash = n > 1 ? flow_of(frag) : 0;

    return nf->queue[n > 1 ? (hash ^ hash >> 16) % n : 0];
}

/* ---- for the user ---- */

static int send_out(struct netfront *nf, unsigned n, struct outgoing *out)
{
    const struct netfront_frag *frags = out->data.frag;
    struct netfront_queue *q;
    int rc;

    if (!netfront_link(nf))
        return -ENETDOWN;
    out->nr_queues = load_acquire(&nf->nr_queues);
    q = queue_for(nf, frags, out->nr_queues);
    for (unsigned i = 0; i < n && out->len <= XEN_NETIF_MAX_TX_SIZE; i++)
        out->len += frags[i].len;
    mutex_lock(&q->tx.lock);
    rc = send_frame(q, out);
    mutex_unlock(&q->tx.lock);
    return rc;
}

int netfront_send(struct netfront *nf, const struct netfront_frag *frags, unsigned n,
                  enum netfront_csum csum)
{
    struct outgoing out = {.data = {frags, 0}, .csum = csum};

    return send_out(nf, n, &out);
}

int netfront_send_large(struct netfront *nf, const struct netfront_frag *frags, unsigned n,
                        uint16_t cut)
{
    struct outgoing out = {.data = {frags, 0}, .csum = NETFRONT_CSUM_BLANK, .cut = cut};

    return send_out(nf, n, &out);
}

/* With the lock, so that its port is of this life. */
static void kick_queue(struct netfront_queue *q)
{
    mutex_lock(&q->tx.lock);
    if (load_relaxed(&q->tx.kick) && netfront_link(q->nf)) {
        store_relaxed(&q->tx.kick, false);
        netfront_notify_tx(q);
    }
    mutex_unlock(&q->tx.lock);
}

void netfront_kick(struct netfront *nf)
{
    struct netfront_queue *q;

    for (unsigned i = 0; (q = netfront_queue(nf, i)) != NULL; i++)
        if (load_relaxed(&q->tx.kick))
            kick_queue(q);
}
