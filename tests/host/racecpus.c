/* SPDX-License-Identifier: BSD-2-Clause */
/* What the storms of race*.c share: what the machine is, where a panic ends, and what kernel/cpus.c
 * is to them: every CPU is there, spinlocks just spin. */
#include "kernel/cpus.h"

#include <arch/cpu.h>
#include <arch/page.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>
#include "kernel/spinlock.h"
#include "lib/base/assert.h"

__thread bool race_irq_on = true;
__thread unsigned race_cpu, race_preempt_count;
uintptr_t host_direct_map, host_memmap, host_vmap, host_vmap_end, host_window;

NORETURN void panic(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    printf("\n");
    fflush(stdout);
    _exit(1);
}

static const struct cpumask all = {{~0ULL, ~0ULL, ~0ULL, ~0ULL}};

const struct cpumask *cpus_online(void)
{
    return &all;
}

void spin_wait(struct spinlock *l)
{
    do
        cpu_relax();
    while (atomic_exchange(&l->held, (uint16_t)1) != 0);
}

void spin_kick(const struct spinlock *l, uint16_t claimed)
{
    (void)l;
    (void)claimed;
}
