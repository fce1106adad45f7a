/* SPDX-License-Identifier: BSD-2-Clause */
/* Sets of CPUs. Changes are atomic; a question is true for the moment at which it was asked. */
#ifndef KERNEL_CPUMASK_H
#define KERNEL_CPUMASK_H

#include <stdbool.h>
#include <stdint.h>
#include <arch/cpu.h>
#include "lib/base/atomic.h"

#define CPUMASK_WORDS (CPU_MAX / 64)

struct cpumask {
    uint64_t word[CPUMASK_WORDS]; /* also the layout of Xen's vcpumask */
};

/* Initialiser: CPU 0 alone. */
#define CPUMASK_FIRST \
    {                 \
        {             \
            1         \
        }             \
    }

static inline bool cpumask_has(const struct cpumask *m, unsigned cpu)
{
    return load_relaxed(&m->word[cpu / 64]) >> (cpu % 64) & 1;
}

/* What it was before. */
static inline bool cpumask_add(struct cpumask *m, unsigned cpu)
{
    return atomic_or(&m->word[cpu / 64], 1UL << (cpu % 64)) >> (cpu % 64) & 1;
}

static inline bool cpumask_remove(struct cpumask *m, unsigned cpu)
{
    return atomic_and(&m->word[cpu / 64], ~(1UL << (cpu % 64))) >> (cpu % 64) & 1;
}

/* Is a CPU in both? */
static inline bool cpumask_meets(const struct cpumask *a, const struct cpumask *b)
{
    uint64_t both = 0;

    for (int i = 0; i < CPUMASK_WORDS; i++)
        both |= load_relaxed(&a->word[i]) & load_relaxed(&b->word[i]);
    return both != 0;
}

/* The first CPU >= (from) that is in (m); CPU_MAX: none. */
static inline unsigned cpumask_next(const struct cpumask *m, unsigned from)
{
    for (; from < CPU_MAX; from = (from / 64 + 1) * 64) {
        uint64_t rest = load_relaxed(&m->word[from / 64]) >> (from % 64);

        if (rest != 0)
            return from + (unsigned)__builtin_ctzl(rest);
    }
    return CPU_MAX;
}

static inline unsigned cpumask_count(const struct cpumask *m)
{
    unsigned n = 0;

    for (int i = 0; i < CPUMASK_WORDS; i++)
        n += (unsigned)__builtin_popcountl(load_relaxed(&m->word[i]));
    return n;
}

#define cpumask_for_each(cpu, m) \
    for (unsigned cpu = cpumask_next((m), 0); cpu < CPU_MAX; cpu = cpumask_next((m), cpu + 1))

#endif
