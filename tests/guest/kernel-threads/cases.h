/* SPDX-License-Identifier: BSD-2-Clause */
/* The cases of this image, by file, and what all of them use. */
#ifndef TESTS_GUEST_KERNEL_THREADS_CASES_H
#define TESTS_GUEST_KERNEL_THREADS_CASES_H

#include "kernel/thread.h"
#include "kernel/time.h"
#include "lib/base/assert.h"
#include "lib/base/atomic.h"
#include "lib/base/errno.h"
#include "tests/guest/check.h"

extern const struct test_case scheduler_cases[], lock_cases[], state_cases[];
extern const size_t nr_scheduler_cases, nr_lock_cases, nr_state_cases;

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

static inline void spin_for(nsec_t ns)
{
    nsec_t end = time_now() + ns;

    while (time_now() < end)
        ;
}

static inline void sleep_for(nsec_t ns)
{
    thread_sleep_until(time_now() + ns);
}

#define MS NSEC_PER_MSEC

/* Counts until told to stop, without one call that could give the CPU away. */
struct spinner {
    volatile bool *stop;
    volatile unsigned long count;
};

static inline void spin_until_stopped(void *arg)
{
    struct spinner *s = arg;

    while (!*s->stop)
        s->count++;
}

/* Sleep until each of (n) spinners has had its share of the CPU, or for three seconds: the machine
 * below us may be busy for longer than a slice. */
static inline bool all_get_their_share(const struct spinner *s, size_t n)
{
    bool fair = false;

    for (int i = 0; i < 30 && !fair; i++) {
        unsigned long total = 0;

        sleep_for(100 * MS);
        for (size_t j = 0; j < n; j++)
            total += s[j].count;
        fair = true;
        for (size_t j = 0; j < n; j++)
            fair = fair && s[j].count > total / (4 * n);
    }
    return fair;
}

#endif
