/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The floor: what the processor takes without Xen, to judge all other figures by.
 *
 *   floor.rdtsc   the counter, read 100 times in a row: a hundredth of it. With an emulated TSC
 *                 (tsc_mode) each is a trap, and every figure of few nanoseconds is worthless
 *   floor.stamp   a time stamp as all probes take it (fences around it), 100 in a row
 *   floor.loop    1000 turns of an empty loop: a thousandth. It is time on this CPU and nothing
 *                 else: what its tail shows, the host has done
 */
#include "apps/pvbench/lists.h"

static void run_rdtsc(struct run *r)
{
    while (run_more(r)) {
        uint64_t begin = stamp();

        for (int i = 0; i < 100; i++)
            __asm__ volatile("rdtsc" : : : "rax", "rdx", "memory");
        run_batch(r, 0, begin, stamp(), 100);
    }
}

static void run_stamp(struct run *r)
{
    while (run_more(r)) {
        uint64_t begin = stamp();

        for (int i = 0; i < 100; i++)
            (void)stamp();
        run_batch(r, 0, begin, stamp(), 100);
    }
}

static void run_loop(struct run *r)
{
    while (run_more(r)) {
        uint64_t begin = stamp();

        for (int i = 0; i < 1000; i++)
            __asm__ volatile("" : : : "memory");
        run_batch(r, 0, begin, stamp(), 1000);
    }
}

const struct probe floor_probes[] = {
    PROBE(run_rdtsc, 0, NULL, NS("floor.rdtsc")),
    PROBE(run_stamp, 0, NULL, NS("floor.stamp")),
    PROBE(run_loop, 0, NULL, NS("floor.loop")),
};
PROBES_END(floor_probes);
