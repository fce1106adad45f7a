/* SPDX-License-Identifier: BSD-2-Clause */
/* The cases of this image, by file. */
#ifndef TESTS_GUEST_KERNEL_EVENTS_CASES_H
#define TESTS_GUEST_KERNEL_EVENTS_CASES_H

#include <stddef.h>
#include "kernel/thread.h"
#include "kernel/time.h"
#include "lib/base/assert.h"
#include "lib/base/atomic.h"
#include "lib/base/errno.h"
#include "tests/guest/check.h"

#define MYSELF 0 /* our domain number */
#define MS NSEC_PER_MSEC

extern const struct test_case event_cases[], grant_cases[], return_cases[];
extern const size_t nr_event_cases, nr_grant_cases, nr_return_cases;

static inline struct thread *start(enum prio prio, void (*fn)(void *), void *arg)
{
    struct thread *t;

    if (thread_create("test", prio, 0, fn, arg, &t) != 0)
        panic("no memory for a thread");
    return t;
}

static inline void sleep_for(nsec_t ns)
{
    thread_sleep_until(time_now() + ns);
}

#endif
