/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Events and calls between CPUs. Events may be merged, so what is sent is a number that grows: the
 * handler notes how far it has seen, and the last number must always arrive.
 */
#include <arch/irq.h>
#include "kernel/evtchn.h"
#include "tests/guest/smp/cases.h"

#define MYSELF 0 /* our domain number */
#define PORTS (CPUS_MAX + 2)

/* A channel from ourselves to ourselves: (near) notifies, (far) hears. */
struct channel {
    port_t near, far;
    unsigned sent, seen, calls;
    unsigned wanted_cpu; /* must be heard on this one; CPU_MAX: on any */
};

static struct channel channels[PORTS];

static void ignore(port_t port, void *arg)
{
    (void)arg;
    evtchn_eoi(port, true);
}

static void hear(port_t port, void *arg)
{
    struct channel *c = arg;

    if (!cpu_in_event() || irq_enabled())
        complain("a handler runs outside an upcall");
    if (c->wanted_cpu != CPU_MAX && cpu_id() != c->wanted_cpu)
        complain("a port of CPU %u is heard on CPU %u", c->wanted_cpu, cpu_id());
    atomic_add(&c->calls, 1);
    store_release(&c->seen, load_acquire(&c->sent));
    evtchn_eoi(port, true);
}

static void open_channel(struct channel *c)
{
    int rc = evtchn_alloc_unbound(MYSELF, ignore, c, &c->near);

    c->sent = c->seen = c->calls = 0;
    c->wanted_cpu = CPU_MAX;
    if (rc == 0)
        rc = evtchn_bind_interdomain(MYSELF, c->near, hear, c, &c->far);
    if (rc != 0)
        panic("no channel: %d", rc);
}

static void close_channel(struct channel *c)
{
    evtchn_unbind(c->far);
    evtchn_unbind(c->near);
}

static void send(struct channel *c)
{
    atomic_add(&c->sent, 1);
    if (evtchn_notify(c->near) != 0)
        complain("a notification was refused");
}

/* Whether all that was sent is seen soon; spins for the short ones. */
static bool all_seen(struct channel *c)
{
    for (unsigned i = 0; i < 200; i++) {
        if (load_acquire(&c->seen) == load_acquire(&c->sent))
            return true;
        thread_yield();
    }
    return comes_true(load_acquire(&c->seen) == load_acquire(&c->sent));
}

/* --- a port that moves --- */

static bool stop_moving;
static unsigned moves;

static void move_about(void *arg)
{
    struct channel *c = arg;
    uint32_t random = 5;

    while (!load_acquire(&stop_moving)) {
        unsigned cpu = next_random(&random) % nr_cpus();
        int rc = evtchn_set_cpu(c->far, cpu);

        if (rc != 0)
            complain("evtchn_set_cpu to CPU %u: %d", cpu, rc);
        moves++;
        if (moves % 8 == 0)
            sleep_for(MS / 10);
    }
}

static void send_while_it_moves(unsigned rounds, unsigned burst)
{
    struct channel *c = &channels[0];
    struct thread *t;

    open_channel(c);
    stop_moving = false;
    moves = 0;
    t = start(PRIO_NORMAL, move_about, c);
    for (unsigned i = 0; i < rounds && !complained(); i++) {
        for (unsigned k = 0; k < burst; k++)
            send(c);
        if (!all_seen(c))
            complain("round %u: %u of %u seen after %u moves", i, c->seen, c->sent, moves);
    }
    (void)comes_true(load_acquire(&moves) > 0);
    store_release(&stop_moving, true);
    thread_join(t);
    close_channel(c);
    CHECK(c->calls > 0);
}

static void test_no_event_is_lost_while_its_port_moves(void)
{
    send_while_it_moves(2500, 1);
}

static void test_no_burst_is_lost_while_its_port_moves(void)
{
    send_while_it_moves(500, 20);
}

static void test_a_port_is_heard_on_the_cpu_that_it_was_given(void)
{
    struct channel *c = &channels[0];

    open_channel(c);
    (void)comes_true(load_acquire(&c->calls) > 0); /* what binding sends */
    for (unsigned i = 0; i < 50 * nr_cpus() && !complained(); i++) {
        CHECK_EQ(evtchn_set_cpu(c->far, i % nr_cpus()), 0);
        c->wanted_cpu = i % nr_cpus();
        send(c);
        if (!all_seen(c))
            complain("round %u: the event did not arrive", i);
    }
    close_channel(c);
}

static void test_a_port_cannot_be_given_to_a_cpu_that_is_not_there(void)
{
    struct channel *c = &channels[0];
    int beyond, far_beyond;

    open_channel(c);
    beyond = evtchn_set_cpu(c->far, cpus_possible());
    far_beyond = evtchn_set_cpu(c->far, ~0U);
    send(c);
    if (!all_seen(c))
        complain("the event did not arrive");
    close_channel(c);
    CHECK_EQ(beyond, -EINVAL);
    CHECK_EQ(far_beyond, -EINVAL);
}

/* --- storms --- */

#define STORM 4000

static void send_to_all(void *arg)
{
    uint32_t random = (uint32_t)(uintptr_t)arg;

    pin(random % nr_cpus());
    for (unsigned i = 0; i < STORM; i++)
        send(&channels[next_random(&random) % PORTS]);
}

static void test_ports_on_every_cpu_are_all_served_in_a_storm(void)
{
    struct thread *t[CPUS_MAX];
    unsigned cpus = nr_cpus();

    for (unsigned i = 0; i < PORTS; i++) {
        open_channel(&channels[i]);
        (void)comes_true(load_acquire(&channels[i].calls) > 0);
        CHECK_EQ(evtchn_set_cpu(channels[i].far, i % cpus), 0);
        channels[i].wanted_cpu = i % cpus;
    }
    for (unsigned i = 0; i < cpus; i++)
        t[i] = start(PRIO_NORMAL, send_to_all, (void *)(uintptr_t)i);
    join_all(t, cpus);
    for (unsigned i = 0; i < PORTS; i++) {
        if (!all_seen(&channels[i]))
            complain("port %u of CPU %u: %u of %u seen", i, i % cpus, channels[i].seen,
                     channels[i].sent);
        close_channel(&channels[i]);
    }
}

/* All but one port of the last CPU are notified without rest by all others; the events of that one
 * still come, each, and so does the thread that waits for them there. */
static bool storm_over;

static void storm(void *arg)
{
    uint32_t random = (uint32_t)(uintptr_t)arg;

    while (!load_acquire(&storm_over)) {
        send(&channels[1 + next_random(&random) % (PORTS - 1)]);
        if (random % 64 == 0)
            thread_yield();
    }
}

static void test_a_storm_on_other_ports_keeps_no_event_away(void)
{
    unsigned cpus = nr_cpus(), before[PORTS];
    struct thread *t[CPUS_MAX];

    for (unsigned i = 0; i < PORTS; i++) {
        open_channel(&channels[i]);
        (void)comes_true(load_acquire(&channels[i].calls) > 0);
        CHECK_EQ(evtchn_set_cpu(channels[i].far, cpus - 1), 0);
        before[i] = channels[i].calls;
    }
    storm_over = false;
    for (unsigned i = 0; i < cpus; i++)
        t[i] = start(PRIO_NORMAL, storm, (void *)(uintptr_t)i);
    for (unsigned i = 1; i < PORTS; i++)
        if (!comes_true(load_acquire(&channels[i].calls) > before[i]))
            complain("nothing ever came to port %u", i);
    pin(cpus - 1);
    for (unsigned i = 0; i < 200 && !complained(); i++) {
        send(&channels[0]);
        if (!all_seen(&channels[0]))
            complain("event %u was kept away", i);
    }
    store_release(&storm_over, true);
    join_all(t, cpus);
    for (unsigned i = 0; i < PORTS; i++) {
        if (!all_seen(&channels[i]))
            complain("port %u: %u of %u seen", i, channels[i].seen, channels[i].sent);
        close_channel(&channels[i]);
    }
}

static void hear_ipi(port_t port, void *arg)
{
    struct channel *c = arg;

    (void)port;
    if (cpu_id() != c->wanted_cpu)
        complain("an interrupt for CPU %u came to CPU %u", c->wanted_cpu, cpu_id());
    store_release(&c->seen, load_acquire(&c->sent));
}

static void test_every_cpu_can_be_interrupted_by_every_other(void)
{
    for (unsigned cpu = 0; cpu < nr_cpus() && !complained(); cpu++) {
        struct channel *c = &channels[cpu];

        *c = (struct channel){.wanted_cpu = cpu};
        CHECK_EQ(evtchn_bind_ipi(cpu, hear_ipi, c, &c->near), 0);
        for (unsigned i = 0; i < 100 * nr_cpus() && !complained(); i++) {
            if (i % 100 == 0)
                pin(i / 100);
            send(c);
            if (!all_seen(c))
                complain("interrupt %u from CPU %u to %u was lost", i, i / 100, cpu);
        }
        evtchn_unbind(c->near);
    }
}

/* Bound, moved, notified and closed by all CPUs at once: slots and pages are shared. */
static void open_and_close(void *arg)
{
    struct channel c;
    unsigned cpu = (unsigned)(uintptr_t)arg;

    for (unsigned i = 0; i < 60; i++) {
        open_channel(&c);
        if (evtchn_set_cpu(c.far, (cpu + i) % nr_cpus()) != 0)
            complain("a port cannot be moved");
        send(&c);
        if (i % 2 == 0 && !all_seen(&c))
            complain("an event was lost");
        close_channel(&c); /* perhaps while it is heard: (c) is ours again afterwards */
    }
}

static void test_channels_are_opened_and_closed_by_all_cpus_at_once(void)
{
    struct thread *t[CPUS_MAX + 2];
    unsigned n = nr_cpus() + 2;

    for (unsigned i = 0; i < n; i++)
        t[i] = start(PRIO_NORMAL, open_and_close, (void *)(uintptr_t)i);
    join_all(t, n);
}

/* --- calls --- */

#define CALLS 400

struct call {
    unsigned cpu, count;
};

static void be_called(void *arg)
{
    struct call *c = arg;

    if (cpu_id() != c->cpu || irq_enabled())
        complain("a call to CPU %u runs on CPU %u", c->cpu, cpu_id());
    c->count++; /* its caller waits */
}

static void call_all(void *arg)
{
    unsigned me = (unsigned)(uintptr_t)arg;
    struct call call;

    pin(me);
    for (unsigned i = 0; i < CALLS; i++) {
        call = (struct call){.cpu = (me + i) % nr_cpus()};
        if (cpus_call(call.cpu, be_called, &call) != 0 || call.count != 1)
            complain("call %u from CPU %u to %u ran %u times", i, me, call.cpu, call.count);
    }
}

static void test_every_cpu_calls_every_cpu(void)
{
    struct thread *t[CPUS_MAX];

    for (unsigned i = 0; i < nr_cpus(); i++)
        t[i] = start(PRIO_NORMAL, call_all, (void *)(uintptr_t)i);
    join_all(t, nr_cpus());
}

static void test_a_cpu_that_is_not_there_cannot_be_called(void)
{
    struct call call = {.cpu = 0};

    CHECK_EQ(cpus_call(cpus_possible(), be_called, &call), -EINVAL);
    CHECK_EQ(cpus_call(CPU_MAX, be_called, &call), -EINVAL);
    CHECK_EQ(cpus_call(~0U, be_called, &call), -EINVAL);
    CHECK_EQ(call.count, 0);
}

const struct test_case event_cases[] = {
    CASE(no_event_is_lost_while_its_port_moves),
    CASE(a_port_is_heard_on_the_cpu_that_it_was_given),
    CASE(a_port_cannot_be_given_to_a_cpu_that_is_not_there),
    CASE(ports_on_every_cpu_are_all_served_in_a_storm),
    CASE(a_storm_on_other_ports_keeps_no_event_away),
    CASE(every_cpu_can_be_interrupted_by_every_other),
    CASE(channels_are_opened_and_closed_by_all_cpus_at_once),
    CASE(every_cpu_calls_every_cpu),
    CASE(a_cpu_that_is_not_there_cannot_be_called),
};
const size_t nr_event_cases = ARRAY_SIZE(event_cases);

const struct test_case pair_event_cases[] = {
    CASE(no_burst_is_lost_while_its_port_moves),
};
const size_t nr_pair_event_cases = ARRAY_SIZE(pair_event_cases);
