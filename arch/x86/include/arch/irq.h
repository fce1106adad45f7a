/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * THE CONTRACT, upcalls: the mask that keeps this CPU's event upcall away. The only owner of
 * the mask bit. Inline because spinlocks use it.
 */
#ifndef ARCH_IRQ_H
#define ARCH_IRQ_H

#include <stdbool.h>

typedef bool irqstate_t; /* true: upcalls were enabled */

/* Mask upcalls, return what was. Nests by keeping the returned value. */
static inline irqstate_t irq_save(void);

/* Back to (state); pending upcalls are delivered before it returns. */
static inline void irq_restore(irqstate_t state);

static inline bool irq_enabled(void);

#include <arch/irq_impl.h>

#endif
