/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The way back from exceptions and upcalls, instruction by instruction: the processor's single step
 * stops in the return window (arch/x86/entry.S), where a real event may come as well but hardly
 * ever does, and the event is made to come there.
 *
 *   int3 --> on_breakpoint: step from here --> ... return window
 *                                                |  on_step, at each instruction in turn: notify
 *                                                v
 *                       upcall --> on_event: step from here --> ... return window --> and so on
 *
 * A step returns through a window as well. An event that comes in that one finds two frames to take
 * the place of.
 */
#include <arch/irq.h>
#include <arch/trap.h>
#include <xen/xen.h>
#include "kernel/evtchn.h"
#include "kernel/log.h"
#include "kernel/thread.h"
#include "tests/guest/kernel-events/cases.h"

#define HANDLER __attribute__((target("general-regs-only"), noinline))
#define TRAP_DEBUG 1
#define NMI_VECTOR 257
#define RFLAGS_TF 0x100UL
#define EVENTS 600

extern const char return_window[], return_window_end[];

static port_t port;
static volatile unsigned heard, sent, places; /* places: a bit for each byte of the window */
static volatile uintptr_t lowest, highest;    /* the stack in the window */
static bool by_xen;

#define STEP_FROM_HERE() \
    __asm__ volatile("pushf; orq %0, (%%rsp); popf" : : "i"(RFLAGS_TF) : "memory", "cc")

HANDLER static bool on_breakpoint(struct regs *regs)
{
    (void)regs;
    STEP_FROM_HERE();
    return true;
}

HANDLER static void on_event(port_t which, void *arg)
{
    (void)which;
    (void)arg;
    heard++;
    STEP_FROM_HERE();
}

/* The stack in the window is the same, however many events came in it. */
HANDLER static void note_place(size_t at, uintptr_t rsp)
{
    places |= 1U << at;
    if (rsp < lowest)
        lowest = rsp;
    if (rsp > highest)
        highest = rsp;
}

/* The event is sent at another instruction each time. To leave as after an NMI makes Xen deliver it
 * at this very instruction; otherwise our own return finds it, if Xen does not come first. */
HANDLER static bool on_step(struct regs *regs)
{
    size_t at = regs->rip - (uintptr_t)return_window;

    if (at >= (size_t)(return_window_end - return_window))
        return true;
    note_place(at, regs->rsp);
    if (sent < EVENTS && sent == heard && (sent / 2 % 4 != 0 || at != 0)) {
        sent++;
        (void)evtchn_notify(port);
    }
    if (by_xen && sent % 2 == 0)
        regs->vector = NMI_VECTOR;
    return true;
}

/* The same with the event in the window of this step's own return, which is stepped through for
 * that (but where upcalls are masked yet: at the first instruction of either). */
HANDLER static bool on_step_within(struct regs *regs)
{
    static volatile bool within;
    static volatile unsigned wait;
    size_t at = regs->rip - (uintptr_t)return_window;

    if (at >= (size_t)(return_window_end - return_window))
        return true;
    if (within && at != 0) {
        within = false;
        wait = ++sent % 3;
        (void)evtchn_notify(port);
        regs->vector = NMI_VECTOR;
    } else if (!within) {
        note_place(at, regs->rsp);
        within = at != 0 && sent < EVENTS && sent == heard && wait-- == 0;
        if (within)
            STEP_FROM_HERE();
    }
    return true;
}

/* An int3 with something in every register, which all events interrupt. */
static bool registers_survive(void)
{
    bool same;

    __asm__ volatile(
        "mov %%rsp, %%rbx\n"
        "mov $101, %%eax; mov $102, %%ecx; mov $103, %%edx; mov $104, %%esi; mov $105, %%edi\n"
        "mov $108, %%r8d; mov $109, %%r9d; mov $110, %%r10d; mov $111, %%r11d; mov $112, %%r12d\n"
        "mov $113, %%r13d; mov $114, %%r14d; mov $115, %%r15d\n"
        "stc\n"
        "int3\n"
        "jnc 1f\n"
        "cmp %%rsp, %%rbx; jne 1f\n"
        "cmp $101, %%rax; jne 1f; cmp $102, %%rcx; jne 1f; cmp $103, %%rdx; jne 1f\n"
        "cmp $104, %%rsi; jne 1f; cmp $105, %%rdi; jne 1f; cmp $108, %%r8; jne 1f\n"
        "cmp $109, %%r9; jne 1f; cmp $110, %%r10; jne 1f; cmp $111, %%r11; jne 1f\n"
        "cmp $112, %%r12; jne 1f; cmp $113, %%r13; jne 1f; cmp $114, %%r14; jne 1f\n"
        "cmp $115, %%r15; jne 1f\n"
        "mov $1, %%eax; jmp 2f\n"
        "1: xor %%eax, %%eax\n"
        "2:"
        : "=a"(same)
        :
        : "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
          "memory", "cc");
    return same;
}

/* Whether every register came back. With preemption off the thread stays where the port is. */
static bool storm(trap_fn *step)
{
    bool same;

    heard = sent = places = 0;
    lowest = UINTPTR_MAX;
    highest = 0;
    preempt_disable();
    trap_hook(TRAP_DEBUG, step);
    trap_hook(TRAP_BREAKPOINT, on_breakpoint);
    same = registers_survive();
    trap_hook(TRAP_BREAKPOINT, NULL);
    trap_hook(TRAP_DEBUG, NULL);
    preempt_enable();
    return same;
}

static void check_storm(trap_fn *step)
{
    bool same;

    preempt_disable();
    CHECK_EQ(evtchn_bind_ipi(cpu_id(), on_event, NULL, &port), 0);
    same = storm(step);
    evtchn_unbind(port);
    preempt_enable();
    CHECK(same);
    CHECK_EQ(sent, EVENTS);
    CHECK_EQ(heard, EVENTS);
    CHECK(highest != 0 && lowest == highest);
    CHECK(__builtin_popcount(places) >= 4);
    CHECK(irq_enabled() && !cpu_in_event());
}

static void test_events_on_the_way_back_are_found_before_it_ends(void)
{
    by_xen = false;
    check_storm(on_step);
}

static void test_events_within_the_return_take_the_place_of_its_frame(void)
{
    by_xen = true;
    check_storm(on_step);
}

static void test_events_within_the_return_of_a_step_take_the_place_of_both_frames(void)
{
    check_storm(on_step_within);
}

/* How many NMIs the log tells of, said at once or later. */
static unsigned nmis_said(void)
{
    static char text[8192];
    unsigned n = 0;

    log_info("what was postponed is said before this");
    (void)log_copy(text, sizeof(text));
    for (const char *at = text; (at = strstr(at, "warning: NMI")) != NULL; at++)
        n++;
    return n;
}

/* Each is sent only after a return by Xen from the one before. */
static void test_nmis_are_said_whether_events_are_masked_or_not(void)
{
    preempt_disable();
    for (unsigned i = 1; i <= 6; i++) {
        irqstate_t irq = irq_save();

        if (i % 2)
            irq_restore(irq);
        arch_cpu_interrupt(cpu_id());
        if (i % 2 == 0)
            irq_restore(irq);
        CHECK_EQ(nmis_said(), i);
    }
    preempt_enable();
}

const struct test_case return_cases[] = {
    CASE(nmis_are_said_whether_events_are_masked_or_not),
    CASE(events_on_the_way_back_are_found_before_it_ends),
    CASE(events_within_the_return_take_the_place_of_its_frame),
    CASE(events_within_the_return_of_a_step_take_the_place_of_both_frames),
};
const size_t nr_return_cases = sizeof(return_cases) / sizeof(return_cases[0]);
