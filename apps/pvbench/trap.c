/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Exceptions: Xen sees them first and bounces those of a guest to the guest's own entry; the way
 * back needs no Xen.
 *
 *   trap.breakpoint   int3 -> our handler -> behind the int3
 *   trap.page_fault   a read where nothing is mapped -> our handler -> behind the read, in all;
 *     .entry            up to the handler's first line (Xen's part, and saving registers)
 *     .return           from its last line on
 *   trap.iret         the iret hypercall alone: on from a frame that we made, to the next
 *                     instruction
 *   trap.iretq        the same frame taken by the processor's own instruction, as our kernel's
 *                     entry.S does: the difference is what it saves
 */
#include <stdint.h>
#include <arch/hypercall.h>
#include <arch/trap.h>
#include <xen/xen.h>
#include "apps/pvbench/handler.h"
#include "apps/pvbench/probes.h"

#define NOWHERE 0x800UL /* in the null page, which is never mapped */

static volatile uint64_t entered, left;

HANDLER static bool on_breakpoint(struct regs *regs)
{
    (void)regs; /* rip is behind the instruction already */
    return true;
}

static void run_breakpoint(struct run *r)
{
    trap_hook(TRAP_BREAKPOINT, on_breakpoint);
    while (run_more(r)) {
        uint64_t begin = stamp();

        __asm__ volatile("int3" : : : "memory");
        run_sample(r, 0, begin, stamp());
    }
    trap_hook(TRAP_BREAKPOINT, NULL);
}

/* The instruction that may fault, and where to go on. */
extern const char pvbench_fault[], pvbench_fault_end[];

__attribute__((noinline)) static void fault_once(void)
{
    __asm__ volatile(".globl pvbench_fault, pvbench_fault_end\n"
                     "pvbench_fault: mov (%0), %%eax\n"
                     "pvbench_fault_end:"
                     :
                     : "r"(NOWHERE)
                     : "rax", "memory");
}

HANDLER static bool on_page_fault(struct regs *regs)
{
    entered = stamp();
    if (regs->rip != (uintptr_t)pvbench_fault)
        return false;
    regs->rip = (uintptr_t)pvbench_fault_end;
    left = stamp();
    return true;
}

static void run_page_fault(struct run *r)
{
    trap_hook(TRAP_PAGE_FAULT, on_page_fault);
    while (run_more(r)) {
        uint64_t begin = stamp(), end;

        fault_once();
        end = stamp();
        run_sample(r, 0, begin, end);
        run_sample(r, 1, begin, entered);
        run_sample(r, 2, left, end);
    }
    trap_hook(TRAP_PAGE_FAULT, NULL);
}

/* Both frames: ss, rsp, rflags, cs, rip. To Xen a code segment of ring 0 is the guest kernel's. */
#define FRAME(code_segment)               \
    "mov %%rsp, %%r8; mov %%ss, %%eax\n"  \
    "push %%rax; push %%r8; pushfq\n"     \
    "mov %%cs, %%eax\n" code_segment "\n" \
    "push %%rax; lea 1f(%%rip), %%rax; push %%rax\n"

static inline void iret_by_xen(void)
{
    __asm__ volatile(FRAME("and $~3, %%eax") "push $0; push %%rcx; push %%r11; push %%rax\n"
                                             "mov %0, %%eax; syscall\n"
                                             "1:"
                     :
                     : "i"(__HYPERVISOR_iret)
                     : "rax", "rcx", "r8", "r11", "memory", "cc");
}

static inline void iret_by_cpu(void)
{
    __asm__ volatile(FRAME("") "iretq\n1:" : : : "rax", "r8", "memory", "cc");
}

static void run_iret(struct run *r)
{
    while (run_more(r)) {
        uint64_t begin = stamp();

        iret_by_xen();
        run_sample(r, 0, begin, stamp());
    }
}

static void run_iretq(struct run *r)
{
    while (run_more(r)) {
        uint64_t begin = stamp();

        iret_by_cpu();
        run_sample(r, 0, begin, stamp());
    }
}

const struct probe trap_probes[] = {
    PROBE(run_breakpoint, 0, NULL, NS("trap.breakpoint")),
    PROBE(run_page_fault, 0, NULL, NS("trap.page_fault"), NS("trap.page_fault.entry"),
          NS("trap.page_fault.return")),
    PROBE(run_iret, 0, NULL, NS("trap.iret")),
    PROBE(run_iretq, 0, NULL, NS("trap.iretq")),
};
PROBES_END(trap_probes);
