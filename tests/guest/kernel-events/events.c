/* SPDX-License-Identifier: BSD-2-Clause */
/* Event channels from ourselves to ourselves: delivery, masking until the EOI, storms, unbinding.
 */
#include <arch/cpu.h>
#include <arch/irq.h>
#include "kernel/evtchn.h"
#include "kernel/wait.h"
#include "tests/guest/kernel-events/cases.h"

/* Two ends of one channel; each end counts what it hears. */
struct end {
    port_t port;
    volatile unsigned heard;
    bool no_eoi, lazy; /* say nothing; say that there was no work */
    bool outside;      /* heard on a wrong stack or with upcalls on */
    port_t echo;       /* notify this from the handler */
};

static void hear(port_t port, void *arg)
{
    struct end *e = arg;

    e->heard++;
    e->outside |= !cpu_in_event() || irq_enabled() || port != e->port;
    if (e->echo != PORT_NONE)
        (void)evtchn_notify(e->echo);
    if (!e->no_eoi)
        evtchn_eoi(port, !e->lazy);
}

/* 0 or -errno. Binding tells both ends of possibly lost events: those are not counted. */
static int open_pair(struct end *a, struct end *b)
{
    int rc = evtchn_alloc_unbound(MYSELF, hear, a, &a->port);

    if (rc != 0)
        return rc;
    rc = evtchn_bind_interdomain(MYSELF, a->port, hear, b, &b->port);
    if (rc != 0)
        evtchn_unbind(a->port);
    a->heard = b->heard = 0;
    return rc;
}

static void close_pair(struct end *a, struct end *b)
{
    evtchn_unbind(b->port);
    evtchn_unbind(a->port);
}

static bool hears(const struct end *e, unsigned n)
{
    nsec_t end = time_now() + NSEC_PER_SEC;

    while (e->heard < n && time_now() < end)
        ;
    return e->heard == n;
}

static void test_ten_thousand_events_arrive_one_by_one(void)
{
    struct end a = {0}, b = {0};

    CHECK_EQ(open_pair(&a, &b), 0);
    for (unsigned i = 1; i <= 10000; i++) {
        CHECK_EQ(evtchn_notify(i % 2 ? a.port : b.port), 0);
        CHECK(hears(i % 2 ? &b : &a, (i + 1) / 2));
    }
    close_pair(&a, &b);
    CHECK(!a.outside || a.heard == 0);
}

static void test_handlers_run_on_the_event_stack_with_upcalls_masked(void)
{
    struct end a = {0}, b = {0};

    CHECK_EQ(open_pair(&a, &b), 0);
    sleep_for(MS);
    a.outside = b.outside = false; /* what came before the port was known */
    CHECK_EQ(evtchn_notify(a.port), 0);
    CHECK(hears(&b, 1));
    CHECK(!b.outside);
    CHECK(!cpu_in_event() && irq_enabled());
    close_pair(&a, &b);
}

static void test_a_port_is_silent_until_its_eoi_and_loses_nothing(void)
{
    struct end a = {0}, b = {.no_eoi = true};

    CHECK_EQ(open_pair(&a, &b), 0);
    evtchn_eoi(b.port, true); /* of the event that binding sent */
    b.heard = 0;
    for (int i = 0; i < 10; i++)
        CHECK_EQ(evtchn_notify(a.port), 0);
    sleep_for(2 * MS);
    CHECK_EQ(b.heard, 1);
    evtchn_eoi(b.port, true);
    CHECK(hears(&b, 2)); /* nine became one */
    evtchn_eoi(b.port, true);
    sleep_for(2 * MS);
    CHECK_EQ(b.heard, 2);
    close_pair(&a, &b);
}

/* The handler sends itself the next event: without delays it would never end. */
static void test_a_storm_of_useless_events_is_slowed_down(void)
{
    struct end a = {0}, b = {.lazy = true};
    struct evtchn_stats before, after;
    unsigned heard;

    CHECK_EQ(open_pair(&a, &b), 0);
    evtchn_get_stats(&before);
    b.echo = a.port;
    CHECK_EQ(evtchn_notify(a.port), 0);
    sleep_for(200 * MS);
    heard = b.heard;
    evtchn_get_stats(&after);
    evtchn_eoi(b.port, true); /* somebody found work: at once again */
    CHECK(b.heard > heard);
    close_pair(&a, &b);
    CHECK(heard >= 3 && heard <= 12); /* 1 + 2 + 4 + ... ms */
    CHECK(after.delayed - before.delayed >= heard - 2);
    CHECK(after.spurious - before.spurious >= heard);
}

static void test_a_thousand_ipis_to_oneself_arrive(void)
{
    struct end e = {0};

    e.no_eoi = true; /* such ports are armed again by themselves */
    CHECK_EQ(evtchn_bind_ipi(0, hear, &e, &e.port), 0);
    for (unsigned i = 1; i <= 1000; i++) {
        CHECK_EQ(evtchn_notify(e.port), 0);
        CHECK(hears(&e, i));
    }
    evtchn_unbind(e.port);
}

static void test_a_bound_virq_is_refused_and_a_free_one_can_be_bound(void)
{
    struct end e = {0};
    int rc = evtchn_bind_virq(VIRQ_TIMER, 0, hear, &e, &e.port);

    CHECK_EQ(rc, -EEXIST);
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(evtchn_bind_virq(VIRQ_DEBUG, 0, hear, &e, &e.port), 0);
        evtchn_unbind(e.port);
    }
}

#define PAIRS 500

static struct end many[PAIRS][2];

static void test_five_hundred_channels_hear_each_exactly_their_own(void)
{
    unsigned wrong = 0;

    memset(many, 0, sizeof(many));
    for (size_t i = 0; i < PAIRS; i++)
        CHECK_EQ(open_pair(&many[i][0], &many[i][1]), 0);
    sleep_for(MS);
    for (unsigned round = 1; round <= 5; round++) {
        irqstate_t irq = irq_save(); /* all pending at one time */

        for (size_t i = 0; i < PAIRS; i++) {
            (void)evtchn_notify(many[i][0].port);
            (void)evtchn_notify(many[PAIRS - 1 - i][1].port);
        }
        irq_restore(irq);
        sleep_for(MS);
        for (size_t i = 0; i < PAIRS; i++)
            wrong += many[i][0].heard != round || many[i][1].heard != round;
    }
    for (size_t i = 0; i < PAIRS; i++)
        close_pair(&many[i][0], &many[i][1]);
    CHECK_EQ(wrong, 0);
}

/* --- unbinding while events arrive --- */

struct shot {
    struct timer timer;
    port_t port;
    volatile bool stop;
};

static void shoot(struct timer *t)
{
    struct shot *s = CONTAINER_OF(t, struct shot, timer);

    (void)evtchn_notify(s->port);
    if (!s->stop)
        timer_set(t, time_now() + 20000);
}

static void test_a_port_may_be_unbound_while_its_events_arrive(void)
{
    for (int i = 0; i < 200; i++) {
        struct end a = {0}, b = {.lazy = i % 3 == 0};
        struct shot s = {.stop = false};
        unsigned heard;

        CHECK_EQ(open_pair(&a, &b), 0);
        s.port = a.port;
        timer_init(&s.timer, shoot);
        timer_set(&s.timer, time_now());
        for (volatile int spin = 0; spin < i * 500; spin++)
            ;
        evtchn_unbind(b.port);
        heard = b.heard;
        for (volatile int spin = 0; spin < 20000; spin++)
            ;
        s.stop = true;
        (void)timer_cancel(&s.timer);
        evtchn_unbind(a.port);
        CHECK_EQ(b.heard, heard);
    }
}

static void test_notifying_what_is_not_bound_is_an_error(void)
{
    struct end a = {0}, b = {0};

    CHECK_EQ(open_pair(&a, &b), 0);
    close_pair(&a, &b);
    CHECK(evtchn_notify(a.port) < 0);
    CHECK(evtchn_notify(PORT_NONE) < 0);
    CHECK(evtchn_notify(100000000) < 0);
    CHECK(evtchn_bind_interdomain(MYSELF, a.port, hear, &b, &b.port) < 0);
}

static void test_a_port_can_be_put_on_its_own_cpu(void)
{
    struct end a = {0}, b = {.no_eoi = true};

    CHECK_EQ(open_pair(&a, &b), 0);
    CHECK_EQ(evtchn_set_cpu(b.port, 0), 0);
    evtchn_eoi(b.port, true);
    b.heard = 0;
    CHECK_EQ(evtchn_notify(a.port), 0);
    CHECK(hears(&b, 1));
    CHECK_EQ(evtchn_notify(a.port), 0);
    CHECK_EQ(evtchn_set_cpu(b.port, 0), 0); /* while taken: stays silent */
    sleep_for(MS);
    CHECK_EQ(b.heard, 1);
    evtchn_eoi(b.port, true);
    CHECK(hears(&b, 2));
    close_pair(&a, &b);
}

/* --- threads that talk over channels --- */

struct talker {
    struct waitq q;
    port_t port;
    bool rang;
};

static void ring(port_t port, void *arg)
{
    struct talker *t = arg;

    (void)port;
    store_release(&t->rang, true);
    waitq_wake_all(&t->q);
}

static bool take_ring(struct talker *t)
{
    return atomic_exchange(&t->rang, false);
}

#define TALK 400

static void answer(void *arg)
{
    struct talker *me = arg;

    for (int i = 0; i < TALK; i++) {
        (void)!wait_until(&me->q, take_ring(me), NEVER);
        evtchn_eoi(me->port, true);
        (void)evtchn_notify(me->port);
    }
}

/* Ask, wait for the answer, at most a second. (arg): two talkers. */
static void ask(void *arg)
{
    struct talker *me = arg;

    for (int i = 0; i < TALK; i++) {
        (void)evtchn_notify(me->port);
        if (wait_until(&me->q, take_ring(me), time_now() + 20 * NSEC_PER_SEC) != 0)
            panic("an event was lost in round %d", i);
        evtchn_eoi(me->port, true);
    }
}

static int open_talkers(struct talker *t)
{
    int rc;

    waitq_init(&t[0].q);
    waitq_init(&t[1].q);
    rc = evtchn_alloc_unbound(MYSELF, ring, &t[0], &t[0].port);
    if (rc == 0)
        rc = evtchn_bind_interdomain(MYSELF, t[0].port, ring, &t[1], &t[1].port);
    /* The event that binding sends. */
    if (rc == 0)
        rc = wait_until(&t[1].q, take_ring(&t[1]), time_now() + 20 * NSEC_PER_SEC);
    for (int i = 0; i < 2; i++) {
        evtchn_eoi(t[i].port, true);
        t[i].rang = false;
    }
    return rc;
}

static void test_no_event_between_talking_threads_is_lost(void)
{
    static struct talker talkers[8][2];
    struct thread *t[16];

    for (size_t i = 0; i < 8; i++)
        CHECK_EQ(open_talkers(talkers[i]), 0);
    for (size_t i = 0; i < 16; i++)
        t[i] = start((enum prio)(PRIO_LOW + i % 3), i % 2 ? ask : answer, &talkers[i / 2][i % 2]);
    for (size_t i = 0; i < 16; i++)
        thread_join(t[i]);
    for (size_t i = 0; i < 16; i++)
        evtchn_unbind(talkers[i / 2][i % 2].port);
}

const struct test_case event_cases[] = {
    CASE_ON_ONE_CPU(ten_thousand_events_arrive_one_by_one),
    CASE(handlers_run_on_the_event_stack_with_upcalls_masked),
    CASE_ON_ONE_CPU(a_port_is_silent_until_its_eoi_and_loses_nothing),
    CASE_ON_ONE_CPU(a_storm_of_useless_events_is_slowed_down),
    CASE_ON_ONE_CPU(a_thousand_ipis_to_oneself_arrive),
    CASE(a_bound_virq_is_refused_and_a_free_one_can_be_bound),
    CASE_ON_ONE_CPU(five_hundred_channels_hear_each_exactly_their_own),
    CASE(a_port_may_be_unbound_while_its_events_arrive),
    CASE(notifying_what_is_not_bound_is_an_error),
    CASE(a_port_can_be_put_on_its_own_cpu),
    CASE(no_event_between_talking_threads_is_lost),
};
const size_t nr_event_cases = sizeof(event_cases) / sizeof(event_cases[0]);
