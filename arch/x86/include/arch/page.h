/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * THE CONTRACT, memory: page frames and mappings. A pfn counts the domain's own memory from 0;
 * the machine's number for the same page (for grants and hypercalls) is its gframe.
 * RAM that was handed to the page allocator lies in the direct map, the rest comes when it asks;
 * pages elsewhere (stacks, windows) are mapped by arch_map.
 * Address space: see the drawing in arch/x86/include/arch/layout.h.
 */
#ifndef ARCH_PAGE_H
#define ARCH_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <arch/layout.h>
#include "lib/base/macros.h"

#define PAGE_SHIFT 12
#define PAGE_SIZE 4096UL

typedef uint64_t pfn_t;
typedef uint64_t gframe_t;

#define PFN_INVALID (~(pfn_t)0)

/* What a mapping allows. Nothing is both writable and executable. */
enum prot { PROT_R, PROT_RW, PROT_RX };

/* Direct map: an address to use for pages that the page allocator gave. Any context. */
static inline void *pfn_to_virt(pfn_t pfn)
{
    return (void *)(DIRECT_MAP_BASE + (uintptr_t)pfn * PAGE_SIZE);
}

static inline pfn_t virt_to_pfn(const void *va)
{
    return ((uintptr_t)va - DIRECT_MAP_BASE) >> PAGE_SHIFT;
}

/* The machine's number of the direct-mapped page that holds (va). Any context. */
gframe_t virt_to_gframe(const void *va);

/* Map (n) own pages at (va), page aligned and outside the direct map; page-table pages come
 * from page_alloc. 0 or -ENOMEM (nothing mapped then). Any context but event handlers. */
int arch_map(uintptr_t va, const pfn_t *pfns, size_t n, enum prot prot) MUST_CHECK;

/* The same for frames that are not our RAM: grant-table frames, shared info, foreign pages. */
int arch_map_gframes(uintptr_t va, const gframe_t *frames, size_t n, enum prot prot) MUST_CHECK;

/* Remove (n) mappings, present or not, and flush every CPU's TLB. */
void arch_unmap(uintptr_t va, size_t n);

/* Change what (n) present mappings allow (direct map included) and flush. */
int arch_protect(uintptr_t va, size_t n, enum prot prot) MUST_CHECK;

/* Physical page behind a mapped (va) outside the direct map, or PFN_INVALID. */
pfn_t arch_mapped_pfn(uintptr_t va);

#endif
