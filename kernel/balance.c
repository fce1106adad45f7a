/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which CPU a thread runs on.
 *
 *      it becomes ready    on its CPU, if it may run there at once; else on an idle one, or on the
 *                          one that runs the least urgent thread (choose)
 *      a CPU has no work   that takes a ready thread from another (steal)
 *      a slice ends        where threads wait, one is given away to a CPU where it has to share
 *                          with fewer (sched_give_away)
 *
 * I5 A CPU says that it is idle before it looks for work elsewhere (sched_idle_once), and whoever
 *    leaves a thread waiting looks for an idle CPU afterwards (sched_offer). So no thread waits
 *    while a CPU sleeps. A CPU that got an offer and other work as well looks for another one in
 *    its place (sched_offer_all).
 * I6 Two queues are locked only by steal, the CPU with the lower number first.
 */
#include "kernel/sched.h"

struct cpumask sched_idle_cpus;

/* (offered) is said before the claim, so that the CPU cannot get other work without knowing. */
struct runq *sched_claim_idle(const struct thread *t, bool offered)
{
    cpumask_for_each (cpu, &sched_idle_cpus) {
        struct runq *q = runq_of_cpu(cpu);

        if (!may_run_on(t, q))
            continue;
        if (offered)
            store_relaxed(&q->offered, true);
        if (cpumask_remove(&sched_idle_cpus, cpu))
            return q;
    }
    return NULL;
}

/* The CPU with the least urgent thread among those that (t) may run on. What they run may have
 * changed when we get there: no harm, only a worse choice. */
static struct runq *least_urgent(const struct thread *t)
{
    struct runq *best = NULL;
    unsigned best_prio = PRIO_COUNT;

    cpumask_for_each (cpu, cpus_online()) {
        struct runq *q = runq_of_cpu(cpu);
        unsigned prio = load_relaxed(&q->running_prio);

        if (may_run_on(t, q) && prio < best_prio) {
            best = q;
            best_prio = prio;
        }
    }
    return best ? best : runqs[0];
}

/* The queue for (t), which is about to be ready and whose queue (q) is locked. */
static struct runq *choose(struct runq *q, struct thread *t)
{
    bool may_stay = may_run_on(t, q);
    struct runq *other;

    if (may_stay && (q->running == q->idle || t->prio > q->running->prio)) {
        (void)cpumask_remove(&sched_idle_cpus, q->cpu);
        return q;
    }
    if (cpus_count() == 1)
        return runqs[0];
    other = sched_claim_idle(t, false);
    if (other)
        return other;
    other = least_urgent(t);
    return may_stay && load_relaxed(&other->running_prio) >= q->running->prio ? q : other;
}

void sched_offer_all(void)
{
    for (unsigned cpu = 0; cpu < cpus_known(); cpu++) {
        struct runq *q = runq_of_cpu(cpu);

        if (!q || load_relaxed(&q->urgent) == 0)
            continue;
        spin_lock_masked(&q->lock);
        for (int prio = PRIO_COUNT - 1; prio >= 0; prio--)
            list_for_each (pos, &q->ready[prio])
                sched_offer(list_entry(pos, struct thread, link));
        spin_unlock_masked(&q->lock);
    }
}

void sched_make_ready(struct runq *q, struct thread *t)
{
    runq_insert(q, t, false);
    runq_consider(q);
    if (q->running != q->idle && t->prio <= q->running->prio)
        sched_offer(t);
}

/* Put (t), which is on no list, on queue (to); (q), its own, is locked and will not be after it. */
static void bring(struct runq *q, struct thread *t, struct runq *to)
{
    while (to != q) {
        set_state(t, MOVING);
        store_release(&t->cpu, to->cpu); /* I1; with runq_lock_of, who may lock (to) before us */
        spin_unlock_masked(&q->lock);
        q = to;
        spin_lock_masked(&q->lock);
        if (!q->online) /* meanwhile; CPU 0 never is */
            to = runqs[0];
    }
    sched_make_ready(q, t);
    spin_unlock_masked(&q->lock);
}

void sched_place(struct runq *q, struct thread *t)
{
    bring(q, t, choose(q, t));
}

/* The most urgent ready thread of (from) that may run on (to); both locked. */
static struct thread *find_movable(struct runq *from, const struct runq *to)
{
    for (unsigned urgent = from->urgent; urgent != 0;) {
        unsigned prio = 31 - (unsigned)__builtin_clz(urgent);

        list_for_each (pos, &from->ready[prio]) {
            struct thread *t = list_entry(pos, struct thread, link);

            if (may_run_on(t, to))
                return t;
        }
        urgent &= ~(1u << prio);
    }
    return NULL;
}

/* I6 */
static void lock_both(struct runq *a, struct runq *b)
{
    spin_lock_masked(a->cpu < b->cpu ? &a->lock : &b->lock);
    spin_lock_second(a->cpu < b->cpu ? &b->lock : &a->lock);
}

static bool steal_from(struct runq *from, struct runq *to)
{
    struct thread *t;

    lock_both(from, to);
    t = find_movable(from, to);
    if (t) {
        runq_remove(from, t);
        store_relaxed(&t->cpu, to->cpu);
        runq_insert(to, t, false);
        to->stats.steals++;
    }
    spin_unlock_masked(&from->lock);
    spin_unlock_masked(&to->lock);
    return t != NULL;
}

/* This CPU, whose queue is (q), has nothing to do: take somebody's waiting thread, beginning with
 * the next CPU, so that not all look at the same one. Upcalls masked. */
static bool steal(struct runq *q)
{
    unsigned n = cpus_known();

    for (unsigned i = 1; i < n; i++) {
        struct runq *other = runq_of_cpu((q->cpu + i) % n);

        if (other && load_relaxed(&other->urgent) != 0 && steal_from(other, q))
            return true;
    }
    return false;
}

/* With how many a thread of (prio) shares or would share the CPU of (q): MANY where a more urgent
 * one runs. */
#define MANY 1000000U

static unsigned load_for(const struct runq *q, unsigned prio)
{
    unsigned running = load_relaxed(&q->running_prio), load = running == prio;

    for (unsigned p = prio; p < PRIO_COUNT; p++)
        load += load_relaxed(&q->waiting[p]);
    return running > prio ? MANY + load : load;
}

/* One of (q)'s, which is locked, would have company less by two elsewhere, so that it is better off
 * even when it is counted there: that thread, off its list, and the queue in (*to). NULL: there is
 * none. */
static struct thread *find_surplus(struct runq *q, struct runq **to)
{
    unsigned n = cpus_known();

    for (unsigned i = 1; i < n && q->urgent != 0; i++) {
        struct runq *other = runqs[(q->cpu + i) % n];
        struct thread *t = NULL;

        if (other && load_relaxed(&other->online))
            t = find_movable(q, other);
        if (t && load_for(q, t->prio) >= load_for(other, t->prio) + 2) {
            runq_remove(q, t);
            *to = other;
            return t;
        }
    }
    return NULL;
}

void sched_give_away(struct runq *q)
{
    struct runq *to;
    struct thread *t = cpus_count() > 1 ? find_surplus(q, &to) : NULL;

    if (t)
        bring(q, t, to);
    else
        spin_unlock_masked(&q->lock);
}

/* Somebody may change (from) meanwhile. */
static void copy_mask(struct cpumask *to, const struct cpumask *from)
{
    for (int i = 0; i < CPUMASK_WORDS; i++)
        store_relaxed(&to->word[i], load_relaxed(&from->word[i]));
}

void thread_set_affinity(struct thread *t, const struct cpumask *allowed)
{
    irqstate_t irq = irq_save();
    struct runq *q = runq_lock_of(t);

    copy_mask(&t->allowed, allowed);
    if (t->state == READY && !may_run_on(t, q)) {
        runq_remove(q, t);
        sched_place(q, t);
    } else {
        if (t->state == READY)
            sched_offer(t);
        runq_consider(q);
        spin_unlock_masked(&q->lock);
    }
    irq_restore(irq);
    if (irq && cpu_need_resched())
        thread_preempt_check();
}

void thread_get_affinity(const struct thread *t, struct cpumask *out)
{
    copy_mask(out, &t->allowed);
}

void sched_idle_once(struct runq *q)
{
    (void)cpumask_add(&sched_idle_cpus, q->cpu);
    if (load_relaxed(&q->urgent) == 0) {
        (void)atomic_exchange(&q->offered, false); /* before we look who it was */
        if (!steal(q)) {
            cpu_idle();
            return;
        }
        store_relaxed(&q->offered, true); /* was it him? */
    }
    sched_reschedule(false);
}
