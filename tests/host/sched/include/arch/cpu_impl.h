/* SPDX-License-Identifier: BSD-2-Clause */
/* The CPU as tests/host/sched has it: a struct, and a function that finds the one we run on. */
#ifndef ARCH_CPU_IMPL_H
#define ARCH_CPU_IMPL_H

#include <stddef.h>
#include <stdint.h>

struct machine_cpu {
    unsigned id;
    struct thread *current;
    int preempt;
    bool need_resched, in_event, irq_on;
};

/* Never inlined, so that nobody keeps what it said over a switch that may end on another CPU. */
struct machine_cpu *machine_cpu(void);
void machine_relax(void);

static inline unsigned cpu_id(void)
{
    return machine_cpu()->id;
}

static inline void cpu_relax(void)
{
    machine_relax();
}

static inline struct thread *cpu_current(void)
{
    return machine_cpu()->current;
}

static inline void cpu_set_current(struct thread *t)
{
    machine_cpu()->current = t;
}

static inline unsigned cpu_preempt_count(void)
{
    return (unsigned)machine_cpu()->preempt;
}

static inline void cpu_preempt_add(int delta)
{
    machine_cpu()->preempt += delta;
}

static inline bool cpu_need_resched(void)
{
    return machine_cpu()->need_resched;
}

static inline void cpu_set_need_resched(bool need)
{
    machine_cpu()->need_resched = need;
}

static inline bool cpu_in_event(void)
{
    return machine_cpu()->in_event;
}

#endif
