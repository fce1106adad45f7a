/* SPDX-License-Identifier: BSD-2-Clause */
/* frontends/blkfront against a hostile backend. */
#include "tests/host/blkrig.h"

#include <string.h>
#include "kernel/page.h"
#include "kernel/thread.h"
#include "lib/base/errno.h"
#include "tests/host/hostarch.h"
#include "tests/host/test.h"

static struct trial scribbled;
static unsigned answer_operation;

/* ---- a hostile backend ---- */

/* The device was broken for (why), and is of use again once its backend is honest. */
static void expect_broken(const char *why)
{
    fakexen_settle();
    CHECK(host_logged("vbd/51712: the backend broke the protocol: "));
    if (!host_logged(why))
        test_fail(__FILE__, __LINE__, "not because of: %s", why);
    CHECK(fakexen_store_get(FAKE_HOME "/error/device/vbd/51712/error") != NULL);
    expect_well();
    CHECK_EQ(info().reconnects, 1);
    end();
}

/* Two reads in flight. */
static void begin_with_two(struct trial t[2])
{
    begin();
    blk.hold = true;
    for (unsigned i = 0; i < 2; i++) {
        prepare(&t[i], BLKFRONT_READ, 8 * i, 3);
        CHECK_EQ(blkfront_submit(bf, &t[i].io), 0);
    }
    fakexen_settle();
    CHECK_EQ(blk.nr_held, 2);
}

static void expect_failed(struct trial t[2])
{
    fakexen_settle();
    for (unsigned i = 0; i < 2; i++) {
        CHECK_EQ(t[i].ended, 1);
        CHECK_EQ(t[i].io.status, -EIO);
        dispose(&t[i]);
    }
}

TEST(blkfront, hostile_indices)
{
    static const uint32_t jumps[] = {0x80000000, 0x7fffffff, 33, 32, 3, 0xffffffff};
    struct trial t[2];

    for (unsigned i = 0; i < ARRAY_SIZE(jumps); i++) {
        begin_with_two(t);
        blk.ring.page->rsp_prod += jumps[i];
        fakexen_raise(blk.ring.port);
        expect_failed(t);
        expect_broken("more answers than requests");
    }
}

TEST(blkfront, hostile_ids)
{
    static const uint64_t lies[] = {2,  31, 32, 255, 1ULL << 32, 1ULL << 63, 0xffff800000000000,
                                    256};
    struct trial t[2];

    for (unsigned i = 0; i < ARRAY_SIZE(lies); i++) {
        begin_with_two(t);
        fake_blk_answer(&blk, blk.held[0].id + lies[i], BLKIF_OP_READ, BLKIF_RSP_OKAY);
        back_ring_push(&blk.ring);
        expect_failed(t);
        expect_broken("answer to a request that is not in flight");
    }
}

TEST(blkfront, hostile_id_twice)
{
    struct trial t[2];

    begin_with_two(t);
    fake_blk_answer(&blk, blk.held[0].id, BLKIF_OP_READ, BLKIF_RSP_OKAY);
    fake_blk_answer(&blk, blk.held[0].id, BLKIF_OP_READ, BLKIF_RSP_OKAY);
    back_ring_push(&blk.ring);
    fakexen_settle();
    CHECK_EQ(t[0].ended, 1);
    CHECK_EQ(t[1].ended, 1);
    CHECK_EQ(t[0].io.status, 0);
    CHECK_EQ(t[1].io.status, -EIO);
    dispose(&t[0]);
    dispose(&t[1]);
    expect_broken("answer to a request that is not in flight");
}

static void mangle_operation(struct blkif_response *rsp)
{
    rsp->operation = (uint8_t)answer_operation;
}

TEST(blkfront, hostile_operations)
{
    static const unsigned lies[] = {BLKIF_OP_WRITE, BLKIF_OP_FLUSH_DISKCACHE, BLKIF_OP_INDIRECT,
                                    255};
    struct trial t[2];

    for (unsigned i = 0; i < ARRAY_SIZE(lies); i++) {
        begin_with_two(t);
        answer_operation = lies[i];
        blk.mangle = mangle_operation;
        fake_blk_release(&blk);
        expect_failed(t);
        expect_broken("answer of another operation");
    }
}

TEST(blkfront, hostile_statuses)
{
    static const int lies[] = {1, 2, 32767, -3, -32768};
    struct trial t[2];

    for (unsigned i = 0; i < ARRAY_SIZE(lies); i++) {
        begin_with_two(t);
        answer_status = (int16_t)lies[i];
        blk.mangle = mangle_status;
        fake_blk_release(&blk);
        expect_failed(t);
        expect_broken("impossible status");
    }
}

TEST(blkfront, errors_of_the_disk_are_no_violation)
{
    static const int16_t statuses[] = {BLKIF_RSP_ERROR, BLKIF_RSP_EOPNOTSUPP};

    begin();
    blk.mangle = mangle_status;
    for (unsigned i = 0; i < 2; i++) {
        answer_status = statuses[i];
        CHECK_EQ(blkfront_read(bf, 0, buf, 500 * 512), -EIO);
        CHECK_EQ(blkfront_write(bf, 0, buf, 512), -EIO);
    }
    blk.mangle = NULL;
    CHECK_EQ(blkfront_read(bf, 0, buf, 512), 0);
    CHECK(info().errors >= 4);
    end();
}

TEST(blkfront, hostile_mapping_fails_a_read_and_keeps_its_pages)
{
    struct trial t;

    begin();
    blk.keep_mapped = true;
    prepare(&t, BLKFRONT_READ, 0, 2);
    CHECK_EQ(blkfront_submit(bf, &t.io), 0);
    fakexen_settle();
    CHECK_EQ(t.ended, 1);
    CHECK_EQ(t.io.status, -EIO);
    CHECK(t.io.page_lost[0] && t.io.page_lost[1]);
    CHECK_EQ(grant_count_quarantined(), 2);
    CHECK_EQ(blkfront_write(bf, 0, buf, 4096), -EIO);
    CHECK_EQ(grant_count_quarantined(), 3);
    fake_blk_let_go(&blk);
    blk.keep_mapped = false;
    host_advance(2 * NSEC_PER_SEC);
    CHECK_EQ(grant_count_quarantined(), 0);
    CHECK_EQ(blkfront_write(bf, 0, buf, 4096), 0);
    end();
}

TEST(blkfront, hostile_mapping_of_bounce_pages_leaves_the_callers_alone)
{
    struct trial t;

    fake_blk_create(&blk, "51712");
    fake_dev_set_front(&blk.dev, "trusted", "0");
    CHECK_EQ(open_vbd(), 0);
    blk.keep_mapped = true;
    prepare(&t, BLKFRONT_READ, 0, 2);
    CHECK_EQ(blkfront_submit(bf, &t.io), 0);
    fakexen_settle();
    CHECK_EQ(t.io.status, -EIO);
    CHECK(!t.io.page_lost[0] && !t.io.page_lost[1]);
    CHECK_EQ(grant_count_quarantined(), 2);
    dispose(&t);
    end();
}

/* Also in a pool, whose pages it may write at any time: what was read is a copy. */
TEST(blkfront, hostile_change_of_a_page_after_its_answer)
{
    for (unsigned pooled = 0; pooled < 2; pooled++) {
        struct trial t;
        uint8_t *page;

        fake_blk_create(&blk, "51712");
        blk.persistent = pooled;
        fake_dev_set_front(&blk.dev, "trusted", pooled ? "1" : "0");
        CHECK_EQ(open_vbd(), 0);
        fill_random(blk.data, 4096);
        blk.hold = true;
        prepare(&t, BLKFRONT_READ, 0, 1);
        CHECK_EQ(blkfront_submit(bf, &t.io), 0);
        fakexen_settle();
        page = fake_grant_map(blk.held[0].seg[0].gref, true);
        fake_grant_unmap(blk.held[0].seg[0].gref, true); /* as if by an address kept for longer */
        CHECK(page != t.io.page[0]);
        fake_blk_release(&blk);
        fakexen_settle();
        CHECK_EQ(t.ended, 1);
        if (pooled)
            memset(page, 0xee, 4096);
        CHECK_EQ(t.io.status, 0);
        CHECK_MEM(t.io.page[0], blk.data, 4096);
        dispose(&t);
        end();
    }
}

TEST(blkfront, hostile_backend_that_answers_nothing_and_maps_everything)
{
    static struct trial t[32];

    begin();
    blk.hold = true;
    for (unsigned i = 0; i < 32; i++) {
        prepare(&t[i], BLKFRONT_READ, 8 * i, 1);
        CHECK_EQ(blkfront_submit(bf, &t[i].io), 0);
    }
    fakexen_settle();
    for (unsigned i = 0; i < 32; i++)
        (void)fake_grant_map(blk.held[i].seg[0].gref, true);
    blk.dev.aloof = true;
    blkfront_close(bf);
    bf = NULL;
    CHECK_EQ(grant_count_quarantined(), 32 + 1);
    for (unsigned i = 0; i < 32; i++) {
        CHECK_EQ(t[i].ended, 1);
        CHECK(t[i].io.page_lost[0]);
        fake_grant_unmap(blk.held[i].seg[0].gref, true);
    }
    end();
}

TEST(blkfront, hostile_eyes_find_nothing_in_requests_or_pages)
{
    static uint8_t page[4096];
    void *stale[64];
    struct trial t[2];

    for (unsigned i = 0; i < 64; i++)
        memset(stale[i] = page_alloc(), 0xca, 4096);
    for (unsigned i = 0; i < 64; i++)
        page_free(stale[i]);
    begin();
    blk.hold = true;
    memset(buf, 0xcb, sizeof(buf));
    for (unsigned i = 0; i < 2; i++) {
        prepare_copy(&t[i], i == 0 ? BLKFRONT_WRITE : BLKFRONT_READ, 0, buf, 512);
        CHECK_EQ(blkfront_submit(bf, &t[i].io), 0);
    }
    fakexen_settle();
    for (unsigned i = 0; i < 2; i++) {
        CHECK_EQ(fake_grant_read(blk.held[i].seg[0].gref, 0, page, 4096), 0);
        CHECK(memchr(page, 0xca, 4096) == NULL);
        CHECK(memchr(page + 512, 0xcb, 4096 - 512) == NULL);
        memset(page, 0, sizeof(page));
        CHECK_MEM((uint8_t *)&blk.held[i] + 4, page, 4); /* padding */
        CHECK_MEM(&blk.held[i].seg[1], page, 10 * sizeof(blk.held[i].seg[0]));
    }
    CHECK_MEM(blk.ring.page->slot + 2 * 112, page, 4032 - 2 * 112);
    fake_blk_release(&blk);
    fakexen_settle();
    end();
}

TEST(blkfront, hostile_scribbling_does_not_show_in_requests)
{
    begin();
    for (unsigned i = 0; i < 100; i++) {
        memset(blk.ring.page->slot, (int)test_random_below(256), 32 * 112);
        blk.ring.page->req_prod = blk.ring.page->req_event = (uint32_t)test_random();
        blk.ring.page->rsp_event = (uint32_t)test_random();
        blk.ring.page->req_prod = blk.ring.req_cons;
        fill_random(want, 4096);
        blk.ring.quiet = true; /* the driver finds out by itself */
        blk.hold = true;
        prepare(&scribbled, BLKFRONT_WRITE, 8 * i, 3);
        memcpy(scribbled.io.page[0], want, 4096);
        CHECK_EQ(blkfront_submit(bf, &scribbled.io), 0);
        fake_blk_run(&blk);
        CHECK_EQ(blk.nr_held, 1);
        CHECK_MEM((uint8_t *)&blk.held[0] + 4, "\0\0\0\0", 4);
        CHECK_EQ(blk.held[0].seg[3].gref, 0);
        fake_blk_release(&blk);
        CHECK_MEM(blk.data + 4096 * i, want, 4096);
        thread_sleep_until(time_now() + NSEC_PER_SEC + NSEC_PER_MSEC);
        CHECK_EQ(scribbled.ended, 1);
        dispose(&scribbled);
    }
    end();
}

TEST(blkfront, hostile_event_storm_costs_little)
{
    uint64_t events;

    begin();
    events = info().events;
    for (unsigned i = 0; i < 100000; i++) {
        fakexen_raise(blk.ring.port);
        if (i % 10 == 0) {
            host_advance(100000); /* 0.1 ms */
            fakexen_settle();
        }
    }
    CHECK(info().events - events < 1000);
    CHECK_EQ(blkfront_read(bf, 0, buf, 100 * 512), 0);
    end();
}

/* For a minute. Two seconds later each request is ended at its event: none waits as long as the
 * shortest delay of events. */
TEST(blkfront, hostile_event_storm_of_a_minute_is_forgotten)
{
    uint64_t events;
    nsec_t start;

    begin();
    events = info().events;
    for (unsigned ms = 0; ms < 60 * 1000; ms++) {
        fakexen_raise(blk.ring.port);
        host_advance(NSEC_PER_MSEC);
        if (ms % 10 == 0)
            fakexen_settle();
    }
    CHECK(info().events - events <= 12 + 60);
    thread_sleep_until(time_now() + 2 * NSEC_PER_SEC);
    start = time_now();
    for (unsigned i = 0; i < 500; i++)
        CHECK_EQ(blkfront_read(bf, 0, buf, 4096), 0);
    CHECK(time_now() - start < NSEC_PER_MSEC);
    end();
}

TEST(blkfront, hostile_state_storm_under_load)
{
    begin();
    for (unsigned i = 0; i < 300; i++) {
        (void)!blkfront_read(bf, 0, buf, 4096);
        fake_dev_set_state(&blk.dev, (unsigned)test_random_below(9));
        fakexen_settle();
    }
    expect_well();
    end();
}

/* Answers of any kind to whatever is in flight, or not any more. */
static void misbehave(void)
{
    uint64_t r = test_random();
    const struct blkif_request *req = &blk.held[(r >> 8) % FAKE_BLK_HELD];

    if (blk.ring.page == NULL)
        return;
    if (blk.nr_held < 32)
        fake_blk_run(&blk);
    if (r % 20 != 0)
        req = &blk.held[(r >> 8) % MAX(blk.nr_held, 1)];
    fake_blk_answer(&blk, r % 30 ? req->id : r >> 40, r % 40 ? req->operation : (r >> 16) % 4,
                    -(int)((r >> 20) % 100 ? (r >> 28) % 3 : (r >> 28) % 5));
    back_ring_push(&blk.ring);
}

TEST(blkfront, hostile_random_answers)
{
    static struct trial t[20];

    fake_blk_create(&blk, "51712");
    for (unsigned life = 0; life < 60; life++) {
        CHECK_EQ(open_vbd(), 0);
        blk.hold = true;
        blk.nr_held = 0;
        for (unsigned i = 0; i < 20; i++) {
            prepare(&t[i], (enum blkfront_op)(i % 3), 8 * i, i % 3 == 2 ? 0 : 1 + i % 11);
            CHECK_EQ(blkfront_submit(bf, &t[i].io), 0);
        }
        for (unsigned n = 0; n < 30; n++) {
            misbehave();
            fakexen_settle();
        }
        blkfront_close(bf);
        for (unsigned i = 0; i < 20; i++) {
            CHECK_EQ(t[i].ended, 1);
            dispose(&t[i]);
        }
        fakexen_settle();
    }
    bf = NULL;
    end();
}
