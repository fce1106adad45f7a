/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Spinlocks. Holding one masks this CPU's upcalls, so a handler may take any lock that a thread
 * takes; critical sections are short and never block.
 *
 * The host may take the CPU away from a holder or from one that waits, at any time and for long. So
 * who finds the lock free takes it, whoever waits elsewhere: strict order would have every CPU wait
 * for the one that does not run. Whoever has waited for long gives its own CPU away (parks) until
 * an unlock wakes it, and who still has none claims the lock: then it is the next.
 */
#ifndef KERNEL_SPINLOCK_H
#define KERNEL_SPINLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <arch/cpu.h>
#include <arch/irq.h>
#include "kernel/lockcheck.h"
#include "lib/base/atomic.h"

struct spinlock {
    union {
        uint32_t word; /* 0: free, and claimed by nobody */
        struct {
            uint16_t held;    /* 0 or 1 */
            uint16_t claimed; /* by CPU n - 1: nobody else may take it; 0: by nobody */
        };
    };
    uint16_t parked;    /* how many of those that wait gave their CPU away */
    uint16_t contended; /* how often somebody had to wait, up to the largest number */
    struct lock_tag tag;
};

#define SPINLOCK_INIT            \
    {                            \
        {0}, 0, 0, LOCK_TAG_INIT \
    }

#define spin_init(l) spin_init_tagged((l), LOCK_TAG)
static inline void spin_init_tagged(struct spinlock *l, struct lock_tag tag)
{
    *l = (struct spinlock){{0}, 0, 0, tag};
}

/* All zeroes is a free lock as well; this gives it its name for the lock checker. */
#define spin_name(l) ((l)->tag = LOCK_TAG)

/* kernel/cpus.c: wait for (l) and take it; wake a CPU that parked for it, the one that claimed it
 * if there is one. (l) is only a name to the latter: who has the lock now may free it. */
void spin_wait(struct spinlock *l);
void spin_kick(const struct spinlock *l, uint16_t claimed);

/* kernel/sched.c: switch to a more urgent thread that became runnable meanwhile, if the caller may
 * be preempted. */
void thread_preempt_check(void);

/* (held) is written and exchanged in one width: a processor waits for a store that it has to take
 * half of a wider value from. */
static inline void spin_take(struct spinlock *l)
{
    if (load_relaxed(&l->claimed) == 0 && atomic_exchange(&l->held, (uint16_t)1) == 0)
        return;
    lock_contended(&l->tag, LOCK_SPIN);
    spin_wait(l);
}

/* With upcalls masked already. */
static inline void spin_lock_masked(struct spinlock *l)
{
    lock_want(&l->tag, l, LOCK_SPIN);
    spin_take(l);
    lock_taken(&l->tag, l, LOCK_SPIN);
}

/* The same for a lock of the class of one that is held; the caller has an order among them. */
static inline void spin_lock_second(struct spinlock *l)
{
    lock_want(&l->tag, l, LOCK_SPIN_SECOND);
    spin_take(l);
    lock_taken(&l->tag, l, LOCK_SPIN_SECOND);
}

static inline void spin_unlock_masked(struct spinlock *l)
{
    uint16_t parked = load_relaxed(&l->parked), claimed = load_relaxed(&l->claimed);

    lock_dropped(l, LOCK_SPIN);
    store_release(&l->held, 0); /* and from here on (l) may be gone */
    if (__builtin_expect(parked != 0, 0))
        spin_kick(l, claimed);
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
