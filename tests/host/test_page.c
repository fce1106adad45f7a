/* SPDX-License-Identifier: BSD-2-Clause */
/* kernel/page.c against a model: who owns which page. */
#include "kernel/page.h"

#include <string.h>
#include "tests/host/hostarch.h"
#include "tests/host/test.h"

#define SLOTS 400

static struct {
    char *pages;
    size_t n;
    bool by_order;
} taken[SLOTS];
static uint8_t owned[HOST_RAM_PAGES];

static void claim(void *pages, size_t n)
{
    pfn_t pfn = virt_to_pfn(pages);

    for (size_t i = 0; i < n; i++) {
        CHECK(pfn + i < host_ram_pages && !owned[pfn + i]);
        owned[pfn + i] = 1;
    }
}

static void disown(void *pages, size_t n)
{
    memset(&owned[virt_to_pfn(pages)], 0, n);
}

static void take_order(unsigned slot, unsigned order)
{
    char *p = page_alloc_order(order);

    if (p == NULL)
        return;
    CHECK(IS_ALIGNED((uintptr_t)p - DIRECT_MAP_BASE, PAGE_SIZE << order));
    claim(p, (size_t)1 << order);
    taken[slot].pages = p;
    taken[slot].n = order;
    taken[slot].by_order = true;
}

static void take_run(unsigned slot, size_t n)
{
    char *p = page_alloc_run(n);

    if (p == NULL)
        return;
    claim(p, n);
    taken[slot].pages = p;
    taken[slot].n = n;
    taken[slot].by_order = false;
}

static void give(unsigned slot)
{
    char *p = taken[slot].pages;
    size_t n = taken[slot].n;

    taken[slot].pages = NULL;
    disown(p, taken[slot].by_order ? (size_t)1 << n : n);
    if (taken[slot].by_order)
        page_free_order(p, (unsigned)n);
    else
        page_free_run(p, n);
}

static size_t count_owned(void)
{
    size_t n = 0;

    for (size_t i = 0; i < host_ram_pages; i++)
        n += owned[i];
    return n;
}

TEST(page, storm_of_all_sizes_never_overlaps_and_merges_back)
{
    for (int i = 0; i < 40000; i++) {
        unsigned slot = (unsigned)test_random_below(SLOTS);

        if (taken[slot].pages != NULL)
            give(slot);
        else if (test_random_below(2) == 0)
            take_order(slot, (unsigned)test_random_below(8));
        else
            take_run(slot, 1 + test_random_below(100));
        if (i % 64 == 0)
            CHECK_EQ(page_count_free() + count_owned(), host_ram_pages);
    }
    for (unsigned slot = 0; slot < SLOTS; slot++)
        if (taken[slot].pages != NULL)
            give(slot);
    /* Merged: all of memory can be had in the largest blocks again. */
    for (unsigned slot = 0; slot < host_ram_pages >> PAGE_ORDER_MAX; slot++) {
        take_order(slot, PAGE_ORDER_MAX);
        CHECK(taken[slot].pages != NULL);
    }
    CHECK_EQ(page_alloc(), NULL);
    for (unsigned slot = 0; slot < host_ram_pages >> PAGE_ORDER_MAX; slot++)
        give(slot);
}

TEST(page, every_page_can_be_had_and_then_no_more)
{
    for (size_t i = 0; i < host_ram_pages; i++) {
        void *p = page_alloc();

        CHECK(p != NULL);
        claim(p, 1);
    }
    CHECK_EQ(page_alloc(), NULL);
    CHECK_EQ(page_count_free(), 0);
    for (size_t i = 0; i < host_ram_pages; i++)
        page_free(pfn_to_virt(i));
}

TEST(page, a_run_takes_no_more_than_it_asks_for)
{
    size_t before = page_count_free();
    void *run = page_alloc_run(511), *rest;

    CHECK(run != NULL);
    CHECK_EQ(page_count_free(), before - 511);
    rest = page_alloc();
    CHECK_EQ(rest, (char *)run + 511 * PAGE_SIZE);
    page_free_run(run, 511);
    page_free(rest);
}

TEST_RAM(page, ranges_handed_over_later_are_used_exactly, 1024)
{
    while (page_count_free() > 0)
        CHECK(page_alloc() != NULL);
    page_add(3, 500);
    page_add(701, 200);
    CHECK_EQ(page_count_free(), 700);
    for (int i = 0; i < 700; i++) {
        pfn_t pfn = virt_to_pfn(page_alloc());

        CHECK((pfn >= 3 && pfn < 503) || (pfn >= 701 && pfn < 901));
    }
    CHECK_EQ(page_alloc(), NULL);
    test_pass(); /* with fewer pages than before */
}

/* ---- caches: what CPU 1 frees stays with it, and is nevertheless there for all ---- */

#define KEPT 20

static void second_cpu(void)
{
    if (strcmp(test_current->module, "page") == 0)
        CHECK_EQ(page_cpu_init(1), 0); /* for ever */
}
SETUP(30, second_cpu)

static void leave_pages_with_cpu_1(void)
{
    void *p[KEPT];

    host_cpu = 1;
    for (size_t i = 0; i < KEPT; i++)
        p[i] = page_alloc();
    for (size_t i = 0; i < KEPT; i++)
        page_free(p[i]);
    host_cpu = 0;
}

static void take_and_free_all(size_t n)
{
    for (size_t i = 0; i < n; i++)
        CHECK(page_alloc() != NULL);
    CHECK_EQ(page_alloc(), NULL);
    CHECK_EQ(page_alloc_now(), NULL);
    CHECK_EQ(page_count_free(), 0);
    for (size_t i = 0; i < host_ram_pages; i++)
        page_free(pfn_to_virt(i));
}

TEST(page, what_another_cpu_keeps_counts_as_free_and_can_be_had)
{
    leave_pages_with_cpu_1();
    CHECK_EQ(page_count_free(), host_ram_pages);
    take_and_free_all(host_ram_pages);
}

TEST(page, what_another_cpu_keeps_breaks_no_block)
{
    void *all[HOST_RAM_PAGES >> PAGE_ORDER_MAX];
    size_t n = host_ram_pages >> PAGE_ORDER_MAX;

    leave_pages_with_cpu_1();
    for (size_t i = 0; i < n; i++)
        CHECK((all[i] = page_alloc_order(PAGE_ORDER_MAX)) != NULL);
    for (size_t i = 0; i < n; i++)
        page_free_order(all[i], PAGE_ORDER_MAX);
}

TEST(page, a_cpu_gets_back_what_it_freed_last)
{
    void *p, *q;

    leave_pages_with_cpu_1();
    p = page_alloc();
    page_free(p);
    host_cpu = 1;
    q = page_alloc();
    page_free(q);
    host_cpu = 0;
    CHECK_EQ(page_alloc(), p);
    host_cpu = 1;
    CHECK_EQ(page_alloc(), q);
    page_free(q);
    page_free(p);
    host_cpu = 0;
}

TEST(page, a_trim_leaves_nothing_with_any_cpu)
{
    void *p, *q;

    leave_pages_with_cpu_1();
    host_cpu = 1;
    p = page_alloc();
    page_free(p);
    page_trim();
    q = page_alloc_order(1); /* of the lowest pages, which were the ones it kept */
    CHECK(q <= p);
    page_free_order(q, 1);
    host_cpu = 0;
}

static void *rescue;
static unsigned shortages;

static void give_rescue(void)
{
    shortages++;
    if (rescue != NULL)
        page_free(rescue);
    rescue = NULL;
}

/* A promise of PARTS times 100 pages, of which each takes 10 to map. */
#define PARTS 4
static bool fetch_part(void);
static struct page_promise coming = {fetch_part, PARTS * 100, PARTS * 10};
static unsigned fetched;

static bool fetch_part(void)
{
    if (fetched == PARTS)
        return false;
    page_add(512 + 128 * fetched, 90);
    fetched++;
    coming.pages -= 100;
    coming.tables -= 10;
    return true;
}

TEST_RAM(page, promised_pages_count_as_free_and_come_when_they_are_needed, 1024)
{
    while (page_count_free() > 0)
        CHECK(page_alloc() != NULL);
    page_promise(&coming);
    CHECK_EQ(page_count_free(), PARTS * 90);
    CHECK_EQ(page_alloc_now(), NULL);
    CHECK_EQ(fetched, 0);
    CHECK(page_alloc() != NULL);
    CHECK_EQ(fetched, 1);
    CHECK_EQ(page_count_free(), PARTS * 90 - 1);
    CHECK(page_alloc_run(64) != NULL && fetched == 1);
    CHECK(page_alloc_run(64) != NULL && fetched == 2); /* a part has only one */
    CHECK_EQ(page_alloc_order(7), NULL); /* no part ever has it: all have been fetched */
    CHECK_EQ(fetched, PARTS);
    for (int i = 0; i < PARTS * 90 - 129; i++)
        CHECK(page_alloc() != NULL);
    CHECK_EQ(page_alloc(), NULL);
    CHECK_EQ(page_count_free(), 0);
    test_pass(); /* with fewer pages than before */
}

TEST_RAM(page, a_shortage_is_only_told_when_nothing_more_will_come, 1024)
{
    page_on_shortage(give_rescue);
    rescue = page_alloc();
    while (page_count_free() > 0)
        CHECK(page_alloc() != NULL);
    page_promise(&coming);
    for (int i = 0; i < PARTS * 90; i++)
        CHECK(page_alloc() != NULL);
    CHECK_EQ(shortages, 0);
    CHECK(page_alloc() != NULL);
    CHECK_EQ(shortages, 1);
    test_pass();
}

TEST(page, zeroed_pages_are_zero)
{
    unsigned char *p = page_alloc(), *q;

    memset(p, 0xa5, PAGE_SIZE);
    page_free(p);
    q = page_alloc_zeroed();
    for (size_t i = 0; i < PAGE_SIZE; i++)
        CHECK_EQ(q[i], 0);
    page_free(q);
}

TEST(page, freeing_twice_panics)
{
    void *p = page_alloc();

    host_expect_panic("assertion failed");
    page_free(p);
    page_free(p);
}

TEST(page, freeing_with_another_order_panics)
{
    void *p = page_alloc_order(3);

    host_expect_panic("assertion failed");
    page_free_order(p, 2);
}

TEST(page, more_than_the_largest_order_is_refused)
{
    CHECK_EQ(page_alloc_order(PAGE_ORDER_MAX + 1), NULL);
    CHECK_EQ(page_alloc_run(((size_t)1 << PAGE_ORDER_MAX) + 1), NULL);
    CHECK_EQ(page_alloc_run(0), NULL);
}

TEST_RAM(page, a_shortage_asks_for_memory_and_tries_again, 1024)
{
    page_on_shortage(give_rescue);
    rescue = page_alloc();
    while (page_count_free() > 0)
        CHECK(page_alloc() != NULL);
    CHECK(page_alloc() != NULL);
    CHECK_EQ(shortages, 1);
    CHECK_EQ(page_alloc(), NULL);
    CHECK_EQ(shortages, 2);
    for (size_t i = 0; i < host_ram_pages; i++)
        page_free(pfn_to_virt(i));
}

TEST(page, split_pages_are_freed_one_by_one)
{
    size_t before = page_count_free();
    char *block = page_alloc_order(3);

    CHECK(block != NULL);
    page_split(block, 3);
    CHECK_EQ(page_count_free(), before - 8);
    for (unsigned i = 0; i < 8; i++)
        page_free(block + (i * 5 % 8) * PAGE_SIZE);
    CHECK_EQ(page_count_free(), before);
    block = page_alloc_order(3);
    CHECK(block != NULL);
    page_free_order(block, 3);
}
