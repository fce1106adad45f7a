/* SPDX-License-Identifier: BSD-2-Clause */
/* The upcall mask of tests/host/sched: a flag; who clears it takes what is pending (machine.c). */
#ifndef ARCH_IRQ_IMPL_H
#define ARCH_IRQ_IMPL_H

#include <arch/cpu.h>

void machine_unmask(void);

static inline irqstate_t irq_save(void)
{
    irqstate_t was = machine_cpu()->irq_on;

    machine_cpu()->irq_on = false;
    return was;
}

static inline void irq_restore(irqstate_t state)
{
    if (state)
        machine_unmask();
}

static inline bool irq_enabled(void)
{
    return machine_cpu()->irq_on;
}

#endif
