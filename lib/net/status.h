/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbers about the network, for whoever shows them. Before the network is started all are 0. */
#ifndef LIB_NET_STATUS_H
#define LIB_NET_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "frontends/netfront/netfront.h"
#include "lib/net/budget.h"

#define NET_STATUS_NICS 8

struct net_status_nic {
    struct netfront_info link;
    char ip4[16], gateway[16]; /* "" when there is none */
    char ip6[2][48];           /* link-local, global */
    uint64_t starved;          /* frames dropped because the budget was used up */
};

struct net_status {
    unsigned nr_nics;
    struct net_status_nic nic[NET_STATUS_NICS];
    unsigned sockets;
    unsigned tcp_active, tcp_listening, tcp_time_wait;
    uint64_t tcp_gated; /* segments refused because their connection's program does not read */
    struct budget_stats budget;
};

void net_get_status(struct net_status *out);

#endif
