/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory of host tests, made so that the address sanitizer sees mistakes: kernel/heap.h is the
 * host's malloc, and pages of kernel/page.c are poisoned while they are free. The kernel's own
 * functions are there under the names kernel_page_... and kernel_heap_....
 */
#include "kernel/heap.h"
#include "kernel/page.h"

#include <arch/cpu.h>
#include <malloc.h>
#include <sanitizer/asan_interface.h>
#include <stdlib.h>
#include <string.h>
#include "tests/host/hostarch.h"
#include "tests/host/test.h"

void *kernel_page_alloc_run(size_t n);
void *kernel_page_alloc_order(unsigned order);
void kernel_page_free_order(void *page, unsigned order);
void kernel_page_free_run(void *first, size_t n);

bool host_pages_from_malloc;
static size_t malloc_pages;

/* ---- kernel/page.h ---- */

static void *unpoison(void *p, size_t pages)
{
    if (p != NULL)
        ASAN_UNPOISON_MEMORY_REGION(p, pages * PAGE_SIZE);
    return p;
}

void *page_alloc_order(unsigned order)
{
    return unpoison(kernel_page_alloc_order(order), (size_t)1 << order);
}

void *page_alloc_run(size_t n)
{
    return unpoison(kernel_page_alloc_run(n), n);
}

void *page_alloc(void)
{
    if (!host_pages_from_malloc)
        return page_alloc_order(0);
    malloc_pages++;
    return aligned_alloc(PAGE_SIZE, PAGE_SIZE);
}

void *page_alloc_zeroed(void)
{
    void *page = page_alloc();

    return page == NULL ? NULL : memset(page, 0, PAGE_SIZE);
}

void page_free_order(void *page, unsigned order)
{
    kernel_page_free_order(page, order);
    ASAN_POISON_MEMORY_REGION(page, PAGE_SIZE << order);
}

void page_free_run(void *first, size_t n)
{
    kernel_page_free_run(first, n);
    ASAN_POISON_MEMORY_REGION(first, n * PAGE_SIZE);
}

void page_free(void *page)
{
    if (!host_pages_from_malloc) {
        page_free_order(page, 0);
        return;
    }
    malloc_pages--;
    free(page);
}

/* ---- kernel/heap.h ---- */

static struct heap_stats stats;

static void *account(void *p)
{
    stats.allocations++;
    stats.in_use += p == NULL ? 0 : malloc_usable_size(p);
    return p;
}

void heap_init(void)
{
}

void *heap_alloc_aligned(size_t align, size_t size)
{
    void *p;

    return posix_memalign(&p, align < 16 ? 16 : align, size) == 0 ? account(p) : NULL;
}

void *heap_alloc(size_t size)
{
    if (size > (size_t)1 << 40) /* the sanitizer would end the process */
        return NULL;
    return account(malloc(size));
}

void *heap_alloc_zeroed(size_t size)
{
    void *p = heap_alloc(size);

    return p == NULL ? NULL : memset(p, 0, size);
}

void heap_free(void *p)
{
    stats.in_use -= p == NULL ? 0 : malloc_usable_size(p);
    free(p);
}

void *heap_resize(void *p, size_t size)
{
    void *new = heap_alloc(size);

    if (new == NULL || p == NULL)
        return new;
    memcpy(new, p, MIN(malloc_usable_size(p), size));
    heap_free(p);
    return new;
}

size_t heap_size_of(const void *p)
{
    return malloc_usable_size((void *)(uintptr_t)p);
}

void heap_trim(void)
{
}

void heap_get_stats(struct heap_stats *out)
{
    *out = stats;
}

/* ---- before and after every test ---- */

static void memory_setup(void)
{
    page_add(0, host_ram_pages);
    ASAN_POISON_MEMORY_REGION(pfn_to_virt(0), host_ram_pages * PAGE_SIZE);
}
SETUP(10, memory_setup)

static long count_pages(void)
{
    return (long)page_count_free() - (long)malloc_pages;
}
CENSUS("free pages", count_pages)

static long count_bytes(void)
{
    return (long)stats.in_use;
}
CENSUS("heap bytes", count_bytes)
