/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Large TCP segments (TCP segmentation offload) for lwIP, which knows none: where the backend of
 * the interface cuts them, a connection makes segments of up to 64 KiB, each of which costs one
 * pass through lwIP. The core lock is held in all calls.
 */
#ifndef LIB_NET_TSO_H
#define LIB_NET_TSO_H

#include <stdbool.h>
#include <stddef.h>
#include "lib/base/macros.h"
#include <lwip/tcp.h>

/* As lwIP's tcp_write, with segments as large as the connection's window and memory suggest: copies
 * the first bytes of (len) > 0, as many as complete a segment. (more) will follow at once. How many
 * it took; 0: no memory, or the connection takes none. */
size_t tso_write(struct tcp_pcb *pcb, const void *data, size_t len, bool more) MUST_CHECK;

#endif
