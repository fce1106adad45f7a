/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The grant table, version 1 (xen/grant_table.h): an array of {flags, domid, frame} in frames that
 * Xen owns and we map at WINDOW_GRANT_TABLE. The first grant makes a frame of 512 entries; it grows
 * up to what Xen allows. For each frame there is one page of notes of our own, one note an entry:
 *
 *    free:        next free entry           \  chained by (next), which is never in shared memory
 *    quarantined: next one, and its page    /
 *    in use:      IN_USE
 *
 * I1, I2 as in grant.h.
 * I3 An entry is written frame and domain first, then, after a fence, its flags: what Xen sees is
 *    complete. It is ended by a compare-and-exchange of the flags that fails while Xen's "reading"
 *    or "writing" is set, so there is no moment between test and end.
 * I4 Entries below FIRST_REF are the toolstack's (console, xenstore) and never touched.
 *
 * Growing maps pages, which event handlers must not; so threads grow the table when few entries
 * are left, before handlers find none.
 */
#include "kernel/grant.h"

#include <arch/hypercall.h>
#include <arch/page.h>
#include <xen/grant_table.h>
#include "kernel/log.h"
#include "kernel/mutex.h"
#include "kernel/page.h"
#include "kernel/spinlock.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "lib/base/assert.h"
#include "lib/base/errno.h"

#define ENTRIES_PER_FRAME (PAGE_SIZE / sizeof(struct grant_entry_v1))
#define MAX_FRAMES 256 /* of ours; Xen's own default is 64 */
#define FIRST_REF GNTTAB_NR_RESERVED_ENTRIES
#define FEW_FREE 64

#define IN_USE (~0U)
#define NO_PAGE (~0U)

#define RETRY_PERIOD NSEC_PER_SEC
#define RETRY_BATCH 64
#define REVOKE_TRIES 64

struct note {
    uint32_t next;
    uint32_t pfn; /* quarantined: of the page to free, or NO_PAGE */
};
_Static_assert(sizeof(struct note) * ENTRIES_PER_FRAME == PAGE_SIZE, "a page of notes a frame");

static struct spinlock lock = SPINLOCK_INIT; /* all below */
static struct note *notes[MAX_FRAMES];
static unsigned nr_frames, max_frames = 1; /* until we asked */
static uint32_t free_head = GREF_NONE;
static unsigned nr_free, nr_used, nr_quarantined;
static uint32_t quarantine_head = GREF_NONE, quarantine_tail;

static struct mutex growing = MUTEX_INIT(growing);
static struct timer retry;
static void retry_quarantined(struct timer *t);

static struct grant_entry_v1 *entry_of(gref_t ref)
{
    return (struct grant_entry_v1 *)WINDOW_GRANT_TABLE + ref;
}

static struct note *note_of(gref_t ref)
{
    return &notes[ref / ENTRIES_PER_FRAME][ref % ENTRIES_PER_FRAME];
}

/* ---- the table's frames ---- */

/* Have Xen make the table (n) frames long; the last one's frame number. 0 or -errno. */
static int setup_table(unsigned n, gframe_t *last)
{
    xen_pfn_t *frames = page_alloc();
    struct gnttab_setup_table op = {.dom = DOMID_SELF, .nr_frames = n};
    int rc;

    if (frames == NULL)
        return -ENOMEM;
    set_xen_guest_handle(op.frame_list, frames);
    rc = hypercall_grant(GNTTABOP_setup_table, &op, 1);
    if (rc == 0 && op.status != GNTST_okay)
        rc = -ENOSPC;
    *last = frames[n - 1];
    page_free(frames);
    return rc;
}
_Static_assert(MAX_FRAMES * sizeof(xen_pfn_t) <= PAGE_SIZE, "setup_table's answer fits a page");

/* Frame number (i) is mapped: its entries become free, the lowest first in line. */
static void add_entries(unsigned i, struct note *page)
{
    gref_t first = (gref_t)(i * ENTRIES_PER_FRAME);
    irqstate_t state = spin_lock(&lock);

    notes[i] = page;
    for (gref_t ref = first + ENTRIES_PER_FRAME; ref-- > MAX(first, (gref_t)FIRST_REF);) { /* I4 */
        note_of(ref)->next = free_head;
        free_head = ref;
        nr_free++;
    }
    store_release(&nr_frames, i + 1);
    spin_unlock(&lock, state);
}

/* One frame more. Under (growing). 0, -ENOSPC or -ENOMEM. */
static int add_frame(void)
{
    unsigned i = nr_frames;
    struct note *page;
    gframe_t frame;
    int rc;

    if (i >= max_frames)
        return -ENOSPC;
    page = page_alloc();
    if (page == NULL)
        return -ENOMEM;
    rc = setup_table(i + 1, &frame);
    if (rc == 0)
        rc = arch_map_gframes(WINDOW_GRANT_TABLE + i * PAGE_SIZE, &frame, 1, PROT_RW);
    if (rc == 0)
        add_entries(i, page);
    else
        page_free(page);
    return rc;
}

/* Mapping pages and taking a mutex is allowed here. */
static bool may_grow(void)
{
    return !cpu_in_event() && irq_enabled() && cpu_preempt_count() == 0;
}

static unsigned query_max_frames(void)
{
    struct gnttab_query_size op = {.dom = DOMID_SELF};
    int rc = hypercall_grant(GNTTABOP_query_size, &op, 1);

    return rc == 0 && op.status == GNTST_okay ? MIN(op.max_nr_frames, MAX_FRAMES) : 1;
}

static void grow(void)
{
    mutex_lock(&growing);
    if (nr_frames == 0)
        max_frames = query_max_frames();
    if (load_relaxed(&nr_free) < FEW_FREE)
        (void)add_frame(); /* failure shows when an entry is wanted */
    mutex_unlock(&growing);
}

void grant_init(void)
{
    timer_init(&retry, retry_quarantined);
}

/* ---- entries ---- */

static gref_t take_entry(void)
{
    irqstate_t state = spin_lock(&lock);
    gref_t ref = free_head;

    if (ref != GREF_NONE) {
        free_head = note_of(ref)->next;
        note_of(ref)->next = IN_USE;
        nr_free--;
        nr_used++;
    }
    spin_unlock(&lock, state);
    return ref;
}

/* Under (lock). */
static void put_entry(gref_t ref)
{
    note_of(ref)->next = free_head;
    free_head = ref;
    nr_free++;
    nr_used--;
}

int grant_page(domid_t dom, const void *page, bool readonly, gref_t *out)
{
    gframe_t frame = virt_to_gframe(page);
    struct grant_entry_v1 *e;
    gref_t ref;

    if (frame != (uint32_t)frame)
        return -ENOSPC; /* version 1 names machine memory up to 16 TiB */
    if (load_relaxed(&nr_free) < FEW_FREE && load_relaxed(&nr_frames) < max_frames && may_grow())
        grow();
    ref = take_entry();
    if (ref == GREF_NONE)
        return -ENOSPC;
    e = entry_of(ref);
    store_relaxed(&e->frame, (uint32_t)frame);
    store_relaxed(&e->domid, dom);
    /* I3: pairs with Xen's reading of the flags before the rest. */
    store_release(&e->flags, (uint16_t)(GTF_permit_access | (readonly ? GTF_readonly : 0)));
    *out = ref;
    return 0;
}

/* I2, I3. A peer may map and unmap in a loop to make the exchange fail: then it is busy. */
static bool end_access(gref_t ref)
{
    struct grant_entry_v1 *e = entry_of(ref);
    uint16_t flags = load_relaxed(&e->flags);

    for (unsigned i = 0; i < REVOKE_TRIES; i++) {
        if (flags & (GTF_reading | GTF_writing))
            return false;
        if (atomic_cmpxchg(&e->flags, &flags, 0))
            return true;
    }
    return false;
}

static void check_in_use(gref_t ref)
{
    ASSERT(ref >= FIRST_REF && ref < load_acquire(&nr_frames) * ENTRIES_PER_FRAME);
    ASSERT(note_of(ref)->next == IN_USE);
}

int grant_revoke(gref_t ref)
{
    irqstate_t state;

    check_in_use(ref);
    if (!end_access(ref))
        return -EBUSY;
    state = spin_lock(&lock);
    put_entry(ref);
    spin_unlock(&lock, state);
    return 0;
}

/* ---- quarantine ---- */

/* At the end of the line. Under (lock). */
static void quarantine(gref_t ref)
{
    note_of(ref)->next = GREF_NONE;
    if (quarantine_head == GREF_NONE)
        quarantine_head = ref;
    else
        note_of(quarantine_tail)->next = ref;
    quarantine_tail = ref;
    nr_quarantined++;
}

/* Try the first in line once: its page is given back, or it goes to the end. Under (lock). */
static void retry_first(void)
{
    gref_t ref = quarantine_head;
    uint32_t pfn = note_of(ref)->pfn;

    quarantine_head = note_of(ref)->next;
    nr_quarantined--;
    if (!end_access(ref)) {
        quarantine(ref);
        return;
    }
    put_entry(ref);
    if (pfn != NO_PAGE)
        page_free(pfn_to_virt(pfn)); /* I1 */
}

static void retry_quarantined(struct timer *t)
{
    irqstate_t state = spin_lock(&lock);
    bool left;

    for (unsigned n = MIN(nr_quarantined, RETRY_BATCH); n > 0; n--)
        retry_first();
    left = nr_quarantined > 0;
    spin_unlock(&lock, state);
    if (left)
        timer_set(t, time_now() + RETRY_PERIOD);
}

static void revoke_later(gref_t ref, void *page)
{
    static struct log_limit limit;
    irqstate_t state = spin_lock(&lock);
    bool first = nr_quarantined == 0;

    note_of(ref)->pfn = page == NULL ? NO_PAGE : (uint32_t)virt_to_pfn(page);
    quarantine(ref);
    spin_unlock(&lock, state);
    if (first)
        timer_set(&retry, time_now() + RETRY_PERIOD);
    if (log_allowed(&limit))
        log_warn("grant: %u is still mapped by domain %u: kept", ref, entry_of(ref)->domid);
}

void grant_revoke_and_free(gref_t ref, void *page)
{
    if (grant_revoke(ref) != 0)
        revoke_later(ref, page);
    else if (page != NULL)
        page_free(page);
}

/* ---- shared pages, census ---- */

int shared_page_create(domid_t dom, struct shared_page *out)
{
    void *va = page_alloc_zeroed();
    gref_t ref;
    int rc;

    if (va == NULL)
        return -ENOMEM;
    rc = grant_page(dom, va, false, &ref);
    if (rc != 0) {
        page_free(va);
        return rc;
    }
    out->va = va;
    out->ref = ref;
    return 0;
}

void shared_page_destroy(struct shared_page *p)
{
    if (p->va != NULL)
        grant_revoke_and_free(p->ref, p->va);
    p->va = NULL;
    p->ref = GREF_NONE;
}

unsigned grant_count_used(void)
{
    return load_relaxed(&nr_used);
}

unsigned grant_count_quarantined(void)
{
    return load_relaxed(&nr_quarantined);
}
