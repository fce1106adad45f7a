/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The core lock. Whoever held it may have sent frames and set timers; both are acted on once,
 * when it lets go: one notification per interface and burst, and one poke when a timer is now due
 * before the timer thread planned to wake.
 */
#include "lib/net/net.h"
#include "kernel/mutex.h"
#include "lib/base/assert.h"
#include "lib/net/internal.h"
#include <lwip/opt.h>

static struct mutex core = MUTEX_INIT(core);

void net_lock(void)
{
    mutex_lock(&core);
}

void net_unlock(void)
{
    nic_kick_all();
    net_timers_poke();
    mutex_unlock(&core);
}

void net_assert_locked(void)
{
    ASSERT(mutex_held(&core));
}

void net_assert_failed(const char *text, const char *file, int line)
{
    panic("%s:%d: lwIP: %s", file, line, text);
}
