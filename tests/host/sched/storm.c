/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The scheduler on real threads, under the thread sanitizer: each CPU is a thread of the host, each
 * thread of the kernel a context (a fiber to the sanitizer) that moves between them. A switch
 * orders what the CPU did before and does after it, nothing else does but the kernel's own locks
 * and atomics: events and the sleep of a CPU are made of relaxed ones and system calls.
 *
 *      storm WORKLOAD SECONDS      see (workloads)
 *
 * An interrupt is a bit and, if the CPU sleeps, a futex; it is taken when the CPU unmasks upcalls,
 * spins or wakes. Every workload counts what it does and checks that nothing is lost. One that
 * makes no step for long is stuck: the queues are printed.
 */
#include <arch/boot.h>
#include <arch/irq.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "kernel/cpus.h"
#include "kernel/heap.h"
#include "kernel/mutex.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "kernel/vmap.h"
#include "kernel/wait.h"
#include "lib/base/assert.h"
#include "lib/base/atomic.h"
#include "lib/base/errno.h"
#include "lib/posix/park.h"
#include "tests/host/sched/machine.h"

#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#define UNSEEN __attribute__((no_sanitize("thread")))
#else
#define UNSEEN
#define __tsan_create_fiber(flags) NULL
#define __tsan_destroy_fiber(fiber) ((void)(fiber))
#define __tsan_get_current_fiber() NULL
#define __tsan_switch_to_fiber(fiber, flags) ((void)(fiber))
#endif

#define STACK_SIZE (128UL * 1024)
#define STUCK_S 30
#define DOWN_BIT (1U << 30) /* of (events): it may stop sleeping in arch_cpu_stop */

struct host_cpu {
    struct machine_cpu m;
    uint32_t events;
    nsec_t armed;
    bool up, started;
    void *stack_top, *own_sp;
};

static struct host_cpu cpus[MACHINE_CPUS];
static __thread struct host_cpu *mine;
static unsigned long steps; /* that the workload made */

/* Not inlined, and the compiler cannot know that it says the same twice. */
__attribute__((noinline)) UNSEEN struct machine_cpu *machine_cpu(void)
{
    __asm__ volatile("" ::: "memory");
    return &mine->m;
}

static UNSEEN __attribute__((noinline)) struct host_cpu *this_cpu(void)
{
    __asm__ volatile("" ::: "memory");
    return mine;
}

/* ---- time and events ---- */

nsec_t clock_read(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (nsec_t)ts.tv_sec * NSEC_PER_SEC + (nsec_t)ts.tv_nsec;
}

void clock_arm(nsec_t deadline)
{
    this_cpu()->armed = deadline;
}

static void futex_wait(uint32_t *word, uint32_t value, nsec_t ns)
{
    struct timespec ts = {(time_t)(ns / NSEC_PER_SEC), (long)(ns % NSEC_PER_SEC)};

    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, &ts, NULL, 0);
}

static void set_events(struct host_cpu *c, uint32_t events)
{
    __atomic_or_fetch(&c->events, events, __ATOMIC_RELAXED);
    syscall(SYS_futex, &c->events, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

void machine_send(unsigned cpu, unsigned events)
{
    set_events(&cpus[cpu], events);
}

static bool timer_is_due(const struct host_cpu *c)
{
    return c->armed != 0 && c->armed <= clock_read();
}

unsigned machine_take_events(void)
{
    struct host_cpu *c = this_cpu();
    unsigned events = load_relaxed(&c->events) & EVENTS_DELIVERED;

    if (events != 0)
        __atomic_and_fetch(&c->events, ~events, __ATOMIC_RELAXED);
    if (timer_is_due(c)) {
        c->armed = 0;
        events |= EVENT_TIMER;
    }
    return events;
}

void machine_sleep(unsigned events, nsec_t deadline)
{
    struct host_cpu *c = this_cpu();

    for (;;) {
        uint32_t seen = load_relaxed(&c->events);
        nsec_t now = clock_read(), until = deadline;

        if (events & EVENT_TIMER && c->armed != 0)
            until = MIN(until, c->armed);
        if (seen & events || until <= now)
            return;
        futex_wait(&c->events, seen, MIN(until - now, NSEC_PER_SEC));
    }
}

void machine_unpark(void)
{
    __atomic_and_fetch(&this_cpu()->events, ~(uint32_t)EVENT_PARK, __ATOMIC_RELAXED);
}

void machine_relax(void)
{
    machine_deliver();
    sched_yield(); /* the host may have fewer CPUs */
}

/* ---- CPUs ---- */

static void secondary_main(void *unused)
{
    (void)unused;
    kernel_cpu_main();
}

/* A CPU is born: its idle thread's stack takes over from the one that the host gave. */
static UNSEEN void *run_secondary(void *arg)
{
    mine = arg;
    machine_swap(&mine->own_sp, machine_context(mine->stack_top, secondary_main, NULL));
    return NULL;
}

int arch_cpu_start(unsigned cpu, void *stack_top, struct thread *idle)
{
    struct host_cpu *c = &cpus[cpu];
    pthread_t thread;

    store_relaxed(&c->up, true);
    if (c->started) {
        set_events(c, DOWN_BIT);
        return 0;
    }
    c->started = true;
    c->stack_top = stack_top;
    c->m = (struct machine_cpu){.id = cpu, .current = idle, .preempt = 1};
    return -pthread_create(&thread, NULL, run_secondary, c);
}

bool arch_cpu_is_up(unsigned cpu)
{
    return load_relaxed(&cpus[cpu].up);
}

void arch_cpu_stop(void)
{
    struct host_cpu *c = this_cpu();

    c->armed = 0;
    store_relaxed(&c->up, false);
    machine_sleep(DOWN_BIT, NEVER);
    __atomic_and_fetch(&c->events, ~DOWN_BIT, __ATOMIC_RELAXED);
}

void machine_fail(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    printf("FAILED: ");
    vprintf(fmt, ap);
    va_end(ap);
    printf("\n");
    inside_print();
    fflush(stdout);
    _exit(1);
}

#define MUST(cond) \
    ((cond) ? (void)0 : machine_fail("%s:%d: not true: %s", __FILE__, __LINE__, #cond))

/* ---- memory, and the sanitizer's contexts: each dies with the thread's FPU area ---- */

struct header {
    size_t size;
    bool has_fiber;
} __attribute__((aligned(64)));

static void *allocate(size_t size, bool has_fiber)
{
    struct header *h = aligned_alloc(64, ALIGN_UP(sizeof(*h) + size, 64UL));

    *h = (struct header){size, has_fiber};
    return h + 1;
}

void *heap_alloc(size_t size)
{
    return allocate(size, false);
}

void *heap_alloc_zeroed(size_t size)
{
    return memset(allocate(size, false), 0, size);
}

void *heap_alloc_aligned(size_t align, size_t size)
{
    (void)align;
    return memset(allocate(size, true), 0, size);
}

void heap_free(void *p)
{
    struct header *h = p;

    if (!p)
        return;
    if ((--h)->has_fiber && *(void **)p)
        __tsan_destroy_fiber(*(void **)p);
    free(h);
}

void *vmap_alloc(size_t n)
{
    return (char *)aligned_alloc(64, STACK_SIZE) + STACK_SIZE - n * 4096;
}

void vmap_free(void *va, size_t n)
{
    free((char *)va + n * 4096 - STACK_SIZE);
}

void *machine_new_fiber(void)
{
    return __tsan_create_fiber(0);
}

UNSEEN void *machine_this_fiber(void)
{
    return __tsan_get_current_fiber();
}

UNSEEN void machine_switch_fiber(void *fiber)
{
    __tsan_switch_to_fiber(fiber, 0);
}

/* ---- workloads ---- */

#define WORKERS 8

static nsec_t end;

static bool goes_on(void)
{
    atomic_add(&steps, 1);
    return clock_read() < end;
}

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 8;
}

static void spin_for(nsec_t ns)
{
    nsec_t until = clock_read() + ns;

    while (clock_read() < until)
        cpu_relax();
}

static struct thread *start(enum prio prio, void (*fn)(void *), void *arg)
{
    struct thread *t;

    MUST(thread_create("worker", prio, 0, fn, arg, &t) == 0);
    return t;
}

static void run_workers(void (*fn)(void *))
{
    struct thread *t[WORKERS];

    for (uintptr_t i = 0; i < WORKERS; i++)
        t[i] = start(i % 4 == 3 ? PRIO_HIGH : PRIO_NORMAL, fn, (void *)i);
    for (int i = 0; i < WORKERS; i++)
        thread_join(t[i]);
}

/* Threads are made, end, are joined or not. */
static unsigned born, died;

static void lives_shortly(void *arg)
{
    if ((uintptr_t)arg % 3 == 0)
        thread_yield();
    atomic_add(&died, 1);
}

static void creates(void *arg)
{
    uint32_t random = (uint32_t)(uintptr_t)arg;

    while (goes_on()) {
        struct thread *t[4];

        for (uintptr_t i = 0; i < 4; i++)
            t[i] =
                start((enum prio)(PRIO_LOW + next_random(&random) % 3), lives_shortly, (void *)i);
        atomic_add(&born, 4);
        thread_detach(t[0]);
        for (int i = 1; i < 4; i++)
            thread_join(t[i]);
    }
}

static void life(void)
{
    run_workers(creates);
    while (load_relaxed(&died) != load_relaxed(&born))
        thread_sleep_until(clock_read() + NSEC_PER_MSEC);
}

/* A ball between two, over any CPUs; the last two balls say that it is over. */
#define LAST_BALL 0x80000000U

static struct table {
    struct waitq q;
    unsigned ball, hits;
} tables[WORKERS / 2];

static void plays(void *arg)
{
    struct table *t = &tables[(uintptr_t)arg / 2];
    unsigned me = (uintptr_t)arg % 2;

    for (;;) {
        unsigned ball;

        MUST(wait_until(&t->q, load_acquire(&t->ball) % 2 == me, NEVER) == 0);
        t->hits++; /* only who has the ball */
        ball = load_relaxed(&t->ball);
        if (ball < LAST_BALL)
            ball = goes_on() ? ball : LAST_BALL + me;
        store_release(&t->ball, ball + 1);
        waitq_wake_all(&t->q);
        if (ball >= LAST_BALL)
            return;
    }
}

static void ping_pong(void)
{
    for (int i = 0; i < WORKERS / 2; i++)
        waitq_init(&tables[i].q);
    run_workers(plays);
}

/* Tokens under a mutex, announced by a condition; with deadlines among the waits. */
static struct mutex mutex = MUTEX_INIT(mutex);
static struct cond cond = COND_INIT(cond);
static unsigned tokens, made, taken, over;

static void makes_or_takes(void *arg)
{
    bool maker = (uintptr_t)arg % 2 == 0;

    while (goes_on() || !maker) {
        mutex_lock(&mutex);
        if (maker) {
            tokens++;
            made++;
            cond_signal(&cond);
        } else {
            while (tokens == 0 && over < WORKERS / 2)
                (void)!cond_wait(&cond, &mutex,
                                 (uintptr_t)arg % 4 == 1 ? NEVER : clock_read() + 50000);
            if (tokens == 0) {
                mutex_unlock(&mutex);
                return;
            }
            tokens--;
            taken++;
        }
        mutex_unlock(&mutex);
    }
    mutex_lock(&mutex);
    over += maker; /* the last token was made when all makers are over */
    cond_broadcast(&cond);
    mutex_unlock(&mutex);
}

static void locks(void)
{
    run_workers(makes_or_takes);
    MUST(made == taken && tokens == 0);
}

/* Sleep, time out, be woken at the same time. */
static uint32_t words[WORKERS];

static void sleeps(void *arg)
{
    uintptr_t me = (uintptr_t)arg;
    uint32_t random = (uint32_t)me * 77;

    while (goes_on()) {
        nsec_t until = clock_read() + next_random(&random) % 200000;
        uint32_t seen = load_acquire(&words[me]);
        int rc = park_wait(&words[me], seen, until);

        MUST(rc != -ETIMEDOUT || clock_read() >= until);
        atomic_add(&words[(me + 1) % WORKERS], 1);
        park_wake(&words[(me + 1) % WORKERS], PARK_ALL);
        thread_sleep_until(until);
        MUST(clock_read() >= until);
    }
}

static void sleepers(void)
{
    run_workers(sleeps);
}

/* Who may run where changes all the time, own and others'; nobody moves the first one. */
static struct thread *wanderers[WORKERS];
static struct waitq gate = WAITQ_INIT(gate);
static bool open;

static void wander(uintptr_t me, uint32_t *random)
{
    unsigned cpu = next_random(random) % MACHINE_CPUS;
    struct cpumask m = {{1UL << cpu}}, any = {{~0UL}};

    thread_set_affinity(thread_current(), &m);
    preempt_disable();
    MUST(me != 0 || cpu_id() == cpu);
    preempt_enable();
    spin_for(next_random(random) % 20000);
    thread_set_affinity(wanderers[1 + next_random(random) % (WORKERS - 1)], &any);
    if (next_random(random) % 4 == 0)
        thread_set_prio(thread_current(), (enum prio)(PRIO_LOW + next_random(random) % 3));
    if (next_random(random) % 8 == 0)
        thread_sleep_until(clock_read() + 20000);
}

static void wanders(void *arg)
{
    uint32_t random = (uint32_t)(uintptr_t)arg * 99;

    (void)!wait_until(&gate, load_acquire(&open), NEVER);
    while (goes_on())
        wander((uintptr_t)arg, &random);
    atomic_add(&died, 1);
    waitq_wake_all(&gate);
    (void)!wait_until(&gate, load_acquire(&died) == WORKERS, NEVER); /* they move each other */
}

static void affinity(void)
{
    for (uintptr_t i = 0; i < WORKERS; i++)
        wanderers[i] = start(PRIO_NORMAL, wanders, (void *)i);
    store_release(&open, true);
    waitq_wake_all(&gate);
    for (int i = 0; i < WORKERS; i++)
        thread_join(wanderers[i]);
}

static void hotplugs(void *arg)
{
    uint32_t random = 5;

    (void)arg;
    while (goes_on()) {
        unsigned cpu = 1 + next_random(&random) % (MACHINE_CPUS - 1);

        if (cpumask_has(cpus_online(), cpu))
            MUST(cpus_take_down(cpu) == 0);
        else
            MUST(cpus_bring_up(cpu) == 0);
        thread_sleep_until(clock_read() + next_random(&random) % 1000000);
    }
    for (unsigned cpu = 1; cpu < MACHINE_CPUS; cpu++)
        MUST(cpus_bring_up(cpu) == 0);
}

/* Sleepers and short lives while CPUs go and come. */
static void sleeps_or_creates(void *arg)
{
    if ((uintptr_t)arg % 2 == 0)
        sleeps(arg);
    else
        creates(arg);
}

static void hotplug(void)
{
    struct thread *t = start(PRIO_HIGH, hotplugs, NULL);

    run_workers(sleeps_or_creates);
    thread_join(t);
}

static const struct {
    const char *name;
    void (*run)(void);
} workloads[] = {
    {"life", life},         {"ping-pong", ping_pong}, {"locks", locks},
    {"sleepers", sleepers}, {"affinity", affinity},   {"hotplug", hotplug},
};
static unsigned chosen;

static void main_thread(void *unused)
{
    (void)unused;
    for (unsigned cpu = 1; cpu < MACHINE_CPUS; cpu++)
        MUST(cpus_bring_up(cpu) == 0);
    workloads[chosen].run();
    printf("%-10s %lu steps on %u CPUs\n", workloads[chosen].name, load_relaxed(&steps),
           cpus_count());
    fflush(stdout);
    _exit(0);
}

static void *watch(void *unused)
{
    unsigned long before = ~0UL;

    (void)unused;
    while (load_relaxed(&steps) != before) {
        before = load_relaxed(&steps);
        sleep(STUCK_S);
    }
    machine_fail("stuck: no step for %u s", STUCK_S);
}

int main(int argc, char **argv)
{
    pthread_t watchdog;

    while (argc == 3 && chosen < ARRAY_SIZE(workloads) && strcmp(argv[1], workloads[chosen].name))
        chosen++;
    if (argc != 3 || chosen == ARRAY_SIZE(workloads)) {
        printf("usage: storm WORKLOAD SECONDS\n");
        return 2;
    }
    mine = &cpus[0];
    cpus[0].up = cpus[0].started = true;
    end = clock_read() + (nsec_t)(atof(argv[2]) * 1e9);
    pthread_create(&watchdog, NULL, watch, NULL);
    machine_boot(main_thread);
}
