/* SPDX-License-Identifier: BSD-2-Clause */
/* The clock and timers of several CPUs. */
#include "tests/guest/smp/cases.h"

/* --- the clock --- */

#define READS 20000

static uint64_t latest;

/* What one has read, nobody may read less than afterwards. */
static void read_clock(void *arg)
{
    pin((unsigned)(uintptr_t)arg);
    for (unsigned i = 0; i < READS; i++) {
        uint64_t before = load_acquire(&latest), now = time_now();

        if (now < before)
            complain("the clock of CPU %u is %lu ns behind", cpu_id(),
                     (unsigned long)(before - now));
        while (before < now && !atomic_cmpxchg(&latest, &before, now))
            ;
    }
}

static void test_the_clock_never_goes_back_between_cpus(void)
{
    struct thread *t[CPUS_MAX];

    latest = 0;
    for (unsigned i = 0; i < nr_cpus(); i++)
        t[i] = start(PRIO_NORMAL, read_clock, (void *)(uintptr_t)i);
    join_all(t, nr_cpus());
    CHECK(latest <= time_now());
}

static void test_the_clock_never_goes_back_for_a_thread_that_moves(void)
{
    nsec_t before = time_now();

    for (unsigned i = 0; i < 500; i++) {
        nsec_t now;

        pin(i % nr_cpus());
        now = time_now();
        CHECK(now >= before);
        before = now;
    }
}

/* --- sleepers --- */

static void sleep_often(void *arg)
{
    uint32_t random = (uint32_t)(uintptr_t)arg;

    for (unsigned i = 0; i < 60; i++) {
        nsec_t deadline = time_now() + next_random(&random) % (2 * MS);

        thread_sleep_until(deadline);
        if (time_now() < deadline)
            complain("CPU %u: woken %lu ns early", cpu_id(),
                     (unsigned long)(deadline - time_now()));
    }
}

static void test_sleepers_of_all_cpus_never_wake_early(void)
{
    struct thread *t[4 * CPUS_MAX];
    unsigned n = 4 * nr_cpus();

    for (unsigned i = 0; i < n; i++)
        t[i] = start((enum prio)(PRIO_LOW + i % 3), sleep_often, (void *)(uintptr_t)(i + 1));
    join_all(t, n);
}

/* --- timers --- */

#define SHARED 6

struct shared_timer {
    struct timer timer;
    unsigned inside, fired;
    bool again; /* set itself */
};

static struct shared_timer shared[SHARED];
static bool over;

static void fire(struct timer *t)
{
    struct shared_timer *s = CONTAINER_OF(t, struct shared_timer, timer);
    unsigned outside = 0;

    if (!atomic_cmpxchg(&s->inside, &outside, 1U))
        complain("a timer's function runs on two CPUs");
    if (load_acquire(&over))
        complain("a timer fired after it was cancelled");
    atomic_add(&s->fired, 1);
    if (s->again)
        timer_set(t, time_now() + MS / 4);
    store_release(&s->inside, 0);
}

static void juggle(void *arg)
{
    unsigned cpu = (unsigned)(uintptr_t)arg;
    uint32_t random = cpu + 1;

    pin(cpu);
    for (unsigned i = 0; i < 3000; i++) {
        struct timer *t = &shared[next_random(&random) % SHARED].timer;

        switch (next_random(&random) % 4) {
        case 0:
            (void)timer_cancel(t);
            break;
        case 1:
            timer_set(t, time_now() + PATIENCE);
            break;
        default:
            timer_set(t, time_now() + next_random(&random) % 200000);
        }
        if (i % 100 == 0)
            sleep_for(MS / 4);
    }
}

static void test_timers_are_set_moved_and_cancelled_by_all_cpus_at_once(void)
{
    struct thread *t[CPUS_MAX];
    unsigned fired = 0;

    over = false;
    for (unsigned i = 0; i < SHARED; i++) {
        shared[i] = (struct shared_timer){.again = i % 2};
        timer_init(&shared[i].timer, fire);
    }
    for (unsigned i = 0; i < nr_cpus(); i++)
        t[i] = start(PRIO_NORMAL, juggle, (void *)(uintptr_t)i);
    join_all(t, nr_cpus());
    for (unsigned i = 0; i < SHARED; i++)
        (void)timer_cancel(&shared[i].timer);
    store_release(&over, true);
    sleep_for(5 * MS);
    for (unsigned i = 0; i < SHARED; i++) {
        CHECK(!shared[i].timer.armed);
        CHECK_EQ(shared[i].inside, 0);
        fired += shared[i].fired;
    }
    CHECK(fired > 0);
}

struct watched {
    struct timer timer;
    bool valid; /* its function may run */
    bool again;
    unsigned fired;
};

static void fire_if_valid(struct timer *t)
{
    struct watched *w = CONTAINER_OF(t, struct watched, timer);

    atomic_add(&w->fired, 1);
    for (unsigned i = 0; i < 50; i++) {
        if (!load_acquire(&w->valid))
            complain("a timer's function runs after timer_cancel");
        cpu_relax();
    }
    if (w->again)
        timer_set(t, time_now() + MS / 4);
}

#define CANCELS 400

/* Set here, cancelled there. */
static void cancel_elsewhere(void *arg)
{
    unsigned cpu = (unsigned)(uintptr_t)arg, cpus = nr_cpus();
    struct watched w = {.valid = false};
    uint32_t random = cpu + 7;

    timer_init(&w.timer, fire_if_valid);
    for (unsigned i = 0; i < CANCELS; i++) {
        pin((cpu + i) % cpus);
        w.again = i % 2;
        store_release(&w.valid, true);
        timer_set(&w.timer, time_now() + next_random(&random) % 60000);
        pin((cpu + i + 1) % cpus);
        if (i % 4 < 2)
            spin_for(next_random(&random) % 60000);
        (void)timer_cancel(&w.timer);
        store_release(&w.valid, false);
        if (w.timer.armed)
            complain("round %u: armed after timer_cancel", i);
    }
    sleep_for(MS);
    (void)timer_cancel(&w.timer); /* the next one's stack */
}

static void test_a_cancelled_timer_does_not_run_whatever_cpu_it_was_on(void)
{
    struct thread *t[CPUS_MAX];

    for (unsigned i = 0; i < nr_cpus(); i++)
        t[i] = start(PRIO_NORMAL, cancel_elsewhere, (void *)(uintptr_t)i);
    join_all(t, nr_cpus());
}

/* Set on one CPU for a time far away, moved from another to a near one. */
static void test_a_timer_that_is_moved_to_another_cpu_fires_there_once(void)
{
    struct watched w = {.valid = true};

    timer_init(&w.timer, fire_if_valid);
    for (unsigned i = 0; i < 300; i++) {
        pin(i % nr_cpus());
        timer_set(&w.timer, time_now() + 10 * PATIENCE);
        pin((i + 1) % nr_cpus());
        timer_set(&w.timer, time_now() + (i % 3) * 100000);
        if (!comes_true(load_acquire(&w.fired) == i + 1))
            complain("round %u: it fired %u times", i, w.fired);
        if (complained())
            break;
    }
    (void)timer_cancel(&w.timer);
}

/* Time stolen from a CPU: never less than before, and not more than there was. (Xen adds to it when
 * the CPU gets to run, so over a short time it may grow by more than that.) */
static void test_what_was_stolen_only_grows_and_is_less_than_all_time(void)
{
    struct spinner s[CPUS_MAX] = {0};
    struct thread *t[CPUS_MAX];
    nsec_t last[CPUS_MAX];
    unsigned cpus = nr_cpus();

    for (unsigned i = 0; i < cpus; i++) {
        last[i] = clock_steal(i);
        t[i] = start(PRIO_LOW, spin_until_stopped, &s[i]);
        allow_only(t[i], i);
    }
    for (unsigned round = 0; round < 50; round++) {
        sleep_for(MS);
        for (unsigned i = 0; i < cpus; i++) {
            nsec_t stolen = clock_steal(i);

            if (stolen < last[i])
                complain("CPU %u: %lu ns were stolen, then only %lu", i, (unsigned long)last[i],
                         (unsigned long)stolen);
            if (stolen > time_now())
                complain("CPU %u: more was stolen than there was", i);
            last[i] = stolen;
        }
    }
    stop_all(s, t, cpus);
    CHECK_EQ(clock_steal(CPU_MAX - 1), 0); /* never ran */
}

const struct test_case timer_cases[] = {
    CASE(what_was_stolen_only_grows_and_is_less_than_all_time),
    CASE(the_clock_never_goes_back_between_cpus),
    CASE(the_clock_never_goes_back_for_a_thread_that_moves),
    CASE(sleepers_of_all_cpus_never_wake_early),
    CASE(timers_are_set_moved_and_cancelled_by_all_cpus_at_once),
};
const size_t nr_timer_cases = ARRAY_SIZE(timer_cases);

const struct test_case pair_timer_cases[] = {
    CASE(a_cancelled_timer_does_not_run_whatever_cpu_it_was_on),
    CASE(a_timer_that_is_moved_to_another_cpu_fires_there_once),
};
const size_t nr_pair_timer_cases = ARRAY_SIZE(pair_timer_cases);
