/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * malloc is the kernel's heap. newlib's internal names (_malloc_r, ...) are the same functions: the
 * heap has its own locks. Sizes of zero give a unique pointer, as newlib's own malloc did; memory
 * is aligned to 16.
 */
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#include <arch/page.h>
#include "kernel/heap.h"

static void *or_enomem(void *p)
{
    if (p == NULL)
        errno = ENOMEM;
    return p;
}

/* No object is larger than a pointer difference can count. */
static size_t at_least_one(size_t size)
{
    return size == 0 ? 1 : size;
}

static bool too_large(size_t size)
{
    return size > PTRDIFF_MAX;
}

void *malloc(size_t size)
{
    return or_enomem(too_large(size) ? NULL : heap_alloc(at_least_one(size)));
}

void *calloc(size_t n, size_t size)
{
    size_t total;

    if (__builtin_mul_overflow(n, size, &total) || too_large(total))
        return or_enomem(NULL);
    return or_enomem(heap_alloc_zeroed(at_least_one(total)));
}

void *realloc(void *p, size_t size)
{
    return or_enomem(too_large(size) ? NULL : heap_resize(p, at_least_one(size)));
}

void free(void *p)
{
    heap_free(p);
}

void *memalign(size_t align, size_t size)
{
    if (!IS_POW2(align)) {
        errno = EINVAL;
        return NULL;
    }
    return or_enomem(too_large(size) ? NULL : heap_alloc_aligned(align, at_least_one(size)));
}

void *aligned_alloc(size_t align, size_t size)
{
    return memalign(align, size);
}

int posix_memalign(void **out, size_t align, size_t size)
{
    void *p;

    if (!IS_POW2(align) || align % sizeof(void *) != 0)
        return EINVAL;
    p = too_large(size) ? NULL : heap_alloc_aligned(align, at_least_one(size));
    if (p == NULL)
        return ENOMEM;
    *out = p;
    return 0;
}

void *valloc(size_t size)
{
    return memalign(PAGE_SIZE, size);
}

size_t malloc_usable_size(void *p)
{
    return p == NULL ? 0 : heap_size_of(p);
}

void *_malloc_r(struct _reent *r UNUSED, size_t size)
{
    return malloc(size);
}

void *_calloc_r(struct _reent *r UNUSED, size_t n, size_t size)
{
    return calloc(n, size);
}

void *_realloc_r(struct _reent *r UNUSED, void *p, size_t size)
{
    return realloc(p, size);
}

void _free_r(struct _reent *r UNUSED, void *p)
{
    heap_free(p);
}

void *_memalign_r(struct _reent *r UNUSED, size_t align, size_t size)
{
    return memalign(align, size);
}

size_t _malloc_usable_size_r(struct _reent *r UNUSED, void *p)
{
    return malloc_usable_size(p);
}
