/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Panic: say why, show registers and a backtrace, crash the domain so that the toolstack can keep a
 * core. Touches only the console (bounded) and the stack; a panic inside a panic ends at once.
 * Addresses are given as numbers: the lab turns them into names from .debug.
 */
#include "kernel/panic.h"
#include <arch/hypercall.h>
#include <arch/irq.h>
#include <arch/thread.h>
#include <arch/trap.h>
#include <stdarg.h>
#include <xen/sched.h>
#include "kernel/console.h"
#include "kernel/log.h"
#include "kernel/thread.h"
#include "lib/base/assert.h"
#include "lib/base/format.h"

#define FRAMES_MAX 24
#define DRAIN_NS (200 * NSEC_PER_MSEC)

static int panicking;

static void print_backtrace(const uintptr_t *pc, size_t n)
{
    for (size_t i = 0; i < n; i++)
        log_err("  #%zu %016lx", i, (unsigned long)pc[i]);
}

static NORETURN void die(const struct regs *regs, const char *fmt, va_list ap)
{
    char text[256];
    uintptr_t pc[FRAMES_MAX];
    size_t n;

    irq_save();
    if (__atomic_exchange_n(&panicking, 1, __ATOMIC_SEQ_CST))
        hypercall_shutdown(SHUTDOWN_crash);
    log_break_locks();
    console_break_locks();
    log_break_locks();
    vformat(text, sizeof(text), fmt, ap);
    log_err("panic: %s", text);
    log_err("thread %s", cpu_current() ? thread_name(cpu_current()) : "(boot)");
    if (regs) {
        regs_print(regs);
        n = backtrace_of(regs, pc, FRAMES_MAX);
    } else {
        n = arch_backtrace(pc, FRAMES_MAX);
    }
    log_err("backtrace:");
    print_backtrace(pc, n);
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
