/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Preemptive threads with priorities. A thread runs on a populated stack between guard pages;
 * runnable threads of the highest priority share the CPU in time slices.
 */
#ifndef KERNEL_THREAD_H
#define KERNEL_THREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <arch/clock.h>
#include "kernel/cpumask.h"
#include "kernel/lockcheck.h"
#include "lib/base/macros.h"

struct thread;

/* Higher runs first. Applications start at PRIO_NORMAL. */
enum prio { PRIO_IDLE, PRIO_LOW, PRIO_NORMAL, PRIO_HIGH, PRIO_DRIVER, PRIO_COUNT };

#define THREAD_STACK_DEFAULT (64 * 1024)
#define NSEC_PER_SEC 1000000000ULL
#define NSEC_PER_MSEC 1000000ULL
#define NEVER (~(nsec_t)0)

/* Start fn(arg) in a new thread of (stack_size) bytes (0: default), runnable at once.
 * (name) is copied, cut to 15 bytes. 0 or -ENOMEM. Threads are joinable until detached. */
int thread_create(const char *name, enum prio prio, size_t stack_size, void (*fn)(void *),
                  void *arg, struct thread **out) MUST_CHECK;

/* End the calling thread. Also what returning from its function does. */
NORETURN void thread_exit(void);

/* Wait until (t) has ended and free it. May block. Each thread once, or thread_detach. */
void thread_join(struct thread *t);
void thread_detach(struct thread *t);

/* Bytes of its stack that (t) has used so far at most. 0: not known, stacks are prepared for it
 * only with paravane.log=debug, which also says it of each thread that is freed. (size): of the
 * stack. */
size_t thread_stack_used(const struct thread *t, size_t *size);

struct thread *thread_current(void);
const char *thread_name(const struct thread *t);

/* Let others of the same priority run. */
void thread_yield(void);

/* Sleep until clock time (deadline). May block. */
void thread_sleep_until(nsec_t deadline);

/* Between these the caller stays on its CPU and is not preempted; upcalls still run. Nest. */
void preempt_disable(void);
void preempt_enable(void);

/* One pointer per thread for lib/libc (struct of reentrancy, TLS, errno). */
void thread_set_user(struct thread *t, void *user);
void *thread_user(const struct thread *t);
/* Set the running thread's TLS pointer. */
void thread_set_tls(uintptr_t tp);

void thread_set_prio(struct thread *t, enum prio prio);
enum prio thread_prio(const struct thread *t);
/* kernel/mutex.c: (t) runs at least at (prio) until it returned as many loans as it got (first)
 * ones; a mutex lends once for as long as it is held, whatever the number of its waiters. True: it
 * had a lower one. */
bool thread_lend_prio(struct thread *t, enum prio prio, bool first);
void thread_return_prio(void);

/* The CPUs that (t) may run on; new threads inherit those of their creator. When all of them are
 * offline (t) runs anywhere, until one is back. Any context. */
void thread_set_affinity(struct thread *t, const struct cpumask *allowed);
void thread_get_affinity(const struct thread *t, struct cpumask *out);

/* Boot: make the calling context CPU 0's idle thread. Nothing blocks before it.
 * paravane.resched-always: debug mode, reschedule at every upcall return and every unlock. */
void thread_init(void);
/* The idle thread's life on every CPU: run others, or give the CPU away. */
NORETURN void thread_idle(void);

struct thread_stats {
    uint64_t switches, preemptions, steals;
};
void thread_get_stats(struct thread_stats *out);

/* kernel/lockcheck.c: the mutexes that (t) holds. */
struct lock_stack *thread_locks(struct thread *t);

/* Number of live threads, for the census. */
unsigned thread_count(void);

/* kernel/cpus.c, for CPUs other than the first. */
/* Once: its queue and its idle thread. 0 or -ENOMEM. */
int sched_cpu_init(unsigned cpu) MUST_CHECK;
struct thread *sched_idle_thread(unsigned cpu, void **its_stack_top);
/* From now on it gets threads, or it gets none and its idle thread runs (and calls cpus_leave). */
void sched_cpu_set_online(unsigned cpu, bool online);
/* It is offline and does not run: what it was to run goes to others. */
void sched_cpu_evacuate(unsigned cpu);
/* Another CPU has changed something here. Event context. */
void sched_kicked(void);
/* For crash reports: what (cpu) runs; NULL: it never ran. */
const struct thread *sched_running(unsigned cpu);

/*
 * Blocking, the one primitive (wait queues and mutexes stand on it; nothing else calls it):
 *   thread_prepare_block();  if (!condition) thread_block(deadline);
 * thread_wake between prepare and block makes the block return at once, so no wake-up is lost.
 */
void thread_prepare_block(void);
/* 0 when woken, -ETIMEDOUT at (deadline). Never in an event handler or with preemption off. */
int thread_block(nsec_t deadline);
/* Any context, handlers included. Harmless on a thread that does not block. */
void thread_wake(struct thread *t);

#endif
