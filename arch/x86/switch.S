/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The part of a context switch that C cannot say: swap stacks with the callee-saved registers on them.
 *
 *      a thread that is not running:    %rsp ->  r15 r14 r13 r12 rbx rbp  return address
 */
        .text

/* void switch_stacks(void **save_rsp, void *load_rsp) */
        .globl switch_stacks
        .type switch_stacks, @function
switch_stacks:
        push    %rbp
        push    %rbx
        push    %r12
        push    %r13
        push    %r14
        push    %r15
        mov     %rsp, (%rdi)
        mov     %rsi, %rsp
        pop     %r15
        pop     %r14
        pop     %r13
        pop     %r12
        pop     %rbx
        pop     %rbp
        ret
        .size switch_stacks, . - switch_stacks

/* Where a new thread's first switch returns to: %rbx = entry, %r12 = its argument. */
        .globl thread_start
        .type thread_start, @function
thread_start:
        xor     %ebp, %ebp              /* backtraces end here */
        mov     %r12, %rdi
        call    *%rbx
        ud2
        .size thread_start, . - thread_start

        .section .note.GNU-stack, "", @progbits
