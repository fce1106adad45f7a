/* SPDX-License-Identifier: BSD-2-Clause */
/* Times as POSIX has them, as nanoseconds, and as deadlines of the kernel's clock. What is too
 * large to count is NEVER. */
#include "lib/libc/timespec.h"

#include <errno.h>

bool timespec_valid(const struct timespec *ts)
{
    return ts->tv_sec >= 0 && ts->tv_nsec >= 0 && ts->tv_nsec < (long)NSEC_PER_SEC;
}

nsec_t timespec_to_nsec(const struct timespec *ts)
{
    nsec_t ns;

    if (__builtin_mul_overflow((nsec_t)ts->tv_sec, NSEC_PER_SEC, &ns) ||
        __builtin_add_overflow(ns, (nsec_t)ts->tv_nsec, &ns))
        return NEVER;
    return ns;
}

struct timespec timespec_from_nsec(nsec_t ns)
{
    return (struct timespec){.tv_sec = (time_t)(ns / NSEC_PER_SEC),
                             .tv_nsec = (long)(ns % NSEC_PER_SEC)};
}

nsec_t deadline_after(nsec_t ns)
{
    nsec_t deadline;

    return __builtin_add_overflow(time_now(), ns, &deadline) ? NEVER : deadline;
}

int deadline_at(clockid_t clock, const struct timespec *ts, nsec_t *out)
{
    nsec_t when;

    if ((clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC) || ts->tv_nsec < 0 ||
        ts->tv_nsec >= (long)NSEC_PER_SEC)
        return -EINVAL;
    when = ts->tv_sec < 0 ? 0 : timespec_to_nsec(ts);
    if (clock == CLOCK_REALTIME && when != NEVER) {
        nsec_t wall = time_wall();

        when = when > wall ? deadline_after(when - wall) : 0;
    }
    *out = when;
    return 0;
}
