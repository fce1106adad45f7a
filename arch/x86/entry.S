/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every way in from Xen, and the way back, which needs no Xen.
 *
 * Xen pushes onto the current stack, aligned down to 16:        entry.S makes of it struct regs:
 *
 *      %rsp ->  rcx                                              %rsp ->  r15 .. rdi (15)
 *               r11                                                       vector
 *              [error code]                                               error code or 0
 *               rip  cs  rflags  rsp  ss                                  rip  cs  rflags  rsp  ss
 *
 * which keeps %rsp 16-aligned at the calls into C. rflags.IF in the frame is the upcall mask to restore.
 *
 * A frame is taken back by IRETQ: a PV kernel returns from ring 3 to ring 3, and the processor leaves IF
 * alone there. What remains of the iret hypercall's work is the mask. It is lifted in the return window, when
 * all registers but those of the frame are the interrupted code's again:
 *
 * E1 Nothing stays pending: what came under the mask is looked for after lifting it, what comes later Xen delivers.
 * E2 An event in the window takes the place of the frame that was being returned to: its registers are moved up to
 *    that frame, and its own frame is forgotten. So no storm lets the stack grow. That frame may be of an exception in
 *    another window, and then it is forgotten as well.
 * E3 An NMI returns by the hypercall, which lets Xen send the next one.
 */
#define __ASSEMBLY__ /* for Xen's headers, some of which know no other name */
#include <arch/cpu_impl.h>
#include <arch/regs.h>
#include <xen/xen.h>

#define EVENT_VECTOR 256
#define NMI_VECTOR 257
#define FAILSAFE_VECTOR 258

.macro SAVE_REGS
        push    %rdi
        push    %rsi
        push    %rdx
        push    %rcx
        push    %rax
        push    %r8
        push    %r9
        push    %r10
        push    %r11
        push    %rbx
        push    %rbp
        push    %r12
        push    %r13
        push    %r14
        push    %r15
        cld
.endm

.macro LOAD_REGS
        pop     %r15
        pop     %r14
        pop     %r13
        pop     %r12
        pop     %rbp
        pop     %rbx
        pop     %r11
        pop     %r10
        pop     %r9
        pop     %r8
        pop     %rax
        pop     %rcx
        pop     %rdx
        pop     %rsi
        pop     %rdi
        add     $16, %rsp               /* vector, error code */
.endm

        .text

/* %rsp at a struct regs: interrupted code goes on, mask as it was. */
        .type regs_return, @function
regs_return:
        LOAD_REGS
        orb     $3, 8(%rsp)             /* cs: Xen calls it ring 0's, since it is the kernel's */
        testb   $2, 17(%rsp)            /* rflags.IF */
        jz      1f
        .globl return_window, return_window_end
return_window:
        movb    $0, %gs:PCPU_UPCALL_MASK
        cmpb    $0, %gs:PCPU_UPCALL_PENDING
        jne     2f
1:      iretq
2:      movb    $1, %gs:PCPU_UPCALL_MASK
return_window_end:
        push    $0                      /* as though Xen had told of it */
        push    $EVENT_VECTOR
        jmp     event_common
        .size regs_return, . - regs_return

/* The same after an NMI (E3). */
        .type regs_return_by_xen, @function
regs_return_by_xen:
        LOAD_REGS
        push    $0                      /* struct iret_context: flags, rcx, r11, rax */
        push    %rcx
        push    %r11
        push    %rax
        mov     $__HYPERVISOR_iret, %eax
        syscall
        ud2
        .size regs_return_by_xen, . - regs_return_by_xen

/* Exceptions: on the stack of the interrupted code, events masked (trap table flag). */
        .type exception_common, @function
exception_common:
        SAVE_REGS
        mov     %rsp, %rdi
        call    trap_handle             /* void trap_handle(struct regs *) */
        cmpl    $NMI_VECTOR, REGS_VECTOR(%rsp)
        je      regs_return_by_xen
        jmp     regs_return
        .size exception_common, . - exception_common

.macro EXCEPTION name:req, vector:req, has_error=0
        .globl \name
        .type \name, @function
\name:
        pop     %rcx
        pop     %r11
        .if !\has_error
        push    $0
        .endif
        push    $\vector
        jmp     exception_common
        .size \name, . - \name
.endm

        EXCEPTION trap_de, 0
        EXCEPTION trap_db, 1
        EXCEPTION trap_bp, 3
        EXCEPTION trap_of, 4
        EXCEPTION trap_br, 5
        EXCEPTION trap_ud, 6
        EXCEPTION trap_nm, 7
        EXCEPTION trap_df, 8, 1
        EXCEPTION trap_ts, 10, 1
        EXCEPTION trap_np, 11, 1
        EXCEPTION trap_ss, 12, 1
        EXCEPTION trap_gp, 13, 1
        EXCEPTION trap_pf, 14, 1
        EXCEPTION trap_mf, 16
        EXCEPTION trap_ac, 17, 1
        EXCEPTION trap_mc, 18
        EXCEPTION trap_xm, 19
        EXCEPTION trap_cp, 21, 1
        EXCEPTION nmi_entry, NMI_VECTOR

/* A bad segment or iret frame found by Xen on the way back to us: ds es fs gs lie below rcx. */
        .globl failsafe_entry
        .type failsafe_entry, @function
failsafe_entry:
        add     $32, %rsp
        pop     %rcx
        pop     %r11
        push    $0
        push    $FAILSAFE_VECTOR
        jmp     exception_common
        .size failsafe_entry, . - failsafe_entry

/*
 * The event upcall; Xen has masked further ones. Handlers run on this CPU's event stack, so that a
 * thread's stack need not hold them; a thread is preempted only after we are back on its own.
 */
        .globl event_entry
        .type event_entry, @function
event_entry:
        pop     %rcx
        pop     %r11
        push    $0
        push    $EVENT_VECTOR
event_common:
        SAVE_REGS
        mov     %rsp, %rbx
        mov     %gs:PCPU_EVENT_STACK, %rsp
        lea     return_window(%rip), %rax
join_if_in_window:
        mov     REGS_RIP(%rbx), %rcx
        sub     %rax, %rcx
        cmp     $return_window_end - return_window, %rcx
        jb      join_frames
        movb    $1, %gs:PCPU_IN_EVENT
        call    evtchn_dispatch
        movb    $0, %gs:PCPU_IN_EVENT
        mov     %rbx, %rsp
        cmpl    $0, %gs:PCPU_PREEMPT
        jne     regs_return
        cmpb    $0, %gs:PCPU_RESCHED
        je      regs_return
        call    sched_preempt
        jmp     regs_return

/* Of %rbx, all below rip goes up to the frame that was being returned to (E2); last word first, they may overlap. */
join_frames:
        lea     REGS_RIP - 8(%rbx), %rsi
        mov     REGS_RSP(%rbx), %rdi
        sub     $8, %rdi
        mov     $REGS_RIP / 8, %ecx
        std
        rep movsq
        cld
        lea     8(%rdi), %rbx
        jmp     join_if_in_window
        .size event_entry, . - event_entry

        .section .note.GNU-stack, "", @progbits
