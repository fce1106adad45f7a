/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hypercalls, one at a time between two stamps.
 *
 *   hypercall.unknown       a number that Xen does not know, by a bare SYSCALL: the way into the
 *                           hypervisor and back, the least that any hypercall can take
 *   hypercall.bare          xen_version by a bare SYSCALL: the least that this one can take
 *   hypercall.null          xen_version by the kernel's wrapper: its excess over the one above is
 *                           ours
 *   hypercall.yield         sched_op(yield); with nobody else to run it returns at once
 *   hypercall.timer         set_timer_op, a second ahead. After each, unmeasured, the kernel's own
 *                           timer is made to fire, which puts the deadline right again
 *   hypercall.multicall.N   N xen_versions in one multicall, all of it
 */
#include <stdint.h>
#include <arch/hypercall.h>
#include <xen/sched.h>
#include <xen/version.h>
#include "apps/pvbench/bare.h"
#include "apps/pvbench/probes.h"
#include "kernel/time.h"

#define CALLS_MAX 64

static void run_bare(struct run *r)
{
    while (run_more(r)) {
        uint64_t begin = stamp();

        (void)bare2(run_arg(r), XENVER_version, 0);
        run_sample(r, 0, begin, stamp());
    }
}

static void run_null(struct run *r)
{
    while (run_more(r)) {
        uint64_t begin = stamp();

        (void)hypercall_version(XENVER_version, NULL);
        run_sample(r, 0, begin, stamp());
    }
}

static void run_yield(struct run *r)
{
    while (run_more(r)) {
        uint64_t begin = stamp();

        (void)hypercall_sched(SCHEDOP_yield, NULL);
        run_sample(r, 0, begin, stamp());
    }
}

static void do_nothing(struct timer *t)
{
    (void)t;
}

static void run_timer(struct run *r)
{
    struct timer again;

    timer_init(&again, do_nothing);
    while (run_more(r)) {
        nsec_t ahead = time_now() + NSEC_PER_SEC;
        uint64_t begin = stamp();

        (void)bare2(__HYPERVISOR_set_timer_op, ahead, 0);
        run_sample(r, 0, begin, stamp());
        timer_set(&again, 1); /* the first in line: it fires at once, and the next one is armed */
    }
    (void)timer_cancel(&again);
}

static void run_multicall(struct run *r)
{
    static struct multicall_entry call[CALLS_MAX];

    while (run_more(r)) {
        uint64_t begin;

        for (unsigned i = 0; i < run_arg(r); i++)
            call[i] =
                (struct multicall_entry){.op = __HYPERVISOR_xen_version, .args = {XENVER_version}};
        begin = stamp();
        if (bare2(__HYPERVISOR_multicall, (uintptr_t)call, run_arg(r)) != 0)
            run_give_up(r, "Xen refused the multicall");
        run_sample(r, 0, begin, stamp());
    }
}

const struct probe hypercall_probes[] = {
    PROBE(run_bare, BARE_UNKNOWN, NULL, NS("hypercall.unknown")),
    PROBE(run_bare, __HYPERVISOR_xen_version, NULL, NS("hypercall.bare")),
    PROBE(run_null, 0, NULL, NS("hypercall.null")),
    PROBE(run_yield, 0, NULL, NS("hypercall.yield")),
    PROBE(run_timer, 0, NULL, NS("hypercall.timer")),
    PROBE(run_multicall, 1, NULL, NS("hypercall.multicall.1")),
    PROBE(run_multicall, 8, NULL, NS("hypercall.multicall.8")),
    PROBE(run_multicall, 64, NULL, NS("hypercall.multicall.64")),
};
PROBES_END(hypercall_probes);
