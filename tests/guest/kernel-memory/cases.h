/* SPDX-License-Identifier: BSD-2-Clause */
/* The cases of this image, by file, and probing of addresses that may fault. */
#ifndef TESTS_GUEST_KERNEL_MEMORY_CASES_H
#define TESTS_GUEST_KERNEL_MEMORY_CASES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "kernel/thread.h"
#include "kernel/time.h"
#include "lib/base/assert.h"
#include "lib/base/atomic.h"
#include "lib/base/errno.h"
#include "tests/guest/check.h"

extern const struct test_case trap_cases[], table_cases[], storm_cases[];
extern const size_t nr_trap_cases, nr_table_cases, nr_storm_cases;

/* What one access to an address did: nothing, or a page fault on it with this error code. Not
 * preempted meanwhile. */
#define NO_FAULT 0x1000
#define FAULT_PRESENT 1
#define FAULT_WRITE 2
#define FAULT_FETCH 16

unsigned probe_read(const volatile void *p);
/* Writes the byte that is there. Of what cannot be read, writes 0. */
unsigned probe_write(volatile void *p);
/* There must be a ret instruction at (p). */
unsigned probe_execute(const void *p);

static inline struct thread *start(enum prio prio, void (*fn)(void *), void *arg)
{
    struct thread *t;

    if (thread_create("test", prio, 0, fn, arg, &t) != 0)
        panic("no memory for a thread");
    return t;
}

#endif
