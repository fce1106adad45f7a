/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory that several CPUs map, allocate, pass to each other and free. */
#include <arch/page.h>
#include <arch/trap.h>
#include "kernel/heap.h"
#include "kernel/page.h"
#include "kernel/vmap.h"
#include "tests/guest/smp/cases.h"

/* --- mappings that change under others --- */

/* Far from what the kernel uses of the window. */
#define MAP_AT (WINDOW_END - 96 * PAGE_SIZE)
#define POISON 0xdeadULL
#define FAULTED (~0ULL)

/* *(p), or FAULTED. Its one access is the only one that may fault; needs no memory of its own, so
 * that all CPUs can do it at once. */
uint64_t load_or_fault(const volatile uint64_t *p);
extern char load_access[], load_faulted[];
__asm__(".pushsection .text\n"
        "load_or_fault:\n"
        "load_access: mov (%rdi), %rax\n"
        "        ret\n"
        "load_faulted: mov $-1, %rax\n"
        "        ret\n"
        ".popsection");

static bool on_fault(struct regs *r)
{
    if (r->rip != (uintptr_t)load_access)
        return false;
    if (trap_fault_address() != MAP_AT)
        complain("a fault at %lx", (unsigned long)trap_fault_address());
    r->rip = (uintptr_t)load_faulted;
    return true;
}

/* Of round n: mapped = n after arch_map, leaving = n before arch_unmap, unmapped = n after it. */
static uint64_t mapped, leaving, unmapped;
static bool stop_reading;

struct reader {
    unsigned cpu;
    uint64_t saw;            /* the last value, which is its round's number */
    unsigned long saw_fault; /* how many */
};

static void check_value(const struct reader *r, uint64_t must, uint64_t gone, uint64_t value)
{
    if (value == POISON)
        complain("CPU %u reads a page that was unmapped before round %lu", r->cpu, gone + 1);
    else if (value != FAULTED && value <= gone)
        complain("CPU %u reads round %lu, which was unmapped", r->cpu, value);
    else if (must != 0 && value != must)
        complain("CPU %u reads %lx, but round %lu is mapped", r->cpu, value, must);
}

static void read_on(void *arg)
{
    struct reader *r = arg;

    pin(r->cpu);
    while (!load_acquire(&stop_reading)) {
        uint64_t was_mapped = load_acquire(&mapped), gone = load_acquire(&unmapped);
        uint64_t value = load_or_fault((const uint64_t *)MAP_AT);
        bool stayed = load_acquire(&leaving) < was_mapped;

        check_value(r, stayed ? was_mapped : 0, gone, value);
        if (value == FAULTED)
            store_release(&r->saw_fault, r->saw_fault + 1);
        else
            store_release(&r->saw, value);
    }
}

static bool all_see(const struct reader *r, unsigned n, uint64_t round)
{
    for (unsigned i = 0; i < n; i++)
        if (load_acquire(&r[i].saw) != round)
            return false;
    return true;
}

/* We are the first CPU and sleep while we wait, so the others' TLBs are theirs alone. */
static void map_and_unmap(struct reader *r, unsigned n, unsigned rounds)
{
    uint64_t *page[2] = {page_alloc(), page_alloc()};
    pfn_t pfn[2] = {virt_to_pfn(page[0]), virt_to_pfn(page[1])};

    for (uint64_t round = 1; round <= rounds && !complained(); round++) {
        *page[round % 2] = round;
        if (arch_map(MAP_AT, &pfn[round % 2], 1, PROT_R) != 0)
            panic("no memory for a mapping");
        store_release(&mapped, round);
        if (!comes_true(complained() || all_see(r, n, round)))
            complain("round %lu: not seen by all", (unsigned long)round);
        store_release(&leaving, round);
        full_fence(); /* they read (leaving) after the page */
        arch_unmap(MAP_AT, 1);
        *(volatile uint64_t *)page[round % 2] = POISON;
        store_release(&unmapped, round);
        if (round % 4 == 0)
            sleep_for(MS); /* let them fault; else the next page comes at once */
    }
    page_free(page[0]);
    page_free(page[1]);
}

static void test_what_is_unmapped_is_gone_on_all_cpus(void)
{
    struct reader r[CPUS_MAX] = {0};
    struct thread *t[CPUS_MAX];
    unsigned n = nr_cpus() - 1, faults = 0;

    mapped = leaving = unmapped = 0;
    stop_reading = false;
    thread_set_prio(thread_current(), PRIO_HIGH);
    pin(0);
    trap_hook(TRAP_PAGE_FAULT, on_fault);
    for (unsigned i = 0; i < n; i++) {
        r[i].cpu = i + 1;
        t[i] = start(PRIO_NORMAL, read_on, &r[i]);
    }
    map_and_unmap(r, n, 120);
    store_release(&stop_reading, true);
    join_all(t, n);
    trap_hook(TRAP_PAGE_FAULT, NULL);
    thread_set_prio(thread_current(), PRIO_NORMAL);
    for (unsigned i = 0; i < n; i++)
        faults += r[i].saw_fault > 0;
    CHECK_EQ(faults, n);
}

/* Every CPU maps and unmaps ranges of its own at the same time, next to each other's. */
static void map_own(void *arg)
{
    unsigned cpu = (unsigned)(uintptr_t)arg;

    pin(cpu);
    for (unsigned i = 0; i < 60; i++) {
        size_t n = 1 + (i + cpu) % 5;
        volatile uint64_t *va = vmap_alloc(n);

        if (!va)
            panic("no memory for a mapping");
        for (size_t k = 0; k < n; k++)
            va[k * PAGE_SIZE / 8] = cpu * 1000UL + i;
        for (size_t k = 0; k < n; k++)
            if (va[k * PAGE_SIZE / 8] != cpu * 1000UL + i)
                complain("CPU %u reads what another wrote into its range", cpu);
        vmap_free((void *)(uintptr_t)va, n);
    }
}

static void test_all_cpus_map_and_unmap_at_the_same_time(void)
{
    struct thread *t[CPUS_MAX];

    for (unsigned i = 0; i < nr_cpus(); i++)
        t[i] = start(PRIO_NORMAL, map_own, (void *)(uintptr_t)i);
    join_all(t, nr_cpus());
}

/* --- storms: what one CPU allocates another checks and frees --- */

#define SHELVES 24
#define ROUNDS 1200

enum kind { HEAP, PAGES, VMAP };

struct piece {
    enum kind kind;
    unsigned order, words;
    uint64_t seed;
    uint64_t content[];
};

static struct piece *shelves[SHELVES];

/* NULL: memory is out. */
static struct piece *make_piece(uint32_t random)
{
    unsigned order = random / 16 % 3;
    size_t bytes = sizeof(struct piece) + 8 + random / 64 % 3000;
    struct piece *p;
    enum kind kind;

    if (random % 16 == 0) {
        kind = VMAP;
        p = vmap_alloc(1UL << order);
    } else if (random % 16 < 5) {
        kind = PAGES;
        p = page_alloc_order(order);
    } else {
        kind = HEAP;
        p = heap_alloc(bytes);
    }
    if (!p)
        return NULL;
    if (kind != HEAP)
        bytes = PAGE_SIZE << order;
    *p = (struct piece){kind, order, (unsigned)((bytes - sizeof(*p)) / 8), random};
    for (unsigned i = 0; i < p->words; i++)
        p->content[i] = p->seed * 77 + i;
    return p;
}

static void check_and_free(struct piece *p)
{
    for (unsigned i = 0; i < p->words; i++)
        if (p->content[i] != p->seed * 77 + i) {
            complain("word %u of a piece changed, kind %d", i, (int)p->kind);
            break;
        }
    if (p->kind == VMAP)
        vmap_free(p, 1UL << p->order);
    else if (p->kind == PAGES)
        page_free_order(p, p->order);
    else
        heap_free(p);
}

static void trade(void *arg)
{
    unsigned cpu = (unsigned)(uintptr_t)arg;
    uint32_t random = cpu * 77777 + 1;

    pin(cpu % nr_cpus());
    for (unsigned i = 0; i < ROUNDS; i++) {
        unsigned shelf = next_random(&random) % SHELVES;
        struct piece *mine = make_piece(next_random(&random));
        struct piece *old = atomic_exchange(&shelves[shelf], mine);

        if (!mine)
            complain("out of memory");
        if (old)
            check_and_free(old);
    }
}

static void test_memory_is_allocated_on_one_cpu_and_freed_on_another(void)
{
    struct thread *t[2 * CPUS_MAX];
    unsigned n = nr_cpus() + 2;

    for (unsigned i = 0; i < n; i++)
        t[i] = start(PRIO_NORMAL, trade, (void *)(uintptr_t)i);
    join_all(t, n);
    for (unsigned i = 0; i < SHELVES; i++) {
        struct piece *p = atomic_exchange(&shelves[i], NULL);

        if (p)
            check_and_free(p);
    }
}

const struct test_case memory_cases[] = {
    CASE(all_cpus_map_and_unmap_at_the_same_time),
    CASE(memory_is_allocated_on_one_cpu_and_freed_on_another),
};
const size_t nr_memory_cases = ARRAY_SIZE(memory_cases);

const struct test_case pair_memory_cases[] = {
    CASE(what_is_unmapped_is_gone_on_all_cpus),
};
const size_t nr_pair_memory_cases = ARRAY_SIZE(pair_memory_cases);
