/* SPDX-License-Identifier: BSD-2-Clause */
/* frontends/blkfront against an obedient and a hostile backend. */
#include "frontends/blkfront/blkfront.h"

#include <stdio.h>
#include <string.h>
#include "frontends/common/xenbus.h"
#include "kernel/page.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "tests/host/fakeback.h"
#include "tests/host/hostarch.h"
#include "tests/host/test.h"

FAKEXEN_BOOT(blkfront)

static struct fake_blk blk;
static struct blkfront *bf;

static int open_vbd(void)
{
    bf = NULL;
    return blkfront_open("51712", &bf);
}

static void begin(void)
{
    fake_blk_create(&blk, "51712");
    CHECK_EQ(open_vbd(), 0);
}

static void end(void)
{
    if (bf != NULL)
        blkfront_close(bf);
    bf = NULL;
    fake_blk_destroy(&blk);
    fakexen_store_rm(FAKE_HOME "/error");
    fakexen_settle();
    host_advance(10 * NSEC_PER_SEC); /* the quarantine empties */
}

static struct blkfront_info info(void)
{
    struct blkfront_info i;

    blkfront_get_info(bf, &i);
    return i;
}

static uint8_t buf[1 << 20], want[1 << 20];

static void fill_random(uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i += 8) {
        uint64_t r = test_random();

        memcpy(p + i, &r, 8);
    }
}

/* An asynchronous transfer of whole pages, and what became of it. */
struct trial {
    struct blkfront_io io;
    unsigned ended;
    uint64_t order;
};

static unsigned nr_ended;
static struct trial scribbled;

static void ended(struct blkfront_io *io)
{
    struct trial *t = io->arg;

    t->ended++;
    t->order = nr_ended++;
}

static void prepare(struct trial *t, enum blkfront_op op, uint64_t sector, unsigned nr_pages)
{
    memset(t, 0, sizeof(*t));
    t->io.op = op;
    t->io.sector = sector;
    t->io.nr_pages = nr_pages;
    t->io.len = nr_pages * 4096;
    t->io.done = ended;
    t->io.arg = t;
    for (unsigned i = 0; i < nr_pages; i++) {
        t->io.page[i] = page_alloc_zeroed();
        CHECK(t->io.page[i] != NULL);
    }
}

static void dispose(struct trial *t)
{
    for (unsigned i = 0; i < t->io.nr_pages; i++)
        if (!t->io.page_lost[i])
            page_free(t->io.page[i]);
}

/* ---- opening ---- */

TEST(blkfront, open_learns_the_geometry)
{
    begin();
    CHECK_STR(info().name, "xvda");
    CHECK_EQ(info().nr_sectors, 2048);
    CHECK_EQ(info().sector_size, 512);
    CHECK_EQ(info().physical_sector_size, 512);
    CHECK(!info().read_only && !info().cdrom && info().can_flush);
    CHECK_EQ(info().depth, 32);
    CHECK_STR(fake_dev_front(&blk.dev, "state"), "4");
    CHECK(host_logged("xvda: 1 MiB, sectors of 512 bytes, flush"));
    end();
}

TEST(blkfront, names_disks_as_the_toolstack_does)
{
    static const struct {
        const char *id, *name;
    } cases[] = {
        {"51712", "xvda"},
        {"51728", "xvdb"},
        {"51713", "xvda1"},
        {"51967", "xvdp15"},
        {"768", "vbd768"},
        {"268439552", "xvdq"},
        {"268441856", "xvdz"},
        {"268442112", "xvdaa"},
        {"0", "vbd0"},
        {"268442115", "xvdaa3"},
        {"536870911", "vbd536870911"},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        fake_blk_create(&blk, cases[i].id);
        CHECK_EQ(blkfront_open(cases[i].id, &bf), 0);
        CHECK_STR(info().name, cases[i].name);
        end();
    }
}

TEST(blkfront, open_refuses_names_that_are_no_number)
{
    static const char *const ids[] = {"", "xvda", "-1", "51712/..", "4294967296"};

    for (unsigned i = 0; i < ARRAY_SIZE(ids); i++)
        CHECK_EQ(blkfront_open(ids[i], &bf), -EINVAL);
    CHECK_EQ(blkfront_open("51712", &bf), -ENOENT);
}

TEST(blkfront, open_judges_the_geometry)
{
    static const struct {
        const char *key, *value;
        bool good;
    } cases[] = {
        {"sectors", "0", true},
        {"sectors", "18014398509481984", true},
        {"sectors", "18014398509481985", false},
        {"sectors", "18446744073709551615", false},
        {"sectors", "1e9", false},
        {"sectors", " 5", false},
        {"sectors", "-5", false},
        {"sector-size", "4096", true},
        {"sector-size", "1024", true},
        {"sector-size", "0", false},
        {"sector-size", "1", false},
        {"sector-size", "513", false},
        {"sector-size", "1536", false},
        {"sector-size", "8192", false},
        {"sector-size", "65536", false},
        {"sector-size", "", false},
        {"physical-sector-size", "x", true},
        {"physical-sector-size", "3", true},
        {"info", "4294967295", true},
        {"info", "x", true},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        fake_blk_create(&blk, "51712");
        fake_dev_set_back(&blk.dev, cases[i].key, cases[i].value);
        CHECK_EQ(open_vbd() == 0, cases[i].good);
        if (cases[i].good)
            CHECK(IS_POW2(info().physical_sector_size));
        end();
    }
    CHECK(host_logged("vbd/51712: key \"sectors\" is \"1e9\", not a number from 0 to"));
    CHECK(
        host_logged("vbd/51712: key \"sector-size\" is 513, not a power of two; check the disk="));
}

TEST(blkfront, small_disks_are_announced_in_kib)
{
    fake_blk_create(&blk, "51712");
    fake_dev_set_back(&blk.dev, "sectors", "88");
    CHECK_EQ(open_vbd(), 0);
    CHECK(host_logged("xvda: 44 KiB, sectors"));
    end();
}

TEST(blkfront, open_knows_read_only_disks)
{
    static const struct {
        const char *info, *mode;
        bool read_only, cdrom;
    } cases[] = {
        {"0", "w", false, false}, {"4", "w", true, false}, {"0", "r", true, false},
        {"1", "w", true, true},   {"0", "x", true, false}, {"2", "w!", false, false},
        {"5", "r", true, true},   {"0", "", false, false},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        fake_blk_create(&blk, "51712");
        fake_dev_set_back(&blk.dev, "info", cases[i].info);
        fake_dev_set_back(&blk.dev, "mode", cases[i].mode);
        CHECK_EQ(open_vbd(), 0);
        CHECK_EQ(info().read_only, cases[i].read_only);
        CHECK_EQ(info().cdrom, cases[i].cdrom);
        CHECK_EQ(blkfront_write(bf, 0, buf, 512), cases[i].read_only ? -EROFS : 0);
        CHECK_EQ(blkfront_read(bf, 0, buf, 512), 0);
        end();
    }
}

TEST(blkfront, open_gives_up_after_30_seconds)
{
    nsec_t start;

    fake_blk_create(&blk, "51712");
    blk.dev.aloof = true;
    start = time_now();
    CHECK_EQ(open_vbd(), -ETIMEDOUT);
    CHECK((time_now() - start) / NSEC_PER_SEC <= 36);
    end();
}

TEST(blkfront, opens_again_and_again)
{
    fake_blk_create(&blk, "51712");
    for (unsigned i = 0; i < 10; i++) {
        CHECK_EQ(open_vbd(), 0);
        CHECK_EQ(blkfront_write(bf, i, buf, 512), 0);
        blkfront_close(bf);
    }
    bf = NULL;
    CHECK_EQ(blk.writes, 10);
    end();
}

/* ---- blocking transfers ---- */

TEST(blkfront, reads_back_what_it_wrote)
{
    begin();
    fill_random(want, sizeof(want));
    CHECK_EQ(blkfront_write(bf, 0, want, sizeof(want)), 0);
    CHECK_MEM(blk.data, want, sizeof(want));
    memset(buf, 0, sizeof(buf));
    CHECK_EQ(blkfront_read(bf, 0, buf, sizeof(buf)), 0);
    CHECK_MEM(buf, want, sizeof(buf));
    end();
}

TEST(blkfront, transfers_any_range)
{
    begin();
    fill_random(blk.data, sizeof(blk.data));
    memcpy(want, blk.data, sizeof(want));
    for (unsigned i = 0; i < 300; i++) {
        uint64_t sector = test_random_below(2048);
        size_t len = (1 + test_random_below(MIN(2048 - sector, i % 3 ? 20 : 400))) * 512;

        if (i % 2) {
            CHECK_EQ(blkfront_read(bf, sector, buf, len), 0);
            CHECK_MEM(buf, want + sector * 512, len);
        } else {
            fill_random(want + sector * 512, len);
            CHECK_EQ(blkfront_write(bf, sector, want + sector * 512, len), 0);
        }
    }
    CHECK_MEM(blk.data, want, sizeof(want));
    end();
}

TEST(blkfront, uses_whole_requests_and_several_at_once)
{
    begin();
    CHECK_EQ(blkfront_read(bf, 0, buf, 8 * 11 * 4096), 0);
    CHECK_EQ(blk.reads, 8);
    CHECK_EQ(info().reads, 8);
    CHECK(blk.most_held >= 4);
    end();
}

TEST(blkfront, refuses_ranges_beyond_the_end_or_unaligned)
{
    static const struct {
        uint64_t sector;
        size_t len;
    } cases[] = {
        {2048, 512},       {2047, 1024},           {0, 1},
        {0, 513},          {0, sizeof(buf) + 512}, {~0ULL, 512},
        {1ULL << 63, 512}, {~0ULL - 7, 8192},      {0, 511},
    };

    begin();
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        CHECK_EQ(blkfront_read(bf, cases[i].sector, buf, cases[i].len), -EINVAL);
        CHECK_EQ(blkfront_write(bf, cases[i].sector, buf, cases[i].len), -EINVAL);
    }
    CHECK_EQ(blkfront_read(bf, 2048, buf, 0), 0);
    CHECK_EQ(blkfront_read(bf, 2047, buf, 512), 0);
    CHECK_EQ(blk.reads, 1);
    end();
}

TEST(blkfront, keeps_to_large_sectors)
{
    fake_blk_create(&blk, "51712");
    fake_dev_set_back(&blk.dev, "sector-size", "4096");
    fake_dev_set_back(&blk.dev, "physical-sector-size", "16384");
    CHECK_EQ(open_vbd(), 0);
    CHECK_EQ(info().physical_sector_size, 16384);
    CHECK_EQ(blkfront_read(bf, 1, buf, 4096), -EINVAL);
    CHECK_EQ(blkfront_read(bf, 0, buf, 512), -EINVAL);
    fill_random(want, 65536);
    CHECK_EQ(blkfront_write(bf, 8, want, 65536), 0);
    CHECK_MEM(blk.data + 4096, want, 65536); /* sector 8 is byte 4096 whatever the sector size */
    CHECK_EQ(blkfront_read(bf, 8, buf, 65536), 0);
    CHECK_MEM(buf, want, 65536);
    end();
}

TEST(blkfront, reaches_sectors_beyond_two_tebibytes)
{
    static const uint64_t bases[] = {(1ULL << 32) - 8, 1ULL << 33, (1ULL << 54) - 2048};

    for (unsigned i = 0; i < ARRAY_SIZE(bases); i++) {
        fake_blk_create(&blk, "51712");
        blk.base = bases[i];
        fake_dev_set_back(&blk.dev, "sectors", "18014398509481984");
        CHECK_EQ(open_vbd(), 0);
        fill_random(want, 200000 / 512 * 512);
        CHECK_EQ(blkfront_write(bf, bases[i] + 3, want, 200000 / 512 * 512), 0);
        CHECK_MEM(blk.data + 3 * 512, want, 200000 / 512 * 512);
        CHECK_EQ(blkfront_read(bf, bases[i] + 3, buf, 200000 / 512 * 512), 0);
        CHECK_MEM(buf, want, 200000 / 512 * 512);
        end();
    }
}

TEST(blkfront, gets_along_with_little_memory)
{
    void *hog[HOST_RAM_PAGES];
    size_t n = 0;

    begin();
    fill_random(blk.data, sizeof(blk.data));
    while (n < HOST_RAM_PAGES && (hog[n] = page_alloc()) != NULL)
        n++;
    for (unsigned i = 0; i < 14; i++)
        page_free(hog[--n]);
    CHECK_EQ(blkfront_read(bf, 0, buf, 500000 / 512 * 512), 0);
    CHECK_MEM(buf, blk.data, 500000 / 512 * 512);
    while (n > 0)
        page_free(hog[--n]);
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

static int16_t answer_status;
static unsigned answer_operation;

static void mangle_status(struct blkif_response *rsp)
{
    rsp->status = answer_status;
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

/* ---- asynchronous transfers ---- */

TEST(blkfront, fills_the_ring_and_queues_the_rest_in_order)
{
    static struct trial t[100];

    begin();
    blk.hold = true;
    for (unsigned i = 0; i < 100; i++) {
        prepare(&t[i], BLKFRONT_WRITE, 8 * i, 1);
        memset(t[i].io.page[0], (int)i, 4096);
        CHECK_EQ(blkfront_submit(bf, &t[i].io), 0);
    }
    fakexen_settle();
    CHECK_EQ(blk.most_held, 32);
    CHECK_EQ(nr_ended, 0);
    while (nr_ended < 100) {
        fake_blk_release(&blk);
        fakexen_settle();
    }
    CHECK_EQ(blk.writes, 100);
    for (unsigned i = 0; i < 100; i++) {
        CHECK_EQ(t[i].ended, 1);
        CHECK_EQ(t[i].order, i);
        CHECK_EQ(t[i].io.status, 0);
        CHECK_EQ(blk.data[4096 * i], i);
        dispose(&t[i]);
    }
    end();
}

TEST(blkfront, completes_in_the_order_of_the_answers)
{
    static struct trial t[32];

    begin();
    blk.hold = true;
    fill_random(blk.data, sizeof(blk.data));
    for (unsigned i = 0; i < 32; i++) {
        prepare(&t[i], BLKFRONT_READ, 44 * i, 5);
        CHECK_EQ(blkfront_submit(bf, &t[i].io), 0);
    }
    fakexen_settle();
    while (blk.nr_held > 0)
        fake_blk_do(&blk, (unsigned)test_random_below(blk.nr_held));
    back_ring_push(&blk.ring);
    fakexen_settle();
    for (unsigned i = 0; i < 32; i++) {
        CHECK_EQ(t[i].ended, 1);
        CHECK_EQ(t[i].io.status, 0);
        for (unsigned p = 0; p < 5; p++)
            CHECK_MEM(t[i].io.page[p], blk.data + 44 * 512 * i + 4096 * p, 4096);
        dispose(&t[i]);
    }
    end();
}

static unsigned resubmits;

static void submit_again(struct blkfront_io *io)
{
    ended(io);
    if (resubmits > 0 && io->status == 0) {
        resubmits--;
        CHECK_EQ(blkfront_submit(bf, io), 0);
    }
}

TEST(blkfront, takes_new_transfers_from_done)
{
    static struct trial t[40];

    begin();
    resubmits = 2000;
    for (unsigned i = 0; i < 40; i++) {
        prepare(&t[i], i % 2 ? BLKFRONT_READ : BLKFRONT_WRITE, 8 * i, 2);
        t[i].io.done = submit_again;
        CHECK_EQ(blkfront_submit(bf, &t[i].io), 0);
    }
    fakexen_settle();
    CHECK_EQ(nr_ended, 2040);
    CHECK_EQ(blk.reads + blk.writes, 2040);
    for (unsigned i = 0; i < 40; i++)
        dispose(&t[i]);
    end();
}

TEST(blkfront, refuses_transfers_of_a_wrong_shape)
{
    struct trial t;
    struct blkfront_io bad[13];

    begin();
    prepare(&t, BLKFRONT_READ, 0, 2);
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
        bad[i] = t.io;
    bad[0].nr_pages = 0;
    bad[1].nr_pages = 12;
    bad[2].len = 0;
    bad[3].len = 4096; /* the second page would be empty */
    bad[4].len = 8193;
    bad[5].len = 4196;
    bad[6].page[1] = (char *)t.io.page[1] + 512;
    bad[7].page[0] = NULL;
    bad[8].op = (enum blkfront_op)7;
    bad[9].op = BLKFRONT_FLUSH;
    bad[10].sector = 2048 - 15;
    bad[11].sector = 2049;
    bad[12].sector = ~0ULL;
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
        CHECK_EQ(blkfront_submit(bf, &bad[i]), -EINVAL);
    CHECK_EQ(t.ended, 0);
    dispose(&t);
    end();
}

TEST(blkfront, notifies_once_for_a_plugged_burst)
{
    static struct trial t[10];
    unsigned before;

    begin();
    blk.hold = true;
    before = fakexen_count_notified(blk.ring.port);
    blkfront_plug(bf);
    for (unsigned i = 0; i < 10; i++) {
        prepare(&t[i], BLKFRONT_READ, 8 * i, 1);
        CHECK_EQ(blkfront_submit(bf, &t[i].io), 0);
    }
    CHECK_EQ(fakexen_count_notified(blk.ring.port), before);
    blkfront_unplug(bf);
    CHECK_EQ(fakexen_count_notified(blk.ring.port), before + 1);
    fakexen_settle();
    fake_blk_release(&blk);
    fakexen_settle();
    CHECK_EQ(nr_ended, 10);
    for (unsigned i = 0; i < 10; i++)
        dispose(&t[i]);
    end();
}

TEST(blkfront, close_does_not_hold_back_a_plugged_burst)
{
    static struct trial t;

    begin();
    prepare(&t, BLKFRONT_WRITE, 0, 1);
    blkfront_plug(bf);
    CHECK_EQ(blkfront_submit(bf, &t.io), 0);
    blkfront_close(bf);
    bf = NULL;
    CHECK_EQ(t.io.status, 0);
    CHECK_EQ(blk.writes, 1);
    dispose(&t);
    end();
}

TEST(blkfront, bounces_for_a_backend_that_is_not_trusted)
{
    struct trial t;

    fake_blk_create(&blk, "51712");
    fake_dev_set_front(&blk.dev, "trusted", "0");
    CHECK_EQ(open_vbd(), 0);
    CHECK(host_logged("bounced"));
    prepare(&t, BLKFRONT_WRITE, 0, 2);
    t.io.len = 4608;
    fill_random(t.io.page[0], 4096);
    memset(t.io.page[1], 0xca, 4096);
    blk.hold = true;
    CHECK_EQ(blkfront_submit(bf, &t.io), 0);
    fakexen_settle();
    CHECK_EQ(fake_grant_read(blk.held[0].seg[1].gref, 0, buf, 4096), 0);
    CHECK_EQ(buf[511], 0xca);
    CHECK_EQ(buf[512], 0); /* only what is written is to be seen */
    fake_blk_release(&blk);
    blk.hold = false;
    fakexen_settle();
    CHECK_MEM(blk.data, t.io.page[0], 4096);
    CHECK_EQ(blkfront_read(bf, 0, buf, 4608), 0);
    CHECK_MEM(buf, blk.data, 4608);
    dispose(&t);
    end();
}

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
    CHECK_EQ(blk.most_held, 1);
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

TEST(blkfront, serves_several_disks)
{
    static struct fake_blk second;
    struct blkfront *other;

    begin();
    fake_blk_create(&second, "51728");
    CHECK_EQ(blkfront_open("51728", &other), 0);
    CHECK_EQ(blkfront_write(bf, 0, "one", 0), 0);
    memset(buf, 1, 512);
    CHECK_EQ(blkfront_write(bf, 0, buf, 512), 0);
    memset(buf, 2, 512);
    CHECK_EQ(blkfront_write(other, 0, buf, 512), 0);
    CHECK_EQ(blk.data[0], 1);
    CHECK_EQ(second.data[0], 2);
    blkfront_close(other);
    fake_blk_destroy(&second);
    end();
}

/* ---- liveness ---- */

TEST(blkfront, does_not_depend_on_the_backends_events)
{
    nsec_t start;

    begin();
    blk.ring.quiet = true;
    start = time_now();
    CHECK_EQ(blkfront_read(bf, 0, buf, 4096), 0);
    CHECK(time_now() - start <= NSEC_PER_SEC + NSEC_PER_MSEC);
    end();
}

static void release_later(void *arg)
{
    (void)arg;
    blk.hold = false;
    fake_blk_release(&blk);
}

TEST(blkfront, a_blocking_read_gives_up_after_30_seconds)
{
    nsec_t start = time_now();

    begin();
    blk.hold = true;
    CHECK_EQ(blkfront_read(bf, 0, buf, 4096), -EIO);
    CHECK_EQ((time_now() - start) / NSEC_PER_SEC, 30);
    release_later(NULL); /* the answer comes after all: its pages are freed then */
    fakexen_settle();
    CHECK_EQ(blkfront_read(bf, 0, buf, 4096), 0);
    end();
}

TEST(blkfront, a_blocking_read_is_patient_for_as_long)
{
    begin();
    blk.hold = true;
    fill_random(blk.data, sizeof(blk.data));
    host_at(host_clock + 29 * NSEC_PER_SEC, release_later, NULL);
    CHECK_EQ(blkfront_read(bf, 0, buf, 300 * 512), 0);
    CHECK_MEM(buf, blk.data, 300 * 512);
    end();
}

TEST(blkfront, close_waits_for_what_is_under_way)
{
    struct trial t;

    begin();
    blk.hold = true;
    prepare(&t, BLKFRONT_WRITE, 0, 1);
    CHECK_EQ(blkfront_submit(bf, &t.io), 0);
    host_at(host_clock + 5 * NSEC_PER_SEC, release_later, NULL);
    blkfront_close(bf);
    bf = NULL;
    CHECK_EQ(t.ended, 1);
    CHECK_EQ(t.io.status, 0);
    dispose(&t);
    end();
}

TEST(blkfront, close_ends_what_is_never_answered)
{
    static struct trial t[50];
    nsec_t start;

    begin();
    blk.hold = true;
    for (unsigned i = 0; i < 50; i++) {
        prepare(&t[i], BLKFRONT_READ, 8 * i, 1);
        CHECK_EQ(blkfront_submit(bf, &t[i].io), 0);
    }
    fakexen_settle();
    start = time_now();
    blkfront_close(bf);
    bf = NULL;
    CHECK(time_now() - start <= 16 * NSEC_PER_SEC);
    for (unsigned i = 0; i < 50; i++) {
        CHECK_EQ(t[i].ended, 1);
        CHECK_EQ(t[i].io.status, i < 32 ? -EIO : -ENODEV);
        CHECK(!t[i].io.page_lost[0]);
        dispose(&t[i]);
    }
    end();
}

static void expect_gone(void)
{
    struct trial t;

    fakexen_settle();
    prepare(&t, BLKFRONT_READ, 0, 1);
    CHECK_EQ(blkfront_submit(bf, &t.io), -ENODEV);
    CHECK_EQ(blkfront_read(bf, 0, buf, 512), -ENODEV);
    CHECK_EQ(blkfront_flush(bf), -ENODEV);
    dispose(&t);
}

TEST(blkfront, finishes_its_work_for_a_backend_that_closes)
{
    struct trial t;

    begin();
    blk.hold = true;
    prepare(&t, BLKFRONT_READ, 0, 1);
    CHECK_EQ(blkfront_submit(bf, &t.io), 0);
    fakexen_settle();
    fake_dev_set_state(&blk.dev, XenbusStateClosing);
    fakexen_settle();
    CHECK_EQ(t.ended, 0);
    fake_blk_release(&blk);
    expect_gone();
    CHECK_EQ(t.io.status, 0);
    CHECK_EQ(t.ended, 1);
    CHECK_EQ(blk.dev.state, XenbusStateClosed);
    dispose(&t);
    end();
}

TEST(blkfront, is_gone_with_its_backend)
{
    static const unsigned states[] = {XenbusStateClosed, XenbusStateInitWait, XenbusStateUnknown};

    for (unsigned i = 0; i < ARRAY_SIZE(states); i++) {
        begin();
        fake_dev_set_state(&blk.dev, states[i]);
        expect_gone();
        CHECK(host_logged("xvda: the device is gone"));
        end();
    }
}

TEST(blkfront, bears_that_device_and_backend_vanish_under_load)
{
    static struct trial t[40];

    begin();
    blk.hold = true;
    for (unsigned i = 0; i < 40; i++) {
        prepare(&t[i], BLKFRONT_WRITE, 8 * i, 1);
        CHECK_EQ(blkfront_submit(bf, &t[i].io), 0);
    }
    fakexen_settle();
    fake_blk_destroy(&blk);
    expect_gone();
    for (unsigned i = 0; i < 40; i++) {
        CHECK_EQ(t[i].ended, 1);
        CHECK(t[i].io.status < 0);
        dispose(&t[i]);
    }
    blkfront_close(bf);
}

/* ---- a hostile backend ---- */

static void expect_broken(const char *why)
{
    expect_gone();
    CHECK(host_logged("vbd/51712: the backend broke the protocol: "));
    if (!host_logged(why))
        test_fail(__FILE__, __LINE__, "not because of: %s", why);
    CHECK(fakexen_store_get(FAKE_HOME "/error/device/vbd/51712/error") != NULL);
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

    for (unsigned i = 0; i < 64; i++)
        memset(stale[i] = page_alloc(), 0xca, 4096);
    for (unsigned i = 0; i < 64; i++)
        page_free(stale[i]);
    begin();
    blk.hold = true;
    memset(buf, 0xcb, sizeof(buf));
    CHECK_EQ(blkfront_write(bf, 0, buf, 512), -EIO); /* after 30 s, still in flight */
    CHECK_EQ(blkfront_read(bf, 0, buf, 512), -EIO);
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

TEST(blkfront, hostile_state_storm_under_load)
{
    begin();
    for (unsigned i = 0; i < 300; i++) {
        (void)!blkfront_read(bf, 0, buf, 4096);
        fake_dev_set_state(&blk.dev, (unsigned)test_random_below(9));
        fakexen_settle();
    }
    expect_gone();
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

TEST(blkfront_tight, a_blocking_read_fails_cleanly_without_memory)
{
    static void *hog[HOST_RAM_PAGES];
    size_t n = 0;

    begin();
    while (page_count_free() > 0)
        hog[n++] = page_alloc();
    CHECK_EQ(blkfront_read(bf, 0, buf, 4096), -ENOMEM);
    page_free(hog[--n]);
    CHECK_EQ(blkfront_read(bf, 0, buf, 100000 / 512 * 512), 0);
    while (n > 0)
        page_free(hog[--n]);
    end();
}
