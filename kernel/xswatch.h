/* SPDX-License-Identifier: BSD-2-Clause */
/* What the wire's reader tells the watches of kernel/xenstore.h. Used by xswire.c only. */
#ifndef KERNEL_XSWATCH_H
#define KERNEL_XSWATCH_H

#include <stdbool.h>
#include <stddef.h>

/* A watch event with payload message[len], and a NUL behind it. False: it made no sense. */
bool xswatch_event(const char *message, size_t len);

#endif
