/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The network's start and its one lock. Nothing here runs before the first socket or the first
 * look-up of a name, and a program that uses neither does not contain it.
 */
#ifndef LIB_NET_NET_H
#define LIB_NET_NET_H

#include "lib/base/macros.h"

/*
 * Start lwIP, open every vif of the domain and wait for their addresses, once; later calls (and
 * calls in other threads meanwhile) wait for the first one's result. An interface that cannot be
 * opened costs a log line, not the start. 0 or -ENOMEM. Thread context, blocks for seconds.
 * paravane.net-wait=SECONDS bounds the wait for addresses (10).
 */
int net_start(void) MUST_CHECK;

/* lwIP's core lock (a mutex with priority inheritance, not recursive). Unlocking also tells the
 * backends of frames that were queued under the lock, and lwIP's timers of earlier deadlines. */
void net_lock(void);
void net_unlock(void);

#endif
