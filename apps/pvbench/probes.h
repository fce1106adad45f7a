/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of probes share that measure Paravane and Xen. */
#ifndef PVBENCH_PROBES_H
#define PVBENCH_PROBES_H

#include "apps/pvbench/lists.h"
#include "kernel/evtchn.h"
#include "kernel/thread.h"

/* ---- common.c ---- */

/* Reasons for struct probe's (absent). */
const char *absent_second_cpu(void);
const char *absent_fourth_cpu(void);
const char *absent_xenstore(void);

/* The number of this domain. */
domid_t own_domid(void);

/* A thread on CPU (cpu) alone; NULL: no memory. Nobody else may change its affinity. */
struct thread *thread_on(unsigned cpu, enum prio prio, void (*fn)(void *), void *arg);

/* (n) threads, one on each of the first CPUs, call turn(arg) again and again: each round of (r), 5
 * ms long, is a sample of how many calls all of them made a second. */
void run_together(struct run *r, unsigned n, void (*turn)(void *arg), void *arg);

#endif
