/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Event channels: who is called for which port, and when it may be called again. How Xen tells of
 * events is the ABI's affair (evtchn_2l.c, evtchn_fifo.c).
 *
 * A port's life, in its slot:
 *
 *    free --bind--> idle --event--> taken --evtchn_eoi--> idle
 *                    ^                 \--evtchn_eoi, no work done--> delayed --timer--> idle
 *     any --unbind--> free
 *
 * I1 A port is unmasked only while idle; it is masked before its pending bit is cleared, and the
 *    handler runs after that. So an event during the handler is seen again after the EOI, none is
 *    lost, and one port's storm gives one call per EOI.
 * I2 Slots are never freed, only used again for the same port number. An event that comes late,
 *    from a queue or a timer, finds a slot that says "free" and stops there.
 * I3 A slot's lock orders all changes of its state and of its port's mask. No handler runs with
 *    it held.
 * I4 Virq and IPI ports come from ourselves: they are idle again when their handler returned.
 *
 * The delay of the EOI doubles with each event that brought no work, from DELAY_FIRST to DELAY_MAX;
 * FREE_SPURIOUS of them cost nothing. Work done since the last EOI, whoever found it, ends that.
 */
#include "kernel/evtchn.h"

#include <arch/boot.h>
#include <arch/evtchn.h>
#include <arch/hypercall.h>
#include <xen/event_channel.h>
#include <xen/sched.h>
#include "kernel/cpus.h"
#include "kernel/evtchn_abi.h"
#include "kernel/heap.h"
#include "kernel/option.h"
#include "kernel/spinlock.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "lib/base/assert.h"
#include "lib/base/errno.h"
#include "lib/base/string.h"

#define FREE_SPURIOUS 1
#define DELAY_FIRST NSEC_PER_MSEC
#define DELAY_MAX NSEC_PER_SEC
#define SPURIOUS_MAX (FREE_SPURIOUS + 11) /* 1 ms << 10 is above DELAY_MAX */

struct slot {
    struct spinlock lock;
    port_t port;
    evtchn_fn *fn; /* NULL: free */
    void *arg;
    struct timer timer; /* ends a delay */
    uint16_t cpu;
    uint8_t spurious; /* events without work in a row */
    bool rearms;      /* I4 */
    bool taken, delayed;
    unsigned running; /* CPUs in the handler: two, once the port moved in the midst of it */
};

/* As a tree, so that few ports take little room: some slots in a row are made when the first of
 * their ports is bound, and before them a shelf of pointers to such rows. */
#define ROW 8
#define SHELF 128
#define SHELVES (EVTCHN_FIFO_NR_CHANNELS / (ROW * SHELF))

struct shelf {
    struct slot *rows[SHELF];
};

static const struct evtchn_abi *abi;
static struct shelf *shelves[SHELVES];
static struct spinlock growth = SPINLOCK_INIT; /* shelves and their rows */
static unsigned nr_bound;
static struct evtchn_stats stats;

static void end_delay(struct timer *timer);

/* ---- slots ---- */

/* Row (i) of all; NULL: it was not made. */
static struct slot *row_of(unsigned i)
{
    const struct shelf *shelf = i < SHELVES * SHELF ? load_acquire(&shelves[i / SHELF]) : NULL;

    return shelf == NULL ? NULL : load_acquire(&shelf->rows[i % SHELF]);
}

static struct slot *slot_of(port_t port)
{
    struct slot *row = row_of(port / ROW);

    return row == NULL ? NULL : &row[port % ROW];
}

static struct slot *make_row(port_t first)
{
    struct slot *row = heap_alloc_zeroed(ROW * sizeof(*row));

    for (unsigned i = 0; row != NULL && i < ROW; i++) {
        spin_name(&row[i].lock);
        row[i].port = first + i;
        timer_init(&row[i].timer, end_delay);
    }
    return row;
}

/* Under (growth). */
static int put_row(unsigned i)
{
    struct shelf **shelf = &shelves[i / SHELF];
    struct slot *row;

    if (*shelf == NULL)
        store_release(shelf, heap_alloc_zeroed(sizeof(**shelf)));
    row = *shelf == NULL ? NULL : make_row(i * ROW);
    if (row == NULL)
        return -ENOMEM;
    store_release(&(*shelf)->rows[i % SHELF], row);
    return 0;
}

/* Slot and ABI state for (port). 0, -ENOSPC or -ENOMEM. */
static int make_slot(port_t port)
{
    irqstate_t state;
    int rc = 0;

    if (port == PORT_NONE || port >= abi->nr_ports)
        return -ENOSPC;
    state = spin_lock(&growth);
    if (slot_of(port) == NULL)
        rc = put_row(port / ROW);
    spin_unlock(&growth, state);
    return rc != 0 ? rc : abi->grow(port);
}

/* Idle from here on. Under the slot's lock. */
static void unmask(struct slot *s)
{
    struct evtchn_unmask op = {.port = s->port};

    /* Only Xen can announce what became pending under the mask, on whatever CPU. */
    if (!abi->unmask_idle(s->port))
        (void)hypercall_evtchn(EVTCHNOP_unmask, &op);
}

/* ---- binding ---- */

static void close_port(port_t port)
{
    struct evtchn_close op = {.port = port};

    (void)hypercall_evtchn(EVTCHNOP_close, &op);
}

/* Start to deliver (port), which Xen has bound for us and nobody unmasked yet. */
static int install(port_t port, unsigned cpu, bool rearms, evtchn_fn *fn, void *arg)
{
    int rc = make_slot(port);
    irqstate_t state;
    struct slot *s;

    if (rc != 0)
        return rc;
    s = slot_of(port);
    state = spin_lock(&s->lock);
    if (s->fn == NULL) {
        s->fn = fn;
        s->arg = arg;
        s->cpu = (uint16_t)cpu;
        s->rearms = rearms;
        s->spurious = 0;
        s->taken = s->delayed = false;
        atomic_add(&nr_bound, 1);
        unmask(s);
    } else {
        rc = -EBUSY;
    }
    spin_unlock(&s->lock, state);
    return rc;
}

/* The same for a port that came from a bind hypercall: closed again when that fails. */
static int install_new(port_t port, unsigned cpu, bool rearms, evtchn_fn *fn, void *arg,
                       port_t *out)
{
    int rc = install(port, cpu, rearms, fn, arg);

    if (rc != 0)
        close_port(port);
    else
        *out = port;
    return rc;
}

int evtchn_bind_virq(unsigned virq, unsigned cpu, evtchn_fn *fn, void *arg, port_t *out)
{
    struct evtchn_bind_virq op = {.virq = virq, .vcpu = cpu};
    int rc = hypercall_evtchn(EVTCHNOP_bind_virq, &op);

    if (rc != 0)
        return rc;
    abi->hasten(op.port);
    return install_new(op.port, cpu, true, fn, arg, out);
}

int evtchn_bind_ipi(unsigned cpu, evtchn_fn *fn, void *arg, port_t *out)
{
    struct evtchn_bind_ipi op = {.vcpu = cpu};
    int rc = hypercall_evtchn(EVTCHNOP_bind_ipi, &op);

    if (rc != 0)
        return rc;
    abi->hasten(op.port);
    return install_new(op.port, cpu, true, fn, arg, out);
}

int evtchn_alloc_unbound(domid_t remote, evtchn_fn *fn, void *arg, port_t *out)
{
    struct evtchn_alloc_unbound op = {.dom = DOMID_SELF, .remote_dom = remote};
    int rc = hypercall_evtchn(EVTCHNOP_alloc_unbound, &op);

    return rc != 0 ? rc : install_new(op.port, 0, false, fn, arg, out);
}

int evtchn_bind_interdomain(domid_t remote, port_t remote_port, evtchn_fn *fn, void *arg,
                            port_t *out)
{
    struct evtchn_bind_interdomain op = {.remote_dom = remote, .remote_port = remote_port};
    int rc = hypercall_evtchn(EVTCHNOP_bind_interdomain, &op);

    return rc != 0 ? rc : install_new(op.local_port, 0, false, fn, arg, out);
}

int evtchn_adopt(port_t port, evtchn_fn *fn, void *arg)
{
    return install(port, 0, false, fn, arg);
}

/* Under the slot's lock. */
static int move(struct slot *s, unsigned cpu)
{
    struct evtchn_bind_vcpu op = {.port = s->port, .vcpu = cpu};
    int rc;

    abi->mask(s->port);
    rc = hypercall_evtchn(EVTCHNOP_bind_vcpu, &op);
    if (rc == 0)
        s->cpu = (uint16_t)cpu;
    if (!s->taken && !s->delayed)
        unmask(s); /* and what was pending goes to the new CPU */
    return rc;
}

int evtchn_set_cpu(port_t port, unsigned cpu)
{
    struct slot *s = slot_of(port);
    irqstate_t state;
    int rc = -EINVAL;

    ASSERT(s != NULL && s->fn != NULL && !s->rearms);
    state = spin_lock(&s->lock);
    /* Online, or evtchn_cpu_evacuate has not seen this slot yet. */
    if (cpu < CPU_MAX && cpumask_has(cpus_online(), cpu))
        rc = move(s, cpu);
    spin_unlock(&s->lock, state);
    return rc;
}

/* Its interrupts stay, but off its queues, where they would be found again and again. */
static void leave(struct slot *s)
{
    if (s->rearms)
        abi->mask(s->port);
    else
        (void)move(s, 0); /* CPU 0 is always there */
}

static void wait_for_it(struct slot *s)
{
    if (s->rearms && !s->taken)
        unmask(s);
}

static void for_row_of(struct slot *row, unsigned cpu, void (*fn)(struct slot *s))
{
    for (struct slot *s = row; s < row + ROW; s++) {
        irqstate_t state = spin_lock(&s->lock);

        if (s->fn != NULL && s->cpu == cpu)
            fn(s);
        spin_unlock(&s->lock, state);
    }
}

/* Rows that were never made cost a look at a pointer, a shelf of them as well. */
static void for_all_of(unsigned cpu, void (*fn)(struct slot *s))
{
    for (unsigned i = 0; i < SHELVES * SHELF; i += load_acquire(&shelves[i / SHELF]) ? 1 : SHELF)
        if (row_of(i) != NULL)
            for_row_of(row_of(i), cpu, fn);
}

/* What is found on the queues of a CPU that is down: announced again, where it belongs. */
static void announce_again(port_t port)
{
    struct slot *s = slot_of(port);
    irqstate_t state;

    if (s == NULL)
        return;
    state = spin_lock(&s->lock);
    if (s->fn != NULL && !s->taken && !s->delayed) {
        abi->mask(port);
        unmask(s);
    }
    spin_unlock(&s->lock, state);
}

void evtchn_cpu_evacuate(unsigned cpu)
{
    irqstate_t state;

    for_all_of(cpu, leave);
    state = irq_save();
    abi->scan(cpu, announce_again);
    irq_restore(state);
    for_all_of(cpu, wait_for_it);
}

int evtchn_open_poll(unsigned cpu, port_t *out)
{
    struct evtchn_bind_ipi op = {.vcpu = cpu};
    int rc = hypercall_evtchn(EVTCHNOP_bind_ipi, &op);

    if (rc != 0)
        return rc;
    rc = make_slot(op.port); /* where nobody is bound, and so nobody unmasks it */
    if (rc != 0)
        close_port(op.port);
    else
        *out = op.port;
    return rc;
}

void evtchn_poll(port_t port, nsec_t deadline)
{
    struct sched_poll op = {.nr_ports = 1, .timeout = deadline};

    set_xen_guest_handle(op.ports, &port);
    if (!abi->is_pending(port))
        (void)hypercall_sched(SCHEDOP_poll, &op);
    abi->clear_pending(port);
}

void evtchn_unbind(port_t port)
{
    struct slot *s = slot_of(port);
    irqstate_t state;

    ASSERT(s != NULL && !cpu_in_event());
    state = spin_lock(&s->lock);
    ASSERT(s->fn != NULL);
    abi->mask(port);
    s->fn = NULL;
    s->taken = s->delayed = false;
    spin_unlock(&s->lock, state);
    (void)timer_cancel(&s->timer);
    /* Nobody can start the handler now; one that another CPU started before is short. Pairs with
     * the release in deliver. */
    while (load_acquire(&s->running) > 0)
        cpu_relax();
    atomic_sub(&nr_bound, 1);
    close_port(port);
}

int evtchn_notify(port_t port)
{
    struct evtchn_send op = {.port = port};

    return hypercall_evtchn(EVTCHNOP_send, &op);
}

/* ---- delivery ---- */

/* From idle to taken, when the port has an event for this CPU. Under the slot's lock. */
static bool take(struct slot *s)
{
    if (!abi->is_pending(s->port) || abi->is_masked(s->port))
        return false;
    abi->mask(s->port);
    if (s->fn == NULL)
        return false; /* I2: stays masked */
    if (s->cpu != cpu_id()) {
        unmask(s); /* Xen sends it where it belongs */
        return false;
    }
    abi->clear_pending(s->port); /* I1 */
    s->taken = true;
    atomic_add(&s->running, 1);
    return true;
}

/* The scan found an event of (port). Upcalls masked. */
static void deliver(port_t port)
{
    struct slot *s = slot_of(port);
    irqstate_t state;
    evtchn_fn *fn;
    void *arg;

    if (s == NULL) {
        abi->mask(port);
        return;
    }
    state = spin_lock(&s->lock);
    fn = take(s) ? s->fn : NULL;
    arg = s->arg;
    spin_unlock(&s->lock, state);
    if (fn == NULL)
        return;
    atomic_add(&stats.events, 1);
    fn(port, arg);
    if (s->rearms)
        evtchn_eoi(port, true); /* I4 */
    atomic_sub(&s->running, 1);
}

void evtchn_dispatch(void)
{
    unsigned cpu = cpu_id();

    atomic_add(&stats.upcalls, 1);
    /* A full fence: an event that the scan does not see raises the flag again. */
    (void)atomic_exchange(&arch_vcpu_info(cpu)->evtchn_upcall_pending, 0);
    abi->scan(cpu, deliver);
}

/* How long to wait before this EOI takes effect. */
static nsec_t eoi_delay(struct slot *s, bool worked)
{
    if (worked) {
        s->spurious = 0;
        return 0;
    }
    atomic_add(&stats.spurious, 1);
    s->spurious = (uint8_t)MIN(s->spurious + 1, SPURIOUS_MAX);
    if (s->spurious <= FREE_SPURIOUS)
        return 0;
    atomic_add(&stats.delayed, 1);
    return MIN(DELAY_FIRST << (s->spurious - FREE_SPURIOUS - 1), DELAY_MAX);
}

void evtchn_eoi(port_t port, bool worked)
{
    struct slot *s = slot_of(port);
    nsec_t delay = 0;
    irqstate_t state;

    if (s == NULL)
        return;
    state = spin_lock(&s->lock);
    if (s->fn != NULL && (s->taken || (s->delayed && worked))) {
        delay = eoi_delay(s, worked);
        s->taken = false;
        s->delayed = delay != 0;
        if (delay == 0)
            unmask(s);
    }
    spin_unlock(&s->lock, state);
    /* Outside the lock, which the timer takes: after an unbind it finds nothing delayed. I2 */
    if (delay != 0)
        timer_set(&s->timer, time_now() + delay);
}

static void end_delay(struct timer *timer)
{
    struct slot *s = CONTAINER_OF(timer, struct slot, timer);
    irqstate_t state = spin_lock(&s->lock);

    if (s->delayed) {
        s->delayed = false;
        unmask(s);
    }
    spin_unlock(&s->lock, state);
}

/* ---- at boot, and for the curious ---- */

void evtchn_init(void)
{
    const char *wanted = option_get("evtchn");
    bool two_level = wanted != NULL && strcmp(wanted, evtchn_2l.name) == 0;

    /* First, because it masks all ports; the FIFO ABI then takes over if Xen has it. */
    (void)evtchn_2l.init();
    abi = !two_level && evtchn_fifo.init() == 0 ? &evtchn_fifo : &evtchn_2l;
}

int evtchn_cpu_init(unsigned cpu)
{
    return abi->init_cpu(cpu);
}

const char *evtchn_abi_name(void)
{
    return abi->name;
}

unsigned evtchn_count_bound(void)
{
    return load_relaxed(&nr_bound);
}

void evtchn_get_stats(struct evtchn_stats *out)
{
    out->upcalls = load_relaxed(&stats.upcalls);
    out->events = load_relaxed(&stats.events);
    out->spurious = load_relaxed(&stats.spurious);
    out->delayed = load_relaxed(&stats.delayed);
}
