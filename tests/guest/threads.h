/* SPDX-License-Identifier: BSD-2-Clause */
/* What every test with threads of its own does to them. */
#ifndef TESTS_GUEST_THREADS_H
#define TESTS_GUEST_THREADS_H

#include <arch/cpu.h>
#include "kernel/cpumask.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "lib/base/assert.h"

static inline struct thread *start(enum prio prio, void (*fn)(void *), void *arg)
{
    struct thread *t;

    if (thread_create("test", prio, 16384, fn, arg, &t) != 0)
        panic("no memory for a thread");
    return t;
}

static inline void join_all(struct thread **t, size_t n)
{
    for (size_t i = 0; i < n; i++)
        thread_join(t[i]);
}

static inline void allow_only(struct thread *t, unsigned cpu)
{
    struct cpumask m = {{0}};

    (void)cpumask_add(&m, cpu);
    thread_set_affinity(t, &m);
}

/* The running thread is on (cpu) when it returns. */
static inline void pin(unsigned cpu)
{
    allow_only(thread_current(), cpu);
}

static inline void spin_for(nsec_t ns)
{
    nsec_t end = time_now() + ns;

    while (time_now() < end)
        cpu_relax();
}

static inline void sleep_for(nsec_t ns)
{
    thread_sleep_until(time_now() + ns);
}

#endif
