/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Grants to this domain itself, which Xen treats as those to any other.
 *
 *   grant.page          a page is granted (the kernel's grant_page): an entry written, no hypercall
 *   grant.revoke        and taken back: a compare-and-exchange
 *   grant.map           GNTTABOP_map_grant_ref: a granted page into our page table
 *   grant.unmap         and out of it, with the flush that goes with it
 *   grant.copy          GNTTABOP_copy: 4096 bytes from a granted page into one of ours
 *   grant.grow          the first grant in a new frame of the table: Xen adds the frame, we map it
 */
#include <stdint.h>
#include <arch/hypercall.h>
#include <arch/page.h>
#include <string.h>
#include <xen/grant_table.h>
#include "apps/pvbench/foreign.h"
#include "apps/pvbench/probes.h"
#include "kernel/grant.h"
#include "kernel/page.h"

#define GROW_FRAMES 40
#define ENTRIES 512 /* in a frame */

static void run_page(struct run *r)
{
    void *page = page_alloc_zeroed();
    domid_t self = own_domid();
    gref_t ref;

    while (page != NULL && run_more(r)) {
        uint64_t begin = stamp(), middle, end;

        if (grant_page(self, page, false, &ref) != 0) {
            run_give_up(r, "no grant");
            break;
        }
        middle = stamp();
        if (grant_revoke(ref) != 0)
            run_give_up(r, "a page that nobody maps cannot be revoked");
        end = stamp();
        run_sample(r, 0, begin, middle);
        run_sample(r, 1, middle, end);
    }
    page_free(page);
}

/* Call (run) with a page of ours that is granted to ourselves. */
static void with_granted(struct run *r, void (*use)(struct run *r, domid_t domain, gref_t ref))
{
    void *page = page_alloc_zeroed();
    domid_t self = own_domid();
    gref_t ref;

    if (page == NULL || grant_page(self, page, false, &ref) != 0) {
        run_give_up(r, "no memory, or no grant");
        return;
    }
    use(r, self, ref);
    grant_revoke_and_free(ref, page);
}

static void run_map(struct run *r)
{
    with_granted(r, foreign_map);
}

static void run_copy(struct run *r)
{
    with_granted(r, foreign_copy);
}

static void run_grow(struct run *r)
{
    static gref_t held[GROW_FRAMES * ENTRIES];
    void *page = page_alloc_zeroed();
    domid_t self = own_domid();
    unsigned n = 0, most = GROW_FRAMES * ENTRIES;

    while (page != NULL && n + ENTRIES <= most && run_more(r)) {
        uint64_t slowest = 0, from = 0;

        /* Of the next 512 one meets the end of a frame: the slowest. */
        for (unsigned i = 0; i < ENTRIES && n < most; i++) {
            uint64_t begin = stamp(), took;

            if (grant_page(self, page, true, &held[n]) != 0) {
                most = n; /* the table is as long as Xen allows */
                break;
            }
            took = stamp() - begin;
            n++;
            if (took > slowest) {
                slowest = took;
                from = begin;
            }
        }
        if (n < most)
            run_sample(r, 0, from, from + slowest);
    }
    while (n > 0)
        grant_revoke_and_free(held[--n], NULL);
    page_free(page);
}

const struct probe grant_probes[] = {
    PROBE(run_page, 0, NULL, NS("grant.page"), NS("grant.revoke")),
    PROBE(run_map, 0, NULL, NS("grant.map"), NS("grant.unmap")),
    PROBE(run_copy, 0, NULL, NS("grant.copy")),
    PROBE(run_grow, 0, NULL, NS("grant.grow")),
};
PROBES_END(grant_probes);
