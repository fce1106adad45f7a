/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Unsolicited neighbour advertisements (RFC 4861, 7.2.6): with a new link we may be behind another
 * port of a switch, or have another hardware address, and nobody would ask for it until their notes
 * are too old. IPv4's counterpart, a gratuitous ARP, lwIP sends by itself.
 */
#include "lib/net/internal.h"
#include <string.h>
#include <lwip/icmp6.h>
#include <lwip/inet_chksum.h>
#include <lwip/ip6.h>
#include <lwip/nd6.h>
#include <lwip/prot/nd6.h>

#define HOP_LIMIT 255 /* proof that no router was in between */

/* The target's own hardware address follows, an option of 8 bytes for Ethernet's. */
struct advertisement {
    struct na_header na;
    u8_t type, length, address[NETIF_MAX_HWADDR_LEN];
};
_Static_assert(sizeof(struct advertisement) == sizeof(struct na_header) + 8, "no padding");

static void advertise(struct netif *netif, const ip6_addr_t *addr)
{
    struct advertisement a = {.na = {.type = ICMP6_TYPE_NA, .flags = ND6_FLAG_OVERRIDE},
                              .type = ND6_OPTION_TYPE_TARGET_LLADDR,
                              .length = 1};
    ip6_addr_t everybody;
    struct pbuf *p = pbuf_alloc(PBUF_IP, sizeof(a), PBUF_RAM);
    if (p == NULL)
        return;
    ip6_addr_copy_to_packed(a.na.target_address, *addr);
    memcpy(a.address, netif->hwaddr, sizeof(a.address));
    ip6_addr_set_allnodes_linklocal(&everybody);
    ip6_addr_assign_zone(&everybody, IP6_MULTICAST, netif);
    memcpy(p->payload, &a, sizeof(a));
    a.na.chksum = ip6_chksum_pseudo(p, IP6_NEXTH_ICMP6, p->tot_len, addr, &everybody);
    memcpy(p->payload, &a, sizeof(a));
    ip6_output_if(p, addr, &everybody, HOP_LIMIT, 0, IP6_NEXTH_ICMP6, netif);
    pbuf_free(p);
}

void neighbours_tell(struct netif *netif)
{
    for (s8_t i = 0; i < LWIP_IPV6_NUM_ADDRESSES; i++)
        if (ip6_addr_isvalid(netif_ip6_addr_state(netif, i)))
            advertise(netif, netif_ip6_addr(netif, i));
}
