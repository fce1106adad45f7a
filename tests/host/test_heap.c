/* SPDX-License-Identifier: BSD-2-Clause */
/* kernel/heap.c: contents survive storms, alignments hold, everything comes back. */
#include "kernel/heap.h"

#include <arch/page.h>
#include <string.h>
#include "kernel/page.h"
#include "tests/host/hostarch.h"
#include "tests/host/test.h"

static void heap_setup(void)
{
    heap_init();
}
SETUP(30, heap_setup)

static long count_bytes(void)
{
    struct heap_stats stats;

    heap_trim();
    heap_get_stats(&stats);
    return (long)stats.in_use;
}
CENSUS("bytes of kernel/heap.c", count_bytes)

#define SLOTS 600

static struct {
    unsigned char *p;
    size_t size;
    unsigned char fill;
} slots[SLOTS];

static size_t random_size(void)
{
    switch (test_random_below(10)) {
    case 0:
        return test_random_below(40000);
    case 1:
    case 2:
        return test_random_below(5000);
    default:
        return test_random_below(300);
    }
}

static void fill(unsigned i, size_t size)
{
    slots[i].size = size;
    slots[i].fill = (unsigned char)test_random();
    CHECK(heap_size_of(slots[i].p) >= size);
    CHECK(IS_ALIGNED((uintptr_t)slots[i].p, 16));
    memset(slots[i].p, slots[i].fill, size);
}

static void check_fill(unsigned i, size_t size)
{
    for (size_t k = 0; k < size; k++)
        CHECK_EQ(slots[i].p[k], slots[i].fill);
}

static void one_step(unsigned i)
{
    size_t size = random_size(), old = slots[i].size;

    if (slots[i].p == NULL) {
        slots[i].p = heap_alloc(size);
        CHECK(slots[i].p != NULL);
    } else if (test_random_below(3) == 0) {
        slots[i].p = heap_resize(slots[i].p, size);
        CHECK(slots[i].p != NULL);
        check_fill(i, MIN(old, size));
    } else {
        check_fill(i, old);
        heap_free(slots[i].p);
        slots[i].p = NULL;
        return;
    }
    fill(i, size);
}

static void free_all(void)
{
    for (unsigned i = 0; i < SLOTS; i++) {
        heap_free(slots[i].p);
        slots[i].p = NULL;
    }
}

TEST(heap, storm_keeps_every_byte)
{
    for (int i = 0; i < 60000; i++)
        one_step((unsigned)test_random_below(SLOTS));
    free_all();
}

TEST(heap, storm_over_several_cpus_keeps_every_byte)
{
    size_t caches;

    for (host_cpu = 0; host_cpu < 4; host_cpu++)
        heap_free(heap_alloc(1));
    heap_trim();
    caches = page_count_free();
    for (int i = 0; i < 40000; i++) {
        host_cpu = (unsigned)test_random_below(4);
        one_step((unsigned)test_random_below(SLOTS));
    }
    free_all();
    heap_trim();
    CHECK_EQ(page_count_free(), caches);
    test_pass(); /* the caches of the other CPUs stay */
}

TEST(heap, alignments_of_every_power)
{
    void *p[17];

    for (size_t size = 1; size < 20000; size = size * 3 + 1) {
        for (unsigned i = 0; i < 17; i++) {
            p[i] = heap_alloc_aligned((size_t)1 << i, size);
            CHECK(p[i] != NULL && IS_ALIGNED((uintptr_t)p[i], (uintptr_t)1 << i));
            memset(p[i], 0x5a, size);
        }
        for (unsigned i = 0; i < 17; i++)
            heap_free(p[i]);
    }
}

TEST(heap, zeroed_memory_is_zero)
{
    for (size_t size = 1; size < 100000; size = size * 2 + 3) {
        unsigned char *p = heap_alloc(size);

        memset(p, 0xff, size);
        heap_free(p);
        p = heap_alloc_zeroed(size);
        for (size_t i = 0; i < size; i++)
            CHECK_EQ(p[i], 0);
        heap_free(p);
    }
}

TEST(heap, small_objects_do_not_cross_pages)
{
    for (size_t size = 1; size <= HEAP_CONTIGUOUS_MAX; size++) {
        uintptr_t p = (uintptr_t)heap_alloc(size);

        CHECK_EQ(p / PAGE_SIZE, (p + size - 1) / PAGE_SIZE);
        heap_free((void *)p);
    }
}

/* Chains objects of (size) until memory is out; returns their number. */
static size_t exhaust(size_t size, void **chain)
{
    size_t n = 0;
    void **p;

    for (*chain = NULL; (p = heap_alloc(size)) != NULL; n++) {
        *p = *chain;
        *chain = p;
    }
    return n;
}

static void free_chain(void **chain)
{
    while (chain != NULL) {
        void **next = *chain;

        heap_free(chain);
        chain = next;
    }
}

TEST_RAM(heap, exhaustion_uses_all_of_memory_and_returns_all, 1024)
{
    void *chain;

    CHECK_EQ(exhaust(16, &chain), 1024 * 256);
    CHECK_EQ(page_count_free(), 0);
    CHECK_EQ(heap_alloc(3000), NULL);
    free_chain(chain);
    CHECK(exhaust(1000, &chain) == 1024 * 4);
    free_chain(chain);
    CHECK(exhaust(PAGE_SIZE, &chain) == 1024);
    free_chain(chain);
    CHECK(exhaust(5 * PAGE_SIZE, &chain) >= 190);
    free_chain(chain);
}

TEST_RAM(heap, shortage_flushes_the_caches_of_all_cpus, 1024)
{
    void *kept[4], *p, *chain = NULL;

    for (host_cpu = 0; host_cpu < 4; host_cpu++)
        kept[host_cpu] = heap_alloc(2048);
    for (host_cpu = 0; host_cpu < 4; host_cpu++)
        heap_free(kept[host_cpu]); /* into four caches */
    host_cpu = 0;
    while (page_count_free() > 0) {
        p = page_alloc();
        *(void **)p = chain;
        chain = p;
    }
    CHECK(page_alloc() != NULL); /* a page that only caches held */
    test_pass();
}

TEST_RAM(heap, fragmented_memory_gives_large_objects_by_mapping, 1024)
{
    char *p;

    while (page_count_free() > 0)
        CHECK(page_alloc() != NULL);
    for (pfn_t pfn = 0; pfn < 1024; pfn += 2)
        page_free(pfn_to_virt(pfn));
    CHECK_EQ(page_alloc_order(1), NULL);
    p = heap_alloc(300000);
    CHECK(p != NULL && (uintptr_t)p >= VMAP_BASE);
    memset(p, 7, 300000);
    CHECK(heap_size_of(p) >= 300000);
    p = heap_resize(p, 500000);
    CHECK(p != NULL && p[299999] == 7);
    heap_free(p);
    CHECK_EQ(host_mapped, 0);
    for (pfn_t pfn = 1; pfn < 1024; pfn += 2)
        page_free(pfn_to_virt(pfn));
}

TEST(heap, larger_than_the_largest_block_works)
{
    size_t size = 9 << 20;
    char *p = heap_alloc(size);

    CHECK(p != NULL);
    memset(p, 1, size);
    heap_free(p);
}

TEST(heap, event_handlers_get_no_mapped_memory)
{
    extern bool host_in_event;

    host_in_event = true;
    CHECK_EQ(heap_alloc(9 << 20), NULL);
    host_in_event = false;
}

TEST(heap, absurd_sizes_are_refused)
{
    CHECK_EQ(heap_alloc(SIZE_MAX), NULL);
    CHECK_EQ(heap_alloc(SIZE_MAX - 4095), NULL);
    CHECK_EQ(heap_alloc_aligned((size_t)1 << 40, 1), NULL);
    CHECK_EQ(heap_resize(NULL, SIZE_MAX), NULL);
}

TEST(heap, resize_keeps_the_object_when_memory_is_out)
{
    char *p = heap_alloc(100);

    memset(p, 9, 100);
    CHECK_EQ(heap_resize(p, SIZE_MAX), NULL);
    CHECK_EQ(p[99], 9);
    heap_free(p);
    heap_free(NULL);
}

TEST(heap, nothing_allocated_is_still_an_object)
{
    void *p = heap_alloc(0), *q = heap_alloc(0);

    CHECK(p != NULL && q != NULL && p != q);
    heap_free(p);
    heap_free(q);
}

TEST(heap, freeing_twice_panics)
{
    void *p = heap_alloc(100);

    host_expect_panic("assertion failed");
    heap_free(p);
    heap_free(p);
}

TEST(heap, freeing_the_middle_of_an_object_panics)
{
    char *p = heap_alloc(100);

    host_expect_panic("assertion failed");
    heap_free(p + 16);
    heap_trim();
}

TEST(heap, statistics_count)
{
    struct heap_stats before, after;
    void *p, *q;

    heap_get_stats(&before);
    p = heap_alloc(100);
    host_cpu = 0;
    q = heap_alloc(10000);
    heap_get_stats(&after);
    CHECK_EQ(after.in_use - before.in_use, 128 + 3 * PAGE_SIZE);
    CHECK_EQ(after.allocations - before.allocations, 2);
    heap_free(p);
    heap_free(q);
    CHECK_EQ(heap_alloc(SIZE_MAX), NULL);
    heap_get_stats(&after);
    CHECK_EQ(after.in_use, before.in_use);
    CHECK_EQ(after.failures - before.failures, 1);
}
