/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mutexes and condition variables over wait queues.
 *
 * A mutex is its owner field: taking it is one compare-and-swap. Whoever has to wait lends the
 * owner its priority, so that a low thread with the lock is not kept from running by middle
 * ones. An owner that waits itself is woken when its priority rises, to lend that on: so a loan
 * goes as far as the chain of mutexes. Loans end when the owner has unlocked every mutex that lent
 * to it.
 *
 * I1 The owner is cleared under the queue's lock, and a waiter enters the queue before it tries the
 *    owner. So either the waiter sees a free mutex or the unlock sees the waiter.
 * I2 Because an unlock holds the queue's lock to its last access, the unlock of the next owner
 *    ends after it, and then the mutex may be freed.
 */
#include "kernel/mutex.h"
#include "lib/base/assert.h"

void mutex_init_tagged(struct mutex *m, struct lock_tag tag)
{
    waitq_init_tagged(&m->waiters, tag);
    m->tag = tag;
    m->owner = NULL;
    m->depth = 0;
    m->lent = false;
}

static bool take(struct mutex *m)
{
    struct thread *none = NULL;

    return atomic_cmpxchg(&m->owner, &none, thread_current());
}

/*
 * As take; on failure the owner inherits our priority. An owner that we see under the queue's lock
 * cannot get past its unlock, and so cannot end, before we are done (I1).
 */
static bool take_or_lend(struct mutex *m)
{
    struct thread *owner;
    irqstate_t irq;

    if (take(m))
        return true;
    irq = spin_lock(&m->waiters.lock);
    owner = load_acquire(&m->owner);
    if (owner) {
        if (thread_lend_prio(owner, thread_prio(thread_current()), !m->lent))
            thread_wake(owner); /* at most once for each priority that there is */
        m->lent = true;
    }
    spin_unlock(&m->waiters.lock, irq);
    return owner == NULL && take(m);
}

bool mutex_held(const struct mutex *m)
{
    return load_relaxed(&m->owner) == thread_current();
}

int mutex_lock_until(struct mutex *m, nsec_t deadline)
{
    int rc = 0;

    ASSERT(!mutex_held(m));
    lock_want(&m->tag, m, LOCK_MUTEX);
    if (!take(m)) {
        lock_contended(&m->tag, LOCK_MUTEX);
        rc = wait_until(&m->waiters, take_or_lend(m), deadline);
    }
    if (rc == 0)
        lock_taken(&m->tag, m, LOCK_MUTEX);
    return rc;
}

void mutex_lock(struct mutex *m)
{
    (void)!mutex_lock_until(m, NEVER);
}

int mutex_trylock(struct mutex *m)
{
    if (!take(m))
        return -EBUSY;
    lock_taken(&m->tag, m, LOCK_MUTEX);
    return 0;
}

void mutex_lock_recursive(struct mutex *m)
{
    if (mutex_held(m))
        m->depth++;
    else
        mutex_lock(m);
}

void mutex_unlock(struct mutex *m)
{
    irqstate_t irq;
    bool lent;

    ASSERT(mutex_held(m));
    if (m->depth > 0) {
        m->depth--;
        return;
    }
    lock_dropped(m, LOCK_MUTEX);
    irq = spin_lock(&m->waiters.lock);
    lent = m->lent;
    m->lent = false;
    store_release(&m->owner, NULL); /* I1 */
    waitq_wake_one_locked(&m->waiters);
    spin_unlock(&m->waiters.lock, irq); /* I2 */
    if (lent)
        thread_return_prio();
}

void cond_init_tagged(struct cond *c, struct lock_tag tag)
{
    waitq_init_tagged(&c->waiters, tag);
}

int cond_wait(struct cond *c, struct mutex *m, nsec_t deadline)
{
    struct waiter w = {.link = LIST_INIT(w.link)};
    int rc;

    /* On the queue before the mutex is free, so a signal in between is ours. One sleep only: a
     * spurious return is the caller's to judge, as with every condition variable. Giving the mutex
     * back may not block, or it would eat the wake-up. */
    waitq_enter(&c->waiters, &w);
    mutex_unlock(m);
    rc = waitq_sleep(deadline);
    if (waitq_leave(&c->waiters, &w))
        rc = 0; /* also when time ran out: that signal woke nobody else */
    mutex_lock(m);
    return rc;
}

void cond_signal(struct cond *c)
{
    waitq_wake_one(&c->waiters);
}

void cond_broadcast(struct cond *c)
{
    waitq_wake_all(&c->waiters);
}
