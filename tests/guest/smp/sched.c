/* SPDX-License-Identifier: BSD-2-Clause */
/* Which thread runs where: affinity, stealing, placement; life and death on all CPUs at once. */
#include "tests/guest/smp/cases.h"

/* --- every CPU runs threads --- */

#define TURNS 200

struct pair {
    unsigned cpu, turn;
};

static struct pair pairs[CPUS_MAX];

static void take_turns(struct pair *p, unsigned me)
{
    pin(p->cpu);
    for (unsigned i = 0; i < TURNS; i++) {
        while (load_acquire(&p->turn) % 2 != me) {
            if (cpu_id() != p->cpu)
                complain("a thread of CPU %u is on CPU %u", p->cpu, cpu_id());
            thread_yield();
        }
        store_release(&p->turn, p->turn + 1);
    }
}

static void even(void *arg)
{
    take_turns(arg, 0);
}

static void odd(void *arg)
{
    take_turns(arg, 1);
}

/* A turn is given to another thread of the same CPU, so each costs a switch there. */
static void test_every_cpu_switches_between_its_threads(void)
{
    struct thread_stats before, after;
    struct thread *t[2 * CPUS_MAX];
    unsigned cpus = nr_cpus();

    thread_get_stats(&before);
    for (unsigned i = 0; i < cpus; i++) {
        pairs[i] = (struct pair){.cpu = i};
        t[2 * i] = start(PRIO_NORMAL, even, &pairs[i]);
        t[2 * i + 1] = start(PRIO_NORMAL, odd, &pairs[i]);
    }
    join_all(t, 2 * cpus);
    thread_get_stats(&after);
    for (unsigned i = 0; i < cpus; i++)
        CHECK_EQ(pairs[i].turn, 2 * TURNS);
    CHECK(after.switches - before.switches >= cpus * 2UL * (TURNS - 1));
}

/* --- affinity --- */

static void test_a_thread_that_pins_itself_is_there_at_once(void)
{
    unsigned cpus = nr_cpus();

    for (unsigned i = 0; i < 100 * cpus; i++) {
        pin(i % cpus);
        CHECK_EQ(cpu_id(), i % cpus);
    }
}

static void test_a_running_thread_moves_with_its_affinity(void)
{
    struct spinner s = {.stop = false};
    struct thread *t = start(PRIO_LOW, spin_until_stopped, &s);

    for (unsigned i = 0; i < 10 * nr_cpus(); i++) {
        unsigned cpu = i % nr_cpus();
        unsigned long count;

        allow_only(t, cpu);
        if (!comes_true(s.cpu == cpu))
            complain("round %u: it is on CPU %u, not %u", i, s.cpu, cpu);
        count = s.count;
        if (!comes_true(s.count > count))
            complain("round %u: it does not run on CPU %u", i, cpu);
        if (s.cpu != cpu)
            complain("round %u: it left CPU %u for %u", i, cpu, s.cpu);
    }
    stop_all(&s, &t, 1);
}

/* Where it ran first. */
static void note_cpu(void *arg)
{
    store_release((unsigned *)arg, cpu_id());
}

#define NOWHERE CPU_MAX

/* It is ready on CPU 1 and does not run there, since a more urgent one does. */
static struct thread *start_stuck(unsigned *where)
{
    struct thread *t;

    *where = NOWHERE;
    pin(1);
    t = start(PRIO_LOW, note_cpu, where); /* inherits the affinity; we run on */
    pin(0);
    return t;
}

/* On CPU 1; alone there afterwards, above all others. */
static struct thread *start_urgent(struct spinner *s)
{
    struct thread *t = start(PRIO_HIGH, spin_until_stopped, s);

    allow_only(t, 1);
    while (s->cpu != 1 || s->count == 0)
        sleep_for(MS);
    return t;
}

static bool is_run(const unsigned *where)
{
    return comes_true(load_acquire(where) != NOWHERE);
}

/* Without giving our CPU away: another one has to come for it, if there is one. */
static bool is_taken(const unsigned *where)
{
    nsec_t end = time_now() + PATIENCE;

    if (nr_cpus() == 2)
        return is_run(where);
    while (load_acquire(where) == NOWHERE && time_now() < end)
        cpu_relax();
    return load_acquire(where) != NOWHERE;
}

static void move_ready_thread(void (*allow)(struct thread *t),
                              bool (*happens)(const unsigned *where))
{
    struct spinner s = {.stop = false};
    unsigned where;
    struct thread *urgent, *t;
    bool ran;

    thread_set_prio(thread_current(), PRIO_DRIVER);
    pin(0);
    urgent = start_urgent(&s);
    t = start_stuck(&where);
    sleep_for(5 * MS);
    if (where != NOWHERE)
        complain("a less urgent thread ran on CPU %u", where);
    allow(t);
    ran = happens(&where);
    stop_all(&s, &urgent, 1);
    thread_join(t);
    thread_set_prio(thread_current(), PRIO_NORMAL);
    if (!ran)
        complain("it was not taken from the busy CPU");
    else if (where == 1)
        complain("it ran on the busy CPU");
}

static void allow_first(struct thread *t)
{
    allow_only(t, 0);
}

static void test_a_ready_thread_moves_with_its_affinity(void)
{
    move_ready_thread(allow_first, is_run);
}

static void test_a_ready_thread_that_may_go_elsewhere_goes_to_an_idle_cpu(void)
{
    move_ready_thread(allow_all, is_taken);
}

static struct waitq gate = WAITQ_INIT(gate);
static unsigned gate_round;

struct visitor {
    unsigned cpu, rounds;
};

/* At every round it must be where it was told to be. */
static void visit(void *arg)
{
    struct visitor *v = arg;

    for (unsigned round = 1; round <= v->rounds; round++) {
        (void)!wait_until(&gate, load_acquire(&gate_round) >= round, NEVER);
        store_release(&v->cpu, cpu_id());
        (void)!wait_until(&gate, load_acquire(&v->cpu) == NOWHERE, NEVER);
    }
}

static void test_a_sleeping_thread_wakes_where_it_then_may(void)
{
    struct visitor v = {.cpu = NOWHERE, .rounds = 20 * nr_cpus()};
    struct thread *t;

    gate_round = 0;
    t = start(PRIO_NORMAL, visit, &v);
    for (unsigned round = 1; round <= v.rounds; round++) {
        unsigned cpu = round % nr_cpus();

        sleep_for(MS / 10);
        allow_only(t, cpu);
        store_release(&gate_round, round);
        waitq_wake_all(&gate);
        if (!comes_true(load_acquire(&v.cpu) != NOWHERE))
            panic("round %u: the thread never woke", round);
        if (v.cpu != cpu)
            complain("round %u: it woke on CPU %u, not %u", round, v.cpu, cpu);
        store_release(&v.cpu, NOWHERE);
        waitq_wake_all(&gate);
    }
    thread_join(t);
}

static void test_new_threads_inherit_where_they_may_run(void)
{
    for (unsigned i = 0; i < 4 * nr_cpus(); i++) {
        unsigned where = NOWHERE;

        pin(i % nr_cpus());
        thread_join(start(PRIO_NORMAL, note_cpu, &where));
        CHECK_EQ(where, i % nr_cpus());
    }
}

/* --- nobody waits while a CPU is idle --- */

static bool all_elsewhere(const struct spinner *s, unsigned n)
{
    struct cpumask used = {{0}};

    for (unsigned i = 0; i < n; i++)
        if (s[i].count == 0 || cpumask_add(&used, s[i].cpu))
            return false;
    return true;
}

static void spread(bool from_one)
{
    struct spinner s[CPUS_MAX] = {0};
    struct thread *t[CPUS_MAX];
    unsigned cpus = nr_cpus();
    bool is_spread;

    if (from_one)
        pin(0);
    for (unsigned i = 0; i < cpus; i++)
        t[i] = start(PRIO_LOW, spin_until_stopped, &s[i]);
    for (unsigned i = 0; i < cpus && from_one; i++)
        allow_all(t[i]);
    is_spread = comes_true(all_elsewhere(s, cpus));
    for (unsigned i = 0; i < cpus && is_spread; i++)
        if (!makes_progress(&s[i]))
            complain("spinner %u does not run", i);
    stop_all(s, t, cpus);
    if (!is_spread)
        complain("some share a CPU");
}

static void test_as_many_spinners_as_cpus_have_one_each(void)
{
    for (int i = 0; i < 5; i++)
        spread(false);
}

static void test_spinners_that_begin_on_one_cpu_spread(void)
{
    for (int i = 0; i < 5; i++)
        spread(true);
}

static void test_more_spinners_than_cpus_all_make_progress(void)
{
    struct spinner s[3 * CPUS_MAX + 1] = {0};
    struct thread *t[3 * CPUS_MAX + 1];
    unsigned n = 3 * nr_cpus() + 1;

    for (unsigned i = 0; i < n; i++)
        t[i] = start(PRIO_LOW, spin_until_stopped, &s[i]);
    for (unsigned i = 0; i < 2 * n && !complained(); i++)
        if (!makes_progress(&s[i % n]))
            complain("spinner %u of %u does not run", i % n, n);
    stop_all(s, t, n);
}

static void do_nothing(void *arg)
{
    (void)arg;
}

/* Until nobody is ready on (cpu): then the least urgent had its turn. The caller is pinned
 * elsewhere and more urgent, so that what it starts does not run before it is there. */
static void wait_for_calm(unsigned cpu)
{
    struct thread *t = start(PRIO_LOW, do_nothing, NULL);

    allow_only(t, cpu);
    thread_join(t);
}

/* It was on CPU 1 last, but an equal keeps that one busy. */
static void test_a_woken_urgent_thread_displaces_a_less_urgent_one_elsewhere(void)
{
    pin(0);
    for (unsigned round = 0; round < 20 && !complained(); round++) {
        struct spinner s[CPUS_MAX] = {0};
        struct visitor v = {.cpu = NOWHERE, .rounds = 1};
        struct thread *t[CPUS_MAX], *urgent;
        bool ran;

        gate_round = 0;
        thread_set_prio(thread_current(), PRIO_DRIVER);
        urgent = start(PRIO_HIGH, visit, &v);
        allow_only(urgent, 1);
        wait_for_calm(1); /* it blocks there */
        allow_all(urgent);
        for (unsigned i = 0; i < nr_cpus(); i++) {
            t[i] = start(i == 1 ? PRIO_HIGH : PRIO_LOW, spin_until_stopped, &s[i]);
            allow_only(t[i], i);
        }
        for (unsigned i = 0; i < nr_cpus(); i++)
            if (i != 0 && !comes_true(s[i].cpu == i && s[i].count > 0))
                complain("spinner %u does not run on its CPU", i);
        thread_set_prio(thread_current(), PRIO_NORMAL); /* we may be displaced as well */
        store_release(&gate_round, 1);
        waitq_wake_all(&gate);
        ran = comes_true(load_acquire(&v.cpu) != NOWHERE);
        if (!ran)
            complain("round %u: it does not run", round);
        else if (v.cpu == 1)
            complain("round %u: it shared the CPU of its equal", round);
        stop_all(s, t, nr_cpus());
        store_release(&v.cpu, NOWHERE);
        waitq_wake_all(&gate);
        thread_join(urgent);
    }
}

/* --- life and death --- */

#define CHILDREN 60

static unsigned born;

static void be_born(void *arg)
{
    atomic_add((unsigned *)arg, 1);
}

/* A thread's end is waited for at once, later, or by nobody. */
static void have_children(void *arg)
{
    struct thread *held[8] = {NULL};
    uint32_t random = (uint32_t)(uintptr_t)arg;

    for (unsigned i = 0; i < CHILDREN; i++) {
        struct thread *t = start((enum prio)(PRIO_LOW + i % 3), be_born, &born);
        unsigned slot = next_random(&random) % 8;

        if (i % 3 == 0) {
            thread_detach(t);
        } else if (i % 3 == 1) {
            thread_join(t);
        } else {
            if (held[slot])
                thread_join(held[slot]);
            held[slot] = t;
        }
    }
    for (unsigned i = 0; i < 8; i++)
        if (held[i])
            thread_join(held[i]);
}

static void test_threads_are_made_joined_and_left_by_all_cpus_at_once(void)
{
    struct thread *t[2 * CPUS_MAX];
    unsigned n = MAX(nr_cpus(), 4U);

    born = 0;
    for (unsigned i = 0; i < n; i++)
        t[i] = start(PRIO_NORMAL, have_children, (void *)(uintptr_t)(i + 1));
    join_all(t, n);
    CHECK(comes_true(load_acquire(&born) == n * CHILDREN));
}

const struct test_case sched_cases[] = {
    CASE(every_cpu_switches_between_its_threads),
    CASE(a_thread_that_pins_itself_is_there_at_once),
    CASE(a_running_thread_moves_with_its_affinity),
    CASE(a_sleeping_thread_wakes_where_it_then_may),
    CASE(new_threads_inherit_where_they_may_run),
    CASE(as_many_spinners_as_cpus_have_one_each),
    CASE(more_spinners_than_cpus_all_make_progress),
    CASE(threads_are_made_joined_and_left_by_all_cpus_at_once),
};
const size_t nr_sched_cases = ARRAY_SIZE(sched_cases);

const struct test_case pair_sched_cases[] = {
    CASE(a_ready_thread_moves_with_its_affinity),
    CASE(a_ready_thread_that_may_go_elsewhere_goes_to_an_idle_cpu),
    CASE(spinners_that_begin_on_one_cpu_spread),
    CASE(a_woken_urgent_thread_displaces_a_less_urgent_one_elsewhere),
};
const size_t nr_pair_sched_cases = ARRAY_SIZE(pair_sched_cases);
