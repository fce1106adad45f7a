/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The scheduler: each CPU has a run queue, with a list of ready threads for each priority; equals
 * share the CPU in time slices.
 *
 *      READY --pick--> RUNNING --thread_block--> BLOCKED --thread_wake / timer--> READY
 *                        |  ^---- slice over, or a more urgent one became ready ----^
 *                        '--thread_exit--> DYING --off its stack--> DEAD (joined or reaped)
 *
 * A thread that becomes ready stays on its CPU if it may run there at once; otherwise it goes to an
 * idle CPU, or to the one that runs the least urgent thread (choose). A CPU without work takes a
 * ready thread from another (steal); where threads wait, one is given away at the end of a slice to
 * a CPU where it has to share with fewer (give_away). On its way from one queue to another a thread
 * is MOVING.
 *
 * I1 A thread's state, its place on a ready list, its priority and (woken) change only under the
 * lock of the queue that (cpu) names; (cpu) itself changes only under that lock, to MOVING
 * (lock_runq_of). I2 The lock is held across a switch: taken by the thread that leaves, released by
 * the one that continues (finish_switch). So nobody runs or moves a thread whose stack is still in
 * use. I3 (woken) set between prepare and block makes thread_block return at once: no lost wake-up.
 * I4 A dead thread is freed only after the CPU it ran on has switched off its stack (bury).
 * I5 A CPU says that it is idle before it looks for work elsewhere, and whoever leaves a thread
 *    waiting looks for an idle CPU afterwards (offer). So no thread waits while a CPU sleeps. A CPU
 *    that got an offer and other work as well looks for another one in its place (offer_all).
 * I6 Two queues are locked only by steal, the CPU with the lower number first.
 *
 * The context that boots becomes the idle thread of CPU 0.
 */
#include "kernel/thread.h"
#include <arch/boot.h>
#include <arch/irq.h>
#include <arch/thread.h>
#include "kernel/cpus.h"
#include "kernel/heap.h"
#include "kernel/log.h"
#include "kernel/option.h"
#include "kernel/spinlock.h"
#include "kernel/time.h"
#include "kernel/vmap.h"
#include "kernel/wait.h"
#include "lib/base/assert.h"
#include "lib/base/format.h"
#include "lib/base/string.h"
#include <arch/cpu.h>
#include <arch/page.h>

#define SLICE (10 * NSEC_PER_MSEC)
#define NAME_MAX_LEN 16
#define IDLE_STACK_PAGES 4

enum state { READY, RUNNING, BLOCKED, MOVING, DYING, DEAD };

struct thread {
    struct arch_thread arch;
    struct list link; /* ready list, or the list of the dead */
    enum state state;
    uint8_t prio, base_prio;
    unsigned loans; /* mutexes it holds that lent it a priority */
    bool woken, timed_out, detached;
    char name[NAME_MAX_LEN];
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

static struct runq runq0;
static struct runq *runqs[CPU_MAX]; /* NULL: never was online */
static struct thread idle0 = {.name = "idle", .state = RUNNING, .detached = true};
static struct cpumask idle_cpus; /* that nobody has given work since they said so (I5) */
static unsigned live;
static bool resched_always;

static struct spinlock dead_lock = SPINLOCK_INIT;
static struct list dead = LIST_INIT(dead); /* detached threads to free */

/* NULL, or one that another CPU may just have made. */
static struct runq *runq_of_cpu(unsigned cpu)
{
    return load_acquire(&runqs[cpu]);
}

/* Of the CPU we run on; upcalls masked. */
static struct runq *runq_here(void)
{
    return runqs[cpu_id()];
}

/* The queue of (t), locked (I1). Upcalls masked. */
static struct runq *lock_runq_of(const struct thread *t)
{
    for (;;) {
        struct runq *q = runq_of_cpu(load_relaxed(&t->cpu));

        spin_lock_masked(&q->lock);
        if (q->cpu == load_acquire(&t->cpu))
            return q;
        spin_unlock_masked(&q->lock);
    }
}

/* thread_join looks at it without the lock of I1. */
static void set_state(struct thread *t, enum state state)
{
    store_relaxed(&t->state, state);
}

static bool may_run_on(const struct thread *t, const struct runq *q)
{
    if (!load_relaxed(&q->online))
        return false;
    return t == q->idle || cpumask_has(&t->allowed, q->cpu) ||
           !cpumask_meets(&t->allowed, cpus_online());
}

/* --- ready lists; the run queue's lock is held --- */

static void ready_insert(struct runq *q, struct thread *t, bool front)
{
    set_state(t, READY);
    if (front)
        list_push_front(&q->ready[t->prio], &t->link);
    else
        list_push_back(&q->ready[t->prio], &t->link);
    store_relaxed(&q->urgent, q->urgent | 1u << t->prio);
    store_relaxed(&q->waiting[t->prio], q->waiting[t->prio] + 1);
}

static void ready_remove(struct runq *q, struct thread *t)
{
    list_remove(&t->link);
    if (list_empty(&q->ready[t->prio]))
        store_relaxed(&q->urgent, q->urgent & ~(1u << t->prio));
    store_relaxed(&q->waiting[t->prio], q->waiting[t->prio] - 1);
}

static int most_urgent(const struct runq *q)
{
    unsigned urgent = load_relaxed(&q->urgent);

    return urgent ? 31 - __builtin_clz(urgent) : -1;
}

/* Have the CPU of (q), which is another one, consider. */
static void kick(struct runq *q)
{
    if (q->kicked)
        return;
    q->kicked = true;
    cpu_kick(q->cpu);
}

/* Does the running thread have to give way to a ready one, or to share? Whenever one of them, its
 * priority or what it may do changed. On several CPUs slices end while anybody waits, for
 * give_away. */
static void consider(struct runq *q)
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
    consider(q);
    spin_unlock_masked(&q->lock);
}

static struct thread *pick(struct runq *q)
{
    int prio = most_urgent(q);
    struct thread *t;

    if (prio < 0 || !q->online)
        return q->idle;
    t = list_first(&q->ready[prio], struct thread, link);
    ready_remove(q, t);
    return t;
}

/* --- which CPU --- */

/* An idle CPU that (t) may run on, which is told to nobody else until it is idle again. (offered):
 * it is to come for (t). Said before the claim, so that it cannot get other work without knowing.
 */
static struct runq *claim_idle(const struct thread *t, bool offered)
{
    cpumask_for_each(cpu, &idle_cpus)
    {
        struct runq *q = runq_of_cpu(cpu);

        if (!may_run_on(t, q))
            continue;
        if (offered)
            store_relaxed(&q->offered, true);
        if (cpumask_remove(&idle_cpus, cpu))
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

    cpumask_for_each(cpu, cpus_online())
    {
        struct runq *q = runq_of_cpu(cpu);
        unsigned prio = load_relaxed(&q->running_prio);

        if (may_run_on(t, q) && prio < best_prio) {
            best = q;
            best_prio = prio;
        }
    }
    return best ? best : &runq0;
}

/* The queue for (t), which is about to be ready and whose queue (q) is locked. */
static struct runq *choose(struct runq *q, struct thread *t)
{
    bool may_stay = may_run_on(t, q);
    struct runq *other;

    if (may_stay && (q->running == q->idle || t->prio > q->running->prio)) {
        (void)cpumask_remove(&idle_cpus, q->cpu);
        return q;
    }
    if (cpus_count() == 1)
        return &runq0;
    other = claim_idle(t, false);
    if (other)
        return other;
    other = least_urgent(t);
    return may_stay && load_relaxed(&other->running_prio) >= q->running->prio ? q : other;
}

/* I5: (t) waits in a locked queue; let an idle CPU come and take it. */
static void offer(const struct thread *t)
{
    struct runq *idle;

    if (cpus_count() == 1)
        return;
    full_fence(); /* with the change of (idle_cpus) in thread_idle */
    idle = claim_idle(t, true);
    if (idle)
        cpu_kick(idle->cpu);
}

/* I5: for an idle CPU that was to come and take somebody, and does not. */
static void offer_all(void)
{
    for (unsigned cpu = 0; cpu < cpus_known(); cpu++) {
        struct runq *q = runq_of_cpu(cpu);

        if (!q || load_relaxed(&q->urgent) == 0)
            continue;
        spin_lock_masked(&q->lock);
        for (int prio = PRIO_COUNT - 1; prio >= 0; prio--)
            list_for_each (pos, &q->ready[prio])
                offer(list_entry(pos, struct thread, link));
        spin_unlock_masked(&q->lock);
    }
}

static void make_ready(struct runq *q, struct thread *t)
{
    ready_insert(q, t, false);
    consider(q);
    if (q->running != q->idle && t->prio <= q->running->prio)
        offer(t);
}

/* Put (t), which is on no list, on queue (to); (q), its own, is locked and will not be after it. */
static void bring(struct runq *q, struct thread *t, struct runq *to)
{
    while (to != q) {
        set_state(t, MOVING);
        store_release(&t->cpu, to->cpu); /* I1; with lock_runq_of, who may lock (to) before us */
        spin_unlock_masked(&q->lock);
        q = to;
        spin_lock_masked(&q->lock);
        if (!q->online) /* meanwhile; CPU 0 never is */
            to = &runq0;
    }
    make_ready(q, t);
    spin_unlock_masked(&q->lock);
}

/* The same, on the queue that suits it. */
static void place(struct runq *q, struct thread *t)
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
        ready_remove(from, t);
        store_relaxed(&t->cpu, to->cpu);
        ready_insert(to, t, false);
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
            ready_remove(q, t);
            *to = other;
            return t;
        }
    }
    return NULL;
}

/* At the end of a slice. (q) is locked and will not be after it. */
static void give_away(struct runq *q)
{
    struct runq *to;
    struct thread *t = cpus_count() > 1 ? find_surplus(q, &to) : NULL;

    if (t)
        bring(q, t, to);
    else
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
    consider(q); /* those that run now may share as well */
    give_away(q);
}

/* --- switching --- */

/* (t) is off its stack. DEAD and (detached) change under the joiners' lock, so that a joiner who
 * holds it after seeing DEAD is the last one to touch (t) (I4). Upcalls masked. */
static void bury(struct thread *t)
{
    bool detached;

    atomic_sub(&live, 1);
    spin_lock_masked(&t->joiners.lock);
    detached = t->detached;
    store_release(&t->state, DEAD);
    waitq_wake_all_locked(&t->joiners);
    spin_unlock_masked(&t->joiners.lock);
    if (!detached)
        return;
    spin_lock_masked(&dead_lock);
    list_push_back(&dead, &t->link);
    spin_unlock_masked(&dead_lock);
}

/* The first thing that every continued thread does, on its own stack. Upcalls masked. It may make
 * a joiner ready that is more urgent than the caller, who looks after that. */
static void finish_switch(void)
{
    struct runq *q = runq_here();
    struct thread *left = q->left;
    enum state state = left->state;

    if (state == MOVING) /* it may not stay here */
        place(q, left);
    else
        spin_unlock_masked(&q->lock);
    if (state == DYING)
        bury(left);
    if (load_relaxed(&q->offered)) {
        store_relaxed(&q->offered, false);
        offer_all();
    }
}

/* Leave the current thread, whose state and list place are set already. Lock held, upcalls masked.
 */
static void switch_away(struct runq *q, bool involuntary)
{
    struct thread *prev = cpu_current(), *next = pick(q);

    cpu_set_need_resched(resched_always);
    q->turn_over = false;
    set_state(next, RUNNING);
    store_relaxed(&q->running, next);
    store_relaxed(&q->running_prio, next->prio);
    cpu_set_current(next);
    consider(q);
    if (prev->state == READY && prev != q->idle)
        offer(prev);
    if (next == prev) {
        spin_unlock_masked(&q->lock);
        return;
    }
    if (prev == q->idle && cpumask_has(&idle_cpus, q->cpu))
        (void)cpumask_remove(&idle_cpus, q->cpu);
    q->stats.switches++;
    q->left = prev;
    arch_switch(&prev->arch, &next->arch, involuntary);
    finish_switch();
}

/* Give the CPU to another ready thread: one more urgent, or an equal one whose turn it is. Again
 * when the thread that gave it back to us ended and so woke a more urgent joiner, or when we may
 * not be here any more: nobody looks after this in an upcall's return. */
static void reschedule(bool involuntary)
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
            ready_insert(q, me, most_urgent(q) > me->prio && !q->turn_over);
        switch_away(q, involuntary);
        q = runq_here();
    } while (me != q->idle && (most_urgent(q) > load_relaxed(&me->prio) || !may_run_on(me, q)));
}

void sched_preempt(void)
{
    runq_here()->stats.preemptions++;
    reschedule(true);
}

void thread_preempt_check(void)
{
    irqstate_t irq;

    if (cpu_preempt_count() != 0 || cpu_in_event() || !irq_enabled())
        return;
    irq = irq_save();
    reschedule(false);
    irq_restore(irq);
}

void thread_yield(void)
{
    irqstate_t irq = irq_save();

    ASSERT(cpu_preempt_count() == 0 && !cpu_in_event());
    reschedule(false);
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

static void block_timeout(struct timer *timer)
{
    struct thread *t = CONTAINER_OF(timer, struct thread, timer);
    struct runq *q = lock_runq_of(t);

    if (t->state != BLOCKED) {
        spin_unlock_masked(&q->lock);
        return;
    }
    t->timed_out = true;
    place(q, t);
}

int thread_block(nsec_t deadline)
{
    struct thread *me = cpu_current();
    irqstate_t irq = irq_save();
    struct runq *q = runq_here();

    ASSERT(cpu_preempt_count() == 0 && !cpu_in_event());
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
    struct runq *q = lock_runq_of(t);

    store_relaxed(&t->woken, true);
    if (t->state == BLOCKED)
        place(q, t);
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

/* --- life and death --- */

static void entry(void *arg)
{
    struct thread *me = arg;

    finish_switch();
    irq_restore(true);
    if (cpu_need_resched())
        thread_preempt_check();
    me->fn(me->arg);
    thread_exit();
}

size_t thread_stack_used(const struct thread *t, size_t *size)
{
    const uint64_t *word = t->stack, *end = word + t->stack_pages * PAGE_SIZE / sizeof(*word);

    *size = t->stack_pages * PAGE_SIZE;
    if (!t->stack_cleared)
        return 0;
    while (word < end && *word == 0)
        word++;
    return (size_t)(end - word) * sizeof(*word);
}

static void thread_free(struct thread *t)
{
    size_t size, used = thread_stack_used(t, &size);

    if (t->stack_cleared)
        log_debug("thread %s used %lu of %lu bytes of its stack", t->name, (unsigned long)used,
                  (unsigned long)size);
    vmap_free(t->stack, t->stack_pages);
    heap_free(t->arch.fpu);
    heap_free(t);
}

static void reap(void)
{
    for (;;) {
        irqstate_t irq = spin_lock(&dead_lock);
        struct thread *t = list_empty(&dead) ? NULL : list_first(&dead, struct thread, link);

        if (t)
            list_remove(&t->link);
        spin_unlock(&dead_lock, irq);
        if (!t)
            return;
        thread_free(t);
    }
}

static struct thread *thread_alloc(size_t stack_pages)
{
    struct thread *t = heap_alloc_zeroed(sizeof(*t));

    if (!t)
        return NULL;
    list_init(&t->link);
    waitq_init(&t->joiners);
    timer_init(&t->timer, block_timeout);
    t->stack_pages = stack_pages;
    t->stack = vmap_alloc(stack_pages);
    t->arch.fpu = heap_alloc_aligned(64, arch_fpu_size());
    t->stack_cleared = t->stack && log_prints(LOG_DEBUG);
    if (t->stack_cleared)
        memset(t->stack, 0, t->stack_pages * PAGE_SIZE);
    if (t->stack && t->arch.fpu)
        return t;
    if (t->stack)
        vmap_free(t->stack, t->stack_pages);
    heap_free(t->arch.fpu);
    heap_free(t);
    return NULL;
}

static void *stack_top(const struct thread *t)
{
    return (char *)t->stack + t->stack_pages * PAGE_SIZE;
}

/* Somebody may change (from) meanwhile. */
static void copy_mask(struct cpumask *to, const struct cpumask *from)
{
    for (int i = 0; i < CPUMASK_WORDS; i++)
        store_relaxed(&to->word[i], load_relaxed(&from->word[i]));
}

int thread_create(const char *name, enum prio prio, size_t stack_size, void (*fn)(void *),
                  void *arg, struct thread **out)
{
    struct thread *t;
    irqstate_t irq;

    reap();
    t = thread_alloc(DIV_ROUND_UP(stack_size ? stack_size : THREAD_STACK_DEFAULT, PAGE_SIZE));
    if (!t)
        return -ENOMEM;
    string_copy(t->name, sizeof(t->name), name);
    t->prio = t->base_prio = (uint8_t)prio;
    t->fn = fn;
    t->arg = arg;
    copy_mask(&t->allowed, &cpu_current()->allowed);
    set_state(t, MOVING);
    arch_thread_init(&t->arch, stack_top(t), t->arch.fpu, entry, t);
    atomic_add(&live, 1);
    *out = t; /* before it runs: it may ask */
    irq = irq_save();
    t->cpu = cpu_id();
    place(lock_runq_of(t), t);
    irq_restore(irq);
    if (irq && cpu_need_resched())
        thread_preempt_check();
    return 0;
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

void thread_join(struct thread *t)
{
    irqstate_t irq;

    (void)!wait_until(&t->joiners, load_acquire(&t->state) == DEAD, NEVER);
    irq = spin_lock(&t->joiners.lock); /* bury has let go of it */
    spin_unlock(&t->joiners.lock, irq);
    thread_free(t);
}

void thread_detach(struct thread *t)
{
    irqstate_t irq = spin_lock(&t->joiners.lock);
    bool is_dead = load_relaxed(&t->state) == DEAD;

    t->detached = true;
    spin_unlock(&t->joiners.lock, irq);
    if (is_dead)
        thread_free(t);
}

/* --- small questions --- */

struct thread *thread_current(void)
{
    return cpu_current();
}

const char *thread_name(const struct thread *t)
{
    return t->name;
}

void thread_set_user(struct thread *t, void *user)
{
    t->user = user;
}

void *thread_user(const struct thread *t)
{
    return t->user;
}

void thread_set_tls(uintptr_t tp)
{
    irqstate_t irq = irq_save();

    arch_set_tls(&cpu_current()->arch, tp);
    irq_restore(irq);
}

struct lock_stack *thread_locks(struct thread *t)
{
    return &t->locks;
}

unsigned thread_count(void)
{
    return load_relaxed(&live);
}

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
        consider(q);
        return;
    }
    ready_remove(q, t);
    store_relaxed(&t->prio, prio);
    make_ready(q, t);
}

void thread_set_prio(struct thread *t, enum prio prio)
{
    irqstate_t irq = irq_save();
    struct runq *q = lock_runq_of(t);

    t->base_prio = (uint8_t)prio;
    change_prio(q, t, t->loans > 0 ? MAX(t->prio, t->base_prio) : t->base_prio);
    spin_unlock(&q->lock, irq);
}

bool thread_lend_prio(struct thread *t, enum prio prio, bool first)
{
    irqstate_t irq = irq_save();
    struct runq *q = lock_runq_of(t);
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
    struct runq *q = lock_runq_of(me);

    if (--me->loans == 0)
        change_prio(q, me, me->base_prio);
    spin_unlock(&q->lock, irq);
}

void thread_set_affinity(struct thread *t, const struct cpumask *allowed)
{
    irqstate_t irq = irq_save();
    struct runq *q = lock_runq_of(t);

    copy_mask(&t->allowed, allowed);
    if (t->state == READY && !may_run_on(t, q)) {
        ready_remove(q, t);
        place(q, t);
    } else {
        if (t->state == READY)
            offer(t);
        consider(q);
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

/* --- CPUs that come and go --- */

static void runq_init(struct runq *q, unsigned cpu, struct thread *idle)
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

void thread_init(void)
{
    list_init(&idle0.link);
    waitq_init(&idle0.joiners);
    timer_init(&idle0.timer, block_timeout);
    idle0.arch.fpu = heap_alloc_aligned(64, arch_fpu_size());
    if (!idle0.arch.fpu)
        panic("boot: out of memory for the idle thread; give the domain more memory=");
    memset(idle0.arch.fpu, 0, arch_fpu_size());
    memset(&idle0.allowed, 0xff, sizeof(idle0.allowed)); /* what others inherit */
    runq_init(&runq0, 0, &idle0);
    runqs[0] = &runq0;
    runq0.online = true;
    cpu_set_current(&idle0);
    resched_always = option_on("resched-always");
    cpu_set_need_resched(resched_always);
}

int sched_cpu_init(unsigned cpu)
{
    struct runq *q = heap_alloc_zeroed(sizeof(*q));
    struct thread *idle = thread_alloc(IDLE_STACK_PAGES);

    if (!q || !idle) {
        heap_free(q);
        if (idle)
            thread_free(idle);
        return -ENOMEM;
    }
    format(idle->name, sizeof(idle->name), "idle %u", cpu);
    memset(idle->arch.fpu, 0, arch_fpu_size());
    runq_init(q, cpu, idle);
    store_release(&runqs[cpu], q);
    return 0;
}

struct thread *sched_idle_thread(unsigned cpu, void **its_stack_top)
{
    *its_stack_top = stack_top(runqs[cpu]->idle);
    return runqs[cpu]->idle;
}

/* Those that run elsewhere only because none of their CPUs was online. Who waits is found by the
 * idle thread of (back), who sleeps when it wakes. */
static void call_home(const struct runq *back)
{
    for (unsigned cpu = 0; cpu < cpus_known(); cpu++) {
        struct runq *q = runq_of_cpu(cpu);
        irqstate_t irq;

        if (!q || q == back)
            continue;
        irq = spin_lock(&q->lock);
        consider(q);
        spin_unlock(&q->lock, irq);
    }
}

void sched_cpu_set_online(unsigned cpu, bool online)
{
    struct runq *q = runqs[cpu];
    irqstate_t irq = spin_lock(&q->lock);

    store_relaxed(&q->online, online);
    consider(q);
    spin_unlock(&q->lock, irq);
    if (online)
        call_home(q);
}

void sched_cpu_evacuate(unsigned cpu)
{
    struct runq *q = runqs[cpu];

    (void)cpumask_remove(&idle_cpus, cpu);
    (void)timer_cancel(&q->slice);
    for (;;) {
        irqstate_t irq = spin_lock(&q->lock);
        int prio = most_urgent(q);
        struct thread *t;

        if (prio < 0) {
            q->kicked = false;
            spin_unlock_masked(&q->lock);
            offer_all();
            irq_restore(irq);
            return;
        }
        t = list_first(&q->ready[prio], struct thread, link);
        ready_remove(q, t);
        place(q, t);
        irq_restore(irq);
    }
}

/* Upcalls masked. Sleep if nobody has work for this CPU (I5). */
static void idle_once(struct runq *q)
{
    (void)cpumask_add(&idle_cpus, q->cpu);
    if (load_relaxed(&q->urgent) == 0) {
        (void)atomic_exchange(&q->offered, false); /* before we look who it was */
        if (!steal(q)) {
            cpu_idle();
            return;
        }
        store_relaxed(&q->offered, true); /* was it him? */
    }
    reschedule(false);
}

NORETURN void thread_idle(void)
{
    cpu_preempt_add(-1); /* the count that boot began with */
    irq_restore(true);
    for (;;) {
        struct runq *q;

        reap();
        irq_save();
        q = runq_here();
        if (load_relaxed(&q->online))
            idle_once(q);
        else
            cpus_leave();
        irq_restore(true);
    }
}
