/* SPDX-License-Identifier: BSD-2-Clause */
/* The page tables as a whole, and mapping, unmapping and protecting on purpose. */
#include <arch/boot.h>
#include <arch/page.h>
#include "arch/x86/mm.h"
#include "kernel/heap.h"
#include "kernel/main.h"
#include "kernel/page.h"
#include "kernel/vmap.h"
#include "tests/guest/kernel-memory/cases.h"

#define PTE_PRESENT 1UL
#define PTE_WRITE 2UL
#define PTE_NX (1UL << 63)
#define PTE_FRAME 0x000ffffffffff000UL

extern char image_text_start[], image_text_end[];

/* A part of the vmap area that vmap itself does not reach in a test. */
#define FAR_AWAY (VMAP_END - (64UL << 20))

struct walk {
    uint8_t *is_table;  /* a bit for every page */
    uintptr_t nx_until; /* an upper entry forbids execution below this */
    unsigned long leaves, wx, dirty_absent, executable, writable_tables;
};

static pfn_t pfn_behind(uint64_t entry)
{
    return virt_to_pfn(mfn_to_virt((entry & PTE_FRAME) >> PAGE_SHIFT));
}

static void find_tables(uintptr_t va, uint64_t entry, unsigned level, void *arg)
{
    struct walk *w = arg;

    (void)va;
    if (level > 1 && (entry & PTE_PRESENT))
        w->is_table[pfn_behind(entry) / 8] |= (uint8_t)(1 << pfn_behind(entry) % 8);
}

static void judge(uintptr_t va, uint64_t entry, unsigned level, void *arg)
{
    struct walk *w = arg;
    bool in_text = va >= (uintptr_t)image_text_start && va < (uintptr_t)image_text_end;

    if (!(entry & PTE_PRESENT)) {
        w->dirty_absent += entry != 0;
        return;
    }
    if (level > 1) {
        if (entry & PTE_NX)
            w->nx_until = va + (PAGE_SIZE << 9 * (level - 1));
        return;
    }
    if (va < w->nx_until)
        entry |= PTE_NX;
    w->leaves++;
    w->wx += (entry & PTE_WRITE) && !(entry & PTE_NX);
    w->executable += !(entry & PTE_NX) && !in_text;
    /* Windows show frames that are not our RAM. */
    if ((entry & PTE_WRITE) && va < WINDOW_BASE)
        w->writable_tables += w->is_table[pfn_behind(entry) / 8] >> pfn_behind(entry) % 8 & 1;
}

static void test_every_page_is_writable_or_executable_and_absent_entries_are_zero(void)
{
    struct walk w = {.is_table = heap_alloc_zeroed(boot_info()->nr_pages / 8 + 1)};

    CHECK(w.is_table != NULL);
    mm_for_each_entry(find_tables, &w);
    mm_for_each_entry(judge, &w);
    heap_free(w.is_table);
    CHECK(w.leaves > 500);
    CHECK_EQ(w.wx, 0);
    CHECK_EQ(w.executable, 0);
    CHECK_EQ(w.dirty_absent, 0);
    CHECK_EQ(w.writable_tables, 0);
}

/* Of the direct map. */
static pfn_t count_missing(void)
{
    pfn_t missing = 0;

    for (pfn_t pfn = 0; pfn < boot_info()->nr_pages; pfn++)
        missing += !mm_is_mapped((uintptr_t)pfn_to_virt(pfn));
    return missing;
}

#define TAKERS 4

struct taker {
    void *chain;
    size_t taken, wrong;
};

/* All the pages there are, each marked with its own address. */
static void take_and_mark(void *arg)
{
    struct taker *t = arg;
    uintptr_t *page;

    while ((page = page_alloc()) != NULL) {
        page[0] = (uintptr_t)t->chain;
        page[1] = page[511] = (uintptr_t)page;
        t->chain = page;
        t->taken++;
    }
}

static void check_and_give(struct taker *t)
{
    while (t->chain) {
        uintptr_t *page = t->chain;

        t->wrong += page[1] != (uintptr_t)page || page[511] != (uintptr_t)page;
        t->chain = (void *)page[0];
        page_free(page);
    }
}

/* Must be the first case: memory is mapped once. (The census may run a case again.) */
static void test_memory_is_mapped_when_it_is_wanted_by_several_at_once(void)
{
    static bool all_is_mapped;
    size_t before = page_count_free(), total = page_count_total(), taken = 0, left;
    pfn_t missing = count_missing();
    struct taker takers[TAKERS] = {0};
    struct thread *t[TAKERS];

    for (size_t i = 0; i < TAKERS; i++)
        t[i] = start(PRIO_NORMAL, take_and_mark, &takers[i]);
    for (size_t i = 0; i < TAKERS; i++) {
        thread_join(t[i]);
        taken += takers[i].taken;
    }
    left = page_count_free();
    for (size_t i = 0; i < TAKERS; i++) {
        check_and_give(&takers[i]);
        CHECK_EQ(takers[i].wrong, 0);
    }
    CHECK(all_is_mapped || missing > boot_info()->nr_pages / 2);
    all_is_mapped = true;
    CHECK_EQ(count_missing(), 2); /* the guards of the boot and event stacks */
    CHECK(left <= TAKERS * 17); /* stacks of those that have ended, and what was kept about them */
    CHECK(taken + 100 >= before && taken <= before);
    CHECK_EQ(page_count_total(), total);
    printf("%lu of %lu pages were mapped at first\n",
           (unsigned long)(boot_info()->nr_pages - missing), (unsigned long)boot_info()->nr_pages);
}

static void test_all_memory_is_in_the_direct_map_once_it_was_used(void)
{
    CHECK_EQ(count_missing(), 2);
    CHECK(!mm_is_mapped((uintptr_t)pfn_to_virt(boot_info()->nr_pages)));
    CHECK(page_count_total() < boot_info()->nr_pages);
    CHECK(page_count_free() <= page_count_total());
}

static void test_no_machine_frame_is_there_twice(void)
{
    const struct bootinfo *boot = boot_info();

    for (pfn_t pfn = 0; pfn < boot->nr_pages; pfn++) {
        void *va = pfn_to_virt(pfn);

        CHECK_EQ(virt_to_pfn(va), pfn);
        CHECK(mfn_to_virt(virt_to_gframe(va)) == va);
    }
}

static void test_a_page_can_be_mapped_twice_protected_and_unmapped(void)
{
    char *page = page_alloc_zeroed();
    pfn_t pfn = virt_to_pfn(page);
    char *there = (char *)FAR_AWAY;

    CHECK_EQ(arch_map(FAR_AWAY, &pfn, 1, PROT_RW), 0);
    strcpy(there, "one page, two places");
    CHECK(strcmp(page, "one page, two places") == 0);
    CHECK_EQ(arch_mapped_pfn(FAR_AWAY), pfn);
    CHECK_EQ(arch_protect(FAR_AWAY, 1, PROT_R), 0);
    CHECK_EQ(probe_write(there), FAULT_WRITE | FAULT_PRESENT);
    page[0] = (char)0xc3;
    CHECK_EQ(probe_execute(there), FAULT_FETCH | FAULT_PRESENT);
    CHECK_EQ(arch_protect(FAR_AWAY, 1, PROT_RX), 0);
    CHECK_EQ(probe_execute(there), NO_FAULT);
    CHECK_EQ(probe_write(there), FAULT_WRITE | FAULT_PRESENT);
    arch_unmap(FAR_AWAY, 1);
    CHECK_EQ(probe_read(there), 0);
    CHECK_EQ(arch_mapped_pfn(FAR_AWAY), PFN_INVALID);
    arch_unmap(FAR_AWAY, 1); /* harmless */
    page_free(page);
}

#define MANY 300

static void test_hundreds_of_pages_map_across_tables(void)
{
    uintptr_t va = FAR_AWAY + (2UL << 20) - 100 * PAGE_SIZE;
    pfn_t pfns[MANY];

    for (size_t i = 0; i < MANY; i++) {
        void *page = page_alloc();

        CHECK(page != NULL);
        pfns[i] = virt_to_pfn(page);
    }
    CHECK_EQ(arch_map(va, pfns, MANY, PROT_RW), 0);
    for (size_t i = 0; i < MANY; i++)
        *(volatile uint64_t *)(va + i * PAGE_SIZE) = i * 12345;
    for (size_t i = 0; i < MANY; i++) {
        CHECK_EQ(*(volatile uint64_t *)pfn_to_virt(pfns[i]), i * 12345);
        CHECK_EQ(arch_mapped_pfn(va + i * PAGE_SIZE), pfns[i]);
    }
    CHECK_EQ(arch_protect(va + 50 * PAGE_SIZE, 100, PROT_R), 0);
    CHECK_EQ(probe_write((void *)(va + 49 * PAGE_SIZE)), NO_FAULT);
    CHECK_EQ(probe_write((void *)(va + 149 * PAGE_SIZE)), FAULT_WRITE | FAULT_PRESENT);
    CHECK_EQ(probe_write((void *)(va + 150 * PAGE_SIZE)), NO_FAULT);
    arch_unmap(va, MANY);
    for (size_t i = 0; i < MANY; i++) {
        CHECK_EQ(probe_read((void *)(va + i * PAGE_SIZE)), 0);
        page_free(pfn_to_virt(pfns[i]));
    }
}

/* All free pages, chained through their first word. */
static void *take_all_pages(void)
{
    void *chain = NULL, *page;

    while ((page = page_alloc()) != NULL) {
        *(void **)page = chain;
        chain = page;
    }
    return chain;
}

/* Free at most (n) of them; the rest. */
static void *give_pages(void *chain, size_t n)
{
    while (chain && n-- > 0) {
        void *next = *(void **)chain;

        page_free(chain);
        chain = next;
    }
    return chain;
}

static void test_mapping_without_memory_for_tables_fails_and_maps_nothing(void)
{
    static const uintptr_t fresh = VMAP_END - (8UL << 30);
    char *page = page_alloc();
    pfn_t pfns[4];
    void *chain;
    int rc;

    for (size_t i = 0; i < 4; i++)
        pfns[i] = virt_to_pfn(page);
    chain = take_all_pages();
    /* Two pages at the end of a table, two in the next one, which is not there. */
    rc = arch_map(fresh + (2UL << 20) - 2 * PAGE_SIZE, pfns, 4, PROT_R);
    give_pages(chain, (size_t)-1);
    for (size_t i = 0; i < 4; i++)
        CHECK(!mm_is_mapped(fresh + (2UL << 20) + (i - 2) * PAGE_SIZE));
    CHECK_EQ(rc, -ENOMEM);
    page_free(page);
}

static void test_vmap_without_memory_fails_and_keeps_nothing(void)
{
    void *chain = give_pages(take_all_pages(), 40), *area;
    size_t before = page_count_free(), after;

    area = vmap_alloc(64);
    after = page_count_free();
    give_pages(chain, (size_t)-1);
    CHECK(area == NULL);
    CHECK(after + 4 >= before); /* tables, a slab */
}

static void do_nothing(void *arg)
{
    (void)arg;
}

static void test_threads_without_memory_are_refused_and_leave_nothing(void)
{
    struct thread *t;
    void *chain = take_all_pages();
    int rc = thread_create("none", PRIO_LOW, 0, do_nothing, NULL, &t);

    give_pages(chain, (size_t)-1);
    CHECK_EQ(rc, -ENOMEM);
}

const struct test_case table_cases[] = {
    CASE(memory_is_mapped_when_it_is_wanted_by_several_at_once),
    CASE(every_page_is_writable_or_executable_and_absent_entries_are_zero),
    CASE(all_memory_is_in_the_direct_map_once_it_was_used),
    CASE(no_machine_frame_is_there_twice),
    CASE(a_page_can_be_mapped_twice_protected_and_unmapped),
    CASE(hundreds_of_pages_map_across_tables),
    CASE(mapping_without_memory_for_tables_fails_and_maps_nothing),
    CASE(vmap_without_memory_fails_and_keeps_nothing),
    CASE(threads_without_memory_are_refused_and_leave_nothing),
};
const size_t nr_table_cases = sizeof(table_cases) / sizeof(table_cases[0]);
