/* SPDX-License-Identifier: BSD-2-Clause */
/* The loops of bench/lockcost, compiled once for each of two trees (SIDE), and what runs them. */
#ifdef SIDE

#include "kernel/mutex.h"
#include "kernel/spinlock.h"

#define JOIN_(side, name) side##_##name
#define JOIN(side, name) JOIN_(side, name)

void JOIN(SIDE, spin)(unsigned n);
void JOIN(SIDE, mutex)(unsigned n);

static struct spinlock spin = SPINLOCK_INIT;
static struct mutex mutex = MUTEX_INIT(mutex);

void JOIN(SIDE, spin)(unsigned n)
{
    while (n-- > 0) {
        irqstate_t irq = spin_lock(&spin);

        __asm__ volatile("" ::: "memory");
        spin_unlock(&spin, irq);
    }
}

void JOIN(SIDE, mutex)(unsigned n)
{
    while (n-- > 0) {
        mutex_lock(&mutex);
        __asm__ volatile("" ::: "memory");
        mutex_unlock(&mutex);
    }
}

#else

#include <asm/prctl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <x86intrin.h>

#define ROUNDS 4000
#define LOCKS 20000

typedef void loop_fn(unsigned n);
loop_fn old_spin, new_spin, old_mutex, new_mutex;

/* The beginning of the per-CPU block: itself, the current thread. Nothing is pending. */
static void *block[512] __attribute__((aligned(4096))) = {block, block};

/* Nobody waits, blocks or is more urgent. */
#define NEVER_CALLED(name) \
    void name(void);       \
    void name(void)        \
    {                      \
        abort();           \
    }
NEVER_CALLED(irq_force_upcall)
NEVER_CALLED(thread_preempt_check)
NEVER_CALLED(spin_wait)
NEVER_CALLED(spin_kick)
NEVER_CALLED(thread_prio)
NEVER_CALLED(thread_lend_prio)
NEVER_CALLED(thread_return_prio)
NEVER_CALLED(thread_prepare_block)
NEVER_CALLED(thread_block)
NEVER_CALLED(thread_wake)
NEVER_CALLED(panic)
NEVER_CALLED(__stack_chk_fail)
uintptr_t __stack_chk_guard;

void *thread_current(void);
void *thread_current(void)
{
    return block;
}

static double ticks(loop_fn *loop)
{
    unsigned cpu;
    uint64_t begin = __rdtscp(&cpu);

    loop(LOCKS);
    return (double)(__rdtscp(&cpu) - begin) / LOCKS;
}

static void compare(const char *name, loop_fn *old, loop_fn *new)
{
    double least_old = 1e9, least_new = 1e9;

    for (int i = 0; i < ROUNDS; i++) {
        double a = ticks(old), b = ticks(new);

        least_old = a < least_old ? a : least_old;
        least_new = b < least_new ? b : least_new;
    }
    printf("%-8s before %.1f, now %.1f ticks: %.3f\n", name, least_old, least_new,
           least_new / least_old);
}

int main(void)
{
    syscall(SYS_arch_prctl, ARCH_SET_GS, block);
    compare("spinlock", old_spin, new_spin);
    compare("mutex", old_mutex, new_mutex);
    return 0;
}

#endif
