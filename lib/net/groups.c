/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Multicast: the Ethernet groups that an interface listens to are those of the IP groups that lwIP
 * has joined on it, and the one of all IPv6 nodes, which lwIP takes for granted: router
 * advertisements come to it. Several IP groups may share one.
 */
#include "frontends/netfront/netfront.h"
#include "lib/net/internal.h"
#include <lwip/igmp.h>
#include <lwip/mld6.h>
#include <lwip/prot/ethernet.h>

/* RFC 1112, 6.4: the last 23 bits. */
static void add_ip4(struct netfront_groups *out, const ip4_addr_t *ip)
{
    const u8_t mac[] = {
        0x01, 0x00, 0x5e, ip4_addr2(ip) & 0x7f, ip4_addr3(ip), ip4_addr4(ip),
    };
    netfront_add_group(out, mac);
}

/* RFC 2464, 7: the last 32 bits. */
static void add_ip6(struct netfront_groups *out, const ip6_addr_t *ip)
{
    const u8_t *last = (const u8_t *)&ip->addr[3];
    const u8_t mac[] = {0x33, 0x33, last[0], last[1], last[2], last[3]};
    netfront_add_group(out, mac);
}

void groups_of(struct netif *netif, struct netfront_groups *out)
{
    ip6_addr_t everybody;
    out->nr = 0;
    ip6_addr_set_allnodes_linklocal(&everybody);
    add_ip6(out, &everybody);
    for (const struct mld_group *g = netif_mld6_data(netif); g != NULL; g = g->next)
        add_ip6(out, &g->group_address);
    for (const struct igmp_group *g = netif_igmp_data(netif); g != NULL; g = g->next)
        add_ip4(out, &g->group_address);
}
