/* SPDX-License-Identifier: BSD-2-Clause */
/* The lists of probes, one for each file of them; registry.c puts them in order. */
#ifndef PVBENCH_LISTS_H
#define PVBENCH_LISTS_H

#include "apps/pvbench/probe.h"

#define PROBES(list)                  \
    extern const struct probe list[]; \
    extern const unsigned nr_##list
#define PROBES_END(list) const unsigned nr_##list = sizeof(list) / sizeof(list[0])

/* An entry of a list: function, argument, what may be absent (or NULL), series. */
#define NS(name_)                     \
    {                                 \
        .name = (name_), .unit = "ns" \
    }
#define PER_SECOND_OF(name_, unit_)                    \
    {                                                  \
        .name = (name_), .unit = (unit_), .more = true \
    }
#define PER_SECOND(name_) PER_SECOND_OF(name_, "1/s")
#define PROBE(run_, arg_, absent_, ...)                                              \
    {                                                                                \
        .run = (run_), .arg = (arg_), .absent = (absent_), .series = { __VA_ARGS__ } \
    }

PROBES(floor_probes);
PROBES(hypercall_probes);
PROBES(trap_probes);
PROBES(mem_probes);
PROBES(evtchn_probes);
PROBES(clock_probes);
PROBES(thread_probes);
PROBES(lock_probes);
PROBES(malloc_probes);
PROBES(scale_probes);
PROBES(smp_probes);
PROBES(grant_probes);
PROBES(peer_probes);
PROBES(xenstore_probes);
PROBES(blk_probes);
PROBES(frame_probes);
PROBES(net_probes);

#endif
