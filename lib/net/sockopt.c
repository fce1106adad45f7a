/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Options of sockets: a table of integers per level and protocol, read and written by one function
 * each, and the few options that are structures. An option that is not known is -ENOPROTOOPT;
 * none is accepted and ignored but those whose effect is nothing here (SO_BROADCAST: always
 * allowed; the buffer sizes of streams: the budget decides).
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/time.h>
#include "lib/net/address.h"
#include "lib/net/internal.h"
#include "lib/net/sock.h"
#include <lwip/ip.h>
#include <lwip/opt.h>
#include <lwip/raw.h>
#include <lwip/tcp.h>
#include <lwip/udp.h>

#define READ_LIMIT_MIN 2048

/* --- socket level --- */

static bool has_pcb(const struct sock *s)
{
    return s->tcp != NULL; /* the union's first word, whichever it is */
}

/* The part that every control block begins with. */
static struct ip_pcb *ip_pcb_of(const struct sock *s)
{
    return (struct ip_pcb *)(void *)s->tcp;
}

static int set_flag(struct sock *s, u8_t flag, bool on)
{
    if (!has_pcb(s))
        return -EINVAL;
    struct ip_pcb *pcb = ip_pcb_of(s);
    pcb->so_options = (u8_t)(on ? pcb->so_options | flag : pcb->so_options & ~flag);
    return 0;
}

static int get_flag(const struct sock *s, u8_t flag)
{
    return has_pcb(s) && (ip_pcb_of(s)->so_options & flag) != 0;
}

static int get_socket(struct sock *s, int option, int *out)
{
    switch (option) {
    case SO_ERROR:
        *out = -sock_take_error(s);
        sock_update(s);
        return 0;
    case SO_TYPE:
        *out = s->type;
        return 0;
    case SO_DOMAIN:
        *out = s->family;
        return 0;
    case SO_PROTOCOL:
        *out = s->protocol;
        return 0;
    case SO_ACCEPTCONN:
        *out = s->state == SOCK_LISTENING;
        return 0;
    case SO_REUSEADDR:
        *out = get_flag(s, SOF_REUSEADDR);
        return 0;
    case SO_KEEPALIVE:
        *out = get_flag(s, SOF_KEEPALIVE);
        return 0;
    case SO_BROADCAST:
        *out = get_flag(s, SOF_BROADCAST);
        return 0;
    case SO_RCVBUF:
        *out = s->type == SOCK_STREAM ? (int)TCP_WND : (int)s->read_limit;
        return 0;
    case SO_SNDBUF:
        *out = (int)TCP_SND_BUF;
        return 0;
    default:
        return -ENOPROTOOPT;
    }
}

static int set_socket(struct sock *s, int option, int value)
{
    switch (option) {
    case SO_REUSEADDR:
        return set_flag(s, SOF_REUSEADDR, value != 0);
    case SO_KEEPALIVE:
        return set_flag(s, SOF_KEEPALIVE, value != 0);
    case SO_BROADCAST:
        return set_flag(s, SOF_BROADCAST, value != 0);
    case SO_RCVBUF:
        s->read_limit = (size_t)MAX(value, READ_LIMIT_MIN);
        return 0;
    case SO_SNDBUF:
        return 0;
    default:
        return -ENOPROTOOPT;
    }
}

/* --- TCP --- */

static int get_tcp(struct sock *s, int option, int *out)
{
    const struct tcp_pcb *pcb = s->tcp;
    if (s->proto != &sock_tcp)
        return -ENOPROTOOPT;
    if (option == TCP_NODELAY) {
        *out = s->nodelay;
        return 0;
    }
    if (pcb == NULL || s->state == SOCK_LISTENING)
        return -EINVAL;
    switch (option) {
    case TCP_MAXSEG:
        *out = tcp_mss(pcb);
        return 0;
    case TCP_KEEPIDLE:
        *out = (int)(pcb->keep_idle / 1000);
        return 0;
    case TCP_KEEPINTVL:
        *out = (int)(pcb->keep_intvl / 1000);
        return 0;
    case TCP_KEEPCNT:
        *out = (int)pcb->keep_cnt;
        return 0;
    default:
        return -ENOPROTOOPT;
    }
}

/* A listener's value is its children's. */
static int set_nodelay(struct sock *s, int value)
{
    s->nodelay = value != 0;
    if (s->tcp == NULL || s->state == SOCK_LISTENING)
        return 0;
    if (s->nodelay)
        tcp_nagle_disable(s->tcp);
    else
        tcp_nagle_enable(s->tcp);
    return 0;
}

static int set_tcp(struct sock *s, int option, int value)
{
    struct tcp_pcb *pcb = s->tcp;
    if (s->proto != &sock_tcp)
        return -ENOPROTOOPT;
    if (option == TCP_NODELAY)
        return set_nodelay(s, value);
    if (pcb == NULL || s->state == SOCK_LISTENING || value <= 0 || value > 32767)
        return -EINVAL;
    switch (option) {
    case TCP_KEEPIDLE:
        pcb->keep_idle = (u32_t)value * 1000;
        return 0;
    case TCP_KEEPINTVL:
        pcb->keep_intvl = (u32_t)value * 1000;
        return 0;
    case TCP_KEEPCNT:
        pcb->keep_cnt = (u32_t)value;
        return 0;
    default:
        return -ENOPROTOOPT;
    }
}

/* --- IP and IPv6 --- */

static int get_ip(struct sock *s, int option, int *out)
{
    if (!has_pcb(s))
        return -EINVAL;
    switch (option) {
    case IP_TTL:
        *out = ip_pcb_of(s)->ttl;
        return 0;
    case IP_TOS:
        *out = ip_pcb_of(s)->tos;
        return 0;
    case IP_MULTICAST_TTL:
        *out = s->proto == &sock_udp ? udp_get_multicast_ttl(s->udp) : 1;
        return 0;
    default:
        return -ENOPROTOOPT;
    }
}

static int set_multicast(struct sock *s, int option, int value)
{
    if (s->proto != &sock_udp)
        return -ENOPROTOOPT;
    if (option == IP_MULTICAST_TTL)
        udp_set_multicast_ttl(s->udp, (u8_t)value);
    else if (value != 0)
        udp_set_flags(s->udp, UDP_FLAGS_MULTICAST_LOOP);
    else
        udp_clear_flags(s->udp, UDP_FLAGS_MULTICAST_LOOP);
    return 0;
}

static int set_ip(struct sock *s, int option, int value)
{
    if (!has_pcb(s) || value < 0 || value > 255)
        return -EINVAL;
    switch (option) {
    case IP_TTL:
        ip_pcb_of(s)->ttl = (u8_t)value;
        return 0;
    case IP_TOS:
        ip_pcb_of(s)->tos = (u8_t)value;
        return 0;
    case IP_MULTICAST_TTL:
    case IP_MULTICAST_LOOP:
        return set_multicast(s, option, value);
    default:
        return -ENOPROTOOPT;
    }
}

static int get_ip6(struct sock *s, int option, int *out)
{
    switch (option) {
    case IPV6_V6ONLY:
        *out = s->v6only;
        return 0;
    case IPV6_UNICAST_HOPS:
        return get_ip(s, IP_TTL, out);
    case IPV6_MULTICAST_HOPS:
        return get_ip(s, IP_MULTICAST_TTL, out);
    default:
        return -ENOPROTOOPT;
    }
}

/* The control block's type of address is what tells lwIP. */
static int set_v6only(struct sock *s, bool on)
{
    if (s->family != AF_INET6 || s->local_port != 0 || !has_pcb(s))
        return -EINVAL;
    s->v6only = on;
    IP_SET_TYPE_VAL(ip_pcb_of(s)->local_ip, sock_ip_type(s));
    IP_SET_TYPE_VAL(ip_pcb_of(s)->remote_ip, sock_ip_type(s));
    return 0;
}

static int set_ip6(struct sock *s, int option, int value)
{
    switch (option) {
    case IPV6_V6ONLY:
        return set_v6only(s, value != 0);
    case IPV6_UNICAST_HOPS:
        return set_ip(s, IP_TTL, value == -1 ? TCP_TTL : value);
    case IPV6_MULTICAST_HOPS:
        return set_ip(s, IP_MULTICAST_TTL, value == -1 ? 1 : value);
    case IPV6_MULTICAST_LOOP:
        return set_ip(s, IP_MULTICAST_LOOP, value);
    default:
        return -ENOPROTOOPT;
    }
}

/* --- structures --- */

static int set_timeout(nsec_t *out, const void *value, socklen_t len)
{
    struct timeval tv;
    if (len < sizeof(tv))
        return -EINVAL;
    memcpy(&tv, value, sizeof(tv));
    if (tv.tv_sec < 0 || tv.tv_sec > INT32_MAX || tv.tv_usec < 0 || tv.tv_usec > 999999)
        return -EDOM;
    *out = (nsec_t)tv.tv_sec * NSEC_PER_SEC + (nsec_t)tv.tv_usec * 1000;
    return 0;
}

static int set_linger(struct sock *s, const void *value, socklen_t len)
{
    if (len < sizeof(s->linger))
        return -EINVAL;
    memcpy(&s->linger, value, sizeof(s->linger));
    return 0;
}

static int change_group(struct sock *s, bool join, const ip_addr_t *interface, unsigned index,
                        const ip_addr_t *group)
{
    if (s->proto == &sock_tcp)
        return -ENOPROTOOPT;
    return join ? sock_join_group(s, interface, index, group)
                : sock_leave_group(s, interface, index, group);
}

static int set_ip4_group(struct sock *s, bool join, const void *value, socklen_t len)
{
    struct ip_mreq mreq;
    ip_addr_t interface, group;
    if (len < sizeof(mreq))
        return -EINVAL;
    memcpy(&mreq, value, sizeof(mreq));
    ip_addr_set_ip4_u32_val(interface, mreq.imr_interface.s_addr);
    ip_addr_set_ip4_u32_val(group, mreq.imr_multiaddr.s_addr);
    return change_group(s, join, &interface, 0, &group);
}

static int set_ip6_group(struct sock *s, bool join, const void *value, socklen_t len)
{
    struct ipv6_mreq mreq;
    ip_addr_t group;
    uint32_t word[4];
    if (len < sizeof(mreq))
        return -EINVAL;
    memcpy(&mreq, value, sizeof(mreq));
    memcpy(word, &mreq.ipv6mr_multiaddr, sizeof(word));
    IP_ADDR6(&group, word[0], word[1], word[2], word[3]);
    return change_group(s, join, IP6_ADDR_ANY, mreq.ipv6mr_interface, &group);
}

/* True when (option) is a structure; *rc then says how it went. */
static bool set_structure(struct sock *s, int level, int option, const void *value, socklen_t len,
                          int *rc)
{
    if (level == SOL_SOCKET && option == SO_RCVTIMEO)
        *rc = set_timeout(&s->read_timeout, value, len);
    else if (level == SOL_SOCKET && option == SO_SNDTIMEO)
        *rc = set_timeout(&s->write_timeout, value, len);
    else if (level == SOL_SOCKET && option == SO_LINGER)
        *rc = set_linger(s, value, len);
    else if (level == IPPROTO_IP && (option == IP_ADD_MEMBERSHIP || option == IP_DROP_MEMBERSHIP))
        *rc = set_ip4_group(s, option == IP_ADD_MEMBERSHIP, value, len);
    else if (level == IPPROTO_IPV6 && (option == IPV6_JOIN_GROUP || option == IPV6_LEAVE_GROUP))
        *rc = set_ip6_group(s, option == IPV6_JOIN_GROUP, value, len);
    else
        return false;
    return true;
}

static void give(void *value, socklen_t *len, const void *from, size_t size)
{
    memcpy(value, from, MIN(size, *len));
    *len = (socklen_t)MIN(size, *len);
}

static bool get_structure(const struct sock *s, int level, int option, void *value, socklen_t *len)
{
    if (level != SOL_SOCKET)
        return false;
    if (option == SO_LINGER) {
        give(value, len, &s->linger, sizeof(s->linger));
        return true;
    }
    if (option != SO_RCVTIMEO && option != SO_SNDTIMEO)
        return false;
    nsec_t ns = option == SO_RCVTIMEO ? s->read_timeout : s->write_timeout;
    struct timeval tv = {.tv_sec = (time_t)(ns / NSEC_PER_SEC),
                         .tv_usec = (suseconds_t)(ns % NSEC_PER_SEC / 1000)};
    give(value, len, &tv, sizeof(tv));
    return true;
}

/* --- the calls --- */

struct level {
    int level;
    int (*get)(struct sock *s, int option, int *out);
    int (*set)(struct sock *s, int option, int value);
};

static const struct level levels[] = {
    {SOL_SOCKET, get_socket, set_socket},
    {IPPROTO_TCP, get_tcp, set_tcp},
    {IPPROTO_IP, get_ip, set_ip},
    {IPPROTO_IPV6, get_ip6, set_ip6},
};

static const struct level *find_level(int level)
{
    for (unsigned i = 0; i < ARRAY_SIZE(levels); i++)
        if (levels[i].level == level)
            return &levels[i];
    return NULL;
}

static int set_option(struct sock *s, int level, int option, const void *value, socklen_t len)
{
    const struct level *l = find_level(level);
    int rc, number = 0;
    if (l == NULL)
        return -ENOPROTOOPT;
    if (value == NULL)
        return -EINVAL;
    if (set_structure(s, level, option, value, len, &rc))
        return rc;
    if (len < sizeof(int) && (len != 1 || level == SOL_SOCKET))
        return -EINVAL;
    /* The multicast options of IPv4 may be single bytes. */
    memcpy(&number, value, MIN(len, sizeof(number)));
    return l->set(s, option, number);
}

static int get_option(struct sock *s, int level, int option, void *value, socklen_t *len)
{
    const struct level *l = find_level(level);
    int number;
    if (l == NULL)
        return -ENOPROTOOPT;
    if (value == NULL || len == NULL)
        return -EINVAL;
    if (get_structure(s, level, option, value, len))
        return 0;
    int rc = l->get(s, option, &number);
    if (rc == 0)
        give(value, len, &number, sizeof(number));
    return rc;
}

int setsockopt(int fd, int level, int option, const void *value, socklen_t len)
{
    int rc;
    struct sock *s = sock_get(fd, &rc);
    if (s == NULL)
        return (int)posix_result(rc);
    net_lock();
    rc = set_option(s, level, option, value, len);
    net_unlock();
    file_put(&s->file);
    return (int)posix_result(rc);
}

int getsockopt(int fd, int level, int option, void *value, socklen_t *len)
{
    int rc;
    struct sock *s = sock_get(fd, &rc);
    if (s == NULL)
        return (int)posix_result(rc);
    net_lock();
    rc = get_option(s, level, option, value, len);
    net_unlock();
    file_put(&s->file);
    return (int)posix_result(rc);
}
