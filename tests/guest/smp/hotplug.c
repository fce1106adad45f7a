/* SPDX-License-Identifier: BSD-2-Clause */
/* CPUs that go and come back, alone and under load. All cases need two. */
#include <arch/boot.h>
#include "kernel/evtchn.h"
#include "kernel/mutex.h"
#include "tests/guest/smp/cases.h"

#define MYSELF 0 /* our domain number */

static void go(unsigned cpu)
{
    int rc = cpus_take_down(cpu);

    if (rc != 0)
        panic("CPU %u does not stop: %d", cpu, rc);
    if (cpumask_has(cpus_online(), cpu))
        complain("CPU %u is online after cpus_take_down", cpu);
}

static void come(unsigned cpu)
{
    int rc = cpus_bring_up(cpu);

    if (rc != 0)
        panic("CPU %u does not start: %d", cpu, rc);
    if (!cpumask_has(cpus_online(), cpu))
        complain("CPU %u is offline after cpus_bring_up", cpu);
}

static void test_nonsense_numbers_and_the_first_cpu_are_refused(void)
{
    unsigned before = cpus_count();

    CHECK_EQ(cpus_take_down(0), -EBUSY);
    CHECK_EQ(cpus_take_down(cpus_possible()), -EINVAL);
    CHECK_EQ(cpus_take_down(CPU_MAX), -EINVAL);
    CHECK_EQ(cpus_take_down(~0U), -EINVAL);
    CHECK_EQ(cpus_bring_up(cpus_possible()), -EINVAL);
    CHECK_EQ(cpus_bring_up(CPU_MAX), -EINVAL);
    CHECK_EQ(cpus_bring_up(~0U), -EINVAL);
    CHECK_EQ(cpus_bring_up(0), 0);
    CHECK_EQ(cpus_bring_up(1), 0);
    CHECK_EQ(cpus_count(), before);
}

static void note_cpu(void *arg)
{
    store_release((unsigned *)arg, cpu_id());
}

static void note_cpu_of_call(void *arg)
{
    *(unsigned *)arg = cpu_id();
}

static void test_each_cpu_goes_and_comes_back(void)
{
    unsigned cpus = cpus_count();

    for (unsigned cpu = 1; cpu < nr_cpus(); cpu++) {
        unsigned where = CPU_MAX;

        go(cpu);
        CHECK_EQ(cpus_count(), cpus - 1);
        CHECK(!arch_cpu_is_up(cpu));
        CHECK_EQ(cpus_take_down(cpu), 0);
        CHECK_EQ(cpus_call(cpu, note_cpu_of_call, &where), -EINVAL);
        CHECK_EQ(where, CPU_MAX);
        come(cpu);
        CHECK_EQ(cpus_count(), cpus);
        CHECK_EQ(cpus_call(cpu, note_cpu_of_call, &where), 0);
        CHECK_EQ(where, cpu);
        pin(cpu);
        CHECK_EQ(cpu_id(), cpu);
        allow_all(thread_current());
    }
}

static void test_one_cpu_alone_goes_on(void)
{
    unsigned cpus = nr_cpus(), where = CPU_MAX;

    for (unsigned cpu = 1; cpu < cpus; cpu++)
        go(cpu);
    CHECK_EQ(cpus_count(), 1);
    thread_join(start(PRIO_LOW, note_cpu, &where));
    CHECK_EQ(where, 0);
    for (unsigned cpu = 1; cpu < cpus; cpu++)
        come(cpu);
    CHECK_EQ(nr_cpus(), cpus);
}

/* A thread may take its own CPU away from under itself. */
static void test_a_thread_takes_the_cpu_down_that_it_runs_on(void)
{
    for (unsigned cpu = 1; cpu < nr_cpus(); cpu++) {
        pin(cpu);
        CHECK_EQ(cpu_id(), cpu);
        go(cpu);
        CHECK(cpu_id() != cpu);
        come(cpu);
        allow_all(thread_current());
    }
}

/* --- threads whose CPUs are all offline --- */

static void test_a_spinner_without_its_cpu_runs_elsewhere_and_returns(void)
{
    for (unsigned cpu = 1; cpu < nr_cpus() && !complained(); cpu++) {
        struct spinner s = {.stop = false};
        struct thread *t = start(PRIO_LOW, spin_until_stopped, &s);
        struct cpumask kept;

        allow_only(t, cpu);
        if (!comes_true(s.cpu == cpu && s.count > 0))
            complain("it does not run on CPU %u", cpu);
        go(cpu);
        if (!makes_progress(&s) || s.cpu == cpu)
            complain("it does not run without CPU %u", cpu);
        thread_get_affinity(t, &kept);
        come(cpu);
        if (!comes_true(s.cpu == cpu))
            complain("it does not return to CPU %u", cpu);
        stop_all(&s, &t, 1);
        if (cpumask_count(&kept) != 1 || !cpumask_has(&kept, cpu))
            complain("its affinity changed");
    }
}

struct guest {
    struct waitq q;
    unsigned asked, answered, cpu;
};

/* Says where it is when asked. */
static void answer(void *arg)
{
    struct guest *g = arg;

    for (unsigned i = 1; i <= 3; i++) {
        (void)!wait_until(&g->q, load_acquire(&g->asked) >= i, NEVER);
        store_relaxed(&g->cpu, cpu_id());
        store_release(&g->answered, i);
    }
}

static unsigned ask(struct guest *g)
{
    unsigned i = g->asked + 1;

    store_release(&g->asked, i);
    waitq_wake_all(&g->q);
    if (!comes_true(load_acquire(&g->answered) == i))
        panic("a sleeping thread was lost with its CPU");
    return g->cpu;
}

static void test_a_sleeper_without_its_cpu_wakes_elsewhere_and_returns(void)
{
    for (unsigned cpu = 1; cpu < nr_cpus(); cpu++) {
        struct guest g = {.asked = 0};
        struct thread *t;
        unsigned before, without, after;

        waitq_init(&g.q);
        t = start(PRIO_NORMAL, answer, &g);
        allow_only(t, cpu);
        before = ask(&g);
        go(cpu);
        without = ask(&g);
        come(cpu);
        after = ask(&g);
        thread_join(t);
        CHECK_EQ(before, cpu);
        CHECK(without != cpu);
        CHECK_EQ(after, cpu);
    }
}

/* --- what belonged to the CPU --- */

struct alarm {
    struct timer timer;
    unsigned cpu, fired;
};

static void ring(struct timer *t)
{
    struct alarm *a = CONTAINER_OF(t, struct alarm, timer);

    a->cpu = cpu_id();
    store_release(&a->fired, a->fired + 1);
}

static void test_timers_of_a_cpu_that_goes_fire_elsewhere(void)
{
    for (unsigned cpu = 1; cpu < nr_cpus(); cpu++) {
        struct alarm soon = {.fired = 0}, late = {.fired = 0};
        bool was_armed;

        timer_init(&soon.timer, ring);
        timer_init(&late.timer, ring);
        pin(cpu);
        timer_set(&late.timer, time_now() + 10 * PATIENCE);
        timer_set(&soon.timer, time_now() + 20 * MS);
        pin(0);
        go(cpu);
        if (!comes_true(load_acquire(&soon.fired) == 1))
            complain("the timer was lost with CPU %u", cpu);
        timer_set(&soon.timer, time_now()); /* its queue is that of a CPU which is down, or 0 */
        if (!comes_true(load_acquire(&soon.fired) == 2))
            complain("the timer cannot be set again without CPU %u", cpu);
        come(cpu);
        was_armed = timer_cancel(&late.timer);
        (void)timer_cancel(&soon.timer);
        CHECK(was_armed);
        CHECK_EQ(late.fired, 0);
        pin(cpu); /* its timer works as before */
        sleep_for(MS);
        CHECK_EQ(cpu_id(), cpu);
        allow_all(thread_current());
    }
}

/* Events of one port: a number that grows, and how far it was seen. */
struct line {
    port_t near, far;
    unsigned sent, seen;
};

static void ignore(port_t port, void *arg)
{
    (void)arg;
    evtchn_eoi(port, true);
}

static void hear(port_t port, void *arg)
{
    struct line *l = arg;

    store_release(&l->seen, load_acquire(&l->sent));
    evtchn_eoi(port, true);
}

static void open_line(struct line *l)
{
    *l = (struct line){.sent = 0};
    if (evtchn_alloc_unbound(MYSELF, ignore, l, &l->near) != 0 ||
        evtchn_bind_interdomain(MYSELF, l->near, hear, l, &l->far) != 0)
        panic("no channel");
}

static void close_line(struct line *l)
{
    evtchn_unbind(l->far);
    evtchn_unbind(l->near);
}

static bool is_heard(struct line *l)
{
    unsigned n = atomic_add(&l->sent, 1);

    (void)evtchn_notify(l->near);
    return comes_true(load_acquire(&l->seen) >= n);
}

static void test_ports_of_a_cpu_that_goes_are_served_elsewhere(void)
{
    struct line l;

    open_line(&l);
    for (unsigned cpu = 1; cpu < nr_cpus(); cpu++) {
        if (evtchn_set_cpu(l.far, cpu) != 0 || !is_heard(&l))
            complain("the port does not work on CPU %u", cpu);
        go(cpu);
        if (!is_heard(&l))
            complain("the port was lost with CPU %u", cpu);
        if (evtchn_set_cpu(l.far, cpu) != -EINVAL)
            complain("a port can be given to CPU %u, which is offline", cpu);
        come(cpu);
        if (!is_heard(&l) || evtchn_set_cpu(l.far, cpu) != 0 || !is_heard(&l))
            complain("the port does not work after CPU %u came back", cpu);
    }
    close_line(&l);
}

/* --- all of it under load --- */

#define STORM_ROUNDS 12

static bool storm_over;
static struct mutex m = MUTEX_INIT(m);
static struct spinlock lock = SPINLOCK_INIT;
static volatile unsigned long by_mutex[2], by_lock[2];

/* One of each kind for every CPU that goes. */
struct load {
    unsigned cpu;
    unsigned long rounds; /* of each of its threads together */
    struct line line;
    struct alarm alarm;
    struct waitq q[2];
    unsigned ball[2];
};

static struct load loads[CPUS_MAX];

static bool goes_on(struct load *l)
{
    atomic_add(&l->rounds, 1);
    return !load_acquire(&storm_over);
}

static void sleep_on_and_on(void *arg)
{
    struct load *l = arg;

    pin(l->cpu);
    while (goes_on(l)) {
        nsec_t deadline = time_now() + MS;

        thread_sleep_until(deadline);
        if (time_now() < deadline)
            complain("a sleeper of CPU %u woke early", l->cpu);
        if (time_now() > deadline + PATIENCE)
            complain("a sleeper of CPU %u slept too long", l->cpu);
    }
}

static void lock_on_and_on(void *arg)
{
    struct load *l = arg;

    pin(l->cpu);
    while (goes_on(l)) {
        irqstate_t irq;

        mutex_lock(&m);
        if (by_mutex[0] != by_mutex[1])
            complain("two own the mutex");
        by_mutex[0]++;
        thread_yield();
        by_mutex[1]++;
        mutex_unlock(&m);
        irq = spin_lock(&lock);
        if (by_lock[0] != by_lock[1])
            complain("two hold the spinlock");
        by_lock[0]++;
        by_lock[1]++;
        spin_unlock(&lock, irq);
    }
}

static void spin_on_and_on(void *arg)
{
    struct load *l = arg;

    pin(l->cpu);
    while (goes_on(l))
        spin_for(MS / 10);
}

static void set_timers_on_and_on(void *arg)
{
    struct load *l = arg;

    pin(l->cpu);
    timer_init(&l->alarm.timer, ring);
    while (goes_on(l)) {
        unsigned before = load_acquire(&l->alarm.fired);

        timer_set(&l->alarm.timer, time_now() + MS / 2);
        if (!comes_true(load_acquire(&l->alarm.fired) == before + 1))
            complain("a timer of CPU %u was lost", l->cpu);
    }
    (void)timer_cancel(&l->alarm.timer);
}

static void notify_on_and_on(void *arg)
{
    struct load *l = arg;

    pin(l->cpu);
    while (goes_on(l)) {
        (void)!evtchn_set_cpu(l->line.far, l->cpu); /* refused while it is away */
        if (!is_heard(&l->line))
            complain("an event of CPU %u was lost", l->cpu);
    }
}

#define END (~0U)

static void give_ball(struct load *l, unsigned me, unsigned ball)
{
    store_release(&l->ball[me], ball);
    waitq_wake_all(&l->q[!me]);
}

/* Two that wake each other, number 1 on the CPU that goes, number 0 anywhere; 1 ends it. */
static void play(struct load *l, unsigned me)
{
    for (unsigned i = 1; load_acquire(&l->ball[!me]) != END; i++) {
        if (me == 1 && !goes_on(l))
            break;
        give_ball(l, me, i);
        if (wait_until(&l->q[me], load_acquire(&l->ball[!me]) >= i, time_now() + PATIENCE) != 0) {
            complain("wake-up %u of number %u of CPU %u was lost", i, me, l->cpu);
            break;
        }
    }
    give_ball(l, me, END);
}

static void play_here(void *arg)
{
    struct load *l = arg;

    pin(l->cpu);
    play(l, 1);
}

static void play_anywhere(void *arg)
{
    struct load *l = arg;

    play(l, 0);
}

static void (*const kinds[])(void *arg) = {
    sleep_on_and_on,      lock_on_and_on,   spin_on_and_on, lock_on_and_on,
    set_timers_on_and_on, notify_on_and_on, play_here,      play_anywhere,
};

static void run_storm(unsigned cpus)
{
    unsigned long before[CPUS_MAX];

    for (unsigned round = 0; round < STORM_ROUNDS && !complained(); round++) {
        for (unsigned cpu = 1; cpu < cpus; cpu++) {
            before[cpu] = load_acquire(&loads[cpu].rounds);
            go(cpu);
            if (round % 3 == 0 && !comes_true(load_acquire(&loads[cpu].rounds) > before[cpu] + 20))
                complain("round %u: nothing goes on without CPU %u", round, cpu);
            if (round % 2 == 0)
                come(cpu); /* else when all are away */
        }
        for (unsigned cpu = 1; cpu < cpus; cpu++)
            come(cpu);
        sleep_for(MS);
    }
}

static void test_cpus_go_and_come_while_everything_runs_on_them(void)
{
    struct thread *t[CPUS_MAX * ARRAY_SIZE(kinds)];
    unsigned cpus = MIN(nr_cpus(), 8U), n = 0;

    store_relaxed(&storm_over, false);
    by_mutex[0] = by_mutex[1] = by_lock[0] = by_lock[1] = 0;
    for (unsigned cpu = 1; cpu < cpus; cpu++) {
        struct load *l = &loads[cpu];

        *l = (struct load){.cpu = cpu};
        waitq_init(&l->q[0]);
        waitq_init(&l->q[1]);
        open_line(&l->line);
        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
            t[n++] = start(PRIO_LOW, kinds[i], l);
    }
    run_storm(cpus);
    store_release(&storm_over, true);
    join_all(t, n);
    for (unsigned cpu = 1; cpu < cpus; cpu++)
        close_line(&loads[cpu].line);
    CHECK_EQ(by_mutex[0], by_mutex[1]);
    CHECK_EQ(by_lock[0], by_lock[1]);
    CHECK(by_lock[0] > 0);
}

/* Calls and CPUs that go exclude each other. */
static void call_on_and_on(void *arg)
{
    unsigned where;

    while (!load_acquire(&storm_over)) {
        for (unsigned cpu = 0; cpu < cpus_known(); cpu++) {
            where = CPU_MAX;
            if (cpus_call(cpu, note_cpu_of_call, &where) == 0 && where != cpu)
                complain("a call to CPU %u ran on %u", cpu, where);
        }
        atomic_add((unsigned *)arg, 1);
    }
}

static void test_cpus_go_and_come_while_they_are_called(void)
{
    struct thread *t[2];
    unsigned calls = 0;

    store_relaxed(&storm_over, false);
    for (unsigned i = 0; i < 2; i++)
        t[i] = start(PRIO_NORMAL, call_on_and_on, &calls);
    for (unsigned i = 0; i < 10 * (nr_cpus() - 1); i++) {
        go(1 + i % (cpus_possible() - 1));
        come(1 + i % (cpus_possible() - 1));
    }
    (void)comes_true(load_acquire(&calls) > 10);
    store_release(&storm_over, true);
    join_all(t, 2);
    CHECK(calls > 10);
}

const struct test_case pair_hotplug_cases[] = {
    CASE(nonsense_numbers_and_the_first_cpu_are_refused),
    CASE(each_cpu_goes_and_comes_back),
    CASE(one_cpu_alone_goes_on),
    CASE(a_thread_takes_the_cpu_down_that_it_runs_on),
    CASE(a_spinner_without_its_cpu_runs_elsewhere_and_returns),
    CASE(a_sleeper_without_its_cpu_wakes_elsewhere_and_returns),
    CASE(timers_of_a_cpu_that_goes_fire_elsewhere),
    CASE(ports_of_a_cpu_that_goes_are_served_elsewhere),
    CASE(cpus_go_and_come_while_everything_runs_on_them),
    CASE(cpus_go_and_come_while_they_are_called),
};
const size_t nr_pair_hotplug_cases = ARRAY_SIZE(pair_hotplug_cases);
