/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The cases of this image, by file, and what all of them use. Workers run on several CPUs and say
 * what is wrong by complain; a case fails by the first complaint. Nothing here depends on how fast
 * the machine is: PATIENCE ends only what would never end.
 */
#ifndef TESTS_GUEST_SMP_CASES_H
#define TESTS_GUEST_SMP_CASES_H

#include <arch/cpu.h>
#include "kernel/cpumask.h"
#include "kernel/cpus.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "kernel/wait.h"
#include "lib/base/assert.h"
#include "lib/base/atomic.h"
#include "lib/base/errno.h"
#include "tests/guest/check.h"
#include "tests/guest/threads.h"

/* Those named (pair) need two CPUs. */
extern const struct test_case sched_cases[], pair_sched_cases[], lock_cases[], pair_lock_cases[],
    timer_cases[], pair_timer_cases[], event_cases[], pair_event_cases[], memory_cases[],
    pair_memory_cases[], pair_hotplug_cases[];
extern const size_t nr_sched_cases, nr_pair_sched_cases, nr_lock_cases, nr_pair_lock_cases,
    nr_timer_cases, nr_pair_timer_cases, nr_event_cases, nr_pair_event_cases, nr_memory_cases,
    nr_pair_memory_cases, nr_pair_hotplug_cases;

#define MS NSEC_PER_MSEC
#define PATIENCE (60 * NSEC_PER_SEC)
#define CPUS_MAX 16 /* as many as the cases use */

/* How a case fails, from any context; only the first one counts. */
void complain(const char *fmt, ...) PRINTF_LIKE(1, 2);
bool complained(void);

static inline unsigned nr_cpus(void)
{
    return MIN(cpus_count(), CPUS_MAX);
}

static inline void allow_all(struct thread *t)
{
    struct cpumask m;

    memset(&m, 0xff, sizeof(m));
    thread_set_affinity(t, &m);
}

/* Sleep until (cond), which others make true, or for PATIENCE: whether it came true. */
#define comes_true(cond)                               \
    ({                                                 \
        nsec_t end_ = time_now() + PATIENCE;           \
        bool true_;                                    \
        while (!(true_ = (cond)) && time_now() < end_) \
            sleep_for(MS);                             \
        true_;                                         \
    })

static inline uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 8;
}

/* Counts until told to stop, without one call that could give its CPU away, and says where it is.
 */
struct spinner {
    volatile bool stop;
    volatile unsigned long count;
    volatile unsigned cpu;
};

static inline void spin_until_stopped(void *arg)
{
    struct spinner *s = arg;

    while (!s->stop) {
        s->cpu = cpu_id();
        s->count++;
    }
}

static inline bool makes_progress(const struct spinner *s)
{
    unsigned long before = s->count;

    return comes_true(s->count > before + 100);
}

static inline void stop_all(struct spinner *s, struct thread **t, size_t n)
{
    for (size_t i = 0; i < n; i++)
        s[i].stop = true;
    join_all(t, n);
}

#endif
