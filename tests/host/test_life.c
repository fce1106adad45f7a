/* SPDX-License-Identifier: BSD-2-Clause */
/* frontends/common/life.c: one life of a device after the other, with a frontend that has a ring.
 */
#include "frontends/common/life.h"

#include <stdio.h>
#include <string.h>
#include "kernel/page.h"
#include "kernel/time.h"
#include "tests/host/fakeback.h"
#include "tests/host/hostarch.h"
#include "tests/host/test.h"

FAKEXEN_BOOT(life)

static struct fake_dev back;
static struct xb_device dev;
static struct life life;
static struct shared_page ring;
static unsigned connects, disconnects, changes;
static bool keeps_ring; /* the backend never unmaps it */

/* ---- the backend ---- */

static void map_ring(struct fake_dev *d)
{
    (void)d;
    (void)fake_grant_map(ring.ref, true);
}

static void unmap_ring(struct fake_dev *d)
{
    (void)d;
    if (!keeps_ring)
        fake_grant_unmap(ring.ref, true);
}

/* As by hand: the driver behind it knows nothing. */
static void write_state(unsigned state)
{
    fakexen_store_set("/local/domain/0/backend/vif/7/0/state", "%u", state);
}

/* ---- the frontend ---- */

static int connect(void *arg, nsec_t deadline)
{
    struct xb_entry key = {.name = "ring-ref"};
    int rc = xb_ring(&dev, &ring);

    CHECK(arg == &life);
    connects++;
    key.number = ring.ref;
    if (rc == 0)
        rc = xb_publish(&dev, &key, 1);
    if (rc == 0)
        rc = xb_advance(&dev, XB_CONNECTED);
    if (rc == 0)
        rc = xb_await(&dev, XB_MASK(XB_CONNECTED), deadline);
    return rc;
}

static void disconnect(void *arg)
{
    CHECK(arg == &life);
    disconnects++;
}

static void on_change(void *arg)
{
    CHECK(arg == &life);
    changes++;
}

static const struct life_driver driver = {
    .class = "vif", .connect = connect, .disconnect = disconnect, .on_change = on_change};

static void plug_in(void)
{
    back.connect = map_ring;
    back.disconnect = unmap_ring;
    fake_dev_create(&back, "vif", "vif", "0");
    fake_dev_set_back(&back, "online", "1");
}

static void begin(void)
{
    plug_in();
    CHECK_EQ(life_init(&life, &dev, &driver, "0", &life), 0);
    CHECK_EQ(life_open(&life), 0);
    fakexen_settle();
    CHECK(xb_connected(&dev));
}

static void end(void)
{
    life_destroy(&life);
    fake_dev_destroy(&back);
    fakexen_store_rm(FAKE_HOME "/error");
    fakexen_settle();
    host_advance(2 * NSEC_PER_SEC); /* the quarantine empties */
    CHECK_EQ(connects, disconnects);
}

/* What a frontend does when it is woken. */
static int live_on(nsec_t patience)
{
    life_close(&life);
    return life_reopen(&life, time_now() + patience);
}

static void expect_new_life(nsec_t patience)
{
    unsigned before = connects;

    CHECK(!xb_connected(&dev));
    CHECK_EQ(live_on(patience), 0);
    CHECK(xb_connected(&dev));
    CHECK(connects > before);
}

/* ---- reasons to die ---- */

TEST(life, a_backend_that_closes_is_taken_on_again)
{
    begin();
    fake_dev_set_state(&back, XenbusStateClosing);
    fakexen_settle();
    expect_new_life(NSEC_PER_SEC);
    fake_dev_set_state(&back, XenbusStateClosing);
    fake_dev_set_state(&back, XenbusStateClosed);
    fakexen_settle();
    expect_new_life(NSEC_PER_SEC);
    end();
}

/* Each of the states by hand, seen one by one or only the last of them. */
TEST(life, states_written_by_hand_end_in_a_new_life)
{
    static const unsigned states[] = {XenbusStateClosing, XenbusStateClosed, XenbusStateInitWait};

    begin();
    for (unsigned seen = 0; seen < 8; seen++) {
        for (unsigned i = 0; i < 3; i++) {
            write_state(states[i]);
            if (!(seen >> i & 1))
                continue;
            fakexen_settle();
            expect_new_life(30 * NSEC_PER_SEC);
        }
        fakexen_settle();
        if (!xb_connected(&dev))
            expect_new_life(30 * NSEC_PER_SEC);
    }
    end();
}

static void write_init_wait(void *arg)
{
    (void)arg;
    back.aloof = false;
    fake_dev_set_state(&back, XenbusStateInitWait);
}

TEST(life, a_backend_that_vanished_is_awaited)
{
    nsec_t start;

    begin();
    fakexen_store_rm("/local/domain/0/backend/vif/7/0/state");
    fakexen_settle();
    CHECK(!xb_connected(&dev));
    back.aloof = true;
    back.attached = false;
    fake_grant_unmap(ring.ref, true);
    start = time_now();
    host_at(start + 100 * NSEC_PER_SEC, write_init_wait, NULL);
    expect_new_life(200 * NSEC_PER_SEC);
    CHECK((time_now() - start) / NSEC_PER_SEC >= 100);
    CHECK((time_now() - start) / NSEC_PER_SEC <= 102);
    end();
}

TEST(life, a_device_that_moves_to_another_domain_is_followed)
{
    begin();
    /* The old one dies with its domain: nothing of it is said to us. */
    fake_dev_move(&back, 3);
    fakexen_settle();
    CHECK(!xb_connected(&dev));
    life_close(&life);
    CHECK_STR(fake_dev_front(&back, "state"), "1"); /* not a word to the new one about the old */
    CHECK_EQ(life_reopen(&life, time_now() + NSEC_PER_SEC), 0);
    CHECK_EQ(dev.backend_id, 3);
    CHECK_STR(dev.backend, "/local/domain/3/backend/vif/7/0");
    CHECK(fake_grant_is_to(ring.ref, 3));
    end();
    fakexen_store_rm("/local/domain/0/backend/vif");
}

/* When the store answers the watch on the backend that it is about to leave. */
static bool move_once(struct xsd_sockmsg *header, char *payload)
{
    (void)payload;
    if (header->type == XS_WATCH && back.domid == 0)
        fake_dev_move(&back, 3);
    return true;
}

TEST(life, a_device_that_moves_while_it_opens_is_followed_at_once)
{
    nsec_t start = time_now();

    plug_in();
    CHECK_EQ(life_init(&life, &dev, &driver, "0", &life), 0);
    fakexen_settle();
    fakexen_store_faults.mangle = move_once;
    CHECK_EQ(life_open(&life), -ENODEV);
    fakexen_store_faults.mangle = NULL;
    CHECK_EQ(life_reopen(&life, time_now() + NSEC_PER_SEC), 0);
    CHECK(time_now() - start < 2 * NSEC_PER_SEC);
    CHECK_EQ(dev.backend_id, 3);
    end();
    fakexen_store_rm("/local/domain/0/backend/vif");
}

TEST(life, a_device_that_is_unplugged_and_plugged_in_lives_again)
{
    begin();
    for (unsigned i = 0; i < 5; i++) {
        fake_dev_set_back(&back, "online", "0");
        fake_dev_set_state(&back, XenbusStateClosing);
        fakexen_settle();
        CHECK(!xb_connected(&dev));
        CHECK_EQ(live_on(5 * NSEC_PER_SEC), -ETIMEDOUT); /* it is wanted no more */
        CHECK_STR(fake_dev_front(&back, "state"), "6");
        fake_dev_destroy(&back);
        fakexen_settle();
        CHECK_EQ(live_on(5 * NSEC_PER_SEC), -ETIMEDOUT);
        plug_in();
        CHECK_EQ(live_on(5 * NSEC_PER_SEC), 0);
    }
    CHECK_EQ(connects, 6);
    end();
}

static void plug_in_late(void *arg)
{
    (void)arg;
    plug_in();
}

TEST(life, plugging_in_is_seen_at_once)
{
    nsec_t start;

    begin();
    fake_dev_destroy(&back);
    fakexen_settle();
    life_close(&life);
    start = time_now();
    host_at(start + 3500 * NSEC_PER_MSEC, plug_in_late, NULL);
    CHECK_EQ(life_reopen(&life, time_now() + 30 * NSEC_PER_SEC), 0);
    CHECK((time_now() - start) / NSEC_PER_MSEC <= 3600);
    end();
}

TEST(life, removal_without_a_word_ends_a_life)
{
    begin();
    changes = 0;
    fakexen_store_rm(back.front);
    fakexen_settle();
    CHECK(changes > 0);
    CHECK(!xb_connected(&dev));
    CHECK(!xb_attached(&dev));
    life_close(&life);
    CHECK(fakexen_store_get(FAKE_HOME "/device/vif/0") == NULL);
    fake_grant_unmap(ring.ref, true);
    back.attached = false;
    host_advance(2 * NSEC_PER_SEC);
    end();
}

/* ---- bounds ---- */

TEST(life, reopen_ends_at_its_deadline)
{
    nsec_t start;

    begin();
    back.aloof = true;
    fake_dev_set_state(&back, XenbusStateClosed);
    fakexen_settle();
    life_close(&life);
    start = time_now();
    CHECK_EQ(life_reopen(&life, start + 100 * NSEC_PER_SEC), -ETIMEDOUT);
    CHECK((time_now() - start) / NSEC_PER_SEC >= 100);
    CHECK((time_now() - start) / NSEC_PER_SEC <= 107); /* and parting from it */
    CHECK(connects <= 1);                              /* it never became ready */
    back.aloof = false;
    end();
}

static void cancel(void *arg)
{
    (void)arg;
    life_cancel(&life);
}

TEST(life, cancel_ends_every_wait)
{
    /* Nothing there; a backend that does nothing; a pause between attempts. */
    for (unsigned i = 0; i < 3; i++) {
        nsec_t start;

        begin();
        if (i == 0)
            fakexen_store_rm(back.back);
        back.aloof = true;
        fake_dev_set_state(&back, XenbusStateClosed);
        life_close(&life);
        if (i == 2) {
            life.ended = time_now();
            life.failures = 8;
        }
        start = time_now();
        host_at(start + NSEC_PER_SEC, cancel, NULL);
        CHECK_EQ(life_reopen(&life, start + 100 * NSEC_PER_SEC), -ECANCELED);
        CHECK((time_now() - start) / NSEC_PER_SEC <= 7);
        CHECK_EQ(life_open(&life), -ECANCELED);
        back.aloof = false;
        end();
    }
}

TEST(life, a_backend_that_comes_and_goes_costs_little)
{
    nsec_t start;
    unsigned lives = 0;

    begin();
    start = time_now();
    while (time_now() < start + 600 * NSEC_PER_SEC && lives < 1000) {
        fake_dev_set_state(&back, XenbusStateClosing);
        fakexen_settle();
        lives += live_on(10 * NSEC_PER_SEC) == 0;
    }
    CHECK(lives >= 30);
    CHECK(lives <= 70); /* every 12.8 s, in the end */
    host_advance(3 * NSEC_PER_SEC);
    fakexen_settle();
    if (!xb_connected(&dev))
        CHECK_EQ(live_on(20 * NSEC_PER_SEC), 0);
    host_advance(3 * NSEC_PER_SEC); /* a life that lasts is not held against it */
    fake_dev_set_state(&back, XenbusStateClosing);
    fakexen_settle();
    start = time_now();
    CHECK_EQ(live_on(10 * NSEC_PER_SEC), 0);
    CHECK((time_now() - start) / NSEC_PER_MSEC < 100);
    end();
}

TEST(life, a_backend_that_keeps_pages_gets_no_more_of_them)
{
    gref_t kept[1024];
    unsigned nr = 0;

    begin();
    keeps_ring = true;
    for (unsigned i = 0; i < 600; i++) {
        kept[nr++] = ring.ref;
        host_advance(3 * NSEC_PER_SEC);
        fake_dev_set_state(&back, XenbusStateClosing);
        fakexen_settle();
        if (live_on(60 * NSEC_PER_SEC) != 0)
            break;
    }
    CHECK(nr < 600);
    CHECK(grant_count_quarantined() <= page_count_total() / 16 + 1);
    /* Once it lets go, it is taken on again. */
    while (nr > 0)
        fake_grant_unmap(kept[--nr], true);
    keeps_ring = false;
    host_advance(10 * NSEC_PER_SEC);
    CHECK_EQ(live_on(30 * NSEC_PER_SEC), 0);
    CHECK_EQ(grant_count_quarantined(), 0);
    end();
}

TEST(life, a_thousand_lives_leave_nothing)
{
    unsigned grants, watches;

    begin();
    grants = grant_count_used();
    watches = fakexen_store_count_watches();
    for (unsigned i = 0; i < 1000; i++) {
        host_advance(3 * NSEC_PER_SEC);
        if (i % 3 == 0)
            write_state(XenbusStateInitWait);
        else
            fake_dev_set_state(&back, i % 3 == 1 ? XenbusStateClosing : XenbusStateClosed);
        fakexen_settle();
        expect_new_life(NSEC_PER_SEC);
    }
    CHECK_EQ(grant_count_used(), grants);
    CHECK_EQ(fakexen_store_count_watches(), watches);
    end();
}

TEST(life, storm_of_everything_the_store_may_say)
{
    begin();
    for (unsigned i = 0; i < 400; i++) {
        switch (test_random_below(6)) {
        case 0:
            write_state((unsigned)test_random_below(10));
            break;
        case 1:
            fake_dev_set_back(&back, "online", test_random_below(2) ? "0" : "rubbish");
            break;
        case 2:
            fake_dev_set_front(&back, "backend", test_random_below(2) ? back.back : "/nonsense");
            break;
        case 3:
            fake_dev_set_front(&back, "backend-id", test_random_below(2) ? "0" : "-7");
            break;
        case 4:
            fakexen_store_rm("/local/domain/0/backend/vif/7/0/state");
            break;
        case 5:
            fake_dev_set_front(&back, "state", "1");
            break;
        }
        fakexen_settle();
        if (!xb_connected(&dev))
            (void)!live_on(test_random_below(4) * NSEC_PER_SEC);
    }
    fake_dev_set_front(&back, "backend", back.back);
    fake_dev_set_front(&back, "backend-id", "0");
    fake_dev_set_back(&back, "online", "1");
    fake_dev_set_state(&back, XenbusStateInitWait);
    fakexen_settle();
    CHECK_EQ(live_on(60 * NSEC_PER_SEC), 0);
    end();
}

TEST(life, open_says_why_it_could_not)
{
    plug_in();
    CHECK_EQ(life_init(&life, &dev, &driver, "0", &life), 0);
    fake_dev_set_front(&back, "backend-id", "x");
    CHECK_EQ(life_open(&life), -EINVAL);
    CHECK(host_logged("key \"backend-id\" is \"x\""));
    fake_dev_set_front(&back, "backend-id", "0");
    CHECK_EQ(life_open(&life), 0);
    end();
}
