/* SPDX-License-Identifier: BSD-2-Clause */
/* What storms of the kernel's upper half and of frontends stand on; see racerig.h. */
#include "tests/host/racerig.h"
#include <arch/cpu.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "kernel/cpus.h"
#include "kernel/grant.h"
#include "kernel/heap.h"
#include "kernel/log.h"
#include "kernel/option.h"
#include "kernel/page.h"
#include "kernel/spinlock.h"
#include "kernel/time.h"
#include "lib/base/assert.h"
#include "lib/base/atomic.h"
#include "lib/base/errno.h"

#define LOOK_PERIOD (10 * NSEC_PER_MSEC) /* who sleeps sees how the clock was put forward */
#define GRANTS 8192
#define GRANTS_FIRST 8

uint32_t random_below(uint32_t n)
{
    static __thread uint32_t state;

    if (state == 0)
        state = (uint32_t)(uintptr_t)&state | 1;
    state = state * 1664525 + 1013904223;
    return (uint32_t)((uint64_t)state * n >> 32);
}

/* ---- threads ---- */

struct thread {
    pthread_t id;
    pthread_mutex_t lock;
    pthread_cond_t woken_cond;
    bool woken;
    unsigned cpu;
    void (*fn)(void *);
    void *arg;
};

static __thread struct thread *self;
static unsigned next_cpu;
unsigned live_threads, pages_out, heap_out, grants_out;
nsec_t skipped;

nsec_t clock_read(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    return (nsec_t)ts.tv_sec * NSEC_PER_SEC + (nsec_t)ts.tv_nsec + load_relaxed(&skipped);
}

static void *thread_main(void *arg)
{
    self = arg;
    race_cpu = self->cpu;
    self->fn(self->arg);
    return NULL;
}

static struct thread *make_thread(void (*fn)(void *), void *arg)
{
    struct thread *t = calloc(1, sizeof(*t));

    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->woken_cond, NULL);
    t->fn = fn;
    t->arg = arg;
    t->cpu = atomic_add(&next_cpu, 1) % RACE_CPUS;
    return t;
}

int thread_create(const char *name, enum prio prio, size_t stack, void (*fn)(void *), void *arg,
                  struct thread **out)
{
    (void)name;
    (void)prio;
    (void)stack;
    *out = make_thread(fn, arg);
    atomic_add(&live_threads, 1);
    return pthread_create(&(*out)->id, NULL, thread_main, *out) == 0 ? 0 : -ENOMEM;
}

void thread_join(struct thread *t)
{
    pthread_join(t->id, NULL);
    atomic_sub(&live_threads, 1);
    free(t);
}

void race_begin(unsigned seconds)
{
    self = make_thread(NULL, NULL);
    alarm(seconds);
}

int race_scenes(unsigned nr, const char *const names[], void (*run)(unsigned scene))
{
    int status = 0, failed = 0;

    for (unsigned i = 0; i < nr; i++) {
        fflush(stdout);
        if (fork() == 0) {
            run(i);
            exit(0);
        }
        wait(&status);
        if (status != 0)
            printf("%s: status %x\n", names[i], (unsigned)status);
        failed |= status != 0;
    }
    return failed;
}

struct thread *thread_current(void)
{
    return self;
}

void thread_yield(void)
{
    sched_yield();
}

void thread_sleep_until(nsec_t deadline)
{
    for (nsec_t now = time_now(); now < deadline; now = time_now())
        usleep((useconds_t)(MIN(deadline - now, LOOK_PERIOD) / 1000) + 1);
}

void thread_set_affinity(struct thread *t, const struct cpumask *allowed)
{
    (void)t;
    (void)allowed;
}

enum prio thread_prio(const struct thread *t)
{
    (void)t;
    return PRIO_NORMAL;
}

bool thread_lend_prio(struct thread *t, enum prio prio, bool first)
{
    (void)t;
    (void)prio;
    (void)first;
    return false;
}

void thread_return_prio(void)
{
}

void thread_preempt_check(void)
{
}

void thread_prepare_block(void)
{
    pthread_mutex_lock(&self->lock);
    self->woken = false;
    pthread_mutex_unlock(&self->lock);
}

int thread_block(nsec_t deadline)
{
    int rc;

    pthread_mutex_lock(&self->lock);
    while (!self->woken && time_now() < deadline) {
        nsec_t end = MIN(deadline, time_now() + LOOK_PERIOD) - load_relaxed(&skipped);
        struct timespec ts = {(time_t)(end / NSEC_PER_SEC), (long)(end % NSEC_PER_SEC)};

        (void)pthread_cond_timedwait(&self->woken_cond, &self->lock, &ts);
    }
    rc = self->woken ? 0 : -ETIMEDOUT;
    pthread_mutex_unlock(&self->lock);
    return rc;
}

void thread_wake(struct thread *t)
{
    pthread_mutex_lock(&t->lock);
    t->woken = true;
    pthread_cond_signal(&t->woken_cond);
    pthread_mutex_unlock(&t->lock);
}

/* ---- memory and grants ---- */

static struct {
    const void *page;
    bool used;
} grants[GRANTS];
static pthread_mutex_t grants_lock = PTHREAD_MUTEX_INITIALIZER;

void *page_alloc_order(unsigned order)
{
    atomic_add(&pages_out, 1U << order);
    return aligned_alloc(PAGE_SIZE, PAGE_SIZE << order);
}

void *page_alloc_zeroed(void)
{
    return memset(page_alloc_order(0), 0, PAGE_SIZE);
}

/* Pages of a block are parts of one piece of the host's: not given back. */
static void *split[64];
static unsigned nr_split;

void page_split(void *block, unsigned order)
{
    for (unsigned i = 0; i < 1u << order; i++)
        if (order > 0)
            split[nr_split++ % ARRAY_SIZE(split)] = (char *)block + i * PAGE_SIZE;
}

static bool is_split(const void *page)
{
    for (unsigned i = 0; i < ARRAY_SIZE(split); i++)
        if (split[i] == page)
            return true;
    return false;
}

void page_free(void *page)
{
    atomic_sub(&pages_out, 1);
    if (!is_split(page))
        free(page);
}

void *heap_alloc(size_t size)
{
    atomic_add(&heap_out, 1);
    return malloc(size);
}

void *heap_alloc_zeroed(size_t size)
{
    atomic_add(&heap_out, 1);
    return calloc(1, size);
}

void *heap_resize(void *p, size_t size)
{
    if (p == NULL)
        return heap_alloc(size);
    return realloc(p, size);
}

void heap_free(void *p)
{
    if (p != NULL)
        atomic_sub(&heap_out, 1);
    free(p);
}

/* References are used again as late as can be: who uses one of the past is found out. */
int grant_page(domid_t dom, const void *page, bool readonly, gref_t *out)
{
    static gref_t last = GRANTS_FIRST;
    int rc = -ENOSPC;

    (void)dom;
    (void)readonly;
    pthread_mutex_lock(&grants_lock);
    for (unsigned i = 0; i < GRANTS - GRANTS_FIRST && rc != 0; i++) {
        last = last + 1 < GRANTS ? last + 1 : GRANTS_FIRST;
        if (grants[last].used)
            continue;
        grants[last].used = true;
        grants[last].page = page;
        *out = last;
        grants_out++;
        rc = 0;
    }
    pthread_mutex_unlock(&grants_lock);
    return rc;
}

int grant_revoke(gref_t ref)
{
    pthread_mutex_lock(&grants_lock);
    ASSERT(ref < GRANTS && grants[ref].used);
    grants[ref].used = false;
    grants_out--;
    pthread_mutex_unlock(&grants_lock);
    return 0;
}

void grant_revoke_and_free(gref_t ref, void *page)
{
    (void)!grant_revoke(ref);
    if (page != NULL)
        page_free(page);
}

void *mapped(gref_t ref)
{
    const void *page;

    pthread_mutex_lock(&grants_lock);
    ASSERT(ref < GRANTS && grants[ref].used);
    page = grants[ref].page;
    pthread_mutex_unlock(&grants_lock);
    return (void *)(uintptr_t)page;
}

unsigned cpus_count(void)
{
    return RACE_CPUS;
}

/* ---- options, messages ---- */

const char *option_get(const char *name)
{
    (void)name;
    return NULL;
}

bool option_on(const char *name)
{
    (void)name;
    return false;
}

void (*race_on_log)(const char *fmt);

void log_print(enum log_level level, const char *fmt, ...)
{
    (void)level;
    if (race_on_log != NULL)
        race_on_log(fmt);
}

bool log_allowed(struct log_limit *l)
{
    (void)l;
    return true;
}

int race_await(const bool *initialised, const bool *connected, nsec_t deadline)
{
    while (!load_acquire(connected)) {
        if (time_now() > deadline)
            return -ETIMEDOUT;
        if (!load_acquire(initialised) && !load_acquire(connected))
            return -ENODEV; /* it has left again */
        usleep(100);
    }
    return 0;
}
