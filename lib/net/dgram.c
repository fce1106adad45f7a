/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Datagram sockets (UDP) and raw ones (ICMP) over lwIP's raw interfaces, and multicast groups.
 * A datagram is copied into a node of its own size when it comes in; what exceeds the socket's
 * share of the budget, or its SO_RCVBUF, is dropped and counted, as the network might have done.
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include "lib/net/internal.h"
#include "lib/net/nic.h"
#include "lib/net/sock.h"
#include <lwip/igmp.h>
#include <lwip/ip.h>
#include <lwip/mld6.h>
#include <lwip/raw.h>
#include <lwip/udp.h>

#define DATAGRAM_MAX 0xffff

struct datagram {
    struct list link;
    ip_addr_t from;
    uint16_t port, len;
    uint8_t data[];
};

/* --- in --- */

static void queue_datagram(struct sock *s, const struct pbuf *p, u16_t skip, const ip_addr_t *from,
                           u16_t port)
{
    size_t len = (size_t)(p->tot_len - skip), memory = sizeof(struct datagram) + len;
    size_t most = MIN(budget_share(), s->read_limit);
    bool fits = list_empty(&s->datagrams) || s->datagram_memory + memory <= most;
    struct datagram *d = fits && !s->no_read ? net_alloc(memory) : NULL;
    if (d == NULL) {
        s->datagrams_dropped++;
        return;
    }
    d->from = *from;
    d->port = port;
    d->len = pbuf_copy_partial(p, d->data, (u16_t)len, skip);
    list_push_back(&s->datagrams, &d->link);
    s->datagram_memory += memory;
    sock_update(s);
}

static void drop_datagram(struct sock *s, struct datagram *d)
{
    s->datagram_memory -= sizeof(*d) + d->len;
    list_remove(&d->link);
    net_free(d);
}

static void on_udp(void *arg, struct udp_pcb *pcb, struct pbuf *p, const ip_addr_t *from,
                   u16_t port)
{
    (void)pcb;
    queue_datagram(arg, p, 0, from, port);
    pbuf_free(p);
}

/* Returning 0 leaves the packet to others, lwIP's own ICMP among them. IPv4 shows its header to
 * raw sockets, IPv6 does not. */
static u8_t on_raw(void *arg, struct raw_pcb *pcb, struct pbuf *p, const ip_addr_t *from)
{
    struct sock *s = arg;
    (void)pcb;
    bool connected = s->state == SOCK_CONNECTED;
    if (!connected || ip_addr_eq(&s->remote, from))
        queue_datagram(s, p, IP_IS_V6(from) ? ip_current_header_tot_len() : 0, from, 0);
    return 0;
}

static size_t scatter(struct sock_io *io, const uint8_t *data, size_t len)
{
    size_t done = 0;
    for (size_t i = 0; i < io->iovcnt && done < len; i++) {
        size_t n = MIN(io->iov[i].iov_len, len - done);
        memcpy(io->iov[i].iov_base, data + done, n);
        done += n;
    }
    return done;
}

static ssize_t dgram_recv(struct sock *s, struct sock_io *io)
{
    int rc = sock_take_error(s);
    if (rc != 0)
        return rc;
    if (list_empty(&s->datagrams))
        return s->no_read ? 0 : -EAGAIN;
    struct datagram *d = list_first(&s->datagrams, struct datagram, link);
    size_t full = d->len, done = scatter(io, d->data, full);
    bool whole = (io->flags & MSG_TRUNC) != 0;
    io->ip = d->from;
    io->port = d->port;
    if ((io->flags & MSG_PEEK) == 0)
        drop_datagram(s, d);
    io->flags = done < full ? MSG_TRUNC : 0;
    sock_update(s);
    return (ssize_t)(whole ? full : done);
}

/* --- out --- */

static struct pbuf *gather(const struct sock_io *io, pbuf_layer layer)
{
    struct pbuf *p = pbuf_alloc(layer, (u16_t)io->len, PBUF_RAM);
    size_t at = 0;
    for (size_t i = 0; p != NULL && i < io->iovcnt; i++) {
        pbuf_take_at(p, io->iov[i].iov_base, (u16_t)io->iov[i].iov_len, (u16_t)at);
        at += io->iov[i].iov_len;
    }
    return p;
}

static ssize_t check_send(struct sock *s, const struct sock_io *io, size_t header)
{
    int rc = sock_take_error(s);
    if (rc != 0)
        return rc;
    if (s->no_write)
        return -EPIPE;
    if (!io->addressed && s->state != SOCK_CONNECTED)
        return -EDESTADDRREQ;
    return io->len + header > DATAGRAM_MAX ? -EMSGSIZE : 0;
}

static ssize_t udp_sock_send(struct sock *s, const struct sock_io *io, size_t done)
{
    (void)done;
    ssize_t rc = check_send(s, io, 28);
    if (rc != 0)
        return rc;
    struct pbuf *p = gather(io, PBUF_TRANSPORT);
    if (p == NULL)
        return -ENOBUFS;
    const ip_addr_t *ip = io->addressed ? &io->ip : &s->remote;
    err_t err = udp_sendto(s->udp, p, ip, io->addressed ? io->port : s->remote_port);
    pbuf_free(p);
    s->local_port = s->udp->local_port;
    return err == ERR_OK ? (ssize_t)io->len : sock_errno(err);
}

static ssize_t raw_sock_send(struct sock *s, const struct sock_io *io, size_t done)
{
    (void)done;
    ssize_t rc = check_send(s, io, 20);
    if (rc != 0)
        return rc;
    struct pbuf *p = gather(io, PBUF_IP);
    if (p == NULL)
        return -ENOBUFS;
    err_t err = raw_sendto(s->raw, p, io->addressed ? &io->ip : &s->remote);
    pbuf_free(p);
    return err == ERR_OK ? (ssize_t)io->len : sock_errno(err);
}

/* --- the protocols' calls --- */

static int udp_sock_open(struct sock *s)
{
    s->udp = udp_new_ip_type(sock_ip_type(s));
    if (s->udp == NULL)
        return -ENOBUFS;
    udp_recv(s->udp, on_udp, s);
    return 0;
}

static int raw_sock_open(struct sock *s)
{
    s->raw = raw_new_ip_type(sock_ip_type(s), (u8_t)s->protocol);
    if (s->raw == NULL)
        return -ENOBUFS;
    if (s->protocol == IPPROTO_ICMPV6) {
        s->raw->chksum_reqd = 1; /* the kernel's to fill in, by RFC 3542 */
        s->raw->chksum_offset = 2;
    }
    raw_recv(s->raw, on_raw, s);
    return 0;
}

static int udp_sock_bind(struct sock *s, const ip_addr_t *ip, uint16_t port)
{
    if (s->udp->local_port != 0)
        return -EINVAL;
    int rc = sock_errno(udp_bind(s->udp, ip, port));
    if (rc != 0)
        return rc;
    s->local = s->udp->local_ip;
    s->local_port = s->udp->local_port;
    return 0;
}

static int raw_sock_bind(struct sock *s, const ip_addr_t *ip, uint16_t port)
{
    (void)port;
    s->local = *ip;
    return sock_errno(raw_bind(s->raw, ip));
}

static int note_peer(struct sock *s, const ip_addr_t *ip, uint16_t port)
{
    s->remote = *ip;
    s->remote_port = port;
    s->state = SOCK_CONNECTED;
    return 0;
}

static void note_route(struct sock *s, const ip_addr_t *ip)
{
    struct netif *netif = ip_route(&s->local, ip);
    const ip_addr_t *local = netif == NULL ? NULL : ip_netif_get_local_ip(netif, ip);
    if (ip_addr_isany(&s->local) && local != NULL)
        s->local = *local;
}

static int udp_sock_connect(struct sock *s, const ip_addr_t *ip, uint16_t port)
{
    int rc = sock_errno(udp_connect(s->udp, ip, port));
    if (rc != 0)
        return rc;
    s->local = s->udp->local_ip;
    s->local_port = s->udp->local_port;
    note_route(s, ip);
    return note_peer(s, ip, port);
}

static int raw_sock_connect(struct sock *s, const ip_addr_t *ip, uint16_t port)
{
    note_route(s, ip);
    return note_peer(s, ip, port);
}

static int dgram_listen(struct sock *s, unsigned backlog)
{
    (void)s;
    (void)backlog;
    return -EOPNOTSUPP;
}

static int dgram_accept(struct sock *s, struct sock **out)
{
    (void)s;
    (void)out;
    return -EOPNOTSUPP;
}

static int dgram_shutdown(struct sock *s, int how)
{
    if (s->state != SOCK_CONNECTED)
        return -ENOTCONN;
    s->no_read |= how != SHUT_WR;
    s->no_write |= how != SHUT_RD;
    sock_update(s);
    return 0;
}

static void drop_all(struct sock *s)
{
    list_for_each_safe (pos, &s->datagrams)
        drop_datagram(s, list_entry(pos, struct datagram, link));
    sock_leave_groups(s);
    s->state = SOCK_DEAD;
}

static void udp_sock_close(struct sock *s)
{
    drop_all(s);
    if (s->udp != NULL)
        udp_remove(s->udp);
    s->udp = NULL;
}

static void raw_sock_close(struct sock *s)
{
    drop_all(s);
    if (s->raw != NULL)
        raw_remove(s->raw);
    s->raw = NULL;
}

static short dgram_poll(const struct sock *s)
{
    bool in = !list_empty(&s->datagrams) || s->no_read || s->error != 0;
    return (short)((in ? POLLIN | POLLRDNORM : 0) | POLLOUT | POLLWRNORM |
                   (s->error != 0 ? POLLERR : 0));
}

static size_t dgram_readable(const struct sock *s)
{
    return list_empty(&s->datagrams) ? 0 : list_first(&s->datagrams, struct datagram, link)->len;
}

const struct sock_proto sock_udp = {
    .open = udp_sock_open,
    .bind = udp_sock_bind,
    .connect = udp_sock_connect,
    .listen = dgram_listen,
    .accept = dgram_accept,
    .send = udp_sock_send,
    .recv = dgram_recv,
    .shutdown = dgram_shutdown,
    .close = udp_sock_close,
    .poll = dgram_poll,
    .readable = dgram_readable,
};

const struct sock_proto sock_raw = {
    .open = raw_sock_open,
    .bind = raw_sock_bind,
    .connect = raw_sock_connect,
    .listen = dgram_listen,
    .accept = dgram_accept,
    .send = raw_sock_send,
    .recv = dgram_recv,
    .shutdown = dgram_shutdown,
    .close = raw_sock_close,
    .poll = dgram_poll,
    .readable = dgram_readable,
};

/* --- groups: each membership is noted, so that close can end it --- */

struct group {
    struct list link;
    struct netif *netif;
    ip_addr_t ip;
};

/* By number, else by our address there, else the default. */
static struct netif *group_netif(const ip_addr_t *interface, unsigned index)
{
    struct netif *netif;
    if (index != 0)
        return netif_get_by_index((u8_t)index);
    if (!ip_addr_isany(interface) && IP_IS_V4(interface))
        NETIF_FOREACH(netif)
    if (ip4_addr_eq(netif_ip4_addr(netif), ip_2_ip4(interface)))
        return netif;
    return ip_addr_isany(interface) ? netif_default : NULL;
}

static struct group *find_group(struct sock *s, struct netif *netif, const ip_addr_t *ip)
{
    list_for_each (pos, &s->groups) {
        struct group *g = list_entry(pos, struct group, link);
        if (g->netif == netif && ip_addr_eq(&g->ip, ip))
            return g;
    }
    return NULL;
}

int sock_join_group(struct sock *s, const ip_addr_t *interface, unsigned index, const ip_addr_t *ip)
{
    struct netif *netif = group_netif(interface, index);
    if (netif == NULL)
        return -ENODEV;
    if (!ip_addr_ismulticast(ip))
        return -EINVAL;
    if (find_group(s, netif, ip) != NULL)
        return -EADDRINUSE;
    struct group *g = net_alloc(sizeof(*g));
    if (g == NULL)
        return -ENOBUFS;
    *g = (struct group){.netif = netif, .ip = *ip};
    if (IP_IS_V6(ip))
        ip6_addr_assign_zone(ip_2_ip6(&g->ip), IP6_MULTICAST, netif);
    err_t err = IP_IS_V6(ip) ? mld6_joingroup_netif(netif, ip_2_ip6(&g->ip))
                             : igmp_joingroup_netif(netif, ip_2_ip4(&g->ip));
    if (err != ERR_OK) {
        net_free(g);
        return sock_errno(err);
    }
    list_push_back(&s->groups, &g->link);
    return 0;
}

static void leave(struct group *g)
{
    if (IP_IS_V6(&g->ip))
        mld6_leavegroup_netif(g->netif, ip_2_ip6(&g->ip));
    else
        igmp_leavegroup_netif(g->netif, ip_2_ip4(&g->ip));
    list_remove(&g->link);
    net_free(g);
}

int sock_leave_group(struct sock *s, const ip_addr_t *interface, unsigned index,
                     const ip_addr_t *ip)
{
    struct netif *netif = group_netif(interface, index);
    ip_addr_t scoped = *ip;
    if (netif != NULL && IP_IS_V6(ip))
        ip6_addr_assign_zone(ip_2_ip6(&scoped), IP6_MULTICAST, netif);
    struct group *g = netif == NULL ? NULL : find_group(s, netif, &scoped);
    if (g == NULL)
        return -EADDRNOTAVAIL;
    leave(g);
    return 0;
}

void sock_leave_groups(struct sock *s)
{
    list_for_each_safe (pos, &s->groups)
        leave(list_entry(pos, struct group, link));
}
