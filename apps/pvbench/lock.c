/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Locks.
 *
 *   lock.spin          taken and given back by the only CPU that wants it, 16 in a row: a sixteenth
 *   lock.mutex         the same
 *   lock.handoff       a mutex that another thread of this CPU waits for is given back: until that
 *                      thread has it
 *   lock.contended.N   threads on N CPUs want one mutex all the time, for a hundred turns of a loop
 *                      each: how often all of them take it in a second
 */
#include "apps/pvbench/probes.h"
#include "kernel/mutex.h"
#include "kernel/spinlock.h"
#include "lib/base/atomic.h"

static void run_spin(struct run *r)
{
    struct spinlock l = SPINLOCK_INIT;

    while (run_more(r)) {
        uint64_t begin = stamp();

        for (int i = 0; i < 16; i++)
            spin_unlock(&l, spin_lock(&l));
        run_batch(r, 0, begin, stamp(), 16);
    }
}

static struct mutex mutex = MUTEX_INIT(mutex);

static void run_mutex(struct run *r)
{
    while (run_more(r)) {
        uint64_t begin = stamp();

        for (int i = 0; i < 16; i++) {
            mutex_lock(&mutex);
            mutex_unlock(&mutex);
        }
        run_batch(r, 0, begin, stamp(), 16);
    }
}

/* ---- hand-off ---- */

static struct waitq queue = WAITQ_INIT(queue);
static bool wanted, stop;
static volatile uint64_t taken;

/* Of higher priority: it waits for the mutex as soon as it is told to, and gives it back at once.
 */
static void want(void *arg)
{
    (void)arg;
    while (!load_acquire(&stop)) {
        (void)wait_until(&queue, load_acquire(&wanted) || load_acquire(&stop), NEVER);
        mutex_lock(&mutex);
        taken = stamp();
        store_release(&wanted, false);
        mutex_unlock(&mutex);
    }
}

static void run_handoff(struct run *r)
{
    struct thread *other;

    store_release(&stop, false);
    store_release(&wanted, false);
    other = thread_on(0, PRIO_HIGH, want, NULL);
    if (other == NULL) {
        run_give_up(r, "no memory for a thread");
        return;
    }
    thread_yield();
    while (run_more(r)) {
        uint64_t begin;

        mutex_lock(&mutex);
        store_release(&wanted, true);
        waitq_wake_all(&queue); /* now it waits for the mutex */
        begin = stamp();
        mutex_unlock(&mutex);
        if (!load_acquire(&wanted))
            run_sample(r, 0, begin, taken);
    }
    store_release(&stop, true);
    waitq_wake_all(&queue);
    thread_join(other);
}

/* ---- contention ---- */

static void take_and_give(void *arg)
{
    struct mutex *m = arg;

    mutex_lock(m);
    for (int i = 0; i < 100; i++)
        __asm__ volatile("" : : : "memory");
    mutex_unlock(m);
}

static void run_contended(struct run *r)
{
    run_together(r, (unsigned)run_arg(r), take_and_give, &mutex);
}

const struct probe lock_probes[] = {
    PROBE(run_spin, 0, NULL, NS("lock.spin")),
    PROBE(run_mutex, 0, NULL, NS("lock.mutex")),
    PROBE(run_handoff, 0, NULL, NS("lock.handoff")),
    PROBE(run_contended, 1, NULL, PER_SECOND("lock.contended.1")),
    PROBE(run_contended, 2, absent_second_cpu, PER_SECOND("lock.contended.2")),
    PROBE(run_contended, 4, absent_fourth_cpu, PER_SECOND("lock.contended.4")),
};
PROBES_END(lock_probes);
