/* SPDX-License-Identifier: BSD-2-Clause */
/* Clock and timers: monotonic, in order, never early, cancelled for good. */
#include <arch/irq.h>
#include "kernel/wait.h"
#include "lib/base/assert.h"
#include "lib/base/atomic.h"
#include "lib/base/errno.h"
#include "tests/guest/census.h"

#define MS NSEC_PER_MSEC

static struct thread *start(enum prio prio, void (*fn)(void *), void *arg)
{
    struct thread *t;

    if (thread_create("test", prio, 16384, fn, arg, &t) != 0)
        panic("no memory for a thread");
    return t;
}

static void sleep_for(nsec_t ns)
{
    thread_sleep_until(time_now() + ns);
}

/* --- the clock --- */

static void read_clock(void *arg)
{
    bool *backwards = arg;
    nsec_t last = 0, now;

    for (int i = 0; i < 400000; i++, last = now) {
        now = time_now();
        *backwards |= now < last;
    }
}

static void test_the_clock_never_goes_back_in_a_million_preempted_reads(void)
{
    struct thread *t[3];
    bool backwards = false;

    for (size_t i = 0; i < 3; i++)
        t[i] = start(PRIO_LOW, read_clock, &backwards);
    for (size_t i = 0; i < 3; i++)
        thread_join(t[i]);
    CHECK(!backwards);
}

static void test_the_wall_clock_is_plausible_and_can_be_set(void)
{
    nsec_t wall = time_wall(), set = 2000000000ULL * NSEC_PER_SEC, now;

    CHECK(wall > 1700000000ULL * NSEC_PER_SEC && wall < 4000000000ULL * NSEC_PER_SEC);
    time_set_wall(set);
    now = time_wall();
    CHECK(now >= set && now < set + NSEC_PER_SEC);
    time_set_wall(wall);
    CHECK(time_wall() >= wall);
}

static void test_steal_time_is_less_than_the_time_there_is(void)
{
    CHECK(clock_steal(0) <= time_now());
}

/* --- timers --- */

#define TIMERS 500

static struct timer timers[TIMERS];
static nsec_t last_deadline;
static unsigned fired;
static bool early, disordered;

static void note(struct timer *t)
{
    early |= clock_read() < t->deadline;
    disordered |= t->deadline < last_deadline;
    last_deadline = t->deadline;
    fired++;
}

static void reset_notes(void)
{
    last_deadline = fired = 0;
    early = disordered = false;
    for (size_t i = 0; i < TIMERS; i++)
        timer_init(&timers[i], note);
}

static uint32_t random_state = 1;

static uint32_t any(uint32_t below)
{
    random_state = random_state * 1664525 + 1013904223;
    return (random_state >> 8) % below;
}

static bool wait_for_fired(unsigned n)
{
    nsec_t end = time_now() + 2 * NSEC_PER_SEC;

    while (load_relaxed(&fired) < n && time_now() < end)
        sleep_for(MS);
    return fired == n;
}

static void test_five_hundred_timers_fire_in_order_and_not_early(void)
{
    irqstate_t irq;
    nsec_t base;

    reset_notes();
    irq = irq_save(); /* none before all are set */
    base = time_now() + 5 * MS;
    for (size_t i = 0; i < TIMERS; i++)
        timer_set(&timers[i], base + any(30) * MS + any(2) * any(1000));
    irq_restore(irq);
    CHECK(wait_for_fired(TIMERS));
    CHECK(!early);
    CHECK(!disordered);
}

static void test_a_timer_in_the_past_fires_at_once(void)
{
    static const nsec_t past[] = {0, 1, 1000, 1000000};

    for (size_t i = 0; i < ARRAY_SIZE(past); i++) {
        nsec_t set;

        reset_notes();
        set = time_now();
        timer_set(&timers[0], past[i]);
        while (load_relaxed(&fired) == 0 && time_now() < set + NSEC_PER_SEC)
            ;
        CHECK_EQ(fired, 1);
    }
}

static void test_a_cancelled_timer_does_not_fire(void)
{
    reset_notes();
    for (size_t i = 0; i < TIMERS; i++)
        timer_set(&timers[i], time_now() + 20 * MS + any(20) * MS);
    for (size_t i = 0; i < TIMERS; i += 2)
        CHECK(timer_cancel(&timers[i]));
    CHECK(!timer_cancel(&timers[0]));
    CHECK(wait_for_fired(TIMERS / 2));
    sleep_for(10 * MS);
    CHECK_EQ(fired, TIMERS / 2);
    CHECK(!timer_cancel(&timers[1]));
}

static void test_setting_an_armed_timer_moves_it(void)
{
    nsec_t far = time_now() + 60 * NSEC_PER_SEC, base;

    reset_notes();
    for (size_t i = 0; i < TIMERS; i++)
        timer_set(&timers[i], i % 2 ? far : time_now() + 50 * MS);
    base = time_now();
    for (size_t i = 0; i < TIMERS; i++)
        timer_set(&timers[i], i % 2 ? base + 3 * MS : far);
    CHECK(wait_for_fired(TIMERS / 2));
    sleep_for(60 * MS);
    CHECK_EQ(fired, TIMERS / 2);
    for (size_t i = 0; i < TIMERS; i++)
        CHECK_EQ(timer_cancel(&timers[i]), i % 2 == 0);
}

static void rearm(struct timer *t)
{
    note(t);
    if (fired < 1000)
        timer_set(t, t->deadline + 20000);
}

static void test_a_timer_may_set_itself_again(void)
{
    reset_notes();
    timer_init(&timers[0], rearm);
    timer_set(&timers[0], time_now());
    CHECK(wait_for_fired(1000));
    CHECK(!early);
}

static void cancel_next(struct timer *t)
{
    note(t);
    (void)timer_cancel(t + 1);
}

static void test_a_timer_may_cancel_another_that_is_due(void)
{
    nsec_t when;

    reset_notes();
    when = time_now() + 2 * MS;
    timer_init(&timers[0], cancel_next);
    timer_set(&timers[0], when);
    timer_set(&timers[1], when);
    sleep_for(20 * MS);
    CHECK_EQ(fired, 1);
}

/* Threads set, move and cancel the same timers as fast as they can while they fire. */
static void storm(void *arg)
{
    nsec_t end = time_now() + 150 * MS;

    (void)arg;
    while (time_now() < end) {
        struct timer *t = &timers[any(TIMERS)];

        if (any(4) == 0)
            (void)timer_cancel(t);
        else
            timer_set(t, time_now() + any(300000));
    }
}

static void test_a_storm_of_sets_and_cancels_leaves_no_timer_behind(void)
{
    struct thread *t[4];
    unsigned before;

    reset_notes();
    for (size_t i = 0; i < 4; i++)
        t[i] = start(PRIO_LOW, storm, NULL);
    for (size_t i = 0; i < 4; i++)
        thread_join(t[i]);
    for (size_t i = 0; i < TIMERS; i++)
        (void)timer_cancel(&timers[i]);
    before = fired;
    sleep_for(10 * MS);
    CHECK_EQ(fired, before);
    CHECK(fired > 100);
    CHECK(!early);
}

/* --- sleeping --- */

static unsigned short_sleeps;

static void sleep_often(void *arg)
{
    uint32_t state = (uint32_t)(uintptr_t)arg;

    for (int i = 0; i < 20; i++) {
        nsec_t until = time_now() + (state = state * 75 % 65537) * 50;

        thread_sleep_until(until);
        if (time_now() < until)
            atomic_add(&short_sleeps, 1);
    }
}

static void test_a_thousand_sleepers_never_sleep_too_short(void)
{
    static struct thread *t[1000];

    short_sleeps = 0;
    for (uintptr_t i = 0; i < 1000; i++)
        t[i] = start((enum prio)(PRIO_LOW + i % 4), sleep_often, (void *)(i + 1));
    for (size_t i = 0; i < 1000; i++)
        thread_join(t[i]);
    CHECK_EQ(short_sleeps, 0);
}

static void test_sleeping_until_the_past_returns_at_once(void)
{
    nsec_t before = time_now();

    thread_sleep_until(0);
    thread_sleep_until(1);
    thread_sleep_until(before);
    CHECK(time_now() - before < NSEC_PER_SEC);
}

static struct waitq nobody = WAITQ_INIT(nobody);

static void test_a_wait_with_a_deadline_in_the_past_looks_once(void)
{
    bool yes = true, no = false;

    CHECK_EQ(wait_until(&nobody, load_relaxed(&yes), 0), 0);
    CHECK_EQ(wait_until(&nobody, load_relaxed(&no), 0), -ETIMEDOUT);
    CHECK_EQ(wait_until(&nobody, load_relaxed(&no), time_now() + MS), -ETIMEDOUT);
}

/* Xen mistakes a deadline of more than 13 days for an error and fires ten times a second. */
static void test_a_timer_in_years_wakes_nobody_now(void)
{
    struct evtchn_stats before, after;

    reset_notes();
    timer_set(&timers[0], time_now() + 10ULL * 365 * 86400 * NSEC_PER_SEC);
    timer_set(&timers[1], NEVER - 1);
    evtchn_get_stats(&before);
    sleep_for(450 * MS);
    evtchn_get_stats(&after);
    CHECK(timer_cancel(&timers[0]));
    CHECK(timer_cancel(&timers[1]));
    CHECK_EQ(fired, 0);
    CHECK(after.events - before.events <= 3);
}

static const struct test_case cases[] = {
    CASE(the_clock_never_goes_back_in_a_million_preempted_reads),
    CASE(the_wall_clock_is_plausible_and_can_be_set),
    CASE(steal_time_is_less_than_the_time_there_is),
    CASE(five_hundred_timers_fire_in_order_and_not_early),
    CASE(a_timer_in_the_past_fires_at_once),
    CASE(a_cancelled_timer_does_not_fire),
    CASE(setting_an_armed_timer_moves_it),
    CASE(a_timer_may_set_itself_again),
    CASE(a_timer_may_cancel_another_that_is_due),
    CASE_ON_ONE_CPU(a_storm_of_sets_and_cancels_leaves_no_timer_behind),
    CASE(a_thousand_sleepers_never_sleep_too_short),
    CASE(sleeping_until_the_past_returns_at_once),
    CASE(a_wait_with_a_deadline_in_the_past_looks_once),
    CASE(a_timer_in_years_wakes_nobody_now),
};

int main(int argc, char **argv)
{
    return census_all(cases, ARRAY_SIZE(cases), argc, argv);
}
