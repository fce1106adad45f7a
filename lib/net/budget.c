/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The budget is one counter and three marks on its way to the limit:
 *
 *   0 ............... 3/4 .......... 7/8 .......... limit
 *   queues share      queues get     no new         nothing is
 *   what is free      the minimum    connections    allocated
 *
 * Queues (bytes a program has not read, bytes a peer has not acknowledged) are what a stranger can
 * make grow, so each may hold a sixteenth of what is still free below the first mark. One queue
 * alone gets 1/17 of it; many greedy ones leave each other ever less, and a part stays free
 * whatever their number: n of them take n/(16 + n). A queue may always hold two full
 * segments of its connection (tcp.c), so that every connection moves; that and the connections
 * themselves come out of the space above the mark.
 *
 * The largest TCP window is what a queue may hold alone: a lone connection never overruns its
 * share, and with several the gate in tcp.c closes the window of those that do not read.
 *
 * I1 used <= limit: a charge is made before the memory is used and undone when it does not fit.
 */
#include "lib/net/budget.h"
#include "kernel/heap.h"
#include "lib/base/atomic.h"
#include "lib/base/string.h"
#include <lwip/opt.h>

#define SHARE 16
#define SEGMENT 1460 /* one of an mtu of 1500 */
#define QUEUE_MIN (2 * SEGMENT)
#define WINDOW_MIN (4 * SEGMENT)

uint32_t net_window_cut, net_send_cut; /* see lwipopts.h */

static struct budget_stats budget;

static size_t flow_mark(void)
{
    return budget.limit / 4 * 3;
}

void budget_init(size_t bytes)
{
    budget.limit = bytes;
    size_t alone = flow_mark() / (SHARE + 1);
    size_t window = MIN(MAX(alone, WINDOW_MIN), NET_WINDOW_CEILING);
    net_window_cut = net_send_cut = (uint32_t)(NET_WINDOW_CEILING - window);
}

bool budget_charge(size_t bytes)
{
    size_t used = atomic_add(&budget.used, bytes);
    if (used > budget.limit) { /* I1 */
        atomic_sub(&budget.used, bytes);
        atomic_add(&budget.refused, 1);
        return false;
    }
    if (used > load_relaxed(&budget.peak))
        store_relaxed(&budget.peak, used);
    return true;
}

void budget_release(size_t bytes)
{
    atomic_sub(&budget.used, bytes);
}

void *net_alloc(size_t size)
{
    if (load_relaxed(&budget.used) + size > budget.limit) {
        atomic_add(&budget.refused, 1);
        return NULL;
    }
    void *p = heap_alloc(size);
    if (p != NULL && !budget_charge(heap_size_of(p))) {
        heap_free(p);
        return NULL;
    }
    return p;
}

void *net_alloc_zeroed(size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        return NULL;
    void *p = net_alloc(bytes);
    return p == NULL ? NULL : memset(p, 0, bytes);
}

void net_free(void *p)
{
    if (p == NULL)
        return;
    budget_release(heap_size_of(p));
    heap_free(p);
}

size_t budget_share(void)
{
    size_t used = load_relaxed(&budget.used), mark = flow_mark();
    size_t share = used < mark ? (mark - used) / SHARE : 0;
    return MAX(share, QUEUE_MIN);
}

bool budget_admits(void)
{
    return load_relaxed(&budget.used) < budget.limit / 8 * 7;
}

uint16_t net_early_segments(void)
{
    return (uint16_t)MIN(budget_share() / 4096, 0xffff);
}

void budget_get_stats(struct budget_stats *out)
{
    *out = budget;
}
