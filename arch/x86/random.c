/* SPDX-License-Identifier: BSD-2-Clause */
/* The CPU's random numbers: RDSEED where it exists, else RDRAND, else none. */
#include <arch/random.h>
#include "arch/x86/cpufeature.h"
#include "kernel/option.h"

/* Intel's advice for RDRAND; RDSEED may run dry for longer, then RDRAND answers. */
#define TRIES 10

static bool rdseed(uint64_t *out)
{
    bool ok;

    for (int i = 0; i < TRIES; i++) {
        __asm__ volatile("rdseed %0; setc %1" : "=r"(*out), "=qm"(ok) : : "cc");
        if (ok)
            return true;
    }
    return false;
}

static bool rdrand(uint64_t *out)
{
    bool ok;

    for (int i = 0; i < TRIES; i++) {
        __asm__ volatile("rdrand %0; setc %1" : "=r"(*out), "=qm"(ok) : : "cc");
        if (ok)
            return true;
    }
    return false;
}

bool arch_random(uint64_t *out)
{
    if (option_is_off(option_get("rdrand")))
        return false;
    if (cpuid(0, 0).eax >= 7 && (cpuid(7, 0).ebx & CPUID7_EBX_RDSEED) != 0 && rdseed(out))
        return true;
    return (cpuid(1, 0).ecx & CPUID1_ECX_RDRAND) != 0 && rdrand(out);
}
