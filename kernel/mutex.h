/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Locks that block. A mutex lends the priority of its highest waiter to its owner. Thread context
 * only, preemption on; never held over a return to the caller of a public function.
 */
#ifndef KERNEL_MUTEX_H
#define KERNEL_MUTEX_H

#include <stdbool.h>
#include <stdint.h>
#include "kernel/wait.h"

struct mutex {
    struct waitq waiters;
    uintptr_t owner; /* a struct thread, or 0; and a bit, see mutex.c */
    unsigned depth;  /* taken again by its owner: times beyond the first */
    bool lent;       /* its owner has a loan from it */
    struct lock_tag tag;
};

#define MUTEX_INIT(name)                                       \
    {                                                          \
        WAITQ_INIT((name).waiters), 0, 0, false, LOCK_TAG_INIT \
    }

#define mutex_init(m) mutex_init_tagged((m), LOCK_TAG)
void mutex_init_tagged(struct mutex *m, struct lock_tag tag);
void mutex_lock(struct mutex *m);
/* 0, or -EBUSY. */
int mutex_trylock(struct mutex *m) MUST_CHECK;
/* 0, or -ETIMEDOUT. */
int mutex_lock_until(struct mutex *m, nsec_t deadline) MUST_CHECK;
/* Whoever takes the mutex next may free it: nothing of it is touched after that is possible. */
void mutex_unlock(struct mutex *m);
/* The owner may take it again; as many unlocks as locks. */
void mutex_lock_recursive(struct mutex *m);
bool mutex_held(const struct mutex *m);

struct cond {
    struct waitq waiters;
};

#define COND_INIT(name)            \
    {                              \
        WAITQ_INIT((name).waiters) \
    }

#define cond_init(c) cond_init_tagged((c), LOCK_TAG)
void cond_init_tagged(struct cond *c, struct lock_tag tag);
/* Give (m) back, wait for a signal after this call or (deadline), take (m) again. 0/-ETIMEDOUT. */
int cond_wait(struct cond *c, struct mutex *m, nsec_t deadline);
void cond_signal(struct cond *c);
void cond_broadcast(struct cond *c);

#endif
