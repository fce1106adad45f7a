/* SPDX-License-Identifier: BSD-2-Clause */
/* frontends/blkfront's pages and grants: the pool that stays granted, and too few of either. */
#include "tests/host/blkrig.h"

#include <string.h>
#include "kernel/page.h"
#include "kernel/thread.h"
#include "lib/base/errno.h"
#include "tests/host/hostarch.h"
#include "tests/host/test.h"

/* ---- pages that stay granted ---- */

static void begin_pooled(void)
{
    fake_blk_create(&blk, "51712");
    blk.persistent = true;
    CHECK_EQ(open_vbd(), 0);
    CHECK(blk.keeps);
    CHECK(info().persistent);
}

TEST(blkfront, pooled_transfers_any_range)
{
    begin_pooled();
    fill_random(want, sizeof(want));
    memcpy(blk.data, want, sizeof(want));
    for (unsigned i = 0; i < 300; i++) {
        uint64_t at = test_random_below(2048);
        size_t len = 1 + test_random_below(MIN(2048 - at, 300));

        fill_random(buf, len * 512);
        if (test_random_below(2)) {
            memcpy(want + at * 512, buf, len * 512);
            CHECK_EQ(blkfront_write(bf, at, buf, len * 512), 0);
        } else {
            CHECK_EQ(blkfront_read(bf, at, buf, len * 512), 0);
            CHECK_MEM(buf, want + at * 512, len * 512);
        }
    }
    CHECK_MEM(blk.data, want, sizeof(want));
    end();
}

/* All of the pool, which is small here, is in use and the rest waits; no other grant is made. */
TEST(blkfront, pooled_requests_wait_for_pages_in_order)
{
    static struct trial t[40];
    unsigned before = grant_count_used();

    begin_pooled();
    fill_random(blk.data, sizeof(blk.data));
    for (unsigned round = 0; round < 5; round++) {
        blk.hold = true;
        nr_ended = 0;
        for (unsigned i = 0; i < 40; i++) {
            prepare(&t[i], i % 3 ? BLKFRONT_READ : BLKFRONT_WRITE, 8 * i, 1 + (i + round) % 11);
            CHECK_EQ(blkfront_submit(bf, &t[i].io), 0);
        }
        fakexen_settle();
        CHECK(blk.nr_held >= 5 && blk.nr_held < 32);
        CHECK(grant_count_used() - before <= 64 + 1);
        blk.hold = false;
        fake_blk_release(&blk);
        fakexen_settle();
        for (unsigned i = 0; i < 40; i++) {
            CHECK_EQ(t[i].io.status, 0);
            CHECK_EQ(t[i].order, i);
            dispose(&t[i]);
        }
    }
    CHECK(blk.nr_kept <= 64);
    end();
    CHECK_EQ(grant_count_used(), before);
}

TEST_RAM(blkfront, pooled_requests_fill_the_ring_of_a_larger_domain, 32768)
{
    static struct trial t[32];

    begin_pooled();
    blk.hold = true;
    for (unsigned i = 0; i < 32; i++) {
        prepare(&t[i], BLKFRONT_READ, 0, 11);
        CHECK_EQ(blkfront_submit(bf, &t[i].io), 0);
    }
    fakexen_settle();
    CHECK_EQ(blk.nr_held, 32);
    fake_blk_release(&blk);
    fakexen_settle();
    for (unsigned i = 0; i < 32; i++)
        dispose(&t[i]);
    end();
    test_pass(); /* the grant table has grown by a page */
}

/* A page that stays mapped is nobody's loss, and the caller's are never granted. */
TEST(blkfront, pooled_pages_stay_mapped_and_the_callers_are_not)
{
    struct trial t;

    begin_pooled();
    prepare(&t, BLKFRONT_WRITE, 0, 3);
    memset(t.io.page[0], 1, 4096);
    CHECK_EQ(blkfront_submit(bf, &t.io), 0);
    fakexen_settle();
    CHECK_EQ(t.ended, 1);
    CHECK_EQ(t.io.status, 0);
    CHECK_EQ(blk.nr_kept, 3);
    memset(t.io.page[0], 2, 4096);
    for (unsigned i = 0; i < 3; i++) {
        CHECK_EQ(fake_grant_read(blk.kept[i].ref, 0, buf, 4096), 0);
        CHECK(memchr(buf, 2, 4096) == NULL);
    }
    dispose(&t);
    CHECK_EQ(grant_count_quarantined(), 0);
    end();
    CHECK_EQ(grant_count_quarantined(), 0);
}

TEST(blkfront, pooled_is_not_agreed_to_by_halves)
{
    static const char *const trusted[] = {"0", "1"};

    for (unsigned i = 0; i < 2; i++) {
        fake_blk_create(&blk, "51712");
        blk.persistent = i == 0;
        fake_dev_set_front(&blk.dev, "trusted", trusted[i]);
        CHECK_EQ(open_vbd(), 0);
        CHECK_EQ(fake_dev_front(&blk.dev, "feature-persistent") != NULL, i == 1);
        CHECK(!info().persistent);
        CHECK_EQ(blkfront_write(bf, 0, buf, 5000 / 512 * 512), 0);
        CHECK_EQ(blk.nr_kept, 0);
        end();
    }
}

TEST_RAM(blkfront, pooled_is_not_for_a_small_domain, 2048)
{
    fake_blk_create(&blk, "51712");
    blk.persistent = true;
    CHECK_EQ(open_vbd(), 0);
    CHECK(!blk.keeps && !info().persistent);
    CHECK_EQ(blkfront_write(bf, 0, buf, 4096), 0);
    end();
}

TEST(blkfront, pooled_serves_one_by_one_without_memory)
{
    static void *hog[HOST_RAM_PAGES];
    static struct trial t[5];
    size_t n = 0;

    begin_pooled();
    fill_random(blk.data, sizeof(blk.data));
    for (unsigned i = 0; i < 5; i++)
        prepare(&t[i], BLKFRONT_READ, 88 * i, 11);
    while (page_count_free() > 0)
        hog[n++] = page_alloc();
    for (unsigned i = 0; i < 5; i++)
        CHECK_EQ(blkfront_submit(bf, &t[i].io), 0);
    fakexen_settle();
    for (unsigned i = 0; i < 5; i++) {
        CHECK_EQ(t[i].io.status, 0);
        CHECK_MEM(t[i].io.page[10], blk.data + (11 * i + 10) * 4096, 4096);
        dispose(&t[i]);
    }
    CHECK_EQ(blk.most_held, 3); /* the pool's reserve is a long request */
    while (n > 0)
        page_free(hog[--n]);
    end();
}

TEST(blkfront, pooled_hostile_backend_that_does_not_let_go)
{
    begin_pooled();
    blk.keep_mapped = true;
    CHECK_EQ(blkfront_write(bf, 0, buf, 20 * 4096), 0);
    CHECK(blk.nr_kept >= 11);
    blkfront_close(bf);
    bf = NULL;
    CHECK_EQ(grant_count_quarantined(), blk.nr_kept);
    end();
    CHECK_EQ(grant_count_quarantined(), 0);
}

/* ---- the pool ---- */

/* What was not used for a while, and was let go by the backend, is memory again. */
TEST(blkfront, pooled_pages_that_are_idle_are_given_back)
{
    unsigned before, kept;

    begin_pooled();
    before = grant_count_used();
    CHECK_EQ(blkfront_read(bf, 0, buf, 60 * 4096), 0);
    kept = grant_count_used() - before;
    CHECK(kept > 10);
    host_advance(25 * NSEC_PER_SEC);
    CHECK_EQ(blkfront_read(bf, 0, buf, 512), 0);
    CHECK_EQ(grant_count_used() - before, kept); /* all still mapped */
    fake_blk_let_go(&blk);
    for (unsigned i = 0; i < 30; i++) {
        host_advance(NSEC_PER_SEC);
        CHECK_EQ(blkfront_read(bf, 0, buf, 4096), 0);
    }
    CHECK_EQ(grant_count_used(), before); /* but for one request's */
    CHECK_EQ(blkfront_read(bf, 0, buf, 60 * 4096), 0);
    CHECK_MEM(buf, blk.data, 60 * 4096);
    end();
}

/* ---- few grants, little memory ---- */

FAKEXEN_BOOT(blkfront_tight, .max_grant_frames = 1) /* 504 grants */

static struct trial many[64];

static void submit_many(struct blkfront *to, unsigned first, unsigned n)
{
    for (unsigned i = first; i < first + n; i++) {
        prepare(&many[i], BLKFRONT_READ, 88 * (i % 20), 11);
        CHECK_EQ(blkfront_submit(to, &many[i].io), 0);
    }
}

TEST(blkfront_tight, waits_for_grants)
{
    static struct fake_blk second;
    struct blkfront *other;

    begin();
    fake_blk_create(&second, "51728");
    CHECK_EQ(blkfront_open("51728", &other), 0);
    blk.hold = second.hold = true;
    submit_many(bf, 0, 32);
    submit_many(other, 32, 32);
    fakexen_settle();
    CHECK_EQ(blk.nr_held, 32);
    CHECK(second.nr_held < 32);
    blk.hold = second.hold = false;
    fake_blk_release(&second);
    fake_blk_release(&blk);
    fakexen_settle();
    host_advance(2 * NSEC_PER_SEC);
    fakexen_settle();
    CHECK_EQ(nr_ended, 64);
    for (unsigned i = 0; i < 64; i++) {
        CHECK_EQ(many[i].io.status, 0);
        dispose(&many[i]);
    }
    blkfront_close(other);
    fake_blk_destroy(&second);
    end();
}

TEST(blkfront_tight, waits_for_grants_that_another_device_gives_back)
{
    gref_t refs[600];
    unsigned n = 0;
    void *page = page_alloc_zeroed();

    begin();
    while (grant_page(0, page, true, &refs[n]) == 0)
        n++;
    submit_many(bf, 0, 2);
    fakexen_settle();
    CHECK_EQ(blk.reads, 0);
    while (n > 0)
        CHECK_EQ(grant_revoke(refs[--n]), 0);
    host_advance(2 * NSEC_PER_SEC);
    fakexen_settle();
    CHECK_EQ(blk.reads, 2);
    dispose(&many[0]);
    dispose(&many[1]);
    page_free(page);
    end();
}

TEST(blkfront_tight, bouncing_waits_for_memory)
{
    static void *hog[HOST_RAM_PAGES];
    size_t n = 0;

    fake_blk_create(&blk, "51712");
    fake_dev_set_front(&blk.dev, "trusted", "0");
    CHECK_EQ(open_vbd(), 0);
    blk.hold = true;
    fill_random(blk.data, sizeof(blk.data));
    prepare(&many[0], BLKFRONT_READ, 0, 11);
    prepare(&many[1], BLKFRONT_READ, 88, 11);
    while (page_count_free() > 15)
        hog[n++] = page_alloc();
    CHECK_EQ(blkfront_submit(bf, &many[0].io), 0);
    CHECK_EQ(blkfront_submit(bf, &many[1].io), 0);
    fakexen_settle();
    CHECK_EQ(blk.nr_held, 1);
    CHECK_EQ(page_count_free(), 4);
    blk.hold = false;
    fake_blk_release(&blk);
    fakexen_settle();
    CHECK_EQ(nr_ended, 2);
    CHECK_MEM(many[1].io.page[10], blk.data + 21 * 4096, 4096);
    while (n > 0)
        page_free(hog[--n]);
    dispose(&many[0]);
    dispose(&many[1]);
    end();
}

TEST(blkfront_tight, a_blocking_read_without_memory_waits_and_fails_cleanly)
{
    static void *hog[HOST_RAM_PAGES];
    size_t n = 0;

    begin();
    while (page_count_free() > 0)
        hog[n++] = page_alloc();
    CHECK_EQ(blkfront_read(bf, 0, buf, 4096), -EIO);
    page_free(hog[--n]);
    CHECK_EQ(blkfront_read(bf, 0, buf, 100000 / 512 * 512), 0);
    while (n > 0)
        page_free(hog[--n]);
    end();
}
