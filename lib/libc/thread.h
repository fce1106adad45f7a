/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the C library keeps for each thread: newlib's struct _reent (errno, strtok, ...) and the
 * block of __thread variables.
 *
 * A thread made by pthread_create gets it from its creator. A thread that the kernel or another
 * library made gets it at its first call into libc; it uses no __thread variable before that,
 * or calls libc_thread_self() first.
 */
#ifndef LIB_LIBC_THREAD_H
#define LIB_LIBC_THREAD_H

#include <stdint.h>
#include <sys/reent.h>
#include "lib/base/macros.h"

struct pthread;

struct libc_thread {
    struct _reent reent;
    void *tls_block;         /* what to free */
    uintptr_t tls_pointer;   /* what the CPU's TLS register holds */
    struct pthread *pthread; /* lib/posix's own part, NULL until it needs one */
};

/* State for a thread that does not run yet; NULL: out of memory. */
struct libc_thread *libc_thread_create(void) MUST_CHECK;
void libc_thread_destroy(struct libc_thread *t);

/* Make (t) the running thread's state. */
void libc_thread_enter(struct libc_thread *t);
/* The running thread is about to end: free its state. No libc call and no __thread variable
 * after it. */
void libc_thread_leave(void);

/* The running thread's state, made now if it has none; panics when there is no memory for it. */
struct libc_thread *libc_thread_self(void);

#endif
