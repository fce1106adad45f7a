/* SPDX-License-Identifier: BSD-2-Clause */
/* What both machines share: events, contexts, and what else the kernel would be. */
#include "tests/host/sched/machine.h"

#include <arch/boot.h>
#include <arch/irq.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "kernel/console.h"
#include "kernel/cpus.h"
#include "kernel/evtchn.h"
#include "kernel/heap.h"
#include "kernel/log.h"
#include "kernel/option.h"
#include "kernel/page.h"
#include "kernel/panic.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "lib/base/assert.h"
#include "lib/base/format.h"
#include "lib/base/string.h"

/* ---- events: port = CPU * 8 + event ---- */

static struct {
    evtchn_fn *kick, *timer;
    void *kick_arg, *timer_arg;
} handlers[MACHINE_CPUS];

static port_t port_of(unsigned cpu, unsigned event)
{
    return cpu * 8 + event;
}

int evtchn_bind_ipi(unsigned cpu, evtchn_fn *fn, void *arg, port_t *out)
{
    handlers[cpu].kick = fn;
    handlers[cpu].kick_arg = arg;
    *out = port_of(cpu, EVENT_KICK);
    return 0;
}

int evtchn_bind_virq(unsigned virq, unsigned cpu, evtchn_fn *fn, void *arg, port_t *out)
{
    (void)virq;
    handlers[cpu].timer = fn;
    handlers[cpu].timer_arg = arg;
    *out = port_of(cpu, EVENT_TIMER);
    return 0;
}

int evtchn_open_poll(unsigned cpu, port_t *out)
{
    *out = port_of(cpu, EVENT_PARK);
    return 0;
}

int evtchn_notify(port_t port)
{
    machine_send(port / 8, port % 8);
    return 0;
}

void evtchn_poll(port_t port, nsec_t deadline)
{
    ASSERT(port == port_of(cpu_id(), EVENT_PARK) && !irq_enabled());
    machine_sleep(EVENT_PARK, deadline);
    machine_unpark();
}

int page_cpu_init(unsigned cpu)
{
    (void)cpu;
    return 0;
}

void page_trim(void)
{
}

void heap_trim(void)
{
}

int evtchn_cpu_init(unsigned cpu)
{
    (void)cpu;
    return 0;
}

void evtchn_cpu_evacuate(unsigned cpu)
{
    (void)cpu;
}

/* The upcall and the way back from it (arch/x86/entry.S). */
void machine_deliver(void)
{
    unsigned events;

    while (machine_cpu()->irq_on && (events = machine_take_events()) != 0) {
        unsigned cpu = cpu_id();

        machine_cpu()->irq_on = false;
        machine_cpu()->in_event = true;
        if (events & EVENT_TIMER)
            handlers[cpu].timer(port_of(cpu, EVENT_TIMER), handlers[cpu].timer_arg);
        if (events & EVENT_KICK)
            handlers[cpu].kick(port_of(cpu, EVENT_KICK), handlers[cpu].kick_arg);
        machine_cpu()->in_event = false;
        if (cpu_preempt_count() == 0 && cpu_need_resched())
            sched_preempt();
        machine_cpu()->irq_on = true; /* of the CPU that it is now */
    }
}

void machine_unmask(void)
{
    machine_cpu()->irq_on = true;
    machine_deliver();
}

void cpu_idle(void)
{
    ASSERT(!irq_enabled() && !cpu_in_event());
    machine_cpu()->irq_on = true;
    machine_sleep(EVENTS_DELIVERED, NEVER);
    machine_deliver();
}

/* ---- contexts ---- */

__asm__(".text\n"
        ".globl machine_swap\n"
        "machine_swap:\n"
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
        "    ret\n"
        "machine_start:\n"
        "    xor %ebp, %ebp\n"
        "    mov %r12, %rdi\n"
        "    call *%rbx\n"
        "    ud2\n");
void machine_start(void);

void *machine_context(void *stack_top, void (*entry)(void *), void *arg)
{
    uintptr_t *sp = (uintptr_t *)((uintptr_t)stack_top & ~15UL) - 9;

    memset(sp, 0, 9 * sizeof(*sp));
    sp[3] = (uintptr_t)arg;
    sp[4] = (uintptr_t)entry;
    sp[6] = (uintptr_t)machine_start;
    return sp;
}

size_t arch_fpu_size(void)
{
    return 64;
}

void arch_thread_init(struct arch_thread *t, void *stack_top, void *fpu, void (*entry)(void *),
                      void *arg)
{
    *t = (struct arch_thread){.sp = machine_context(stack_top, entry, arg), .fpu = fpu};
    t->fiber = *(void **)fpu = machine_new_fiber();
}

/* The sanitizer must not see half of this function on each of two stacks. */
__attribute__((no_sanitize("thread"))) void arch_switch(struct arch_thread *prev,
                                                        struct arch_thread *next, bool involuntary)
{
    void *sp = next->sp;

    (void)involuntary;
    if (sp == NULL)
        machine_fail("a thread goes on whose stack is in use");
    next->sp = NULL;
    if (prev->fiber == NULL)
        prev->fiber = machine_this_fiber();
    machine_switch_fiber(next->fiber);
    machine_swap(&prev->sp, sp);
}

void arch_set_tls(struct arch_thread *t, uintptr_t tp)
{
    (void)t;
    (void)tp;
}

/* ---- what else the kernel would be ---- */

/* Nobody reads the log. */
bool log_prints(enum log_level level)
{
    (void)level;
    return false;
}

void log_print(enum log_level level, const char *fmt, ...)
{
    (void)level;
    (void)fmt;
}

/* What else kernel/lockcheck.c asks for. */
void panic_take_over(void)
{
    lock_check_end();
}

nsec_t clock_steal(unsigned cpu)
{
    (void)cpu;
    return 0;
}

size_t arch_backtrace(uintptr_t *pc, size_t max)
{
    (void)pc;
    (void)max;
    return 0;
}

bool option_on(const char *name)
{
    (void)name;
    return false;
}

int string_copy(char *dst, size_t size, const char *src)
{
    return snprintf(dst, size, "%s", src);
}

int format(char *buf, size_t size, const char *fmt, ...)
{
    va_list ap;
    int len;

    va_start(ap, fmt);
    len = vsnprintf(buf, size, fmt, ap);
    va_end(ap);
    return len;
}

void panic(const char *fmt, ...)
{
    char text[200];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    machine_fail("panic: %s", text);
}

nsec_t clock_wall_base(void)
{
    return 0;
}

int arch_cpu_prepare(unsigned cpu)
{
    (void)cpu;
    return 0;
}

unsigned arch_cpu_possible(void)
{
    return MACHINE_CPUS;
}

void machine_boot(void (*main)(void *))
{
    struct thread *t;

    machine_cpu()->preempt = 1;
    thread_init();
    time_init();
    cpus_init();
    if (thread_create("main", PRIO_NORMAL, 0, main, NULL, &t) != 0)
        panic("no main thread");
    thread_idle();
}
