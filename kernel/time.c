/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One-shot timers: one heap per CPU by deadline, the first of which is armed in Xen. No tick: a CPU
 * without timers is not woken.
 *
 * It is a pairing heap: a tree in which nobody is due before his parent. Two trees are melded by
 * making the later root the other's first child; to insert is to meld a tree of one. What a removed
 * timer leaves is melded in pairs, so that a removal costs the logarithm of their number on
 * average.
 *
 * I1 A timer is in the heap of timer.cpu while armed, and changes only under that heap's lock.
 * I2 (running) says which timer's function runs now; timer_cancel waits for it to finish, and so it
 *    has to know where: a timer that is set while its function runs stays on that CPU's heap.
 * I3 (before) is the sibling before, or the parent of the first; NULL for the root.
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
    struct timer *first;
    struct timer *running;
    port_t port;
};

static struct timer_queue queue0 = {.lock = SPINLOCK_INIT};
static struct timer_queue *queues[CPU_MAX];
static int64_t wall_offset;

/* Of the CPU we run on; upcalls masked. */
static struct timer_queue *queue_here(void)
{
    return queues[cpu_id()];
}

static void arm_first(struct timer_queue *q)
{
    /* A deadline of 0 has passed; to clock_arm it would mean "stop". */
    clock_arm(q->first ? MAX(q->first->deadline, (nsec_t)1) : 0);
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

/* ---- the heap; its lock is held ---- */

/* Two roots without siblings, or NULL. */
static struct timer *meld(struct timer *a, struct timer *b)
{
    struct timer *root, *child;

    if (!a || !b)
        return a ? a : b;
    root = b->deadline < a->deadline ? b : a;
    child = root == a ? b : a;
    child->next = root->child;
    if (child->next)
        child->next->before = child;
    child->before = root;
    root->child = child;
    return root;
}

/* (t) without siblings; the one after it. */
static struct timer *split(struct timer *t)
{
    struct timer *next = t->next;

    t->next = t->before = NULL;
    return next;
}

/* All of a list of siblings: in pairs, then the pairs from the last to the first. */
static struct timer *meld_all(struct timer *list)
{
    struct timer *pairs = NULL, *root = NULL;

    while (list) {
        struct timer *a = list, *b = split(a), *pair;

        list = b ? split(b) : NULL;
        pair = meld(a, b);
        pair->next = pairs;
        pairs = pair;
    }
    while (pairs) {
        struct timer *pair = pairs;

        pairs = split(pair);
        root = meld(root, pair);
    }
    return root;
}

static void insert(struct timer_queue *q, struct timer *t)
{
    q->first = meld(q->first, t);
    store_relaxed(&t->armed, true);
}

static void unlink_timer(struct timer *t)
{
    if (t->before->child == t)
        t->before->child = t->next;
    else
        t->before->next = t->next;
    if (t->next)
        t->next->before = t->before;
    (void)split(t);
}

static void disarm(struct timer_queue *q, struct timer *t)
{
    struct timer *below;

    if (!t->armed)
        return;
    below = meld_all(t->child);
    if (t == q->first) {
        q->first = below;
    } else {
        unlink_timer(t);
        q->first = meld(q->first, below);
    }
    t->child = NULL;
    store_relaxed(&t->armed, false);
}

/* ---- what fires ---- */

/* The first timer, if it is due, not armed any more; or NULL. */
static struct timer *take_due(struct timer_queue *q)
{
    struct timer *t = q->first;

    if (!t || t->deadline > clock_read())
        return NULL;
    disarm(q, t);
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
    spin_name(&q->lock);
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
    spin_lock_second(&to->lock);
    while (from->first) {
        struct timer *t = from->first;

        disarm(from, t);
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
    t->child = t->next = t->before = NULL;
    t->fn = fn;
    store_relaxed(&t->armed, false);
    t->cpu = 0;
}

void timer_set(struct timer *t, nsec_t deadline)
{
    irqstate_t irq = irq_save();
    struct timer_queue *q;

    while ((q = lock_queue_of(t)) != queue_here() && q->running != t) { /* it moves here */
        disarm(q, t);
        store_relaxed(&t->cpu, (uint8_t)cpu_id());
        spin_unlock_masked(&q->lock);
    }
    disarm(q, t);
    t->deadline = deadline;
    insert(q, t);
    if (q->first == t && q == queue_here())
        arm_first(q); /* elsewhere timer_event does it when the function returns (I2) */
    spin_unlock_masked(&q->lock);
    irq_restore(irq);
}

bool timer_cancel(struct timer *t)
{
    irqstate_t irq = irq_save();
    struct timer_queue *q = lock_queue_of(t);
    bool was_armed = t->armed;

    disarm(q, t);
    /* I2; on its own CPU it is our caller, and waiting would be for ever. */
    while (q->running == t && q != queue_here()) {
        spin_unlock(&q->lock, irq);
        cpu_relax();
        irq = irq_save();
        q = lock_queue_of(t);
        disarm(q, t); /* its function may have set it again */
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
