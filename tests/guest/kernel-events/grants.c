/* SPDX-License-Identifier: BSD-2-Clause */
/* Grants to ourselves: mapped, copied, revoked, kept while mapped, by the thousand. */
#include <arch/hypercall.h>
#include <arch/page.h>
#include <xen/grant_table.h>
#include "kernel/grant.h"
#include "kernel/heap.h"
#include "kernel/page.h"
#include "tests/guest/kernel-events/cases.h"

/* Far from what the kernel uses of the window. */
#define MAP_AT (WINDOW_END - 64 * PAGE_SIZE)

struct mapping {
    grant_handle_t handle;
    char *va;
};

/* Page tables for MAP_AT: they stay when the page goes. */
static int prepare_tables(void)
{
    void *page = page_alloc();
    pfn_t pfn = virt_to_pfn(page);
    int rc = arch_map(MAP_AT, &pfn, 1, PROT_R);

    if (rc == 0)
        arch_unmap(MAP_AT, 1);
    page_free(page);
    return rc;
}

static int map_grant(gref_t ref, bool readonly, struct mapping *m)
{
    struct gnttab_map_grant_ref op = {
        .host_addr = MAP_AT,
        .flags = GNTMAP_host_map | (readonly ? GNTMAP_readonly : 0),
        .ref = ref,
        .dom = MYSELF,
    };
    int rc = hypercall_grant(GNTTABOP_map_grant_ref, &op, 1);

    m->handle = op.handle;
    m->va = (char *)MAP_AT;
    return rc != 0 ? rc : op.status;
}

static int unmap_grant(struct mapping *m)
{
    struct gnttab_unmap_grant_ref op = {.host_addr = MAP_AT, .handle = m->handle};
    int rc = hypercall_grant(GNTTABOP_unmap_grant_ref, &op, 1);

    return rc != 0 ? rc : op.status;
}

static void test_a_mapped_grant_shows_the_page_and_keeps_it_busy(void)
{
    char *page = page_alloc_zeroed();
    struct mapping m;
    gref_t ref;

    CHECK_EQ(prepare_tables(), 0);
    CHECK_EQ(grant_page(MYSELF, page, false, &ref), 0);
    CHECK_EQ(map_grant(ref, false, &m), 0);
    strcpy(m.va + 100, "written through the grant");
    CHECK(strcmp(page + 100, "written through the grant") == 0);
    for (int i = 0; i < 100; i++)
        CHECK_EQ(grant_revoke(ref), -EBUSY);
    strcpy(page, "the other way"); /* still shared */
    CHECK(strcmp(m.va, "the other way") == 0);
    CHECK_EQ(unmap_grant(&m), 0);
    CHECK_EQ(grant_revoke(ref), 0);
    CHECK(map_grant(ref, false, &m) != 0);
    page_free(page);
}

static void test_a_readonly_grant_cannot_be_mapped_writable(void)
{
    char *page = page_alloc_zeroed();
    struct mapping m;
    gref_t ref;

    CHECK_EQ(prepare_tables(), 0);
    CHECK_EQ(grant_page(MYSELF, page, true, &ref), 0);
    CHECK(map_grant(ref, false, &m) != 0);
    CHECK_EQ(map_grant(ref, true, &m), 0);
    strcpy(page, "seen");
    CHECK(strcmp(m.va, "seen") == 0);
    CHECK_EQ(grant_revoke(ref), -EBUSY);
    CHECK_EQ(unmap_grant(&m), 0);
    CHECK_EQ(grant_revoke(ref), 0);
    page_free(page);
}

static void test_a_grant_to_another_domain_is_not_ours_to_map(void)
{
    char *page = page_alloc_zeroed();
    struct mapping m;
    gref_t ref;

    CHECK_EQ(grant_page(7, page, false, &ref), 0);
    CHECK(map_grant(ref, false, &m) != 0);
    CHECK_EQ(grant_revoke(ref), 0);
    page_free(page);
}

static void test_a_page_in_quarantine_is_freed_after_its_unmapping(void)
{
    char *page = page_alloc_zeroed();
    struct mapping m;
    size_t free_pages;
    gref_t ref;

    CHECK_EQ(prepare_tables(), 0);
    CHECK_EQ(grant_page(MYSELF, page, false, &ref), 0);
    CHECK_EQ(map_grant(ref, false, &m), 0);
    free_pages = page_count_free();
    grant_revoke_and_free(ref, page);
    CHECK_EQ(grant_count_quarantined(), 1);
    sleep_for(1500 * MS);
    CHECK_EQ(grant_count_quarantined(), 1); /* as long as it takes */
    CHECK_EQ(page_count_free(), free_pages);
    CHECK_EQ(unmap_grant(&m), 0);
    for (int i = 0; i < 300 && grant_count_quarantined() != 0; i++)
        sleep_for(10 * MS);
    CHECK_EQ(grant_count_quarantined(), 0);
    CHECK_EQ(page_count_free(), free_pages + 1);
}

static int copy_from_grant(gref_t ref, void *to, uint16_t len)
{
    struct gnttab_copy op = {
        .source = {.u.ref = ref, .domid = MYSELF},
        .dest = {.u.gmfn = virt_to_gframe(to), .domid = DOMID_SELF},
        .len = len,
        .flags = GNTCOPY_source_gref,
    };
    int rc = hypercall_grant(GNTTABOP_copy, &op, 1);

    return rc != 0 ? rc : op.status;
}

static void test_a_grant_copy_reads_the_granted_page(void)
{
    char *from = page_alloc_zeroed(), *to = page_alloc_zeroed();
    gref_t ref;

    CHECK_EQ(grant_page(MYSELF, from, true, &ref), 0);
    for (int i = 0; i < 200; i++) {
        memset(from, i + 1, PAGE_SIZE);
        CHECK_EQ(copy_from_grant(ref, to, PAGE_SIZE), 0);
        CHECK(memcmp(from, to, PAGE_SIZE) == 0);
    }
    CHECK_EQ(grant_revoke(ref), 0);
    CHECK(copy_from_grant(ref, to, 1) != 0);
    page_free(from);
    page_free(to);
}

/* Take (max) references to (page), or as many as there are. */
static unsigned grant_many(const void *page, gref_t *refs, unsigned max, int *rc)
{
    unsigned n = 0;

    while (n < max && (*rc = grant_page(MYSELF, page, false, &refs[n])) == 0)
        n++;
    return n;
}

static void revoke_many(const gref_t *refs, unsigned n, unsigned *failed)
{
    *failed = 0;
    for (unsigned i = 0; i < n; i++)
        *failed += grant_revoke(refs[i]) != 0;
}

static bool all_differ(gref_t *refs, unsigned n)
{
    static uint8_t seen[1 << 15];

    memset(seen, 0, sizeof(seen));
    for (unsigned i = 0; i < n; i++) {
        if (refs[i] / 8 >= sizeof(seen) || seen[refs[i] / 8] & 1 << refs[i] % 8)
            return false;
        seen[refs[i] / 8] |= (uint8_t)(1 << refs[i] % 8);
    }
    return true;
}

static void test_the_table_grows_to_thousands_of_different_grants(void)
{
    gref_t *refs = heap_alloc(6000 * sizeof(*refs));
    void *page = page_alloc();
    unsigned n, failed;
    bool differ;
    int rc;

    n = grant_many(page, refs, 6000, &rc);
    differ = all_differ(refs, n);
    revoke_many(refs, n, &failed);
    heap_free(refs);
    page_free(page);
    CHECK_EQ(rc, 0);
    CHECK_EQ(n, 6000);
    CHECK(differ);
    CHECK_EQ(failed, 0);
}

static void test_a_full_table_says_so_and_is_whole_afterwards(void)
{
    unsigned max = 1 << 18, n, again, failed;
    gref_t *refs = heap_alloc(max * sizeof(*refs));
    void *page = page_alloc();
    int rc, rc_again;

    CHECK(refs != NULL && page != NULL);
    n = grant_many(page, refs, max, &rc);
    revoke_many(refs, n, &failed);
    again = grant_many(page, refs, max, &rc_again);
    revoke_many(refs, again, &failed);
    heap_free(refs);
    page_free(page);
    CHECK_EQ(rc, -ENOSPC);
    CHECK_EQ(rc_again, -ENOSPC);
    CHECK_EQ(n, again);
    CHECK(n > 1000);
    CHECK_EQ(failed, 0);
}

/* --- from threads and handlers at once --- */

struct user {
    struct timer timer;
    void *page;
    volatile bool stop;
    unsigned grants, failures;
};

static void grant_in_handler(struct timer *t)
{
    struct user *u = CONTAINER_OF(t, struct user, timer);
    gref_t ref;

    if (grant_page(MYSELF, u->page, false, &ref) == 0 && grant_revoke(ref) == 0)
        u->grants++;
    else
        u->failures++;
    if (!u->stop)
        timer_set(t, time_now() + 30000);
}

static void grant_in_thread(void *arg)
{
    unsigned *failed = arg, n;
    gref_t refs[100];
    void *page = page_alloc();
    int rc;

    for (int i = 0; i < 100; i++) {
        unsigned bad;

        n = grant_many(page, refs, 100, &rc);
        revoke_many(refs, n, &bad);
        atomic_add(failed, bad + (rc != 0));
    }
    page_free(page);
}

static void test_threads_and_handlers_share_the_table(void)
{
    struct user u = {.page = page_alloc()};
    unsigned failed = 0;
    struct thread *t[6];

    timer_init(&u.timer, grant_in_handler);
    timer_set(&u.timer, time_now());
    for (size_t i = 0; i < 6; i++)
        t[i] = start((enum prio)(PRIO_LOW + i % 3), grant_in_thread, &failed);
    for (size_t i = 0; i < 6; i++)
        thread_join(t[i]);
    sleep_for(MS);
    u.stop = true;
    (void)timer_cancel(&u.timer);
    page_free(u.page);
    CHECK_EQ(failed, 0);
    CHECK_EQ(u.failures, 0);
    CHECK(u.grants > 0);
}

static void test_shared_pages_come_zeroed_and_go_twice_without_harm(void)
{
    for (int i = 0; i < 100; i++) {
        struct shared_page p;

        CHECK_EQ(shared_page_create(MYSELF, &p), 0);
        for (size_t j = 0; j < PAGE_SIZE; j += 8)
            CHECK(*(uint64_t *)((char *)p.va + j) == 0);
        memset(p.va, 0xff, PAGE_SIZE);
        shared_page_destroy(&p);
        shared_page_destroy(&p);
    }
}

const struct test_case grant_cases[] = {
    CASE(a_mapped_grant_shows_the_page_and_keeps_it_busy),
    CASE(a_readonly_grant_cannot_be_mapped_writable),
    CASE(a_grant_to_another_domain_is_not_ours_to_map),
    CASE(a_page_in_quarantine_is_freed_after_its_unmapping),
    CASE(a_grant_copy_reads_the_granted_page),
    CASE(the_table_grows_to_thousands_of_different_grants),
    CASE(a_full_table_says_so_and_is_whole_afterwards),
    CASE(threads_and_handlers_share_the_table),
    CASE(shared_pages_come_zeroed_and_go_twice_without_harm),
};
const size_t nr_grant_cases = sizeof(grant_cases) / sizeof(grant_cases[0]);
