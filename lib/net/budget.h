/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one memory budget of the network: everything lwIP and the sockets allocate and every
 * received page while somebody holds it. Exhausted means: allocations fail, frames are dropped
 * (TCP sends them again), new connections are not answered. Any thread.
 */
#ifndef LIB_NET_BUDGET_H
#define LIB_NET_BUDGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/base/macros.h"

/* Set the limit to (bytes) and derive windows from it; before anything is allocated. */
void budget_init(size_t bytes);

/* Heap memory within the budget, or NULL. lwIP allocates by these too. */
void *net_alloc(size_t size) MUST_CHECK;
void *net_alloc_zeroed(size_t count, size_t size) MUST_CHECK;
void net_free(void *p);

/* Account for (bytes) of memory that came from elsewhere. False: no room, nothing changed. */
bool budget_charge(size_t bytes) MUST_CHECK;
void budget_release(size_t bytes);

/* What one queue (of a connection, of a datagram socket) may hold now, in bytes: two segments of an
 * mtu of 1500 at least. */
size_t budget_share(void);
/* True while there is room for a new connection. */
bool budget_admits(void);

struct budget_stats {
    size_t used, peak, limit;
    uint64_t refused; /* allocations and charges that did not fit */
};
void budget_get_stats(struct budget_stats *out);

#endif
