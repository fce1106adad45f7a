/* SPDX-License-Identifier: BSD-2-Clause */
/* THE CONTRACT, time: a monotonic clock in nanoseconds and one armed deadline per CPU. */
#ifndef ARCH_CLOCK_H
#define ARCH_CLOCK_H

#include <stdint.h>

typedef uint64_t nsec_t;

/* Nanoseconds since the machine started; never goes backwards on any CPU. Any context. */
nsec_t clock_read(void);

/* What clock_read would have said when this domain was entered. */
nsec_t clock_entry(void);

/* Nanoseconds from the Unix epoch to clock_read() == 0, as the host says now. */
nsec_t clock_wall_base(void);

/* Ask for this CPU's timer event at (deadline), in clock_read's time; 0 stops it. A deadline in
 * the past fires at once. Upcalls masked. */
void clock_arm(nsec_t deadline);

/* Time this CPU wanted to run but did not (nanoseconds). */
nsec_t clock_steal(unsigned cpu);

#endif
