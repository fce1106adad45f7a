/* SPDX-License-Identifier: BSD-2-Clause */
/* THE CONTRACT, exceptions: by default each is a crash with a report; measurements and tests hook
 * them. */
#ifndef ARCH_TRAP_H
#define ARCH_TRAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <arch/regs.h>

#define TRAP_BREAKPOINT 3
#define TRAP_INVALID_OPCODE 6
#define TRAP_PROTECTION 13
#define TRAP_PAGE_FAULT 14

/* Called with upcalls masked on the stack of the interrupted code. True: go on at regs->rip. */
typedef bool trap_fn(struct regs *regs);

/* One hook per vector (0..31); NULL removes it. */
void trap_hook(unsigned vector, trap_fn *fn);

/* The address that the last page fault of this CPU was about. */
uintptr_t trap_fault_address(void);

/* Print (regs), the backtrace of what they were interrupting, and nothing else. For panics. */
void regs_print(const struct regs *regs);

/* Where (regs) were and the calls that led there, innermost first, at most (max) > 0; the count.
 * Never faults. */
size_t backtrace_of(const struct regs *regs, uintptr_t *pc, size_t max);

#endif
