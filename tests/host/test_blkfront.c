/* SPDX-License-Identifier: BSD-2-Clause */
/* frontends/blkfront against an obedient and a hostile backend. */
#include "frontends/blkfront/blkfront.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "frontends/common/xenbus.h"
#include "kernel/cpumask.h"
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

/* The same of up to a page of any memory. */
static void prepare_copy(struct trial *t, enum blkfront_op op, uint64_t sector, uint8_t *data,
                         unsigned len)
{
    prepare(t, op, sector, 0);
    t->io.copy = true;
    t->io.nr_pages = 1;
    t->io.len = len;
    t->io.page[0] = data;
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

static void plug_in_later(void *unused)
{
    (void)unused;
    thread_sleep_until(time_now() + 3 * NSEC_PER_SEC);
    fakexen_store_set(FAKE_HOME "/device/vbd/51728/backend", "soon"); /* another one */
    thread_sleep_until(time_now() + 3 * NSEC_PER_SEC);
    fake_blk_create(&blk, "51712");
}

TEST(blkfront, awaits_a_disk_that_is_plugged_in)
{
    unsigned watches = fakexen_store_count_watches();
    nsec_t begin = time_now();
    struct thread *t;

    CHECK_EQ(blkfront_await("51712", time_now() + NSEC_PER_SEC), -ETIMEDOUT);
    CHECK_EQ(blkfront_await("xvda", NEVER), -EINVAL);
    CHECK_EQ(thread_create("toolstack", PRIO_NORMAL, 0, plug_in_later, NULL, &t), 0);
    CHECK_EQ(blkfront_await("51712", time_now() + 60 * NSEC_PER_SEC), 0);
    CHECK_EQ((time_now() - begin) / NSEC_PER_SEC, 7);
    CHECK_EQ(blkfront_await("51712", 0), 0);
    CHECK_EQ(fakexen_store_count_watches(), watches);
    thread_join(t);
    CHECK_EQ(open_vbd(), 0);
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
    CHECK_EQ(blk.reads, 9); /* 11 + 11 + 10, twice, 11 + 11 + 2 */
    CHECK_EQ(info().requests, 9);
    CHECK_EQ(info().reads, 3);
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

/* On disks of each sector size: what begins and ends on one goes, what does not is refused. */
TEST(blkfront, every_sector_size_is_an_alignment)
{
    for (unsigned size = 512; size <= 4096; size *= 2) {
        uint64_t unit = size / 512;
        char text[8];

        snprintf(text, sizeof(text), "%u", size);
        fake_blk_create(&blk, "51712");
        fake_dev_set_back(&blk.dev, "sector-size", text);
        CHECK_EQ(open_vbd(), 0);
        CHECK_EQ(info().sector_size, size);
        for (uint64_t sector = 0; sector < 16; sector++) {
            for (size_t n = 1; n <= 16; n++) {
                int rc = sector % unit == 0 && n % unit == 0 ? 0 : -EINVAL;

                fill_random(want, 8192);
                CHECK_EQ(blkfront_write(bf, sector, want, n * 512), rc);
                if (rc == 0)
                    CHECK_MEM(blk.data + sector * 512, want, n * 512);
            }
        }
        end();
    }
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
        prepare(&t[i], BLKFRONT_WRITE, 16 * i, 1);
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
        CHECK_EQ(blk.data[8192 * i], i);
        dispose(&t[i]);
    }
    end();
}

static enum blkfront_moment moments[8];
static unsigned nr_moments;

static void see(enum blkfront_moment moment)
{
    CHECK(nr_moments < sizeof(moments) / sizeof(moments[0]));
    moments[nr_moments++] = moment;
}

TEST(blkfront, can_be_observed)
{
    struct trial t;

    begin();
    blkfront_observe(bf, see);
    prepare(&t, BLKFRONT_READ, 0, 1);
    CHECK_EQ(blkfront_submit(bf, &t.io), 0);
    fakexen_settle();
    CHECK_EQ(t.ended, 1);
    CHECK_EQ(nr_moments, 3);
    CHECK_EQ(moments[0], BLKFRONT_NOTIFY);
    CHECK_EQ(moments[1], BLKFRONT_EVENT);
    CHECK_EQ(moments[2], BLKFRONT_ANSWER);
    blkfront_observe(bf, NULL);
    CHECK_EQ(blkfront_submit(bf, &t.io), 0);
    fakexen_settle();
    CHECK_EQ(nr_moments, 3);
    dispose(&t);
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
    bad[1].nr_pages = 33;
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

TEST(blkfront, a_blocking_read_gives_up_after_60_seconds)
{
    nsec_t start = time_now();

    begin();
    blk.hold = true;
    CHECK_EQ(blkfront_read(bf, 0, buf, 4096), -EIO);
    CHECK_EQ((time_now() - start) / NSEC_PER_SEC, 60);
    memset(buf, 7, 4096);
    release_later(NULL); /* the answer comes after all: its page is freed then */
    fakexen_settle();
    for (unsigned i = 0; i < 4096; i++)
        CHECK_EQ(buf[i], 7);
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

/* (n) CPUs are online. */
static void use_cpus(unsigned n)
{
    static unsigned known = 1;

    if (known == 1)
        fakexen_run_other_cpus();
    host_cpus_possible = n;
    host_cpus_online = (struct cpumask){{(1UL << n) - 1}};
    for (; known < n; known++)
        CHECK_EQ(evtchn_cpu_init(known), 0);
}

/* Connected (again), and of use. */
static void expect_well(void)
{
    blk.mangle = NULL;
    blk.hold = false;
    fakexen_settle();
    CHECK_EQ(blkfront_read(bf, 0, buf, 4096), 0);
    CHECK_MEM(buf, blk.data, 4096);
    CHECK(info().connected);
    CHECK_STR(fake_dev_front(&blk.dev, "state"), "4");
}

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

/* ---- the backend leaves and comes back ---- */

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
    fakexen_settle();
    CHECK_EQ(t.io.status, 0);
    CHECK_EQ(t.ended, 1);
    expect_well();
    CHECK_EQ(blk.connects, 2);
    CHECK_EQ(info().reconnects, 1);
    CHECK_EQ(info().replays, 0);
    dispose(&t);
    end();
}

TEST(blkfront, comes_back_with_its_backend)
{
    static const unsigned states[] = {XenbusStateClosing, XenbusStateClosed, XenbusStateInitWait,
                                      XenbusStateUnknown};

    for (unsigned i = 0; i < ARRAY_SIZE(states); i++) {
        begin();
        fake_dev_set_state(&blk.dev, states[i]);
        fakexen_settle();
        CHECK(host_logged("xvda: the backend has left"));
        if (states[i] == XenbusStateUnknown)
            fake_dev_set_state(&blk.dev, XenbusStateInitWait);
        expect_well();
        CHECK(host_logged("xvda again: 1 MiB, sectors"));
        end();
    }
}

static struct trial replayed[100];
static unsigned asked[100], nr_asked;

/* Notes the order in which a later backend is asked. */
static bool note_order(const struct blkif_request *req)
{
    CHECK(nr_asked < ARRAY_SIZE(asked));
    asked[nr_asked++] = (unsigned)(req->sector_number / 16);
    return false;
}

/* Requests in every state when the backend is killed: each is done once, in order. */
TEST(blkfront, replays_what_was_not_answered_once_and_in_order)
{
    for (unsigned round = 0; round < 2; round++) {
        fake_blk_create(&blk, "51712");
        blk.persistent = round == 1;
        CHECK_EQ(open_vbd(), 0);
        blk.hold = true;
        nr_asked = nr_ended = 0;
        for (unsigned i = 0; i < 60; i++) {
            prepare(&replayed[i], BLKFRONT_WRITE, 16 * i, 1);
            memset(replayed[i].io.page[0], (int)i + 1, 4096);
            CHECK_EQ(blkfront_submit(bf, &replayed[i].io), 0);
        }
        fakexen_settle();
        CHECK_EQ(blk.nr_held, 32);
        for (unsigned i = 0; i < 10; i++) /* some are answered, out of order */
            fake_blk_do(&blk, i);
        back_ring_push(&blk.ring);
        fakexen_settle();
        CHECK_EQ(nr_ended, 10);
        memset(blk.data, 0, sizeof(blk.data));
        fake_blk_crash(&blk);
        blk.hold = false;
        blk.skip = note_order;
        fake_dev_set_state(&blk.dev, XenbusStateInitWait);
        host_advance(2 * NSEC_PER_SEC);
        fakexen_settle();
        CHECK_EQ(nr_ended, 60);
        CHECK_EQ(nr_asked, 50);
        CHECK_EQ(info().replays, 32);
        for (unsigned i = 0; i < 50; i++) {
            CHECK(i == 0 || asked[i] > asked[i - 1]);
            CHECK_EQ(blk.data[16 * 512 * asked[i]], asked[i] + 1);
        }
        for (unsigned i = 0; i < 60; i++) {
            CHECK_EQ(replayed[i].ended, 1);
            CHECK_EQ(replayed[i].io.status, 0);
            dispose(&replayed[i]);
        }
        expect_well();
        end();
    }
}

TEST(blkfront, waits_for_the_backend_no_longer_than_asked_for)
{
    nsec_t start;

    begin();
    blk.hold = true;
    for (unsigned i = 0; i < 40; i++) {
        prepare(&replayed[i], BLKFRONT_WRITE, 16 * i, 1);
        CHECK_EQ(blkfront_submit(bf, &replayed[i].io), 0);
    }
    fakexen_settle();
    fake_blk_destroy(&blk);
    fakexen_settle();
    CHECK_EQ(nr_ended, 0);
    start = time_now();
    CHECK_EQ(blkfront_read(bf, 0, buf, 4096), -EIO);
    CHECK_EQ((time_now() - start) / NSEC_PER_SEC, 30);
    for (unsigned i = 0; i < 40; i++) {
        CHECK_EQ(replayed[i].ended, 1);
        CHECK_EQ(replayed[i].io.status, -EIO);
        dispose(&replayed[i]);
    }
    start = time_now();
    CHECK_EQ(blkfront_read(bf, 0, buf, 4096), -EIO); /* at once, from now on */
    CHECK_EQ(blkfront_flush(bf), -EIO);
    CHECK_EQ(time_now() - start, 0);
    fake_blk_create(&blk, "51712"); /* plugged in again */
    host_advance(20 * NSEC_PER_SEC);
    expect_well();
    end();
}

FAKEXEN_BOOT(blkfront_hasty, .cmdline = "paravane.disk-timeout=5")

TEST(blkfront_hasty, the_timeout_is_an_option)
{
    nsec_t start;

    begin();
    fake_blk_destroy(&blk);
    fakexen_settle();
    start = time_now();
    CHECK_EQ(blkfront_read(bf, 0, buf, 4096), -EIO);
    CHECK_EQ((time_now() - start) / NSEC_PER_SEC, 5);
    blkfront_close(bf);
}

TEST(blkfront, a_smaller_disk_fails_what_lies_beyond)
{
    struct trial in, out;

    begin();
    blk.hold = true;
    prepare(&in, BLKFRONT_WRITE, 0, 1);
    prepare(&out, BLKFRONT_WRITE, 1024, 1);
    memset(in.io.page[0], 5, 4096);
    CHECK_EQ(blkfront_submit(bf, &in.io), 0);
    CHECK_EQ(blkfront_submit(bf, &out.io), 0);
    fakexen_settle();
    fake_blk_crash(&blk);
    fake_dev_set_back(&blk.dev, "sectors", "1024");
    fake_dev_set_state(&blk.dev, XenbusStateInitWait);
    expect_well();
    CHECK_EQ(info().nr_sectors, 1024);
    CHECK_EQ(in.io.status, 0);
    CHECK_EQ(blk.data[0], 5);
    CHECK_EQ(out.ended, 1);
    CHECK_EQ(out.io.status, -EIO);
    CHECK_EQ(blkfront_read(bf, 1024, buf, 512), -EINVAL);
    dispose(&in);
    dispose(&out);
    end();
}

/* Of a transfer that was cut into requests, some are sent when the rest no longer lies on the disk.
 */
TEST(blkfront, a_smaller_disk_fails_what_was_sent_in_part)
{
    static struct trial t[31], parted;

    begin();
    blk.hold = true;
    for (unsigned i = 0; i < 31; i++) {
        prepare(&t[i], BLKFRONT_READ, 16 * i, 1);
        CHECK_EQ(blkfront_submit(bf, &t[i].io), 0);
    }
    prepare(&parted, BLKFRONT_READ, 900, 32);
    CHECK_EQ(blkfront_submit(bf, &parted.io), 0);
    fakexen_settle();
    CHECK_EQ(blk.nr_held, 32);
    fake_dev_set_back(&blk.dev, "sectors", "1000");
    fake_dev_set_state(&blk.dev, XenbusStateConnected);
    fakexen_settle();
    fake_blk_do(&blk, 0); /* room for the next part */
    back_ring_push(&blk.ring);
    fakexen_settle();
    CHECK_EQ(parted.ended, 0);
    fake_blk_release(&blk);
    fakexen_settle();
    CHECK_EQ(parted.ended, 1);
    CHECK_EQ(parted.io.status, -EIO);
    dispose(&parted);
    for (unsigned i = 0; i < 31; i++)
        dispose(&t[i]);
    expect_well();
    end();
}

TEST(blkfront, a_disk_that_became_read_only_fails_writes_under_way)
{
    struct trial t;

    begin();
    blk.hold = true;
    prepare(&t, BLKFRONT_WRITE, 0, 1);
    CHECK_EQ(blkfront_submit(bf, &t.io), 0);
    fakexen_settle();
    fake_blk_crash(&blk);
    fake_dev_set_back(&blk.dev, "mode", "r");
    fake_dev_set_state(&blk.dev, XenbusStateInitWait);
    expect_well();
    CHECK_EQ(t.io.status, -EIO);
    CHECK_EQ(blk.writes, 0);
    CHECK_EQ(blkfront_write(bf, 0, buf, 512), -EROFS);
    dispose(&t);
    end();
}

/* With long requests, several queues, long rings, pool and flush, then without, and back. */
TEST_RAM(blkfront, features_come_and_go_under_load, 65536)
{
    static const char *const offers[][3] = {
        {"64", "4", "4"}, {"x", "", "-1"}, {"8", "1", "2"}, {"256", "0", "3"}, {"0", "4", "1"}};
    static const unsigned queues[] = {4, 1, 2, 3, 1};
    static struct trial t[40];

    use_cpus(4);
    fake_blk_create(&blk, "51712");
    CHECK_EQ(open_vbd(), 0);
    memset(want, 0, sizeof(want));
    for (unsigned round = 0; round < 50; round++) {
        const char *const *offer = offers[round % ARRAY_SIZE(offers)];

        blk.hold = true;
        for (unsigned i = 0; i < 40; i++) {
            unsigned n = 1 + (unsigned)test_random_below(6);

            host_cpu = i % 4;
            prepare(&t[i], BLKFRONT_WRITE, 48 * i, n);
            for (unsigned p = 0; p < n; p++) {
                fill_random(t[i].io.page[p], 4096);
                memcpy(want + 48 * 512 * i + 4096 * p, t[i].io.page[p], 4096);
            }
            CHECK_EQ(blkfront_submit(bf, &t[i].io), 0);
        }
        host_cpu = 0;
        fakexen_settle();
        fake_blk_crash(&blk);
        blk.persistent = round % 3 != 0;
        blk.no_flush = round % 2 == 0;
        fake_dev_set_back(&blk.dev, "feature-max-indirect-segments", offer[0]);
        fake_dev_set_back(&blk.dev, "max-ring-page-order", offer[1]);
        fake_dev_set_back(&blk.dev, "multi-queue-max-queues", offer[2]);
        fake_dev_set_state(&blk.dev, XenbusStateInitWait);
        host_advance(15 * NSEC_PER_SEC);
        expect_well();
        CHECK_EQ(info().queues, queues[round % ARRAY_SIZE(offers)]);
        CHECK_EQ(info().persistent, blk.persistent);
        CHECK_EQ(info().can_flush, !blk.no_flush);
        for (unsigned i = 0; i < 40; i++) {
            CHECK_EQ(t[i].ended, 1);
            CHECK_EQ(t[i].io.status, 0);
            dispose(&t[i]);
        }
        CHECK_MEM(blk.data, want, sizeof(want));
        host_advance(5 * NSEC_PER_SEC); /* no short life */
    }
    CHECK_EQ(info().reconnects, 50);
    end();
    test_pass(); /* the grant table has grown */
}

TEST(blkfront, states_written_by_hand_under_load)
{
    begin();
    fill_random(blk.data, sizeof(blk.data));
    for (unsigned i = 0; i < 20; i++) {
        fake_dev_set_state(&blk.dev, XenbusStateClosing);
        if (i % 2)
            fakexen_settle();
        fake_dev_set_state(&blk.dev, XenbusStateClosed);
        if (i % 3)
            fakexen_settle();
        fake_dev_set_state(&blk.dev, XenbusStateInitWait);
        CHECK_EQ(blkfront_read(bf, 8 * i, buf, 300 * 512), 0);
        CHECK_MEM(buf, blk.data + 8 * 512 * i, 300 * 512);
    }
    end();
}

TEST(blkfront, close_while_the_backend_is_away)
{
    static struct trial t[40];

    for (unsigned gone = 0; gone < 2; gone++) {
        begin();
        blk.hold = true;
        for (unsigned i = 0; i < 40; i++) {
            prepare(&t[i], BLKFRONT_READ, 8 * i, 1);
            CHECK_EQ(blkfront_submit(bf, &t[i].io), 0);
        }
        fakexen_settle();
        blk.dev.aloof = true;
        fake_dev_set_state(&blk.dev, gone ? XenbusStateUnknown : XenbusStateInitialising);
        host_advance(NSEC_PER_SEC);
        blkfront_close(bf);
        bf = NULL;
        for (unsigned i = 0; i < 40; i++) {
            CHECK_EQ(t[i].ended, 1);
            CHECK(t[i].io.status < 0);
            dispose(&t[i]);
        }
        end();
    }
}

TEST(blkfront, a_page_that_an_old_backend_keeps_is_not_given_to_the_next)
{
    struct trial t;
    gref_t kept;

    begin();
    blk.hold = true;
    prepare(&t, BLKFRONT_READ, 0, 2);
    CHECK_EQ(blkfront_submit(bf, &t.io), 0);
    fakexen_settle();
    kept = blk.held[0].seg[1].gref;
    (void)fake_grant_map(kept, true);
    fake_blk_crash(&blk);
    fake_dev_set_state(&blk.dev, XenbusStateInitWait);
    expect_well();
    CHECK_EQ(t.ended, 1);
    CHECK_EQ(t.io.status, -EIO);
    CHECK(!t.io.page_lost[0] && t.io.page_lost[1]);
    fake_grant_unmap(kept, true);
    dispose(&t);
    end();
}

/* ---- a backend that does not answer ---- */

#define TIMEOUT (30 * NSEC_PER_SEC)

static void wait_for(nsec_t ns)
{
    thread_sleep_until(time_now() + ns);
}

/* (n) transfers of all kinds, from every CPU, to a backend that answers none of them. */
static void submit_to_the_silent(struct trial *t, unsigned n, bool flush)
{
    blk.hold = true;
    nr_ended = 0;
    for (unsigned i = 0; i < n; i++) {
        if (flush && i % 5 == 0)
            prepare(&t[i], BLKFRONT_FLUSH, 0, 0);
        else
            prepare(&t[i], i % 2 ? BLKFRONT_READ : BLKFRONT_WRITE, 16 * (i % 100), 1 + i % 4);
        host_cpu = i % host_cpus_possible;
        CHECK_EQ(blkfront_submit(bf, &t[i].io), 0);
    }
    host_cpu = 0;
    fakexen_settle();
}

static void expect_all_failed(struct trial *t, unsigned n)
{
    CHECK_EQ(nr_ended, n);
    for (unsigned i = 0; i < n; i++) {
        CHECK_EQ(t[i].ended, 1);
        CHECK_EQ(t[i].io.status, -EIO);
        dispose(&t[i]);
    }
}

/* One life, which is all that a backend that closes properly and is silent again has of each
 * transfer twice: the timeout, or four times that with a flush. */
TEST_RAM(blkfront, a_silent_backend_fails_transfers_in_time, 65536)
{
    static const unsigned depths[] = {1, 20, 32, 300};
    static struct trial t[300];

    use_cpus(4);
    for (unsigned i = 0; i < 32; i++) {
        bool pooled = i & 1, flush = i & 2, several = i & 4;
        unsigned n = depths[i / 8];
        nsec_t limit = (flush ? 4 : 1) * TIMEOUT;

        fake_blk_create(&blk, "51712");
        blk.persistent = pooled;
        fake_dev_set_back(&blk.dev, "multi-queue-max-queues", several ? "4" : "1");
        CHECK_EQ(open_vbd(), 0);
        CHECK_EQ(info().queues, several ? 4 : 1);
        submit_to_the_silent(t, n, flush);
        wait_for(limit - NSEC_PER_SEC / 2);
        CHECK(info().connected && info().reconnects == 0);
        wait_for(2 * NSEC_PER_SEC + NSEC_PER_SEC / 2);
        CHECK(host_logged("xvda: the backend does not answer; 30 s until transfers fail"));
        CHECK_EQ(info().reconnects, 1);
        CHECK_EQ(nr_ended, 0); /* sent again */
        wait_for(limit + 3 * NSEC_PER_SEC);
        expect_all_failed(t, n);
        expect_well();
        end();
    }
    test_pass(); /* the grant table has grown */
}

TEST(blkfront, a_silent_backend_that_comes_back_gets_everything_once)
{
    for (unsigned pooled = 0; pooled < 2; pooled++) {
        fake_blk_create(&blk, "51712");
        blk.persistent = pooled;
        CHECK_EQ(open_vbd(), 0);
        blk.hold = true;
        nr_asked = nr_ended = 0;
        for (unsigned i = 0; i < 60; i++) {
            prepare(&replayed[i], BLKFRONT_WRITE, 16 * i, 1);
            memset(replayed[i].io.page[0], (int)i + 1, 4096);
            CHECK_EQ(blkfront_submit(bf, &replayed[i].io), 0);
        }
        fakexen_settle();
        blk.hold = false; /* for its next life: nobody wakes it in this one */
        blk.skip = note_order;
        wait_for(TIMEOUT + 3 * NSEC_PER_SEC);
        CHECK_EQ(nr_ended, 60);
        CHECK_EQ(nr_asked, 60);
        CHECK_EQ(info().reconnects, 1);
        CHECK_EQ(info().replays, 32);
        for (unsigned i = 0; i < 60; i++) {
            CHECK_EQ(replayed[i].ended, 1);
            CHECK_EQ(replayed[i].io.status, 0);
            CHECK_EQ(asked[i], i);
            CHECK_EQ(blk.data[16 * 512 * i], i + 1);
            dispose(&replayed[i]);
        }
        expect_well();
        end();
    }
}

/* It does not close either, and what it has mapped it keeps: nothing of that is anybody's memory
 * before it lets go. */
TEST(blkfront, a_silent_backend_that_keeps_everything_costs_its_pages)
{
    static struct trial t[32];

    begin();
    submit_to_the_silent(t, 32, false);
    for (unsigned i = 0; i < blk.nr_held; i++) {
        gref_t ref = blk.held[i].seg[0].gref;
        bool writable = blk.held[i].operation == BLKIF_OP_READ;

        (void)fake_grant_map(ref, writable);
        blk.kept[blk.nr_kept].ref = ref;
        blk.kept[blk.nr_kept++].writable = writable;
    }
    CHECK_EQ(blk.nr_kept, 32);
    blk.dev.aloof = true;
    wait_for(TIMEOUT + 8 * NSEC_PER_SEC);
    CHECK_EQ(nr_ended, 32);
    CHECK_EQ(grant_count_quarantined(), 32 + 1); /* and the ring */
    for (unsigned i = 0; i < 32; i++) {
        CHECK(t[i].io.page_lost[0]);
        for (unsigned p = 1; p < t[i].io.nr_pages; p++)
            CHECK(!t[i].io.page_lost[p]);
    }
    expect_all_failed(t, 32);
    fake_blk_crash(&blk);
    fake_blk_let_go(&blk);
    blk.dev.aloof = false;
    fake_dev_set_state(&blk.dev, XenbusStateInitWait);
    wait_for(15 * NSEC_PER_SEC);
    expect_well();
    end();
}

/* In order, (pause) between two answers. */
static void answer_slowly(struct trial *t, unsigned n, nsec_t pause)
{
    begin();
    submit_to_the_silent(t, n, false);
    for (unsigned i = 0; i < n; i++) {
        wait_for(pause);
        fake_blk_do(&blk, 0);
        back_ring_push(&blk.ring);
    }
    fakexen_settle();
    CHECK_EQ(nr_ended, n);
    CHECK_EQ(info().reconnects, 0);
    for (unsigned i = 0; i < n; i++) {
        CHECK_EQ(t[i].io.status, 0);
        dispose(&t[i]);
    }
    blk.hold = false;
    end();
}

TEST(blkfront, a_slow_backend_that_goes_on_is_waited_for)
{
    static struct trial t[32];

    answer_slowly(t, 32, 3 * NSEC_PER_SEC);
    answer_slowly(t, 4, TIMEOUT - NSEC_PER_SEC);
}

TEST(blkfront, a_long_flush_or_discard_is_waited_for)
{
    struct trial t[3];

    for (unsigned discard = 0; discard < 2; discard++) {
        fake_blk_create(&blk, "51712");
        fake_dev_set_back(&blk.dev, "feature-discard", "1");
        CHECK_EQ(open_vbd(), 0);
        blk.hold = true;
        prepare(&t[0], BLKFRONT_WRITE, 0, 1);
        prepare(&t[1], discard ? BLKFRONT_DISCARD : BLKFRONT_FLUSH, 8, 0);
        t[1].io.nr_sectors = 8 * discard;
        prepare(&t[2], BLKFRONT_READ, 16, 1);
        for (unsigned i = 0; i < 3; i++)
            CHECK_EQ(blkfront_submit(bf, &t[i].io), 0);
        wait_for(4 * TIMEOUT - NSEC_PER_SEC);
        fake_blk_release(&blk);
        fakexen_settle();
        CHECK_EQ(info().reconnects, 0);
        for (unsigned i = 0; i < 3; i++) {
            CHECK_EQ(t[i].ended, 1);
            CHECK_EQ(t[i].io.status, 0);
            dispose(&t[i]);
        }
        end();
    }
}

/* Also by those who are in another queue: the backend does them after it. */
TEST_RAM(blkfront, a_long_flush_is_waited_for_in_every_queue, 32768)
{
    struct trial t[2];

    use_cpus(4);
    fake_blk_create(&blk, "51712");
    fake_dev_set_back(&blk.dev, "multi-queue-max-queues", "4");
    CHECK_EQ(open_vbd(), 0);
    blk.hold = true;
    prepare(&t[0], BLKFRONT_READ, 0, 1);
    prepare(&t[1], BLKFRONT_FLUSH, 0, 0);
    for (unsigned i = 0; i < 2; i++) {
        host_cpu = i;
        CHECK_EQ(blkfront_submit(bf, &t[i].io), 0);
    }
    host_cpu = 0;
    wait_for(4 * TIMEOUT - NSEC_PER_SEC);
    CHECK_EQ(info().reconnects, 0);
    fake_blk_release(&blk);
    fakexen_settle();
    for (unsigned i = 0; i < 2; i++) {
        CHECK_EQ(t[i].ended, 1);
        CHECK_EQ(t[i].io.status, 0);
        dispose(&t[i]);
    }
    end();
    test_pass(); /* the grant table has grown */
}

/* While the domain is paused, its backend has not been silent. */
TEST(blkfront, a_pause_of_the_domain_is_not_the_backends)
{
    static struct trial t[32];

    begin();
    submit_to_the_silent(t, 32, false);
    host_advance(10 * TIMEOUT); /* no thread runs */
    wait_for(TIMEOUT - 5 * NSEC_PER_SEC);
    CHECK_EQ(info().reconnects, 0);
    fake_blk_release(&blk);
    fakexen_settle();
    CHECK_EQ(nr_ended, 32);
    for (unsigned i = 0; i < 32; i++) {
        CHECK_EQ(t[i].io.status, 0);
        dispose(&t[i]);
    }
    end();
}

static bool never_answer_first_sector(const struct blkif_request *req)
{
    return req->sector_number == 0;
}

/* A load that never ends: there is always one more answer. */
static bool load_goes_on;

static void submit_for_ever(struct blkfront_io *io)
{
    wait_for(NSEC_PER_SEC / 100);
    CHECK_EQ(io->status, 0);
    if (!load_goes_on) {
        ended(io);
        return;
    }
    CHECK_EQ(blkfront_submit(bf, io), 0);
    fake_blk_run(&blk); /* on another processor: the answer is there at once */
}

static void begin_load(struct trial *t, unsigned n)
{
    load_goes_on = true;
    for (unsigned i = 0; i < n; i++) {
        prepare(&t[i], BLKFRONT_READ, 16 + 16 * i, 1); /* no neighbours */
        t[i].io.done = submit_for_ever;
        CHECK_EQ(blkfront_submit(bf, &t[i].io), 0);
    }
}

static void end_load(struct trial *t, unsigned n)
{
    load_goes_on = false;
    wait_for(NSEC_PER_SEC);
    for (unsigned i = 0; i < n; i++) {
        CHECK_EQ(t[i].ended, 1);
        dispose(&t[i]);
    }
}

TEST(blkfront, hostile_backend_that_leaves_out_one)
{
    static struct trial t[8], one;
    nsec_t start;

    begin();
    blk.skip = never_answer_first_sector;
    prepare(&one, BLKFRONT_READ, 0, 1);
    CHECK_EQ(blkfront_submit(bf, &one.io), 0);
    begin_load(t, 8);
    start = time_now();
    while (one.ended == 0 && time_now() - start < 12 * TIMEOUT)
        wait_for(NSEC_PER_SEC / 10);
    CHECK_EQ(one.ended, 1);
    CHECK_EQ(one.io.status, -EIO);
    CHECK(time_now() - start > 4 * TIMEOUT);
    blk.skip = NULL;
    end_load(t, 8);
    dispose(&one);
    expect_well();
    end();
}

TEST(blkfront, news_get_through_under_load)
{
    static struct trial t[8];

    begin();
    begin_load(t, 8);
    fake_dev_set_back(&blk.dev, "sectors", "4096");
    fake_dev_set_state(&blk.dev, XenbusStateConnected);
    for (unsigned i = 0; i < 1000 && info().nr_sectors != 4096; i++)
        wait_for(NSEC_PER_SEC / 10);
    CHECK_EQ(info().nr_sectors, 4096);
    end_load(t, 8);
    end();
}

/* ---- a disk that changes ---- */

TEST(blkfront, follows_a_disk_that_grows_or_shrinks)
{
    begin();
    CHECK_EQ(blkfront_read(bf, 2048, buf, 512), -EINVAL);
    fake_dev_set_back(&blk.dev, "sectors", "4096");
    fake_dev_set_state(&blk.dev, XenbusStateConnected);
    fakexen_settle();
    CHECK_EQ(info().nr_sectors, 4096);
    CHECK(host_logged("xvda now: 2 MiB, sectors"));
    CHECK_EQ(blkfront_read(bf, 4096, buf, 512), -EINVAL);
    fake_dev_set_back(&blk.dev, "sectors", "1000");
    fake_dev_set_state(&blk.dev, XenbusStateConnected);
    fakexen_settle();
    CHECK_EQ(info().nr_sectors, 1000);
    CHECK_EQ(blkfront_read(bf, 1000, buf, 512), -EINVAL);
    CHECK_EQ(blkfront_read(bf, 999, buf, 512), 0);
    CHECK_EQ(info().reconnects, 0);
    end();
}

/* What a backend makes us say again and again is said a few times. */
TEST(blkfront, hostile_news_do_not_fill_the_log)
{
    begin();
    for (unsigned i = 1; i <= 40; i++) {
        char sectors[16];

        (void)snprintf(sectors, sizeof(sectors), "%u", 2048 * i);
        fake_dev_set_back(&blk.dev, "sectors", sectors);
        fake_dev_set_back(&blk.dev, "feature-discard", "x");
        fake_dev_set_state(&blk.dev, XenbusStateConnected);
        fakexen_settle();
    }
    CHECK_EQ(info().nr_sectors, 2048 * 40);
    CHECK(
        host_logged("vbd/51712: key \"feature-discard\" is \"x\": ignored; check the disk= line"));
    CHECK(host_logged("xvda now: 2 MiB"));
    CHECK(!host_logged("xvda now: 40 MiB"));
    host_advance(10 * NSEC_PER_SEC);
    fake_dev_set_back(&blk.dev, "sectors", "4096000");
    fake_dev_set_state(&blk.dev, XenbusStateConnected);
    fakexen_settle();
    CHECK(host_logged("xvda now: 2000 MiB"));
    end();
}

/* Another medium in a drive: other properties of the same connection. */
TEST(blkfront, follows_a_change_of_the_medium)
{
    fake_blk_create(&blk, "51712");
    fake_dev_set_back(&blk.dev, "info", "3");
    CHECK_EQ(open_vbd(), 0);
    CHECK(info().cdrom && info().removable && info().read_only);
    fake_dev_set_back(&blk.dev, "sectors", "0"); /* taken out */
    fake_dev_set_state(&blk.dev, XenbusStateConnected);
    fakexen_settle();
    CHECK_EQ(blkfront_read(bf, 0, buf, 512), -EINVAL);
    fake_dev_set_back(&blk.dev, "sectors", "1200");
    fake_dev_set_back(&blk.dev, "sector-size", "2048");
    fake_dev_set_back(&blk.dev, "info", "2");
    fake_dev_set_state(&blk.dev, XenbusStateConnected);
    fakexen_settle();
    CHECK_EQ(info().nr_sectors, 1200);
    CHECK_EQ(info().sector_size, 2048);
    CHECK(!info().read_only);
    CHECK_EQ(blkfront_read(bf, 0, buf, 512), -EINVAL);
    CHECK_EQ(blkfront_write(bf, 4, want, 2048), 0);
    end();
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
        use_cpus(cases[i].cpus);
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
    use_cpus(4);
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

    use_cpus(4);
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

/* ---- any memory, and taking it back ---- */

TEST(blkfront, cancel_gives_the_memory_back_at_once)
{
    static struct trial t[60];

    begin();
    blk.hold = true;
    for (unsigned i = 0; i < 60; i++) {
        prepare_copy(&t[i], BLKFRONT_READ, 16 * i, buf + 4096 * i, 4096);
        CHECK_EQ(blkfront_submit(bf, &t[i].io), 0);
    }
    fakexen_settle();
    memset(buf, 7, sizeof(buf));
    for (unsigned i = 0; i < 60; i += 3) /* in flight, and waiting */
        CHECK(blkfront_cancel(bf, &t[i].io));
    memset(blk.data, 1, sizeof(blk.data));
    blk.hold = false;
    fake_blk_release(&blk);
    fakexen_settle();
    for (unsigned i = 0; i < 60; i++) {
        CHECK_EQ(t[i].ended, i % 3 != 0);
        CHECK_EQ(buf[4096 * i], i % 3 != 0 ? 1 : 7);
    }
    CHECK(!blkfront_cancel(bf, &t[1].io)); /* it has ended */
    end();
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
