/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CPUs come and go:
 *
 *   bring up   stages: cache of pages, per-CPU block, event queues, timer, interrupts, run queue
 *              (each once, kept for ever) -> takes threads -> the host starts it -> its idle
 *              thread says that it is here
 *   take down  takes no more threads -> its idle thread stops it -> the host says that it is
 *              down -> whoever asked for it moves what it had to other CPUs
 *
 * A CPU that is down cannot object, and so nothing about moving its threads, timers and ports
 * needs its help. One that comes back goes on inside cpus_leave, where it stopped.
 *
 * Two ports for each CPU: (kick) interrupts it, to look at its run queue and at what others want
 * called; (park) is never delivered, a CPU that waits for a spinlock polls it.
 *
 * I1 Only the holder of (hotplug) changes which CPUs are online.
 * I2 A request of cpus_call lies on its caller's stack; the caller returns only after it took the
 *    request's lock, whose holder was the last to touch it.
 * I3 Who takes a CPU out of (here) has decided: the CPU itself that it stops, whatever happens, or
 *    who told it so and had no answer, that it goes on.
 */
#include "kernel/cpus.h"

#include <arch/boot.h>
#include <arch/irq.h>
#include "kernel/evtchn.h"
#include "kernel/heap.h"
#include "kernel/log.h"
#include "kernel/mutex.h"
#include "kernel/page.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "lib/base/assert.h"

#define ARRIVE_NS (10 * NSEC_PER_SEC)
#ifndef LEAVE_NS /* tests/host/sched waits less */
#define LEAVE_NS (10 * NSEC_PER_SEC)
#endif
#define LEAVE_POLL NSEC_PER_MSEC

struct call {
    struct list link;
    void (*fn)(void *);
    void *arg;
    bool done;
    struct waitq waiters;
};

struct cpu {
    unsigned stage; /* of its preparation: how many are done */
    port_t kick, park;
    struct spinlock lock; /* calls */
    struct list calls;
    const struct spinlock *wanted; /* it parked for this lock and was not woken */
};

static struct cpu cpu0 = {.lock = SPINLOCK_INIT};
static struct cpu *cpus[CPU_MAX];
static struct cpumask online = CPUMASK_FIRST;
static struct cpumask here = CPUMASK_FIRST; /* I3 */
static unsigned nr_online = 1, known = 1, possible;
static struct mutex hotplug = MUTEX_INIT(hotplug);
static struct waitq arrivals = WAITQ_INIT(arrivals);

const struct cpumask *cpus_online(void)
{
    return &online;
}

unsigned cpus_count(void)
{
    return load_relaxed(&nr_online);
}

unsigned cpus_known(void)
{
    return load_relaxed(&known);
}

unsigned cpus_possible(void)
{
    if (possible == 0)
        store_relaxed(&possible, arch_cpu_possible());
    return possible;
}

/* --- interrupts --- */

static struct call *take_call(struct cpu *c)
{
    struct call *call = NULL;

    spin_lock_masked(&c->lock);
    if (!list_empty(&c->calls)) {
        call = list_first(&c->calls, struct call, link);
        list_remove(&call->link);
    }
    spin_unlock_masked(&c->lock);
    return call;
}

static void kicked(port_t port, void *arg)
{
    struct cpu *c = arg;
    struct call *call;

    (void)port;
    while ((call = take_call(c)) != NULL) {
        call->fn(call->arg);
        spin_lock_masked(&call->waiters.lock);
        call->done = true;
        waitq_wake_all_locked(&call->waiters);
        spin_unlock_masked(&call->waiters.lock); /* I2 */
    }
    sched_kicked();
}

void cpu_kick(unsigned cpu)
{
    (void)evtchn_notify(cpus[cpu]->kick);
}

static void call_here(void (*fn)(void *), void *arg)
{
    irqstate_t irq = irq_save();

    fn(arg);
    irq_restore(irq);
}

static void call_there(struct cpu *c, void (*fn)(void *), void *arg)
{
    struct call call = {.fn = fn, .arg = arg};
    irqstate_t irq;

    waitq_init(&call.waiters);
    irq = spin_lock(&c->lock);
    list_push_back(&c->calls, &call.link);
    spin_unlock(&c->lock, irq);
    (void)evtchn_notify(c->kick);
    (void)!wait_until(&call.waiters, load_acquire(&call.done), NEVER); /* I2 */
}

int cpus_call(unsigned cpu, void (*fn)(void *), void *arg)
{
    bool is_online;

    mutex_lock(&hotplug);
    is_online = cpu < CPU_MAX && cpumask_has(&online, cpu);
    if (is_online) {
        preempt_disable();
        if (cpu_id() == cpu) {
            call_here(fn, arg);
            preempt_enable();
        } else {
            preempt_enable();
            call_there(cpus[cpu], fn, arg);
        }
    }
    mutex_unlock(&hotplug);
    return is_online ? 0 : -EINVAL;
}

/* --- coming --- */

static int prepare_links(unsigned cpu)
{
    struct cpu *c = cpus[cpu];
    int rc = 0;

    if (c->kick == PORT_NONE)
        rc = evtchn_bind_ipi(cpu, kicked, c, &c->kick);
    if (rc == 0 && c->park == PORT_NONE)
        rc = evtchn_open_poll(cpu, &c->park);
    return rc;
}

/* What a CPU needs before it runs. One that failed is tried again when the CPU is wanted again. */
static int (*const stages[])(unsigned cpu) = {
    page_cpu_init, arch_cpu_prepare, evtchn_cpu_init, time_cpu_init, prepare_links, sched_cpu_init,
};

static int prepare(unsigned cpu)
{
    struct cpu *c = cpus[cpu];

    if (c == NULL) {
        c = heap_alloc_zeroed(sizeof(*c));
        if (c == NULL)
            return -ENOMEM;
        spin_name(&c->lock);
        list_init(&c->calls);
        store_release(&cpus[cpu], c);
    }
    for (; c->stage < ARRAY_SIZE(stages); c->stage++) {
        int rc = stages[c->stage](cpu);

        if (rc != 0)
            return rc;
    }
    store_release(&known, MAX(known, cpu + 1));
    return 0;
}

static void set_online(unsigned cpu, bool is_online)
{
    if (is_online)
        (void)cpumask_add(&online, cpu);
    else
        (void)cpumask_remove(&online, cpu);
    store_relaxed(&nr_online, cpumask_count(&online));
    sched_cpu_set_online(cpu, is_online);
}

static void arrive(void)
{
    (void)cpumask_add(&here, cpu_id());
    waitq_wake_all(&arrivals);
}

NORETURN void kernel_cpu_main(void)
{
    arrive();
    thread_idle();
}

/* --- going --- */

void cpus_leave(void)
{
    if (!cpumask_remove(&here, cpu_id())) /* I3 */
        return;
    if (!cpumask_has(&online, cpu_id())) {
        arch_cpu_stop();
        time_cpu_resume();
    }
    arrive();
}

static int await_down(unsigned cpu)
{
    nsec_t deadline = time_now() + LEAVE_NS;

    while (arch_cpu_is_up(cpu)) {
        if (time_now() >= deadline)
            return -ETIMEDOUT;
        thread_sleep_until(time_now() + LEAVE_POLL);
    }
    return 0;
}

/* One that has decided to stop is as good as down: it runs nothing but the way there. */
static int stop(unsigned cpu)
{
    int rc;

    set_online(cpu, false);
    rc = await_down(cpu);
    if (rc != 0 && cpumask_remove(&here, cpu)) { /* I3 */
        set_online(cpu, true);
        (void)cpumask_add(&here, cpu);
        return rc;
    }
    time_cpu_evacuate(cpu);
    sched_cpu_evacuate(cpu);
    evtchn_cpu_evacuate(cpu);
    heap_trim(); /* what it kept for itself */
    page_trim();
    return 0;
}

/* It is online first, or its idle thread would leave at once. */
static int start(unsigned cpu)
{
    void *stack_top;
    struct thread *idle = sched_idle_thread(cpu, &stack_top);
    int rc = await_down(cpu); /* the end of a stop that took long */

    if (rc != 0)
        return rc;
    preempt_disable(); /* we may be one of those who go there as soon as it is online */
    set_online(cpu, true);
    rc = arch_cpu_start(cpu, stack_top, idle);
    if (rc != 0)
        set_online(cpu, false);
    preempt_enable();
    if (rc == 0)
        rc = wait_until(&arrivals, cpumask_has(&here, cpu), time_now() + ARRIVE_NS);
    return rc == 0 || stop(cpu) != 0 ? 0 : rc;
}

int cpus_bring_up(unsigned cpu)
{
    int rc = cpu < MIN(cpus_possible(), CPU_MAX) ? 0 : -EINVAL;

    mutex_lock(&hotplug);
    if (rc == 0 && !cpumask_has(&online, cpu)) {
        rc = prepare(cpu);
        if (rc == 0)
            rc = start(cpu);
    }
    mutex_unlock(&hotplug);
    return rc;
}

int cpus_take_down(unsigned cpu)
{
    int rc = 0;

    if (cpu == 0)
        return -EBUSY;
    if (cpu >= MIN(cpus_possible(), CPU_MAX))
        return -EINVAL;
    mutex_lock(&hotplug);
    if (cpumask_has(&online, cpu))
        rc = stop(cpu);
    mutex_unlock(&hotplug);
    return rc;
}

void cpus_init(void)
{
    list_init(&cpu0.calls);
    cpus[0] = &cpu0;
    if (prepare_links(0) != 0)
        panic("cpus: cannot bind the interrupt of CPU 0");
}

/* --- spinlocks whose holder does not run: kernel/spinlock.h --- */

#ifndef SPINS /* tests/host/sched takes fewer */
#define SPINS 1000
#endif
#define PARK_NS (2 * NSEC_PER_MSEC)
#define PATIENCE 4 /* parks before a claim */

/* Sleep until somebody unlocks (l). An unlock that looked for us just before we came does not wake
 * us: that costs PARK_NS. */
static void park(struct cpu *me, struct spinlock *l)
{
    store_release(&me->wanted, l);
    atomic_add(&l->parked, 1);
    if (load_relaxed(&l->held))
        evtchn_poll(me->park, clock_read() + PARK_NS);
    atomic_sub(&l->parked, 1);
    store_relaxed(&me->wanted, NULL);
}

static bool try_take(struct spinlock *l, uint16_t me)
{
    uint16_t claimed = load_relaxed(&l->claimed);

    if ((claimed != 0 && claimed != me) || load_relaxed(&l->held) ||
        atomic_exchange(&l->held, (uint16_t)1) != 0)
        return false;
    if (claimed == me) /* only we take that back */
        store_relaxed(&l->claimed, 0);
    return true;
}

void spin_wait(struct spinlock *l)
{
    struct cpu *me = cpus[cpu_id()];
    uint16_t name = (uint16_t)(cpu_id() + 1), nobody;

    if (load_relaxed(&l->contended) != UINT16_MAX)
        atomic_add(&l->contended, 1);
    for (unsigned i = 1; !try_take(l, name); i++) {
        cpu_relax();
        if (i % SPINS != 0)
            continue;
        park(me, l);
        nobody = 0;
        if (i / SPINS >= PATIENCE)
            (void)atomic_cmpxchg(&l->claimed, &nobody, name);
    }
}

static bool wake_parked(unsigned cpu, const struct spinlock *l)
{
    struct cpu *c = load_acquire(&cpus[cpu]);

    if (c == NULL || !atomic_cmpxchg(&c->wanted, &l, NULL))
        return false;
    (void)evtchn_notify(c->park);
    return true;
}

void spin_kick(const struct spinlock *l, uint16_t claimed)
{
    unsigned n = cpus_known(), me = cpu_id();

    if (claimed != 0) {
        (void)wake_parked(claimed - 1U, l);
        return;
    }
    for (unsigned i = 1; i < n && !wake_parked((me + i) % n, l); i++)
        ;
}
