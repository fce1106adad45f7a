/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Event channels: ports, masks, dispatch. The only code that reads or writes event bitmaps.
 * Uses FIFO queues where Xen has them (paravane.evtchn=2l forces the two-level bitmaps).
 *
 * Every port is "late EOI": when its event arrives, the port is masked and its handler called;
 * it is delivered again only after evtchn_eoi. Events that found no work to do make the
 * next EOI wait longer (up to 1 s), so a storm costs a bounded share of the CPU.
 */
#ifndef KERNEL_EVTCHN_H
#define KERNEL_EVTCHN_H

#include <stdbool.h>
#include <stdint.h>
#include <arch/clock.h>
#include <xen/xen.h>
#include "lib/base/macros.h"

typedef uint32_t port_t;

#define PORT_NONE 0

/* Runs on the event stack, upcalls masked: short, no blocking, usually wakes a thread. */
typedef void evtchn_fn(port_t port, void *arg);

/* On CPU 0, with the heap ready; then once for every other CPU before anything is bound to it
 * (0 or -ENOMEM). */
void evtchn_init(void);
int evtchn_cpu_init(unsigned cpu) MUST_CHECK;
/* "fifo" or "2l". */
const char *evtchn_abi_name(void);

/* Each binds (fn, arg) to a new port, which is delivered at once (unmasked).
 * 0 or -errno: -ENOSPC when ports are out, -ENOMEM. Thread context. */
int evtchn_bind_virq(unsigned virq, unsigned cpu, evtchn_fn *fn, void *arg, port_t *out) MUST_CHECK;
int evtchn_bind_ipi(unsigned cpu, evtchn_fn *fn, void *arg, port_t *out) MUST_CHECK;
/* A port that domain (remote) may bind to. */
int evtchn_alloc_unbound(domid_t remote, evtchn_fn *fn, void *arg, port_t *out) MUST_CHECK;
int evtchn_bind_interdomain(domid_t remote, port_t remote_port, evtchn_fn *fn, void *arg,
                            port_t *out) MUST_CHECK;
/* A port that was made for us before boot (console, xenstore). */
int evtchn_adopt(port_t port, evtchn_fn *fn, void *arg) MUST_CHECK;

/* Deliver a port from alloc_unbound, bind_interdomain or adopt on another CPU (they start on
 * CPU 0). -EINVAL: (cpu) is not online. Thread context. */
int evtchn_set_cpu(port_t port, unsigned cpu) MUST_CHECK;

/* (cpu) went offline, and down: its ports are CPU 0's now, with what was pending; its timer and
 * interrupts wait for it. */
void evtchn_cpu_evacuate(unsigned cpu);

/* A port that is never delivered: (cpu) sleeps in evtchn_poll until somebody notifies it, also
 * before the call, or until (deadline). 0 or -errno as above. */
int evtchn_open_poll(unsigned cpu, port_t *out) MUST_CHECK;
/* Upcalls masked. */
void evtchn_poll(port_t port, nsec_t deadline);

/* After it returns the handler does not run and will not. Closes the port. Thread context. */
void evtchn_unbind(port_t port);

/* Kick the other end. Any context. -ENOTCONN and the like are only worth counting. */
int evtchn_notify(port_t port);

/* Allow delivery again after an event was handled. (worked): something was there to do since the
 * last EOI. Any context. Not needed for virq and ipi ports: those are re-armed on return. */
void evtchn_eoi(port_t port, bool worked);

/* Bound ports, for the census; upcalls and events seen so far. */
unsigned evtchn_count_bound(void);
struct evtchn_stats {
    uint64_t upcalls, events, spurious, delayed;
};
void evtchn_get_stats(struct evtchn_stats *out);

#endif
