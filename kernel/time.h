/* SPDX-License-Identifier: BSD-2-Clause */
/* Time: deadlines and one-shot timers over the architecture's clock. */
#ifndef KERNEL_TIME_H
#define KERNEL_TIME_H

#include <stdbool.h>
#include <arch/clock.h>
#include "lib/base/macros.h"

/* Nanoseconds, monotonic on all CPUs. Any context. */
static inline nsec_t time_now(void)
{
    return clock_read();
}

/* Nanoseconds since the Unix epoch. */
nsec_t time_wall(void);
/* The guest's own offset to the host's wall clock (settimeofday). */
void time_set_wall(nsec_t since_epoch);

struct timer {
    struct timer *child, *next, *before; /* kernel/time.c: its place while armed */
    nsec_t deadline;
    void (*fn)(struct timer *t);
    bool armed;
    uint8_t cpu;
};

void time_init(void);
/* kernel/cpus.c. Before (cpu) other than 0 runs, once: 0 or -errno. When it is down: its timers
 * become those of the calling CPU. When it goes on: its timers are armed again. */
int time_cpu_init(unsigned cpu) MUST_CHECK;
void time_cpu_evacuate(unsigned cpu);
void time_cpu_resume(void);

/* Call (fn) at (deadline) in event context. Setting an armed timer moves it. Any context. */
void timer_init(struct timer *t, void (*fn)(struct timer *t));
void timer_set(struct timer *t, nsec_t deadline);
/* After it returns (fn) is not running and will not. False when it was not armed. */
bool timer_cancel(struct timer *t);

#endif
