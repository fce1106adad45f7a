/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The registers of interrupted code, as entry.S lays them on its stack; shared by C and assembly.
 */
#ifndef ARCH_REGS_H
#define ARCH_REGS_H

#define REGS_VECTOR 120
#define REGS_RIP 136
#define REGS_RSP 160
#define REGS_SIZE 176

#ifndef __ASSEMBLER__
#include <stddef.h>
#include <stdint.h>

struct regs {
    uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
    uint64_t vector, error;
    uint64_t rip, cs, rflags, rsp, ss; /* pushed by Xen */
};

_Static_assert(offsetof(struct regs, vector) == REGS_VECTOR, "entry.S");
_Static_assert(offsetof(struct regs, rip) == REGS_RIP, "entry.S");
_Static_assert(offsetof(struct regs, rsp) == REGS_RSP, "entry.S");
_Static_assert(sizeof(struct regs) == REGS_SIZE, "entry.S");
#endif

#endif
