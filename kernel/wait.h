/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Wait queues: threads that wait for a condition which somebody else makes true and announces.
 * A waiter tests its condition only after it is on the queue, so no wake-up is lost; it tests
 * again after every wake-up, so spurious ones are harmless.
 */
#ifndef KERNEL_WAIT_H
#define KERNEL_WAIT_H

#include "kernel/spinlock.h"
#include "kernel/thread.h"
#include "lib/base/errno.h"
#include "lib/base/list.h"

struct waitq {
    struct spinlock lock;
    struct list waiters;
};

struct waiter {
    struct list link;
    struct thread *thread;
};

/* Initialiser of a static queue. */
#define WAITQ_INIT(name)                         \
    {                                            \
        SPINLOCK_INIT, LIST_INIT((name).waiters) \
    }

#define waitq_init(q) waitq_init_tagged((q), LOCK_TAG)
void waitq_init_tagged(struct waitq *q, struct lock_tag tag);

/* Used by wait_until and cond_wait only. Entering twice is harmless. waitq_leave: was it woken
 * since it entered last? */
void waitq_enter(struct waitq *q, struct waiter *w);
int waitq_sleep(nsec_t deadline);
bool waitq_leave(struct waitq *q, struct waiter *w);

/* Wake all, or the longest waiting one. Any context. */
void waitq_wake_all(struct waitq *q);
void waitq_wake_one(struct waitq *q);
/* The caller holds q->lock. */
void waitq_wake_all_locked(struct waitq *q);
void waitq_wake_one_locked(struct waitq *q);

/* Block until (cond) is true or the clock reaches (deadline): 0 or -ETIMEDOUT. (cond) is
 * evaluated without locks, several times, and must not block. Thread context, preemption on. */
#define wait_until(q, cond, deadline)                              \
    ({                                                             \
        struct waiter waiter_ = {.link = LIST_INIT(waiter_.link)}; \
        int rc_ = 0;                                               \
        for (;;) {                                                 \
            waitq_enter((q), &waiter_);                            \
            if (cond) {                                            \
                rc_ = 0;                                           \
                break;                                             \
            }                                                      \
            if (rc_ != 0)                                          \
                break;                                             \
            rc_ = waitq_sleep(deadline);                           \
        }                                                          \
        if (waitq_leave((q), &waiter_))                            \
            waitq_wake_one(q); /* which others need */             \
        rc_;                                                       \
    })

#endif
