/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The address space, decided once.
 *
 *   0x0000000000000000  null guard, nothing mapped
 *   0x0000000008000000  P2M: the pfn -> machine frame list, 8 bytes a page. The domain builder puts
 *                       the boot list here (INIT_P2M, below the direct map or libxc ignores it); we
 *                       extend it to the static maximum in place. 898 MiB = 449 GiB of RAM
 *   0x0000000040200000  DIRECT MAP: DIRECT_MAP_BASE + pfn * 4096. The image is its first part
 *                       (small code model: below 2 GiB); it goes on up to 511 GiB of RAM. The
 *                       odd 2 MiB are on purpose: the builder maps up to a multiple of 4 MiB, so
 *                       a small image needs only 2 MiB of memory mapped before it starts
 *   0x0000008000000000  MEMMAP: struct page of every page of RAM
 *   0x0000010000000000  VMAP:   demand-mapped area: thread stacks, large allocations
 *   0x0000018000000000  WINDOW: shared info, grant-table frames, foreign pages
 *   0x0000020000000000  end of what we use; Xen owns 0xffff8000_00000000 .. 0xffff8800_00000000
 *
 * Each region has L4 slots of 512 GiB to itself (p2m and direct map share the first).
 */
#ifndef ARCH_LAYOUT_H
#define ARCH_LAYOUT_H

#ifdef __ASSEMBLER__
#define LAYOUT_UL(x) x
#else
#define LAYOUT_UL(x) x##UL
#endif

#define P2M_BASE LAYOUT_UL(0x0000000008000000)
#define DIRECT_MAP_BASE LAYOUT_UL(0x0000000040200000)
#define MEMMAP_BASE LAYOUT_UL(0x0000008000000000)
#define VMAP_BASE LAYOUT_UL(0x0000010000000000)
#define VMAP_END LAYOUT_UL(0x0000018000000000)
#define WINDOW_BASE LAYOUT_UL(0x0000018000000000)
#define WINDOW_END LAYOUT_UL(0x0000020000000000)

/* Fixed places in the window. */
#define WINDOW_SHARED_INFO WINDOW_BASE
#define WINDOW_GRANT_TABLE (WINDOW_BASE + LAYOUT_UL(0x0000000010000000))

#endif
