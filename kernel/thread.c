/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The scheduler: per-CPU run queues, a list for each priority, time slices among equals.
 *
 *      READY --pick--> RUNNING --thread_block--> BLOCKED --thread_wake / timer--> READY
 *                        |  ^---- slice over, or a more urgent one became ready ----^
 *                        '--thread_exit--> DYING --off its stack--> DEAD (joined or reaped)
 *
 * I1 A thread's state, its place on a ready list and (woken) change only under its CPU's run-queue
 * lock. I2 The lock is held across a switch: taken by the thread that leaves, released by the one
 * that continues (finish_switch). So nobody runs a thread whose stack is still in use. I3 (woken)
 * set between prepare and block makes thread_block return at once: no lost wake-up. I4 A dead
 * thread is freed only after the CPU it ran on has switched off its stack (bury).
 *
 * The context that boots becomes the idle thread of CPU 0.
 */
#include "kernel/thread.h"
#include <arch/boot.h>
#include <arch/irq.h>
#include <arch/thread.h>
#include "kernel/heap.h"
#include "kernel/option.h"
#include "kernel/spinlock.h"
#include "kernel/time.h"
#include "kernel/vmap.h"
#include "kernel/wait.h"
#include "lib/base/assert.h"
#include "lib/base/string.h"
#include <arch/cpu.h>
#include <arch/page.h>

#define SLICE (10 * NSEC_PER_MSEC)
#define NAME_MAX_LEN 16

enum state { READY, RUNNING, BLOCKED, DYING, DEAD };

struct thread {
    struct arch_thread arch;
    struct list link; /* ready list, or the list of the dead */
    enum state state;
    uint8_t prio, base_prio;
    unsigned loans; /* mutexes it holds that lent it a priority */
    bool woken, timed_out, detached;
    char name[NAME_MAX_LEN];
    unsigned cpu;
    void *stack;
    size_t stack_pages;
    void (*fn)(void *);
    void *arg;
    void *user;
    struct timer timer;
    struct waitq joiners;
};

struct runq {
    struct spinlock lock;
    struct list ready[PRIO_COUNT];
    unsigned urgent; /* bit per non-empty list */
    struct thread *idle;
    struct thread *left; /* the thread that was switched away from (I2) */
    struct timer slice;
    uint8_t shared; /* the priority that (slice) divides */
    bool turn_over; /* the running thread used its slice up */
    struct thread_stats stats;
};

static struct runq runq0;
static struct runq *runqs[CPU_MAX] = {&runq0};
static struct thread idle0 = {.name = "idle", .state = RUNNING, .detached = true};
static unsigned live;
static bool resched_always;

static struct spinlock dead_lock;
static struct list dead = LIST_INIT(dead); /* detached threads to free */

static struct runq *runq_here(void)
{
    return runqs[cpu_id()];
}

/* --- ready lists; the run queue's lock is held --- */

static void ready_insert(struct runq *q, struct thread *t, bool front)
{
    t->state = READY;
    if (front)
        list_push_front(&q->ready[t->prio], &t->link);
    else
        list_push_back(&q->ready[t->prio], &t->link);
    q->urgent |= 1u << t->prio;
}

static void ready_remove(struct runq *q, struct thread *t)
{
    list_remove(&t->link);
    if (list_empty(&q->ready[t->prio]))
        q->urgent &= ~(1u << t->prio);
}

static int most_urgent(const struct runq *q)
{
    return q->urgent ? 31 - __builtin_clz(q->urgent) : -1;
}

/* Does the running thread have to give way to a ready one, or to share? Whenever one of them or
 * its priority changed. */
static void consider(struct runq *q)
{
    const struct thread *now = cpu_current();
    int prio = most_urgent(q);

    if (prio < 0)
        return;
    if (now == q->idle || prio > now->prio) {
        cpu_set_need_resched(true);
    } else if (prio == now->prio && !q->slice.armed) {
        q->shared = now->prio;
        timer_set(&q->slice, clock_read() + SLICE);
    }
}

/* The slice may end while a thread of another priority runs; then its owner, if it is still ready
 * and was preempted, is the first of its list and loses that place. */
static void slice_over(struct timer *timer)
{
    struct runq *q = CONTAINER_OF(timer, struct runq, slice);
    struct list *sharers = &q->ready[q->shared];

    spin_lock_masked(&q->lock);
    if (cpu_current()->prio == q->shared) {
        q->turn_over = true;
        cpu_set_need_resched(true);
    } else if (!list_empty(sharers)) {
        struct list *first = sharers->next;

        list_remove(first);
        list_push_back(sharers, first);
    }
    consider(q); /* those that run now may share as well */
    spin_unlock_masked(&q->lock);
}

static void make_ready(struct runq *q, struct thread *t)
{
    ready_insert(q, t, false);
    consider(q);
}

static struct thread *pick(struct runq *q)
{
    int prio = most_urgent(q);
    struct thread *t;

    if (prio < 0)
        return q->idle;
    t = list_first(&q->ready[prio], struct thread, link);
    ready_remove(q, t);
    return t;
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
    bool dying = left->state == DYING;

    spin_unlock_masked(&q->lock);
    if (dying)
        bury(left);
}

/* Leave the current thread, whose state and list place are set already. Lock held, upcalls masked.
 */
static void switch_away(struct runq *q, bool involuntary)
{
    struct thread *prev = cpu_current(), *next = pick(q);

    cpu_set_need_resched(resched_always);
    q->turn_over = false;
    next->state = RUNNING;
    cpu_set_current(next);
    consider(q);
    if (next == prev) {
        spin_unlock_masked(&q->lock);
        return;
    }
    q->stats.switches++;
    q->left = prev;
    arch_switch(&prev->arch, &next->arch, involuntary);
    finish_switch();
}

/* Give the CPU to another ready thread: one more urgent, or an equal one whose turn it is. Again
 * when the thread that gave it back to us ended and so woke a more urgent joiner. */
static void reschedule(bool involuntary)
{
    struct thread *me = cpu_current();
    struct runq *q;

    do {
        q = runq_here();
        spin_lock_masked(&q->lock);
        if (me != q->idle)
            ready_insert(q, me, most_urgent(q) > me->prio && !q->turn_over);
        switch_away(q, involuntary);
        q = runq_here();
    } while (me != q->idle && most_urgent(q) > me->prio);
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

void thread_cancel_block(void)
{
}

static void block_timeout(struct timer *timer)
{
    struct thread *t = CONTAINER_OF(timer, struct thread, timer);
    struct runq *q = runqs[t->cpu];

    spin_lock_masked(&q->lock);
    if (t->state == BLOCKED) {
        t->timed_out = true;
        make_ready(q, t);
    }
    spin_unlock_masked(&q->lock);
}

int thread_block(nsec_t deadline)
{
    struct thread *me = cpu_current();
    irqstate_t irq = irq_save();
    struct runq *q = runq_here();

    ASSERT(cpu_preempt_count() == 0 && !cpu_in_event());
    spin_lock_masked(&q->lock);
    me->timed_out = false;
    if (me->woken) { /* I3 */
        spin_unlock_masked(&q->lock);
        irq_restore(irq);
        return 0;
    }
    me->state = BLOCKED;
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
    struct runq *q = runqs[t->cpu];
    irqstate_t irq = spin_lock(&q->lock);

    t->woken = true;
    if (t->state == BLOCKED)
        make_ready(q, t);
    spin_unlock(&q->lock, irq);
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

static void thread_free(struct thread *t)
{
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

static struct thread *thread_alloc(size_t stack_size)
{
    struct thread *t = heap_alloc_zeroed(sizeof(*t));

    if (!t)
        return NULL;
    t->stack_pages = DIV_ROUND_UP(stack_size ? stack_size : THREAD_STACK_DEFAULT, PAGE_SIZE);
    t->stack = vmap_alloc(t->stack_pages);
    t->arch.fpu = heap_alloc_aligned(64, arch_fpu_size());
    if (t->stack && t->arch.fpu)
        return t;
    if (t->stack)
        vmap_free(t->stack, t->stack_pages);
    heap_free(t->arch.fpu);
    heap_free(t);
    return NULL;
}

int thread_create(const char *name, enum prio prio, size_t stack_size, void (*fn)(void *),
                  void *arg, struct thread **out)
{
    struct thread *t;
    irqstate_t irq;

    reap();
    t = thread_alloc(stack_size);
    if (!t)
        return -ENOMEM;
    string_copy(t->name, sizeof(t->name), name);
    t->prio = t->base_prio = (uint8_t)prio;
    t->fn = fn;
    t->arg = arg;
    list_init(&t->link);
    waitq_init(&t->joiners);
    timer_init(&t->timer, block_timeout);
    arch_thread_init(&t->arch, (char *)t->stack + t->stack_pages * PAGE_SIZE, t->arch.fpu, entry,
                     t);
    atomic_add(&live, 1);
    *out = t; /* before it runs: it may ask */
    irq = irq_save();
    t->cpu = cpu_id();
    spin_lock_masked(&runq_here()->lock);
    make_ready(runq_here(), t);
    spin_unlock(&runq_here()->lock, irq);
    return 0;
}

NORETURN void thread_exit(void)
{
    struct runq *q;

    ASSERT(cpu_preempt_count() == 0 && !cpu_in_event());
    irq_save();
    q = runq_here();
    spin_lock_masked(&q->lock);
    cpu_current()->state = DYING;
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
    bool is_dead = t->state == DEAD;

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

unsigned thread_count(void)
{
    return load_relaxed(&live);
}

enum prio thread_prio(const struct thread *t)
{
    return t->prio;
}

/* Lock held. */
static void change_prio(struct runq *q, struct thread *t, uint8_t prio)
{
    if (t->prio == prio)
        return;
    if (t->state != READY) {
        t->prio = prio;
        consider(q);
        return;
    }
    ready_remove(q, t);
    t->prio = prio;
    make_ready(q, t);
}

void thread_set_prio(struct thread *t, enum prio prio)
{
    struct runq *q = runqs[t->cpu];
    irqstate_t irq = spin_lock(&q->lock);

    t->base_prio = (uint8_t)prio;
    change_prio(q, t, t->loans > 0 ? MAX(t->prio, t->base_prio) : t->base_prio);
    spin_unlock(&q->lock, irq);
}

void thread_lend_prio(struct thread *t, enum prio prio, bool first)
{
    struct runq *q = runqs[t->cpu];
    irqstate_t irq = spin_lock(&q->lock);

    t->loans += first;
    if (prio > t->prio)
        change_prio(q, t, (uint8_t)prio);
    spin_unlock(&q->lock, irq);
}

void thread_return_prio(void)
{
    struct thread *me = cpu_current();
    struct runq *q = runqs[me->cpu];
    irqstate_t irq = spin_lock(&q->lock);

    if (--me->loans == 0)
        change_prio(q, me, me->base_prio);
    spin_unlock(&q->lock, irq);
}

void thread_get_stats(struct thread_stats *out)
{
    *out = runq0.stats;
}

/* --- boot --- */

void thread_init(void)
{
    for (int i = 0; i < PRIO_COUNT; i++)
        list_init(&runq0.ready[i]);
    timer_init(&runq0.slice, slice_over);
    runq0.idle = &idle0;
    list_init(&idle0.link);
    waitq_init(&idle0.joiners);
    timer_init(&idle0.timer, block_timeout);
    idle0.arch.fpu = heap_alloc_aligned(64, arch_fpu_size());
    if (!idle0.arch.fpu)
        panic("boot: out of memory for the idle thread; give the domain more memory=");
    memset(idle0.arch.fpu, 0, arch_fpu_size());
    cpu_set_current(&idle0);
    resched_always = option_on("resched-always");
    cpu_set_need_resched(resched_always);
}

NORETURN void thread_idle(void)
{
    cpu_preempt_add(-1); /* the count that boot began with */
    irq_restore(true);
    for (;;) {
        reap();
        irq_save();
        if (runq_here()->urgent != 0)
            reschedule(false);
        else
            cpu_idle();
        irq_restore(true);
    }
}
