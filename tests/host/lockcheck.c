/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lock checker finds what was done on purpose, and nothing in what is right. Each case is a
 * process: it says "panic: ..." and ends with 1, or ends well. Prints nothing and returns 0 when
 * all cases ended as they should.
 */
#include <arch/cpu.h>
#include <arch/irq.h>
#include <arch/thread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "kernel/console.h"
#include "kernel/log.h"
#include "kernel/mutex.h"
#include "kernel/panic.h"
#include "kernel/spinlock.h"
#include "kernel/thread.h"
#include "lib/base/assert.h"

/* ---- what else the kernel would be: one CPU, one thread ---- */

unsigned host_cpu, host_preempt_count;
struct thread *host_current;
bool host_need_resched, host_in_event, host_irq_on = true, host_upcall_pending;

static struct lock_stack mutexes_held;
static nsec_t now = NSEC_PER_SEC, stolen;

void host_relax(void)
{
}

void host_deliver_upcalls(void)
{
}

void panic(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    printf("panic: ");
    vprintf(fmt, ap);
    printf("\n");
    fflush(stdout);
    _exit(1);
}

void log_print(enum log_level level, const char *fmt, ...)
{
    va_list ap;

    (void)level;
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    printf("\n");
}

void panic_take_over(void)
{
    lock_check_end();
}

nsec_t clock_read(void)
{
    return now;
}

nsec_t clock_steal(unsigned cpu)
{
    (void)cpu;
    return stolen;
}

size_t arch_backtrace(uintptr_t *pc, size_t max)
{
    for (size_t i = 0; i < max; i++)
        pc[i] = i + 1;
    return max;
}

/* The other CPU gives it back. */
void spin_wait(struct spinlock *l)
{
    l->word = 1;
}

void spin_kick(const struct spinlock *l, uint16_t claimed)
{
    (void)l, (void)claimed;
}

void thread_preempt_check(void)
{
}

struct lock_stack *thread_locks(struct thread *t)
{
    (void)t;
    return &mutexes_held;
}

struct thread *thread_current(void)
{
    return host_current;
}

const char *thread_name(const struct thread *t)
{
    (void)t;
    return "test";
}

enum prio thread_prio(const struct thread *t)
{
    (void)t;
    return PRIO_NORMAL;
}

bool thread_lend_prio(struct thread *t, enum prio prio, bool first)
{
    (void)t, (void)prio, (void)first;
    return false;
}

void thread_return_prio(void)
{
}

void thread_prepare_block(void)
{
}

int thread_block(nsec_t deadline)
{
    (void)deadline;
    lock_may_block();
    return 0;
}

void thread_wake(struct thread *t)
{
    (void)t;
}

/* ---- cases ---- */

static struct spinlock a = SPINLOCK_INIT;
static struct spinlock b = SPINLOCK_INIT;
static struct spinlock c = SPINLOCK_INIT;
static struct spinlock twins[2] = {[0 ... 1] = SPINLOCK_INIT};
static struct mutex outer = MUTEX_INIT(outer);
static struct mutex inner = MUTEX_INIT(inner);

static void both(struct spinlock *first, struct spinlock *second)
{
    irqstate_t irq = spin_lock(first);

    spin_lock_masked(second);
    spin_unlock_masked(second);
    spin_unlock(first, irq);
}

static void both_mutexes(struct mutex *first, struct mutex *second)
{
    mutex_lock(first);
    mutex_lock(second);
    mutex_unlock(second);
    mutex_unlock(first);
}

static void one_order(void)
{
    for (int i = 0; i < 3; i++) {
        both(&a, &b);
        both(&b, &c);
        both(&a, &c);
        both_mutexes(&outer, &inner);
    }
    mutex_lock(&outer);
    both(&a, &c);
    mutex_unlock(&outer);
}

static void inversion(void)
{
    both(&a, &b);
    both(&b, &a);
}

static void circle_of_three(void)
{
    both(&a, &b);
    both(&b, &c);
    both(&c, &a);
}

static void inversion_of_mutexes(void)
{
    both_mutexes(&outer, &inner);
    both_mutexes(&inner, &outer);
}

/* No deadlock by itself: who tries does not wait. But who locks under it may. */
static void tried_the_other_way(void)
{
    both_mutexes(&outer, &inner);
    mutex_lock(&inner);
    if (mutex_trylock(&outer) != 0)
        panic("it is free");
    mutex_unlock(&outer);
    mutex_unlock(&inner);
}

/* Given back in the order in which they were taken. */
static void handed_over(void)
{
    irqstate_t irq = spin_lock(&a);

    spin_lock_masked(&b);
    spin_unlock_masked(&a);
    spin_unlock(&b, irq);
    (void)thread_block(NEVER); /* nothing is held */
}

static void twice(void)
{
    irqstate_t irq = spin_lock(&a);

    spin_lock_masked(&a);
    irq_restore(irq);
}

static void two_of_a_class(void)
{
    both(&twins[0], &twins[1]);
}

static void two_of_a_class_in_order(void)
{
    irqstate_t irq = spin_lock(&twins[0]);

    spin_lock_second(&twins[1]);
    spin_unlock_masked(&twins[0]);
    spin_unlock(&twins[1], irq);
}

static void in_a_handler(void (*fn)(void))
{
    irqstate_t irq = irq_save();

    host_in_event = true;
    fn();
    host_in_event = false;
    irq_restore(irq);
}

static void take_a(void)
{
    spin_lock_masked(&a);
    spin_unlock_masked(&a);
}

static void take_b(void)
{
    spin_lock_masked(&b);
    spin_unlock_masked(&b);
}

static void take_mutex(void)
{
    mutex_lock(&outer);
}

static void unmasked_and_in_a_handler(void)
{
    take_a();
    in_a_handler(take_a);
}

static void masked_and_in_a_handler(void)
{
    irqstate_t irq = spin_lock(&a);

    spin_unlock(&a, irq);
    in_a_handler(take_a);
}

static void handler_under_a_lock(void)
{
    irqstate_t irq = spin_lock(&a);

    in_a_handler(take_b);
    spin_unlock(&a, irq);
}

static void mutex_in_a_handler(void)
{
    in_a_handler(take_mutex);
}

static void mutex_under_a_spinlock(void)
{
    irqstate_t irq = spin_lock(&a);

    mutex_lock(&outer);
    mutex_unlock(&outer);
    spin_unlock(&a, irq);
}

static void sleep_under_a_spinlock(void)
{
    irqstate_t irq = spin_lock(&a);

    (void)thread_block(NEVER);
    spin_unlock(&a, irq);
}

static void not_held(void)
{
    spin_unlock_masked(&a);
}

static void without_a_name(void)
{
    struct spinlock zero;

    memset(&zero, 0, sizeof(zero));
    (void)spin_lock(&zero);
}

static void held_for(nsec_t ns, nsec_t ns_stolen)
{
    irqstate_t irq = spin_lock(&a);

    now += ns;
    stolen += ns_stolen;
    spin_unlock(&a, irq);
    lock_report();
}

static void held_for_long(void)
{
    held_for(5 * NSEC_PER_MSEC, 2 * NSEC_PER_MSEC);
}

static void held_while_the_host_took_the_cpu(void)
{
    held_for(5 * NSEC_PER_MSEC, 9 * NSEC_PER_MSEC / 2);
}

static void waited_for(void)
{
    irqstate_t irq;

    for (int i = 0; i < 2; i++) {
        a.word = 1;
        irq = spin_lock(&a);
        spin_unlock(&a, irq);
    }
    irq = spin_lock(&a);
    spin_unlock(&a, irq);
    lock_report();
}

static const struct {
    const char *name;
    void (*run)(void);
    const char *says; /* NULL: it ends well and does not say ALARM */
} cases[] = {
#define ALARM "held for more"
    {"one order", one_order, NULL},
    {"inversion", inversion, "elsewhere: tests/host/lockcheck.c:"},
    {"circle of three", circle_of_three, "elsewhere: tests/host/lockcheck.c:"},
    {"inversion of mutexes", inversion_of_mutexes, "lock order: "},
    {"tried the other way", tried_the_other_way, NULL},
    {"handed over", handed_over, NULL},
    {"twice", twice, "with the same lock held"},
    {"two of a class", two_of_a_class, "with another one of its class held"},
    {"two of a class in order", two_of_a_class_in_order, NULL},
    {"unmasked and in a handler", unmasked_and_in_a_handler, "is taken with upcalls on"},
    {"masked and in a handler", masked_and_in_a_handler, NULL},
    {"handler under a lock", handler_under_a_lock, "a handler runs while"},
    {"mutex in a handler", mutex_in_a_handler, "where nobody may block"},
    {"mutex under a spinlock", mutex_under_a_spinlock, "where nobody may block"},
    {"sleep under a spinlock", sleep_under_a_spinlock, "a thread blocks with"},
    {"not held", not_held, "that is not held"},
    {"without a name", without_a_name, "without a name"},
    {"held for long", held_for_long, ALARM " than 1 ms 1 times, once for 3000 us"},
    {"held while the host took the CPU", held_while_the_host_took_the_cpu, NULL},
    {"waited for", waited_for, "taken 3 times, 2 had to wait"},
};

static size_t read_all(int fd, char *text, size_t size)
{
    size_t len = 0;
    ssize_t n;

    while (len < size - 1 && (n = read(fd, text + len, size - 1 - len)) > 0)
        len += (size_t)n;
    text[len] = '\0';
    return len;
}

static bool is_as_wanted(size_t i, const char *text, int status)
{
    bool panicked = strstr(text, "panic: ") != NULL;

    if (cases[i].says == NULL)
        return status == 0 && !panicked && strstr(text, ALARM) == NULL;
    return strstr(text, cases[i].says) != NULL && panicked == (status != 0);
}

static bool run_case(size_t i)
{
    static char text[16384];
    int ends[2], status = 0;

    if (pipe(ends) != 0 || fflush(stdout) != 0)
        return false;
    if (fork() == 0) {
        dup2(ends[1], STDOUT_FILENO);
        host_current = (struct thread *)&mutexes_held;
        cases[i].run();
        fflush(stdout);
        _exit(0);
    }
    close(ends[1]);
    read_all(ends[0], text, sizeof(text));
    close(ends[0]);
    wait(&status);
    if (is_as_wanted(i, text, status))
        return true;
    printf("lockcheck, %s: status %x, it says:\n%s", cases[i].name, (unsigned)status, text);
    return false;
}

int main(void)
{
    bool ok = true;

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        ok = run_case(i) && ok;
    return !ok;
}
