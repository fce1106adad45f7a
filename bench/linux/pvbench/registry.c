/* SPDX-License-Identifier: BSD-2-Clause */
/* The probes that a Linux guest can run too, under the same names. */
#include "apps/pvbench/lists.h"

PROBES(module_probes);
PROBES(contended_probes);
PROBES(disk_probes);

static const struct {
    const struct probe *probe;
    const unsigned *n;
} lists[] = {
    {floor_probes, &nr_floor_probes},
    {module_probes, &nr_module_probes},
    {contended_probes, &nr_contended_probes},
    {malloc_probes, &nr_malloc_probes},
    {scale_probes, &nr_scale_probes},
    {disk_probes, &nr_disk_probes},
    {net_probes, &nr_net_probes},
};

const struct probe *probe_get(unsigned i)
{
    for (unsigned l = 0; l < sizeof(lists) / sizeof(lists[0]); l++) {
        if (i < *lists[l].n)
            return &lists[l].probe[i];
        i -= *lists[l].n;
    }
    return NULL;
}
