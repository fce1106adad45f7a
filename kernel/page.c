/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A buddy allocator under a cache of single pages for each CPU.
 *
 *     page_alloc -> this CPU's cache -> (empty: BATCH) buddies
 *     page_free  -> this CPU's cache -> (full: half)   buddies
 *
 * A free block of order n is 2^n pages, aligned to its size; its first page
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
 * I4 A cache changes under its lock, which is above that one. Its pages are PAGE_CACHED.
 * I5 No allocation fails for what a cache has: before it does, it holds the locks of all caches and
 *    has emptied them. They are taken from the newest to the oldest.
 */
#include "kernel/page.h"

#include <arch/cpu.h>
#include "kernel/heap.h"
#include "kernel/spinlock.h"
#include "lib/base/assert.h"
#include "lib/base/errno.h"
#include "lib/base/string.h"

#define ORDERS (PAGE_ORDER_MAX + 1)
#define CACHE_MAX 32
#define BATCH (CACHE_MAX / 2)
#define CACHE_LINE 64

struct cache {
    struct spinlock lock;
    unsigned count;
    struct list pages;
    struct cache *next; /* an older one */
};

static struct spinlock lock = SPINLOCK_INIT;
static struct list free_lists[ORDERS];
static uint32_t nonempty; /* bit n: free_lists[n] has a block */
static pfn_t lowest = PFN_INVALID, highest;
static size_t nr_free, nr_total;
static void (*shortage)(void);
static struct cache first_cache = {.lock = SPINLOCK_INIT, .pages = LIST_INIT(first_cache.pages)};
static struct cache *newest = &first_cache, *caches[CPU_MAX]; /* of CPUs other than the first */
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
    store_relaxed(&lowest, MIN(lowest, first));
    store_relaxed(&highest, MAX(highest, first + n));
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

/* ---- caches ---- */

/* This CPU's cache, locked. Upcalls are masked, so that we stay on this CPU. */
static struct cache *cache_lock(void)
{
    struct cache *c = caches[cpu_id()];

    if (c == NULL)
        c = &first_cache;
    spin_lock_masked(&c->lock);
    return c;
}

/* Before (pos) of the cache's list. */
static void cache_put(struct cache *c, struct page *p, struct list *pos)
{
    store_relaxed(&p->state, PAGE_CACHED);
    list_insert_before(pos, &p->link);
    store_relaxed(&c->count, c->count + 1);
}

static struct page *cache_pop(struct cache *c)
{
    struct page *p = list_first(&c->pages, struct page, link);

    list_remove(&p->link);
    store_relaxed(&c->count, c->count - 1);
    return p;
}

/* From the buddies, for an empty cache. */
static void refill(struct cache *c)
{
    struct page *p;

    spin_lock_masked(&lock);
    while (c->count < BATCH && (p = take_block(0)) != NULL)
        cache_put(c, p, &c->pages); /* in the order in which they lie there */
    spin_unlock_masked(&lock);
}

/* To the buddies, until (keep) are left. */
static void drain(struct cache *c, unsigned keep)
{
    spin_lock_masked(&lock);
    while (c->count > keep) {
        struct page *p = cache_pop(c);

        p->state = PAGE_NONE;
        free_block(pfn_of(p), 0);
    }
    spin_unlock_masked(&lock);
}

static void *take_one(void)
{
    struct page *p = NULL;
    irqstate_t state = irq_save();
    struct cache *c = cache_lock();

    if (c->count == 0)
        refill(c);
    if (c->count > 0) {
        p = cache_pop(c);
        store_relaxed(&p->state, PAGE_USED);
    }
    spin_unlock(&c->lock, state);
    return p == NULL ? NULL : pfn_to_virt(pfn_of(p));
}

static void give_one(struct page *p)
{
    irqstate_t state = irq_save();
    struct cache *c = cache_lock();

    cache_put(c, p, c->pages.next); /* first: it may still be in the processor's caches */
    if (c->count > CACHE_MAX)
        drain(c, CACHE_MAX - BATCH);
    spin_unlock(&c->lock, state);
}

/* I5: (n) pages of a block of (order) while nobody keeps any for himself; n may be 0. */
static void *take_with_caches_empty(unsigned order, size_t n)
{
    irqstate_t state = irq_save();
    struct cache *all =
        load_acquire(&newest); /* newer ones have nothing yet that was free before */
    void *va;

    for (struct cache *c = all; c != NULL; c = c->next) {
        spin_lock_second(&c->lock);
        drain(c, 0);
    }
    va = n == 0 ? NULL : try_alloc(order, n);
    for (struct cache *c = all; c != NULL; c = c->next)
        spin_unlock_masked(&c->lock);
    irq_restore(state);
    return va;
}

void page_trim(void)
{
    (void)take_with_caches_empty(0, 0);
}

int page_cpu_init(unsigned cpu)
{
    struct cache *c = heap_alloc_aligned(CACHE_LINE, sizeof(*c));

    if (c == NULL)
        return -ENOMEM;
    spin_init(&c->lock);
    c->count = 0;
    list_init(&c->pages);
    c->next = newest;
    store_release(&newest, c);
    store_release(&caches[cpu], c);
    return 0;
}

/* ---- all sizes ---- */

/* Of what is here. */
static void *take(unsigned order, size_t n)
{
    void *va = order == 0 ? take_one() : try_alloc(order, n);

    return va != NULL ? va : take_with_caches_empty(order, n);
}

static void *alloc(unsigned order, size_t n)
{
    void *va;

    if (order > PAGE_ORDER_MAX)
        return NULL;
    do {
        va = take(order, n);
    } while (va == NULL && promise->fetch != NULL && promise->fetch());
    if (va == NULL && shortage != NULL) {
        shortage();
        va = take(order, n);
    }
    return va;
}

/* I2: (pages) must be exactly what an allocation of (order) gave. */
static void release(void *pages, unsigned order, size_t n)
{
    pfn_t pfn = virt_to_pfn(pages);
    struct page *p = page_at(pfn);
    irqstate_t state;

    ASSERT(IS_ALIGNED((uintptr_t)pages, PAGE_SIZE) && pfn >= load_relaxed(&lowest) &&
           pfn < load_relaxed(&highest));
    ASSERT(p->state == PAGE_USED && p->order == order);
    if (order == 0) {
        give_one(p);
        return;
    }
    state = spin_lock(&lock);
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
    return take(0, 1);
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

void page_split(void *block, unsigned order)
{
    irqstate_t state = spin_lock(&lock);

    for (pfn_t i = 0; i < (pfn_t)1 << order; i++) {
        struct page *p = page_at(virt_to_pfn(block) + i);

        p->state = PAGE_USED;
        p->order = 0;
    }
    spin_unlock(&lock, state);
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
    size_t cached = 0;

    for (const struct cache *c = load_acquire(&newest); c != NULL; c = c->next)
        cached += load_relaxed(&c->count);
    return load_relaxed(&nr_free) + cached + promise->pages - promise->tables;
}

size_t page_count_total(void)
{
    return load_relaxed(&nr_total) + promise->pages;
}
