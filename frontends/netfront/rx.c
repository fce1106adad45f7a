/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reception: how slots become a frame (xen/io/netif.h, "Guest receive", copy mode).
 *
 * Clean pages (zeroed, or from stock.c) are granted writable and posted. The backend copies a frame
 * into one or more of them and answers in the same ring positions:
 *
 *     first piece [extra info]... [piece]...     each data slot: offset, length, more_data
 *
 * Each page is then revoked, and so private, before it is added to the frame; the complete frame
 * goes up with its pages. A small frame (and in bounce mode every one) is copied instead,
 * and its page is posted again under the same grant.
 *
 * I1 Nobody parses a byte that the backend can still change: revoked first, or copied.
 * I2 The ring position says which page an answer is about; the id has only to agree. The page
 *    leaves its position before anything is done with it, so no answer finds it twice.
 * I3 offset + length lie in the page; a frame has at most 18 data slots, and each type of extra
 *    info at most once, if we accept it at all.
 * I4 Pages taken in one poll are posted again but published only at its end. So one poll
 *    takes at most what was posted when it began, whatever the backend does.
 * I5 A page that cannot be revoked goes to the grants' quarantine and the frame is dropped; when
 *    a whole ring of pages was lost that way, the device is given up.
 * I6 A frame may end in a later poll than it began in. What it holds meanwhile is in rx->frame.
 */
#include "frontends/netfront/internal.h"

#include "kernel/page.h"
#include "lib/base/string.h"

/* Types of extra info that may come, a mask: notes that nobody needs. A hash; and how a TCP segment
 * larger than the mtu should be cut if it went over a wire, which it does not: TCP takes it whole.
 */
#define EXTRAS_ACCEPTED (1u << XEN_NETIF_EXTRA_TYPE_HASH | 1u << XEN_NETIF_EXTRA_TYPE_GSO)

/* ---- posting ---- */

static void post(struct netfront_rx *rx, struct netfront_page page)
{
    unsigned at = rx_ring_next_request(&rx->ring);
    struct netif_rx_request *req = rx_ring_reserve(&rx->ring);

    ASSERT(req != NULL); /* target and what was just taken fit */
    rx->posted[at] = page;
    *req = (struct netif_rx_request){.id = (uint16_t)at, .gref = page.ref};
}

/* A page that shows the backend nothing that it does not know. */
static void *clean_page(struct netfront *nf)
{
    void *page = netfront_stock_take(nf);

    return page != NULL ? page : page_alloc_zeroed();
}

/* Memory or grants may be short: then fewer are posted, and the next poll tries again. */
static void refill(struct netfront_queue *q)
{
    struct netfront_rx *rx = &q->rx;

    while (rx_ring_outstanding(&rx->ring) < rx->target) {
        struct netfront_page page = {.va = clean_page(q->nf)};

        if (page.va == NULL)
            break;
        if (grant_page(q->nf->dev.backend_id, page.va, false, &page.ref) != 0) {
            page_free(page.va);
            break;
        }
        post(rx, page);
    }
    if (rx_ring_publish(&rx->ring)) /* I4 */
        netfront_notify_rx(q);
}

/* ---- the frame ---- */

static void frame_begin(struct netfront_queue *q)
{
    struct netfront_rx *rx = &q->rx;

    rx->frame.life = q->nf->stock.life;
    rx->frame.nr_frags = 0;
    rx->frame.len = 0;
    rx->nr_slots = 0;
    rx->extras = 0;
    rx->more = rx->extra = rx->bad = false;
}

static void frame_discard(struct netfront_queue *q)
{
    struct netfront_frame *frame = &q->rx.frame;

    for (unsigned i = 0; i < frame->nr_frags; i++)
        if (frame->frag[i].page != NULL)
            netfront_give_back(q->nf, frame->frag[i].page, frame->life);
    frame_begin(q);
}

static bool frame_is_good(const struct netfront_rx *rx)
{
    return !rx->bad && rx->frame.len <= XEN_NETIF_MAX_TX_SIZE &&
           rx->frame.frag[0].len >= ETHERNET_HEADER;
}

static void frame_end(struct netfront_queue *q)
{
    struct netfront_rx *rx = &q->rx;
    struct netfront_counts *count = &q->count;

    if (!frame_is_good(rx)) {
        netfront_count(&count->rx_dropped, 1);
        frame_discard(q);
        return;
    }
    netfront_count(&count->rx_frames, 1);
    netfront_count(&count->rx_bytes, rx->frame.len);
    q->nf->user.input(q->nf->user.arg, &rx->frame);
    frame_begin(q); /* the pages are the user's now */
}

static void add_piece(struct netfront_rx *rx, void *data, uint16_t len, void *page)
{
    rx->frame.frag[rx->frame.nr_frags++] = (struct netfront_frag){data, len, page};
    rx->frame.len += len;
}

/* Copy the piece to (to), which is the user's (page) or ours; the backend's page stays posted. */
static void copy_piece(struct netfront_rx *rx, struct netfront_page from, unsigned offset,
                       uint16_t len, void *to, void *page)
{
    if (to != NULL) {
        memcpy(to, (uint8_t *)from.va + offset, len); /* I1 */
        add_piece(rx, to, len, page);
    } else {
        rx->bad = true;
    }
    post(rx, from);
}

static void revoke_piece(struct netfront_queue *q, struct netfront_page from, unsigned offset,
                         uint16_t len)
{
    struct netfront_rx *rx = &q->rx;

    if (grant_revoke(from.ref) == 0) { /* I1 */
        add_piece(rx, (uint8_t *)from.va + offset, len, from.va);
        return;
    }
    grant_revoke_and_free(from.ref, from.va); /* I5 */
    rx->bad = true;
    if (++rx->nr_lost == rx_ring_SIZE)
        netfront_fault(q->nf, "keeps received pages mapped");
}

static void take_piece(struct netfront_queue *q, struct netfront_page from,
                       const struct netif_rx_response *rsp)
{
    struct netfront_rx *rx = &q->rx;
    uint16_t len = (uint16_t)rsp->status;
    void *page;

    if (rsp->status <= 0) { /* the backend's failure */
        rx->bad = true;
        post(rx, from);
    } else if (rx->nr_slots == 1 && !rx->more && len <= RX_SMALL) {
        copy_piece(rx, from, rsp->offset, len, rx->small, NULL);
    } else if (q->nf->terms.bounce) {
        page = page_alloc();
        copy_piece(rx, from, rsp->offset, len, page, page);
    } else {
        revoke_piece(q, from, rsp->offset, len);
    }
}

/* ---- answers ---- */

/* What is wrong with the answer (rsp) at position (at), NULL: nothing. */
static const char *judge_piece(const struct netfront_rx *rx, unsigned at,
                               const struct netif_rx_response *rsp)
{
    if (rsp->id != at) /* I2 */
        return "answer with the id of another receive slot";
    if (rsp->status > 0 && rsp->offset + rsp->status > (int)PAGE_SIZE) /* I3 */
        return "received data beyond the end of its page";
    if (rx->nr_slots == NETFRONT_FRAGS_MAX)
        return "received frame of too many slots";
    if (rsp->flags & NETRXF_gso_prefix)
        return "received segmentation prefix that was not negotiated";
    return NULL;
}

static const char *judge_extra(const struct netfront_rx *rx, const struct netif_extra_info *extra)
{
    if (extra->type == XEN_NETIF_EXTRA_TYPE_NONE || extra->type >= XEN_NETIF_EXTRA_TYPE_MAX)
        return "extra info of an unknown type";
    if (rx->extras & (1u << extra->type))
        return "extra info twice";
    if (!(EXTRAS_ACCEPTED & (1u << extra->type)))
        return "extra info that was not negotiated";
    return NULL;
}

static enum netfront_csum csum_of(unsigned flags)
{
    if (flags & NETRXF_csum_blank)
        return NETFRONT_CSUM_BLANK;
    return flags & NETRXF_data_validated ? NETFRONT_CSUM_VALIDATED : NETFRONT_CSUM_NONE;
}

static void accept_extra(struct netfront_rx *rx, unsigned at, const struct netif_extra_info *extra)
{
    struct netfront_page page = rx->posted[at];

    rx->posted[at] = (struct netfront_page){0};
    rx->extras |= 1u << extra->type;
    rx->extra = extra->flags & XEN_NETIF_EXTRA_FLAG_MORE;
    post(rx, page); /* it took up a slot but carries nothing */
}

static void accept_piece(struct netfront_queue *q, unsigned at, const struct netif_rx_response *rsp)
{
    struct netfront_rx *rx = &q->rx;
    struct netfront_page page = rx->posted[at];

    rx->posted[at] = (struct netfront_page){0}; /* I2 */
    if (rx->nr_slots++ == 0)
        rx->frame.csum = csum_of(rsp->flags);
    rx->more = rsp->flags & NETRXF_more_data;
    rx->extra = rsp->flags & NETRXF_extra_info;
    take_piece(q, page, rsp);
}

/* True when a frame is complete. */
static bool accept(struct netfront_queue *q, unsigned at, const union rx_answer *answer)
{
    struct netfront_rx *rx = &q->rx;
    const char *wrong =
        rx->extra ? judge_extra(rx, &answer->extra) : judge_piece(rx, at, &answer->rsp);

    if (wrong != NULL) {
        netfront_fault(q->nf, wrong);
        return false;
    }
    if (rx->extra)
        accept_extra(rx, at, &answer->extra);
    else
        accept_piece(q, at, &answer->rsp);
    return !rx->more && !rx->extra;
}

/* ---- for netfront.c ---- */

bool netfront_rx_poll(struct netfront_queue *q, unsigned budget)
{
    struct netfront_rx *rx = &q->rx;
    unsigned frames = 0;
    int rc = 0;

    while (frames < budget && load_relaxed(&q->nf->fault) == NULL) {
        unsigned at = rx_ring_next_response(&rx->ring);
        union rx_answer answer;

        rc = rx_ring_take(&rx->ring, &answer);
        if (rc <= 0)
            break;
        rx->worked = true;
        if (accept(q, at, &answer)) {
            frame_end(q);
            frames++;
        }
    }
    if (rc < 0)
        netfront_fault(q->nf, "more received slots than were posted");
    if (load_relaxed(&q->nf->fault) == NULL)
        refill(q);
    return frames == budget;
}

bool netfront_rx_rearm(struct netfront_queue *q)
{
    return rx_ring_rearm(&q->rx.ring, 1);
}

void netfront_rx_open(struct netfront_queue *q, unsigned nr)
{
    rx_ring_init(&q->rx.ring, q->rx.page.va);
    q->rx.target = nr;
    q->rx.nr_lost = 0;
    q->rx.worked = false;
    frame_begin(q);
    refill(q);
}

void netfront_rx_close(struct netfront_queue *q)
{
    frame_discard(q); /* I6 */
    for (unsigned i = 0; i < rx_ring_SIZE; i++) {
        struct netfront_page *p = &q->rx.posted[i];

        if (p->va != NULL)
            grant_revoke_and_free(p->ref, p->va);
        *p = (struct netfront_page){0};
    }
}
