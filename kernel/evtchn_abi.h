/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What evtchn.c needs to know of an event channel ABI. Two implementations: evtchn_2l.c (bitmaps in
 * the shared info page) and evtchn_fifo.c (queues in memory of our own). Private to evtchn*.c.
 */
#ifndef KERNEL_EVTCHN_ABI_H
#define KERNEL_EVTCHN_ABI_H

#include <stdbool.h>
#include "kernel/evtchn.h"

struct evtchn_abi {
    const char *name;
    port_t nr_ports;

    /* Make this ABI the domain's, all ports masked. 0, or -errno: Xen has it not. */
    int (*init)(void);
    /* Before (cpu) other than 0 gets events. 0 or -errno. */
    int (*init_cpu)(unsigned cpu);
    /* Room for (port)'s state. 0 or -errno. Thread context. */
    int (*grow)(port_t port);
    /* A timer or IPI port: before all others, where there is an order. */
    void (*hasten)(port_t port);

    void (*mask)(port_t port);
    /* Unmask a port that is not pending: false when it is, and then it stays masked. */
    bool (*unmask_idle)(port_t port);
    bool (*is_pending)(port_t port);
    bool (*is_masked)(port_t port);
    void (*clear_pending)(port_t port);

    /* Call deliver(port) for ports with events for this CPU, each a bounded number of times.
     * Upcalls masked. */
    void (*scan)(unsigned cpu, void (*deliver)(port_t port));
};

extern const struct evtchn_abi evtchn_2l, evtchn_fifo;

#endif
