/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of lib/net tell each other and nobody else. */
#ifndef LIB_NET_INTERNAL_H
#define LIB_NET_INTERNAL_H

#include <stdint.h>
#include "lib/net/budget.h"
#include "lib/net/net.h"
#include <lwip/ip_addr.h>
#include <lwip/netif.h>

/* sys_arch.c: the calling thread runs lwIP's timers; look whether one is due earlier than it
 * plans to wake (core lock held). */
void net_timers_adopt(void *unused);
void net_timers_poke(void);

/* nic.c: ring the bell of every interface that queued frames. Core lock held. */
void nic_kick_all(void);

/* tcp.c: segments that the gate refused. */
uint64_t tcp_gated(void);
/* tcp.c: (netif) has a link again: what it did not carry is sent now, and time-outs start over.
 * Core lock held. */
void tcp_hurry(struct netif *netif);

/* neighbours.c: tell those of IPv6 that our addresses are here (again). Core lock held. */
void neighbours_tell(struct netif *netif);

/* groups.c: the multicast groups that (netif) listens to. Core lock held. */
struct netfront_groups;
void groups_of(struct netif *netif, struct netfront_groups *out);

/* servers.c: the next name server that the user named; put all of these back where lwIP asks first.
 * Core lock held. */
void servers_add(const ip_addr_t *ip);
void servers_restore(void);

/* random.c: key for sequence numbers, drawn once. */
void net_random_init(void);

#endif
