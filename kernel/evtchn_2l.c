/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The two-level event channel ABI (xen/xen.h, "struct shared_info"): for each port a pending
 * and a mask bit, shared by all CPUs, and for each CPU a selector with one bit for each word of
 * pending bits. Xen sets pending, then, unless masked, the selector bit of the CPU the port is
 * bound to.
 *
 * One scan looks once at every selected word and once at every port in it, so that events which
 * never end cannot keep it in the loop; what arrives meanwhile causes an upcall of its own.
 * Scans start one word further each time, so that no port is always last.
 */
#include "kernel/evtchn_abi.h"

#include <arch/cpu.h>
#include <arch/evtchn.h>
#include <xen/event_channel.h>
#include "lib/base/atomic.h"

#define WORD_BITS 64
#define NR_WORDS (EVTCHN_2L_NR_CHANNELS / WORD_BITS)

static uint8_t first_word[CPU_MAX]; /* each its CPU's own */

static xen_ulong_t *pending_word(port_t port)
{
    return &arch_shared_info()->evtchn_pending[port / WORD_BITS];
}

static xen_ulong_t *mask_word(port_t port)
{
    return &arch_shared_info()->evtchn_mask[port / WORD_BITS];
}

static xen_ulong_t bit_of(port_t port)
{
    return 1UL << (port % WORD_BITS);
}

static int init(void)
{
    /* The domain builder leaves every port unmasked. */
    for (port_t port = 0; port < EVTCHN_2L_NR_CHANNELS; port += WORD_BITS)
        store_relaxed(mask_word(port), ~0UL);
    return 0;
}

static int init_cpu(unsigned cpu)
{
    (void)cpu;
    return 0;
}

static int grow(port_t port)
{
    (void)port;
    return 0;
}

static void hasten(port_t port)
{
    (void)port;
}

static void mask(port_t port)
{
    atomic_or(mask_word(port), bit_of(port));
}

static bool is_pending(port_t port)
{
    return load_acquire(pending_word(port)) & bit_of(port);
}

static bool is_masked(port_t port)
{
    return load_acquire(mask_word(port)) & bit_of(port);
}

static void clear_pending(port_t port)
{
    atomic_and(pending_word(port), ~bit_of(port));
}

static bool unmask_idle(port_t port)
{
    /* Atomics are full fences: Xen sets pending and looks at the mask, we do it the other way
     * round, so that at least one of us sees the other. */
    atomic_and(mask_word(port), ~bit_of(port));
    if (!is_pending(port))
        return true;
    mask(port);
    return false;
}

static void scan_word(unsigned word, void (*deliver)(port_t port))
{
    port_t base = word * WORD_BITS;
    xen_ulong_t bits = load_acquire(pending_word(base)) & ~load_acquire(mask_word(base));

    for (; bits != 0; bits &= bits - 1)
        deliver(base + (port_t)__builtin_ctzl(bits));
}

static void scan(unsigned cpu, void (*deliver)(port_t port))
{
    xen_ulong_t selected = atomic_exchange(&arch_vcpu_info(cpu)->evtchn_pending_sel, 0UL);
    unsigned first = first_word[cpu]++ % NR_WORDS;

    for (unsigned i = 0; selected != 0 && i < NR_WORDS; i++) {
        unsigned word = (first + i) % NR_WORDS;

        if (selected & (1UL << word))
            scan_word(word, deliver);
    }
}

const struct evtchn_abi evtchn_2l = {
    .name = "2l",
    .nr_ports = EVTCHN_2L_NR_CHANNELS,
    .init = init,
    .init_cpu = init_cpu,
    .grow = grow,
    .hasten = hasten,
    .mask = mask,
    .unmask_idle = unmask_idle,
    .is_pending = is_pending,
    .is_masked = is_masked,
    .clear_pending = clear_pending,
    .scan = scan,
};
