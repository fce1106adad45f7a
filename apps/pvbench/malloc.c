/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The heap.
 *
 *   malloc.SIZE   malloc and free of SIZE bytes, 16 pairs one after the other: a sixteenth. The
 *                 same piece comes back each time, so this is the shortest way
 */
#include <stdlib.h>
#include "apps/pvbench/lists.h"

/* The compiler knows that a piece that nobody uses need not exist. */
static inline void use(void *p)
{
    __asm__ volatile("" : : "r"(p) : "memory");
}

static void run_pairs(struct run *r)
{
    while (run_more(r)) {
        uint64_t begin = stamp();

        for (int i = 0; i < 16; i++) {
            void *p = malloc(run_arg(r));

            use(p);
            free(p);
        }
        run_batch(r, 0, begin, stamp(), 16);
    }
}

const struct probe malloc_probes[] = {
    PROBE(run_pairs, 64, NULL, NS("malloc.64")),
    PROBE(run_pairs, 1024, NULL, NS("malloc.1024")),
    PROBE(run_pairs, 16384, NULL, NS("malloc.16384")),
};
PROBES_END(malloc_probes);
