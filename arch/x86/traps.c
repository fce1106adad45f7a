/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Exceptions. Every vector has an entry, since Xen ends a domain that faults without one; every
 * entry masks upcalls. There is no interrupt stack table: a fault is handled on the stack it
 * happened on, and a stack that is full is a crash that only Xen sees.
 */
#include <arch/irq.h>
#include <arch/trap.h>
#include <arch/thread.h>
#include "arch/x86/mm.h"
#include "arch/x86/setup.h"
#include "arch/x86/xenabi.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "kernel/thread.h"
#include "kernel/vmap.h"
#include "lib/base/assert.h"
#include <arch/cpu.h>

#define TRAP_MASKS_EVENTS 4
#define NMI_VECTOR 257
#define RFLAGS_IF 0x200 /* in a frame from Xen: upcalls were enabled */
#define VECTORS 32

void trap_de(void), trap_db(void), trap_bp(void), trap_of(void), trap_br(void), trap_ud(void),
    trap_nm(void), trap_df(void), trap_ts(void), trap_np(void), trap_ss(void), trap_gp(void),
    trap_pf(void), trap_mf(void), trap_ac(void), trap_mc(void), trap_xm(void), trap_cp(void);
void trap_handle(struct regs *regs);
extern char image_text_start[], image_text_end[];

static const struct {
    uint8_t vector;
    void (*entry)(void);
    const char *name;
} traps[] = {
    {0, trap_de, "divide error"},         {1, trap_db, "debug"},
    {3, trap_bp, "breakpoint"},           {4, trap_of, "overflow"},
    {5, trap_br, "bound range"},          {6, trap_ud, "invalid opcode"},
    {7, trap_nm, "device not available"}, {8, trap_df, "double fault"},
    {10, trap_ts, "invalid TSS"},         {11, trap_np, "segment not present"},
    {12, trap_ss, "stack segment"},       {13, trap_gp, "general protection"},
    {14, trap_pf, "page fault"},          {16, trap_mf, "x87 error"},
    {17, trap_ac, "alignment"},           {18, trap_mc, "machine check"},
    {19, trap_xm, "SIMD error"},          {21, trap_cp, "control protection"},
};

static trap_fn *hooks[VECTORS];

void traps_init(void)
{
    static struct trap_info table[sizeof(traps) / sizeof(traps[0]) + 1]; /* ends with zeroes */

    for (size_t i = 0; i < ARRAY_SIZE(traps); i++)
        table[i] = (struct trap_info){
            .vector = traps[i].vector,
            .flags = TRAP_MASKS_EVENTS | (traps[i].vector == 3 || traps[i].vector == 4 ? 3 : 0),
            .cs = FLAT_KERNEL_CS,
            .address = (uintptr_t)traps[i].entry,
        };
    if (hypercall1(__HYPERVISOR_set_trap_table, (uintptr_t)table) != 0)
        panic("boot: set_trap_table refused");
}

void trap_hook(unsigned vector, trap_fn *fn)
{
    ASSERT(vector < VECTORS);
    hooks[vector] = fn;
}

uintptr_t trap_fault_address(void)
{
    return PCPU_READ(info.arch.cr2);
}

static const char *trap_name(uint64_t vector)
{
    for (size_t i = 0; i < ARRAY_SIZE(traps); i++)
        if (traps[i].vector == vector)
            return traps[i].name;
    return "failsafe callback";
}

/* Of a full stack we hear only while its pointer is still inside: else Xen finds no room for us. */
static NORETURN void page_fault(const struct regs *regs)
{
    uintptr_t va = trap_fault_address(), start, end;

    irq_save();
    panic_take_over(); /* nobody else changes what vmap knows, then */
    if (vmap_is_guard(va, &start, &end) && regs->rsp >= start - PAGE_SIZE && regs->rsp < end)
        panic_at(regs, "stack overflow of thread %s: %#lx is %s its stack %#lx-%#lx, from %#lx",
                 cpu_current() ? thread_name(cpu_current()) : "(boot)", va,
                 va < start ? "below" : "above", start, end, (unsigned long)regs->rip);
    panic_at(regs, "page fault: %s %#lx from %#lx",
             regs->error & 16  ? "executing"
             : regs->error & 2 ? "writing"
                               : "reading",
             va, (unsigned long)regs->rip);
}

void trap_handle(struct regs *regs)
{
    if (regs->vector < VECTORS && hooks[regs->vector] && hooks[regs->vector](regs))
        return;
    if (regs->vector == NMI_VECTOR && panic_stopped(regs))
        return;
    if (regs->vector == NMI_VECTOR) {
        /* With upcalls enabled, this CPU holds no lock: the log may take its own. */
        if (regs->rflags & RFLAGS_IF)
            log_warn("NMI at %#lx", (unsigned long)regs->rip);
        else
            log_postpone("NMI");
        return;
    }
    if (regs->vector == TRAP_PAGE_FAULT)
        page_fault(regs);
    panic_at(regs, "%s (vector %lu, error %#lx) at %#lx", trap_name(regs->vector),
             (unsigned long)regs->vector, (unsigned long)regs->error, (unsigned long)regs->rip);
}

/* Addresses within the calls, not behind them: after a call that never returns another function
 * may begin. */
static size_t follow(uintptr_t rbp, uintptr_t *pc, size_t max)
{
    size_t n = 0;

    while (n < max && rbp != 0 && IS_ALIGNED(rbp, 8) && mm_is_mapped(rbp) &&
           mm_is_mapped(rbp + 8)) {
        const uintptr_t *frame = (const uintptr_t *)rbp;

        if (frame[1] == 0)
            break;
        pc[n++] = frame[1] - 1;
        if (frame[0] <= rbp) /* callers lie higher on the same stack */
            break;
        rbp = frame[0];
    }
    return n;
}

size_t arch_backtrace(uintptr_t *pc, size_t max)
{
    return follow((uintptr_t)__builtin_frame_address(0), pc, max);
}

static bool is_code(uintptr_t va)
{
    return va >= (uintptr_t)image_text_start && va < (uintptr_t)image_text_end;
}

size_t backtrace_of(const struct regs *regs, uintptr_t *pc, size_t max)
{
    size_t n = 0;

    pc[n++] = regs->rip;
    /* Whoever called what is no code left his address on top of the stack, and no frame. */
    if (n < max && !is_code(regs->rip) && IS_ALIGNED(regs->rsp, 8) && mm_is_mapped(regs->rsp))
        pc[n++] = *(const uintptr_t *)regs->rsp - 1;
    return n + follow(regs->rbp, pc + n, max - n);
}

void regs_print(const struct regs *r)
{
    log_err("rip %016lx rsp %016lx rflags %08lx cpu %u", r->rip, r->rsp, r->rflags, cpu_id());
    log_err("rax %016lx rbx %016lx rcx %016lx rdx %016lx", r->rax, r->rbx, r->rcx, r->rdx);
    log_err("rsi %016lx rdi %016lx rbp %016lx r8  %016lx", r->rsi, r->rdi, r->rbp, r->r8);
    log_err("r9  %016lx r10 %016lx r11 %016lx r12 %016lx", r->r9, r->r10, r->r11, r->r12);
    log_err("r13 %016lx r14 %016lx r15 %016lx cr2 %016lx", r->r13, r->r14, r->r15,
            (unsigned long)trap_fault_address());
}
