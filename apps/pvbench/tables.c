/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/pvbench/tables.h"

#include <stdint.h>
#include <arch/page.h>
#include <xen/xen.h>

static const uint64_t *table_at(uint64_t mfn)
{
    const uint64_t *m2p = (const uint64_t *)MACH2PHYS_VIRT_START;

    return pfn_to_virt(m2p[mfn]);
}

const uint64_t *entry_of(uintptr_t va, uint64_t *machine)
{
    const uint64_t *entry;
    uint64_t at;

    __asm__("mov %%cr3, %0" : "=r"(at)); /* Xen answers */
    for (unsigned shift = 39;; shift -= 9) {
        unsigned i = va >> shift & 511;

        entry = &table_at((at & ENTRY_FRAME) >> PAGE_SHIFT)[i];
        *machine = (at & ENTRY_FRAME) + i * sizeof(*entry);
        if (shift == PAGE_SHIFT)
            return entry;
        at = *entry;
    }
}
