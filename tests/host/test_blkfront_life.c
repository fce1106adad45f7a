/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * frontends/blkfront and the lives of its backend: it leaves, another one comes, and what was not
 * answered is not lost; or it stays, and the disk changes.
 */
#include "tests/host/blkrig.h"

#include <stdio.h>
#include <string.h>
#include "kernel/thread.h"
#include "lib/base/errno.h"
#include "tests/host/hostarch.h"
#include "tests/host/test.h"

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

    fakexen_use_cpus(4);
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

/* The fake one checks that whatever it is shown is for its domain: rings, ports, pages that are
 * granted once and those of the pool, descriptors. */
TEST(blkfront, follows_its_backend_to_another_domain)
{
    static const domid_t domains[] = {3, 0, 5, 0};
    static struct trial t[12];

    for (unsigned round = 0; round < 2; round++) {
        fake_blk_create(&blk, "51712");
        blk.persistent = round == 1;
        fake_dev_set_back(&blk.dev, "feature-max-indirect-segments", "32");
        CHECK_EQ(open_vbd(), 0);
        for (unsigned i = 0; i < ARRAY_SIZE(domains); i++) {
            blk.hold = true;
            for (unsigned k = 0; k < ARRAY_SIZE(t); k++) {
                prepare(&t[k], BLKFRONT_WRITE, 160 * k, k % 2 ? 20 : 1);
                for (unsigned p = 0; p < t[k].io.nr_pages; p++)
                    memset(t[k].io.page[p], (int)(64 * i + k + 1), 4096);
                CHECK_EQ(blkfront_submit(bf, &t[k].io), 0);
            }
            fakexen_settle();
            memset(blk.data, 0, sizeof(blk.data));
            fake_blk_move(&blk, domains[i]);
            fake_dev_set_back(&blk.dev, "feature-max-indirect-segments", "32");
            blk.hold = false;
            host_advance(5 * NSEC_PER_SEC);
            expect_well();
            for (unsigned k = 0; k < ARRAY_SIZE(t); k++) {
                CHECK_EQ(t[k].ended, 1);
                CHECK_EQ(t[k].io.status, 0);
                CHECK_EQ(blk.data[160 * 512 * k + t[k].io.len - 1], (uint8_t)(64 * i + k + 1));
                dispose(&t[k]);
            }
            CHECK_EQ(info().reconnects, i + 1);
            CHECK_EQ(info().persistent, blk.persistent);
        }
        CHECK(blk.indirect > 0);
        end();
    }
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
