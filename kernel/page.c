/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A buddy allocator. A free block of order n is 2^n pages, aligned to its size; its first page
 * has state PAGE_FREE, the block's order, and is on the list of that order. Every other page
 * inside a block, free or used, has state PAGE_NONE. Two free buddies never exist: freeing a block
 * merges it with its buddy as long as that one is free too.
 *
 * I1 A page on a free list is PAGE_FREE, and only those are.
 * I2 The first page of what was allocated is PAGE_USED with its order (the heap changes the
 *    state while it owns the page). So freeing twice, freeing a piece and freeing what was never
 *    handed over are caught by one look at the struct page.
 * I3 Lists, and states from and to PAGE_FREE, change under the one lock, which is held for a few
 *    list operations. An owner may change the state of its page at any time (I2), so looking at a
 *    buddy's state is an atomic load: whatever it finds, it is PAGE_FREE only if it is free.
 */
#include "kernel/page.h"

#include "kernel/spinlock.h"
#include "lib/base/assert.h"
#include "lib/base/string.h"

#define ORDERS (PAGE_ORDER_MAX + 1)

static struct spinlock lock = SPINLOCK_INIT;
static struct list free_lists[ORDERS];
static uint32_t nonempty; /* bit n: free_lists[n] has a block */
static pfn_t lowest = PFN_INVALID, highest;
static size_t nr_free, nr_total;
static void (*shortage)(void);
static const struct page_promise *promise = &(const struct page_promise){NULL, 0, 0};

static struct page *page_at(pfn_t pfn)
{
    return (struct page *)MEMMAP_BASE + pfn;
}

static pfn_t pfn_of(const struct page *p)
{
    return (pfn_t)(p - (struct page *)MEMMAP_BASE);
}

struct page *page_of(const void *va)
{
    return page_at(virt_to_pfn(va));
}

static void list_add_block(pfn_t pfn, unsigned order)
{
    struct page *p = page_at(pfn);

    p->state = PAGE_FREE;
    p->order = (uint8_t)order;
    list_push_front(&free_lists[order], &p->link);
    nonempty |= 1U << order;
}

static void list_remove_block(struct page *p)
{
    p->state = PAGE_NONE;
    list_remove(&p->link);
    if (list_empty(&free_lists[p->order]))
        nonempty &= ~(1U << p->order);
}

/* The free buddy of block (pfn), or NULL. */
static struct page *free_buddy(pfn_t pfn, unsigned order)
{
    pfn_t buddy = pfn ^ ((pfn_t)1 << order);
    struct page *p = page_at(buddy);

    if (buddy < lowest || buddy >= highest || load_relaxed(&p->state) != PAGE_FREE) /* I3 */
        return NULL;
    return p->order == order ? p : NULL;
}

static void free_block(pfn_t pfn, unsigned order)
{
    struct page *buddy;

    nr_free += (size_t)1 << order;
    while (order < PAGE_ORDER_MAX && (buddy = free_buddy(pfn, order)) != NULL) {
        list_remove_block(buddy);
        pfn = MIN(pfn, pfn_of(buddy));
        order++;
    }
    list_add_block(pfn, order);
}

/* The largest order that fits at (pfn) and into (n) pages. */
static unsigned order_at(pfn_t pfn, size_t n)
{
    unsigned fits = 63 - (unsigned)__builtin_clzl(n);
    unsigned aligned = pfn == 0 ? PAGE_ORDER_MAX : (unsigned)__builtin_ctzl(pfn);

    return MIN(MIN(fits, aligned), PAGE_ORDER_MAX);
}

static void free_range(pfn_t pfn, size_t n)
{
    while (n > 0) {
        unsigned order = order_at(pfn, n);

        free_block(pfn, order);
        pfn += (pfn_t)1 << order;
        n -= (size_t)1 << order;
    }
}

static unsigned order_of(size_t n)
{
    return n <= 1 ? 0 : 64 - (unsigned)__builtin_clzl(n - 1);
}

void page_add(pfn_t first, size_t n)
{
    irqstate_t state;

    state = spin_lock(&lock);
    for (unsigned i = 0; i < ORDERS && nr_total == 0; i++)
        list_init(&free_lists[i]);
    lowest = MIN(lowest, first);
    highest = MAX(highest, first + n);
    nr_total += n;
    free_range(first, n);
    spin_unlock(&lock, state);
}

/* First page of a block of at least (order), split down to it; NULL when there is none. */
static struct page *take_block(unsigned order)
{
    uint32_t candidates = nonempty & ~((1U << order) - 1);
    unsigned have;
    struct page *p;

    if (candidates == 0)
        return NULL;
    have = (unsigned)__builtin_ctz(candidates);
    p = list_first(&free_lists[have], struct page, link);
    list_remove_block(p);
    while (have > order) {
        have--;
        list_add_block(pfn_of(p) + ((pfn_t)1 << have), have);
    }
    p->state = PAGE_USED;
    p->order = (uint8_t)order;
    nr_free -= (size_t)1 << order;
    return p;
}

/* (n) pages from a block of (order); what is left of the block stays free. */
static void *try_alloc(unsigned order, size_t n)
{
    irqstate_t state = spin_lock(&lock);
    struct page *p = take_block(order);

    if (p != NULL)
        free_range(pfn_of(p) + n, ((size_t)1 << order) - n);
    spin_unlock(&lock, state);
    return p == NULL ? NULL : pfn_to_virt(pfn_of(p));
}

static void *alloc(unsigned order, size_t n)
{
    void *va;

    if (order > PAGE_ORDER_MAX)
        return NULL;
    do {
        va = try_alloc(order, n);
    } while (va == NULL && promise->fetch != NULL && promise->fetch());
    if (va == NULL && shortage != NULL) {
        shortage();
        va = try_alloc(order, n);
    }
    return va;
}

/* I2: (pages) must be exactly what an allocation of (order) gave. */
static void release(void *pages, unsigned order, size_t n)
{
    pfn_t pfn = virt_to_pfn(pages);
    irqstate_t state = spin_lock(&lock);
    struct page *p = page_at(pfn);

    ASSERT(IS_ALIGNED((uintptr_t)pages, PAGE_SIZE) && pfn >= lowest && pfn < highest);
    ASSERT(p->state == PAGE_USED && p->order == order);
    p->state = PAGE_NONE;
    free_range(pfn, n);
    spin_unlock(&lock, state);
}

void *page_alloc_order(unsigned order)
{
    return alloc(order, (size_t)1 << order);
}

void *page_alloc_now(void)
{
    return try_alloc(0, 1);
}

void *page_alloc(void)
{
    return page_alloc_order(0);
}

void *page_alloc_zeroed(void)
{
    void *page = page_alloc();

    return page == NULL ? NULL : memset(page, 0, PAGE_SIZE);
}

void *page_alloc_run(size_t n)
{
    return n == 0 ? NULL : alloc(order_of(n), n);
}

void page_free(void *page)
{
    release(page, 0, 1);
}

void page_free_order(void *page, unsigned order)
{
    release(page, order, (size_t)1 << order);
}

void page_free_run(void *first, size_t n)
{
    release(first, order_of(n), n);
}

void page_promise(const struct page_promise *p)
{
    promise = p;
}

void page_on_shortage(void (*fn)(void))
{
    shortage = fn;
}

size_t page_count_free(void)
{
    return load_relaxed(&nr_free) + promise->pages - promise->tables;
}

size_t page_count_total(void)
{
    return load_relaxed(&nr_total) + promise->pages;
}
