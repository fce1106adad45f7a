/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Condition variables. The word counts signals in steps of two; a waiter remembers the count, gives
 * the mutex back and parks while the count is the same, so that a signal in between is not lost.
 * Bit 0 says which clock timed waits use: 1 is CLOCK_REALTIME, as in newlib's static initialiser
 * (all ones), 0 is CLOCK_MONOTONIC.
 */
#define _GNU_SOURCE 1
#include "lib/posix/pthread.h"

#include <errno.h>
#include "kernel/thread.h"
#include "lib/base/atomic.h"
#include "lib/base/macros.h"
#include "lib/posix/park.h"

#define REALTIME 1u
#define ONE_SIGNAL 2u

static int wait_until_deadline(pthread_cond_t *c, pthread_mutex_t *m, nsec_t deadline)
{
    uint32_t seen = load_acquire(c);
    int rc, error = pthread_mutex_unlock(m);

    if (error != 0)
        return error;
    rc = park_wait(c, seen, deadline);
    error = pthread_mutex_lock_until(m, NEVER);
    if (error != 0)
        return error;
    return rc == -ETIMEDOUT ? ETIMEDOUT : 0;
}

int pthread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m)
{
    return wait_until_deadline(c, m, NEVER);
}

int pthread_cond_clockwait(pthread_cond_t *c, pthread_mutex_t *m, clockid_t clock,
                           const struct timespec *when)
{
    nsec_t deadline;
    int error = pthread_deadline(clock, when, &deadline);

    return error != 0 ? error : wait_until_deadline(c, m, deadline);
}

int pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *when)
{
    clockid_t clock = load_relaxed(c) & REALTIME ? CLOCK_REALTIME : CLOCK_MONOTONIC;

    return pthread_cond_clockwait(c, m, clock, when);
}

int pthread_cond_signal(pthread_cond_t *c)
{
    atomic_add(c, ONE_SIGNAL);
    park_wake(c, 1);
    return 0;
}

int pthread_cond_broadcast(pthread_cond_t *c)
{
    atomic_add(c, ONE_SIGNAL);
    park_wake(c, PARK_ALL);
    return 0;
}

int pthread_cond_init(pthread_cond_t *c, const pthread_condattr_t *attr)
{
    store_relaxed(c, attr != NULL && attr->clock == CLOCK_MONOTONIC ? 0 : REALTIME);
    return 0;
}

int pthread_cond_destroy(pthread_cond_t *c UNUSED)
{
    return 0;
}

int pthread_condattr_init(pthread_condattr_t *attr)
{
    *attr = (pthread_condattr_t){.is_initialized = 1, .clock = CLOCK_REALTIME};
    return 0;
}

int pthread_condattr_destroy(pthread_condattr_t *attr)
{
    attr->is_initialized = 0;
    return 0;
}

int pthread_condattr_setclock(pthread_condattr_t *attr, clockid_t clock)
{
    if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC)
        return EINVAL;
    attr->clock = clock;
    return 0;
}

int pthread_condattr_getclock(const pthread_condattr_t *attr, clockid_t *clock)
{
    *clock = (clockid_t)attr->clock;
    return 0;
}

int pthread_condattr_setpshared(pthread_condattr_t *attr UNUSED, int shared)
{
    return shared == 0 || shared == 1 ? 0 : EINVAL;
}

int pthread_condattr_getpshared(const pthread_condattr_t *attr UNUSED, int *shared)
{
    *shared = 0;
    return 0;
}
