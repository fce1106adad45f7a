/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Page tables and machine frames, by hypercall: the only file that builds a page-table entry or
 * reads the p2m list.
 *
 * Xen checks every entry. A page is either writable somewhere or used as a page table, never
 * both, so a table is filled while it is still an ordinary page, then made read-only in the
 * direct map, then linked into its parent:
 *
 *      page_alloc -> fill -> read-only -> link            (link_table, build_tables)
 *
 * Large regions are built table by table, never one hypercall per entry; small changes go through a
 * batch of mmu_update. Tables of the windows are kept for ever once made.
 *
 * I1 An entry that is not present is exactly 0 (L1TF: Xen crashes domains that leave address bits).
 * I2 Nothing is both writable and executable.
 * I3 Every change of an entry is made with mm_lock held, once threads run.
 */
#include "arch/x86/mm.h"
#include <arch/cpu.h>
#include "arch/x86/xenabi.h"
#include "kernel/page.h"
#include "kernel/spinlock.h"
#include "lib/base/assert.h"
#include "lib/base/errno.h"
#include "lib/base/string.h"
#include <arch/hypercall.h>
#include <xen/memory.h>

#define PTE_PRESENT 0x001UL
#define PTE_WRITE 0x002UL
#define PTE_USER 0x004UL
#define PTE_ACCESSED 0x020UL
#define PTE_DIRTY 0x040UL
#define PTE_SUPERPAGE 0x080UL
#define PTE_NX (1UL << 63)
#define PTE_FRAME 0x000ffffffffff000UL
/* Upper levels never restrict; L1 entries do. */
#define PTE_TABLE (PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_ACCESSED | PTE_DIRTY)

#define TABLE_ENTRIES 512
#define TABLE_SPAN (TABLE_ENTRIES * PAGE_SIZE) /* what one L1 table maps: 2 MiB */

/* Image layout, from linker/paravane.lds.S. */
extern char image_text_start[], image_text_end[], image_rodata_end[];
extern char boot_stack_guard[], event_stack_guard[];

static uint64_t *const p2m = (uint64_t *)P2M_BASE;
static const uint64_t *const m2p = (const uint64_t *)MACH2PHYS_VIRT_START;
static uint64_t *l4;
static struct spinlock mm_lock;

/* Until the page allocator runs: pages [early_next, early_end) minus the reserved ranges. */
static pfn_t early_next, early_end;
static const struct pfn_range *early_reserved;

static const uint64_t prot_bits[] = {
    [PROT_R] = PTE_PRESENT | PTE_ACCESSED | PTE_DIRTY | PTE_NX,
    [PROT_RW] = PTE_PRESENT | PTE_ACCESSED | PTE_DIRTY | PTE_NX | PTE_WRITE,
    [PROT_RX] = PTE_PRESENT | PTE_ACCESSED | PTE_DIRTY,
};

static uint64_t make_pte(uint64_t mfn, enum prot prot)
{
    return mfn << PAGE_SHIFT | prot_bits[prot];
}

void *mfn_to_virt(uint64_t mfn)
{
    return pfn_to_virt(m2p[mfn]);
}

gframe_t virt_to_gframe(const void *va)
{
    return p2m[virt_to_pfn(va)];
}

uint64_t mm_cr3(void)
{
    return virt_to_gframe(l4) << PAGE_SHIFT;
}

/* --- batches of page-table updates --- */

#define BATCH_MAX 64

struct batch {
    mmu_update_t update[BATCH_MAX];
    unsigned n;
};

/* 0 or -errno: the entries before the one that Xen refused are done. */
static int batch_flush(struct batch *b)
{
    unsigned n = b->n, done = 0;

    b->n = 0;
    if (n == 0)
        return 0;
    return (int)errno_from_xen(
        hypercall4(__HYPERVISOR_mmu_update, (uintptr_t)b->update, n, (uintptr_t)&done, DOMID_SELF));
}

/* Of our own pages: a refusal is our bug. */
static void batch_flush_own(struct batch *b)
{
    int rc = batch_flush(b);

    if (rc != 0)
        panic("mm: Xen refused a page-table update: %d", rc);
}

static int batch_add(struct batch *b, uint64_t entry_maddr, uint64_t value)
{
    b->update[b->n++] = (mmu_update_t){entry_maddr | MMU_NORMAL_PT_UPDATE, value};
    return b->n == BATCH_MAX ? batch_flush(b) : 0;
}

static void batch_add_own(struct batch *b, uint64_t entry_maddr, uint64_t value)
{
    if (batch_add(b, entry_maddr, value) != 0)
        panic("mm: Xen refused a page-table update");
}

/* --- walking --- */

static unsigned table_index(uintptr_t va, unsigned level)
{
    return va >> (PAGE_SHIFT + 9 * (level - 1)) & (TABLE_ENTRIES - 1);
}

/* The entry of (level) that maps (va), or NULL when a level above it is missing. */
static uint64_t *find_entry(uintptr_t va, unsigned level)
{
    uint64_t *table = l4;

    for (unsigned l = 4; l > level; l--) {
        uint64_t entry = table[table_index(va, l)];

        if (!(entry & PTE_PRESENT) || (entry & PTE_SUPERPAGE))
            return NULL;
        table = mfn_to_virt((entry & PTE_FRAME) >> PAGE_SHIFT);
    }
    return &table[table_index(va, level)];
}

static uint64_t entry_maddr(const uint64_t *entry)
{
    return virt_to_gframe(entry) << PAGE_SHIFT | ((uintptr_t)entry & (PAGE_SIZE - 1));
}

/* --- making tables --- */

/* After the reserved range that (pfn) lies in, if any. */
static pfn_t skip_reserved(pfn_t pfn)
{
    for (int i = 0; i < 2; i++)
        if (pfn >= early_reserved[i].first && pfn < early_reserved[i].end)
            return early_reserved[i].end;
    return pfn;
}

static void *early_page(void)
{
    early_next = skip_reserved(skip_reserved(early_next));
    if (early_next >= early_end)
        panic("boot: out of memory for page tables; give the domain more memory=");
    return pfn_to_virt(early_next++);
}

static void *table_page(void)
{
    return early_reserved ? early_page() : page_alloc();
}

/* Queue: the direct map no longer allows writing to (table). */
static void make_readonly(struct batch *b, const void *table)
{
    uint64_t *entry = find_entry((uintptr_t)table, 1);

    batch_add_own(b, entry_maddr(entry), make_pte(virt_to_gframe(table), PROT_R));
}

/* Queue: link (table), filled and no longer written to, as (level - 1) below the entry for (va). */
static void link_table(struct batch *b, uintptr_t va, unsigned level, const void *table)
{
    make_readonly(b, table);
    batch_add_own(b, entry_maddr(find_entry(va, level)),
                  virt_to_gframe(table) << PAGE_SHIFT | PTE_TABLE);
}

/* Make sure that the entry of (level) for (va) exists. NULL when memory is out. */
static uint64_t *need_entry(uintptr_t va, unsigned level)
{
    struct batch b = {.n = 0};

    for (unsigned l = 4; l > level; l--) {
        if (*find_entry(va, l) & PTE_PRESENT)
            continue;
        void *table = table_page();
        if (!table)
            return NULL;
        memset(table, 0, PAGE_SIZE);
        link_table(&b, va, l, table);
        batch_flush_own(&b);
    }
    return find_entry(va, level);
}

/*
 * Map pages [first, first + n) at (va), at boot: whole L1 tables are filled in place and linked in
 * batches. (pte_of) makes the entry of a page.
 */
static void build_tables(uintptr_t va, pfn_t first, size_t n, uint64_t (*pte_of)(pfn_t))
{
    static struct batch b;
    pfn_t pfn = first, end = first + n;

    while (pfn < end) {
        uint64_t *l2_entry = need_entry(va, 2);
        bool fresh = !(*l2_entry & PTE_PRESENT);
        uint64_t *l1 = fresh ? early_page() : find_entry(ALIGN_DOWN(va, TABLE_SPAN), 1);

        if (fresh)
            memset(l1, 0, PAGE_SIZE);
        do {
            uint64_t *entry = &l1[table_index(va, 1)];
            if (fresh)
                *entry = pte_of(pfn);
            else
                batch_add_own(&b, entry_maddr(entry), pte_of(pfn));
            pfn++;
            va += PAGE_SIZE;
        } while (pfn < end && table_index(va, 1) != 0);
        if (fresh)
            link_table(&b, va - PAGE_SIZE, 2, l1);
        /* The next tables may come from the pages that this one maps. */
        batch_flush_own(&b);
    }
}

/* --- boot --- */

/* The p2m list is written at P2M_BASE only, and its own page tables lie among its pages. */
static uint64_t pte_of_ram(pfn_t pfn)
{
    const struct pfn_range *list = &early_reserved[0];

    return make_pte(p2m[pfn], pfn >= list->first && pfn < list->end ? PROT_R : PROT_RW);
}

static uint64_t absent_leaf;

static uint64_t pte_of_absent_leaf(pfn_t pfn)
{
    (void)pfn;
    return absent_leaf;
}

/* What the builder's mapping of the image and the pages behind it should allow. */
static uint64_t image_pte(uintptr_t va, uint64_t old)
{
    uint64_t mfn = (old & PTE_FRAME) >> PAGE_SHIFT;

    if (va == (uintptr_t)boot_stack_guard || va == (uintptr_t)event_stack_guard)
        return 0;
    if (va >= (uintptr_t)image_text_start && va < (uintptr_t)image_text_end)
        return make_pte(mfn, PROT_RX);
    if (va < (uintptr_t)image_rodata_end || !(old & PTE_WRITE)) /* page tables are read-only */
        return make_pte(mfn, PROT_R);
    return make_pte(mfn, PROT_RW);
}

/* W^X over everything the builder mapped from DIRECT_MAP_BASE; returns the end of that. */
static uintptr_t protect_image(void)
{
    static struct batch b;
    uintptr_t va = DIRECT_MAP_BASE;
    uint64_t *entry;

    while ((entry = find_entry(va, 1)) != NULL && (*entry & PTE_PRESENT)) {
        batch_add_own(&b, entry_maddr(entry), image_pte(va, *entry));
        va += PAGE_SIZE;
    }
    batch_flush_own(&b);
    return va;
}

/* The builder leaves the p2m list executable (I2). Its tables can be read only through the finished
 * direct map. */
static void protect_p2m(void)
{
    static struct batch b;
    uintptr_t va = P2M_BASE;
    uint64_t *entry;

    while ((entry = find_entry(va, 1)) != NULL && (*entry & PTE_PRESENT)) {
        batch_add_own(&b, entry_maddr(entry), *entry | PTE_NX);
        va += PAGE_SIZE;
    }
    batch_flush_own(&b);
}

/* p2m entries of pages that may come later say "no frame", up to the static maximum: the rest of
 * the last page by hand, whole pages by one shared page of all ones. */
static void extend_p2m(pfn_t nr_pages, pfn_t max_pages)
{
    size_t per_page = PAGE_SIZE / sizeof(*p2m);
    pfn_t have = DIV_ROUND_UP(nr_pages, per_page), want = DIV_ROUND_UP(max_pages, per_page);

    for (pfn_t pfn = nr_pages; pfn < have * per_page; pfn++)
        p2m[pfn] = ~0UL;
    if (want <= have)
        return;
    void *ones = early_page();
    memset(ones, 0xff, PAGE_SIZE);
    absent_leaf = make_pte(virt_to_gframe(ones), PROT_R);
    build_tables(P2M_BASE + have * PAGE_SIZE, have, want - have, pte_of_absent_leaf);
}

static void build_memmap(pfn_t nr_pages)
{
    size_t n = DIV_ROUND_UP(nr_pages * sizeof(struct page), PAGE_SIZE);

    /* Run by run, since the reserved ranges may lie in between. */
    for (size_t i = 0; i < n;) {
        pfn_t first = virt_to_pfn(early_page());
        size_t run = 1;

        while (i + run < n && skip_reserved(early_next) == early_next && early_next < early_end) {
            early_page();
            run++;
        }
        memset(pfn_to_virt(first), 0, run * PAGE_SIZE);
        build_tables(MEMMAP_BASE + i * PAGE_SIZE, first, run, pte_of_ram);
        i += run;
    }
}

static struct pfn_range ramdisk_range(const struct start_info *si)
{
    pfn_t first =
        si->flags & SIF_MOD_START_PFN ? si->mod_start : virt_to_pfn((const void *)si->mod_start);

    if (si->mod_len == 0)
        return (struct pfn_range){0, 0};
    return (struct pfn_range){first, first + DIV_ROUND_UP(si->mod_len, PAGE_SIZE)};
}

static pfn_t maximum_pages(pfn_t nr_pages)
{
    domid_t self = DOMID_SELF;
    long max = hypercall_memory(XENMEM_maximum_reservation, &self);
    pfn_t room = (DIRECT_MAP_BASE - P2M_BASE) / sizeof(*p2m);

    return MAX(nr_pages, MIN((pfn_t)MAX(max, 0), room));
}

void mm_init(const struct start_info *si, uintptr_t first_unused, struct bootinfo *boot)
{
    l4 = (uint64_t *)si->pt_base;
    if (si->mfn_list != P2M_BASE)
        panic("boot: the domain builder ignored the INIT_P2M note (p2m list at %#lx)",
              (unsigned long)si->mfn_list);
    boot->nr_pages = si->nr_pages;
    boot->max_pages = boot->is_dom0 ? boot->nr_pages : maximum_pages(boot->nr_pages);
    boot->reserved[0] =
        (struct pfn_range){si->first_p2m_pfn, si->first_p2m_pfn + si->nr_p2m_frames};
    boot->reserved[1] = ramdisk_range(si);

    uintptr_t mapped_end = protect_image();
    pfn_t mapped = virt_to_pfn((void *)mapped_end);

    early_reserved = boot->reserved;
    early_next = virt_to_pfn((void *)ALIGN_UP(first_unused, PAGE_SIZE));
    early_end = MIN(mapped, boot->nr_pages);
    for (pfn_t pfn = mapped; pfn < boot->nr_pages;) {
        /* Chunks of what the pages mapped so far can hold tables for. */
        size_t n = MIN(boot->nr_pages - pfn, (size_t)16 * TABLE_ENTRIES);

        build_tables((uintptr_t)pfn_to_virt(pfn), pfn, n, pte_of_ram);
        pfn += n;
        early_end = pfn;
    }
    protect_p2m();
    extend_p2m(boot->nr_pages, boot->max_pages);
    build_memmap(boot->nr_pages);
}

void mm_end_of_boot(struct bootinfo *boot)
{
    boot->first_free = skip_reserved(skip_reserved(early_next));
    early_reserved = NULL;
}

/* --- the contract: <arch/page.h> --- */

static void flush_tlb(void)
{
    struct mmuext_op op = {.cmd = MMUEXT_TLB_FLUSH_ALL};

    if (hypercall4(__HYPERVISOR_mmuext_op, (uintptr_t)&op, 1, 0, DOMID_SELF) != 0)
        panic("mm: TLB flush refused");
}

static void clear_range(uintptr_t va, size_t n)
{
    struct batch b = {.n = 0};

    for (size_t i = 0; i < n; i++) {
        uint64_t *entry = find_entry(va + i * PAGE_SIZE, 1);

        if (entry && (*entry & PTE_PRESENT))
            batch_add_own(&b, entry_maddr(entry), 0); /* I1 */
    }
    batch_flush_own(&b);
    flush_tlb();
}

static int map_frame(struct batch *b, uintptr_t va, uint64_t mfn, enum prot prot)
{
    uint64_t *entry = need_entry(va, 1);

    return entry ? batch_add(b, entry_maddr(entry), make_pte(mfn, prot)) : -ENOMEM;
}

/* Exactly one of (pfns), (frames) is given. */
static int map_range(uintptr_t va, const pfn_t *pfns, const gframe_t *frames, size_t n,
                     enum prot prot)
{
    struct batch b = {.n = 0};
    irqstate_t irq = spin_lock(&mm_lock);
    int rc = 0;

    for (size_t i = 0; i < n && rc == 0; i++)
        rc = map_frame(&b, va + i * PAGE_SIZE, pfns ? p2m[pfns[i]] : frames[i], prot);
    if (rc == 0)
        rc = batch_flush(&b);
    if (rc != 0)
        clear_range(va, n);
    spin_unlock(&mm_lock, irq);
    return rc;
}

int arch_map(uintptr_t va, const pfn_t *pfns, size_t n, enum prot prot)
{
    return map_range(va, pfns, NULL, n, prot);
}

int arch_map_gframes(uintptr_t va, const gframe_t *frames, size_t n, enum prot prot)
{
    return map_range(va, NULL, frames, n, prot);
}

void arch_unmap(uintptr_t va, size_t n)
{
    irqstate_t irq = spin_lock(&mm_lock);

    clear_range(va, n);
    spin_unlock(&mm_lock, irq);
}

int arch_protect(uintptr_t va, size_t n, enum prot prot)
{
    struct batch b = {.n = 0};
    irqstate_t irq = spin_lock(&mm_lock);
    int rc = 0;

    for (size_t i = 0; i < n && rc == 0; i++) {
        uint64_t *entry = find_entry(va + i * PAGE_SIZE, 1);

        if (entry && (*entry & PTE_PRESENT))
            rc = batch_add(&b, entry_maddr(entry),
                           make_pte((*entry & PTE_FRAME) >> PAGE_SHIFT, prot));
    }
    if (rc == 0)
        rc = batch_flush(&b);
    flush_tlb();
    spin_unlock(&mm_lock, irq);
    return rc;
}

bool mm_is_mapped(uintptr_t va)
{
    const uint64_t *entry = find_entry(va, 1);

    return entry && (*entry & PTE_PRESENT);
}

/* The tables below (table) of (level), which maps from (va) on. */
static void visit_table(const uint64_t *table, unsigned level, uintptr_t va, mm_entry_fn *fn,
                        void *arg)
{
    uintptr_t span = PAGE_SIZE << 9 * (level - 1);

    for (unsigned i = 0; i < TABLE_ENTRIES && va < WINDOW_END; i++, va += span) {
        fn(va, table[i], level, arg);
        if (level > 1 && (table[i] & PTE_PRESENT))
            visit_table(mfn_to_virt((table[i] & PTE_FRAME) >> PAGE_SHIFT), level - 1, va, fn, arg);
    }
}

void mm_for_each_entry(mm_entry_fn *fn, void *arg)
{
    visit_table(l4, 4, 0, fn, arg);
}

pfn_t arch_mapped_pfn(uintptr_t va)
{
    uint64_t *entry = find_entry(va, 1);

    return entry && (*entry & PTE_PRESENT) ? m2p[(*entry & PTE_FRAME) >> PAGE_SHIFT] : PFN_INVALID;
}
