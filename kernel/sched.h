/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The scheduler from inside; everybody else needs only kernel/thread.h. Private to
 *
 *      runq.c        what is ready on a CPU, and when the CPU has to look at it
 *      balance.c     which CPU a thread runs on                          I5, I6
 *      sched.c       a thread runs: switching, blocking, waking          I2, I3
 *      prio.c        its priority, and what is lent to it
 *      thread.c      its memory, from creation to the grave              I4
 *      sched_cpu.c   CPUs that come, idle and go
 *
 *      READY --pick--> RUNNING --thread_block--> BLOCKED --thread_wake / timer--> READY
 *                        |  ^---- slice over, or a more urgent one became ready ----^
 *                        '--thread_exit--> DYING --off its stack--> DEAD (joined or reaped)
 *
 * On its way from one queue to another a thread is MOVING.
 *
 * I1 A thread's state, its place on a ready list, its priority and (woken) change only under the
 *    lock of the queue that (cpu) names; (cpu) itself changes only under that lock, to MOVING
 *    (runq_lock_of).
 */
#ifndef KERNEL_SCHED_H
#define KERNEL_SCHED_H

#include <arch/cpu.h>
#include <arch/page.h>
#include <arch/thread.h>
#include "kernel/cpus.h"
#include "kernel/spinlock.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "kernel/wait.h"
#include "lib/base/list.h"

enum state { READY, RUNNING, BLOCKED, MOVING, DYING, DEAD };

struct thread {
    struct arch_thread arch;
    struct list link; /* ready list, or the list of the dead */
    enum state state;
    uint8_t prio, base_prio;
    unsigned loans; /* mutexes it holds that lent it a priority */
    bool woken, timed_out, detached;
    char name[16];
    unsigned cpu; /* whose queue it is on, runs on, or ran on last */
    struct cpumask allowed;
    void *stack;
    size_t stack_pages;
    bool stack_cleared; /* what is not zero was used */
    void (*fn)(void *);
    void *arg;
    void *user;
    struct timer timer;
    struct waitq joiners;
    struct lock_stack locks;
};

struct runq {
    struct spinlock lock;
    unsigned cpu;
    bool online; /* takes threads */
    bool kicked; /* an interrupt is on its way to this CPU, which will consider */
    struct list ready[PRIO_COUNT];
    unsigned urgent;              /* bit per non-empty list */
    unsigned waiting[PRIO_COUNT]; /* how many on each list */
    struct thread *running;
    unsigned running_prio; /* the same without the lock: (running) may be freed meanwhile */
    bool offered;          /* somebody waits for this CPU to take his thread (I5) */
    struct thread *idle;
    struct thread *left; /* the thread that was switched away from (I2) */
    struct timer slice;
    uint8_t shared; /* the priority that (slice) divides */
    bool turn_over; /* the running thread used its slice up */
    struct thread_stats stats;
};

/* --- runq.c --- */

extern struct runq *runqs[CPU_MAX]; /* NULL: never was online. CPU 0 always is. */

/* (q) of a CPU that is not online yet; (idle) is the thread that it runs. */
void runq_init(struct runq *q, unsigned cpu, struct thread *idle);
/* The queue of (t), locked (I1). Upcalls masked. */
struct runq *runq_lock_of(const struct thread *t);

/* Lock held. (t) is ready: the last of its list, or the first. Then it is on no list any more. */
void runq_insert(struct runq *q, struct thread *t, bool front);
void runq_remove(struct runq *q, struct thread *t);
/* Lock held, of any CPU's queue. Does the running thread have to give way to a ready one, or to
 * share? Whenever one of them, its priority or what it may do changed. */
void runq_consider(struct runq *q);

/* NULL, or one that another CPU may just have made. */
static inline struct runq *runq_of_cpu(unsigned cpu)
{
    return load_acquire(&runqs[cpu]);
}

/* Of the CPU we run on; upcalls masked. */
static inline struct runq *runq_here(void)
{
    return runqs[cpu_id()];
}

/* The priority of the most urgent ready thread, -1: there is none. */
static inline int most_urgent(const struct runq *q)
{
    unsigned urgent = load_relaxed(&q->urgent);

    return urgent ? 31 - __builtin_clz(urgent) : -1;
}

/* --- balance.c --- */

extern struct cpumask sched_idle_cpus; /* that nobody has given work since they said so (I5) */

/* (t), on no list, is ready from now on: on the queue that suits it. (q), its own, is locked and
 * will not be after it. Upcalls masked, as in all of these. */
void sched_place(struct runq *q, struct thread *t);
/* The same on (q), which stays locked. */
void sched_make_ready(struct runq *q, struct thread *t);
/* I5: for an idle CPU that was to come and take somebody, and does not. */
void sched_offer_all(void);
/* At the end of a slice. (q) is locked and will not be after it. */
void sched_give_away(struct runq *q);
/* By the idle thread: run somebody from (q) or from elsewhere, or sleep. */
void sched_idle_once(struct runq *q);

/* An idle CPU that (t) may run on, which is told to nobody else until it is idle again. (offered):
 * it is to come for (t). NULL: there is none. */
struct runq *sched_claim_idle(const struct thread *t, bool offered);

static inline bool may_run_on(const struct thread *t, const struct runq *q)
{
    if (!load_relaxed(&q->online))
        return false;
    return t == q->idle || cpumask_has(&t->allowed, q->cpu) ||
           !cpumask_meets(&t->allowed, cpus_online());
}

/* I5: (t) waits in a locked queue; let an idle CPU come and take it. */
static inline void sched_offer(const struct thread *t)
{
    struct runq *idle;

    if (cpus_count() == 1)
        return;
    full_fence(); /* with the change of (sched_idle_cpus) in sched_idle_once */
    idle = sched_claim_idle(t, true);
    if (idle)
        cpu_kick(idle->cpu);
}

/* --- sched.c --- */

extern bool sched_resched_always; /* paravane.resched-always */

/* Where a new thread starts, and the function of its (timer). */
void sched_entry(void *thread);
void sched_block_timeout(struct timer *timer);
/* Give the CPU to another ready thread, if one is more urgent or it is its turn. Upcalls masked.
 * (involuntary): as for arch_switch. */
void sched_reschedule(bool involuntary);

/* --- thread.c --- */

/* Zeroes, with a stack and an area for the FPU. NULL: no memory. */
struct thread *thread_alloc(size_t stack_pages);
void thread_free(struct thread *t);
/* (t) is off its stack: it is DEAD, for its joiner to free, or detached, for thread_reap. Upcalls
 * masked. */
void thread_bury(struct thread *t);
void thread_reap(void);

static inline void *thread_stack_top(const struct thread *t)
{
    return (char *)t->stack + t->stack_pages * PAGE_SIZE;
}

/* --- all of them --- */

/* thread_join looks at it without the lock of I1. */
static inline void set_state(struct thread *t, enum state state)
{
    store_relaxed(&t->state, state);
}

#endif
