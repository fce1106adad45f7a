/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Spinlocks. Holding one masks this CPU's upcalls, so a handler may take any lock that a thread
 * takes; critical sections are short and never block. Ticket order: first come, first served.
 */
#ifndef KERNEL_SPINLOCK_H
#define KERNEL_SPINLOCK_H

#include <stdint.h>
#include <arch/cpu.h>
#include <arch/irq.h>
#include "lib/base/atomic.h"

struct spinlock {
    uint16_t next, serving;
};

/* All zeroes is a free lock. */
#define SPINLOCK_INIT \
    {                 \
        0, 0          \
    }

static inline void spin_init(struct spinlock *l)
{
    l->next = l->serving = 0;
}

/* kernel/thread.c: switch to a more urgent thread that became runnable meanwhile, if the caller may
 * be preempted. */
void thread_preempt_check(void);

/* With upcalls masked already. */
static inline void spin_lock_masked(struct spinlock *l)
{
    uint16_t ticket = __atomic_fetch_add(&l->next, 1, __ATOMIC_RELAXED);

    /* Pairs with the release in spin_unlock_masked. */
    while (load_acquire(&l->serving) != ticket)
        cpu_relax();
}

static inline void spin_unlock_masked(struct spinlock *l)
{
    store_release(&l->serving, (uint16_t)(l->serving + 1));
}

/* Take (l); pass what it returns to spin_unlock. Any context. Not recursive. */
static inline irqstate_t spin_lock(struct spinlock *l)
{
    irqstate_t state = irq_save();

    spin_lock_masked(l);
    return state;
}

static inline void spin_unlock(struct spinlock *l, irqstate_t state)
{
    spin_unlock_masked(l);
    irq_restore(state);
    if (state && cpu_need_resched())
        thread_preempt_check();
}

#endif
