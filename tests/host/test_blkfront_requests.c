/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * frontends/blkfront's requests: how many and how long they may be, which transfers share one, and
 * those that move no data: flush and discard.
 */
#include "tests/host/blkrig.h"

#include <string.h>
#include "lib/base/errno.h"
#include "tests/host/hostarch.h"
#include "tests/host/test.h"

/* A backend that takes long requests. */
static void begin_long(void)
{
    fake_blk_create(&blk, "51712");
    fake_dev_set_back(&blk.dev, "feature-max-indirect-segments", "256");
    CHECK_EQ(open_vbd(), 0);
    CHECK_EQ(info().pages, 32);
}

/* Answers of its own, in place of the fake's. */
static bool refuse(const struct blkif_request *req, bool this_one, int status)
{
    if (this_one)
        fake_blk_answer(&blk, req->id, req->operation, status);
    return this_one;
}

static bool refuse_indirect(const struct blkif_request *req)
{
    return refuse(req, req->operation == BLKIF_OP_INDIRECT, BLKIF_RSP_EOPNOTSUPP);
}

static bool refuse_flush(const struct blkif_request *req)
{
    return refuse(req, req->operation == BLKIF_OP_FLUSH_DISKCACHE, BLKIF_RSP_EOPNOTSUPP);
}

static bool refuse_flush_and_barrier(const struct blkif_request *req)
{
    return refuse_flush(req) ||
           refuse(req, req->operation == BLKIF_OP_WRITE_BARRIER, BLKIF_RSP_EOPNOTSUPP);
}

static bool refuse_discard(const struct blkif_request *req)
{
    return refuse(req, req->operation == BLKIF_OP_DISCARD, BLKIF_RSP_EOPNOTSUPP);
}

static bool fail_first_sector(const struct blkif_request *req)
{
    return refuse(req, req->sector_number == 0, BLKIF_RSP_ERROR);
}

/* ---- rings, queues, long requests ---- */

TEST_RAM(blkfront, negotiates_as_much_as_memory_allows, 65536)
{
    static const struct {
        const char *queues, *order, *pages, *segments;
        unsigned cpus, is_queues, is_depth, is_pages;
    } cases[] = {
        {"1", "0", "1", "0", 1, 1, 32, 11},
        {"4", "0", "1", "256", 1, 1, 32, 32},
        {"4", "0", "1", "20", 2, 2, 64, 20},
        {"2", "2", "1", "256", 4, 2, 256, 32},
        {"16", "1", "1", "256", 4, 4, 256, 32},
        {"1", "4", "1", "256", 4, 1, 256, 32},
        {"1", "0", "4", "256", 4, 1, 128, 32},
        {"1", "0", "3", "5", 4, 1, 64, 11},
        /* lies: the nearest bound, or as if nothing were said */
        {"0", "64", "64", "4294967295", 4, 1, 256, 32},
        {"-1", "31", "0", "abc", 4, 1, 256, 11},
        {"4294967296", "x", "", "18446744073709551616", 4, 4, 128, 32},
        {"", "-1", "4294967296", "-3", 4, 1, 256, 11},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        fakexen_use_cpus(cases[i].cpus);
        fake_blk_create(&blk, "51712");
        fake_dev_set_back(&blk.dev, "multi-queue-max-queues", cases[i].queues);
        fake_dev_set_back(&blk.dev, "max-ring-page-order", cases[i].order);
        fake_dev_set_back(&blk.dev, "max-ring-pages", cases[i].pages);
        fake_dev_set_back(&blk.dev, "feature-max-indirect-segments", cases[i].segments);
        CHECK_EQ(open_vbd(), 0);
        CHECK_EQ(info().queues, cases[i].is_queues);
        CHECK_EQ(info().depth, cases[i].is_depth);
        CHECK_EQ(info().pages, cases[i].is_pages);
        fill_random(want, sizeof(want));
        CHECK_EQ(blkfront_write(bf, 0, want, sizeof(want)), 0);
        CHECK_MEM(blk.data, want, sizeof(want));
        CHECK_EQ(blkfront_read(bf, 0, buf, sizeof(buf)), 0);
        CHECK_MEM(buf, want, sizeof(buf));
        CHECK_EQ(blk.most_segments, cases[i].is_pages);
        CHECK_EQ(blk.indirect > 0, cases[i].is_pages > 11);
        end();
    }
    test_pass(); /* the grant table has grown */
}

TEST(blkfront, a_small_domain_takes_little)
{
    fakexen_use_cpus(4);
    fake_blk_create(&blk, "51712");
    blk.persistent = true;
    fake_dev_set_back(&blk.dev, "multi-queue-max-queues", "4");
    fake_dev_set_back(&blk.dev, "max-ring-page-order", "4");
    CHECK_EQ(open_vbd(), 0);
    CHECK_EQ(info().queues, 1);
    CHECK_EQ(info().depth, 64);
    CHECK(info().persistent);
    end();
}

TEST_RAM(blkfront, queues_are_of_the_cpu_that_submits, 32768)
{
    static struct trial t[8];

    fakexen_use_cpus(4);
    fake_blk_create(&blk, "51712");
    fake_dev_set_back(&blk.dev, "multi-queue-max-queues", "4");
    CHECK_EQ(open_vbd(), 0);
    blk.hold = true;
    for (unsigned i = 0; i < 8; i++) {
        host_cpu = i % 4;
        prepare(&t[i], BLKFRONT_READ, 8 * i, 1);
        CHECK_EQ(blkfront_submit(bf, &t[i].io), 0);
    }
    host_cpu = 0;
    fakexen_settle();
    CHECK_EQ(blk.nr_held, 8);
    for (unsigned i = 0; i < 8; i++)
        CHECK(blk.held_of[i] == (i < 2 ? &blk.ring : &blk.other[i / 2 - 1]));
    fake_blk_release(&blk);
    fakexen_settle();
    CHECK_EQ(nr_ended, 8);
    for (unsigned i = 0; i < 8; i++)
        dispose(&t[i]);
    end();
}

TEST(blkfront, a_long_request_that_is_not_supported_after_all_is_sent_in_pieces)
{
    begin_long();
    fill_random(blk.data, sizeof(blk.data));
    blk.skip = refuse_indirect;
    CHECK_EQ(blkfront_read(bf, 0, buf, sizeof(buf)), 0);
    CHECK_MEM(buf, blk.data, sizeof(buf));
    CHECK_EQ(info().pages, 11);
    CHECK_EQ(info().errors, 0);
    end();
}

TEST(blkfront, long_requests_show_only_what_is_theirs)
{
    begin_long(); /* the fake checks the page of descriptors, its grant and its slack */
    CHECK_EQ(blkfront_write(bf, 0, want, sizeof(want)), 0);
    CHECK(blk.indirect >= 8);
    CHECK_EQ(blk.most_segments, 32);
    CHECK_EQ(grant_count_quarantined(), 0);
    end();
}

/* Transfers of all sizes, answered in any order, new ones coming in: no note of one request is
 * another's. */
static void mixture(unsigned rounds)
{
    static struct trial t[48];
    static uint64_t first[48], next; /* mostly neighbours */

    blk.hold = true;
    fill_random(blk.data, sizeof(blk.data));
    memset(t, 0, sizeof(t));
    for (unsigned i = 0; i < rounds; i++) {
        unsigned n = 1 + (unsigned)test_random_below(32), k = (unsigned)test_random_below(48);

        if (t[k].io.nr_pages != 0 && t[k].ended == 0) {
            if (blk.nr_held > 0)
                fake_blk_do(&blk, (unsigned)test_random_below(blk.nr_held));
            back_ring_push(&blk.ring);
            fakexen_settle();
            continue;
        }
        for (unsigned p = 0; p < t[k].io.nr_pages; p++)
            CHECK_MEM(t[k].io.page[p], blk.data + first[k] * 512 + 4096 * p, 4096);
        dispose(&t[k]);
        first[k] =
            next + 8 * n <= 2048 && test_random_below(4) ? next : 8 * test_random_below(256 - n);
        next = first[k] + 8 * n;
        prepare(&t[k], BLKFRONT_READ, first[k], n);
        CHECK_EQ(blkfront_submit(bf, &t[k].io), 0);
        fakexen_settle();
    }
    blk.hold = false;
    fake_blk_release(&blk);
    fakexen_settle();
    for (unsigned k = 0; k < 48; k++) {
        CHECK(t[k].io.nr_pages == 0 || (t[k].ended == 1 && t[k].io.status == 0));
        dispose(&t[k]);
    }
}

TEST(blkfront, mixtures_of_all_sizes_in_any_order)
{
    begin();
    mixture(2000);
    end();
}

TEST(blkfront, mixtures_of_all_sizes_in_any_order_in_long_requests)
{
    begin_long();
    mixture(2000);
    end();
    test_pass(); /* the grant table has grown */
}

TEST(blkfront, pooled_mixtures_of_all_sizes_in_any_order)
{
    fake_blk_create(&blk, "51712");
    fake_dev_set_back(&blk.dev, "feature-max-indirect-segments", "256");
    blk.persistent = true;
    CHECK_EQ(open_vbd(), 0);
    mixture(2000);
    end();
}

/* ---- merging ---- */

TEST(blkfront, neighbours_share_a_request)
{
    static struct trial t[24];

    begin_long();
    fill_random(blk.data, sizeof(blk.data));
    blkfront_plug(bf);
    for (unsigned i = 0; i < 24; i++) {
        prepare(&t[i], BLKFRONT_READ, 16 * i + (i >= 20 ? 800 : 0), 2);
        if (i == 3)
            t[i].io.len = 4096 + 512; /* ends within a page: the next one is no neighbour */
        CHECK_EQ(blkfront_submit(bf, &t[i].io), 0);
    }
    CHECK_EQ(info().requests, 0);
    blkfront_unplug(bf);
    fakexen_settle();
    CHECK_EQ(nr_ended, 24);
    CHECK_EQ(blk.reads, 3); /* 0-3, 4-19 (32 pages), 20-23 */
    for (unsigned i = 0; i < 24; i++) {
        CHECK_EQ(t[i].io.status, 0);
        CHECK_MEM(t[i].io.page[0], blk.data + t[i].io.sector * 512, 4096);
        CHECK_MEM(t[i].io.page[1], blk.data + t[i].io.sector * 512 + 4096, t[i].io.len - 4096);
        dispose(&t[i]);
    }
    end();
}

TEST(blkfront, neighbours_of_other_kinds_do_not_share)
{
    static struct trial t[4];

    begin_long();
    blkfront_plug(bf);
    for (unsigned i = 0; i < 4; i++) {
        prepare(&t[i], i % 2 ? BLKFRONT_READ : BLKFRONT_WRITE, 8 * i, 1);
        CHECK_EQ(blkfront_submit(bf, &t[i].io), 0);
    }
    blkfront_unplug(bf);
    fakexen_settle();
    CHECK_EQ(blk.reads + blk.writes, 4);
    for (unsigned i = 0; i < 4; i++)
        dispose(&t[i]);
    end();
}

/* One of the transfers of a request fails with it; others do not. */
TEST(blkfront, a_failed_request_fails_what_it_carried)
{
    static struct trial t[4];

    begin_long();
    blkfront_plug(bf);
    for (unsigned i = 0; i < 4; i++) {
        prepare(&t[i], BLKFRONT_READ, 8 * i + (i >= 2 ? 80 : 0), 1);
        CHECK_EQ(blkfront_submit(bf, &t[i].io), 0);
    }
    blk.skip = fail_first_sector;
    blkfront_unplug(bf);
    fakexen_settle();
    for (unsigned i = 0; i < 4; i++) {
        CHECK_EQ(t[i].io.status, i < 2 ? -EIO : 0);
        dispose(&t[i]);
    }
    end();
}

TEST(blkfront, a_plug_does_not_hold_back_more_than_a_ring)
{
    static struct trial t[40];

    begin();
    blkfront_plug(bf);
    for (unsigned i = 0; i < 40; i++) {
        prepare(&t[i], BLKFRONT_READ, 16 * i, 1);
        CHECK_EQ(blkfront_submit(bf, &t[i].io), 0);
    }
    fakexen_settle();
    CHECK(nr_ended >= 32);
    blkfront_unplug(bf);
    fakexen_settle();
    CHECK_EQ(nr_ended, 40);
    for (unsigned i = 0; i < 40; i++)
        dispose(&t[i]);
    end();
}

/* ---- flush ---- */

TEST(blkfront, flushes_with_what_the_backend_has)
{
    static const struct {
        bool flush;
        const char *barrier;
        bool can;
        unsigned flushes, barriers;
    } cases[] = {
        {true, "0", true, 1, 0},
        {true, "1", true, 1, 0},
        {false, "1", true, 0, 1},
        {false, "0", false, 0, 0},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        fake_blk_create(&blk, "51712");
        blk.no_flush = !cases[i].flush;
        fake_dev_set_back(&blk.dev, "feature-barrier", cases[i].barrier);
        CHECK_EQ(open_vbd(), 0);
        CHECK_EQ(info().can_flush, cases[i].can);
        CHECK_EQ(blkfront_flush(bf), 0);
        CHECK_EQ(blk.flushes, cases[i].flushes);
        CHECK_EQ(blk.barriers, cases[i].barriers);
        CHECK_EQ(info().flushes, 1);
        end();
    }
}

TEST(blkfront, does_not_mind_a_backend_that_cannot_flush_after_all)
{
    begin();
    blk.mangle = mangle_status;
    answer_status = BLKIF_RSP_EOPNOTSUPP;
    CHECK_EQ(blkfront_flush(bf), 0);
    CHECK(!info().can_flush);
    CHECK_EQ(blk.flushes, 1);
    CHECK_EQ(blkfront_flush(bf), 0);
    CHECK_EQ(blk.flushes, 1);
    blk.mangle = NULL;
    CHECK_EQ(blkfront_write(bf, 0, buf, 512), 0);
    end();
}

TEST(blkfront, reports_a_flush_that_failed)
{
    begin();
    blk.mangle = mangle_status;
    answer_status = BLKIF_RSP_ERROR;
    CHECK_EQ(blkfront_flush(bf), -EIO);
    CHECK(info().can_flush);
    end();
}

/* ---- what lasts ---- */

TEST(blkfront, fua_is_a_write_and_a_flush)
{
    static const struct {
        bool flush;
        const char *barrier;
        unsigned flushes, barriers;
    } cases[] = {{true, "1", 1, 0}, {false, "1", 0, 1}, {false, "0", 0, 0}};
    struct trial t;

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        fake_blk_create(&blk, "51712");
        blk.no_flush = !cases[i].flush;
        fake_dev_set_back(&blk.dev, "feature-barrier", cases[i].barrier);
        CHECK_EQ(open_vbd(), 0);
        prepare(&t, BLKFRONT_WRITE, 0, 3);
        memset(t.io.page[2], 9, 4096);
        t.io.fua = true;
        CHECK_EQ(blkfront_submit(bf, &t.io), 0);
        fakexen_settle();
        CHECK_EQ(t.ended, 1);
        CHECK_EQ(t.io.status, 0);
        CHECK_EQ(blk.writes, 1);
        CHECK_EQ(blk.flushes, cases[i].flushes);
        CHECK_EQ(blk.barriers, cases[i].barriers);
        if (info().can_flush)
            CHECK_EQ(blk.stable[2 * 4096], 9);
        dispose(&t);
        end();
    }
}

/* A write whose flush is refused is sent again, before its neighbour of which some is in flight:
 * it does not run into the middle of that one. */
TEST(blkfront, a_transfer_sent_in_part_is_no_neighbour_of_one_that_is_sent_again)
{
    static struct trial single[30], again, part;

    begin();
    blk.hold = true;
    prepare(&again, BLKFRONT_WRITE, 0, 1);
    prepare(&part, BLKFRONT_WRITE, 8, 32);
    for (unsigned i = 0; i < 32; i++)
        fill_random(part.io.page[i], 4096);
    again.io.fua = true;
    CHECK_EQ(blkfront_submit(bf, &again.io), 0);
    fakexen_settle();
    fake_blk_do(&blk, 0); /* written; its flush is now held */
    back_ring_push(&blk.ring);
    fakexen_settle();
    for (unsigned i = 0; i < 30; i++) {
        prepare(&single[i], BLKFRONT_READ, 1024 + 16 * i, 1);
        CHECK_EQ(blkfront_submit(bf, &single[i].io), 0);
    }
    CHECK_EQ(blkfront_submit(bf, &part.io), 0);
    fakexen_settle();
    CHECK_EQ(blk.nr_held, 32);
    CHECK_EQ(part.io.sent, 11);
    blk.skip = refuse_flush;
    fake_blk_do(&blk, 0);
    back_ring_push(&blk.ring);
    fakexen_settle();
    blk.hold = false;
    fake_blk_release(&blk);
    fakexen_settle();
    CHECK(again.ended == 1 && again.io.status == 0 && part.ended == 1 && part.io.status == 0);
    for (unsigned i = 0; i < 32; i++)
        CHECK_MEM(blk.data + 4096 * (1 + i), part.io.page[i], 4096);
    for (unsigned i = 0; i < 30; i++)
        dispose(&single[i]);
    dispose(&again);
    dispose(&part);
    end();
}

/* After a flush, nothing written before it is lost with the power. */
TEST(blkfront, a_flush_covers_what_was_written)
{
    begin();
    for (unsigned i = 0; i < 50; i++) {
        size_t at = test_random_below(200), len = 1 + test_random_below(300);

        fill_random(want + at * 512, len * 512);
        CHECK_EQ(blkfront_write(bf, at, want + at * 512, len * 512), 0);
        if (i % 5 == 0) {
            CHECK_EQ(blkfront_flush(bf), 0);
            CHECK_MEM(blk.stable, want, sizeof(want));
        }
    }
    end();
}

/* A write that a later flush is to cover. */
static struct trial written[64];
static unsigned nr_covered;
static bool covered[64];

static bool is_stable(const struct trial *t)
{
    return memcmp(blk.stable + t->io.sector * 512, t->io.page[0], 4096) == 0;
}

/* The flush has ended: what it covers would be there after a power cut. */
static void check_stable(struct blkfront_io *io)
{
    ended(io);
    CHECK_EQ(io->status, 0);
    for (unsigned i = 0; i < ARRAY_SIZE(written); i++)
        CHECK(!covered[i] || is_stable(&written[i]));
}

static void submit_on(unsigned cpu, struct trial *t)
{
    host_cpu = cpu;
    CHECK_EQ(blkfront_submit(bf, &t->io), 0);
    host_cpu = 0;
}

/* Some of what is held, in any order. */
static void do_some(unsigned n)
{
    for (; n > 0 && blk.nr_held > 0; n--)
        fake_blk_do(&blk, (unsigned)test_random_below(blk.nr_held));
    back_ring_push(&blk.ring);
    for (unsigned i = 0; i + 1 < blk.nr_queues; i++)
        back_ring_push(&blk.other[i]);
    fakexen_settle();
}

/* Writes in four queues, answered in any order; a flush in any queue, while some are under way. */
static void flush_among_writes(void)
{
    struct trial flush;

    for (unsigned i = 0; i < ARRAY_SIZE(written); i++) {
        prepare(&written[i], BLKFRONT_WRITE, 16 * i, 1);
        fill_random(written[i].io.page[0], 4096);
        submit_on((unsigned)test_random_below(4), &written[i]);
    }
    fakexen_settle();
    do_some((unsigned)test_random_below(ARRAY_SIZE(written)));
    for (unsigned i = 0; i < ARRAY_SIZE(written); i++)
        nr_covered += covered[i] = written[i].ended;
    prepare(&flush, BLKFRONT_FLUSH, 0, 0);
    flush.io.done = check_stable;
    submit_on((unsigned)test_random_below(4), &flush);
    fakexen_settle();
    while (blk.nr_held > 0)
        do_some(5);
    CHECK_EQ(flush.ended, 1);
    for (unsigned i = 0; i < ARRAY_SIZE(written); i++) {
        CHECK_EQ(written[i].ended, 1);
        dispose(&written[i]);
    }
}

TEST_RAM(blkfront, a_flush_covers_what_had_ended_in_every_queue, 32768)
{
    fakexen_use_cpus(4);
    fake_blk_create(&blk, "51712");
    fake_dev_set_back(&blk.dev, "multi-queue-max-queues", "4");
    CHECK_EQ(open_vbd(), 0);
    CHECK_EQ(info().queues, 4);
    blk.hold = true;
    for (unsigned round = 0; round < 30; round++)
        flush_among_writes();
    CHECK(nr_covered > 100);
    CHECK_EQ(blk.flushes, 30);
    end();
}

TEST(blkfront, falls_back_from_flush_to_barrier_to_nothing)
{
    fake_blk_create(&blk, "51712");
    fake_dev_set_back(&blk.dev, "feature-barrier", "1");
    CHECK_EQ(open_vbd(), 0);
    blk.skip = refuse_flush;
    CHECK_EQ(blkfront_flush(bf), 0);
    CHECK_EQ(blk.flushes, 1);
    CHECK_EQ(blk.barriers, 1);
    CHECK(info().can_flush);
    blk.skip = refuse_flush_and_barrier;
    CHECK_EQ(blkfront_flush(bf), 0);
    CHECK_EQ(blk.barriers, 2);
    CHECK(!info().can_flush);
    CHECK_EQ(blkfront_flush(bf), 0);
    CHECK_EQ(blk.flushes + blk.barriers, 3);
    end();
}

/* ---- discard ---- */

TEST(blkfront, discards_what_is_not_wanted)
{
    static const struct {
        const char *discard, *secure, *granularity, *alignment;
        uint64_t sector, n;
        bool securely;
        int rc;
        unsigned from, to; /* sectors that are gone */
    } cases[] = {
        {"1", "0", "512", "0", 10, 20, false, 0, 10, 30},
        {"1", "0", "4096", "0", 10, 20, false, 0, 16, 24},
        {"1", "0", "4096", "0", 10, 10, false, 0, 0, 0},
        {"1", "0", "4096", "1024", 0, 30, false, 0, 2, 26},
        {"1", "0", "4096", "3584", 0, 1, false, 0, 0, 0}, /* before the first unit */
        {"1", "0", "4096", "3584", 0, 20, false, 0, 7, 15},
        {"1", "0", "4096", "3584", 2040, 8, false, 0, 0, 0},
        {"1", "1", "4096", "0", 10, 20, true, 0, 10, 30},
        {"1", "0", "512", "0", 10, 20, true, -EOPNOTSUPP, 0, 0},
        {"0", "0", "512", "0", 10, 20, false, -EOPNOTSUPP, 0, 0},
        {"1", "0", "3", "7", 10, 20, false, 0, 10, 30},
        {"1", "0", "0", "0", 10, 20, false, 0, 10, 30},
        {"1", "0", "4294967295", "4294967295", 10, 20, false, 0, 0, 0},
        {"1", "0", "512", "0", 2040, 9, false, -EINVAL, 0, 0},
        {"1", "0", "512", "0", ~0ULL, 9, false, -EINVAL, 0, 0},
        {"1", "0", "512", "0", 9, ~0ULL, false, -EINVAL, 0, 0},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        fake_blk_create(&blk, "51712");
        fake_dev_set_back(&blk.dev, "feature-discard", cases[i].discard);
        fake_dev_set_back(&blk.dev, "discard-secure", cases[i].secure);
        fake_dev_set_back(&blk.dev, "discard-granularity", cases[i].granularity);
        fake_dev_set_back(&blk.dev, "discard-alignment", cases[i].alignment);
        CHECK_EQ(open_vbd(), 0);
        memset(blk.data, 1, sizeof(blk.data));
        CHECK_EQ(blkfront_discard(bf, cases[i].sector, cases[i].n, cases[i].securely), cases[i].rc);
        for (unsigned s = 0; s < 2048; s++)
            CHECK_EQ(blk.data[s * 512], !(s >= cases[i].from && s < cases[i].to));
        CHECK_EQ(blk.secure, cases[i].securely && cases[i].rc == 0);
        end();
    }
}

TEST(blkfront, a_discard_that_is_not_supported_after_all_is_the_last)
{
    fake_blk_create(&blk, "51712");
    fake_dev_set_back(&blk.dev, "feature-discard", "1");
    CHECK_EQ(open_vbd(), 0);
    blk.skip = refuse_discard;
    CHECK_EQ(blkfront_discard(bf, 0, 8, false), -EOPNOTSUPP);
    CHECK_EQ(blk.discards, 1);
    CHECK_EQ(blkfront_discard(bf, 0, 8, false), -EOPNOTSUPP);
    CHECK_EQ(blk.discards, 1);
    end();
}

TEST(blkfront, a_discard_may_fail)
{
    fake_blk_create(&blk, "51712");
    fake_dev_set_back(&blk.dev, "feature-discard", "1");
    CHECK_EQ(open_vbd(), 0);
    blk.mangle = mangle_status;
    answer_status = BLKIF_RSP_ERROR;
    CHECK_EQ(blkfront_discard(bf, 0, 8, false), -EIO);
    CHECK(info().can_discard);
    end();
}
