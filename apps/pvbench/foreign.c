/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Another domain's page, mapped and copied. Xen writes the entry of the page table itself, so the
 * address needs tables and an empty entry: those of a page from the vmap area, which is put back
 * afterwards.
 */
#include "apps/pvbench/foreign.h"

#include <stdint.h>
#include <arch/hypercall.h>
#include <arch/page.h>
#include <xen/grant_table.h>
#include "kernel/page.h"
#include "kernel/vmap.h"

void foreign_map(struct run *r, domid_t domain, gref_t ref)
{
    void *va = vmap_alloc(1);
    pfn_t own;

    if (va == NULL) {
        run_give_up(r, "no memory");
        return;
    }
    own = arch_mapped_pfn((uintptr_t)va);
    arch_unmap((uintptr_t)va, 1);
    while (run_more(r)) {
        struct gnttab_map_grant_ref map = {
            .host_addr = (uintptr_t)va, .flags = GNTMAP_host_map, .ref = ref, .dom = domain};
        struct gnttab_unmap_grant_ref unmap = {.host_addr = (uintptr_t)va};
        uint64_t begin = stamp(), middle;

        (void)hypercall_grant(GNTTABOP_map_grant_ref, &map, 1);
        middle = stamp();
        if (map.status != GNTST_okay) {
            run_give_up(r, "Xen does not map the grant");
            break;
        }
        run_sample(r, 0, begin, middle);
        unmap.handle = map.handle;
        begin = stamp();
        (void)hypercall_grant(GNTTABOP_unmap_grant_ref, &unmap, 1);
        run_sample(r, 1, begin, stamp());
        if (unmap.status != GNTST_okay) {
            run_give_up(r, "Xen does not unmap the grant");
            return; /* the address stays with the foreign page */
        }
    }
    if (arch_map((uintptr_t)va, &own, 1, PROT_RW) == 0)
        vmap_free(va, 1);
}

void foreign_copy(struct run *r, domid_t domain, gref_t ref)
{
    void *page = page_alloc_zeroed();

    if (page == NULL) {
        run_give_up(r, "no memory");
        return;
    }
    while (run_more(r)) {
        struct gnttab_copy op = {.source = {.u.ref = ref, .domid = domain},
                                 .dest = {.u.gmfn = virt_to_gframe(page), .domid = DOMID_SELF},
                                 .len = PAGE_SIZE,
                                 .flags = GNTCOPY_source_gref};
        uint64_t begin = stamp();

        (void)hypercall_grant(GNTTABOP_copy, &op, 1);
        run_sample(r, 0, begin, stamp());
        if (op.status != GNTST_okay)
            run_give_up(r, "Xen does not copy the grant");
    }
    page_free(page);
}
