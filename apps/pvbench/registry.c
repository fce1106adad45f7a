/* SPDX-License-Identifier: BSD-2-Clause */
/* All probes in the order in which they run: from the bare processor to whole packets. */
#include "apps/pvbench/lists.h"

#define LIST(list)       \
    {                    \
        list, &nr_##list \
    }

static const struct {
    const struct probe *probe;
    const unsigned *n;
} lists[] = {
    LIST(floor_probes),  LIST(hypercall_probes), LIST(trap_probes),   LIST(mem_probes),
    LIST(evtchn_probes), LIST(clock_probes),     LIST(thread_probes), LIST(lock_probes),
    LIST(malloc_probes), LIST(scale_probes),     LIST(smp_probes),    LIST(grant_probes),
    LIST(peer_probes),   LIST(xenstore_probes),  LIST(blk_probes),    LIST(frame_probes),
    LIST(net_probes),
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
