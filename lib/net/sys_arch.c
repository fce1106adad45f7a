/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What lwIP asks of an operating system (its doc/sys_arch.txt), over the kernel's threads.
 * With core locking and our own sockets it uses little: one thread for timers and callbacks with
 * one mailbox, and a lock for a few instructions around reference counts.
 */
#include "kernel/heap.h"
#include "kernel/mutex.h"
#include "kernel/spinlock.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "kernel/wait.h"
#include "lib/net/internal.h"
#include <lwip/err.h>
#include <lwip/sys.h>
#include <lwip/timeouts.h>
#include <arch/cpu.h>

struct net_sem {
    struct waitq wait;
    unsigned count;
};

struct net_mbox {
    struct waitq wait;
    struct spinlock lock;
    unsigned head, used, size;
    void *slot[];
};

void sys_init(void)
{
}

u32_t sys_now(void)
{
    return (u32_t)(time_now() / NSEC_PER_MSEC);
}

static nsec_t deadline_after(u32_t ms)
{
    return ms == 0 ? NEVER : time_now() + ms * NSEC_PER_MSEC;
}

/* --- the short lock; it nests, which a spinlock does not --- */

static struct spinlock short_lock = SPINLOCK_INIT;
static unsigned short_owner = CPU_MAX, short_depth;

sys_prot_t sys_arch_protect(void)
{
    irqstate_t state = irq_save();
    if (load_relaxed(&short_owner) == cpu_id()) {
        short_depth++;
        return state;
    }
    (void)spin_lock(&short_lock);
    store_relaxed(&short_owner, cpu_id());
    return state;
}

void sys_arch_unprotect(sys_prot_t state)
{
    if (short_depth > 0) {
        short_depth--;
        irq_restore(state);
        return;
    }
    store_relaxed(&short_owner, CPU_MAX);
    spin_unlock(&short_lock, state);
}

/* --- mutexes and semaphores --- */

err_t sys_mutex_new(sys_mutex_t *out)
{
    *out = heap_alloc(sizeof(**out));
    if (*out == NULL)
        return ERR_MEM;
    mutex_init(*out);
    return ERR_OK;
}

void sys_mutex_lock(sys_mutex_t *m)
{
    mutex_lock(*m);
}

void sys_mutex_unlock(sys_mutex_t *m)
{
    mutex_unlock(*m);
}

void sys_mutex_free(sys_mutex_t *m)
{
    heap_free(*m);
}

err_t sys_sem_new(sys_sem_t *out, u8_t count)
{
    *out = heap_alloc(sizeof(**out));
    if (*out == NULL)
        return ERR_MEM;
    waitq_init(&(*out)->wait);
    (*out)->count = count;
    return ERR_OK;
}

void sys_sem_free(sys_sem_t *s)
{
    heap_free(*s);
}

void sys_sem_signal(sys_sem_t *s)
{
    atomic_add(&(*s)->count, 1);
    waitq_wake_one(&(*s)->wait);
}

static bool sem_take(struct net_sem *s)
{
    unsigned count = load_relaxed(&s->count);
    while (count > 0)
        if (atomic_cmpxchg(&s->count, &count, count - 1))
            return true;
    return false;
}

u32_t sys_arch_sem_wait(sys_sem_t *s, u32_t timeout_ms)
{
    nsec_t deadline = deadline_after(timeout_ms);
    while (!sem_take(*s))
        if (wait_until(&(*s)->wait, load_relaxed(&(*s)->count) > 0, deadline) != 0)
            return SYS_ARCH_TIMEOUT;
    return 0;
}

/* --- mailboxes --- */

err_t sys_mbox_new(sys_mbox_t *out, int size)
{
    struct net_mbox *m = heap_alloc_zeroed(sizeof(*m) + (size_t)size * sizeof(m->slot[0]));
    *out = m;
    if (m == NULL)
        return ERR_MEM;
    waitq_init(&m->wait);
    spin_init(&m->lock);
    m->size = (unsigned)size;
    return ERR_OK;
}

void sys_mbox_free(sys_mbox_t *m)
{
    heap_free(*m);
}

static bool mbox_put(struct net_mbox *m, void *msg)
{
    irqstate_t state = spin_lock(&m->lock);
    bool room = m->used < m->size;
    if (room)
        m->slot[(m->head + m->used++) % m->size] = msg;
    spin_unlock(&m->lock, state);
    return room;
}

static bool mbox_take(struct net_mbox *m, void **msg)
{
    irqstate_t state = spin_lock(&m->lock);
    bool some = m->used > 0;
    if (some) {
        *msg = m->slot[m->head];
        m->head = (m->head + 1) % m->size;
        m->used--;
    }
    spin_unlock(&m->lock, state);
    return some;
}

err_t sys_mbox_trypost(sys_mbox_t *m, void *msg)
{
    if (!mbox_put(*m, msg))
        return ERR_MEM;
    waitq_wake_all(&(*m)->wait);
    return ERR_OK;
}

err_t sys_mbox_trypost_fromisr(sys_mbox_t *m, void *msg)
{
    return sys_mbox_trypost(m, msg);
}

void sys_mbox_post(sys_mbox_t *m, void *msg)
{
    wait_until(&(*m)->wait, mbox_put(*m, msg), NEVER);
    waitq_wake_all(&(*m)->wait);
}

u32_t sys_arch_mbox_tryfetch(sys_mbox_t *m, void **msg)
{
    if (!mbox_take(*m, msg))
        return SYS_MBOX_EMPTY;
    waitq_wake_all(&(*m)->wait);
    return 0;
}

/*
 * lwIP's timer thread works out how long to sleep, lets the core lock go and sleeps. A timer that
 * another thread sets later must shorten that sleep: the plan is noted while the lock is still
 * held, compared at every unlock, and a poke makes the fetch return as if its time were up.
 */
static struct {
    struct thread *thread;
    struct net_mbox *box; /* where it sleeps */
    nsec_t planned;       /* under the core lock */
    bool poked;
} timers;

void net_timers_adopt(void *unused)
{
    (void)unused;
    timers.thread = thread_current();
}

/* The core lock is held. */
void net_timers_poke(void)
{
    u32_t next = sys_timeouts_sleeptime();
    nsec_t due = next == SYS_TIMEOUTS_SLEEPTIME_INFINITE ? NEVER : deadline_after(MAX(next, 1));
    bool self = thread_current() == timers.thread;
    if (!self && due >= timers.planned)
        return;
    timers.planned = due;
    struct net_mbox *box = load_acquire(&timers.box);
    if (self || box == NULL)
        return;
    store_relaxed(&timers.poked, true);
    waitq_wake_all(&box->wait);
}

u32_t sys_arch_mbox_fetch(sys_mbox_t *box, void **msg, u32_t timeout_ms)
{
    struct net_mbox *m = *box;
    bool some = false;
    if (thread_current() == timers.thread)
        store_release(&timers.box, m);
    wait_until(&m->wait, (some = some || mbox_take(m, msg)) || load_relaxed(&timers.poked),
               deadline_after(timeout_ms));
    store_relaxed(&timers.poked, false);
    if (!some)
        return SYS_ARCH_TIMEOUT;
    waitq_wake_all(&m->wait);
    return 0;
}

/* --- threads --- */

struct start {
    lwip_thread_fn fn;
    void *arg;
};

static void thread_main(void *arg)
{
    struct start start = *(struct start *)arg;
    heap_free(arg);
    start.fn(start.arg);
}

sys_thread_t sys_thread_new(const char *name, lwip_thread_fn fn, void *arg, int stack_size,
                            int prio)
{
    struct start *start = heap_alloc(sizeof(*start));
    struct thread *t;
    if (start == NULL)
        return NULL;
    *start = (struct start){fn, arg};
    if (thread_create(name, (enum prio)prio, (size_t)stack_size, thread_main, start, &t) != 0) {
        heap_free(start);
        return NULL;
    }
    thread_detach(t);
    return t;
}
