/* SPDX-License-Identifier: BSD-2-Clause */
/* Who runs when: life and death of threads, priorities, slices, sleeping, preemption. */
#include "kernel/wait.h"
#include "tests/guest/kernel-threads/cases.h"

static unsigned runs;

static void count_run(void *arg)
{
    (void)arg;
    atomic_add(&runs, 1);
}

static void test_two_thousand_threads_are_made_and_joined(void)
{
    runs = 0;
    for (unsigned i = 0; i < 2000; i++)
        thread_join(start(PRIO_NORMAL, count_run, NULL));
    CHECK_EQ(runs, 2000);
}

static struct waitq gate = WAITQ_INIT(gate);
static bool gate_open;
static unsigned looks; /* who found the gate closed once does not look again before he is woken */

static bool look_at_gate(void)
{
    bool open = load_acquire(&gate_open);

    atomic_add(&looks, 1);
    return open;
}

static void pass_gate(void *arg)
{
    (void)arg;
    (void)!wait_until(&gate, look_at_gate(), NEVER);
    atomic_add(&runs, 1);
}

static void test_five_hundred_threads_wait_at_a_gate_and_all_pass_it(void)
{
    static struct thread *t[500];

    runs = 0;
    gate_open = false;
    for (size_t i = 0; i < 500; i++)
        t[i] = start(i % 2 ? PRIO_LOW : PRIO_HIGH, pass_gate, NULL);
    sleep_for(5 * MS);
    CHECK_EQ(runs, 0);
    store_release(&gate_open, true);
    waitq_wake_all(&gate);
    join_all(t, 500);
    CHECK_EQ(runs, 500);
}

static void test_wake_one_wakes_exactly_one(void)
{
    struct thread *t[4];

    runs = looks = 0;
    gate_open = false;
    for (size_t i = 0; i < 4; i++)
        t[i] = start(PRIO_HIGH, pass_gate, NULL);
    while (load_acquire(&looks) < 4)
        sleep_for(MS);
    store_release(&gate_open, true);
    for (unsigned i = 1; i <= 4; i++) {
        waitq_wake_one(&gate);
        while (load_acquire(&runs) < i)
            sleep_for(MS);
        sleep_for(2 * MS);
        CHECK_EQ(runs, i);
    }
    join_all(t, 4);
}

static void test_detached_threads_free_themselves(void)
{
    runs = 0;
    for (unsigned i = 0; i < 300; i++)
        thread_detach(start(i % 2 ? PRIO_HIGH : PRIO_LOW, count_run, NULL));
    for (int i = 0; i < 200 && load_relaxed(&runs) < 300; i++)
        sleep_for(5 * MS);
    CHECK_EQ(runs, 300);
}

static void test_threads_may_end_by_thread_exit_and_know_their_name(void)
{
    struct thread *t;
    char name[32] = "";

    CHECK_EQ(thread_create("a name that is much too long", PRIO_LOW, 0, count_run, NULL, &t), 0);
    strcpy(name, thread_name(t));
    thread_join(t);
    CHECK(strcmp(name, "a name that is ") == 0);
}

static void test_a_more_urgent_thread_runs_at_once(void)
{
    struct thread *t;

    runs = 0;
    t = start(PRIO_HIGH, count_run, NULL);
    CHECK_EQ(runs, 1);
    thread_join(t);
}

static void test_a_less_urgent_thread_waits_until_we_sleep(void)
{
    struct thread *t;
    unsigned before, after;

    runs = 0;
    t = start(PRIO_LOW, count_run, NULL);
    spin_for(50 * MS);
    before = runs;
    sleep_for(20 * MS);
    after = runs;
    thread_join(t);
    CHECK_EQ(before, 0);
    CHECK_EQ(after, 1);
}

static void test_a_raised_thread_runs_at_once_and_a_lowered_one_stops(void)
{
    struct thread *t;

    runs = 0;
    t = start(PRIO_LOW, count_run, NULL);
    thread_set_prio(t, PRIO_HIGH);
    CHECK_EQ(runs, 1);
    thread_join(t);
    t = start(PRIO_LOW, count_run, NULL);
    thread_set_prio(thread_current(), PRIO_IDLE);
    CHECK_EQ(runs, 2);
    thread_set_prio(thread_current(), PRIO_NORMAL);
    thread_join(t);
}

/* Three that never give the CPU away, below us. Each must get a good part of it. */
static void test_spinning_equals_share_the_cpu(void)
{
    volatile bool stop = false;
    struct spinner s[3] = {{&stop, 0}, {&stop, 0}, {&stop, 0}};
    struct thread *t[3];
    bool fair;

    for (size_t i = 0; i < 3; i++)
        t[i] = start(PRIO_LOW, spin_until_stopped, &s[i]);
    fair = all_get_their_share(s, 3);
    stop = true;
    join_all(t, 3);
    CHECK(fair);
}

static void wake_often(void *arg)
{
    volatile bool *stop = arg;
    while (!*stop) {
        spin_for(6 * MS); /* slices end meanwhile */
        sleep_for(6 * MS);
    }
}

static void test_equals_share_the_cpu_below_a_busy_periodic_thread(void)
{
    volatile bool stop = false;
    struct spinner s[2] = {{&stop, 0}, {&stop, 0}};
    struct thread *t[3] = {start(PRIO_HIGH, wake_often, (void *)&stop)};
    bool fair;

    for (size_t i = 0; i < 2; i++)
        t[i + 1] = start(PRIO_LOW, spin_until_stopped, &s[i]);
    fair = all_get_their_share(s, 2);
    stop = true;
    join_all(t, 3);
    CHECK(fair);
}

struct patient {
    volatile bool stop, gave_up;
};

static void spin_at_most_10_s(void *arg)
{
    struct patient *p = arg;
    nsec_t end = time_now() + 10 * NSEC_PER_SEC;

    while (!p->stop && time_now() < end)
        ;
    p->gave_up = !p->stop;
}

static void sleep_20_ms(void *arg)
{
    (void)arg;
    sleep_for(20 * MS);
}

/* The ending thread is followed by the one that it preempted, which spins; no timer is armed. The
 * joiner is more urgent than that and must not wait for it. */
static void test_the_joiner_of_an_ended_thread_runs_before_less_urgent_ones(void)
{
    struct patient p = {false, false};
    struct thread *ending = start(PRIO_HIGH, sleep_20_ms, NULL);
    struct thread *spinner = start(PRIO_LOW, spin_at_most_10_s, &p);

    thread_join(ending);
    p.stop = true;
    thread_join(spinner);
    CHECK(!p.gave_up);
}

static struct waitq storm = WAITQ_INIT(storm);
static bool struck;

static void strike(struct timer *t)
{
    (void)t;
    store_release(&struck, true);
    waitq_wake_all(&storm);
}

static void await_strike(void *arg)
{
    nsec_t *when = arg;

    (void)!wait_until(&storm, load_acquire(&struck), NEVER);
    *when = time_now();
}

static void test_nobody_preempts_while_preemption_is_off(void)
{
    struct timer timer;
    volatile nsec_t when = 0;
    struct thread *t;
    nsec_t off_until;
    bool early;

    struck = false;
    timer_init(&timer, strike);
    t = start(PRIO_HIGH, await_strike, (void *)&when);
    preempt_disable();
    preempt_disable();
    timer_set(&timer, time_now() + 2 * MS);
    spin_for(30 * MS);
    preempt_enable();
    spin_for(5 * MS);
    early = when != 0;
    off_until = time_now();
    preempt_enable();
    CHECK(!early);
    CHECK(struck);
    CHECK(when >= off_until); /* at once */
    thread_join(t);
}

static void test_a_handlers_wake_up_preempts_a_spinning_thread(void)
{
    struct timer timer;
    volatile nsec_t when = 0;
    struct thread *t;

    struck = false;
    timer_init(&timer, strike);
    t = start(PRIO_HIGH, await_strike, (void *)&when);
    timer_set(&timer, time_now() + MS);
    spin_for(100 * MS);
    CHECK(when != 0);
    thread_join(t);
}

static void test_a_wake_up_between_prepare_and_block_is_not_lost(void)
{
    for (int i = 0; i < 1000; i++) {
        thread_prepare_block();
        thread_wake(thread_current());
        CHECK_EQ(thread_block(time_now() + NSEC_PER_SEC), 0);
        thread_prepare_block();
        CHECK_EQ(thread_block(time_now() + 1000), -ETIMEDOUT);
    }
}

static unsigned turn;

/* All on one CPU: a turn is had by nobody who is not given it. */
static void take_turns(void *arg)
{
    unsigned me = (unsigned)(uintptr_t)arg;

    pin(0);
    for (unsigned i = 0; i < 500; i++) {
        while (load_relaxed(&turn) % 3 != me)
            thread_yield();
        store_relaxed(&turn, turn + 1);
    }
}

static void test_yielding_equals_take_turns(void)
{
    struct thread *t[3];

    turn = 0;
    for (uintptr_t i = 0; i < 3; i++)
        t[i] = start(PRIO_NORMAL, take_turns, (void *)i);
    join_all(t, 3);
    CHECK_EQ(turn, 1500);
}

/* A chain of threads, each woken by the one before it. */
struct link {
    struct waitq q;
    unsigned value;
};

static struct link chain[50];

static void relay(void *arg)
{
    size_t i = (size_t)arg;

    for (unsigned round = 1; round <= 100; round++) {
        (void)!wait_until(&chain[i].q, load_acquire(&chain[i].value) >= round, NEVER);
        if (i + 1 < 50) {
            store_release(&chain[i + 1].value, round);
            waitq_wake_one(&chain[i + 1].q);
        }
    }
}

static void test_five_thousand_wake_ups_pass_a_chain_of_threads(void)
{
    struct thread *t[50];

    for (size_t i = 0; i < 50; i++) {
        waitq_init(&chain[i].q);
        chain[i].value = 0;
        t[i] = start((enum prio)(PRIO_LOW + i % 4), relay, (void *)i);
    }
    for (unsigned round = 1; round <= 100; round++) {
        store_release(&chain[0].value, round);
        waitq_wake_all(&chain[0].q);
        if (round % 10 == 0)
            thread_yield();
    }
    join_all(t, 50);
    CHECK_EQ(chain[49].value, 100);
}

const struct test_case scheduler_cases[] = {
    CASE(two_thousand_threads_are_made_and_joined),
    CASE(five_hundred_threads_wait_at_a_gate_and_all_pass_it),
    CASE(wake_one_wakes_exactly_one),
    CASE(detached_threads_free_themselves),
    CASE(threads_may_end_by_thread_exit_and_know_their_name),
    CASE_ON_ONE_CPU(a_more_urgent_thread_runs_at_once),
    CASE_ON_ONE_CPU(a_less_urgent_thread_waits_until_we_sleep),
    CASE_ON_ONE_CPU(a_raised_thread_runs_at_once_and_a_lowered_one_stops),
    CASE_ON_ONE_CPU(spinning_equals_share_the_cpu),
    CASE_ON_ONE_CPU(equals_share_the_cpu_below_a_busy_periodic_thread),
    CASE_ON_ONE_CPU(the_joiner_of_an_ended_thread_runs_before_less_urgent_ones),
    CASE_ON_ONE_CPU(nobody_preempts_while_preemption_is_off),
    CASE_ON_ONE_CPU(a_handlers_wake_up_preempts_a_spinning_thread),
    CASE(a_wake_up_between_prepare_and_block_is_not_lost),
    CASE(yielding_equals_take_turns),
    CASE(five_thousand_wake_ups_pass_a_chain_of_threads),
};
const size_t nr_scheduler_cases = sizeof(scheduler_cases) / sizeof(scheduler_cases[0]);
