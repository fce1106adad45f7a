/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Entries of our own page tables, found as the processor finds them, to hand to hypercalls under
 * measurement. The kernel's own code for this (arch/x86/mm.c) does more than a probe wants to time;
 * what is changed here are entries of pages that the probe allocated and nobody else knows.
 */
#ifndef PVBENCH_TABLES_H
#define PVBENCH_TABLES_H

#include <stdint.h>

#define ENTRY_PRESENT 0x001UL
#define ENTRY_WRITE 0x002UL
#define ENTRY_FRAME 0x000ffffffffff000UL

/* The last-level entry for (va), whose tables exist; *machine is its machine address. */
const uint64_t *entry_of(uintptr_t va, uint64_t *machine);

#endif
