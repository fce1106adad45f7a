/* SPDX-License-Identifier: BSD-2-Clause */
/* The upcall mask: one byte of this CPU's vcpu_info, in the per-CPU block. */
#ifndef ARCH_IRQ_IMPL_H
#define ARCH_IRQ_IMPL_H

#include <arch/cpu_impl.h>

/* Have Xen look at pending events now. */
void irq_force_upcall(void);

static inline bool irq_enabled(void)
{
    return PCPU_READ(info.evtchn_upcall_mask) == 0;
}

/* A thread that is moved between the two instructions was running with upcalls enabled, so what it
 * read is true on the new CPU as well. */
static inline irqstate_t irq_save(void)
{
    bool enabled = irq_enabled();

    PCPU_WRITE(info.evtchn_upcall_mask, 1);
    return enabled;
}

static inline void irq_restore(irqstate_t state)
{
    if (!state)
        return;
    PCPU_WRITE(info.evtchn_upcall_mask, 0);
    /* Unmask first, then look: an event between the two is delivered by Xen itself. */
    if (PCPU_READ(info.evtchn_upcall_pending))
        irq_force_upcall();
}

#endif
