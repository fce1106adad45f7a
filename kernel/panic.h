/* SPDX-License-Identifier: BSD-2-Clause */
/* The end of a domain that cannot go on; panic itself is declared in lib/base/assert.h. */
#ifndef KERNEL_PANIC_H
#define KERNEL_PANIC_H

#include <arch/regs.h>
#include "lib/base/macros.h"

/* As panic, with the registers of the code that was interrupted. */
NORETURN void panic_at(const struct regs *regs, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Called when a stack protector finds its canary gone. */
NORETURN void __stack_chk_fail(void);

#endif
