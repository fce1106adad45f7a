/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hypercalls without anything of ours around them: the floor that the kernel's own are compared
 * with, and those that no program needs but a measurement. Xen's result as it is.
 */
#ifndef PVBENCH_BARE_H
#define PVBENCH_BARE_H

#include <stdint.h>
#include <xen/xen.h>

/* A number that no Xen knows: -ENOSYS from the dispatcher (the table has 64 places). */
#define BARE_UNKNOWN 63

static inline long bare4(unsigned long nr, unsigned long a1, unsigned long a2, unsigned long a3,
                         unsigned long a4)
{
    register unsigned long r10 __asm__("r10") = a4;

    __asm__ volatile("syscall"
                     : "+a"(nr), "+D"(a1), "+S"(a2), "+d"(a3), "+r"(r10)
                     :
                     : "rcx", "r11", "r8", "memory");
    return (long)nr;
}

static inline long bare2(unsigned long nr, unsigned long a1, unsigned long a2)
{
    return bare4(nr, a1, a2, 0, 0);
}

#endif
