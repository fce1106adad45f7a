/* SPDX-License-Identifier: BSD-2-Clause */
/* What a context switch keeps of a thread outside its stack. */
#ifndef ARCH_THREAD_IMPL_H
#define ARCH_THREAD_IMPL_H

#include <stdbool.h>
#include <stdint.h>

struct arch_thread {
    void *rsp;     /* callee-saved registers lie there */
    uintptr_t tls; /* FS base */
    void *fpu;     /* XSAVE or FXSAVE area */
    bool fpu_full; /* the area holds everything (preempted), else only the two words do */
    uint16_t x87_cw;
    uint32_t mxcsr;
};

#endif
