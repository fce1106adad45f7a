/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A machine of several CPUs to run the real scheduler on: the files of kernel/sched.h,
 * kernel/wait.c, mutex.c, time.c, cpus.c and lib/posix/park.c, with contexts for threads and bits
 * for interrupts. Twice:
 *
 *      storm.c     each CPU is a thread of the host, under the thread sanitizer
 *      explore.c   one thread of the host plays all CPUs, and decides at every atomic operation
 * which of them goes on: all schedules with few preemptions, then many random ones
 *
 * machine.c is what both share: what a CPU's three events are, and how a context starts and stops.
 */
#ifndef TESTS_HOST_SCHED_MACHINE_H
#define TESTS_HOST_SCHED_MACHINE_H

#include <arch/clock.h>
#include <arch/cpu.h>
#include <arch/thread.h>
#include <stdbool.h>
#include "lib/base/macros.h"

#define MACHINE_CPUS 4

/* Events of a CPU. (PARK) is never delivered, evtchn_poll waits for it. */
enum {
    EVENT_KICK = 1,
    EVENT_TIMER = 2,
    EVENT_PARK = 4,
    EVENTS_DELIVERED = EVENT_KICK | EVENT_TIMER
};

/* ---- what storm.c and explore.c bring ---- */

/* Tell (cpu) of (events). */
void machine_send(unsigned cpu, unsigned events);
/* Those delivered events that this CPU has, which it has no more. */
unsigned machine_take_events(void);
/* Sleep until this CPU has one of (events) or (deadline); upcalls as they are. */
void machine_sleep(unsigned events, nsec_t deadline);
/* Forget EVENT_PARK of this CPU. */
void machine_unpark(void);
/* End the test: something is wrong. Says what, and the state of the scheduler. */
NORETURN void machine_fail(const char *fmt, ...) PRINTF_LIKE(1, 2);
void *machine_new_fiber(void);
void *machine_this_fiber(void);
void machine_switch_fiber(void *fiber);

/* ---- machine.c ---- */

/* Take what is pending, if upcalls are on, and switch threads if that says so. */
void machine_deliver(void);
/* A context at the end of a stack that calls entry(arg) once it is switched to. */
void *machine_context(void *stack_top, void (*entry)(void *), void *arg);
/* Save this context in (*save); continue with (load). */
void machine_swap(void **save, void *load);
/* kernel/main.c's part, on CPU 0 with upcalls masked: all modules, then (main) in a thread; never
 * returns. */
NORETURN void machine_boot(void (*main)(void *));

/* ---- inside.c: what kernel/sched.h shows ---- */

/* Nothing happens on any CPU but those that run threads: is everything as it should be?
 * (asleep)[cpu]: it is. NULL, or what is wrong. */
const char *inside_check(const bool *asleep);
/* The queues and all threads that hang on them. */
void inside_print(void);
/* How many wait on the queue of (cpu). */
unsigned inside_waiting(unsigned cpu);
/* From now on, as with paravane.resched-always. */
void inside_resched_always(void);

#endif
