/* SPDX-License-Identifier: BSD-2-Clause */
/* Semaphores, barriers and spin locks: one word each, as the other pthread objects. */
#include <errno.h>
#include <semaphore.h>
#include <stdint.h>
#include <arch/cpu.h>
#include "kernel/thread.h"
#include "lib/base/atomic.h"
#include "lib/base/macros.h"
#include "lib/posix/fd.h"
#include "lib/posix/park.h"
#include "lib/posix/pthread.h"

int sem_init(sem_t *sem, int shared UNUSED, unsigned value)
{
    if (value > SEM_VALUE_MAX)
        return (int)posix_result(-EINVAL);
    store_relaxed(&sem->value, value);
    return 0;
}

int sem_destroy(sem_t *sem UNUSED)
{
    return 0;
}

int sem_post(sem_t *sem)
{
    uint32_t value = load_relaxed(&sem->value);

    do {
        if (value >= SEM_VALUE_MAX)
            return (int)posix_result(-EOVERFLOW);
    } while (!atomic_cmpxchg(&sem->value, &value, value + 1));
    park_wake(&sem->value, 1);
    return 0;
}

static bool try_take(sem_t *sem)
{
    uint32_t value = load_relaxed(&sem->value);

    while (value > 0) {
        if (atomic_cmpxchg(&sem->value, &value, value - 1))
            return true;
    }
    return false;
}

static int take_until(sem_t *sem, nsec_t deadline)
{
    while (!try_take(sem)) {
        if (park_wait(&sem->value, 0, deadline) == -ETIMEDOUT)
            return -ETIMEDOUT;
    }
    return 0;
}

int sem_trywait(sem_t *sem)
{
    return try_take(sem) ? 0 : (int)posix_result(-EAGAIN);
}

int sem_wait(sem_t *sem)
{
    return take_until(sem, NEVER);
}

int sem_clockwait(sem_t *sem, clockid_t clock, const struct timespec *when)
{
    nsec_t deadline;
    int error;

    if (try_take(sem))
        return 0;
    error = pthread_deadline(clock, when, &deadline);
    return (int)posix_result(error != 0 ? -error : take_until(sem, deadline));
}

int sem_timedwait(sem_t *sem, const struct timespec *when)
{
    return sem_clockwait(sem, CLOCK_REALTIME, when);
}

int sem_getvalue(sem_t *sem, int *value)
{
    *value = (int)load_relaxed(&sem->value);
    return 0;
}

/* A barrier is a meeting (lib/posix/park.h). */

int pthread_barrier_init(pthread_barrier_t *b, const pthread_barrierattr_t *attr UNUSED,
                         unsigned count)
{
    if (count == 0 || count >= PARK_MEETING_ONE)
        return EINVAL;
    store_relaxed(b, count);
    return 0;
}

int pthread_barrier_destroy(pthread_barrier_t *b)
{
    return load_relaxed(b) < PARK_MEETING_ONE ? 0 : EBUSY;
}

int pthread_barrier_wait(pthread_barrier_t *b)
{
    return park_meet(b) ? PTHREAD_BARRIER_SERIAL_THREAD : 0;
}

int pthread_barrierattr_init(pthread_barrierattr_t *attr)
{
    attr->is_initialized = 1;
    return 0;
}

int pthread_barrierattr_destroy(pthread_barrierattr_t *attr)
{
    attr->is_initialized = 0;
    return 0;
}

/* A spin lock's owner may be preempted, so one that waits lets others run after a while. */
#define SPINS 100

int pthread_spin_init(pthread_spinlock_t *l, int shared UNUSED)
{
    store_relaxed(l, 0);
    return 0;
}

int pthread_spin_destroy(pthread_spinlock_t *l UNUSED)
{
    return 0;
}

int pthread_spin_trylock(pthread_spinlock_t *l)
{
    return atomic_exchange(l, 1) == 0 ? 0 : EBUSY;
}

int pthread_spin_lock(pthread_spinlock_t *l)
{
    for (unsigned i = 1; pthread_spin_trylock(l) != 0; i++) {
        cpu_relax();
        if (i % SPINS == 0)
            thread_yield();
    }
    return 0;
}

int pthread_spin_unlock(pthread_spinlock_t *l)
{
    store_release(l, 0);
    return 0;
}
