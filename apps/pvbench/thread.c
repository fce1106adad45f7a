/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Threads on one CPU.
 *
 *   thread.switch   two threads of the same priority give the CPU to each other; one turn is there
 *                   and back, and a sample is half of it
 *   thread.wake     a thread that waits is woken by one of lower priority: until its next line
 *   thread.block    from there, by waiting again, back to the waker
 *   thread.create   a thread is made, runs an empty function and is joined
 */
#include "apps/pvbench/probes.h"
#include "kernel/wait.h"
#include "lib/base/atomic.h"

#define NO_MEMORY "no memory for a thread"

static bool stop;

static void yield_for_ever(void *arg)
{
    (void)arg;
    while (!load_relaxed(&stop))
        thread_yield();
}

static void run_switch(struct run *r)
{
    struct thread *other;

    store_relaxed(&stop, false);
    other = thread_on(0, thread_prio(thread_current()), yield_for_ever, NULL);
    if (other == NULL) {
        run_give_up(r, NO_MEMORY);
        return;
    }
    while (run_more(r)) {
        uint64_t begin = stamp();

        thread_yield();
        run_batch(r, 0, begin, stamp(), 2);
    }
    store_relaxed(&stop, true);
    thread_join(other);
}

static struct waitq queue = WAITQ_INIT(queue);
static unsigned asked, served;
static volatile uint64_t awake;

static void wait_for_requests(void *arg)
{
    (void)arg;
    while (!load_acquire(&stop)) {
        (void)wait_until(&queue, load_acquire(&asked) != served || load_acquire(&stop), NEVER);
        awake = stamp();
        store_release(&served, load_acquire(&asked));
    }
}

static void run_wake(struct run *r)
{
    struct thread *waiter;

    store_release(&stop, false);
    asked = served = 0;
    waiter = thread_on(0, PRIO_HIGH, wait_for_requests, NULL);
    if (waiter == NULL) {
        run_give_up(r, NO_MEMORY);
        return;
    }
    thread_yield();
    while (run_more(r)) {
        uint64_t begin, end;

        store_release(&asked, asked + 1);
        begin = stamp();
        waitq_wake_all(&queue); /* it runs at once, and we when it waits again */
        end = stamp();
        if (load_acquire(&served) != asked)
            continue;
        run_sample(r, 0, begin, awake);
        run_sample(r, 1, awake, end);
    }
    store_release(&stop, true);
    waitq_wake_all(&queue);
    thread_join(waiter);
}

static void do_nothing(void *arg)
{
    (void)arg;
}

static void run_create(struct run *r)
{
    while (run_more(r)) {
        struct thread *t;
        uint64_t begin = stamp();

        if (thread_create("pvbench", PRIO_NORMAL, 0, do_nothing, NULL, &t) != 0) {
            run_give_up(r, NO_MEMORY);
            return;
        }
        thread_join(t);
        run_sample(r, 0, begin, stamp());
    }
}

const struct probe thread_probes[] = {
    PROBE(run_switch, 0, NULL, NS("thread.switch")),
    PROBE(run_wake, 0, NULL, NS("thread.wake"), NS("thread.block")),
    PROBE(run_create, 0, NULL, NS("thread.create")),
};
PROBES_END(thread_probes);
