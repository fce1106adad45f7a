/* SPDX-License-Identifier: BSD-2-Clause */
/* frontends/blkfront and time: a backend that is slow is waited for, one that is silent is left. */
#include "tests/host/blkrig.h"

#include <string.h>
#include "kernel/thread.h"
#include "lib/base/errno.h"
#include "tests/host/hostarch.h"
#include "tests/host/test.h"

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

    fakexen_use_cpus(4);
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

    fakexen_use_cpus(4);
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
