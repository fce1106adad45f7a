/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Between two CPUs. Their counters have to be in step for what begins on one and ends on the other
 * (with an invariant TSC they are; the pvclock, which each CPU has of its own, may be off by more
 * than these times): .total and .pingpong begin and end on CPU 0 and are right in any case.
 *
 *   smp.ipi.handler    CPU 0 has CPU 1 call a function (an IPI): until its first line;
 *     .total             until CPU 0 knows that it has returned
 *   smp.wake           CPU 0 wakes a thread of CPU 1, which is idle: until its next line
 *   smp.pingpong       two threads, each on its CPU, wake each other in turn: there and back
 */
#include "apps/pvbench/handler.h"
#include "apps/pvbench/probes.h"
#include "kernel/cpus.h"
#include "kernel/time.h"
#include "kernel/wait.h"
#include "lib/base/atomic.h"

HANDLER static void note_moment(void *arg)
{
    store_release((uint64_t *)arg, stamp());
}

static void run_ipi(struct run *r)
{
    while (run_more(r)) {
        uint64_t entered = 0, begin = stamp();

        if (cpus_call(1, note_moment, &entered) != 0) {
            run_give_up(r, "CPU 1 is gone");
            return;
        }
        run_sample(r, 1, begin, stamp());
        run_sample(r, 0, begin, load_acquire(&entered));
    }
}

static struct waitq there = WAITQ_INIT(there), back = WAITQ_INIT(back);
static unsigned asked, served;
static uint64_t awake;
static bool stop;

static void answer(void *arg)
{
    (void)arg;
    while (!load_acquire(&stop)) {
        (void)wait_until(&there, load_acquire(&asked) != served || load_acquire(&stop), NEVER);
        awake = stamp();
        store_release(&served, load_acquire(&asked));
        waitq_wake_all(&back);
    }
}

static void run_wake(struct run *r)
{
    struct thread *other;

    store_release(&stop, false);
    asked = served = 0;
    other = thread_on(1, PRIO_HIGH, answer, NULL);
    if (other == NULL) {
        run_give_up(r, "no memory for a thread");
        return;
    }
    while (run_more(r)) {
        uint64_t begin, end;

        /* It is to be idle again before the next round. */
        thread_sleep_until(time_now() + 20000);
        store_release(&asked, asked + 1);
        begin = stamp();
        waitq_wake_all(&there);
        if (wait_until(&back, load_acquire(&served) == asked, time_now() + NSEC_PER_SEC) != 0) {
            run_give_up(r, "CPU 1 did not answer");
            break;
        }
        end = stamp();
        run_sample(r, 0, begin, awake);
        run_sample(r, 1, begin, end);
    }
    store_release(&stop, true);
    waitq_wake_all(&there);
    thread_join(other);
}

const struct probe smp_probes[] = {
    PROBE(run_ipi, 0, absent_second_cpu, NS("smp.ipi.handler"), NS("smp.ipi.total")),
    PROBE(run_wake, 0, absent_second_cpu, NS("smp.wake"), NS("smp.pingpong")),
};
PROBES_END(smp_probes);
