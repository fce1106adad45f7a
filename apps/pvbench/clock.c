/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Time: what the clock costs, whether it goes forward, how late timers are, what the host takes.
 *
 *   time.read           the monotonic clock (pvclock), 16 in a row: a sixteenth
 *   time.step           from one reading to the next, as the clock itself says; one that went
 *                       backwards would be reported. --seconds 3600 makes it a test of an hour
 *   time.lateness.D     a one-shot timer, D ahead: from its deadline to its handler, by the clock;
 *                       the CPU is idle meanwhile, so the way out of idleness is in it
 *   time.steal          in a busy loop of a millisecond, the time that the host gave to others
 */
#include <stdint.h>
#include <arch/clock.h>
#include "apps/pvbench/handler.h"
#include "apps/pvbench/probes.h"
#include "kernel/time.h"
#include "kernel/wait.h"
#include "lib/base/atomic.h"

static void run_read(struct run *r)
{
    while (run_more(r)) {
        uint64_t begin = stamp();

        for (int i = 0; i < 16; i++)
            (void)time_now();
        run_batch(r, 0, begin, stamp(), 16);
    }
}

static void run_step(struct run *r)
{
    while (run_more(r)) {
        nsec_t first = time_now(), second = time_now();

        run_interval(r, 0, first, second);
    }
}

static struct waitq queue = WAITQ_INIT(queue);
static nsec_t fired;

HANDLER static void on_timer(struct timer *t)
{
    (void)t;
    store_release(&fired, time_now());
    waitq_wake_all(&queue);
}

static void run_lateness(struct run *r)
{
    struct timer timer;

    timer_init(&timer, on_timer);
    while (run_more(r)) {
        nsec_t deadline;

        store_release(&fired, 0);
        deadline = time_now() + run_arg(r);
        timer_set(&timer, deadline);
        if (wait_until(&queue, load_acquire(&fired) != 0, deadline + NSEC_PER_SEC) != 0) {
            run_give_up(r, "the timer did not fire");
            break;
        }
        run_interval(r, 0, deadline, load_acquire(&fired));
    }
    (void)timer_cancel(&timer);
}

static void run_steal(struct run *r)
{
    while (run_more(r)) {
        nsec_t before = clock_steal(0), end = time_now() + NSEC_PER_MSEC;

        while (time_now() < end)
            ;
        run_interval(r, 0, before, clock_steal(0));
    }
}

const struct probe clock_probes[] = {
    PROBE(run_read, 0, NULL, NS("time.read")),
    PROBE(run_step, 0, NULL, NS("time.step")),
    PROBE(run_lateness, 10000, NULL, NS("time.lateness.10us")),
    PROBE(run_lateness, 100000, NULL, NS("time.lateness.100us")),
    PROBE(run_lateness, 1000000, NULL, NS("time.lateness.1ms")),
    PROBE(run_lateness, 10000000, NULL, NS("time.lateness.10ms")),
    PROBE(run_steal, 0, NULL, NS("time.steal")),
};
PROBES_END(clock_probes);
