/* SPDX-License-Identifier: BSD-2-Clause */
/* Several preempted threads allocate, fill, check and free pages, heap objects and vmap ranges. */
#include <arch/page.h>
#include "kernel/heap.h"
#include "kernel/page.h"
#include "kernel/vmap.h"
#include "kernel/wait.h"
#include "tests/guest/kernel-memory/cases.h"

#define THREADS 6
#define HELD 40
#define PLENTY SIZE_MAX /* pages: whatever there is */

struct piece {
    uint64_t *words;
    size_t n; /* words */
    uint64_t seed;
};

/* One way to allocate: at most (bytes), usually fewer. */
struct kind {
    void *(*take)(uint32_t random, size_t *bytes);
    void (*give)(void *p, size_t bytes);
    unsigned rounds;
};

struct worker {
    const struct kind *kind;
    uint32_t random;
    unsigned wrong, refused, taken;
};

static uint32_t next_random(struct worker *w)
{
    w->random = w->random * 1664525 + 1013904223;
    return w->random >> 8;
}

static void fill(struct piece *p, uint64_t seed)
{
    p->seed = seed;
    for (size_t i = 0; i < p->n; i++)
        p->words[i] = seed + i;
}

static bool intact(const struct piece *p)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->words[i] != p->seed + i)
            return false;
    return true;
}

static void replace(struct worker *w, struct piece *p)
{
    size_t bytes = 0;

    if (p->words) {
        w->wrong += !intact(p);
        w->kind->give(p->words, p->n * 8);
    }
    p->words = w->kind->take(next_random(w), &bytes);
    p->n = p->words ? bytes / 8 : 0;
    w->refused += p->words == NULL;
    w->taken += p->words != NULL;
    fill(p, (uint64_t)next_random(w) << 32);
}

/* Nobody takes memory before all threads are made. */
static struct waitq gate = WAITQ_INIT(gate);
static bool go;

static void work(void *arg)
{
    struct worker *w = arg;
    struct piece held[HELD] = {0};

    (void)!wait_until(&gate, load_acquire(&go), NEVER);
    for (unsigned i = 0; i < w->kind->rounds; i++)
        replace(w, &held[next_random(w) % HELD]);
    for (size_t i = 0; i < HELD; i++) {
        w->wrong += !intact(&held[i]);
        if (held[i].words)
            w->kind->give(held[i].words, held[i].n * 8);
    }
}

/* All free pages but (leave), as a chain. */
static void *hoard(size_t leave)
{
    void *chain = NULL, *page;

    heap_trim();
    while (page_count_free() > leave && (page = page_alloc()) != NULL) {
        *(void **)page = chain;
        chain = page;
    }
    return chain;
}

static void release(void *chain)
{
    for (void *page; chain; chain = page) {
        page = *(void **)chain;
        page_free(chain);
    }
}

/* The threads share at most (leave) free pages. */
static void run(const struct kind *kind, size_t leave, unsigned *wrong, unsigned *refused)
{
    struct worker w[THREADS];
    struct thread *t[THREADS];
    void *hoarded;

    store_relaxed(&go, false);
    for (size_t i = 0; i < THREADS; i++) {
        w[i] = (struct worker){.kind = kind, .random = (uint32_t)(i * 77777 + 1)};
        t[i] = start((enum prio)(PRIO_LOW + i % 2), work, &w[i]);
    }
    hoarded = hoard(leave);
    store_release(&go, true);
    waitq_wake_all(&gate);
    *wrong = *refused = 0;
    for (size_t i = 0; i < THREADS; i++) {
        thread_join(t[i]);
        *wrong += w[i].wrong;
        *refused += w[i].refused;
    }
    release(hoarded);
}

static void *take_pages(uint32_t random, size_t *bytes)
{
    unsigned order = random % 16 < 8 ? 0 : random % 16 < 14 ? 1 : random % 4;

    *bytes = PAGE_SIZE << order;
    return page_alloc_order(order);
}

static void give_pages(void *p, size_t bytes)
{
    page_free_order(p, (unsigned)__builtin_ctzl(bytes / PAGE_SIZE));
}

static void *take_heap(uint32_t random, size_t *bytes)
{
    *bytes = random % 32 == 0 ? random % 40000 & ~7U : random % 3000 & ~7U;
    *bytes += 8;
    return heap_alloc(*bytes);
}

static void give_heap(void *p, size_t bytes)
{
    (void)bytes;
    heap_free(p);
}

static void *take_vmap(uint32_t random, size_t *bytes)
{
    size_t n = 1 + random % 20;

    *bytes = n * PAGE_SIZE;
    return vmap_alloc(n);
}

static void give_vmap(void *p, size_t bytes)
{
    vmap_free(p, bytes / PAGE_SIZE);
}

static const struct kind pages = {take_pages, give_pages, 3000};
static const struct kind heap = {take_heap, give_heap, 6000};
static const struct kind vmap = {take_vmap, give_vmap, 250};

static void test_a_storm_of_pages_keeps_every_word(void)
{
    unsigned wrong, refused;

    run(&pages, PLENTY, &wrong, &refused);
    CHECK_EQ(wrong, 0);
    CHECK_EQ(refused, 0);
}

static void test_a_storm_of_heap_objects_keeps_every_word(void)
{
    unsigned wrong, refused;

    run(&heap, PLENTY, &wrong, &refused);
    CHECK_EQ(wrong, 0);
    CHECK_EQ(refused, 0);
}

static void test_a_storm_of_mapped_ranges_keeps_every_word(void)
{
    unsigned wrong, refused;

    run(&vmap, PLENTY, &wrong, &refused);
    CHECK_EQ(wrong, 0);
    CHECK(refused == 0 || page_count_total() < 4000);
}

/*
 * One thread alone would hold more: about 20 pages of heap objects, 70 of pages, 400 of ranges. So
 * some are refused even where the threads run one after the other.
 */
#define NEED_PAGES 12

static void test_storms_without_memory_are_refused_in_part_and_break_nothing(void)
{
    static const struct kind *const kinds[] = {&pages, &heap, &vmap};

    for (size_t i = 0; i < 3; i++) {
        unsigned wrong, refused;

        run(kinds[i], NEED_PAGES, &wrong, &refused);
        CHECK_EQ(wrong, 0);
        CHECK(refused > 0);
    }
}

/* A handler allocates while threads do, until it did so often enough: a slow machine has few ticks
 * in one storm. */
struct handler_user {
    struct timer timer;
    unsigned taken;
    volatile bool stop;
};

static void allocate_in_handler(struct timer *t)
{
    struct handler_user *u = CONTAINER_OF(t, struct handler_user, timer);
    void *page = page_alloc(), *object = heap_alloc(100), *large = heap_alloc(9000);

    u->taken += page && object && large;
    if (page)
        page_free(page);
    heap_free(object);
    heap_free(large);
    if (!u->stop)
        timer_set(t, time_now() + NSEC_PER_MSEC);
}

static void test_handlers_allocate_while_threads_do(void)
{
    struct handler_user u = {.stop = false};
    unsigned wrong = 0, refused;

    timer_init(&u.timer, allocate_in_handler);
    timer_set(&u.timer, time_now());
    for (unsigned storms = 0; storms < 100 && wrong == 0 && u.taken <= 10; storms++)
        run(&heap, PLENTY, &wrong, &refused);
    u.stop = true;
    (void)timer_cancel(&u.timer);
    CHECK_EQ(wrong, 0);
    CHECK(u.taken > 10);
}

const struct test_case storm_cases[] = {
    CASE(a_storm_of_pages_keeps_every_word),
    CASE(a_storm_of_heap_objects_keeps_every_word),
    CASE(a_storm_of_mapped_ranges_keeps_every_word),
    CASE(storms_without_memory_are_refused_in_part_and_break_nothing),
    CASE(handlers_allocate_while_threads_do),
};
const size_t nr_storm_cases = sizeof(storm_cases) / sizeof(storm_cases[0]);
