/* SPDX-License-Identifier: BSD-2-Clause */
/* THE CONTRACT, threads: what a switch saves, and how a new thread starts. */
#ifndef ARCH_THREAD_H
#define ARCH_THREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <arch/thread_impl.h> /* struct arch_thread */

/* Prepare (t) so that the first switch to it calls entry(arg) on the stack that ends at
 * (stack_top), upcalls masked, with a clean floating-point state. (fpu) is an area of
 * arch_fpu_size() bytes, 64-byte aligned, that lives as long as the thread. */
void arch_thread_init(struct arch_thread *t, void *stack_top, void *fpu, void (*entry)(void *),
                      void *arg);
size_t arch_fpu_size(void);

/* Save this thread in (prev) and continue (next). Upcalls masked. (involuntary): the switch
 * happens on return from an upcall or exception, so all registers of the thread are live. */
void arch_switch(struct arch_thread *prev, struct arch_thread *next, bool involuntary);

/* Set the running thread's TLS pointer (the FS base); it is kept over switches. */
void arch_set_tls(struct arch_thread *t, uintptr_t tp);

/* The calls that the running thread is in (an address within each), innermost first, at most (max);
 * the count. */
size_t arch_backtrace(uintptr_t *pc, size_t max);

#endif
