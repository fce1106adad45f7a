/* SPDX-License-Identifier: BSD-2-Clause */
/* The CPU on the host: variables that tests may set. */
#ifndef ARCH_CPU_IMPL_H
#define ARCH_CPU_IMPL_H

extern unsigned host_cpu, host_preempt_count;
extern struct thread *host_current;
extern bool host_need_resched, host_in_event;
void host_relax(void);

static inline unsigned cpu_id(void)
{
    return host_cpu;
}

/* Lets a microsecond pass and the fake backends run, so that polling loops end. */
static inline void cpu_relax(void)
{
    host_relax();
}

static inline struct thread *cpu_current(void)
{
    return host_current;
}

static inline void cpu_set_current(struct thread *t)
{
    host_current = t;
}

static inline unsigned cpu_preempt_count(void)
{
    return host_preempt_count;
}

static inline void cpu_preempt_add(int delta)
{
    host_preempt_count += (unsigned)delta;
}

static inline bool cpu_need_resched(void)
{
    return host_need_resched;
}

static inline void cpu_set_need_resched(bool need)
{
    host_need_resched = need;
}

static inline bool cpu_in_event(void)
{
    return host_in_event;
}

#endif
