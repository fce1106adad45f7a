/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A hash table of waiting threads by the address they wait on.
 *
 * I1 A waiter compares the word under its bucket's lock, and whoever changes the word wakes after
 * the change, which takes the same lock; so a change before the comparison is seen and one after it
 *    finds the waiter on the list.
 * I2 A waiter's record is on its own stack. It leaves the list under the bucket's lock, and a waker
 *    touches it only under that lock; so the waiter takes the lock once more before it returns.
 * I3 Who comes to a meeting is counted and listed under one hold of the lock. So the last one finds
 *    all others of this meeting on the list and nobody of the next, and who was woken by him need
 *    not look at the word again, which may be gone.
 */
#include "lib/posix/park.h"

#include "kernel/wait.h"
#include "lib/base/atomic.h"

#define BUCKETS 64 /* a power of two */

struct bucket {
    struct spinlock lock;
    struct list waiters; /* next is NULL until the bucket's first use */
};

struct parked {
    struct list link;
    const uint32_t *word;
    struct waitq q;
    bool woken;
};

static struct bucket buckets[BUCKETS] = {[0 ... BUCKETS - 1] = {.lock = SPINLOCK_INIT}};

static struct bucket *bucket_of(const uint32_t *word)
{
    uint64_t hash =
        (uintptr_t)word / sizeof(*word) * 0x9e3779b97f4a7c15ULL; /* 2^64 / golden ratio */

    return &buckets[hash >> 32 & (BUCKETS - 1)];
}

static irqstate_t lock_bucket(struct bucket *b)
{
    irqstate_t state = spin_lock(&b->lock);

    if (b->waiters.next == NULL)
        list_init(&b->waiters);
    return state;
}

/* Of one that is on the list of (b): false if the deadline came first. */
static bool sleep_until_woken(struct bucket *b, struct parked *self, nsec_t deadline)
{
    irqstate_t state;
    bool woken;

    (void)wait_until(&self->q, load_acquire(&self->woken), deadline);
    state = lock_bucket(b); /* I2 */
    woken = self->woken;
    if (!woken)
        list_remove(&self->link);
    spin_unlock(&b->lock, state);
    return woken;
}

int park_wait(const uint32_t *word, uint32_t expected, nsec_t deadline)
{
    struct bucket *b = bucket_of(word);
    struct parked self = {.word = word};
    irqstate_t state;
    bool same;

    waitq_init(&self.q);
    state = lock_bucket(b);
    same = load_acquire(word) == expected; /* I1 */
    if (same)
        list_push_back(&b->waiters, &self.link);
    spin_unlock(&b->lock, state);
    if (!same)
        return -EAGAIN;
    return sleep_until_woken(b, &self, deadline) ? 0 : -ETIMEDOUT;
}

/* The lock of (b) is held. */
static void wake_listed(struct bucket *b, const uint32_t *word, unsigned n)
{
    list_for_each_safe (node, &b->waiters) {
        struct parked *p = list_entry(node, struct parked, link);

        if (n == 0)
            break;
        if (p->word != word)
            continue;
        list_remove(&p->link);
        store_release(&p->woken, true);
        waitq_wake_all(&p->q);
        n--;
    }
}

void park_wake(const uint32_t *word, unsigned n)
{
    struct bucket *b = bucket_of(word);
    irqstate_t state = lock_bucket(b);

    wake_listed(b, word, n);
    spin_unlock(&b->lock, state);
}

/* One more has come; true: the last one, and the next meeting begins. */
static bool count_in(uint32_t *word)
{
    uint32_t come = load_relaxed(word) + PARK_MEETING_ONE, takes = come % PARK_MEETING_ONE;
    bool last = come / PARK_MEETING_ONE == takes;

    store_relaxed(word, last ? takes : come);
    return last;
}

bool park_meet(uint32_t *word)
{
    struct bucket *b = bucket_of(word);
    struct parked self = {.word = word};
    irqstate_t state;
    bool last;

    waitq_init(&self.q);
    state = lock_bucket(b);
    last = count_in(word); /* I3 */
    if (last)
        wake_listed(b, word, PARK_ALL);
    else
        list_push_back(&b->waiters, &self.link);
    spin_unlock(&b->lock, state);
    if (!last)
        (void)sleep_until_woken(b, &self, NEVER);
    return last;
}
