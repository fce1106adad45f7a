/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Assertions are for our own bugs only; nothing another domain can write may reach one.
 * They are always compiled in and have no side effects.
 */
#ifndef LIB_BASE_ASSERT_H
#define LIB_BASE_ASSERT_H

#include "lib/base/macros.h"

/* Print the reason, the registers and a backtrace, then crash the domain. Any context. */
NORETURN void panic(const char *fmt, ...) PRINTF_LIKE(1, 2);

#define ASSERT(cond)                                                         \
    do {                                                                     \
        if (__builtin_expect(!(cond), 0))                                    \
            panic("%s:%d: assertion failed: %s", __FILE__, __LINE__, #cond); \
    } while (0)

#endif
