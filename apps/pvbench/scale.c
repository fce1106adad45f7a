/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The heap on several CPUs.
 *
 *   malloc.scale.N   threads on N CPUs take and free 64 pieces of 16 to 1024 bytes each in turn:
 *                    how often in a second, all together
 */
#include <stdlib.h>
#include "apps/pvbench/together.h"

#define PIECES 64

static void take_and_free(void *arg)
{
    void *piece[PIECES];

    (void)arg;
    for (unsigned i = 0; i < PIECES; i++)
        piece[i] = malloc(16U << i % 7);
    __asm__ volatile("" : : "r"(piece) : "memory"); /* they exist */
    for (unsigned i = 0; i < PIECES; i++)
        free(piece[i]);
}

static void run_scale(struct run *r)
{
    run_together(r, (unsigned)run_arg(r), take_and_free, NULL);
}

const struct probe scale_probes[] = {
    PROBE(run_scale, 1, NULL, PER_SECOND("malloc.scale.1")),
    PROBE(run_scale, 2, absent_second_cpu, PER_SECOND("malloc.scale.2")),
    PROBE(run_scale, 4, absent_fourth_cpu, PER_SECOND("malloc.scale.4")),
};
PROBES_END(scale_probes);
