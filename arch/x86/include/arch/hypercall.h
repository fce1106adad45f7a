/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * THE CONTRACT, hypercalls: one typed function each. All return 0 or a count >= 0, or -errno in
 * our numbering (lib/base/errno.h): Xen's numbers end here. Any context, unless Xen's header of
 * the operation says otherwise. Arguments must be populated memory (Xen returns -EFAULT).
 */
#ifndef ARCH_HYPERCALL_H
#define ARCH_HYPERCALL_H

#include <stddef.h>
#include <stdint.h>

/* xen/event_channel.h: EVTCHNOP_* with its struct. */
int hypercall_evtchn(unsigned op, void *arg);

/* xen/grant_table.h: GNTTABOP_*, (count) structs; each struct's own status is the caller's. */
int hypercall_grant(unsigned op, void *arg, unsigned count);

/* xen/sched.h: SCHEDOP_*. */
int hypercall_sched(unsigned op, void *arg);

/* xen/vcpu.h: VCPUOP_*. */
int hypercall_vcpu(unsigned op, unsigned vcpu, void *arg);

/* xen/memory.h: XENMEM_*. */
long hypercall_memory(unsigned op, void *arg);

/* xen/version.h: XENVER_*. */
int hypercall_version(unsigned op, void *arg);

/* xen/xen.h: CONSOLEIO_write; -EPERM for a domU on a release hypervisor. */
int hypercall_console(const char *text, size_t len);

/* Hypercalls made so far, of all CPUs, whatever the layer. */
uint64_t hypercall_count(void);

/* End the domain: SHUTDOWN_*. Does not return. */
_Noreturn void hypercall_shutdown(unsigned reason);

#endif
