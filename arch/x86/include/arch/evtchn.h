/* SPDX-License-Identifier: BSD-2-Clause */
/* THE CONTRACT, event channels: the two structures that Xen writes when an event is sent. */
#ifndef ARCH_EVTCHN_H
#define ARCH_EVTCHN_H

#include <xen/xen.h>

/* The domain's shared info page, mapped. Any context. */
struct shared_info *arch_shared_info(void);

/* What is registered with Xen as (cpu)'s vcpu_info, inside that CPU's own block. Any context. */
struct vcpu_info *arch_vcpu_info(unsigned cpu);

#endif
