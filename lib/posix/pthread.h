/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the parts of pthreads know of a thread. newlib declares pthread_t as 32 bits: a slot of
 * the thread table and a generation, so that the id of a thread that is gone finds nothing.
 */
#ifndef LIB_POSIX_PTHREAD_H
#define LIB_POSIX_PTHREAD_H

#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <arch/clock.h>

struct thread;
struct libc_thread;

/* A value that a thread keeps under a key; it counts only while (generation) is the key's. */
struct key_value {
    void *value;
    uint32_t generation;
};

struct pthread {
    pthread_t id;
    uint32_t state; /* enum in pthread_thread.c; a parking word */
    struct thread *thread;
    struct libc_thread *libc;
    void *(*fn)(void *);
    void *arg, *result;
    struct key_value *values; /* PTHREAD_KEYS_MAX of them, or NULL */
    struct _pthread_cleanup_context *cleanup;
    char name[16];
};

/* The running thread; one that was not made by pthread_create is taken in now. */
struct pthread *pthread_current(void);

/* Call fn(the kernel's thread, arg) for the thread (id), which does not end meanwhile: 0 or ESRCH.
 * (fn) does not block. */
int pthread_visit(pthread_t id, void (*fn)(struct thread *t, void *arg), void *arg);

/* What locks store to name their owner: 1 .. PTHREAD_THREADS_MAX, different for all threads. */
uint32_t pthread_owner_number(void);

/* Call the destructors of the running thread's values. */
void pthread_run_destructors(struct pthread *self);

/* The kernel deadline for a wait until (when) on CLOCK_REALTIME or (clock): 0 or EINVAL. (when)
 * NULL: NEVER. */
int pthread_deadline(clockid_t clock, const struct timespec *when, nsec_t *out);

/* A timed lock without type checks; used by condition variables to take it back. */
int pthread_mutex_lock_until(pthread_mutex_t *mutex, nsec_t deadline);

#endif
