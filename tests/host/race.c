/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The memory allocators on several CPUs at once: each CPU is a thread of the host, under the
 * thread sanitizer, which sees every access that no lock or atomic orders. CPUs hand objects
 * to each other, so memory is freed elsewhere than where it was allocated. Then with hardly more
 * pages than they use: no allocation may fail for what another CPU keeps. Prints nothing and
 * returns 0 when all is well.
 */
#include <arch/cpu.h>
#include <arch/irq.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "kernel/heap.h"
#include "kernel/page.h"
#include "kernel/spinlock.h"
#include "kernel/vmap.h"
#include "lib/base/assert.h"

#define CPUS 4
#define STEPS 20000
#define RAM_PAGES 4096UL
#define VMAP_PAGES 4096UL
#define KEPT 100
#define SHARED 64

void thread_preempt_check(void)
{
}

/* ---- the machine: one file is the memory ---- */

static int memory_fd;
static pfn_t mapped[VMAP_PAGES]; /* pfn + 1 */

static uintptr_t map_file(uintptr_t at, pfn_t pfn, size_t n)
{
    void *va = mmap((void *)at, n * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
                    memory_fd, (off_t)(pfn * PAGE_SIZE));

    ASSERT(va != MAP_FAILED);
    return (uintptr_t)va;
}

static uintptr_t reserve(size_t bytes, int prot)
{
    void *va = mmap(NULL, bytes, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    ASSERT(va != MAP_FAILED);
    return (uintptr_t)va;
}

static void machine_init(void)
{
    memory_fd = memfd_create("domain", 0);
    ASSERT(memory_fd >= 0 && ftruncate(memory_fd, (off_t)(RAM_PAGES * PAGE_SIZE)) == 0);
    host_direct_map = ALIGN_UP(reserve((RAM_PAGES + 2048) * PAGE_SIZE, PROT_NONE), 4UL << 20);
    map_file(host_direct_map, 0, RAM_PAGES);
    host_memmap = reserve(RAM_PAGES * sizeof(struct page), PROT_READ | PROT_WRITE);
    host_vmap = reserve(VMAP_PAGES * PAGE_SIZE, PROT_NONE);
    host_vmap_end = host_vmap + VMAP_PAGES * PAGE_SIZE;
}

int arch_map(uintptr_t va, const pfn_t *pfns, size_t n, enum prot prot)
{
    (void)prot;
    for (size_t i = 0; i < n; i++) {
        mapped[(va - host_vmap) / PAGE_SIZE + i] = pfns[i] + 1;
        map_file(va + i * PAGE_SIZE, pfns[i], 1);
    }
    return 0;
}

void arch_unmap(uintptr_t va, size_t n)
{
    memset(&mapped[(va - host_vmap) / PAGE_SIZE], 0, n * sizeof(pfn_t));
    ASSERT(mmap((void *)va, n * PAGE_SIZE, PROT_NONE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) != MAP_FAILED);
}

pfn_t arch_mapped_pfn(uintptr_t va)
{
    return mapped[(va - host_vmap) / PAGE_SIZE] - 1;
}

/* ---- the storm ---- */

static void *shared[SHARED];

struct object {
    unsigned char *p;
    size_t size;
};

static size_t random_size(unsigned *seed)
{
    unsigned kind = (unsigned)rand_r(seed) % 100;

    return 1 + (size_t)rand_r(seed) % (kind < 80 ? 300 : kind < 97 ? 4000 : 60000);
}

/* Allocate into (o), or check it and leave it for any CPU to free. */
static void step(struct object *o, unsigned char mark, unsigned *seed)
{
    if (o->p == NULL) {
        o->size = random_size(seed);
        o->p = heap_alloc(o->size);
        if (o->p != NULL)
            memset(o->p, mark, o->size);
        return;
    }
    ASSERT(o->p[0] == mark && o->p[o->size - 1] == mark);
    heap_free(__atomic_exchange_n(&shared[rand_r(seed) % SHARED], o->p, __ATOMIC_ACQ_REL));
    o->p = NULL;
}

static void map_and_free(size_t pages)
{
    void *va = vmap_alloc(pages), *run = page_alloc_run(pages);

    if (va != NULL) {
        memset(va, 1, pages * PAGE_SIZE);
        vmap_free(va, pages);
    }
    if (run != NULL)
        page_free_run(run, pages);
}

static void *cpu_main(void *arg)
{
    struct object mine[KEPT] = {{NULL, 0}};
    unsigned seed;

    race_cpu = (unsigned)(uintptr_t)arg;
    seed = race_cpu * 77 + 1;
    for (int i = 0; i < STEPS; i++) {
        unsigned slot = (unsigned)rand_r(&seed) % KEPT;

        step(&mine[slot], (unsigned char)(slot + race_cpu), &seed);
        if (i % 50 == 0)
            map_and_free(1 + (size_t)rand_r(&seed) % 20);
        if (i % 1000 == 0)
            heap_trim();
    }
    for (int i = 0; i < KEPT; i++)
        heap_free(mine[i].p);
    return NULL;
}

/* ---- the last pages: each CPU uses at most OWN, and all together have as many ---- */

#define OWN 24

static void swap_or_free(void **mine, unsigned *seed)
{
    if (rand_r(seed) % 3 == 0) { /* somebody else frees it, we his */
        *mine = __atomic_exchange_n(&shared[rand_r(seed) % SHARED], *mine, __ATOMIC_ACQ_REL);
        ASSERT(*mine != NULL);
        return;
    }
    page_free(*mine);
    *mine = NULL;
}

static void *use_last_pages(void *arg)
{
    void *mine[OWN] = {NULL};
    unsigned seed;

    race_cpu = (unsigned)(uintptr_t)arg;
    seed = race_cpu * 91 + 5;
    for (int i = 0; i < STEPS; i++) {
        void **slot = &mine[rand_r(&seed) % OWN];

        if (*slot != NULL) {
            swap_or_free(slot, &seed);
            continue;
        }
        *slot = page_alloc_now();
        if (*slot == NULL)
            panic("no page, while another CPU keeps some");
        memset(*slot, (int)race_cpu, 64);
        if (i % 500 == 0)
            page_trim();
    }
    for (int i = 0; i < OWN; i++)
        if (mine[i] != NULL)
            page_free(mine[i]);
    return NULL;
}

static void on_all_cpus(void *(*fn)(void *))
{
    pthread_t threads[CPUS];

    for (uintptr_t i = 0; i < CPUS; i++)
        ASSERT(pthread_create(&threads[i], NULL, fn, (void *)i) == 0);
    for (int i = 0; i < CPUS; i++)
        pthread_join(threads[i], NULL);
}

static void run_short(void)
{
    size_t before = page_count_free();
    void *page, *chain = NULL;

    for (int i = 0; i < SHARED; i++)
        ASSERT((shared[i] = page_alloc()) != NULL);
    while (page_count_free() > CPUS * OWN) {
        page = page_alloc_now();
        ASSERT(page != NULL);
        *(void **)page = chain;
        chain = page;
    }
    on_all_cpus(use_last_pages);
    ASSERT(page_count_free() == CPUS * OWN);
    for (int i = 0; i < SHARED; i++)
        page_free(shared[i]);
    for (; chain != NULL; chain = page) {
        page = *(void **)chain;
        page_free(chain);
    }
    ASSERT(page_count_free() == before);
}

int main(void)
{
    struct heap_stats stats;
    size_t kept;

    machine_init();
    page_add(0, RAM_PAGES);
    heap_init();
    for (unsigned cpu = 1; cpu < CPUS; cpu++)
        ASSERT(page_cpu_init(cpu) == 0);
    heap_get_stats(&stats);
    kept = stats.in_use;
    on_all_cpus(cpu_main);
    for (int i = 0; i < SHARED; i++)
        heap_free(shared[i]);
    heap_trim();
    heap_get_stats(&stats);
    ASSERT(stats.in_use == kept && stats.failures == 0);
    /* All came back but the caches of the other CPUs, a page each at most, and theirs of pages. */
    ASSERT(page_count_free() + CPUS + 1 > page_count_total());
    run_short();
    return 0;
}
