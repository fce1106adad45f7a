/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Clocks and sleeping. CLOCK_REALTIME is the host's wall clock plus the guest's own offset,
 * CLOCK_MONOTONIC counts from when the machine started. There are no CPU-time clocks: clock() and
 * times() count the time since boot as user time. Sleeps end early for nothing: there are no
 * signals.
 */
#include <errno.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/times.h>
#include <time.h>
#include <unistd.h>
#include "kernel/thread.h"
#include "kernel/time.h"
#include "lib/libc/timespec.h"

#define NSEC_PER_USEC 1000ULL
#define NSEC_PER_TICK (NSEC_PER_SEC / CLOCKS_PER_SEC)

static int fail(int error)
{
    errno = error;
    return -1;
}

int clock_gettime(clockid_t clock, struct timespec *ts)
{
    if (clock == CLOCK_REALTIME)
        *ts = timespec_from_nsec(time_wall());
    else if (clock == CLOCK_MONOTONIC)
        *ts = timespec_from_nsec(time_now());
    else
        return fail(EINVAL);
    return 0;
}

int clock_settime(clockid_t clock, const struct timespec *ts)
{
    if (clock != CLOCK_REALTIME || !timespec_valid(ts) || timespec_to_nsec(ts) == NEVER)
        return fail(EINVAL);
    time_set_wall(timespec_to_nsec(ts));
    return 0;
}

int clock_getres(clockid_t clock, struct timespec *ts)
{
    if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC)
        return fail(EINVAL);
    if (ts != NULL)
        *ts = (struct timespec){0, 1};
    return 0;
}

int gettimeofday(struct timeval *tv, void *zone UNUSED)
{
    nsec_t wall = time_wall();

    tv->tv_sec = (time_t)(wall / NSEC_PER_SEC);
    tv->tv_usec = (suseconds_t)(wall % NSEC_PER_SEC / NSEC_PER_USEC);
    return 0;
}

int settimeofday(const struct timeval *tv, const struct timezone *zone UNUSED)
{
    struct timespec ts = {tv->tv_sec, tv->tv_usec * (long)NSEC_PER_USEC};

    return clock_settime(CLOCK_REALTIME, &ts);
}

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *ts, struct timespec *left)
{
    nsec_t deadline;

    if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC)
        return EINVAL;
    if (flags & TIMER_ABSTIME) {
        if (deadline_at(clock, ts, &deadline) != 0)
            return EINVAL;
    } else {
        if (!timespec_valid(ts))
            return EINVAL;
        deadline = deadline_after(timespec_to_nsec(ts));
        if (left != NULL)
            *left = (struct timespec){0, 0};
    }
    thread_sleep_until(deadline);
    return 0;
}

int nanosleep(const struct timespec *ts, struct timespec *left)
{
    int error = clock_nanosleep(CLOCK_MONOTONIC, 0, ts, left);

    return error == 0 ? 0 : fail(error);
}

int usleep(useconds_t usec)
{
    thread_sleep_until(deadline_after(usec * NSEC_PER_USEC));
    return 0;
}

unsigned sleep(unsigned seconds)
{
    thread_sleep_until(deadline_after(seconds * NSEC_PER_SEC));
    return 0;
}

clock_t times(struct tms *out)
{
    clock_t ticks = (clock_t)(time_now() / NSEC_PER_TICK);

    if (out != NULL)
        *out = (struct tms){.tms_utime = ticks};
    return ticks;
}

int getrusage(int who, struct rusage *out)
{
    nsec_t now = time_now();

    if (who != RUSAGE_SELF && who != RUSAGE_CHILDREN)
        return fail(EINVAL);
    *out = (struct rusage){0};
    if (who == RUSAGE_SELF) {
        out->ru_utime.tv_sec = (time_t)(now / NSEC_PER_SEC);
        out->ru_utime.tv_usec = (suseconds_t)(now % NSEC_PER_SEC / NSEC_PER_USEC);
    }
    return 0;
}

/* Seconds since the epoch of a broken-down time in UTC, which is brought into its ranges. */
time_t timegm(struct tm *tm)
{
    /* Days before the month, in a year that begins in March so that its odd day comes last. */
    int64_t months = (int64_t)tm->tm_year * 12 + tm->tm_mon;
    int64_t year = months / 12 + 1900, month = months % 12 + 1;

    if (month < 1) {
        month += 12;
        year--;
    }
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5;
    int64_t days = era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 +
                   day_of_year - 719468 + tm->tm_mday - 1;
    time_t t = ((days * 24 + tm->tm_hour) * 60 + tm->tm_min) * 60 + tm->tm_sec;

    gmtime_r(&t, tm);
    return t;
}
