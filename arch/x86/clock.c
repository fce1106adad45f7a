/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The pvclock (xen/xen.h, struct vcpu_time_info): Xen says what the time was at some TSC value and
 * how fast the TSC runs; we extrapolate. Per CPU, guarded by a version that is odd during updates.
 *
 * I1 clock_read never goes backwards, whatever Xen, the TSC and moves between CPUs do: unless Xen
 *    promises a TSC in step everywhere, every value is clamped to the largest one given out.
 * I2 No loop without a bound: a version that stays odd gives the last value.
 */
#include <arch/clock.h>
#include "arch/x86/pcpu.h"
#include "arch/x86/pvclock.h"
#include "arch/x86/setup.h"
#include "arch/x86/xenabi.h"
#include <arch/cpu.h>
#include <arch/irq.h>
#include <stdbool.h>
#include <xen/vcpu.h>
#include "lib/base/atomic.h"
#include "lib/base/macros.h"

#define FAR_AHEAD (1UL << 49) /* 6.5 days */
#define NSEC_PER_SEC 1000000000ULL

static const struct shared_info *shared;
static nsec_t last, entry;
static uint64_t entry_tsc;

static uint64_t tsc_read(void)
{
    uint32_t lo, hi;

    /* The fence keeps the TSC from being read before the version. */
    __asm__ volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
    return (uint64_t)hi << 32 | lo;
}

void clock_note_entry(void)
{
    entry_tsc = tsc_read();
}

/* What was spent waiting for a CPU of the host's, and (before it first ran, and while it was told
 * to be down, which is no theft) offline. */
static nsec_t not_running(const struct pcpu *cpu)
{
    const volatile struct vcpu_runstate_info *r = &cpu->runstate;

    return r->time[RUNSTATE_runnable];
}

void clock_init(const struct shared_info *s)
{
    struct vcpu_time_info scale = pcpu_self()->info.time;

    shared = s;
    scale.system_time = 0;
    scale.tsc_timestamp = entry_tsc;
    entry = clock_read() - pvclock_extrapolate(&scale, tsc_read());
}

nsec_t clock_entry(void)
{
    return entry;
}

/* This CPU's clock; upcalls masked, so that we stay on it. */
static bool read_here(nsec_t *now, bool *stable)
{
    struct vcpu_time_info copy;
    uint64_t tsc;

    if (!pvclock_sample(&pcpu_self()->info.time, tsc_read, &copy, &tsc))
        return false; /* I2 */
    *stable = (copy.flags & XEN_PVCLOCK_TSC_STABLE_BIT) != 0;
    *now = pvclock_extrapolate(&copy, tsc);
    return true;
}

nsec_t clock_read(void)
{
    irqstate_t irq = irq_save();
    nsec_t now, seen;
    bool stable = false, ok = read_here(&now, &stable);

    irq_restore(irq);
    seen = load_relaxed(&last);
    if (!ok)
        return seen;
    if (stable)
        return now;
    do { /* I1 */
        if (now <= seen)
            return seen;
    } while (!atomic_cmpxchg(&last, &seen, now));
    return now;
}

nsec_t clock_wall_base(void)
{
    for (int i = 0; i < PVCLOCK_TRIES; i++) {
        uint32_t version = load_acquire(&shared->wc_version);
        uint64_t sec = (uint64_t)shared->wc_sec_hi << 32 | shared->wc_sec;
        uint32_t nsec = shared->wc_nsec;

        compiler_fence();
        if ((version & 1) == 0 && load_acquire(&shared->wc_version) == version)
            return sec * NSEC_PER_SEC + nsec;
    }
    return 0;
}

void clock_arm(nsec_t deadline)
{
    /* A deadline more than 2^50 ns ahead is a mistake to Xen, which then fires every 100 ms; our
     * caller arms again when it is early. */
    hypercall1(__HYPERVISOR_set_timer_op, MIN(deadline, clock_read() + FAR_AHEAD));
}

nsec_t clock_steal(unsigned cpu)
{
    const struct pcpu *block = pcpu_of(cpu);

    return block ? not_running(block) : 0;
}
