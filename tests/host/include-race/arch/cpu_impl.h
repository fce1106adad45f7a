/* SPDX-License-Identifier: BSD-2-Clause */
/* CPUs that are threads of the host (tests/host/race.c). */
#ifndef ARCH_CPU_IMPL_H
#define ARCH_CPU_IMPL_H

#include <sched.h>
#include <stddef.h>

extern __thread unsigned race_cpu, race_preempt_count;

static inline unsigned cpu_id(void)
{
    return race_cpu;
}

static inline void cpu_relax(void)
{
    sched_yield(); /* the machine may have fewer CPUs than threads */
}

/* There are no kernel threads, and nothing preempts. */
static inline struct thread *cpu_current(void)
{
    return NULL;
}

static inline void cpu_set_current(struct thread *t)
{
    (void)t;
}

static inline unsigned cpu_preempt_count(void)
{
    return race_preempt_count;
}

static inline void cpu_preempt_add(int delta)
{
    race_preempt_count += (unsigned)delta;
}

static inline bool cpu_need_resched(void)
{
    return false;
}

static inline void cpu_set_need_resched(bool need)
{
    (void)need;
}

static inline bool cpu_in_event(void)
{
    return false;
}

#endif
