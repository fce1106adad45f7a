/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The heap: malloc for kernel and applications alike. Small sizes from slabs of one size class
 * with a cache per CPU, large ones from the page allocator or, when no contiguous pages are left,
 * from pages mapped side by side in the vmap area. Memory that is granted or passed to a hypercall
 * must come from page_alloc or be <= HEAP_CONTIGUOUS_MAX; all heap memory is populated.
 */
#ifndef KERNEL_HEAP_H
#define KERNEL_HEAP_H

#include <stddef.h>
#include "lib/base/macros.h"

#define HEAP_CONTIGUOUS_MAX 2048

void heap_init(void);

/* (size) bytes aligned to 16, or NULL. Thread or handler context. */
void *heap_alloc(size_t size) MUST_CHECK;
void *heap_alloc_zeroed(size_t size) MUST_CHECK;
/* (align): power of two. */
void *heap_alloc_aligned(size_t align, size_t size) MUST_CHECK;
/* As realloc: NULL leaves (p) alone. heap_resize(NULL, n) allocates. */
void *heap_resize(void *p, size_t size) MUST_CHECK;
/* NULL is harmless. */
void heap_free(void *p);
/* Bytes usable at (p). */
size_t heap_size_of(const void *p);
/* Give cached memory that nobody uses back to the page allocator. Any context. */
void heap_trim(void);

struct heap_stats {
    size_t in_use, allocations, failures;
};
void heap_get_stats(struct heap_stats *out);

#endif
