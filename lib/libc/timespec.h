/* SPDX-License-Identifier: BSD-2-Clause */
/* Between POSIX's ways to say a time and the kernel's nanoseconds. */
#ifndef LIB_LIBC_TIMESPEC_H
#define LIB_LIBC_TIMESPEC_H

#include <stdbool.h>
#include <sys/types.h>
#include <time.h>
#include "kernel/thread.h"
#include "kernel/time.h"

/* True when (ts) is a valid time that is not negative. */
bool timespec_valid(const struct timespec *ts);
/* Nanoseconds in (ts), or NEVER when there are too many to count. */
nsec_t timespec_to_nsec(const struct timespec *ts);
struct timespec timespec_from_nsec(nsec_t ns);

/* The kernel deadline that is (ns) from now, or NEVER. */
nsec_t deadline_after(nsec_t ns);
/* The kernel deadline of the absolute time (ts) on (clock): CLOCK_REALTIME or CLOCK_MONOTONIC. A
 * later clock_settime does not move it. 0, or -EINVAL. */
int deadline_at(clockid_t clock, const struct timespec *ts, nsec_t *out) MUST_CHECK;

#endif
