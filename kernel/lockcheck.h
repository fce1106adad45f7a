/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lock checker of `make CHECK_LOCKS=1`. Every lock has a class: those that were made in the
 * same line of the source. It learns in which order classes are taken and panics at the first lock
 * that is taken against that order, whether or not two CPUs are at it at the time; it counts who
 * had to wait and notes who kept others waiting. Without CHECK_LOCKS all of this is nothing, and
 * takes no room in a lock.
 */
#ifndef KERNEL_LOCKCHECK_H
#define KERNEL_LOCKCHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum lock_kind {
    LOCK_SPIN,
    LOCK_SPIN_SECOND, /* another one of a class that is held; the caller has an order among them */
    LOCK_MUTEX,
};

#ifdef CHECK_LOCKS

#include <arch/clock.h>

struct lock_class;

/* In every lock. */
struct lock_tag {
    const char *name; /* of its class */
    struct lock_class *class;
};

#define LOCK_LINE_(line) #line
#define LOCK_LINE(line) LOCK_LINE_(line)
#define LOCK_SITE __FILE__ ":" LOCK_LINE(__LINE__)
#define LOCK_TAG_INIT   \
    {                   \
        LOCK_SITE, NULL \
    }

#define LOCKS_HELD_MAX 16
#define LOCK_CALLS 4

/* What a CPU (spinlocks) or a thread (mutexes) holds. */
struct lock_stack {
    unsigned n;
    struct lock_held {
        struct lock_class *class;
        const void *lock;
        uintptr_t calls[LOCK_CALLS]; /* where it was taken, innermost first */
        nsec_t since, steal;
        bool in_event;
    } held[LOCKS_HELD_MAX];
};

/* Before (lock) is waited for: may it be taken now? When it is taken; before it is given back. */
void lock_want(struct lock_tag *tag, const void *lock, enum lock_kind kind);
void lock_taken(struct lock_tag *tag, const void *lock, enum lock_kind kind);
void lock_dropped(const void *lock, enum lock_kind kind);
/* Somebody else has it. */
void lock_contended(struct lock_tag *tag, enum lock_kind kind);
/* The thread is about to block: it may hold mutexes only. */
void lock_may_block(void);
/* For panic: from now on nothing is checked. */
void lock_check_end(void);
/* Into the log: what was held for too long; with paravane.log=debug all classes and their counts.
 */
void lock_report(void);

#else

struct lock_tag {
};
struct lock_stack {
};
#define LOCK_TAG_INIT \
    {                 \
    }

static inline void lock_want(struct lock_tag *tag, const void *lock, enum lock_kind kind)
{
    (void)tag, (void)lock, (void)kind;
}

static inline void lock_taken(struct lock_tag *tag, const void *lock, enum lock_kind kind)
{
    (void)tag, (void)lock, (void)kind;
}

static inline void lock_dropped(const void *lock, enum lock_kind kind)
{
    (void)lock, (void)kind;
}

static inline void lock_contended(struct lock_tag *tag, enum lock_kind kind)
{
    (void)tag, (void)kind;
}

static inline void lock_may_block(void)
{
}

static inline void lock_check_end(void)
{
}

static inline void lock_report(void)
{
}

#endif

#define LOCK_TAG ((struct lock_tag)LOCK_TAG_INIT)

#endif
