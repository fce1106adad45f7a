/* SPDX-License-Identifier: BSD-2-Clause */
/* Collects what the other files count, under the core lock. */
#include "lib/net/status.h"
#include <string.h>
#include "lib/net/internal.h"
#include "lib/net/nic.h"
#include "lib/net/sock.h"
#include <lwip/priv/tcp_priv.h>

static void fill_nic(struct net_status_nic *out, struct nic *nic)
{
    const struct netif *n = nic_netif(nic);
    nic_get_info(nic, &out->link);
    out->starved = nic_starved(nic);
    if (!ip4_addr_isany(netif_ip4_addr(n)))
        ip4addr_ntoa_r(netif_ip4_addr(n), out->ip4, sizeof(out->ip4));
    if (!ip4_addr_isany(netif_ip4_gw(n)))
        ip4addr_ntoa_r(netif_ip4_gw(n), out->gateway, sizeof(out->gateway));
    for (unsigned i = 0; i < 2; i++)
        if (ip6_addr_isvalid(netif_ip6_addr_state(n, i)))
            nic_ip6_text(nic, i, out->ip6[i], sizeof(out->ip6[i]));
}

static unsigned count(const struct tcp_pcb *list)
{
    unsigned n = 0;
    for (; list != NULL; list = list->next)
        n++;
    return n;
}

void net_get_status(struct net_status *out)
{
    memset(out, 0, sizeof(*out));
    net_lock();
    for (unsigned i = 0; i < nic_count() && i < NET_STATUS_NICS; i++)
        fill_nic(&out->nic[out->nr_nics++], nic_get(i));
    out->tcp_active = count(tcp_active_pcbs);
    out->tcp_listening = count(tcp_listen_pcbs.pcbs);
    out->tcp_time_wait = count(tcp_tw_pcbs);
    out->tcp_gated = tcp_gated();
    net_unlock();
    out->sockets = sock_count();
    budget_get_stats(&out->budget);
}
