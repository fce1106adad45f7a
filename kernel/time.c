/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One-shot timers: one list per CPU in order of deadline, the first of which is armed in Xen. No
 * tick: a CPU without timers is not woken.
 *
 * I1 A timer is on the list of timer.cpu while armed, and changes only under that list's lock.
 * I2 (running) says which timer's function runs now; timer_cancel waits for it to finish, and so it
 *    has to know where: a timer that is set while its function runs stays on that CPU's list.
 */
#include "kernel/time.h"
#include <arch/cpu.h>
#include <xen/xen.h>
#include "kernel/evtchn.h"
#include "kernel/heap.h"
#include "kernel/spinlock.h"
#include "kernel/thread.h"
#include "lib/base/assert.h"
#include "lib/base/errno.h"

struct timer_queue {
    struct spinlock lock;
    struct list timers;
    struct timer *running;
    port_t port;
};

static struct timer_queue queue0;
static struct timer_queue *queues[CPU_MAX];
static int64_t wall_offset;

/* Of the CPU we run on; upcalls masked. */
static struct timer_queue *queue_here(void)
{
    return queues[cpu_id()];
}

static void arm_first(struct timer_queue *q)
{
    if (list_empty(&q->timers))
        clock_arm(0);
    else /* a deadline of 0 has passed; it does not mean "stop" */
        clock_arm(MAX(list_first(&q->timers, struct timer, link)->deadline, (nsec_t)1));
}

/* Lock the queue that (t) belongs to, which may change until we have it (I1). Upcalls masked. */
static struct timer_queue *lock_queue_of(struct timer *t)
{
    for (;;) {
        struct timer_queue *q = queues[load_relaxed(&t->cpu)];

        spin_lock_masked(&q->lock);
        if (q == queues[load_relaxed(&t->cpu)])
            return q;
        spin_unlock_masked(&q->lock);
    }
}

static void insert(struct timer_queue *q, struct timer *t)
{
    struct list *pos = q->timers.prev;

    /* From the end: new deadlines are usually the latest. */
    while (pos != &q->timers && list_entry(pos, struct timer, link)->deadline > t->deadline)
        pos = pos->prev;
    list_insert_before(pos->next, &t->link);
    store_relaxed(&t->armed, true);
}

/* The due timer that is first, taken off the list; NULL when none is due. */
static struct timer *take_due(struct timer_queue *q)
{
    struct timer *t;

    if (list_empty(&q->timers))
        return NULL;
    t = list_first(&q->timers, struct timer, link);
    if (t->deadline > clock_read())
        return NULL;
    list_remove(&t->link);
    store_relaxed(&t->armed, false);
    return t;
}

static void timer_event(port_t port, void *arg)
{
    struct timer_queue *q = arg;

    (void)port;
    spin_lock_masked(&q->lock);
    while ((q->running = take_due(q)) != NULL) {
        spin_unlock_masked(&q->lock);
        q->running->fn(q->running);
        spin_lock_masked(&q->lock);
    }
    arm_first(q);
    spin_unlock_masked(&q->lock);
}

void time_init(void)
{
    list_init(&queue0.timers);
    queues[0] = &queue0;
    if (evtchn_bind_virq(VIRQ_TIMER, 0, timer_event, &queue0, &queue0.port) != 0)
        panic("time: cannot bind the timer interrupt");
}

int time_cpu_init(unsigned cpu)
{
    struct timer_queue *q = heap_alloc_zeroed(sizeof(*q));
    int rc;

    if (q == NULL)
        return -ENOMEM;
    list_init(&q->timers);
    rc = evtchn_bind_virq(VIRQ_TIMER, cpu, timer_event, q, &q->port);
    if (rc == 0)
        store_release(&queues[cpu], q);
    else
        heap_free(q);
    return rc;
}

/* Nobody but us locks two queues. */
void time_cpu_evacuate(unsigned cpu)
{
    irqstate_t irq = irq_save();
    struct timer_queue *from = queues[cpu], *to = queue_here();

    spin_lock_masked(&from->lock);
    spin_lock_masked(&to->lock);
    while (!list_empty(&from->timers)) {
        struct timer *t = list_first(&from->timers, struct timer, link);

        list_remove(&t->link);
        store_relaxed(&t->cpu, (uint8_t)cpu_id());
        insert(to, t);
    }
    arm_first(to);
    spin_unlock_masked(&to->lock);
    spin_unlock_masked(&from->lock);
    irq_restore(irq);
}

void time_cpu_resume(void)
{
    struct timer_queue *q = queue_here();

    spin_lock_masked(&q->lock);
    arm_first(q);
    spin_unlock_masked(&q->lock);
}

void timer_init(struct timer *t, void (*fn)(struct timer *t))
{
    list_init(&t->link);
    t->fn = fn;
    store_relaxed(&t->armed, false);
    t->cpu = 0;
}

void timer_set(struct timer *t, nsec_t deadline)
{
    irqstate_t irq = irq_save();
    struct timer_queue *q;

    while ((q = lock_queue_of(t)) != queue_here() && q->running != t) { /* it moves here */
        list_remove(&t->link);
        store_relaxed(&t->armed, false);
        store_relaxed(&t->cpu, (uint8_t)cpu_id());
        spin_unlock_masked(&q->lock);
    }
    list_remove(&t->link);
    t->deadline = deadline;
    insert(q, t);
    if (q->timers.next == &t->link && q == queue_here())
        arm_first(q); /* elsewhere timer_event does it when the function returns (I2) */
    spin_unlock_masked(&q->lock);
    irq_restore(irq);
}

/* Under the lock of its queue. */
static bool disarm(struct timer *t)
{
    bool was_armed = t->armed;

    list_remove(&t->link);
    store_relaxed(&t->armed, false);
    return was_armed;
}

bool timer_cancel(struct timer *t)
{
    irqstate_t irq = irq_save();
    struct timer_queue *q = lock_queue_of(t);
    bool was_armed = disarm(t);

    /* I2; on its own CPU it is our caller, and waiting would be for ever. */
    while (q->running == t && q != queue_here()) {
        spin_unlock(&q->lock, irq);
        cpu_relax();
        irq = irq_save();
        q = lock_queue_of(t);
        (void)disarm(t); /* its function may have set it again */
    }
    spin_unlock(&q->lock, irq);
    return was_armed;
}

nsec_t time_wall(void)
{
    return clock_wall_base() + clock_read() + (nsec_t)load_relaxed(&wall_offset);
}

void time_set_wall(nsec_t since_epoch)
{
    store_relaxed(&wall_offset, (int64_t)(since_epoch - clock_wall_base() - clock_read()));
}
