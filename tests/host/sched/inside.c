/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What only the scheduler can see: whether its invariants are true at a moment at which nothing
 * happens, and a picture of its queues.
 */
#include "kernel/sched.h"
#include <stdio.h>
#include "tests/host/sched/machine.h"

static char complaint[200];

static const char *wrong(const char *what, const struct thread *t, unsigned cpu)
{
    snprintf(complaint, sizeof(complaint), "%s (thread %s, CPU %u)", what, t ? t->name : "none",
             cpu);
    return complaint;
}

/* One that waits on queue (q). */
static const char *check_waiting(const struct runq *q, const struct thread *t, const bool *asleep)
{
    const struct thread *now = q->running;

    if (t->state != READY || t->cpu != q->cpu)
        return wrong("who waits here is not READY or does not know where", t, q->cpu);
    if (!q->online)
        return NULL; /* until it is evacuated */
    if (now != q->idle && t->prio > now->prio && may_run_on(t, q))
        return wrong("a less urgent one runs", t, q->cpu);
    if (now != q->idle && (t->prio == now->prio || cpus_count() > 1) && !q->slice.armed)
        return wrong("nobody ends the slice of who runs", t, q->cpu);
    for (unsigned cpu = 0; cpu < cpus_known(); cpu++)
        if (runqs[cpu] && asleep[cpu] && may_run_on(t, runqs[cpu]))
            return wrong("I5: a thread waits while this CPU sleeps", t, cpu);
    return NULL;
}

static const char *check_queue(const struct runq *q, const bool *asleep)
{
    unsigned urgent = 0;

    if (q->lock.word != 0)
        return wrong("its queue is locked", NULL, q->cpu);
    if (q->running->state != RUNNING || q->running->cpu != q->cpu)
        return wrong("who runs is not RUNNING, or not here", q->running, q->cpu);
    if (q->online && !may_run_on(q->running, q))
        return wrong("who runs may not run here", q->running, q->cpu);
    for (int prio = 0; prio < PRIO_COUNT; prio++) {
        unsigned n = 0;

        list_for_each (pos, &q->ready[prio]) {
            const struct thread *t = list_entry(pos, struct thread, link);
            const char *complaint_of_it = check_waiting(q, t, asleep);

            if (complaint_of_it)
                return complaint_of_it;
            if (t->prio != prio)
                return wrong("it is on the list of another priority", t, q->cpu);
            urgent |= 1u << prio;
            n++;
        }
        if (n != q->waiting[prio])
            return wrong("the length of a list is wrong", NULL, q->cpu);
    }
    if (urgent != q->urgent)
        return wrong("the summary of the lists is wrong", NULL, q->cpu);
    return NULL;
}

const char *inside_check(const bool *asleep)
{
    for (unsigned cpu = 0; cpu < cpus_known(); cpu++) {
        const char *what = runqs[cpu] ? check_queue(runqs[cpu], asleep) : NULL;

        if (what)
            return what;
    }
    return NULL;
}

static void print_thread(const struct thread *t)
{
    static const char *const names[] = {"READY", "RUNNING", "BLOCKED", "MOVING", "DYING", "DEAD"};

    printf(" %s(%s prio %u%s%s)", t->name, names[t->state], t->prio, t->woken ? " woken" : "",
           t->timer.armed ? " timer" : "");
}

void inside_print(void)
{
    for (unsigned cpu = 0; cpu < cpus_known(); cpu++) {
        const struct runq *q = runqs[cpu];

        if (!q)
            continue;
        printf("  queue %u:%s%s%s%s runs", cpu, q->online ? "" : " offline",
               q->lock.held ? " locked" : "", q->kicked ? " kicked" : "",
               cpumask_has(&sched_idle_cpus, cpu) ? " idle" : "");
        print_thread(q->running);
        printf(", waiting:");
        for (int prio = PRIO_COUNT - 1; prio >= 0; prio--)
            list_for_each (pos, &q->ready[prio])
                print_thread(list_entry(pos, struct thread, link));
        printf("\n");
    }
}

unsigned inside_waiting(unsigned cpu)
{
    unsigned n = 0;

    for (int prio = 0; prio < PRIO_COUNT; prio++)
        n += load_relaxed(&runqs[cpu]->waiting[prio]);
    return n;
}

void inside_resched_always(void)
{
    sched_resched_always = true;
}
