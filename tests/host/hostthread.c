/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kernel/thread.h on the host: coroutines, so that tests with service threads are deterministic.
 * The runnable thread of the highest priority runs until it blocks, yields or ends; equals take
 * turns. Nothing preempts. When nobody can run the world moves instead: fake backends first, then
 * the clock (hostarch.h).
 */
#include "kernel/thread.h"

#include <arch/cpu.h>
#include <arch/irq.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "kernel/spinlock.h"
#include "lib/base/errno.h"
#include "lib/base/list.h"
#include "tests/host/hostarch.h"
#include "tests/host/test.h"

#ifdef __has_feature
#if __has_feature(address_sanitizer) && !defined(__SANITIZE_ADDRESS__)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#else
#define __sanitizer_start_switch_fiber(save, bottom, size) ((void)(save))
#define __sanitizer_finish_switch_fiber(save, bottom, size) ((void)(save))
#endif

/* Sanitizers need more than a kernel stack. */
#define STACK_SIZE (256UL * 1024)

enum state { READY, BLOCKED, DEAD };

struct thread {
    struct list link;
    char name[16];
    enum prio prio, own_prio; /* prio: with what was lent */
    enum state state;
    bool woken, timed_out, detached;
    nsec_t deadline;
    struct thread *joiner;
    void (*fn)(void *);
    void *arg, *user;
    void *sp;         /* while it does not run */
    void *fake_stack; /* the sanitizer's */
    const void *stack_bottom;
    size_t stack_size;
};

nsec_t host_next_event(void);

static struct list threads = LIST_INIT(threads);
static struct thread main_thread;

static void threads_setup(void)
{
    strcpy(main_thread.name, "main");
    main_thread.prio = main_thread.own_prio = PRIO_NORMAL;
    list_push_back(&threads, &main_thread.link);
    host_current = &main_thread;
}
SETUP(1, threads_setup)

/* ---- choosing and switching ---- */

/* Save the registers that a call must keep on this stack and its top in (*save); continue on the
 * stack (load). */
void host_switch(void **save, void *load);
__asm__(".text\n"
        "host_switch:\n"
        "    push %rbp\n"
        "    push %rbx\n"
        "    push %r12\n"
        "    push %r13\n"
        "    push %r14\n"
        "    push %r15\n"
        "    mov %rsp, (%rdi)\n"
        "    mov %rsi, %rsp\n"
        "    pop %r15\n"
        "    pop %r14\n"
        "    pop %r13\n"
        "    pop %r12\n"
        "    pop %rbx\n"
        "    pop %rbp\n"
        "    ret\n");

/* What host_switch finds on the stack of a thread that never ran. */
struct first_frame {
    uintptr_t registers[6];
    void (*entry)(void);
    uintptr_t no_return;
};

static struct thread *next_ready(void)
{
    struct thread *best = NULL;

    list_for_each (pos, &threads) {
        struct thread *t = list_entry(pos, struct thread, link);

        if (t->state == READY && (best == NULL || t->prio > best->prio))
            best = t;
    }
    return best;
}

static void reap(void)
{
    list_for_each_safe (pos, &threads) {
        struct thread *t = list_entry(pos, struct thread, link);

        if (t->state != DEAD || !t->detached || t == host_current)
            continue;
        list_remove(&t->link);
        free((void *)t->stack_bottom);
        free(t);
    }
}

static struct thread *switched_from;

static void after_switch(struct thread *me)
{
    struct thread *from = switched_from;

    __sanitizer_finish_switch_fiber(me->fake_stack, &from->stack_bottom, &from->stack_size);
    reap();
}

static void switch_to(struct thread *next)
{
    struct thread *me = host_current;

    /* Equals take turns: who runs goes to the end. */
    list_remove(&next->link);
    list_push_back(&threads, &next->link);
    if (next == me)
        return;
    switched_from = me;
    host_current = next;
    __sanitizer_start_switch_fiber(me->state == DEAD ? NULL : &me->fake_stack, next->stack_bottom,
                                   next->stack_size);
    host_switch(&me->sp, next->sp);
    after_switch(me);
}

static void trampoline(void)
{
    struct thread *me = host_current;

    after_switch(me);
    me->fn(me->arg);
    thread_exit();
}

static _Noreturn void deadlock(void)
{
    char text[512] = "";
    size_t len = 0;

    list_for_each (pos, &threads) {
        struct thread *t = list_entry(pos, struct thread, link);

        if (t->state == BLOCKED && len < sizeof(text) - 20)
            len += (size_t)sprintf(text + len, " %s", t->name);
    }
    test_fail("hostthread", 0, "deadlock, all of these wait for ever:%s", text);
}

static void expire(void)
{
    list_for_each (pos, &threads) {
        struct thread *t = list_entry(pos, struct thread, link);

        if (t->state == BLOCKED && t->deadline <= host_clock) {
            t->timed_out = true;
            t->state = READY;
        }
    }
}

/* Nobody can run and no backend has work: on to the next moment at which something happens. */
static void pass_time(void)
{
    nsec_t next = host_next_event();

    list_for_each (pos, &threads) {
        struct thread *t = list_entry(pos, struct thread, link);

        if (t->state == BLOCKED)
            next = MIN(next, t->deadline);
    }
    if (next == NEVER)
        deadlock();
    host_advance(next > host_clock ? next - host_clock : 0);
    expire();
}

/* Run whoever can; returns once the caller was chosen again. */
static void schedule(void)
{
    unsigned steps = 0;
    struct thread *next;

    while ((next = next_ready()) == NULL) {
        /* A backend that is busy for ever must not stop the clock. */
        if (!host_step()) {
            pass_time();
        } else if (++steps % 1000 == 0) {
            host_advance(NSEC_PER_MSEC);
            expire();
        }
    }
    switch_to(next);
}

/* ---- kernel/thread.h ---- */

int thread_create(const char *name, enum prio prio, size_t stack_size, void (*fn)(void *),
                  void *arg, struct thread **out)
{
    struct thread *t = calloc(1, sizeof(*t));
    struct first_frame *frame;

    (void)stack_size;
    t->stack_bottom = malloc(STACK_SIZE);
    t->stack_size = STACK_SIZE;
    snprintf(t->name, sizeof(t->name), "%s", name);
    t->prio = t->own_prio = prio;
    t->fn = fn;
    t->arg = arg;
    frame = (struct first_frame *)((char *)t->stack_bottom + STACK_SIZE) - 1;
    memset(frame, 0, sizeof(*frame));
    frame->entry = trampoline;
    t->sp = frame;
    list_push_back(&threads, &t->link);
    if (out != NULL)
        *out = t;
    return 0;
}

void thread_exit(void)
{
    struct thread *me = host_current;

    me->state = DEAD;
    if (me->joiner != NULL)
        thread_wake(me->joiner);
    schedule();
    abort();
}

void thread_join(struct thread *t)
{
    while (t->state != DEAD) {
        t->joiner = host_current;
        thread_prepare_block();
        (void)thread_block(NEVER);
    }
    t->detached = true;
    reap();
}

void thread_detach(struct thread *t)
{
    t->detached = true;
    reap();
}

struct thread *thread_current(void)
{
    return host_current;
}

const char *thread_name(const struct thread *t)
{
    return t->name;
}

void thread_yield(void)
{
    host_step();
    schedule();
}

void thread_sleep_until(nsec_t deadline)
{
    while (host_clock < deadline) {
        thread_prepare_block();
        (void)thread_block(deadline);
    }
}

void preempt_disable(void)
{
    host_preempt_count++;
}

void preempt_enable(void)
{
    host_preempt_count--;
}

/* Nothing preempts here. */
void thread_preempt_check(void)
{
    host_need_resched = false;
}

void thread_set_user(struct thread *t, void *user)
{
    t->user = user;
}

void *thread_user(const struct thread *t)
{
    return t->user;
}

void thread_set_tls(uintptr_t tp)
{
    (void)tp;
}

void thread_set_prio(struct thread *t, enum prio prio)
{
    t->prio = t->own_prio = prio;
}

enum prio thread_prio(const struct thread *t)
{
    return t->prio;
}

bool thread_lend_prio(struct thread *t, enum prio prio, bool first)
{
    bool is_more = prio > t->prio;

    (void)first;
    t->prio = MAX(t->prio, prio);
    return is_more;
}

void thread_return_prio(void)
{
    host_current->prio = host_current->own_prio;
}

unsigned thread_count(void)
{
    unsigned n = 0;

    list_for_each (pos, &threads)
        n++;
    return n;
}

void thread_prepare_block(void)
{
    host_current->woken = host_current->timed_out = false;
}

int thread_block(nsec_t deadline)
{
    struct thread *me = host_current;

    if (host_preempt_count != 0 || !host_irq_on || host_in_event)
        test_fail("hostthread", 0, "%s blocks with preemption off or upcalls masked", me->name);
    if (me->woken) /* since thread_prepare_block */
        return 0;
    me->deadline = deadline;
    me->state = BLOCKED;
    if (deadline <= host_clock)
        expire();
    schedule();
    return me->timed_out ? -ETIMEDOUT : 0;
}

void thread_wake(struct thread *t)
{
    t->woken = true;
    if (t->state == BLOCKED)
        t->state = READY;
}

static long count_threads(void)
{
    return thread_count();
}
CENSUS("threads", count_threads)

void thread_set_affinity(struct thread *t, const struct cpumask *allowed)
{
    (void)t;
    (void)allowed;
}
