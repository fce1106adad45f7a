/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Raw hypercalls by SYSCALL, never through the hypercall page (XSA-466). Number in %rax, arguments
 * in %rdi %rsi %rdx %r10 %r8; %rcx and %r11 are lost, and a debug Xen poisons the argument
 * registers. Only arch/x86 uses these.
 */
#ifndef ARCH_X86_XENABI_H
#define ARCH_X86_XENABI_H

#include <stdint.h>
#include <xen/xen.h>
#include <arch/cpu_impl.h>

/* An operand of each call, which makes the compiler build the frame first: a CPU that waits in the
 * hypervisor is found with its caller in the backtrace. */
register unsigned long stack_pointer __asm__("rsp");

/* One instruction; the per-CPU block must be in place. */
static inline void count_hypercall(void)
{
    __asm__ volatile("incq %%gs:%c0" : : "i"(offsetof(struct pcpu, hypercalls)) : "memory", "cc");
}

static inline long hypercall5(unsigned nr, unsigned long a1, unsigned long a2, unsigned long a3,
                              unsigned long a4, unsigned long a5)
{
    long ret = nr;
    register unsigned long r10 __asm__("r10") = a4;
    register unsigned long r8 __asm__("r8") = a5;

    count_hypercall();
    __asm__ volatile("syscall"
                     : "+a"(ret), "+D"(a1), "+S"(a2), "+d"(a3), "+r"(r10), "+r"(r8),
                       "+r"(stack_pointer)
                     :
                     : "rcx", "r11", "memory");
    return ret;
}

static inline long hypercall4(unsigned nr, unsigned long a1, unsigned long a2, unsigned long a3,
                              unsigned long a4)
{
    long ret = nr;
    register unsigned long r10 __asm__("r10") = a4;

    count_hypercall();
    __asm__ volatile("syscall"
                     : "+a"(ret), "+D"(a1), "+S"(a2), "+d"(a3), "+r"(r10), "+r"(stack_pointer)
                     :
                     : "rcx", "r11", "r8", "memory");
    return ret;
}

static inline long hypercall3(unsigned nr, unsigned long a1, unsigned long a2, unsigned long a3)
{
    long ret = nr;

    count_hypercall();
    __asm__ volatile("syscall"
                     : "+a"(ret), "+D"(a1), "+S"(a2), "+d"(a3), "+r"(stack_pointer)
                     :
                     : "rcx", "r8", "r10", "r11", "memory");
    return ret;
}

static inline long hypercall2(unsigned nr, unsigned long a1, unsigned long a2)
{
    return hypercall3(nr, a1, a2, 0);
}

static inline long hypercall1(unsigned nr, unsigned long a1)
{
    return hypercall3(nr, a1, 0, 0);
}

/* A negative result of Xen (Linux's numbers) as ours; others unchanged. */
long errno_from_xen(long result);

#endif
