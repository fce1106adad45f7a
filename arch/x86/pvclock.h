/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The pvclock (xen/xen.h, struct vcpu_time_info) as a reader sees it: a stamp that Xen may be
 * changing, and the time at (tsc), from what the time was at an earlier value and how fast the TSC
 * runs.
 */
#ifndef ARCH_X86_PVCLOCK_H
#define ARCH_X86_PVCLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <xen/xen.h>
#include "lib/base/atomic.h"

#define PVCLOCK_TRIES 1000

/* A copy of (src), and the TSC that goes with it. False: its version was odd, or changed, each of
 * PVCLOCK_TRIES times. */
static inline bool pvclock_sample(const struct vcpu_time_info *src, uint64_t (*tsc_read)(void),
                                  struct vcpu_time_info *copy, uint64_t *tsc)
{
    for (int i = 0; i < PVCLOCK_TRIES; i++) {
        uint32_t version = load_acquire(&src->version);

        *copy = *(const volatile struct vcpu_time_info *)src;
        *tsc = tsc_read();
        compiler_fence();
        if ((version & 1) == 0 && load_acquire(&src->version) == version)
            return true;
    }
    return false;
}

/* An emulated TSC counts from the domain's creation, and Xen's stamp may be older: it has wrapped
 * below zero then, so only the difference tells which came first. A (tsc) before the stamp gives
 * the time of the stamp. No scale is too odd: what is shifted out is lost. Nanoseconds. */
static inline uint64_t pvclock_extrapolate(const struct vcpu_time_info *t, uint64_t tsc)
{
    int64_t since = (int64_t)(tsc - t->tsc_timestamp);
    uint64_t delta = since > 0 ? (uint64_t)since : 0;
    int shift = t->tsc_shift;

    delta = shift >= 0 ? delta << (shift & 63) : delta >> (-shift & 63);
    return t->system_time + (uint64_t)((unsigned __int128)delta * t->tsc_to_system_mul >> 32);
}

#endif
