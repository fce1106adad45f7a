/* SPDX-License-Identifier: BSD-2-Clause */
/* Grants: what a peer may do with them, and a peer that keeps them. */
#include "kernel/grant.h"

#include <arch/irq.h>
#include <string.h>
#include "kernel/page.h"
#include "kernel/thread.h"
#include "lib/base/errno.h"
#include "tests/host/fakexen.h"
#include "tests/host/hostarch.h"
#include "tests/host/test.h"

FAKEXEN_BOOT(grant)

#define PEER 3

static void *new_page(void)
{
    void *page = page_alloc_zeroed();

    CHECK(page != NULL);
    return page;
}

TEST(grant, lets_the_peer_map_the_page)
{
    char *page = new_page(), *theirs;
    gref_t ref;

    CHECK_EQ(grant_page(PEER, page, false, &ref), 0);
    CHECK(ref >= 8);
    CHECK(fake_grant_is_to(ref, PEER) && !fake_grant_is_to(ref, 0));
    theirs = fake_grant_map(ref, true);
    strcpy(theirs, "written by the peer");
    CHECK_STR(page, "written by the peer");
    fake_grant_unmap(ref, true);
    CHECK_EQ(grant_revoke(ref), 0);
    CHECK(fake_grant_try_map(ref, false) == NULL);
    page_free(page);
}

TEST(grant, keeps_read_only_pages_from_writers)
{
    void *page = new_page();
    gref_t ref;

    CHECK_EQ(grant_page(PEER, page, true, &ref), 0);
    CHECK(fake_grant_is_readonly(ref));
    CHECK(fake_grant_try_map(ref, true) == NULL);
    CHECK(fake_grant_try_map(ref, false) != NULL);
    fake_grant_unmap(ref, false);
    CHECK_EQ(grant_revoke(ref), 0);
    page_free(page);
}

TEST(grant, stays_while_the_peer_maps_the_page)
{
    void *page = new_page();
    gref_t ref;

    for (int writable = 0; writable < 2; writable++) {
        CHECK_EQ(grant_page(PEER, page, false, &ref), 0);
        (void)fake_grant_map(ref, writable);
        CHECK_EQ(grant_revoke(ref), -EBUSY);
        CHECK_EQ(grant_revoke(ref), -EBUSY);
        CHECK(fake_grant_is_to(ref, PEER));
        fake_grant_unmap(ref, writable);
        CHECK_EQ(grant_revoke(ref), 0);
    }
    page_free(page);
}

TEST(grant, quarantines_a_page_that_is_still_mapped)
{
    size_t before = page_count_free();
    void *page = new_page();
    gref_t ref;

    CHECK_EQ(grant_page(PEER, page, false, &ref), 0);
    (void)fake_grant_map(ref, true);
    grant_revoke_and_free(ref, page);
    CHECK_EQ(grant_count_quarantined(), 1);
    CHECK(host_logged("still mapped by domain 3"));
    host_advance(60 * NSEC_PER_SEC);
    CHECK_EQ(grant_count_quarantined(), 1);
    CHECK_EQ(page_count_free(), before - 1);
    fake_grant_unmap(ref, true);
    host_advance(NSEC_PER_SEC);
    CHECK_EQ(grant_count_quarantined(), 0);
    CHECK_EQ(page_count_free(), before);
    CHECK(fake_grant_try_map(ref, false) == NULL);
}

TEST(grant, frees_at_once_what_is_not_mapped)
{
    void *page = new_page();
    gref_t ref;

    CHECK_EQ(grant_page(PEER, page, false, &ref), 0);
    grant_revoke_and_free(ref, page);
    CHECK_EQ(grant_count_quarantined(), 0);
    CHECK_EQ(grant_page(PEER, page = new_page(), false, &ref), 0);
    grant_revoke_and_free(ref, NULL);
    page_free(page);
}

/* Many held back at once; the peer lets go of them in another order. */
TEST(grant, reclaims_quarantined_pages_in_any_order)
{
    gref_t ref[300];

    for (size_t i = 0; i < 300; i++) {
        void *page = new_page();

        CHECK_EQ(grant_page(PEER, page, false, &ref[i]), 0);
        (void)fake_grant_map(ref[i], false);
        grant_revoke_and_free(ref[i], i % 3 == 0 ? NULL : page);
        if (i % 3 == 0)
            page_free(page);
    }
    CHECK_EQ(grant_count_quarantined(), 300);
    CHECK_EQ(grant_count_used(), 300);
    for (size_t i = 0; i < 300; i++)
        fake_grant_unmap(ref[i * 7 % 300], false);
    host_advance(10 * NSEC_PER_SEC);
    CHECK_EQ(grant_count_quarantined(), 0);
}

TEST(grant, never_gives_a_quarantined_reference_out_again)
{
    void *page = new_page(), *other = new_page();
    gref_t held, ref;

    CHECK_EQ(grant_page(PEER, page, false, &held), 0);
    (void)fake_grant_map(held, true);
    grant_revoke_and_free(held, page);
    for (int i = 0; i < 1000; i++) {
        CHECK_EQ(grant_page(PEER, other, false, &ref), 0);
        CHECK(ref != held);
        CHECK_EQ(grant_revoke(ref), 0);
    }
    page_free(other);
    fake_grant_unmap(held, true);
    host_advance(2 * NSEC_PER_SEC);
}

TEST(grant, asserts_that_references_are_revoked_once)
{
    void *page = new_page();
    gref_t ref;

    CHECK_EQ(grant_page(PEER, page, false, &ref), 0);
    CHECK_EQ(grant_revoke(ref), 0);
    host_expect_panic("IN_USE");
    CHECK_EQ(grant_revoke(ref), 0);
    CHECK(false);
}

TEST(grant, asserts_that_reserved_references_are_left_alone)
{
    host_expect_panic("FIRST_REF");
    CHECK_EQ(grant_revoke(1), 0);
    CHECK(false);
}

/* ---- growth and exhaustion ---- */

/* As many grants of (page) as there are, at most (max). */
static size_t grant_all(void *page, gref_t *refs, size_t max)
{
    size_t n = 0;

    while (n < max && grant_page(PEER, page, true, &refs[n]) == 0)
        n++;
    return n;
}

static void revoke_all(gref_t *refs, size_t n)
{
    for (size_t i = 0; i < n; i++)
        CHECK_EQ(grant_revoke(refs[i]), 0);
}

TEST(grant, grows_the_table_on_demand)
{
    static gref_t refs[2000];
    void *page = new_page();

    CHECK_EQ(grant_all(page, refs, 2000), 2000);
    for (size_t i = 0; i < 2000; i++)
        CHECK(fake_grant_is_to(refs[i], PEER));
    revoke_all(refs, 2000);
    page_free(page);
    test_pass(); /* the table does not shrink */
}

TEST(grant, survives_a_failure_to_grow)
{
    static gref_t refs[2000];
    void *page = new_page();
    size_t n;

    host_map_failures = 1000;
    n = grant_all(page, refs, 2000);
    CHECK_EQ(n, 512 - 8);
    host_map_failures = 0;
    fake_grant_setup_status = -1;
    CHECK_EQ(grant_page(PEER, page, true, &refs[n]), -ENOSPC);
    CHECK_EQ(grant_page(PEER, page, true, &refs[n]), 0);
    revoke_all(refs, n + 1);
    page_free(page);
    test_pass(); /* it grew at last */
}

TEST(grant, does_not_grow_with_upcalls_masked)
{
    static gref_t refs[2000];
    void *page = new_page();
    irqstate_t state = irq_save();
    size_t n = grant_all(page, refs, 2000);

    irq_restore(state);
    CHECK_EQ(n, 512 - 8);
    revoke_all(refs, n);
    page_free(page);
}

FAKEXEN_BOOT(grant_one_frame, .max_grant_frames = 1)

TEST(grant_one_frame, is_full_gracefully)
{
    static gref_t refs[600];
    void *page = new_page();
    size_t n = grant_all(page, refs, 600);

    CHECK_EQ(n, 512 - 8);
    CHECK_EQ(grant_page(PEER, page, true, &refs[n]), -ENOSPC);
    CHECK_EQ(grant_revoke(refs[100]), 0);
    CHECK_EQ(grant_page(PEER, page, true, &refs[100]), 0);
    revoke_all(refs, n);
    page_free(page);
}

TEST(grant_one_frame, gives_no_shared_page_when_full)
{
    static gref_t refs[600];
    struct shared_page shared = {0};
    void *page = new_page();
    size_t n = grant_all(page, refs, 600);

    CHECK_EQ(shared_page_create(PEER, &shared), -ENOSPC);
    CHECK(shared.va == NULL);
    shared_page_destroy(&shared);
    revoke_all(refs, n);
    page_free(page);
}

/* ---- shared pages ---- */

TEST(grant, makes_and_unmakes_shared_pages)
{
    static const char zeroes[PAGE_SIZE];
    struct shared_page shared;

    CHECK_EQ(shared_page_create(PEER, &shared), 0);
    CHECK_MEM(shared.va, zeroes, PAGE_SIZE);
    CHECK(fake_grant_is_to(shared.ref, PEER) && !fake_grant_is_readonly(shared.ref));
    shared_page_destroy(&shared);
    shared_page_destroy(&shared);
    CHECK_EQ(grant_count_used(), 0);
}

TEST(grant, keeps_a_shared_page_that_the_peer_maps)
{
    struct shared_page shared;
    gref_t ref;
    char *theirs;

    CHECK_EQ(shared_page_create(PEER, &shared), 0);
    ref = shared.ref;
    theirs = fake_grant_map(ref, true);
    shared_page_destroy(&shared);
    CHECK(shared.va == NULL);
    theirs[0] = 1; /* still ours, and nobody else's */
    fake_grant_unmap(ref, true);
    host_advance(NSEC_PER_SEC);
    CHECK_EQ(grant_count_quarantined(), 0);
}
