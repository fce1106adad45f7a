/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of probes share that measure Paravane and Xen. */
#ifndef PVBENCH_PROBES_H
#define PVBENCH_PROBES_H

#include "apps/pvbench/lists.h"
#include "apps/pvbench/together.h"
#include "kernel/evtchn.h"
#include "kernel/thread.h"

/* ---- common.c ---- */

/* Reasons for struct probe's (absent). */
const char *absent_xenstore(void);

/* The number of this domain. */
domid_t own_domid(void);

/* A thread on CPU (cpu) alone; NULL: no memory. Nobody else may change its affinity. */
struct thread *thread_on(unsigned cpu, enum prio prio, void (*fn)(void *), void *arg);

#endif
