/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A thread's priority: its own (base_prio), or a higher one that mutexes lend it while it holds
 * them and a more urgent thread waits for it. It falls back to its own when it has returned all
 * loans.
 */
#include "kernel/sched.h"
#include <arch/irq.h>

enum prio thread_prio(const struct thread *t)
{
    return load_relaxed(&t->prio);
}

/* Lock held. */
static void change_prio(struct runq *q, struct thread *t, uint8_t prio)
{
    if (t->prio == prio)
        return;
    if (t->state != READY) {
        store_relaxed(&t->prio, prio);
        store_relaxed(&q->running_prio, q->running->prio);
        runq_consider(q);
        return;
    }
    runq_remove(q, t);
    store_relaxed(&t->prio, prio);
    sched_make_ready(q, t);
}

void thread_set_prio(struct thread *t, enum prio prio)
{
    irqstate_t irq = irq_save();
    struct runq *q = runq_lock_of(t);

    t->base_prio = (uint8_t)prio;
    change_prio(q, t, t->loans > 0 ? MAX(t->prio, t->base_prio) : t->base_prio);
    spin_unlock(&q->lock, irq);
}

bool thread_lend_prio(struct thread *t, enum prio prio, bool first)
{
    irqstate_t irq = irq_save();
    struct runq *q = runq_lock_of(t);
    bool is_more = prio > t->prio;

    t->loans += first;
    if (is_more)
        change_prio(q, t, (uint8_t)prio);
    spin_unlock(&q->lock, irq);
    return is_more;
}

void thread_return_prio(void)
{
    irqstate_t irq = irq_save();
    struct thread *me = cpu_current();
    struct runq *q = runq_lock_of(me);

    if (--me->loans == 0)
        change_prio(q, me, me->base_prio);
    spin_unlock(&q->lock, irq);
}
