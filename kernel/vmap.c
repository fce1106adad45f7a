/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The demand-mapped area. Ranges in use are on a list in the order of their addresses; a new one
 * goes into the first gap that holds it. Every range ends with a guard page, and so does the
 * one before it, hence an unmapped page lies on both sides of each:
 *
 *     VMAP_BASE  guard | range A | guard | range B ... | guard | (gap) | range C | guard
 *
 * The notes (struct range) are small heap objects, which never come from this area: no recursion.
 * The lock covers the list alone; mapping and unmapping, which take long, happen outside it on
 * addresses that are reserved (before) or still reserved (after).
 */
#include "kernel/vmap.h"

#include <arch/page.h>
#include "kernel/heap.h"
#include "kernel/page.h"
#include "kernel/spinlock.h"
#include "lib/base/assert.h"
#include "lib/base/list.h"

/* Pages per call of the architecture; bounds the stack that the arrays of pfns need. */
#define BATCH 64

struct range {
    struct list link;
    uintptr_t start, end; /* end: where the guard is */
};

static struct spinlock lock = SPINLOCK_INIT;
static struct list ranges = LIST_INIT(ranges);

/* Put (r), which has the right length, into the first gap. False when there is none. */
static bool place(struct range *r)
{
    uintptr_t size = r->end - r->start, start = VMAP_BASE + PAGE_SIZE;
    struct list *pos;

    for (pos = ranges.next; pos != &ranges; pos = pos->next) {
        struct range *next = list_entry(pos, struct range, link);

        if (next->start - start >= size + PAGE_SIZE)
            break;
        start = next->end + PAGE_SIZE;
    }
    if (pos == &ranges && VMAP_END - start < size + PAGE_SIZE)
        return false;
    r->start = start;
    r->end = start + size;
    list_insert_before(pos, &r->link);
    return true;
}

static struct range *reserve(size_t n)
{
    struct range *r;
    irqstate_t state;
    bool placed;

    if (n == 0 || n > (VMAP_END - VMAP_BASE) / PAGE_SIZE - 2)
        return NULL;
    r = heap_alloc(sizeof(*r));
    if (r == NULL)
        return NULL;
    r->start = 0;
    r->end = n * PAGE_SIZE;
    state = spin_lock(&lock);
    placed = place(r);
    spin_unlock(&lock, state);
    if (placed)
        return r;
    heap_free(r);
    return NULL;
}

static void release(uintptr_t start, size_t n)
{
    struct range *r = NULL;
    irqstate_t state = spin_lock(&lock);

    list_for_each (pos, &ranges) {
        r = list_entry(pos, struct range, link);
        if (r->start >= start)
            break;
    }
    ASSERT(r != NULL && r->start == start && r->end == start + n * PAGE_SIZE);
    list_remove(&r->link);
    spin_unlock(&lock, state);
    heap_free(r);
}

/* Map at most BATCH fresh pages: all, or none and false. */
static bool fill_batch(uintptr_t va, size_t n)
{
    pfn_t pfns[BATCH];
    size_t have;

    for (have = 0; have < n; have++) {
        void *page = page_alloc();

        if (page == NULL)
            break;
        pfns[have] = virt_to_pfn(page);
    }
    if (have == n && arch_map(va, pfns, n, PROT_RW) == 0)
        return true;
    while (have > 0)
        page_free(pfn_to_virt(pfns[--have]));
    return false;
}

/* The pages return to the allocator only after no CPU can reach them here any more. */
static void empty_batch(uintptr_t va, size_t n)
{
    pfn_t pfns[BATCH];

    for (size_t i = 0; i < n; i++)
        pfns[i] = arch_mapped_pfn(va + i * PAGE_SIZE);
    arch_unmap(va, n);
    for (size_t i = 0; i < n; i++)
        page_free(pfn_to_virt(pfns[i]));
}

static void empty(uintptr_t va, size_t n)
{
    for (size_t done = 0; done < n; done += BATCH)
        empty_batch(va + done * PAGE_SIZE, MIN(n - done, (size_t)BATCH));
}

void *vmap_alloc(size_t n)
{
    struct range *r = reserve(n);
    size_t done;

    if (r == NULL)
        return NULL;
    for (done = 0; done < n; done += MIN(n - done, (size_t)BATCH)) {
        uintptr_t va = r->start + done * PAGE_SIZE;

        if (!fill_batch(va, MIN(n - done, (size_t)BATCH))) {
            empty(r->start, done);
            release(r->start, n);
            return NULL;
        }
    }
    return (void *)r->start;
}

void vmap_free(void *va, size_t n)
{
    empty((uintptr_t)va, n);
    release((uintptr_t)va, n);
}

/* Without the lock: its holder may be the one that crashed; others are stopped. A guard between two
 * ranges belongs to the upper one, since stacks overflow downwards. */
bool vmap_is_guard(uintptr_t addr, uintptr_t *start, uintptr_t *end)
{
    struct range *above = NULL;

    list_for_each (pos, &ranges) {
        struct range *r = list_entry(pos, struct range, link);
        bool below_it = addr < r->start && r->start - addr <= PAGE_SIZE;
        bool behind_it = addr >= r->end && addr - r->end < PAGE_SIZE;

        if (below_it || (behind_it && above == NULL))
            above = r;
    }
    if (above == NULL)
        return false;
    *start = above->start;
    *end = above->end;
    return true;
}
