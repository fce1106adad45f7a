/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A thread from creation to the grave: the memory it lives in, and who frees that: whoever joins
 * the thread, or, when it was detached, the next thread_create or idle CPU (thread_reap).
 *
 * I4 A dead thread is freed only after the CPU it ran on has switched off its stack (thread_bury).
 */
#include "kernel/sched.h"
#include <arch/irq.h>
#include "kernel/heap.h"
#include "kernel/log.h"
#include "kernel/vmap.h"
#include "lib/base/string.h"

static unsigned live;
static struct spinlock dead_lock = SPINLOCK_INIT;
static struct list dead = LIST_INIT(dead); /* detached threads to free */

struct thread *thread_alloc(size_t stack_pages)
{
    struct thread *t = heap_alloc_zeroed(sizeof(*t));

    if (!t)
        return NULL;
    list_init(&t->link);
    waitq_init(&t->joiners);
    timer_init(&t->timer, sched_block_timeout);
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

void thread_free(struct thread *t)
{
    size_t size, used = thread_stack_used(t, &size);

    if (t->stack_cleared)
        log_debug("thread %s used %lu of %lu bytes of its stack", t->name, (unsigned long)used,
                  (unsigned long)size);
    vmap_free(t->stack, t->stack_pages);
    heap_free(t->arch.fpu);
    heap_free(t);
}

/* DEAD and (detached) change under the joiners' lock, so that a joiner who holds it after seeing
 * DEAD is the last one to touch (t) (I4). */
void thread_bury(struct thread *t)
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

void thread_reap(void)
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

int thread_create(const char *name, enum prio prio, size_t stack_size, void (*fn)(void *),
                  void *arg, struct thread **out)
{
    struct thread *t;
    irqstate_t irq;

    thread_reap();
    t = thread_alloc(DIV_ROUND_UP(stack_size ? stack_size : THREAD_STACK_DEFAULT, PAGE_SIZE));
    if (!t)
        return -ENOMEM;
    string_copy(t->name, sizeof(t->name), name);
    t->prio = t->base_prio = (uint8_t)prio;
    t->fn = fn;
    t->arg = arg;
    thread_get_affinity(cpu_current(), &t->allowed);
    set_state(t, MOVING);
    arch_thread_init(&t->arch, thread_stack_top(t), t->arch.fpu, sched_entry, t);
    atomic_add(&live, 1);
    *out = t; /* before it runs: it may ask */
    irq = irq_save();
    t->cpu = cpu_id();
    sched_place(runq_lock_of(t), t);
    irq_restore(irq);
    if (irq && cpu_need_resched())
        thread_preempt_check();
    return 0;
}

void thread_join(struct thread *t)
{
    irqstate_t irq;

    (void)!wait_until(&t->joiners, load_acquire(&t->state) == DEAD, NEVER);
    irq = spin_lock(&t->joiners.lock); /* thread_bury has let go of it */
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
