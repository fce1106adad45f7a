/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Name servers that the user named, in the order in which they are asked. They outrank those of
 * DHCP and of routers, which lwIP writes into the same places whenever the network speaks: they are
 * put back before each question. Core lock held throughout.
 */
#include "lib/net/internal.h"
#include <lwip/dns.h>

static ip_addr_t given[DNS_MAX_SERVERS];
static unsigned nr_given;

void servers_add(const ip_addr_t *ip)
{
    if (nr_given < DNS_MAX_SERVERS)
        given[nr_given++] = *ip;
    servers_restore();
}

void servers_restore(void)
{
    for (unsigned i = 0; i < nr_given; i++)
        dns_setserver((u8_t)i, &given[i]);
}
