/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stream sockets over lwIP's raw TCP.
 *
 * In: lwIP hands over segments in order; they are copied to the socket's stream at once, or their
 * pages are kept in it, and the window opens again when the program reads. Out: data is copied into
 * lwIP's segments as far as the connection's share of the budget goes; acknowledgements make room.
 *
 * The share (budget.c) shrinks as memory gets scarce, and the window follows it: what a program
 * read is credited to the peer only as far as window and unread data together stay within
 * the share; the rest is withheld for better times. Windows that were announced in those are
 * a debt: a segment for a connection whose unread data exceeds twice its share is dropped at the
 * gate, before lwIP sees it, and answered with a closed window, so that the peer waits and
 * probes instead of sending into nothing; reading opens it.
 *
 * A connection survives its socket: after close, lwIP delivers what was written and ends by itself.
 * A socket survives its connection: once both directions are shut down the control block may
 * vanish any time (TIME_WAIT ends silently), so it is let go and only unread data remains. (I3)
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <arch/page.h>
#include "lib/net/internal.h"
#include "lib/net/nic.h"
#include "lib/net/sock.h"
#include "lib/net/tso.h"
#include <lwip/opt.h>
#include <lwip/priv/tcp_priv.h>
#include <lwip/tcp.h>
#include "lib/net/port/hooks.h"

#define POLL_INTERVAL 3 /* double ticks between lwIP's polls of a connection */
#define GATE_FACTOR 2
#define RECVED_STEP 0xffff

static err_t on_recv(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err);

/* --- the share --- */

/* What (pcb) may hold in either direction: never less than two of its own full segments. */
static size_t share_of(const struct tcp_pcb *pcb)
{
    return MAX(budget_share(), 2 * (size_t)pcb->mss);
}

/* The same of a window. */
static size_t window_share(const struct tcp_pcb *pcb)
{
    return MIN(share_of(pcb), (size_t)TCP_WND);
}

/* --- the gate --- */

static uint64_t nr_gated;

uint64_t tcp_gated(void)
{
    return nr_gated;
}

/* An empty stream takes any one segment. */
static bool over_share(const struct sock *s, size_t more)
{
    return s->stream.len > 0 && s->stream.memory + more > GATE_FACTOR * share_of(s->tcp);
}

/* A socket of ours is behind (pcb): lwIP hands a listener's argument on to its children, so
 * the callback tells. */
static struct sock *sock_of(const struct tcp_pcb *pcb)
{
    return pcb->state != LISTEN && pcb->recv == on_recv ? pcb->callback_arg : NULL;
}

err_t net_tcp_gate(struct tcp_pcb *pcb, const struct pbuf *segment)
{
    if (pcb->state == LISTEN)
        return budget_admits() ? ERR_OK : ERR_MEM;
    const struct sock *s = sock_of(pcb);
    if (s == NULL || segment->tot_len == 0 || !over_share(s, segment->tot_len))
        return ERR_OK;
    nr_gated++;
    pcb->rcv_ann_wnd = 0;
    tcp_send_empty_ack(pcb);
    return ERR_MEM;
}

/* --- a new link --- */

static bool goes_over(const struct tcp_pcb *pcb, const struct netif *netif)
{
    return ip_route(&pcb->local_ip, &pcb->remote_ip) == netif;
}

/* As after a time-out, but without waiting for it and without a grudge. */
static void send_again(struct tcp_pcb *pcb)
{
    pcb->nrtx = 0;
    pcb->rto = (s16_t)((pcb->sa >> 3) + pcb->sv);
    if (tcp_rexmit_rto_prepare(pcb) == ERR_OK)
        tcp_rexmit_rto_commit(pcb);
    else
        tcp_output(pcb);
}

void tcp_hurry(struct netif *netif)
{
    struct tcp_pcb *next;
    for (struct tcp_pcb *pcb = tcp_active_pcbs; pcb != NULL; pcb = next) {
        next = pcb->next;
        if (pcb->state >= ESTABLISHED && goes_over(pcb, netif))
            send_again(pcb);
    }
}

/* --- the window --- */

/* What the peer may be told that it may send: the share less what is unread. */
static size_t window_room(const struct sock *s)
{
    size_t share = window_share(s->tcp);
    size_t taken = (size_t)s->tcp->rcv_wnd + s->stream.len;
    return taken < share ? share - taken : 0;
}

/* Does the peer have to hear now that the window has opened? When it could not send; when it has
 * sent two segments or more and hears nothing else of them soon; and when a quarter of what may be
 * unread is free again. Every acknowledgement costs the other side as much as a frame of 64 KiB. */
static bool is_news(const struct tcp_pcb *pcb, bool was_shut)
{
    size_t opened = pcb->rcv_nxt + pcb->rcv_ann_wnd - pcb->rcv_ann_right_edge;
    bool owed = (pcb->flags & TF_ACK_DELAY) && opened >= 2u * pcb->mss;
    return (was_shut && pcb->rcv_ann_wnd >= pcb->mss) || owed || opened >= window_share(pcb) / 4;
}

/* The program took (len) bytes: open the window, as far as the share allows. */
static void consumed(struct sock *s, size_t len)
{
    bool was_shut = s->tcp != NULL && s->tcp->rcv_ann_wnd < s->tcp->mss;
    s->withheld += len;
    while (s->tcp != NULL && s->withheld > 0) {
        u16_t step = (u16_t)MIN(MIN(s->withheld, window_room(s)), RECVED_STEP);
        if (step == 0)
            break;
        tcp_recved(s->tcp, step);
        s->withheld -= step;
    }
    if (s->tcp != NULL && s->tcp->state != LISTEN && is_news(s->tcp, was_shut)) {
        tcp_ack_now(s->tcp);
        tcp_output(s->tcp);
    }
}

/* lwIP begins with the largest window; take back what was not announced yet and exceeds the
 * share. */
static void begin_window(struct sock *s)
{
    struct tcp_pcb *pcb = s->tcp;
    u32_t announced = pcb->rcv_ann_right_edge - pcb->rcv_nxt;
    size_t window = MAX(MIN(share_of(pcb), pcb->rcv_wnd), announced);
    if (window >= pcb->rcv_wnd)
        return;
    s->withheld = pcb->rcv_wnd - window;
    pcb->rcv_wnd = (tcpwnd_size_t)window;
    pcb->rcv_ann_wnd = MIN(pcb->rcv_ann_wnd, pcb->rcv_wnd);
}

/* lwIP takes a window that is not full for unread data. */
static void end_window(struct sock *s)
{
    if (s->tcp != NULL && s->tcp->state != LISTEN)
        s->tcp->rcv_wnd += (tcpwnd_size_t)s->withheld;
    s->withheld = 0;
}

/* --- lwIP's callbacks --- */

static void cut(struct tcp_pcb *pcb)
{
    tcp_arg(pcb, NULL);
    if (pcb->state == LISTEN)
        return;
    tcp_recv(pcb, NULL);
    tcp_sent(pcb, NULL);
    tcp_err(pcb, NULL);
    tcp_poll(pcb, NULL, 0);
}

static void detach(struct sock *s)
{
    end_window(s);
    if (s->tcp != NULL)
        cut(s->tcp); /* I3 */
    s->tcp = NULL;
}

static void note_addresses(struct sock *s)
{
    s->local = s->tcp->local_ip;
    s->remote = s->tcp->remote_ip;
    s->local_port = s->tcp->local_port;
    s->remote_port = s->tcp->remote_port;
}

/* Of a segment larger than the mtu the pages are kept, if they are at least half full. */
static bool is_worth_keeping(const struct pbuf *chain)
{
    bool worth = chain->tot_len >= pbuf_clen(chain) * (PAGE_SIZE / 2);
    for (const struct pbuf *p = chain; p != NULL && worth; p = p->next)
        worth = p->len > 0 && nic_is_page(p);
    return worth;
}

static void keep_chain(struct sock *s, struct pbuf *chain)
{
    for (struct pbuf *p = chain; p != NULL; p = p->next)
        stream_lend(&s->stream, nic_lend(p));
    pbuf_free(chain);
}

/* lwIP keeps what we refuse and offers it again. */
static err_t take_chain(struct sock *s, struct pbuf *chain)
{
    if (is_worth_keeping(chain)) {
        keep_chain(s, chain);
        return ERR_OK;
    }
    if (stream_reserve(&s->stream, chain->tot_len) != 0)
        return ERR_MEM;
    for (const struct pbuf *p = chain; p != NULL; p = p->next)
        stream_append(&s->stream, p->payload, p->len);
    pbuf_free(chain);
    return ERR_OK;
}

static err_t on_recv(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
    struct sock *s = arg;
    (void)pcb;
    (void)err;
    if (p == NULL) {
        s->ended = true;
        if (s->no_write)
            detach(s);
    } else if (s->no_read) {
        consumed(s, p->tot_len);
        pbuf_free(p);
    } else if (take_chain(s, p) != ERR_OK) {
        return ERR_MEM;
    }
    sock_update(s);
    return ERR_OK;
}

static err_t on_room(void *arg, struct tcp_pcb *pcb)
{
    struct sock *s = arg;
    (void)pcb;
    s->starved = false;
    sock_update(s);
    return ERR_OK;
}

static err_t on_sent(void *arg, struct tcp_pcb *pcb, u16_t len)
{
    (void)len;
    return on_room(arg, pcb);
}

/* The control block is gone already. */
static void on_error(void *arg, err_t err)
{
    struct sock *s = arg;
    bool refused = s->state == SOCK_CONNECTING;
    s->tcp = NULL; /* I3 */
    s->withheld = 0;
    s->ended = true;
    if (err == ERR_RST)
        s->error = refused ? ECONNREFUSED : ECONNRESET;
    else if (err == ERR_ABRT)
        s->error = ETIMEDOUT;
    if (refused)
        s->state = SOCK_FRESH;
    sock_update(s);
}

static void attach(struct sock *s, struct tcp_pcb *pcb)
{
    s->tcp = pcb;
    tcp_arg(pcb, s);
    tcp_recv(pcb, on_recv);
    tcp_sent(pcb, on_sent);
    tcp_err(pcb, on_error);
    tcp_poll(pcb, on_room, POLL_INTERVAL);
}

static err_t on_connected(void *arg, struct tcp_pcb *pcb, err_t err)
{
    struct sock *s = arg;
    (void)pcb;
    (void)err;
    s->state = SOCK_CONNECTED;
    begin_window(s);
    note_addresses(s);
    sock_update(s);
    return ERR_OK;
}

/* A handshake is complete. Refusing makes lwIP reset the connection. */
static err_t on_accept(void *arg, struct tcp_pcb *pcb, err_t err)
{
    struct sock *listener = arg;
    if (err != ERR_OK || pcb == NULL || listener == NULL)
        return ERR_VAL;
    struct sock *s = sock_create(&sock_tcp, listener->family, SOCK_STREAM, IPPROTO_TCP, O_RDWR);
    if (s == NULL)
        return ERR_MEM;
    attach(s, pcb);
    tcp_backlog_delayed(pcb); /* counts against the backlog until accepted */
    s->state = SOCK_CONNECTED;
    s->v6only = listener->v6only;
    s->nodelay = listener->nodelay;
    if (s->nodelay)
        tcp_nagle_disable(pcb);
    begin_window(s);
    note_addresses(s);
    list_push_back(&listener->accepted, &s->link);
    sock_update(listener);
    return ERR_OK;
}

/* --- the protocol's calls --- */

static int open_pcb(struct sock *s)
{
    struct tcp_pcb *pcb = tcp_new_ip_type(sock_ip_type(s));
    if (pcb == NULL)
        return -ENOBUFS;
    attach(s, pcb);
    return 0;
}

static int tcp_sock_bind(struct sock *s, const ip_addr_t *ip, uint16_t port)
{
    if (s->state != SOCK_FRESH || s->tcp == NULL || s->tcp->local_port != 0)
        return -EINVAL;
    int rc = sock_errno(tcp_bind(s->tcp, ip, port));
    if (rc == 0)
        note_addresses(s);
    return rc;
}

static int tcp_sock_connect(struct sock *s, const ip_addr_t *ip, uint16_t port)
{
    if (s->state == SOCK_CONNECTING)
        return -EALREADY;
    if (s->state == SOCK_CONNECTED)
        return -EISCONN;
    if (s->state != SOCK_FRESH)
        return -EOPNOTSUPP;
    if (s->tcp == NULL) { /* the last attempt failed */
        int rc = open_pcb(s);
        if (rc != 0)
            return rc;
        s->ended = false;
    }
    int rc = sock_errno(tcp_connect(s->tcp, ip, port, on_connected));
    if (rc != 0)
        return rc;
    s->state = SOCK_CONNECTING;
    s->remote = *ip;
    s->remote_port = port;
    sock_update(s);
    return -EINPROGRESS;
}

static int tcp_sock_listen(struct sock *s, unsigned backlog)
{
    err_t err;
    if (s->state == SOCK_LISTENING) {
        tcp_backlog_set(s->tcp, backlog);
        return 0;
    }
    if (s->state != SOCK_FRESH || s->tcp == NULL)
        return -EINVAL;
    if (s->tcp->local_port == 0) {
        ip_addr_t any = s->tcp->local_ip;
        err = tcp_bind(s->tcp, &any, 0);
        if (err != ERR_OK)
            return sock_errno(err);
    }
    /* The control block becomes a smaller one with no callbacks but accept. */
    struct tcp_pcb *pcb = tcp_listen_with_backlog_and_err(s->tcp, (u8_t)backlog, &err);
    if (pcb == NULL)
        return sock_errno(err);
    s->tcp = pcb;
    s->state = SOCK_LISTENING;
    s->local = pcb->local_ip;
    s->local_port = pcb->local_port;
    tcp_arg(pcb, s);
    tcp_accept(pcb, on_accept);
    sock_update(s);
    return 0;
}

static int tcp_sock_accept(struct sock *s, struct sock **out)
{
    if (s->state != SOCK_LISTENING)
        return -EINVAL;
    if (list_empty(&s->accepted))
        return -EAGAIN;
    struct sock *child = list_first(&s->accepted, struct sock, link);
    list_remove(&child->link);
    if (child->tcp != NULL)
        tcp_backlog_accepted(child->tcp);
    sock_update(s);
    *out = child;
    return 0;
}

/* Bytes the connection may queue now. A small segment counts as TCP_OVERSIZE, for so much memory it
 * takes. (tcp_sndbuf would say 65535 at most.) */
static size_t send_room(const struct sock *s)
{
    const struct tcp_pcb *pcb = s->tcp;
    if (s->starved || tcp_sndqueuelen(pcb) >= TCP_SND_QUEUELEN / 2)
        return 0;
    size_t room = MIN(pcb->snd_buf, (size_t)TCP_SND_BUF);
    size_t least = tcp_sndqueuelen(pcb) * (size_t)MIN(pcb->mss, TCP_OVERSIZE);
    size_t queued = MAX((size_t)TCP_SND_BUF - room, least);
    size_t share = share_of(pcb);
    return queued < share ? MIN(share - queued, room) : 0;
}

/* Who waits to send is told when there is room for so much: a full segment, if ever so many bytes
 * may be queued. */
static size_t writable_at(const struct tcp_pcb *pcb)
{
    return MIN((size_t)pcb->mss, (size_t)TCP_SND_BUF / 2);
}

static int cannot_send(struct sock *s)
{
    int rc = sock_take_error(s);
    if (rc != 0)
        return rc;
    if (s->state == SOCK_CONNECTING)
        return -EAGAIN;
    if (s->no_write || (s->state == SOCK_CONNECTED && s->tcp == NULL))
        return -EPIPE;
    return s->state == SOCK_CONNECTED ? 0 : -ENOTCONN;
}

/* Copy (len) bytes of one piece into segments, as far as there is room. */
static size_t write_piece(struct sock *s, const uint8_t *data, size_t len, bool more)
{
    size_t done = 0;
    while (done < len) {
        size_t n = MIN(len - done, send_room(s));
        if (n == 0)
            break;
        n = tso_write(s->tcp, data + done, n, more || done + n < len);
        s->starved = n == 0;
        if (s->starved)
            break;
        done += n;
    }
    return done;
}

static ssize_t tcp_sock_send(struct sock *s, const struct sock_io *io, size_t done)
{
    int rc = cannot_send(s);
    if (rc != 0)
        return rc;
    size_t sent = 0, at = 0;
    for (size_t i = 0; i < io->iovcnt && at <= done + sent; i++) {
        size_t len = io->iov[i].iov_len, skip = MIN(len, done + sent - at);
        bool more = (io->flags & MSG_MORE) != 0 || i + 1 < io->iovcnt;
        at += len;
        sent += write_piece(s, (const uint8_t *)io->iov[i].iov_base + skip, len - skip, more);
    }
    tcp_output(s->tcp);
    sock_update(s);
    return sent > 0 || io->len == done ? (ssize_t)sent : -EAGAIN;
}

static int cannot_receive(struct sock *s)
{
    int rc = sock_take_error(s);
    if (rc != 0)
        return rc;
    if (s->state == SOCK_CONNECTING)
        return -EAGAIN;
    if (s->state != SOCK_CONNECTED)
        return -ENOTCONN;
    return s->ended || s->no_read ? 0 : -EAGAIN;
}

static ssize_t tcp_sock_recv(struct sock *s, struct sock_io *io)
{
    size_t done = 0;
    if (s->stream.len == 0)
        return cannot_receive(s);
    bool peek = (io->flags & MSG_PEEK) != 0;
    for (size_t i = 0; i < io->iovcnt; i++) {
        size_t n =
            stream_peek(&s->stream, peek ? done : 0, io->iov[i].iov_base, io->iov[i].iov_len);
        done += n;
        if (!peek)
            stream_drop(&s->stream, n);
    }
    io->ip = s->remote;
    io->port = s->remote_port;
    if (!peek) {
        consumed(s, done);
        sock_update(s);
    }
    return (ssize_t)done;
}

static int tcp_sock_shutdown(struct sock *s, int how)
{
    if (s->state != SOCK_CONNECTED)
        return -ENOTCONN;
    if (how != SHUT_WR) {
        size_t unread = s->stream.len;
        s->no_read = true;
        stream_clear(&s->stream);
        consumed(s, unread);
    }
    if (how != SHUT_RD && !s->no_write) {
        s->no_write = true;
        if (s->tcp != NULL)
            tcp_shutdown(s->tcp, 0, 1);
        if (s->ended)
            detach(s);
    }
    sock_update(s);
    return 0;
}

/* Reset what nobody accepted; socket.c frees the objects, which stay on the list. */
static void refuse_accepted(struct sock *s)
{
    list_for_each (pos, &s->accepted) {
        struct sock *child = list_entry(pos, struct sock, link);
        child->linger = (struct linger){1, 0};
        sock_tcp.close(child);
    }
}

static void tcp_sock_close(struct sock *s)
{
    struct tcp_pcb *pcb = s->tcp;
    bool lost = s->stream.len > 0;
    refuse_accepted(s);
    stream_clear(&s->stream);
    detach(s);
    s->state = SOCK_DEAD;
    if (pcb == NULL)
        return;
    bool reset = pcb->state != LISTEN && (lost || (s->linger.l_onoff && s->linger.l_linger == 0));
    if (reset && pcb->state != CLOSED)
        tcp_abort(pcb);
    else if (tcp_close(pcb) != ERR_OK)
        tcp_abort(pcb);
}

static short tcp_sock_poll(const struct sock *s)
{
    if (s->state == SOCK_LISTENING)
        return list_empty(&s->accepted) ? 0 : POLLIN | POLLRDNORM;
    if (s->state == SOCK_CONNECTING)
        return 0;
    short error = s->error != 0 ? POLLERR : 0;
    if (s->state == SOCK_FRESH)
        return (short)(POLLOUT | POLLHUP | error | (error ? POLLIN : 0));
    bool in = s->stream.len > 0 || s->ended || s->no_read || error;
    bool gone = s->tcp == NULL;
    bool out = gone || s->no_write || send_room(s) >= writable_at(s->tcp);
    return (short)((in ? POLLIN | POLLRDNORM : 0) | (out ? POLLOUT | POLLWRNORM : 0) |
                   (s->ended ? POLLRDHUP : 0) | (gone || (s->ended && s->no_write) ? POLLHUP : 0) |
                   error);
}

static size_t tcp_sock_readable(const struct sock *s)
{
    return s->stream.len;
}

const struct sock_proto sock_tcp = {
    .open = open_pcb,
    .bind = tcp_sock_bind,
    .connect = tcp_sock_connect,
    .listen = tcp_sock_listen,
    .accept = tcp_sock_accept,
    .send = tcp_sock_send,
    .recv = tcp_sock_recv,
    .shutdown = tcp_sock_shutdown,
    .close = tcp_sock_close,
    .poll = tcp_sock_poll,
    .readable = tcp_sock_readable,
};
