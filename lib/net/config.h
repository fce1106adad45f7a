/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The addresses of one interface as a user wrote them. Understood are
 *   dhcp                           ask the network (also what an empty text means)
 *   none                           no IPv4
 *   ADDR[/PREFIX][,GATEWAY[,DNS...]]
 *   ADDR[/PREFIX] ADDR[/PREFIX]... several, separated by blanks, as in a toolstack's "ip=";
 *                                  IPv4 (one) and IPv6 (some)
 *   CLIENT:SERVER:GATEWAY:NETMASK:HOST:DEVICE:AUTOCONF[:DNS[:DNS]]   as for Linux
 * An IPv4 address without a prefix gets /24, an IPv6 one /64. Without a gateway the first
 * address of the IPv4 network is it, unless that is our own.
 */
#ifndef LIB_NET_CONFIG_H
#define LIB_NET_CONFIG_H

#include <stdbool.h>
#include "lib/base/macros.h"
#include <lwip/ip_addr.h>

#define CONFIG_IP6_MAX 3
#define CONFIG_DNS_MAX 2

struct net_config {
    bool dhcp;
    bool has_ip4;
    ip4_addr_t addr, mask, gateway;
    unsigned nr_ip6, nr_dns;
    ip6_addr_t ip6[CONFIG_IP6_MAX];
    ip_addr_t gateway6; /* "any": none */
    ip_addr_t dns[CONFIG_DNS_MAX];
};

/* 0, or -EINVAL: (text) is none of the above, *out then says DHCP. */
int config_parse(const char *text, struct net_config *out) MUST_CHECK;

#endif
