/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which options of POSIX this system has. newlib's own header knows the systems that it was ported
 * to; this one adds ours. The options that change newlib's types (_POSIX_THREADS, ...) are given on
 * the command line, because newlib itself is built with them.
 */
#ifndef _PARAVANE_SYS_FEATURES_H
#define _PARAVANE_SYS_FEATURES_H

#include_next <sys/features.h>

#define _POSIX_VERSION 200809L
#define _POSIX_BARRIERS 200809L
#define _POSIX_CLOCK_SELECTION 200809L
#define _POSIX_FSYNC 200809L
#define _POSIX_MAPPED_FILES -1
#define _POSIX_NO_TRUNC 1
#define _POSIX_SEMAPHORES 200809L
#define _POSIX_SPIN_LOCKS 200809L
#define _POSIX_THREAD_ATTR_STACKSIZE 200809L
#define _POSIX_THREAD_SAFE_FUNCTIONS 200809L
#define _POSIX_TIMEOUTS 200809L

/* read and write return ssize_t, as POSIX has it; newlib's own default is int. */
#ifndef _READ_WRITE_RETURN_TYPE
#define _READ_WRITE_RETURN_TYPE _ssize_t
#endif

/* As many descriptors as there can be. */
#ifndef FD_SETSIZE
#define FD_SETSIZE 2048
#endif
#ifndef OPEN_MAX
#define OPEN_MAX 2048
#endif

#endif
