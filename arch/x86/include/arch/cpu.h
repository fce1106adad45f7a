/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * THE CONTRACT, CPUs: which one this is, and what the kernel keeps for each.
 */
#ifndef ARCH_CPU_H
#define ARCH_CPU_H

#include <stdbool.h>
#include <stdint.h>

#define CPU_MAX 256

/* Number of the CPU we run on. Stable only while preemption or upcalls are off. */
static inline unsigned cpu_id(void);

/* A hint inside spin loops. */
static inline void cpu_relax(void);

/* Current thread, and the count that keeps it from being preempted, kept per CPU and reached by
 * one instruction each, so that they can be used before preemption is off. */
struct thread;
static inline struct thread *cpu_current(void);
static inline void cpu_set_current(struct thread *t);
static inline unsigned cpu_preempt_count(void);
static inline void cpu_preempt_add(int delta);
static inline bool cpu_need_resched(void);
static inline void cpu_set_need_resched(bool need);
/* True while a handler runs on the event stack. */
static inline bool cpu_in_event(void);

#include <arch/cpu_impl.h>

/* CPUs other than the first, for kernel/cpus.c; thread context. How many there are in all. */
unsigned arch_cpu_possible(void);
/* What stays of (cpu) when it is down. Once: 0, -ENOMEM or -errno. */
int arch_cpu_prepare(unsigned cpu);
/* The first time: run kernel_cpu_main in the context of thread (idle) on the stack that ends at
 * (stack_top). Later: go on in arch_cpu_stop. 0 or -errno. */
int arch_cpu_start(unsigned cpu, void *stack_top, struct thread *idle);
bool arch_cpu_is_up(unsigned cpu);
/* Stop the CPU we run on until arch_cpu_start. Upcalls masked. */
void arch_cpu_stop(void);
/* Interrupt (cpu) whatever it does, upcalls masked or not: it calls panic_stopped there. */
void arch_cpu_interrupt(unsigned cpu);

/* After option_init: use the optional hardware that is there and not switched off by an option
 * (paravane.xsave=off, paravane.fsgsbase=off). */
void cpu_features_init(void);
/* What it chose, for the log. */
const char *cpu_features(void);

/* Give this CPU away until an event arrives; enables upcalls atomically, returns with them
 * enabled. Called with upcalls masked. */
void cpu_idle(void);

#endif
