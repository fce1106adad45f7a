/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Wait queues over the one blocking primitive of kernel/thread.h.
 *
 * I1 A waiter tests its condition while it is on the queue and prepared to block; whoever makes the
 *    condition true wakes the queue afterwards. So the wake-up finds it.
 * I2 wake_one takes the waiter off the queue: two calls wake two. The waiter enters again
 *    before it tests again; if it then goes, without having slept, and was taken off meanwhile, the
 *    wake-up was not needed and is passed on.
 */
#include "kernel/wait.h"

void waitq_init_tagged(struct waitq *q, struct lock_tag tag)
{
    spin_init_tagged(&q->lock, tag);
    list_init(&q->waiters);
}

void waitq_enter(struct waitq *q, struct waiter *w)
{
    irqstate_t irq = spin_lock(&q->lock);

    thread_prepare_block();
    w->thread = thread_current();
    if (list_empty(&w->link))
        list_push_back(&q->waiters, &w->link);
    spin_unlock(&q->lock, irq);
}

int waitq_sleep(nsec_t deadline)
{
    return thread_block(deadline);
}

bool waitq_leave(struct waitq *q, struct waiter *w)
{
    irqstate_t irq = spin_lock(&q->lock);
    bool was_woken = list_empty(&w->link);

    list_remove(&w->link);
    spin_unlock(&q->lock, irq);
    return was_woken;
}

/* The thread may be gone as soon as the lock is free, so it is woken under it. */
static void wake_first(struct waitq *q)
{
    struct waiter *w = list_first(&q->waiters, struct waiter, link);

    list_remove(&w->link); /* I2 */
    thread_wake(w->thread);
}

void waitq_wake_all_locked(struct waitq *q)
{
    while (!list_empty(&q->waiters))
        wake_first(q);
}

void waitq_wake_one_locked(struct waitq *q)
{
    if (!list_empty(&q->waiters))
        wake_first(q);
}

void waitq_wake_all(struct waitq *q)
{
    irqstate_t irq = spin_lock(&q->lock);

    waitq_wake_all_locked(q);
    spin_unlock(&q->lock, irq);
}

void waitq_wake_one(struct waitq *q)
{
    irqstate_t irq = spin_lock(&q->lock);

    waitq_wake_one_locked(q);
    spin_unlock(&q->lock, irq);
}
