/* SPDX-License-Identifier: BSD-2-Clause */
/* The upcall mask on the host: a flag. Unmasking delivers what is pending (hostarch.c). */
#ifndef ARCH_IRQ_IMPL_H
#define ARCH_IRQ_IMPL_H

extern bool host_irq_on, host_upcall_pending;
void host_deliver_upcalls(void);

static inline irqstate_t irq_save(void)
{
    irqstate_t was = host_irq_on;

    host_irq_on = false;
    return was;
}

static inline void irq_restore(irqstate_t state)
{
    host_irq_on = state;
    if (state && host_upcall_pending)
        host_deliver_upcalls();
}

static inline bool irq_enabled(void)
{
    return host_irq_on;
}

#endif
