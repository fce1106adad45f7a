/* SPDX-License-Identifier: BSD-2-Clause */
/* The upcall mask where every CPU is a thread of the host: a flag each. */
#ifndef ARCH_IRQ_IMPL_H
#define ARCH_IRQ_IMPL_H

extern __thread bool race_irq_on;

static inline irqstate_t irq_save(void)
{
    irqstate_t was = race_irq_on;

    race_irq_on = false;
    return was;
}

static inline void irq_restore(irqstate_t state)
{
    race_irq_on = state;
}

static inline bool irq_enabled(void)
{
    return race_irq_on;
}

#endif
