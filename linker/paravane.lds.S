/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One image: text R-X, read-only data R--, data RW-, each on pages of its own, from the bottom of
 * the direct map (pfn 0). Physical addresses count from 0, so that PADDR_OFFSET 0 is right. In the
 * file nothing is on pages: domain builders copy segments, and padding would be a tenth of a small
 * image (-z max-page-size; .bss, which is aligned to more, is a segment of its own for that).
 */
#include <arch/layout.h>

OUTPUT_FORMAT(elf64-x86-64)
OUTPUT_ARCH(i386:x86-64)
ENTRY(_start)

PHDRS
{
    text PT_LOAD FLAGS(5);
    rodata PT_LOAD FLAGS(4);
    data PT_LOAD FLAGS(6);
    tls PT_TLS FLAGS(4);
    bss PT_LOAD FLAGS(6);
    note PT_NOTE FLAGS(4);
}

#define SECTION(name) name : AT(ADDR(name) - DIRECT_MAP_BASE)

SECTIONS
{
    . = DIRECT_MAP_BASE;
    image_text_start = .;
    SECTION(.text) {
        *(.text.start)
        *(.text.unlikely .text.unlikely.* .text.hot .text.hot.* .text .text.*)
    } :text = 0x90
    . = ALIGN(4096);
    image_text_end = .;

    SECTION(.note.Xen) { KEEP(*(.note.Xen)) } :rodata :note
    SECTION(.rodata) {
        *(.rodata .rodata.*)
        *(.eh_frame .eh_frame.* .gcc_except_table*)
    } :rodata
    /* Runs before and after main (lib/libc). */
    SECTION(.init_array) {
        __init_array_start = .;
        KEEP(*(SORT_BY_INIT_PRIORITY(.init_array.*)))
        KEEP(*(.init_array))
        __init_array_end = .;
        __fini_array_start = .;
        KEEP(*(SORT_BY_INIT_PRIORITY(.fini_array.*)))
        KEEP(*(.fini_array))
        __fini_array_end = .;
    } :rodata
    /* The image from which every thread's TLS block is made. */
    SECTION(.tdata) {
        __tls_start = .;
        *(.tdata .tdata.*)
        __tls_file_end = .;
    } :rodata :tls
    .tbss : { *(.tbss .tbss.*) } :rodata :tls
    __tls_end = ADDR(.tbss) + SIZEOF(.tbss);
    __tls_align = MAX(ALIGNOF(.tdata), ALIGNOF(.tbss));
    . = ALIGN(4096);
    image_rodata_end = .;

    SECTION(.data) { *(.data .data.*) } :data
    SECTION(.got) { *(.got .got.plt .igot .igot.plt) } :data
    SECTION(.bss) {
        *(.bss.stacks)
        *(.bss .bss.* COMMON)
    } :bss
    image_end = .;

    .comment 0 : { *(.comment) } :NONE
    .debug_info 0 : { *(.debug_info) }
    .debug_abbrev 0 : { *(.debug_abbrev) }
    .debug_aranges 0 : { *(.debug_aranges) }
    .debug_line 0 : { *(.debug_line) }
    .debug_line_str 0 : { *(.debug_line_str) }
    .debug_str 0 : { *(.debug_str) }
    .debug_str_offsets 0 : { *(.debug_str_offsets) }
    .debug_addr 0 : { *(.debug_addr) }
    .debug_loc 0 : { *(.debug_loc) }
    .debug_loclists 0 : { *(.debug_loclists) }
    .debug_ranges 0 : { *(.debug_ranges) }
    .debug_rnglists 0 : { *(.debug_rnglists) }
    .debug_frame 0 : { *(.debug_frame) }
    .symtab 0 : { *(.symtab) }
    .strtab 0 : { *(.strtab) }
    .shstrtab 0 : { *(.shstrtab) }

    /* What the linker makes for dynamic linking; nobody would apply it. */
    .rela : { *(.rela.*) }
    .plt : { *(.plt .iplt) }

    /DISCARD/ : { *(.note.GNU-stack .note.gnu.* .llvm_addrsig .llvm.*) }
}

ASSERT(_start == DIRECT_MAP_BASE, "the entry point is the first byte")
ASSERT(SIZEOF(.rela) == 0 && SIZEOF(.plt) == 0, "no relocations are left for run time")
ASSERT(image_end < 0x80000000, "the small code model reaches 2 GiB")
