/* SPDX-License-Identifier: BSD-2-Clause */
/* Boot-time side of mm.c, for setup.c only; the rest is <arch/page.h>. */
#ifndef ARCH_X86_MM_H
#define ARCH_X86_MM_H

#include <arch/boot.h>
#include <xen/xen.h>

/* Take over the builder's page tables: W^X over the image, p2m list for the static maximum; the
 * page allocator gets what the builder mapped and a promise of the rest. (first_unused): address
 * behind the builder's boot stack. Fills boot's nr_pages, max_pages and ramdisk. */
void mm_init(const struct start_info *si, uintptr_t first_unused, struct bootinfo *boot);

/* Direct-mapped address of one of our own machine frames. */
void *mfn_to_virt(uint64_t mfn);

/* For crash reports: no fault when (va) is read. */
bool mm_is_mapped(uintptr_t va);

/* For tests: call fn(va, entry, level, arg) for every entry, present or not, of every table that
 * is ours; (level) 4 is the top. Nothing may be mapped meanwhile. */
typedef void mm_entry_fn(uintptr_t va, uint64_t entry, unsigned level, void *arg);
void mm_for_each_entry(mm_entry_fn *fn, void *arg);

/* CR3 as the toolstack wants it with the p2m list. */
uint64_t mm_cr3(void);

#endif
