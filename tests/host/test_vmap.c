/* SPDX-License-Identifier: BSD-2-Clause */
/* kernel/vmap.c: ranges that are really mapped, guards that are really not. */
#include "kernel/vmap.h"

#include <arch/page.h>
#include <string.h>
#include "kernel/heap.h"
#include "kernel/page.h"
#include "tests/host/hostarch.h"
#include "tests/host/test.h"

TEST(vmap, gives_writable_pages_side_by_side)
{
    char *p = vmap_alloc(130);

    CHECK(p != NULL && (uintptr_t)p >= VMAP_BASE + PAGE_SIZE);
    memset(p, 1, 130 * PAGE_SIZE);
    CHECK_EQ(host_mapped, 130);
    vmap_free(p, 130);
    CHECK_EQ(host_mapped, 0);
}

TEST(vmap, leaves_a_guard_on_each_side)
{
    char *a = vmap_alloc(3), *b = vmap_alloc(5);
    uintptr_t start, end;

    CHECK_EQ(arch_mapped_pfn((uintptr_t)a - PAGE_SIZE), PFN_INVALID);
    CHECK_EQ(arch_mapped_pfn((uintptr_t)a + 3 * PAGE_SIZE), PFN_INVALID);
    CHECK_EQ(arch_mapped_pfn((uintptr_t)b + 5 * PAGE_SIZE), PFN_INVALID);
    CHECK(vmap_is_guard((uintptr_t)b - 8, &start, &end));
    CHECK_EQ(start, b);
    CHECK_EQ(end, b + 5 * PAGE_SIZE);
    CHECK(vmap_is_guard((uintptr_t)b + 5 * PAGE_SIZE, &start, &end));
    CHECK_EQ(start, b);
    CHECK(!vmap_is_guard((uintptr_t)b, &start, &end));
    CHECK(!vmap_is_guard((uintptr_t)b + 6 * PAGE_SIZE, &start, &end));
    vmap_free(a, 3);
    vmap_free(b, 5);
}

TEST(vmap, reuses_the_first_gap_that_fits)
{
    char *a = vmap_alloc(4), *b = vmap_alloc(4), *c = vmap_alloc(4), *d, *e;

    vmap_free(b, 4);
    d = vmap_alloc(5);
    e = vmap_alloc(4);
    CHECK(d > c);
    CHECK_EQ(e, b);
    vmap_free(a, 4);
    vmap_free(c, 4);
    vmap_free(d, 5);
    vmap_free(e, 4);
}

TEST(vmap, storm_keeps_ranges_apart)
{
    static struct {
        char *at;
        size_t n;
    } r[60];

    for (unsigned i = 0; i < 4000; i++) {
        unsigned slot = (unsigned)test_random_below(60);

        if (r[slot].at != NULL) {
            CHECK_EQ(r[slot].at[0], (char)slot);
            CHECK_EQ(r[slot].at[r[slot].n * PAGE_SIZE - 1], (char)slot);
            vmap_free(r[slot].at, r[slot].n);
            r[slot].at = NULL;
            continue;
        }
        r[slot].n = 1 + test_random_below(60);
        r[slot].at = vmap_alloc(r[slot].n);
        CHECK(r[slot].at != NULL);
        r[slot].at[0] = r[slot].at[r[slot].n * PAGE_SIZE - 1] = (char)slot;
    }
    for (unsigned slot = 0; slot < 60; slot++)
        if (r[slot].at != NULL)
            vmap_free(r[slot].at, r[slot].n);
}

TEST(vmap, gives_everything_back_when_memory_is_out)
{
    size_t before = page_count_free();

    CHECK_EQ(vmap_alloc(before + 1), NULL);
    heap_trim();
    CHECK_EQ(page_count_free(), before);
    CHECK_EQ(host_mapped, 0);
}

TEST(vmap, gives_everything_back_when_mapping_fails)
{
    size_t before = page_count_free();

    host_map_failures = 1;
    CHECK_EQ(vmap_alloc(10), NULL);
    heap_trim();
    CHECK_EQ(page_count_free(), before);
}

TEST(vmap, refuses_senseless_sizes)
{
    CHECK_EQ(vmap_alloc(0), NULL);
    CHECK_EQ(vmap_alloc(SIZE_MAX), NULL);
    CHECK_EQ(vmap_alloc(SIZE_MAX / PAGE_SIZE), NULL);
    CHECK_EQ(vmap_alloc((VMAP_END - VMAP_BASE) / PAGE_SIZE), NULL);
}
