/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lwIP makes a segment of at most the connection's mss and passes it through its layers one by one.
 * Here it is made to believe in a larger mss while it makes segments, and only then; its congestion
 * control, Nagle's algorithm and its windows go on with the real one. What lwIP takes for
 * granted of segments is kept true by calls of its own that the linker redirects to this file
 * (LWIP_WRAPS in tools/third-party.mk):
 *
 *     tso_write ............ tcp_write with a larger mss
 *     tcp_output ........... first cuts what could not be sent as it is, notes in the others the
 *                            size to cut to
 *       ip4_frag, ip6_frag . a packet larger than the mtu goes out whole when it has that note
 *         nic.c .............. netfront_send_large
 *     tcp_split_unsent_seg . lwIP's own cutting when the peer's window is too small for a segment
 *
 * I1 A segment that is to be sent fits the window, or there is something in flight whose
 *    acknowledgement makes room, or the window is smaller than one piece (then lwIP's persist timer
 *    is responsible): lwIP never cuts a segment for the congestion window, since no other lwIP has
 *    one that is larger than that.
 * I2 Where the backend does not cut (any more: it is another one), segments are cut before they
 *    leave: frames are never larger than the mtu there.
 * I3 What the peer has acknowledged of a segment is never sent again, although lwIP keeps a segment
 *    until all of it was acknowledged.
 * I4 tcp_write insists that the last unsent segment, with what is allocated at its end, is no
 *    larger than the mss; and never exceeds half of the largest window. As the latter only grows,
 *    it is enough that the mss is never below that segment.
 * I5 tcp_split_unsent_seg insists on pieces no larger than the mss, and its caller passes 16 bits
 *    of the window: ours takes the window itself.
 * I6 A segment that somebody else refers to (one that waits for the neighbour's address) is not
 *    changed. lwIP looks before it moves a segment back among the unsent ones.
 * I7 Lengths are 16 bits: PAYLOAD_MAX and all headers make a frame that netfront takes.
 * I8 The size to cut to is in the packet (pbuf.cut): it may wait for the neighbour's address while
 *    others are sent. It is that of now, as mtu and backend may have changed since the last time,
 *    and also counts for a packet that the mtu allows, but not the peer.
 * I9 Unsent segments are in order. On a time-out lwIP puts all that is in flight before them, also
 *    before one that was to be sent again but could not yet; the first then never fits the window.
 *
 * A tail shorter than the mss leaves with the segment that it is part of, even where Nagle's
 * algorithm would hold it back alone. The cutter counts IPv4's identification on from the
 * segment's, so segments share some; that matters to fragments only, and these pieces are none.
 */
#include "lib/net/tso.h"
#include <string.h>
#include "lib/base/macros.h"
#include "lib/net/nic.h"
#include <lwip/ip.h>
#include <lwip/ip4_frag.h>
#include <lwip/ip6_frag.h>
#include <lwip/memp.h>
#include <lwip/priv/tcp_priv.h>

#define PAYLOAD_MAX (65535 - 14 - 40 - 60) /* behind Ethernet, IPv6, TCP with options */
#define PIECE_MIN 256 /* with a smaller mss a segment would have too many pieces */
#define WINDOW_PART 4 /* a segment is at most this part of the window */

err_t __real_tcp_output(struct tcp_pcb *pcb);
err_t __real_ip4_frag(struct pbuf *p, struct netif *netif, const ip4_addr_t *dest);
err_t __real_ip6_frag(struct pbuf *p, struct netif *netif, const ip6_addr_t *dest);
err_t __wrap_tcp_output(struct tcp_pcb *pcb);
void __wrap_tcp_rexmit_rto_commit(struct tcp_pcb *pcb);
err_t __wrap_tcp_split_unsent_seg(struct tcp_pcb *pcb, u16_t split);
err_t __wrap_ip4_frag(struct pbuf *p, struct netif *netif, const ip4_addr_t *dest);
err_t __wrap_ip6_frag(struct pbuf *p, struct netif *netif, const ip6_addr_t *dest);

/* --- what a connection may send --- */

/* How its segments leave. */
struct way {
    u16_t piece; /* payload of a segment on the wire */
    bool cuts;   /* the backend makes those of a larger one */
};

static u16_t options_of(const struct tcp_pcb *pcb)
{
    return pcb->flags & TF_TIMESTAMP ? LWIP_TCP_OPT_LEN_TS_OUT : 0;
}

static struct way way_of(const struct tcp_pcb *pcb)
{
    struct netif *netif = pcb->netif_idx != NETIF_NO_INDEX
                              ? netif_get_by_index(pcb->netif_idx)
                              : ip_route(&pcb->local_ip, &pcb->remote_ip);
    u16_t options = options_of(pcb);
    struct way way = {.piece = UINT16_MAX};
    if (netif == NULL || netif->mtu == 0)
        return way;
    u16_t mss = tcp_eff_send_mss_netif(pcb->mss, netif, &pcb->remote_ip);
    way.piece = mss > options ? mss - options : 1;
    way.cuts = way.piece >= PIECE_MIN && nic_cuts(netif, IP_IS_V6(&pcb->remote_ip));
    return way;
}

static u32_t window_of(const struct tcp_pcb *pcb)
{
    return MIN(pcb->snd_wnd, pcb->cwnd);
}

/* The payload to make segments of: as many whole pieces as go into a part of the window, and of
 * what may be queued, so that memory sets a bound, too. */
static u16_t payload_for(const struct tcp_pcb *pcb, struct way way)
{
    u32_t part = MIN(window_of(pcb), (u32_t)TCP_SND_BUF) / WINDOW_PART;
    u32_t payload = way.cuts ? MIN(part, PAYLOAD_MAX) : 0;
    return (u16_t)(payload > way.piece ? payload - payload % way.piece : 0);
}

/* --- segments --- */

static u32_t sequence_of(const struct tcp_seg *seg)
{
    return lwip_ntohl(seg->tcphdr->seqno);
}

/* Take the first (n) bytes of payload away: the header moves on over them. */
static void drop_front(struct tcp_pcb *pcb, struct tcp_seg *seg, u16_t n)
{
    struct pbuf *p = seg->p, *q;
    u16_t header = TCPH_HDRLEN_BYTES(seg->tcphdr);
    u16_t before = (u16_t)((u8_t *)seg->tcphdr - (u8_t *)p->payload); /* of an earlier sending */
    u16_t here = MIN(n, p->len - before - header), rest = n - here;
    p->payload = memmove((u8_t *)seg->tcphdr + here, seg->tcphdr, header);
    p->len = (u16_t)(p->len - before - here);
    p->tot_len = (u16_t)(p->tot_len - before - n);
    seg->tcphdr = p->payload;
    seg->tcphdr->seqno = lwip_htonl(sequence_of(seg) + n);
    seg->len -= n;
    for (; rest > 0 && rest >= p->next->len; pbuf_free(q)) {
        q = p->next;
        rest -= q->len;
        p->next = q->next;
        q->next = NULL;
        q->tot_len = q->len;
        pcb->snd_queuelen--;
    }
    if (rest > 0)
        pbuf_remove_header(p->next, rest);
}

/* A copy of (seg) with its first (n) bytes of payload; PSH and FIN stay with the rest. */
static struct tcp_seg *copy_front(const struct tcp_seg *seg, u16_t n)
{
    u16_t header = TCPH_HDRLEN_BYTES(seg->tcphdr);
    struct tcp_seg *front = memp_malloc(MEMP_TCP_SEG);
    struct pbuf *p = pbuf_alloc(PBUF_IP, header + n, PBUF_RAM);
    if (front == NULL || p == NULL) {
        memp_free(MEMP_TCP_SEG, front);
        if (p != NULL)
            pbuf_free(p);
        return NULL;
    }
    memcpy(p->payload, seg->tcphdr, header);
    pbuf_copy_partial(seg->p, (u8_t *)p->payload + header, n, seg->p->tot_len - seg->len);
    *front = (struct tcp_seg){.p = p, .len = n, .flags = seg->flags, .tcphdr = p->payload};
    TCPH_UNSET_FLAG(front->tcphdr, TCP_PSH | TCP_FIN);
    return front;
}

/* Make two of the segment at (link), the first with (n) bytes. */
static err_t split(struct tcp_pcb *pcb, struct tcp_seg **link, u16_t n)
{
    struct tcp_seg *seg = *link;
    if (n == 0 || seg->len <= n || seg->p->ref != 1) /* I6 */
        return ERR_OK;
    struct tcp_seg *front = copy_front(seg, n);
    if (front == NULL)
        return ERR_MEM;
    drop_front(pcb, seg, n);
    pcb->snd_queuelen++;
    front->next = seg;
    *link = front;
    return ERR_OK;
}

/* I3 */
static void drop_acknowledged(struct tcp_pcb *pcb, struct tcp_seg *seg)
{
    u32_t acked = pcb->lastack - sequence_of(seg);
    if (seg->len == 0 || !TCP_SEQ_LT(sequence_of(seg), pcb->lastack) || seg->p->ref != 1) /* I6 */
        return;
    acked = MIN(acked, seg->len); /* the rest is its FIN */
    drop_front(pcb, seg, (u16_t)acked);
    pcb->snd_buf += (tcpwnd_size_t)acked;
}

/* --- before sending --- */

/* The head of the unsent segments, which a backend cuts (I1). */
static err_t fit_head(struct tcp_pcb *pcb, struct way way)
{
    u32_t at = sequence_of(pcb->unsent) - pcb->lastack, window = window_of(pcb);
    u32_t room = at < window ? window - at : 0;
    bool again = TCP_SEQ_LT(sequence_of(pcb->unsent), pcb->snd_nxt);
    if (pcb->unsent->len <= room)
        return ERR_OK;
    if (pcb->unacked != NULL && !again && room < window / 2)
        return ERR_OK;
    return split(pcb, &pcb->unsent, (u16_t)(room - room % way.piece));
}

/* All that may be sent now: note the size to cut to (I8), or cut it where nobody else does (I2). */
static err_t fit_all(struct tcp_pcb *pcb, struct way way)
{
    err_t err = ERR_OK;
    for (struct tcp_seg **link = &pcb->unsent; *link != NULL && err == ERR_OK;
         link = &(*link)->next) {
        if (sequence_of(*link) - pcb->lastack >= window_of(pcb))
            break;
        if (!way.cuts)
            err = split(pcb, link, way.piece);
        (*link)->p->cut = way.cuts ? way.piece : 0;
    }
    return err;
}

err_t __wrap_tcp_output(struct tcp_pcb *pcb)
{
    if (tcp_input_pcb == pcb || pcb->unsent == NULL)
        return __real_tcp_output(pcb);
    struct way way = way_of(pcb);
    drop_acknowledged(pcb, pcb->unsent);
    if (way.cuts)
        (void)fit_head(pcb, way); /* without memory the next one may succeed */
    err_t err = fit_all(pcb, way);
    return err == ERR_OK ? __real_tcp_output(pcb) : err; /* lwIP's timers try again */
}

/* I9 */
static void put_in_order(struct tcp_pcb *pcb)
{
    struct tcp_seg **link = &pcb->unsent, *next;
    while (*link != NULL && (next = (*link)->next) != NULL) {
        if (!TCP_SEQ_LT(sequence_of(next), sequence_of(*link))) {
            link = &(*link)->next;
            continue;
        }
        (*link)->next = next->next;
        if (next->next == NULL)
            pcb->unsent_oversize = 0; /* that was of the last one */
        struct tcp_seg **place = &pcb->unsent;
        while (TCP_SEQ_LT(sequence_of(*place), sequence_of(next)))
            place = &(*place)->next;
        next->next = *place;
        *place = next;
    }
}

/* lwIP's own calls tcp_output where the linker does not see it. */
void __wrap_tcp_rexmit_rto_commit(struct tcp_pcb *pcb)
{
    if (pcb->nrtx < UINT8_MAX)
        pcb->nrtx++;
    put_in_order(pcb);
    (void)tcp_output(pcb);
}

/* The peer's window is smaller than the head, nothing is in flight, and that for a while. */
err_t __wrap_tcp_split_unsent_seg(struct tcp_pcb *pcb, u16_t window)
{
    (void)window; /* I5 */
    return split(pcb, &pcb->unsent, (u16_t)MIN(pcb->snd_wnd, (u32_t)way_of(pcb).piece));
}

/* --- making and sending --- */

static const struct tcp_seg *last_unsent(const struct tcp_pcb *pcb)
{
    const struct tcp_seg *seg = pcb->unsent;
    while (seg != NULL && seg->next != NULL)
        seg = seg->next;
    return seg;
}

/* What tcp_write takes the mss for, so that its segments have (payload) bytes (I4). */
static u16_t mss_for(const struct tcp_pcb *pcb, const struct tcp_seg *last, u16_t payload)
{
    u32_t mss = MAX(pcb->mss, payload == 0 ? 0 : payload + options_of(pcb));
    if (last != NULL)
        mss = MAX(mss, (u32_t)last->len + options_of(pcb) + pcb->unsent_oversize);
    return (u16_t)mss;
}

static err_t write_with(struct tcp_pcb *pcb, u16_t payload, const void *data, u16_t len, u8_t flags)
{
    u16_t mss = pcb->mss;
    pcb->mss = mss_for(pcb, last_unsent(pcb), payload);
    err_t err = tcp_write(pcb, data, len, flags);
    pcb->mss = mss;
    return err;
}

/* What makes the last segment full, or a full one. */
static size_t bite(const struct tcp_pcb *pcb, u16_t payload)
{
    const struct tcp_seg *last = last_unsent(pcb);
    if (payload == 0)
        return UINT16_MAX;
    return last != NULL && last->len < payload ? payload - last->len : payload;
}

size_t tso_write(struct tcp_pcb *pcb, const void *data, size_t len, bool more)
{
    u16_t payload = payload_for(pcb, way_of(pcb));
    u16_t n = (u16_t)MIN(len, bite(pcb, payload));
    u8_t flags = TCP_WRITE_FLAG_COPY | (more || n < len ? TCP_WRITE_FLAG_MORE : 0);
    err_t err = write_with(pcb, payload, data, n, flags);
    if (err == ERR_MEM && payload != 0)
        err = write_with(pcb, 0, data, n, flags);
    return err == ERR_OK ? n : 0;
}

err_t __wrap_ip4_frag(struct pbuf *p, struct netif *netif, const ip4_addr_t *dest)
{
    return p->cut == 0 ? __real_ip4_frag(p, netif, dest) : netif->output(netif, p, dest);
}

err_t __wrap_ip6_frag(struct pbuf *p, struct netif *netif, const ip6_addr_t *dest)
{
    return p->cut == 0 ? __real_ip6_frag(p, netif, dest) : netif->output_ip6(netif, p, dest);
}
