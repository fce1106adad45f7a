/* SPDX-License-Identifier: BSD-2-Clause */
/* The loops of grant.map, .unmap and .copy for a page that (domain) granted as (ref). */
#ifndef PVBENCH_FOREIGN_H
#define PVBENCH_FOREIGN_H

#include "apps/pvbench/probe.h"
#include "kernel/grant.h"

/* Series 0: mapping it, series 1: unmapping it. */
void foreign_map(struct run *r, domid_t domain, gref_t ref);
/* Series 0: copying 4096 bytes of it into a page of ours. */
void foreign_copy(struct run *r, domid_t domain, gref_t ref);

#endif
