/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A thread runs: from its first step to its last, with the switches between, and blocking and
 * waking, which cause most of them.
 *
 * I2 The queue's lock is held across a switch: taken by the thread that leaves, released by the one
 *    that continues (finish_switch). So nobody runs or moves a thread whose stack is still in use.
 * I3 (woken) set between prepare and block makes thread_block return at once: no lost wake-up.
 */
#include "kernel/sched.h"
#include <arch/boot.h>
#include <arch/irq.h>
#include "lib/base/assert.h"

bool sched_resched_always;

static struct thread *pick(struct runq *q)
{
    int prio = most_urgent(q);
    struct thread *t;

    if (prio < 0 || !q->online)
        return q->idle;
    t = list_first(&q->ready[prio], struct thread, link);
    runq_remove(q, t);
    return t;
}

/* The first thing that every continued thread does, on its own stack. Upcalls masked. It may make
 * a joiner ready that is more urgent than the caller, who looks after that. */
static void finish_switch(void)
{
    struct runq *q = runq_here();
    struct thread *left = q->left;
    enum state state = left->state;

    if (state == MOVING) /* it may not stay here */
        sched_place(q, left);
    else
        spin_unlock_masked(&q->lock);
    if (state == DYING)
        thread_bury(left);
    if (load_relaxed(&q->offered)) {
        store_relaxed(&q->offered, false);
        sched_offer_all();
    }
}

/* Leave the current thread, whose state and list place are set already. Lock held, upcalls masked.
 */
static void switch_away(struct runq *q, bool involuntary)
{
    struct thread *prev = cpu_current(), *next = pick(q);

    cpu_set_need_resched(sched_resched_always);
    q->turn_over = false;
    set_state(next, RUNNING);
    store_relaxed(&q->running, next);
    store_relaxed(&q->running_prio, next->prio);
    cpu_set_current(next);
    runq_consider(q);
    if (prev->state == READY && prev != q->idle)
        sched_offer(prev);
    if (next == prev) {
        spin_unlock_masked(&q->lock);
        return;
    }
    if (prev == q->idle && cpumask_has(&sched_idle_cpus, q->cpu))
        (void)cpumask_remove(&sched_idle_cpus, q->cpu);
    q->stats.switches++;
    q->left = prev;
    arch_switch(&prev->arch, &next->arch, involuntary);
    finish_switch();
}

/* Give the CPU to another ready thread: one more urgent, or an equal one whose turn it is. Again
 * when the thread that gave it back to us ended and so woke a more urgent joiner, or when we may
 * not be here any more: nobody looks after this in an upcall's return. */
void sched_reschedule(bool involuntary)
{
    struct thread *me = cpu_current();
    struct runq *q;

    do {
        q = runq_here();
        spin_lock_masked(&q->lock);
        if (me == q->idle)
            set_state(me, READY);
        else if (!may_run_on(me, q))
            set_state(me, MOVING); /* when its stack is free (I2) */
        else
            runq_insert(q, me, most_urgent(q) > me->prio && !q->turn_over);
        switch_away(q, involuntary);
        q = runq_here();
    } while (me != q->idle && (most_urgent(q) > load_relaxed(&me->prio) || !may_run_on(me, q)));
}

void sched_preempt(void)
{
    runq_here()->stats.preemptions++;
    sched_reschedule(true);
}

void thread_preempt_check(void)
{
    irqstate_t irq;

    if (cpu_preempt_count() != 0 || cpu_in_event() || !irq_enabled())
        return;
    irq = irq_save();
    sched_reschedule(false);
    irq_restore(irq);
}

void thread_yield(void)
{
    irqstate_t irq = irq_save();

    ASSERT(cpu_preempt_count() == 0 && !cpu_in_event());
    sched_reschedule(false);
    irq_restore(irq);
}

void preempt_disable(void)
{
    cpu_preempt_add(1);
    compiler_fence();
}

void preempt_enable(void)
{
    compiler_fence();
    ASSERT(cpu_preempt_count() > 0);
    cpu_preempt_add(-1);
    if (cpu_need_resched())
        thread_preempt_check();
}

/* --- blocking --- */

void thread_prepare_block(void)
{
    store_relaxed(&cpu_current()->woken, false);
    full_fence(); /* before the caller tests its condition */
}

void sched_block_timeout(struct timer *timer)
{
    struct thread *t = CONTAINER_OF(timer, struct thread, timer);
    struct runq *q = runq_lock_of(t);

    if (t->state != BLOCKED) {
        spin_unlock_masked(&q->lock);
        return;
    }
    t->timed_out = true;
    sched_place(q, t);
}

int thread_block(nsec_t deadline)
{
    struct thread *me = cpu_current();
    irqstate_t irq = irq_save();
    struct runq *q = runq_here();

    ASSERT(cpu_preempt_count() == 0 && !cpu_in_event() && me != q->idle);
    lock_may_block();
    spin_lock_masked(&q->lock);
    me->timed_out = false;
    if (me->woken) { /* I3 */
        spin_unlock_masked(&q->lock);
        irq_restore(irq);
        return 0;
    }
    set_state(me, BLOCKED);
    if (deadline != NEVER)
        timer_set(&me->timer, deadline);
    switch_away(q, false);
    irq_restore(irq);
    if (irq && cpu_need_resched())
        thread_preempt_check();
    if (deadline != NEVER)
        timer_cancel(&me->timer);
    return me->timed_out ? -ETIMEDOUT : 0;
}

void thread_wake(struct thread *t)
{
    irqstate_t irq = irq_save();
    struct runq *q = runq_lock_of(t);

    store_relaxed(&t->woken, true);
    if (t->state == BLOCKED)
        sched_place(q, t);
    else
        spin_unlock_masked(&q->lock);
    irq_restore(irq);
    if (irq && cpu_need_resched())
        thread_preempt_check();
}

void thread_sleep_until(nsec_t deadline)
{
    thread_prepare_block();
    while (thread_block(deadline) == 0)
        thread_prepare_block();
}

/* --- the first step and the last --- */

void sched_entry(void *arg)
{
    struct thread *me = arg;

    finish_switch();
    irq_restore(true);
    if (cpu_need_resched())
        thread_preempt_check();
    me->fn(me->arg);
    thread_exit();
}

NORETURN void thread_exit(void)
{
    struct runq *q;

    ASSERT(cpu_preempt_count() == 0 && !cpu_in_event());
    irq_save();
    q = runq_here();
    spin_lock_masked(&q->lock);
    set_state(cpu_current(), DYING);
    switch_away(q, false);
    panic("a dead thread runs");
}
