/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mutexes and condition variables over wait queues.
 *
 * A mutex is its owner field: taking it is one compare-and-swap, and so is giving it back unless
 * WAITED, a bit of that field, says that somebody may be in the queue. Whoever has to wait lends
 * the owner its priority, so that a low thread with the lock is not kept from running by middle
 * ones. An owner that waits itself is woken when its priority rises, to lend that on: so a loan
 * goes as far as the chain of mutexes. Loans end when the owner has unlocked every mutex that lent
 * to it.
 *
 * I1 A waiter enters the queue, and then takes the free mutex or sets WAITED, in one exchange under
 *    the queue's lock. An unlock that finds WAITED wakes one, and that one does the same again. So
 *    while threads are in the queue, one of them is awake or the next unlock wakes one.
 * I2 Who has the mutex last may free it. So an unlock touches nothing after the exchange that
 *    frees it, unless somebody is in the queue: he is not done with the mutex before he has had the
 *    queue's lock, which the unlock holds to its last access.
 */
#include "kernel/mutex.h"
#include "lib/base/assert.h"

void mutex_init_tagged(struct mutex *m, struct lock_tag tag)
{
    waitq_init_tagged(&m->waiters, tag);
    m->tag = tag;
    m->owner = 0;
    m->depth = 0;
    m->lent = false;
}

#define WAITED 1UL

static uintptr_t me(void)
{
    return (uintptr_t)thread_current();
}

static struct thread *owner_of(uintptr_t word)
{
    return (struct thread *)(word & ~WAITED);
}

static bool take(struct mutex *m)
{
    uintptr_t word = 0;

    return atomic_cmpxchg(&m->owner, &word, me());
}

/*
 * As take, with WAITED (I1); on failure the owner inherits our priority. It cannot get past its
 * unlock, and so cannot end, before we are done: that needs the queue's lock now.
 */
static bool take_or_lend(struct mutex *m)
{
    irqstate_t irq = spin_lock(&m->waiters.lock);
    uintptr_t word = load_relaxed(&m->owner);
    struct thread *owner;

    while (!atomic_cmpxchg(&m->owner, &word, (owner_of(word) ? word : me()) | WAITED))
        ;
    owner = owner_of(word);
    if (owner) {
        if (thread_lend_prio(owner, thread_prio(thread_current()), !m->lent))
            thread_wake(owner); /* at most once for each priority that there is */
        m->lent = true;
    }
    spin_unlock(&m->waiters.lock, irq);
    return owner == NULL;
}

bool mutex_held(const struct mutex *m)
{
    return owner_of(load_relaxed(&m->owner)) == thread_current();
}

static NOINLINE int wait_for(struct mutex *m, nsec_t deadline)
{
    ASSERT(!mutex_held(m));
    lock_contended(&m->tag, LOCK_MUTEX);
    return wait_until(&m->waiters, take_or_lend(m), deadline);
}

int mutex_lock_until(struct mutex *m, nsec_t deadline)
{
    int rc = 0;

    lock_want(&m->tag, m, LOCK_MUTEX);
    if (!take(m))
        rc = wait_for(m, deadline);
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

/* WAITED is set: give the mutex back and wake one. False: nobody waits any more, only the bit was
 * removed. */
static NOINLINE bool give_to_waiter(struct mutex *m)
{
    irqstate_t irq = spin_lock(&m->waiters.lock);
    bool waits = !list_empty(&m->waiters.waiters), lent = m->lent;

    ASSERT(mutex_held(m));
    m->lent = false;
    store_release(&m->owner, waits ? 0 : me()); /* I1 */
    waitq_wake_one_locked(&m->waiters);
    spin_unlock(&m->waiters.lock, irq); /* I2 */
    if (lent)
        thread_return_prio();
    return waits;
}

void mutex_unlock(struct mutex *m)
{
    uintptr_t word;

    if (m->depth > 0) {
        ASSERT(mutex_held(m));
        m->depth--;
        return;
    }
    lock_dropped(m, LOCK_MUTEX);
    do {
        word = me();
        if (atomic_cmpxchg(&m->owner, &word, 0))
            return;
    } while (!give_to_waiter(m));
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
