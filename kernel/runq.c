/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Run queues: each CPU has one, with a list of ready threads for each priority. The most urgent one
 * is to run, and equals share the CPU in time slices: whoever changes something about it has the
 * queue's CPU consider.
 */
#include "kernel/sched.h"

#define SLICE (10 * NSEC_PER_MSEC)

struct runq *runqs[CPU_MAX];

struct runq *runq_lock_of(const struct thread *t)
{
    for (;;) {
        struct runq *q = runq_of_cpu(load_relaxed(&t->cpu));

        spin_lock_masked(&q->lock);
        if (q->cpu == load_acquire(&t->cpu))
            return q;
        spin_unlock_masked(&q->lock);
    }
}

void runq_insert(struct runq *q, struct thread *t, bool front)
{
    set_state(t, READY);
    if (front)
        list_push_front(&q->ready[t->prio], &t->link);
    else
        list_push_back(&q->ready[t->prio], &t->link);
    store_relaxed(&q->urgent, q->urgent | 1u << t->prio);
    store_relaxed(&q->waiting[t->prio], q->waiting[t->prio] + 1);
}

void runq_remove(struct runq *q, struct thread *t)
{
    list_remove(&t->link);
    if (list_empty(&q->ready[t->prio]))
        store_relaxed(&q->urgent, q->urgent & ~(1u << t->prio));
    store_relaxed(&q->waiting[t->prio], q->waiting[t->prio] - 1);
}

/* Have the CPU of (q), which is another one, consider. */
static void kick(struct runq *q)
{
    if (q->kicked)
        return;
    q->kicked = true;
    cpu_kick(q->cpu);
}

/* On several CPUs slices end while anybody waits, for sched_give_away. */
void runq_consider(struct runq *q)
{
    const struct thread *now = q->running;
    int prio = most_urgent(q);
    bool leave = !may_run_on(now, q) || (prio >= 0 && (now == q->idle || prio > now->prio));
    bool share =
        prio >= 0 && (prio == now->prio || cpus_count() > 1) && !load_relaxed(&q->slice.armed);

    if (!leave && !share)
        return;
    if (q != runq_here()) {
        kick(q);
    } else if (leave) {
        cpu_set_need_resched(true);
    } else {
        q->shared = now->prio;
        timer_set(&q->slice, clock_read() + SLICE);
    }
}

void sched_kicked(void)
{
    struct runq *q = runq_here();

    spin_lock_masked(&q->lock);
    q->kicked = false;
    runq_consider(q);
    spin_unlock_masked(&q->lock);
}

/* The slice may end while a thread of another priority runs; then its owner, if it is still ready
 * and was preempted, is the first of its list and loses that place. */
static void slice_over(struct timer *timer)
{
    struct runq *q = CONTAINER_OF(timer, struct runq, slice);
    struct list *sharers = &q->ready[q->shared];

    spin_lock_masked(&q->lock);
    if (q->running->prio == q->shared) {
        q->turn_over = true;
        cpu_set_need_resched(true);
    } else if (!list_empty(sharers)) {
        struct list *first = sharers->next;

        list_remove(first);
        list_push_back(sharers, first);
    }
    runq_consider(q); /* those that run now may share as well */
    sched_give_away(q);
}

void runq_init(struct runq *q, unsigned cpu, struct thread *idle)
{
    spin_init(&q->lock);
    q->cpu = cpu;
    for (int i = 0; i < PRIO_COUNT; i++)
        list_init(&q->ready[i]);
    timer_init(&q->slice, slice_over);
    idle->cpu = cpu;
    idle->state = RUNNING;
    idle->detached = true;
    q->idle = q->running = idle;
}

void thread_get_stats(struct thread_stats *out)
{
    *out = (struct thread_stats){0, 0, 0};
    for (unsigned cpu = 0; cpu < cpus_known(); cpu++) {
        const struct runq *q = runq_of_cpu(cpu);

        if (!q)
            continue;
        out->switches += load_relaxed(&q->stats.switches);
        out->preemptions += load_relaxed(&q->stats.preemptions);
        out->steals += load_relaxed(&q->stats.steals);
    }
}

const struct thread *sched_running(unsigned cpu)
{
    const struct runq *q = runq_of_cpu(cpu);

    return q ? load_relaxed(&q->running) : NULL;
}
