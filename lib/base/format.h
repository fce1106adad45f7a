/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Formatted print into a buffer, for the kernel and the layers that run without libc.
 * Knows %d %i %u %x %X %p %c %s %% with 0, - and # flags, width, precision (both may be *),
 * and the lengths hh h l ll z t j. No floating point.
 */
#ifndef LIB_BASE_FORMAT_H
#define LIB_BASE_FORMAT_H

#include <stdarg.h>
#include <stddef.h>
#include "lib/base/macros.h"

/* Write at most (size) bytes including the NUL. Returns the length the whole text has
 * (without NUL), which is >= (size) when it was cut. Any context. */
int format(char *buf, size_t size, const char *fmt, ...) PRINTF_LIKE(3, 4);
int vformat(char *buf, size_t size, const char *fmt, va_list ap) PRINTF_LIKE(3, 0);

#endif
