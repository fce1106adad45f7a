/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory: page tables by hypercall, page by page and in batches.
 *
 *   mem.update_va            update_va_mapping: one page of ours becomes read-only or writable; no
 *                            flush
 *   mem.update_va.flush      the same with INVLPG on all CPUs
 *   mem.mmu_update.N         N such changes in one mmu_update
 *   mem.tlb_flush.local      mmuext_op: this CPU's TLB; .all: that of every CPU of the domain
 *   mem.map, mem.unmap       one page by the kernel's arch_map and arch_unmap (which flushes)
 *   mem.vmap.alloc, .free    a page and its mapping from the kernel's vmap area, as for a stack
 *   mem.demand_fault         a write where nothing is mapped; the handler maps a page by
 *                            update_va_mapping, and the write succeeds. .handler: of it, up to the
 *                            handler
 *   mem.decrease, .populate  a page unmapped and given back to Xen; one asked for and mapped in its
 *                            place
 */
#include <stdint.h>
#include <arch/hypercall.h>
#include <arch/page.h>
#include <arch/trap.h>
#include <xen/memory.h>
#include <xen/xen.h>
#include "apps/pvbench/bare.h"
#include "apps/pvbench/handler.h"
#include "apps/pvbench/probes.h"
#include "apps/pvbench/tables.h"
#include "kernel/page.h"
#include "kernel/vmap.h"

#define NO_MEMORY "no memory"
#define BATCH_MAX 512

HANDLER static long update_va(uintptr_t va, uint64_t entry, unsigned long flags)
{
    return bare4(__HYPERVISOR_update_va_mapping, va, entry, flags, 0);
}

static void run_update_va(struct run *r)
{
    char *page = vmap_alloc(1);
    uint64_t entry, machine;

    if (page == NULL) {
        run_give_up(r, NO_MEMORY);
        return;
    }
    *page = 1;
    entry = *entry_of((uintptr_t)page, &machine);
    while (run_more(r)) {
        uint64_t begin = stamp();

        if (update_va((uintptr_t)page, entry ^ ENTRY_WRITE, run_arg(r)) != 0)
            run_give_up(r, "Xen refused the entry");
        run_sample(r, 0, begin, stamp());
        entry ^= ENTRY_WRITE;
    }
    (void)update_va((uintptr_t)page, entry | ENTRY_WRITE, UVMF_INVLPG | UVMF_ALL);
    vmap_free(page, 1);
}

/* The same page, (n) times in one call: each time another entry, so that none is a repetition. */
static void fill_updates(struct mmu_update *u, const char *area, unsigned long n, uint64_t toggle)
{
    for (unsigned long i = 0; i < n; i++) {
        uintptr_t va = (uintptr_t)area + i * PAGE_SIZE;
        uint64_t machine, entry = *entry_of(va, &machine);

        u[i] = (struct mmu_update){.ptr = machine | MMU_NORMAL_PT_UPDATE, .val = entry ^ toggle};
    }
}

static void run_mmu_update(struct run *r)
{
    static struct mmu_update update[BATCH_MAX];
    unsigned long n = run_arg(r);
    char *area = vmap_alloc(n);
    bool writable = true;

    if (area == NULL) {
        run_give_up(r, NO_MEMORY);
        return;
    }
    fill_updates(update, area, n, ENTRY_WRITE);
    while (run_more(r)) {
        uint64_t begin = stamp();

        if (bare4(__HYPERVISOR_mmu_update, (uintptr_t)update, n, 0, DOMID_SELF) != 0)
            run_give_up(r, "Xen refused the entries");
        run_sample(r, 0, begin, stamp());
        writable = !writable;
        for (unsigned long i = 0; i < n; i++)
            update[i].val ^= ENTRY_WRITE;
    }
    if (!writable)
        (void)bare4(__HYPERVISOR_mmu_update, (uintptr_t)update, n, 0, DOMID_SELF);
    vmap_free(area, n);
}

static void run_flush(struct run *r)
{
    struct mmuext_op op = {.cmd = (unsigned)run_arg(r)};

    while (run_more(r)) {
        uint64_t begin = stamp();

        if (bare4(__HYPERVISOR_mmuext_op, (uintptr_t)&op, 1, 0, DOMID_SELF) != 0)
            run_give_up(r, "Xen refused the flush");
        run_sample(r, 0, begin, stamp());
    }
}

static void run_map(struct run *r)
{
    char *page = vmap_alloc(1);
    pfn_t pfn;

    if (page == NULL) {
        run_give_up(r, NO_MEMORY);
        return;
    }
    pfn = arch_mapped_pfn((uintptr_t)page);
    while (run_more(r)) {
        uint64_t begin = stamp(), middle;
        int rc;

        arch_unmap((uintptr_t)page, 1);
        middle = stamp();
        rc = arch_map((uintptr_t)page, &pfn, 1, PROT_RW);
        run_sample(r, 0, middle, stamp());
        run_sample(r, 1, begin, middle);
        if (rc != 0)
            run_give_up(r, NO_MEMORY);
    }
    vmap_free(page, 1);
}

static void run_vmap(struct run *r)
{
    while (run_more(r)) {
        uint64_t begin = stamp(), middle;
        void *page = vmap_alloc(1);

        middle = stamp();
        if (page == NULL) {
            run_give_up(r, NO_MEMORY);
            return;
        }
        run_sample(r, 0, begin, middle);
        begin = stamp();
        vmap_free(page, 1);
        run_sample(r, 1, begin, stamp());
    }
}

/* ---- demand fault ---- */

static uintptr_t wanted;
static uint64_t wanted_entry;
static volatile uint64_t faulted;

HANDLER static bool on_fault(struct regs *regs)
{
    faulted = stamp();
    (void)regs;
    return trap_fault_address() == wanted && update_va(wanted, wanted_entry, UVMF_NONE) == 0;
}

static void run_demand(struct run *r)
{
    volatile char *page = vmap_alloc(1);
    uint64_t machine;

    if (page == NULL) {
        run_give_up(r, NO_MEMORY);
        return;
    }
    wanted = (uintptr_t)page;
    *page = 1;
    wanted_entry = *entry_of(wanted, &machine);
    trap_hook(TRAP_PAGE_FAULT, on_fault);
    while (run_more(r)) {
        uint64_t begin, end;

        (void)update_va(wanted, 0, UVMF_INVLPG | UVMF_ALL);
        begin = stamp();
        *page = 1;
        end = stamp();
        run_sample(r, 0, begin, end);
        run_sample(r, 1, begin, faulted);
    }
    trap_hook(TRAP_PAGE_FAULT, NULL);
    vmap_free((void *)wanted, 1);
}

/* ---- reservation ---- */

/* The frame behind (page), which is unmapped, goes back to Xen. */
static bool give_back(void *page, xen_pfn_t mfn)
{
    struct xen_memory_reservation op = {.nr_extents = 1, .domid = DOMID_SELF};

    set_xen_guest_handle(op.extent_start, &mfn);
    return update_va((uintptr_t)page, 0, UVMF_INVLPG | UVMF_ALL) == 0 &&
           hypercall_memory(XENMEM_decrease_reservation, &op) == 1;
}

/* Another one takes its place: its number, or 0. */
static xen_pfn_t ask_for(void *page, uint64_t flags)
{
    xen_pfn_t frame = virt_to_pfn(page);
    struct xen_memory_reservation op = {.nr_extents = 1, .domid = DOMID_SELF};

    set_xen_guest_handle(op.extent_start, &frame);
    if (hypercall_memory(XENMEM_populate_physmap, &op) != 1)
        return 0;
    ((uint64_t *)P2M_BASE)[virt_to_pfn(page)] = frame;
    return update_va((uintptr_t)page, frame << PAGE_SHIFT | flags, UVMF_NONE) == 0 ? frame : 0;
}

static void run_reservation(struct run *r)
{
    void *page = page_alloc();
    uint64_t machine, entry, flags;
    xen_pfn_t mfn;

    if (page == NULL) {
        run_give_up(r, NO_MEMORY);
        return;
    }
    entry = *entry_of((uintptr_t)page, &machine);
    flags = entry & ~ENTRY_FRAME;
    mfn = (entry & ENTRY_FRAME) >> PAGE_SHIFT;
    while (run_more(r)) {
        uint64_t begin = stamp(), middle;

        if (!give_back(page, mfn)) {
            run_give_up(r, "Xen does not take the page");
            return; /* whose it is is not known any more: it is lost */
        }
        middle = stamp();
        mfn = ask_for(page, flags);
        if (mfn == 0) {
            run_give_up(r, "Xen has no page");
            return;
        }
        run_sample(r, 0, begin, middle);
        run_sample(r, 1, middle, stamp());
    }
    page_free(page);
}

const struct probe mem_probes[] = {
    PROBE(run_update_va, UVMF_NONE, NULL, NS("mem.update_va")),
    PROBE(run_update_va, UVMF_INVLPG | UVMF_ALL, NULL, NS("mem.update_va.flush")),
    PROBE(run_mmu_update, 1, NULL, NS("mem.mmu_update.1")),
    PROBE(run_mmu_update, 8, NULL, NS("mem.mmu_update.8")),
    PROBE(run_mmu_update, 64, NULL, NS("mem.mmu_update.64")),
    PROBE(run_mmu_update, 512, NULL, NS("mem.mmu_update.512")),
    PROBE(run_flush, MMUEXT_TLB_FLUSH_LOCAL, NULL, NS("mem.tlb_flush.local")),
    PROBE(run_flush, MMUEXT_TLB_FLUSH_ALL, NULL, NS("mem.tlb_flush.all")),
    PROBE(run_map, 0, NULL, NS("mem.map"), NS("mem.unmap")),
    PROBE(run_vmap, 0, NULL, NS("mem.vmap.alloc"), NS("mem.vmap.free")),
    PROBE(run_demand, 0, NULL, NS("mem.demand_fault"), NS("mem.demand_fault.handler")),
    PROBE(run_reservation, 0, NULL, NS("mem.decrease"), NS("mem.populate")),
};
PROBES_END(mem_probes);
