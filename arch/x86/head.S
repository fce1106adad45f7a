/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where Xen enters: the ELF notes that the domain builder reads, our own stack, one call.
 * Entry state (xen/arch-x86/xen-x86_64.h): flat segments, upcalls masked, %rsi = start_info, %rsp at
 * the end of the builder's one-page boot stack (the first page that nobody uses any more).
 */
#include <arch/layout.h>
#include <xen/elfnote.h>
#include <xen/features.h>

#define PAGE_PRESENT 1

.macro ELFNOTE type:req, desc:vararg
        .pushsection .note.Xen, "a", @note
        .balign 4
        .long 4, 8f - 7f, \type         /* name size, desc size, type */
        .asciz "Xen"
7:      \desc
8:      .balign 4
        .popsection
.endm

ELFNOTE XEN_ELFNOTE_ENTRY,              .quad _start
ELFNOTE XEN_ELFNOTE_VIRT_BASE,          .quad DIRECT_MAP_BASE
ELFNOTE XEN_ELFNOTE_PADDR_OFFSET,       .quad 0
ELFNOTE XEN_ELFNOTE_INIT_P2M,           .quad P2M_BASE
ELFNOTE XEN_ELFNOTE_MOD_START_PFN,      .long 1
ELFNOTE XEN_ELFNOTE_L1_MFN_VALID,       .quad PAGE_PRESENT, PAGE_PRESENT
ELFNOTE XEN_ELFNOTE_HV_START_LOW,       .quad 0xffff800000000000
ELFNOTE XEN_ELFNOTE_XEN_VERSION,        .asciz "xen-3.0"
ELFNOTE XEN_ELFNOTE_GUEST_OS,           .asciz "Paravane"
ELFNOTE XEN_ELFNOTE_GUEST_VERSION,      .asciz PARAVANE_VERSION
ELFNOTE XEN_ELFNOTE_LOADER,             .asciz "generic"
ELFNOTE XEN_ELFNOTE_PAE_MODE,           .asciz "yes"
ELFNOTE XEN_ELFNOTE_SUSPEND_CANCEL,     .long 1
/* What the kernel can live with; Xen builds a dom0 only from one that has the dom0 bit. */
ELFNOTE XEN_ELFNOTE_SUPPORTED_FEATURES, .long (1 << XENFEAT_dom0) | (1 << XENFEAT_mmu_pt_update_preserve_ad)

        .section .text.start, "ax"
        .globl _start
        .type _start, @function
_start:
        cld
        mov     %rsp, %rdx              /* end of the builder's stack */
        lea     boot_stack_top(%rip), %rsp
        xor     %ebp, %ebp              /* backtraces end here */
        mov     %rsi, %rdi              /* struct start_info * */
        mov     %rdx, %rsi
        call    arch_start
        ud2
        .size _start, . - _start

/* Stacks that exist before the allocator: guard page below each (arch_setup unmaps it). */
        .section .bss.stacks, "aw", @nobits
        .balign 4096
        .globl boot_stack_guard, boot_stack_top, event_stack_guard, event_stack_top
boot_stack_guard:
        .skip   4096
        .skip   16384
boot_stack_top:
event_stack_guard:
        .skip   4096
        .skip   8192
event_stack_top:

        .section .note.GNU-stack, "", @progbits
