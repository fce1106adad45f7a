/* SPDX-License-Identifier: BSD-2-Clause */
/* The per-CPU blocks, for arch/x86 alone; the rest of the kernel uses <arch/cpu.h>. */
#ifndef ARCH_X86_PCPU_H
#define ARCH_X86_PCPU_H

#include <arch/cpu.h>

/* The first CPU, before anything else: its block is in place, upcalls masked. */
void pcpu_boot(void *event_stack_top);

/* The block of a CPU that was prepared, or NULL. Any context. */
struct pcpu *pcpu_of(unsigned cpu);

/* Tell Xen where (cpu)'s vcpu_info and runstate lie, once, before it runs or (CPU 0) when page
 * tables are final. A refusal is a panic for CPU 0 and -errno for others. */
int pcpu_register(struct pcpu *cpu);

/* On every CPU itself: where exceptions, events and NMIs enter. */
void pcpu_entries(void);

/* CPUs that Xen may run: those whose TLBs count. */
struct cpumask;
const struct cpumask *pcpu_started(void);

#endif
