/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Event channels, each test with both ABIs: the modules evtchn and evtchn_2l hold the same tests.
 */
#include "kernel/evtchn.h"

#include <arch/boot.h>
#include <arch/cpu.h>
#include <arch/evtchn.h>
#include <arch/irq.h>
#include <string.h>
#include "kernel/cpus.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "lib/base/errno.h"
#include "lib/base/macros.h"
#include "tests/host/fakexen.h"
#include "tests/host/hostarch.h"
#include "tests/host/test.h"

FAKEXEN_BOOT(evtchn)
FAKEXEN_BOOT(evtchn_2l, .cmdline = "paravane.evtchn=2l")

#define MSEC NSEC_PER_MSEC

#define TEST_BOTH(name)     \
    static void name(void); \
    TEST(evtchn, name)      \
    {                       \
        name();             \
    }                       \
    TEST(evtchn_2l, name)   \
    {                       \
        name();             \
    }                       \
    static void name(void)

/* A handler's notebook. */
struct seen {
    unsigned calls;
    port_t port;
    enum { EOI_NOT, EOI_WORKED, EOI_IDLE } eoi;
    bool raise_again;
};

static void note(port_t port, void *arg)
{
    struct seen *s = arg;

    CHECK(cpu_in_event() && !irq_enabled());
    CHECK(!fakexen_port_pending(port));
    s->calls++;
    s->port = port;
    if (s->raise_again)
        fakexen_raise(port);
    if (s->eoi != EOI_NOT)
        evtchn_eoi(port, s->eoi == EOI_WORKED);
}

static port_t bind(struct seen *s)
{
    port_t port;

    CHECK_EQ(evtchn_alloc_unbound(0, note, s, &port), 0);
    return port;
}

/* Tables do not shrink: what 300 ports need, or all there are, is there before the census. */
static void warm_up(void)
{
    static port_t port[300];
    struct seen s;
    size_t n = 0;

    if (strncmp(test_current->module, "evtchn", 6) != 0)
        return;
    while (n < 300 && evtchn_alloc_unbound(0, note, &s, &port[n]) == 0)
        n++;
    while (n > 0)
        evtchn_unbind(port[--n]);
}
SETUP(30, warm_up)

TEST_BOTH(calls_the_handler_of_the_port)
{
    struct seen one = {.eoi = EOI_WORKED}, two = {.eoi = EOI_WORKED};
    port_t a = bind(&one), b = bind(&two);

    fakexen_raise(a);
    CHECK_EQ(one.calls, 1);
    CHECK_EQ(two.calls, 0);
    fakexen_raise(b);
    fakexen_raise(b);
    CHECK_EQ(one.calls, 1);
    CHECK_EQ(two.calls, 2);
    CHECK_EQ(two.port, b);
    evtchn_unbind(a);
    evtchn_unbind(b);
}

TEST_BOTH(waits_while_upcalls_are_masked)
{
    struct seen s = {.eoi = EOI_WORKED};
    port_t port = bind(&s);
    irqstate_t state = irq_save();

    fakexen_raise(port);
    CHECK_EQ(s.calls, 0);
    irq_restore(state);
    CHECK_EQ(s.calls, 1);
    evtchn_unbind(port);
}

TEST_BOTH(is_quiet_until_the_eoi_and_loses_nothing)
{
    struct seen s = {.eoi = EOI_NOT};
    port_t port = bind(&s);

    for (int i = 0; i < 10; i++)
        fakexen_raise(port);
    CHECK_EQ(s.calls, 1);
    evtchn_eoi(port, true); /* what came meanwhile is one more event */
    CHECK_EQ(s.calls, 2);
    evtchn_eoi(port, true);
    CHECK_EQ(s.calls, 2);
    evtchn_unbind(port);
}

/* Handle what is pending on (cpu), once: with upcalls masked after it, as the entry code calls it.
 */
static void dispatch_on(unsigned cpu)
{
    host_cpu = cpu;
    host_irq_on = false;
    host_in_event = true;
    evtchn_dispatch();
    host_in_event = false;
    host_irq_on = true;
    host_cpu = 0;
}

TEST_BOTH(ends_a_dispatch_though_events_do_not_end)
{
    struct seen s = {.eoi = EOI_WORKED, .raise_again = true};
    port_t port = bind(&s);
    irqstate_t state = irq_save();

    fakexen_raise(port);
    for (int i = 0; i < 5; i++) {
        unsigned before = s.calls;

        dispatch_on(0);
        CHECK(s.calls > before && s.calls <= before + 1024);
        CHECK(arch_vcpu_info(0)->evtchn_upcall_pending); /* and there will be another */
    }
    s.raise_again = false;
    irq_restore(state);
    dispatch_on(0);
    CHECK(!fakexen_port_pending(port));
    evtchn_unbind(port);
}

/* Time from raising an event without work until the next one is delivered. */
static nsec_t delay_of(struct seen *s, port_t port)
{
    nsec_t start = clock_read();
    unsigned calls = s->calls;

    fakexen_raise(port);
    CHECK_EQ(s->calls, calls + 1);
    while (fakexen_port_masked(port))
        host_advance(MSEC);
    return clock_read() - start;
}

TEST_BOTH(doubles_the_delay_up_to_a_second)
{
    static const nsec_t ms[] = {0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000, 1000, 1000};
    struct seen s = {.eoi = EOI_IDLE};
    port_t port = bind(&s);

    for (size_t i = 0; i < ARRAY_SIZE(ms); i++)
        CHECK_EQ(delay_of(&s, port), ms[i] * MSEC);
    evtchn_unbind(port);
}

TEST_BOTH(forgives_once_work_was_done)
{
    struct seen s = {.eoi = EOI_IDLE};
    port_t port = bind(&s);

    for (int i = 0; i < 8; i++)
        (void)delay_of(&s, port);
    s.eoi = EOI_WORKED;
    CHECK_EQ(delay_of(&s, port), 0);
    s.eoi = EOI_IDLE;
    CHECK_EQ(delay_of(&s, port), 0);
    CHECK_EQ(delay_of(&s, port), MSEC);
    evtchn_unbind(port);
}

TEST_BOTH(ends_a_delay_when_work_turns_up)
{
    struct seen s = {.eoi = EOI_IDLE};
    port_t port = bind(&s);

    for (int i = 0; i < 8; i++)
        (void)delay_of(&s, port);
    fakexen_raise(port);
    CHECK(fakexen_port_masked(port));
    evtchn_eoi(port, false); /* not an event: changes nothing */
    CHECK(fakexen_port_masked(port));
    evtchn_eoi(port, true);
    CHECK(!fakexen_port_masked(port));
    host_advance(10 * NSEC_PER_SEC); /* the old timer finds nothing to do */
    CHECK_EQ(s.calls, 9);
    evtchn_unbind(port);
}

TEST_BOTH(keeps_a_storm_to_a_bounded_number_of_calls)
{
    struct seen s = {.eoi = EOI_IDLE};
    port_t port = bind(&s);

    for (int i = 0; i < 60 * 1000; i++) {
        fakexen_raise(port);
        host_advance(MSEC);
    }
    CHECK(s.calls <= 12 + 60);
    CHECK(s.calls >= 60);
    evtchn_unbind(port);
}

TEST_BOTH(serves_every_port_in_a_storm_of_all)
{
    struct seen s[200];
    port_t port[200];

    for (size_t i = 0; i < 200; i++) {
        s[i] = (struct seen){.eoi = EOI_WORKED};
        port[i] = bind(&s[i]);
    }
    for (int round = 0; round < 50; round++)
        for (size_t i = 0; i < 200; i++)
            fakexen_raise(port[(i * 37 + (size_t)round) % 200]);
    for (size_t i = 0; i < 200; i++) {
        CHECK_EQ(s[i].calls, 50);
        evtchn_unbind(port[i]);
    }
}

TEST_BOTH(collects_many_ports_in_one_upcall)
{
    struct seen s[300];
    port_t port[300];
    irqstate_t state;

    for (size_t i = 0; i < 300; i++) {
        s[i] = (struct seen){.eoi = EOI_WORKED};
        port[i] = bind(&s[i]);
    }
    state = irq_save();
    for (size_t i = 0; i < 300; i++)
        fakexen_raise(port[i]);
    irq_restore(state);
    for (size_t i = 0; i < 300; i++) {
        CHECK_EQ(s[i].calls, 1);
        evtchn_unbind(port[i]);
    }
}

TEST_BOTH(rearms_virq_and_ipi_ports_itself)
{
    struct seen virq = {.eoi = EOI_NOT}, ipi = {.eoi = EOI_NOT};
    port_t v, i;

    CHECK_EQ(evtchn_bind_virq(VIRQ_DEBUG, 0, note, &virq, &v), 0);
    CHECK_EQ(evtchn_bind_ipi(0, note, &ipi, &i), 0);
    for (int n = 0; n < 3; n++) {
        fakexen_raise(v);
        CHECK_EQ(evtchn_notify(i), 0);
    }
    CHECK_EQ(virq.calls, 3);
    CHECK_EQ(ipi.calls, 3);
    evtchn_unbind(v);
    evtchn_unbind(i);
}

TEST_BOTH(is_silent_after_unbind)
{
    struct seen s = {.eoi = EOI_IDLE};
    port_t port = bind(&s);

    for (int i = 0; i < 5; i++)
        fakexen_raise(port); /* delayed now */
    evtchn_unbind(port);
    CHECK_EQ(fakexen_port_status(port), EVTCHNSTAT_closed);
    s.calls = 0;
    fakexen_raise(port);
    host_advance(5 * NSEC_PER_SEC);
    evtchn_eoi(port, true);
    evtchn_eoi(port, false);
    CHECK_EQ(s.calls, 0);
    CHECK(fakexen_port_masked(port));
}

TEST_BOTH(survives_events_while_binding_and_unbinding)
{
    struct seen s = {.eoi = EOI_IDLE};

    for (int i = 0; i < 500; i++) {
        port_t port = bind(&s);
        irqstate_t state = irq_save();

        fakexen_raise(port);
        evtchn_unbind(port); /* with its event in the queue */
        irq_restore(state);
        for (port_t p = 1; p < 8; p++)
            fakexen_raise(p);
        host_advance(MSEC);
    }
    CHECK_EQ(s.calls, 0);
}

TEST_BOTH(adopts_a_port_with_an_event_pending)
{
    struct seen s = {.eoi = EOI_WORKED};
    port_t port = bind(&s);

    evtchn_unbind(port);
    CHECK_EQ(evtchn_alloc_unbound(0, note, &s, &port), 0);
    CHECK_EQ(evtchn_adopt(port, note, &s), -EBUSY);
    CHECK_EQ(evtchn_adopt(0, note, &s), -ENOSPC);
    CHECK_EQ(evtchn_adopt(0xffffffff, note, &s), -ENOSPC);
    evtchn_unbind(port);
}

TEST_BOTH(gives_errors_of_xen_back)
{
    struct seen s = {.eoi = EOI_WORKED};
    port_t port = 77;

    fakexen_fail_evtchn(EVTCHNOP_alloc_unbound, -ENOSPC);
    CHECK_EQ(evtchn_alloc_unbound(0, note, &s, &port), -ENOSPC);
    fakexen_fail_evtchn(EVTCHNOP_bind_virq, -EEXIST);
    CHECK_EQ(evtchn_bind_virq(VIRQ_DEBUG, 0, note, &s, &port), -EEXIST);
    fakexen_fail_evtchn(EVTCHNOP_bind_interdomain, -EINVAL);
    CHECK_EQ(evtchn_bind_interdomain(0, 5, note, &s, &port), -EINVAL);
    CHECK_EQ(port, 77);
    fakexen_fail_evtchn(EVTCHNOP_send, -ENOTCONN);
    CHECK_EQ(evtchn_notify(1), -ENOTCONN);
}

/* ---- several CPUs ---- */

TEST_BOTH(calls_handlers_on_the_cpu_of_their_port)
{
    struct seen s = {.eoi = EOI_NOT};
    port_t port;

    CHECK_EQ(evtchn_cpu_init(1), 0);
    CHECK_EQ(evtchn_bind_ipi(1, note, &s, &port), 0);
    CHECK_EQ(evtchn_notify(port), 0);
    dispatch_on(0);
    CHECK_EQ(s.calls, 0);
    dispatch_on(1);
    CHECK_EQ(s.calls, 1);
    evtchn_unbind(port);
}

TEST_BOTH(moves_a_port_with_its_pending_event)
{
    struct seen s = {.eoi = EOI_WORKED};
    port_t port = bind(&s);

    (void)cpumask_add(&host_cpus_online, 1);
    CHECK_EQ(evtchn_cpu_init(1), 0);
    host_irq_on = false;
    fakexen_raise(port);
    CHECK_EQ(evtchn_set_cpu(port, 1), 0);
    host_irq_on = true;
    dispatch_on(0);
    CHECK_EQ(s.calls, 0);
    dispatch_on(1);
    CHECK_EQ(s.calls, 1);
    fakexen_raise(port);
    dispatch_on(0);
    CHECK_EQ(s.calls, 1);
    dispatch_on(1);
    CHECK_EQ(s.calls, 2);
    evtchn_unbind(port);
}

TEST_BOTH(refuses_a_cpu_that_is_offline)
{
    struct seen s = {.eoi = EOI_WORKED};
    port_t port = bind(&s);

    CHECK_EQ(evtchn_cpu_init(1), 0);
    CHECK_EQ(evtchn_set_cpu(port, 1), -EINVAL);
    CHECK_EQ(evtchn_set_cpu(port, 5), -EINVAL);
    fakexen_raise(port); /* still here */
    CHECK_EQ(s.calls, 1);
    evtchn_unbind(port);
}

#define MOVED 5

/* Ports of CPU 1, which then goes: one idle, one with an event, one with an event and another on
 * its way, one whose EOI is owed, one owed that has an event. */
struct moved {
    struct seen s[MOVED];
    port_t port[MOVED], ipi;
    struct seen ipi_seen;
};

static void leave_cpu_1(struct moved *m)
{
    (void)cpumask_add(&host_cpus_online, 1);
    CHECK_EQ(evtchn_cpu_init(1), 0);
    CHECK_EQ(evtchn_bind_ipi(1, note, &m->ipi_seen, &m->ipi), 0);
    for (int i = 0; i < MOVED; i++) {
        m->s[i] = (struct seen){.eoi = i < 3 ? EOI_WORKED : EOI_NOT};
        m->port[i] = bind(&m->s[i]);
        CHECK_EQ(evtchn_set_cpu(m->port[i], 1), 0);
    }
    fakexen_raise(m->port[3]);
    fakexen_raise(m->port[4]);
    dispatch_on(1);
    fakexen_raise(m->port[4]);
    fakexen_raise(m->port[1]);
    fakexen_raise(m->port[2]);
    fakexen_raise(m->port[2]);
    CHECK_EQ(evtchn_notify(m->ipi), 0);
    (void)cpumask_remove(&host_cpus_online, 1);
    evtchn_cpu_evacuate(1);
}

static void unbind_all(struct moved *m)
{
    for (int i = 0; i < MOVED; i++)
        evtchn_unbind(m->port[i]);
    evtchn_unbind(m->ipi);
}

TEST_BOTH(moves_the_ports_of_a_cpu_that_is_down)
{
    static const unsigned so_far[MOVED] = {0, 1, 1, 1, 1}, at_last[MOVED] = {1, 2, 2, 2, 3};
    struct moved m = {.ipi = PORT_NONE};

    leave_cpu_1(&m);
    dispatch_on(0);
    for (int i = 0; i < MOVED; i++)
        CHECK_EQ(m.s[i].calls, so_far[i]);
    evtchn_eoi(m.port[4], true); /* what came while it was owed */
    dispatch_on(0);
    CHECK_EQ(m.s[4].calls, 2);
    evtchn_eoi(m.port[3], true);
    evtchn_eoi(m.port[4], true);
    for (int i = 0; i < MOVED; i++)
        fakexen_raise(m.port[i]);
    dispatch_on(0);
    for (int i = 0; i < MOVED; i++)
        CHECK_EQ(m.s[i].calls, at_last[i]);
    unbind_all(&m);
}

TEST_BOTH(keeps_the_interrupts_of_a_cpu_that_is_down)
{
    struct moved m = {.ipi = PORT_NONE};

    leave_cpu_1(&m);
    dispatch_on(0);
    CHECK_EQ(m.ipi_seen.calls, 0);
    dispatch_on(1); /* it is back */
    CHECK_EQ(m.ipi_seen.calls, 1);
    CHECK_EQ(evtchn_notify(m.ipi), 0);
    dispatch_on(1);
    CHECK_EQ(m.ipi_seen.calls, 2);
    unbind_all(&m);
}

TEST_BOTH(takes_ports_again_once_the_cpu_is_back)
{
    struct moved m = {.ipi = PORT_NONE};

    leave_cpu_1(&m);
    dispatch_on(0);
    (void)cpumask_add(&host_cpus_online, 1);
    CHECK_EQ(evtchn_set_cpu(m.port[0], 1), 0);
    fakexen_raise(m.port[0]);
    dispatch_on(0);
    CHECK_EQ(m.s[0].calls, 0);
    dispatch_on(1);
    CHECK_EQ(m.s[0].calls, 1);
    unbind_all(&m);
}

/* Thousands, as the FIFO ABI has them. */
FAKEXEN_BOOT(evtchn_many, .max_ports = 8000)
#define MANY 7900
#define SOME (MANY / 50)

TEST(evtchn_many, move_with_their_cpu_wherever_they_are)
{
    static port_t port[MANY];
    static struct seen s[MANY];

    (void)cpumask_add(&host_cpus_online, 1);
    CHECK_EQ(evtchn_cpu_init(1), 0);
    for (unsigned i = 0; i < MANY; i++) {
        s[i].eoi = EOI_WORKED;
        port[i] = bind(&s[i]);
    }
    CHECK(port[MANY - 1] >= MANY);
    for (unsigned i = 0; i < SOME; i++)
        CHECK_EQ(evtchn_set_cpu(port[MANY - 1 - i * 50], 1), 0);
    (void)cpumask_remove(&host_cpus_online, 1);
    evtchn_cpu_evacuate(1);
    for (unsigned i = 0; i < SOME; i++)
        fakexen_raise(port[MANY - 1 - i * 50]);
    dispatch_on(0);
    for (unsigned i = 0; i < MANY; i++)
        CHECK_EQ(s[i].calls, (MANY - 1 - i) % 50 == 0);
    test_pass(); /* tables do not shrink */
}

/* ---- the choice of the ABI, and its limits ---- */

TEST(evtchn, uses_fifo_where_xen_has_it)
{
    CHECK_STR(evtchn_abi_name(), "fifo");
}

TEST(evtchn_2l, uses_two_levels_when_told_so)
{
    CHECK_STR(evtchn_abi_name(), "2l");
}

FAKEXEN_BOOT(evtchn_old_xen, .no_fifo = true)

TEST(evtchn_old_xen, falls_back_to_two_levels)
{
    CHECK_STR(evtchn_abi_name(), "2l");
}

TEST(evtchn_old_xen, masks_every_port_at_the_start)
{
    for (port_t port = 10; port < 4096; port++)
        CHECK(fakexen_port_masked(port));
}

FAKEXEN_BOOT(evtchn_few, .max_ports = 16)

TEST(evtchn_few, is_out_of_ports_gracefully)
{
    struct seen s = {.eoi = EOI_WORKED};
    port_t port[32];
    unsigned n = 0;

    while (evtchn_alloc_unbound(0, note, &s, &port[n]) == 0)
        n++;
    CHECK(n > 8 && n <= 16);
    CHECK_EQ(evtchn_alloc_unbound(0, note, &s, &port[n]), -ENOSPC);
    while (n > 0)
        evtchn_unbind(port[--n]);
}

TEST(evtchn_many, grows_its_tables_on_demand)
{
    static struct seen s[3000];
    static port_t port[3000];

    for (size_t i = 0; i < 3000; i++) {
        s[i].eoi = EOI_WORKED;
        port[i] = bind(&s[i]);
    }
    for (size_t i = 0; i < 3000; i++)
        fakexen_raise(port[i]);
    for (size_t i = 0; i < 3000; i++)
        CHECK_EQ(s[i].calls, 1);
    test_pass(); /* tables do not shrink */
}
