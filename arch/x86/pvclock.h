/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The arithmetic of the pvclock (xen/xen.h, struct vcpu_time_info): the time at (tsc), from what
 * the time was at an earlier value and how fast the TSC runs.
 */
#ifndef ARCH_X86_PVCLOCK_H
#define ARCH_X86_PVCLOCK_H

#include <stdint.h>
#include <xen/xen.h>

/* An emulated TSC counts from the domain's creation, and Xen's stamp may be older: it has wrapped
 * below zero then, so only the difference tells which came first. A (tsc) before the stamp gives
 * the time of the stamp. Nanoseconds. */
static inline uint64_t pvclock_extrapolate(const struct vcpu_time_info *t, uint64_t tsc)
{
    int64_t since = (int64_t)(tsc - t->tsc_timestamp);
    uint64_t delta = since > 0 ? (uint64_t)since : 0;
    int shift = t->tsc_shift;

    delta = shift >= 0 ? delta << (shift & 63) : delta >> (-shift & 63);
    return t->system_time + (uint64_t)((unsigned __int128)delta * t->tsc_to_system_mul >> 32);
}

#endif
