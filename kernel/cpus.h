/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The CPUs: which there are, which run, and how they start, stop and interrupt each other. The
 * toolstack decides which run, at boot and at any time (xl vcpu-set); CPU 0 always does.
 */
#ifndef KERNEL_CPUS_H
#define KERNEL_CPUS_H

#include "kernel/cpumask.h"
#include "lib/base/macros.h"

/* Those that run threads. Any context; changes while you look. */
const struct cpumask *cpus_online(void);
unsigned cpus_count(void);
/* Above the highest number that ever was online: for loops over what is kept for each CPU. */
unsigned cpus_known(void);
/* As many as the host made for this domain. Thread context. */
unsigned cpus_possible(void);

/* Boot: CPU 0's part. */
void cpus_init(void);

/* Start (cpu), or have it stop when its threads, timers and events are elsewhere. 0 also when it is
 * so already; -EINVAL: no such CPU, -EBUSY: CPU 0 cannot stop, -ENOMEM, -ETIMEDOUT or what Xen
 * says: it is as it was. Thread context, may block for seconds. */
int cpus_bring_up(unsigned cpu) MUST_CHECK;
int cpus_take_down(unsigned cpu) MUST_CHECK;

/* Have (cpu), which was online once, look at its run queue: it calls sched_kicked. Any context. */
void cpu_kick(unsigned cpu);

/* Call fn(arg) on (cpu) in event context and wait until it has returned. 0, or -EINVAL: it is not
 * online. Thread context, may block; CPUs do not come or go meanwhile. */
int cpus_call(unsigned cpu, void (*fn)(void *), void *arg) MUST_CHECK;

/* The idle thread of a CPU that was told to stop: upcalls masked; returns when it may go on. */
void cpus_leave(void);

#endif
