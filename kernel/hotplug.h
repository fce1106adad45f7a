/* SPDX-License-Identifier: BSD-2-Clause */
/* Which CPUs run is the toolstack's choice: cpu/N/availability, now and whenever it changes. */
#ifndef KERNEL_HOTPLUG_H
#define KERNEL_HOTPLUG_H

/* Bring up the CPUs that the domain was started with; without a xenstore all that exist. Thread
 * context, may block. */
void hotplug_init(void);
/* From now on follow the nodes. */
void hotplug_follow(void);

#endif
