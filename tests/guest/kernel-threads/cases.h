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
#include "tests/guest/threads.h"

extern const struct test_case scheduler_cases[], lock_cases[], state_cases[];
extern const size_t nr_scheduler_cases, nr_lock_cases, nr_state_cases;

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
