/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Page tables and machine frames, by hypercall: the only file that builds a page-table entry or
 * reads the p2m list.
 *
 * Xen checks every entry. A page is either writable somewhere or used as a page table, never
 * both, so a table is filled while it is still an ordinary page, then made read-only in the
 * direct map, then linked into its parent:
 *
 *      page_alloc -> fill -> read-only -> link            (link_table)
 *
 * Large regions are built table by table, never one hypercall per entry; small changes go through a
 * batch of mmu_update. Tables of the windows are kept for ever once made. RAM enters the direct map
 * when the page allocator asks for more, so that a boot does not wait for all of it.
 *
 * I1 An entry that is not present is exactly 0 (L1TF: Xen crashes domains that leave address bits).
 * I2 Nothing is both writable and executable.
 * I3 Every change of an entry is made with mm_lock held, once threads run.
 * I4 While there is RAM to come, the pages that its next piece needs are kept: mapping it takes
 *    none from the allocator, which has run out. Page tables are in mapped pieces, always.
 */
#include "arch/x86/mm.h"
#include <arch/cpu.h>
#include "arch/x86/pcpu.h"
#include "arch/x86/xenabi.h"
#include "kernel/cpumask.h"
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

#define NO_MEMORY "boot: out of memory for page tables; give the domain more memory="

#define TABLE_ENTRIES 512
#define TABLE_SPAN (TABLE_ENTRIES * PAGE_SIZE) /* what one L1 table maps: 2 MiB */

/* Image layout, from linker/paravane.lds.S. */
extern char image_text_start[], image_text_end[], image_rodata_end[];
extern char boot_stack_guard[], event_stack_guard[];

static uint64_t *const p2m = (uint64_t *)P2M_BASE;
static const uint64_t *const m2p = (const uint64_t *)MACH2PHYS_VIRT_START;
static uint64_t *l4;
static struct spinlock mm_lock = SPINLOCK_INIT;

/*
 * RAM arrives piece by piece. A piece is what one L1 table maps; those below (next) are mapped and
 * were given to the page allocator, which asks for another when it has too little. A piece needs
 * tables and struct pages before its own pages are there: the last one left (spare) for that (I4).
 */
#define PIECE_PAGES ((pfn_t)TABLE_ENTRIES)
#define NOTE_PAGES (PIECE_PAGES * sizeof(struct page) / PAGE_SIZE)
#define SPARES (NOTE_PAGES + 4) /* its L1 table; an L2 table; an L1 and an L2 table of MEMMAP */
#define WORTH (2 * SPARES)      /* pieces with fewer pages to give are left alone */
_Static_assert(PIECE_PAGES == 1UL << PAGE_ORDER_MAX, "a block lies in one piece");
_Static_assert(NOTE_PAGES *PAGE_SIZE == PIECE_PAGES * sizeof(struct page), "whole pages of notes");

struct pfn_range {
    pfn_t first, end; /* empty: first == end */
};

static struct {
    pfn_t next, end;
    struct pfn_range p2m_list, ramdisk; /* pages in use from the start */
    void *spare[SPARES];
    unsigned nr_spare;
    bool growing; /* tables come from (spare) */
} ram;

static bool fetch(void);
static struct page_promise promise = {.fetch = fetch};

/* At boot only: pages [early_next, early_end) of the builder's mapping are unused. */
static pfn_t early_next, early_end;

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

static bool grow(void);

static bool is_in(pfn_t pfn, const struct pfn_range *range)
{
    return pfn >= range->first && pfn < range->end;
}

/* The first page from (pfn) on that is not in use. */
static pfn_t skip_reserved(pfn_t pfn)
{
    while (is_in(pfn, &ram.p2m_list) || is_in(pfn, &ram.ramdisk))
        pfn = is_in(pfn, &ram.p2m_list) ? ram.p2m_list.end : ram.ramdisk.end;
    return pfn;
}

static void *early_page(void)
{
    early_next = skip_reserved(early_next);
    if (early_next >= early_end)
        panic(NO_MEMORY);
    return pfn_to_virt(early_next++);
}

/* NULL when memory is out. mm_lock is held, hence not by page_alloc: it would ask us for more. */
static void *table_page(void)
{
    void *page;

    if (early_end != 0)
        return early_page();
    if (ram.growing) {
        ASSERT(ram.nr_spare > 0); /* I4 */
        return ram.spare[--ram.nr_spare];
    }
    do {
        page = page_alloc_now();
    } while (!page && grow());
    return page;
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

/* --- RAM, piece by piece --- */

/* The p2m list is written at P2M_BASE only, and its own page tables lie among its pages. */
static uint64_t pte_of_ram(pfn_t pfn)
{
    return make_pte(p2m[pfn], is_in(pfn, &ram.p2m_list) ? PROT_R : PROT_RW);
}

static bool is_mapped(pfn_t piece)
{
    const uint64_t *entry = find_entry((uintptr_t)pfn_to_virt(piece), 2);

    return entry && (*entry & PTE_PRESENT);
}

static void link_piece(struct batch *b, pfn_t piece, uint64_t *table)
{
    for (pfn_t i = 0; i < PIECE_PAGES; i++)
        table[i] = piece + i < ram.end ? pte_of_ram(piece + i) : 0;
    link_table(b, (uintptr_t)pfn_to_virt(piece), 2, table);
}

/* The struct pages of (piece), all zero. */
static void map_notes(struct batch *b, pfn_t piece)
{
    uintptr_t va = MEMMAP_BASE + piece * sizeof(struct page);

    for (size_t i = 0; i < NOTE_PAGES; i++, va += PAGE_SIZE) {
        uint64_t *entry = need_entry(va, 1);
        void *page = memset(table_page(), 0, PAGE_SIZE);

        batch_add_own(b, entry_maddr(entry), make_pte(virt_to_gframe(page), PROT_RW));
    }
}

static size_t overlap(pfn_t first, pfn_t end, const struct pfn_range *range)
{
    first = MAX(first, range->first);
    end = MIN(end, range->end);
    return end > first ? end - first : 0;
}

/* Unused pages of (piece). */
static size_t count_unused(pfn_t piece)
{
    pfn_t end = MIN(piece + PIECE_PAGES, ram.end);

    return end - piece - overlap(piece, end, &ram.p2m_list) - overlap(piece, end, &ram.ramdisk);
}

/* How many its tables take, but for those that other pieces use as well. */
static size_t count_needed(pfn_t piece)
{
    return NOTE_PAGES + !is_mapped(piece);
}

static void skip_worthless(void)
{
    while (ram.next < ram.end && count_unused(ram.next) < WORTH)
        ram.next += PIECE_PAGES;
}

/* Give the unused pages of [pfn, end) to the allocator. */
static void hand_over(pfn_t pfn, pfn_t end)
{
    while ((pfn = skip_reserved(pfn)) < end) {
        pfn_t stop = end;

        if (ram.p2m_list.first > pfn)
            stop = MIN(stop, ram.p2m_list.first);
        if (ram.ramdisk.first > pfn)
            stop = MIN(stop, ram.ramdisk.first);
        page_add(pfn, stop - pfn);
        pfn = stop;
    }
}

/* I4, from the allocator; without a next piece all spares return to it. False: it has too little.
 */
static bool keep_spares(void)
{
    bool more = ram.next < ram.end;
    void *page;

    while (!more && ram.nr_spare > 0)
        page_free(ram.spare[--ram.nr_spare]);
    while (more && ram.nr_spare < SPARES && (page = page_alloc_now()) != NULL)
        ram.spare[ram.nr_spare++] = page;
    return !more || ram.nr_spare == SPARES;
}

/* Map (piece) and its struct pages. */
static void map_piece(pfn_t piece)
{
    static struct batch b;

    ram.growing = true;
    if (!is_mapped(piece)) {
        need_entry((uintptr_t)pfn_to_virt(piece), 2);
        link_piece(&b, piece, table_page());
    }
    map_notes(&b, piece);
    batch_flush_own(&b);
    ram.growing = false;
}

/* One more piece for the allocator; mm_lock is held. False: it has them all. */
static bool grow(void)
{
    pfn_t pfn = ram.next, end = MIN(pfn + PIECE_PAGES, ram.end);
    size_t unused = count_unused(pfn), needed = count_needed(pfn);

    if (pfn >= ram.end || !keep_spares())
        return false;
    map_piece(pfn);
    ram.next += PIECE_PAGES;
    skip_worthless();
    /* Small free blocks, if there are any, rather than this piece's. */
    while (!keep_spares() && (pfn = skip_reserved(pfn)) < end)
        page_add(pfn++, 1);
    hand_over(pfn, end);
    promise.pages -= unused;
    promise.tables = ram.next < ram.end ? promise.tables - needed : 0;
    return true;
}

static bool fetch(void)
{
    irqstate_t irq = spin_lock(&mm_lock);
    bool more = grow();

    spin_unlock(&mm_lock, irq);
    return more;
}

/* Map the piece that holds (pfn) now, out of turn. Before anybody else maps. */
static void reach(pfn_t pfn)
{
    pfn_t piece = ALIGN_DOWN(pfn, PIECE_PAGES);
    struct batch b = {.n = 0};
    void *table;

    if (is_mapped(piece))
        return;
    if (!need_entry((uintptr_t)pfn_to_virt(piece), 2) || !(table = table_page()))
        panic(NO_MEMORY);
    if (is_mapped(piece)) /* because table_page had it grow */
        page_free(table);
    else
        link_piece(&b, piece, table);
    batch_flush_own(&b);
}

/* --- boot --- */

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

/* W^X over everything the builder mapped from DIRECT_MAP_BASE; returns the page after it. */
static pfn_t protect_image(void)
{
    static struct batch b;
    uintptr_t va = DIRECT_MAP_BASE;
    uint64_t *entry;

    while ((entry = find_entry(va, 1)) != NULL && (*entry & PTE_PRESENT)) {
        batch_add_own(&b, entry_maddr(entry), image_pte(va, *entry));
        va += PAGE_SIZE;
    }
    batch_flush_own(&b);
    return virt_to_pfn((void *)va);
}

/* The builder leaves the p2m list executable (I2). Nothing else lies below its entry of level 3. */
static void protect_p2m(void)
{
    struct batch b = {.n = 0};
    const uint64_t *entry = find_entry(P2M_BASE, 3);

    batch_add_own(&b, entry_maddr(entry), *entry | PTE_NX);
    batch_flush_own(&b);
}
_Static_assert(P2M_BASE >> 30 != DIRECT_MAP_BASE >> 30, "the p2m list has an L3 entry of its own");

/* Tables are read through the direct map. Those of the p2m list lie behind what the builder mapped
 * there, and are reached level by level before anybody looks into them. */
static void reach_p2m_tables(void)
{
    for (pfn_t pfn = 0; pfn < ram.end; pfn += TABLE_SPAN / sizeof(*p2m))
        for (unsigned level = 3; level > 1; level--) {
            uint64_t entry = *find_entry((uintptr_t)&p2m[pfn], level);

            reach(m2p[(entry & PTE_FRAME) >> PAGE_SHIFT]);
        }
}

static void *boot_page(void)
{
    void *page = table_page();

    if (!page)
        panic(NO_MEMORY);
    return page;
}

/* p2m entries of pages that may come later say "no frame", up to the static maximum: the rest of
 * the last page by hand, whole pages by one shared page of all ones. */
static void extend_p2m(pfn_t max_pages)
{
    struct batch b = {.n = 0};
    uintptr_t tail = (uintptr_t)&p2m[ram.end], va = ALIGN_UP(tail, PAGE_SIZE);
    uintptr_t end = ALIGN_UP((uintptr_t)&p2m[max_pages], PAGE_SIZE);
    uint64_t leaf, *table;

    memset((void *)tail, 0xff, va - tail);
    if (va >= end)
        return;
    reach_p2m_tables();
    leaf = make_pte(virt_to_gframe(memset(boot_page(), 0xff, PAGE_SIZE)), PROT_R);
    for (; va < end && table_index(va, 1) != 0; va += PAGE_SIZE)
        batch_add_own(&b, entry_maddr(find_entry(va, 1)), leaf);
    for (; va < end; va += TABLE_SPAN) {
        need_entry(va, 2);
        table = boot_page();
        for (size_t i = 0; i < TABLE_ENTRIES; i++)
            table[i] = va + i * PAGE_SIZE < end ? leaf : 0;
        link_table(&b, va, 2, table);
    }
    batch_flush_own(&b);
}

/* Give the page allocator what the builder mapped behind page (unused): the first pages and the
 * piece by piece mapped ones that follow have struct pages. */
static void take_over(pfn_t unused, pfn_t mapped_end)
{
    static struct batch b;

    early_next = unused;
    early_end = MIN(mapped_end, ram.end);
    for (pfn_t piece = 0; piece < early_end; piece += PIECE_PAGES)
        map_notes(&b, piece);
    batch_flush_own(&b);
    ram.next = ALIGN_UP(early_end, PIECE_PAGES);
    skip_worthless();
    unused = early_next;
    mapped_end = early_end;
    early_end = 0;
    hand_over(unused, mapped_end);
    if (!keep_spares())
        panic(NO_MEMORY);
}

static struct pfn_range ramdisk_range(const struct start_info *si)
{
    pfn_t first =
        si->flags & SIF_MOD_START_PFN ? si->mod_start : virt_to_pfn((const void *)si->mod_start);

    if (si->mod_len == 0)
        return (struct pfn_range){0, 0};
    return (struct pfn_range){first, first + DIV_ROUND_UP(si->mod_len, PAGE_SIZE)};
}

#define XL_SLACK 256 /* pages that xl lets every domain have besides its maxmem */

static pfn_t maximum_pages(pfn_t nr_pages)
{
    domid_t self = DOMID_SELF;
    long max = hypercall_memory(XENMEM_maximum_reservation, &self);
    pfn_t room = (DIRECT_MAP_BASE - P2M_BASE) / sizeof(*p2m);

    return (pfn_t)max <= nr_pages + XL_SLACK || max < 0 ? nr_pages : MIN((pfn_t)max, room);
}

static void promise_the_rest(void)
{
    promise.pages = promise.tables = 0;
    for (pfn_t piece = ram.next; piece < ram.end; piece += PIECE_PAGES) {
        size_t unused = count_unused(piece);

        if (unused < WORTH)
            continue;
        promise.pages += unused;
        promise.tables += count_needed(piece);
    }
    promise.tables -= ram.nr_spare; /* the last piece gives them back */
    page_promise(&promise);
}

void mm_init(const struct start_info *si, uintptr_t first_unused, struct bootinfo *boot)
{
    l4 = (uint64_t *)si->pt_base;
    if (si->mfn_list != P2M_BASE)
        panic("boot: the domain builder ignored the INIT_P2M note (p2m list at %#lx)",
              (unsigned long)si->mfn_list);
    boot->nr_pages = si->nr_pages;
    boot->max_pages = boot->is_dom0 ? boot->nr_pages : maximum_pages(boot->nr_pages);
    ram.end = boot->nr_pages;
    ram.p2m_list = (struct pfn_range){si->first_p2m_pfn, si->first_p2m_pfn + si->nr_p2m_frames};
    ram.ramdisk = ramdisk_range(si);
    boot->ramdisk = si->mod_len ? pfn_to_virt(ram.ramdisk.first) : NULL;
    boot->ramdisk_len = si->mod_len;

    protect_p2m();
    take_over(virt_to_pfn((void *)ALIGN_UP(first_unused, PAGE_SIZE)), protect_image());
    for (pfn_t pfn = ram.ramdisk.first; pfn < ram.ramdisk.end; pfn++)
        reach(pfn);
    extend_p2m(boot->max_pages);
    promise_the_rest();
}

/* --- the contract: <arch/page.h> --- */

/* Of every CPU that may have used the tables. */
static void flush_tlb(void)
{
    struct mmuext_op op = {.cmd = MMUEXT_TLB_FLUSH_MULTI};

    set_xen_guest_handle(op.arg2.vcpumask, pcpu_started()->word);
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
    const uint64_t *entry;

    if (va < DIRECT_MAP_BASE) /* its tables may be out of reach */
        return va >= P2M_BASE && va < (uintptr_t)&p2m[ram.end];
    entry = find_entry(va, 1);

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
    reach_p2m_tables();
    visit_table(l4, 4, 0, fn, arg);
}

pfn_t arch_mapped_pfn(uintptr_t va)
{
    uint64_t *entry = find_entry(va, 1);

    return entry && (*entry & PTE_PRESENT) ? m2p[(*entry & PTE_FRAME) >> PAGE_SHIFT] : PFN_INVALID;
}
