/* SPDX-License-Identifier: BSD-2-Clause */
/* CPUID as Xen wants a PV guest to see it: by the forced-emulation prefix. */
#ifndef ARCH_X86_CPUFEATURE_H
#define ARCH_X86_CPUFEATURE_H

#include <stdint.h>

#define CPUID1_ECX_XSAVE (1u << 26)
#define CPUID1_ECX_RDRAND (1u << 30)
#define CPUID7_EBX_FSGSBASE (1u << 0)
#define CPUID7_EBX_RDSEED (1u << 18)

struct cpuid {
    uint32_t eax, ebx, ecx, edx;
};

static inline struct cpuid cpuid(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid r = {.eax = leaf, .ecx = subleaf};

    /* ud2a; "xen"; cpuid: trapped and answered by Xen, whatever the CPU would say. */
    __asm__ volatile(".byte 0x0f, 0x0b, 0x78, 0x65, 0x6e; cpuid"
                     : "+a"(r.eax), "=b"(r.ebx), "+c"(r.ecx), "=d"(r.edx));
    return r;
}

#endif
