/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Page frames of the direct map: a buddy allocator. Each page of RAM has a struct page in
 * the memmap window, also for the heap's own notes. The architecture maps the memmap, zeroed,
 * before it hands pages over: for all of every aligned 2^PAGE_ORDER_MAX pages of which it hands
 * one over.
 */
#ifndef KERNEL_PAGE_H
#define KERNEL_PAGE_H

#include <arch/page.h>
#include "lib/base/list.h"

enum page_state {
    PAGE_NONE, /* never handed over, or inside a block that starts elsewhere */
    PAGE_FREE,
    PAGE_USED,
    PAGE_CACHED, /* free, and kept by a CPU */
    PAGE_SLAB,   /* the heap's: small objects */
    PAGE_LARGE,  /* the heap's: start of one large object */
};

struct page {
    struct list link; /* free list, or the owner's */
    uint8_t state;    /* enum page_state */
    uint8_t order;    /* of the free block or allocation that starts here */
    uint16_t note;    /* the heap's */
    uint32_t used;    /* the heap's */
    void *owner;      /* the heap's */
};

#define PAGE_ORDER_MAX 9 /* 2 MiB */

/* Hand RAM pages [first, first + n) to the allocator; their struct pages are mapped. */
void page_add(pfn_t first, size_t n);

/* kernel/cpus.c: before (cpu) runs for the first time: 0 or -ENOMEM. When it does not run any more:
 * page_trim. */
int page_cpu_init(unsigned cpu) MUST_CHECK;
/* Nobody keeps free pages for itself, at this moment. Any context. */
void page_trim(void);

/* More pages will come when an allocation finds too little; until then they count as free. */
struct page_promise {
    /* Hand some of them over; false: there are none. Any context, no lock of this module held. */
    bool (*fetch)(void);
    size_t pages, tables; /* how many; what mapping them will take of them */
};
void page_promise(const struct page_promise *p);

/* One page, or 2^order physically-contiguous-in-pfn pages, aligned to their size; contents
 * undefined. NULL when memory is out. Any context (upcalls are masked inside). */
void *page_alloc(void) MUST_CHECK;
void *page_alloc_order(unsigned order) MUST_CHECK;
void *page_alloc_zeroed(void) MUST_CHECK;
void page_free(void *page);
void page_free_order(void *page, unsigned order);

/* From now on each page of what page_alloc_order(order) gave is freed on its own. */
void page_split(void *block, unsigned order);

/* As page_alloc, of what is here now: nothing is fetched or asked back. For (fetch) itself. */
void *page_alloc_now(void) MUST_CHECK;

/* (n) pages side by side, n <= 2^PAGE_ORDER_MAX, aligned to the next power of two of their size;
 * nothing is lost to rounding. */
void *page_alloc_run(size_t n) MUST_CHECK;
void page_free_run(void *first, size_t n);

/* Call (fn) once when an allocation finds no memory and none is to come, and try again after it. It
 * runs without locks in the context of whoever allocates; one user (the heap). */
void page_on_shortage(void (*fn)(void));

struct page *page_of(const void *va);

/* Pages free, and all; with those to come. */
size_t page_count_free(void);
size_t page_count_total(void);

#endif
