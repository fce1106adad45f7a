/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * setjmp and longjmp: what the System V ABI says a callee preserves, that is six registers, the
 * stack, and the control parts of MXCSR and the x87 control word.
 *
 * newlib's jmp_buf is 64 bytes, exactly eight registers. Code lies below 4 GiB (small code model),
 * so the return address needs four bytes, and the control words get the other four:
 *
 *    0 rbx    8 rbp   16 r12   24 r13   32 r14   40 r15   48 rsp
 *   56 rip (32 bits)  60 MXCSR (16 bits: the others are reserved)  62 x87 control word (16 bits)
 *
 * Exception flags are not part of what setjmp saves (C11 7.13): longjmp keeps those of now.
 */

#define MXCSR_FLAGS 0x3f

        .text

        /* int setjmp(jmp_buf env) */
        .globl  setjmp
        .type   setjmp, @function
setjmp:
        movq    %rbx, 0(%rdi)
        movq    %rbp, 8(%rdi)
        movq    %r12, 16(%rdi)
        movq    %r13, 24(%rdi)
        movq    %r14, 32(%rdi)
        movq    %r15, 40(%rdi)
        leaq    8(%rsp), %rax           /* the stack as it is after our return */
        movq    %rax, 48(%rdi)
        movl    (%rsp), %eax
        movl    %eax, 56(%rdi)
        stmxcsr 60(%rdi)                /* four bytes, the upper two are 0 ... */
        fnstcw  62(%rdi)                /* ... and get the x87 word */
        xorl    %eax, %eax
        ret
        .size   setjmp, . - setjmp

        /* void longjmp(jmp_buf env, int value): setjmp returns (value), or 1 for 0 */
        .globl  longjmp
        .type   longjmp, @function
longjmp:
        subq    $8, %rsp
        stmxcsr (%rsp)
        movl    (%rsp), %eax
        andl    $MXCSR_FLAGS, %eax
        movzwl  60(%rdi), %ecx
        andl    $~MXCSR_FLAGS, %ecx
        orl     %ecx, %eax
        movl    %eax, (%rsp)
        ldmxcsr (%rsp)
        fldcw   62(%rdi)
        movl    %esi, %eax
        cmpl    $1, %eax
        adcl    $0, %eax                /* 0 becomes 1 */
        movq    0(%rdi), %rbx
        movq    8(%rdi), %rbp
        movq    16(%rdi), %r12
        movq    24(%rdi), %r13
        movq    32(%rdi), %r14
        movq    40(%rdi), %r15
        movq    48(%rdi), %rsp
        movl    56(%rdi), %edx
        jmp     *%rdx
        .size   longjmp, . - longjmp

        .section .note.GNU-stack, "", @progbits
