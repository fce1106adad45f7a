/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The demand-mapped area: ranges of addresses outside the direct map, with guard pages. Owns the
 * addresses from VMAP_BASE; used for thread stacks and large allocations.
 */
#ifndef KERNEL_VMAP_H
#define KERNEL_VMAP_H

#include <stddef.h>
#include "lib/base/macros.h"

/* (n) fresh pages mapped read-write side by side, an unmapped guard page on each side.
 * NULL when memory is out. Thread context. */
void *vmap_alloc(size_t n) MUST_CHECK;
/* Unmap and free what vmap_alloc returned for the same (n). */
void vmap_free(void *va, size_t n);

/* The name of the guard that (addr) hits, for crash reports: true and the range it guards. */
#include <stdbool.h>
#include <stdint.h>
bool vmap_is_guard(uintptr_t addr, uintptr_t *start, uintptr_t *end);

#endif
