/* SPDX-License-Identifier: BSD-2-Clause */
/* frontends/blkfront and an obedient backend: what a disk is, and what becomes of transfers. */
#include "tests/host/blkrig.h"

#include <stdio.h>
#include <string.h>
#include "kernel/page.h"
#include "kernel/thread.h"
#include "lib/base/errno.h"
#include "tests/host/hostarch.h"
#include "tests/host/test.h"

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
