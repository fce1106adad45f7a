/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mutexes. The whole mutex is newlib's 32-bit pthread_mutex_t:
 *
 *    31  30 29  28     27 ......... 16  15 ......... 0
 *     0 | type |waiters|  depth - 1    | owner, 0: free
 *
 * kept inverted in memory, because newlib's static initialiser is all ones: that is "free, normal".
 * Taking and giving back a mutex that nobody else wants is one compare-and-exchange each.
 *
 * I1 A thread that parks has set the waiters bit; an unlock that finds it clears it and wakes one;
 *    that one sets it again when it takes the mutex, since others may be waiting.
 * I2 After the exchange that frees it, unlock does not read the mutex: its memory may be gone.
 */
#define _GNU_SOURCE 1
#include "lib/posix/pthread.h"

#include <errno.h>
#include "lib/base/atomic.h"
#include "lib/base/macros.h"
#include "kernel/thread.h"
#include "lib/posix/park.h"

#define OWNER_MASK 0xffffu
#define DEPTH_ONE (1u << 16)
#define DEPTH_MASK (0xfffu << 16)
#define WAITERS (1u << 28)
#define TYPE_SHIFT 29
#define TYPE_MASK (3u << TYPE_SHIFT)

_Static_assert(_PTHREAD_MUTEX_INITIALIZER == ~0u, "a static mutex reads as free and normal");
_Static_assert(PTHREAD_THREADS_MAX < OWNER_MASK, "every thread has an owner number");

static uint32_t load_word(const pthread_mutex_t *m)
{
    return ~load_relaxed(m);
}

/* Change the mutex from (*old) to (new); else (*old) is what it is now. */
static bool change(pthread_mutex_t *m, uint32_t *old, uint32_t new)
{
    uint32_t stored = ~*old;
    bool done = atomic_cmpxchg(m, &stored, ~new);

    *old = ~stored;
    return done;
}

static unsigned type_of(uint32_t word)
{
    return (word & TYPE_MASK) >> TYPE_SHIFT;
}

/* The owner wants it once more. */
static int lock_again(pthread_mutex_t *m, uint32_t word, int busy)
{
    if (type_of(word) != PTHREAD_MUTEX_RECURSIVE)
        return busy;
    do {
        if ((word & DEPTH_MASK) == DEPTH_MASK)
            return EAGAIN;
    } while (!change(m, &word, word + DEPTH_ONE));
    return 0;
}

/* A normal mutex that its owner locks again is a deadlock, as POSIX has it. */
static bool is_relock(uint32_t word, uint32_t self)
{
    return (word & OWNER_MASK) == self && type_of(word) != PTHREAD_MUTEX_NORMAL;
}

int pthread_mutex_lock_until(pthread_mutex_t *m, nsec_t deadline)
{
    uint32_t self = pthread_owner_number(), word = load_word(m), mark = 0;

    if (is_relock(word, self))
        return lock_again(m, word, EDEADLK);
    for (;;) {
        if ((word & OWNER_MASK) == 0) {
            if (change(m, &word, word | self | mark))
                return 0;
        } else if ((word & WAITERS) || change(m, &word, word | WAITERS)) {
            if (park_wait(m, ~(word | WAITERS), deadline) == -ETIMEDOUT)
                return ETIMEDOUT;
            mark = WAITERS; /* I1 */
            word = load_word(m);
        }
    }
}

int pthread_mutex_lock(pthread_mutex_t *m)
{
    return pthread_mutex_lock_until(m, NEVER);
}

int pthread_mutex_trylock(pthread_mutex_t *m)
{
    uint32_t self = pthread_owner_number(), word = load_word(m);

    if (is_relock(word, self))
        return lock_again(m, word, EBUSY);
    while ((word & OWNER_MASK) == 0) {
        if (change(m, &word, word | self))
            return 0;
    }
    return EBUSY;
}

int pthread_mutex_clocklock(pthread_mutex_t *m, clockid_t clock, const struct timespec *when)
{
    nsec_t deadline;
    int error = pthread_mutex_trylock(m);

    if (error != EBUSY)
        return error;
    error = pthread_deadline(clock, when, &deadline);
    return error != 0 ? error : pthread_mutex_lock_until(m, deadline);
}

int pthread_mutex_timedlock(pthread_mutex_t *m, const struct timespec *when)
{
    return pthread_mutex_clocklock(m, CLOCK_REALTIME, when);
}

int pthread_mutex_unlock(pthread_mutex_t *m)
{
    uint32_t word = load_word(m);

    if ((word & OWNER_MASK) != pthread_owner_number())
        return EPERM;
    for (;;) {
        if (word & DEPTH_MASK) {
            if (change(m, &word, word - DEPTH_ONE))
                return 0;
        } else if (change(m, &word, word & TYPE_MASK)) {
            break;
        }
    }
    if (word & WAITERS)
        park_wake(m, 1); /* I2 */
    return 0;
}

int pthread_mutex_init(pthread_mutex_t *m, const pthread_mutexattr_t *attr)
{
    unsigned type = attr != NULL ? (unsigned)attr->type : PTHREAD_MUTEX_NORMAL;

    if (type == PTHREAD_MUTEX_DEFAULT)
        type = PTHREAD_MUTEX_NORMAL;
    store_relaxed(m, ~(type << TYPE_SHIFT));
    return 0;
}

int pthread_mutex_destroy(pthread_mutex_t *m)
{
    return (load_word(m) & OWNER_MASK) == 0 ? 0 : EBUSY;
}

int pthread_mutexattr_init(pthread_mutexattr_t *attr)
{
    *attr = (pthread_mutexattr_t){.is_initialized = 1, .type = PTHREAD_MUTEX_DEFAULT};
    return 0;
}

int pthread_mutexattr_destroy(pthread_mutexattr_t *attr)
{
    attr->is_initialized = 0;
    return 0;
}

int pthread_mutexattr_settype(pthread_mutexattr_t *attr, int type)
{
    if (type < PTHREAD_MUTEX_NORMAL || type > PTHREAD_MUTEX_DEFAULT)
        return EINVAL;
    attr->type = type;
    return 0;
}

int pthread_mutexattr_gettype(const pthread_mutexattr_t *attr, int *type)
{
    *type = attr->type;
    return 0;
}

/* One process: private and shared are the same. */
int pthread_mutexattr_setpshared(pthread_mutexattr_t *attr UNUSED, int shared)
{
    return shared == 0 || shared == 1 ? 0 : EINVAL;
}

int pthread_mutexattr_getpshared(const pthread_mutexattr_t *attr UNUSED, int *shared)
{
    *shared = 0;
    return 0;
}
