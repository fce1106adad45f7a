/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reader-writer locks. The word, kept inverted like a mutex's:
 *
 *    bit 31: threads wait    bit 30: a writer has it    below: how many readers have it
 *
 * Readers are let in whenever no writer has the lock, so that one thread may read-lock twice. The
 * last one out wakes all that wait; they try again.
 */
#define _GNU_SOURCE 1
#include "lib/posix/pthread.h"

#include <errno.h>
#include "kernel/thread.h"
#include "lib/base/atomic.h"
#include "lib/base/macros.h"
#include "lib/posix/park.h"

#define WAITERS (1u << 31)
#define WRITER (1u << 30)
#define READERS (WRITER - 1)

_Static_assert(_PTHREAD_RWLOCK_INITIALIZER == ~0u, "a static lock reads as free");

static uint32_t load_word(const pthread_rwlock_t *l)
{
    return ~load_relaxed(l);
}

static bool change(pthread_rwlock_t *l, uint32_t *old, uint32_t new)
{
    uint32_t stored = ~*old;
    bool done = atomic_cmpxchg(l, &stored, ~new);

    *old = ~stored;
    return done;
}

/* What taking it adds: 1 for a reader. What must not be there: a writer. */
static int try_take(pthread_rwlock_t *l, uint32_t add, uint32_t excluded)
{
    uint32_t word = load_word(l);

    while ((word & excluded) == 0) {
        if ((word & READERS) == READERS)
            return EAGAIN;
        if (change(l, &word, word + add))
            return 0;
    }
    return EBUSY;
}

static int take_until(pthread_rwlock_t *l, uint32_t add, uint32_t excluded, nsec_t deadline)
{
    int error;

    while ((error = try_take(l, add, excluded)) == EBUSY) {
        uint32_t word = load_word(l);

        if ((word & excluded) == 0)
            continue;
        if ((word & WAITERS) == 0 && !change(l, &word, word | WAITERS))
            continue;
        if (park_wait(l, ~(word | WAITERS), deadline) == -ETIMEDOUT)
            return ETIMEDOUT;
    }
    return error;
}

static int take_timed(pthread_rwlock_t *l, uint32_t add, uint32_t excluded, clockid_t clock,
                      const struct timespec *when)
{
    nsec_t deadline;
    int error = try_take(l, add, excluded);

    if (error != EBUSY)
        return error;
    error = pthread_deadline(clock, when, &deadline);
    return error != 0 ? error : take_until(l, add, excluded, deadline);
}

#define AS_READER 1, WRITER
#define AS_WRITER WRITER, (WRITER | READERS)

int pthread_rwlock_rdlock(pthread_rwlock_t *l)
{
    return take_until(l, AS_READER, NEVER);
}

int pthread_rwlock_tryrdlock(pthread_rwlock_t *l)
{
    return try_take(l, AS_READER);
}

int pthread_rwlock_timedrdlock(pthread_rwlock_t *l, const struct timespec *when)
{
    return take_timed(l, AS_READER, CLOCK_REALTIME, when);
}

int pthread_rwlock_clockrdlock(pthread_rwlock_t *l, clockid_t clock, const struct timespec *when)
{
    return take_timed(l, AS_READER, clock, when);
}

int pthread_rwlock_wrlock(pthread_rwlock_t *l)
{
    return take_until(l, AS_WRITER, NEVER);
}

int pthread_rwlock_trywrlock(pthread_rwlock_t *l)
{
    return try_take(l, AS_WRITER);
}

int pthread_rwlock_timedwrlock(pthread_rwlock_t *l, const struct timespec *when)
{
    return take_timed(l, AS_WRITER, CLOCK_REALTIME, when);
}

int pthread_rwlock_clockwrlock(pthread_rwlock_t *l, clockid_t clock, const struct timespec *when)
{
    return take_timed(l, AS_WRITER, clock, when);
}

int pthread_rwlock_unlock(pthread_rwlock_t *l)
{
    uint32_t word = load_word(l), left;

    do {
        if ((word & (WRITER | READERS)) == 0)
            return EPERM;
        left = word & WRITER ? word & WAITERS : word - 1;
        if ((left & READERS) == 0)
            left = 0;
    } while (!change(l, &word, left));
    if (left == 0 && (word & WAITERS))
        park_wake(l, PARK_ALL);
    return 0;
}

int pthread_rwlock_init(pthread_rwlock_t *l, const pthread_rwlockattr_t *attr UNUSED)
{
    store_relaxed(l, _PTHREAD_RWLOCK_INITIALIZER);
    return 0;
}

int pthread_rwlock_destroy(pthread_rwlock_t *l)
{
    return (load_word(l) & (WRITER | READERS)) == 0 ? 0 : EBUSY;
}

int pthread_rwlockattr_init(pthread_rwlockattr_t *attr)
{
    attr->is_initialized = 1;
    return 0;
}

int pthread_rwlockattr_destroy(pthread_rwlockattr_t *attr)
{
    attr->is_initialized = 0;
    return 0;
}
