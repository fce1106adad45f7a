/* SPDX-License-Identifier: BSD-2-Clause */
/* The address space of the host's domain: ranges reserved at run time (hostarch.c). */
#ifndef ARCH_LAYOUT_H
#define ARCH_LAYOUT_H

#include <stdint.h>

extern uintptr_t host_direct_map, host_memmap, host_vmap, host_vmap_end, host_window;

#define DIRECT_MAP_BASE host_direct_map
#define MEMMAP_BASE host_memmap
#define VMAP_BASE host_vmap
#define VMAP_END host_vmap_end
#define WINDOW_BASE host_window
#define WINDOW_END (host_window + 0x20000000UL)

#define WINDOW_SHARED_INFO WINDOW_BASE
#define WINDOW_GRANT_TABLE (WINDOW_BASE + 0x10000000UL)

#endif
