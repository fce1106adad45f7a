/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Threads: create, exit, join, detach.
 *
 * Every pthread is one kernel thread plus a struct pthread in a table of slots. The main thread and
 * threads of the kernel that call us get theirs when they first need it.
 *
 *   JOINABLE --join-----> JOINING  --it ends--> ENDED: its joiner wakes and frees it
 *      |     --detach---> DETACHED --it ends--> it frees itself
 *      |     --it ends--> EXITED   --join or detach--> freed by that
 *
 * I1 JOINABLE is left by compare-and-exchange, so exactly one of join, detach and the end decides
 *    who frees. EXITED is claimed by removal from the table, under its lock.
 * I2 (thread) is set by the thread itself before it runs anything else, so whoever sees that it
 *    ended may use it.
 */
#define _GNU_SOURCE 1
#include "lib/posix/pthread.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include "kernel/heap.h"
#include "kernel/mutex.h"
#include "kernel/thread.h"
#include "lib/base/assert.h"
#include "lib/base/atomic.h"
#include "lib/libc/thread.h"
#include "lib/libc/timespec.h"
#include "lib/posix/park.h"

#define STACK_DEFAULT (128 * 1024)
#define SLOTS PTHREAD_THREADS_MAX

enum { JOINABLE, JOINING, DETACHED, EXITED, ENDED };

static struct mutex table_lock = MUTEX_INIT(table_lock);
static struct pthread *table[SLOTS];
static uint32_t next_slot, generation = 1;
static uint32_t live; /* threads that have not ended, the main thread included */

/* Give (p) a slot and its id: 0 or EAGAIN. */
static int take_slot(struct pthread *p)
{
    int error = EAGAIN;

    mutex_lock(&table_lock);
    for (uint32_t i = 0; i < SLOTS; i++) {
        uint32_t slot = (next_slot + i) % SLOTS;

        if (table[slot] != NULL)
            continue;
        generation = generation % (UINT32_MAX / SLOTS) + 1; /* never 0, so no id is 0 */
        p->id = generation * SLOTS + slot;
        table[slot] = p;
        next_slot = slot + 1;
        error = 0;
        break;
    }
    mutex_unlock(&table_lock);
    return error;
}

static void free_pthread(struct pthread *p)
{
    mutex_lock(&table_lock);
    table[p->id % SLOTS] = NULL;
    mutex_unlock(&table_lock);
    heap_free(p->values);
    heap_free(p);
}

/* The thread with this id, or NULL. Its owner of the moment: the table's lock, which is held. */
static struct pthread *find(pthread_t id)
{
    struct pthread *p = table[id % SLOTS];

    return p != NULL && p->id == id ? p : NULL;
}

static struct pthread *create_pthread(int *error)
{
    struct pthread *p = heap_alloc_zeroed(sizeof(*p));

    *error = p == NULL ? EAGAIN : take_slot(p);
    if (*error == 0)
        return p;
    heap_free(p);
    return NULL;
}

static struct pthread *adopt(struct libc_thread *libc)
{
    int error;
    struct pthread *p = create_pthread(&error);

    if (p == NULL)
        panic("no memory or slot for thread %s", thread_name(thread_current()));
    store_release(&p->thread, thread_current());
    p->libc = libc;
    strlcpy(p->name, thread_name(p->thread), sizeof(p->name));
    libc->pthread = p;
    atomic_add(&live, 1);
    return p;
}

struct pthread *pthread_current(void)
{
    struct libc_thread *libc = libc_thread_self();

    return __builtin_expect(libc->pthread != NULL, 1) ? libc->pthread : adopt(libc);
}

uint32_t pthread_owner_number(void)
{
    return pthread_current()->id % SLOTS + 1;
}

/* Leave the struct to its joiner, or free it (I1). */
static void end_pthread(struct pthread *p)
{
    uint32_t state = JOINABLE;

    if (atomic_cmpxchg(&p->state, &state, EXITED))
        return;
    if (state == DETACHED) {
        thread_detach(p->thread);
        free_pthread(p);
    } else {
        store_release(&p->state, ENDED);
        park_wake(&p->state, PARK_ALL);
    }
}

void pthread_exit(void *result)
{
    struct pthread *self = pthread_current();

    while (self->cleanup != NULL)
        _pthread_cleanup_pop(self->cleanup, 1);
    pthread_run_destructors(self);
    self->result = result;
    if (atomic_sub(&live, 1) == 0)
        exit(0); /* the last thread ends the program */
    libc_thread_leave();
    end_pthread(self);
    thread_exit();
}

static void run(void *arg)
{
    struct pthread *self = arg;

    self->thread = thread_current(); /* I2 */
    libc_thread_enter(self->libc);
    pthread_exit(self->fn(self->arg));
}

/* A stack of (size) bytes and the struct's other half: 0, EAGAIN or EINVAL. */
static int start(struct pthread *p, size_t stack_size)
{
    struct thread *thread;
    int error;

    p->libc = libc_thread_create();
    if (p->libc == NULL)
        return EAGAIN;
    p->libc->pthread = p;
    atomic_add(&live, 1);
    error = thread_create(p->name, PRIO_NORMAL, stack_size, run, p, &thread) == 0 ? 0 : EAGAIN;
    if (error != 0) {
        atomic_sub(&live, 1);
        libc_thread_destroy(p->libc);
    }
    return error;
}

int pthread_create(pthread_t *out, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
    int error;
    struct pthread *p;

    (void)pthread_current(); /* counts the creator as live */
    p = create_pthread(&error);
    if (p == NULL)
        return error;
    p->fn = fn;
    p->arg = arg;
    strlcpy(p->name, "pthread", sizeof(p->name));
    if (attr != NULL && attr->detachstate == PTHREAD_CREATE_DETACHED)
        p->state = DETACHED;
    *out = p->id; /* (p) may be gone once it started */
    error = start(p, attr != NULL ? (size_t)attr->stacksize : STACK_DEFAULT);
    if (error != 0)
        free_pthread(p);
    return error;
}

/* Make the thread (id) ours: from JOINABLE it becomes (claimed), from EXITED it leaves the table.
 * 0, with its former state in (was); ESRCH: no such thread; EINVAL: somebody else's already. */
static int claim(pthread_t id, uint32_t claimed, struct pthread **out, uint32_t *was)
{
    struct pthread *p;
    int error = ESRCH;

    mutex_lock(&table_lock);
    p = find(id);
    if (p != NULL) {
        *was = JOINABLE;
        error = atomic_cmpxchg(&p->state, was, claimed) || *was == EXITED ? 0 : EINVAL;
        if (*was == EXITED)
            table[id % SLOTS] = NULL; /* I1 */
    }
    mutex_unlock(&table_lock);
    *out = p;
    return error;
}

static void free_ended(struct pthread *p)
{
    thread_join(p->thread);
    heap_free(p->values);
    heap_free(p);
}

int pthread_join(pthread_t id, void **result)
{
    struct pthread *p;
    uint32_t was;
    int error;

    if (id == pthread_self())
        return EDEADLK;
    error = claim(id, JOINING, &p, &was);
    if (error != 0)
        return error;
    while (load_acquire(&p->state) == JOINING)
        (void)park_wait(&p->state, JOINING, NEVER);
    if (was != EXITED) {
        mutex_lock(&table_lock);
        table[id % SLOTS] = NULL;
        mutex_unlock(&table_lock);
    }
    if (result != NULL)
        *result = p->result;
    free_ended(p);
    return 0;
}

int pthread_detach(pthread_t id)
{
    struct pthread *p;
    uint32_t was;
    int error = claim(id, DETACHED, &p, &was);

    if (error == 0 && was == EXITED)
        free_ended(p);
    return error;
}

pthread_t pthread_self(void)
{
    return pthread_current()->id;
}

int pthread_equal(pthread_t a, pthread_t b)
{
    return a == b;
}

void pthread_yield(void)
{
    thread_yield();
}

int sched_yield(void)
{
    thread_yield();
    return 0;
}

int pthread_visit(pthread_t id, void (*fn)(struct thread *t, void *arg), void *arg)
{
    struct thread *t = NULL;
    struct pthread *p;

    for (;;) {
        mutex_lock(&table_lock);
        p = find(id);
        if (p != NULL)
            t = load_acquire(&p->thread);
        if (t != NULL)
            fn(t, arg);
        mutex_unlock(&table_lock);
        if (p == NULL || t != NULL)
            return p != NULL ? 0 : ESRCH;
        thread_yield(); /* it has not begun (I2) */
    }
}

int pthread_setname_np(pthread_t id, const char *name)
{
    struct pthread *p;

    if (strlen(name) >= sizeof(p->name))
        return ERANGE;
    mutex_lock(&table_lock);
    p = find(id);
    if (p != NULL)
        strlcpy(p->name, name, sizeof(p->name));
    mutex_unlock(&table_lock);
    return p != NULL ? 0 : ESRCH;
}

int pthread_getname_np(pthread_t id, char *buf, size_t size)
{
    struct pthread *p;
    bool fits = true;

    mutex_lock(&table_lock);
    p = find(id);
    if (p != NULL)
        fits = strlcpy(buf, p->name, size) < size;
    mutex_unlock(&table_lock);
    if (p == NULL)
        return ESRCH;
    return fits ? 0 : ERANGE;
}

int pthread_deadline(clockid_t clock, const struct timespec *when, nsec_t *out)
{
    if (when == NULL) {
        *out = NEVER;
        return 0;
    }
    return -deadline_at(clock, when, out);
}
