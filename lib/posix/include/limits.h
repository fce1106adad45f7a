/* SPDX-License-Identifier: BSD-2-Clause */
/* The limits that newlib leaves to the system. */
#include_next <limits.h>

#ifndef _PARAVANE_LIMITS_H
#define _PARAVANE_LIMITS_H

#ifndef SSIZE_MAX
#define SSIZE_MAX LONG_MAX
#endif
#ifndef HOST_NAME_MAX
#define HOST_NAME_MAX 63
#endif
#ifndef SYMLOOP_MAX
#define SYMLOOP_MAX 8
#endif
#define PTHREAD_KEYS_MAX 128
#define PTHREAD_DESTRUCTOR_ITERATIONS 4
#define PTHREAD_STACK_MIN 16384
#define PTHREAD_THREADS_MAX 4096

#endif
