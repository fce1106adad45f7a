/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Panic: say why, show registers and a backtrace, have every other CPU stop and say where it was,
 * crash the domain so that the toolstack can keep a core. Touches only the console (bounded) and
 * the stack; a panic inside a panic ends at once. Addresses are given as numbers: the lab turns
 * them into names from .debug.
 *
 * First the other CPUs are stopped, by an interrupt that nothing masks: only then are locks broken,
 * so that nobody is in the console or the log meanwhile. Each waits for its turn to print; one that
 * does not answer is passed over.
 */
#include "kernel/panic.h"
#include <arch/hypercall.h>
#include <arch/irq.h>
#include <arch/thread.h>
#include <arch/trap.h>
#include <stdarg.h>
#include <xen/sched.h>
#include "kernel/console.h"
#include "kernel/cpus.h"
#include "kernel/lockcheck.h"
#include "kernel/log.h"
#include "kernel/thread.h"
#include "lib/base/assert.h"
#include "lib/base/atomic.h"
#include "lib/base/format.h"

#define FRAMES_MAX 24
#define DRAIN_NS (200 * NSEC_PER_MSEC)

#define STOP_NS (500 * NSEC_PER_MSEC) /* a vCPU that the host does not run takes no interrupt */
#define REPORT_NS (10 * NSEC_PER_SEC) /* who reports waits for the console's reader */
#define NOBODY CPU_MAX

static unsigned panicking = NOBODY;               /* the CPU that found the bug */
static bool dying;                                /* it says why */
static struct cpumask stopped;                    /* the others, so far */
static unsigned turn = NOBODY, had_turn = NOBODY; /* of the stopped ones */

/* Whoever waits here must not take dom0's CPU from the console's reader, on which all wait. */
static void give_cpu_away(void)
{
    (void)hypercall_sched(SCHEDOP_yield, NULL);
}

static void print_backtrace(const uintptr_t *pc, size_t n)
{
    log_err("backtrace:");
    for (size_t i = 0; i < n; i++)
        log_err("  #%zu %016lx", i, (unsigned long)pc[i]);
}

static void print_thread(void)
{
    const struct thread *t = cpu_current();
    size_t size, used = t ? thread_stack_used(t, &size) : 0;

    log_err("thread %s on CPU %u", t ? thread_name(t) : "(boot)", cpu_id());
    if (used > 0)
        log_err("it has used %lu of %lu bytes of its stack", (unsigned long)used,
                (unsigned long)size);
}

/* Where this CPU is, or was when it was interrupted with (regs). */
static void report(const struct regs *regs)
{
    uintptr_t pc[FRAMES_MAX];
    size_t n;

    print_thread();
    if (regs) {
        regs_print(regs);
        n = backtrace_of(regs, pc, FRAMES_MAX);
    } else {
        n = arch_backtrace(pc, FRAMES_MAX);
    }
    print_backtrace(pc, n);
}

bool panic_stopped(const struct regs *regs)
{
    if (load_acquire(&panicking) == NOBODY)
        return false;
    (void)cpumask_add(&stopped, cpu_id());
    while (load_acquire(&turn) != cpu_id())
        give_cpu_away();
    report(regs);
    store_release(&had_turn, cpu_id());
    for (;;)
        give_cpu_away();
}

static void stop_others(void)
{
    nsec_t deadline = clock_read() + STOP_NS;
    unsigned told = 0;

    cpumask_for_each (cpu, cpus_online()) {
        if (cpu == cpu_id())
            continue;
        arch_cpu_interrupt(cpu);
        told++;
    }
    while (cpumask_count(&stopped) < told && clock_read() < deadline)
        give_cpu_away();
}

void panic_take_over(void)
{
    unsigned nobody = NOBODY;

    if (atomic_cmpxchg(&panicking, &nobody, cpu_id())) {
        stop_others();
        lock_check_end();
        log_break_locks();
        console_break_locks();
    }
    while (load_relaxed(&panicking) != cpu_id()) /* our report will come soon, from here */
        give_cpu_away();
}

static void let_others_report(void)
{
    cpumask_for_each (cpu, cpus_online()) {
        nsec_t deadline = clock_read() + REPORT_NS;

        if (cpu == cpu_id())
            continue;
        if (!cpumask_has(&stopped, cpu)) {
            log_err("CPU %u does not answer", cpu);
            continue;
        }
        store_release(&turn, cpu);
        while (load_acquire(&had_turn) != cpu && clock_read() < deadline)
            give_cpu_away();
    }
}

static NORETURN void die(const struct regs *regs, const char *fmt, va_list ap)
{
    char text[256];

    irq_save();
    panic_take_over();
    if (dying)
        hypercall_shutdown(SHUTDOWN_crash);
    dying = true;
    vformat(text, sizeof(text), fmt, ap);
    log_err("panic: %s", text);
    report(regs);
    let_others_report();
    console_drain(DRAIN_NS);
    hypercall_shutdown(SHUTDOWN_crash);
}

NORETURN void panic(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    die(NULL, fmt, ap);
}

NORETURN void panic_at(const struct regs *regs, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    die(regs, fmt, ap);
}

NORETURN void __stack_chk_fail(void)
{
    panic("stack smashed: a buffer of the function that called %p was overrun",
          __builtin_return_address(0));
}
