/* SPDX-License-Identifier: BSD-2-Clause */
/* Conversions only; who may use which address is the protocols' business. */
#include "lib/net/address.h"
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

static void take_in(const struct sockaddr *addr, ip_addr_t *ip, uint16_t *port)
{
    struct sockaddr_in in;
    memcpy(&in, addr, sizeof(in));
    ip_addr_set_ip4_u32_val(*ip, in.sin_addr.s_addr);
    *port = ntohs(in.sin_port);
}

static void take_in6(const struct sockaddr *addr, ip_addr_t *ip, uint16_t *port)
{
    struct sockaddr_in6 in6;
    memcpy(&in6, addr, sizeof(in6));
    *port = ntohs(in6.sin6_port);
    uint32_t word[4];
    memcpy(word, &in6.sin6_addr, sizeof(word));
    if (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr)) {
        ip_addr_set_ip4_u32_val(*ip, word[3]);
        return;
    }
    if (IN6_IS_ADDR_UNSPECIFIED(&in6.sin6_addr)) {
        ip_addr_set_any_val(1, *ip);
        IP_SET_TYPE_VAL(*ip, IPADDR_TYPE_ANY);
        return;
    }
    IP_ADDR6(ip, word[0], word[1], word[2], word[3]);
    if (ip6_addr_has_scope(ip_2_ip6(ip), IP6_UNKNOWN))
        ip6_addr_set_zone(ip_2_ip6(ip), (u8_t)in6.sin6_scope_id);
}

int address_take(int family, const struct sockaddr *addr, socklen_t len, ip_addr_t *ip,
                 uint16_t *port)
{
    size_t need = family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    if (addr == NULL || len < need)
        return -EINVAL;
    if (addr->sa_family != family)
        return -EAFNOSUPPORT;
    if (family == AF_INET)
        take_in(addr, ip, port);
    else
        take_in6(addr, ip, port);
    return 0;
}

static socklen_t give_in(const ip_addr_t *ip, uint16_t port, void *out)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    if (IP_IS_V4(ip))
        in.sin_addr.s_addr = ip4_addr_get_u32(ip_2_ip4(ip));
    memcpy(out, &in, sizeof(in));
    return sizeof(in);
}

static socklen_t give_in6(const ip_addr_t *ip, uint16_t port, void *out)
{
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    if (IP_IS_V4(ip)) {
        uint32_t mapped[4] = {0, 0, htonl(0xffff), ip4_addr_get_u32(ip_2_ip4(ip))};
        memcpy(&in6.sin6_addr, mapped, sizeof(mapped));
    } else {
        memcpy(&in6.sin6_addr, ip_2_ip6(ip)->addr, sizeof(in6.sin6_addr));
        in6.sin6_scope_id = ip6_addr_zone(ip_2_ip6(ip));
    }
    memcpy(out, &in6, sizeof(in6));
    return sizeof(in6);
}

void address_give(int family, const ip_addr_t *ip, uint16_t port, struct sockaddr *addr,
                  socklen_t *len)
{
    struct sockaddr_storage full;
    if (addr == NULL || len == NULL)
        return;
    socklen_t size = family == AF_INET ? give_in(ip, port, &full) : give_in6(ip, port, &full);
    memcpy(addr, &full, MIN(size, *len));
    *len = size;
}
