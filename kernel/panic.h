/* SPDX-License-Identifier: BSD-2-Clause */
/* The end of a domain that cannot go on; panic itself is declared in lib/base/assert.h. */
#ifndef KERNEL_PANIC_H
#define KERNEL_PANIC_H

#include <arch/regs.h>
#include <stdbool.h>
#include "lib/base/macros.h"

/* As panic, with the registers of the code that was interrupted. */
NORETURN void panic_at(const struct regs *regs, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* From here on this CPU is the only one: the others are stopped, or given up, nothing is waited for
 * and no lock is taken. For the end of the domain only; once more is harmless. Upcalls masked. */
void panic_take_over(void);

/* Called by arch_cpu_interrupt's handler with what it interrupted: does not return when the domain
 * is in a panic of another CPU, which then prints (regs); else false. */
bool panic_stopped(const struct regs *regs);

/* Called when a stack protector finds its canary gone. */
NORETURN void __stack_chk_fail(void);

#endif
