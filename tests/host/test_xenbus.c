/* SPDX-License-Identifier: BSD-2-Clause */
/* frontends/common/xenbus.c: the handshake with backends and a store of every kind. */
#include "frontends/common/xenbus.h"

#include <stdio.h>
#include <string.h>
#include "kernel/time.h"
#include "tests/host/fakeback.h"
#include "tests/host/hostarch.h"
#include "tests/host/test.h"

FAKEXEN_BOOT(xenbus)

static struct fake_dev back;
static struct xb_device dev;
static unsigned changes;

static void nothing(struct fake_dev *d)
{
    (void)d;
}

static void plug_in(void)
{
    back.connect = back.disconnect = nothing;
    fake_dev_create(&back, "vbd", "vbd", "51712");
}

static void on_change(void *arg)
{
    CHECK(arg == &back);
    changes++;
}

static int open_dev(void)
{
    int rc = xb_init(&dev, "vbd", "51712", on_change, &back);

    return rc == 0 ? xb_open(&dev) : rc;
}

static void begin(void)
{
    plug_in();
    CHECK_EQ(open_dev(), 0);
    fakexen_settle();
}

static void end(void)
{
    xb_close(&dev);
    fake_dev_destroy(&back);
    fakexen_settle();
}

static nsec_t soon(void)
{
    return time_now() + XB_CONNECT_TIMEOUT;
}

/* ---- open ---- */

TEST(xenbus, open_finds_the_backend)
{
    begin();
    CHECK_EQ(dev.backend_id, 0);
    CHECK_STR(dev.backend, "/local/domain/0/backend/vbd/7/51712");
    CHECK_STR(dev.path, "device/vbd/51712");
    CHECK_EQ(xb_await(&dev, XB_READY, soon()), 0);
    end();
}

TEST(xenbus, open_accepts_a_backend_of_any_class)
{
    back.connect = back.disconnect = nothing;
    fake_dev_create(&back, "vbd", "evilvbd", "51712");
    CHECK_EQ(open_dev(), 0);
    CHECK_EQ(xb_await(&dev, XB_READY, soon()), 0);
    end();
}

TEST(xenbus, open_refuses_a_device_that_is_not_there)
{
    CHECK_EQ(open_dev(), -ENOENT);
    CHECK(host_logged("vbd/51712: key \"backend-id\" is missing; check the disk= line"));
    xb_close(&dev);
    CHECK(fakexen_store_get(FAKE_HOME "/device/vbd/51712") == NULL);
}

TEST(xenbus, open_refuses_a_backend_path_that_does_not_fit)
{
    static const char *const paths[] = {
        "",
        "/",
        "backend/vbd/7/51712",
        "/local/domain/1/backend/vbd/7/51712",
        "/local/domain/0/",
        "/local/domain/0",
        "/local/domain/00/backend/vbd",
        "/local/domain/0x0/backend",
        "\n\033[2J",
    };

    plug_in();
    for (unsigned i = 0; i < ARRAY_SIZE(paths); i++) {
        fake_dev_set_front(&back, "backend", paths[i]);
        CHECK_EQ(open_dev(), -EINVAL);
        xb_close(&dev);
    }
    CHECK(host_logged("key \"backend\" is \"\", not below /local/domain/0/"));
    CHECK(host_logged("\"??[2J\""));
    fake_dev_destroy(&back);
}

TEST(xenbus, open_refuses_a_backend_id_that_is_no_domain)
{
    static const char *const ids[] = {"",      "abc",   "-1",         " 0", "0 ",
                                      "32752", "65536", "4294967296", "0x0"};

    plug_in();
    for (unsigned i = 0; i < ARRAY_SIZE(ids); i++) {
        fake_dev_set_front(&back, "backend-id", ids[i]);
        CHECK(open_dev() < 0);
        xb_close(&dev);
    }
    CHECK(host_logged("key \"backend-id\" is \"abc\", not a number from 0 to 32751; check"));
    fake_dev_destroy(&back);
}

TEST(xenbus, open_refuses_values_of_any_length_or_with_zeros)
{
    static char big[4000];

    plug_in();
    memset(big, 'x', sizeof(big));
    fakexen_store_set_bytes(FAKE_HOME "/device/vbd/51712/backend", big, sizeof(big));
    CHECK(open_dev() < 0);
    xb_close(&dev);
    fakexen_store_set_bytes(FAKE_HOME "/device/vbd/51712/backend", "/local/domain/0/\0x", 18);
    CHECK(open_dev() < 0);
    xb_close(&dev);
    fake_dev_destroy(&back);
}

TEST(xenbus, open_ends_when_the_store_does_not_answer)
{
    nsec_t start;

    plug_in();
    start = time_now();
    fakexen_store_faults.silent = true;
    CHECK_EQ(open_dev(), -ETIMEDOUT);
    CHECK(time_now() - start <= 2 * XS_TIMEOUT);
    fakexen_store_faults.silent = false;
    xb_close(&dev);
    fake_dev_destroy(&back);
    test_pass(); /* the store's client is out of step now */
}

TEST(xenbus, open_refuses_names_that_are_too_long)
{
    CHECK(xb_init(&dev, "vbd", "1234567890123456789012345678901234567890123456789012345678901234",
                  NULL, NULL) == -ENAMETOOLONG);
    xb_close(&dev);
}

/* ---- await ---- */

TEST(xenbus, await_gives_up_at_its_deadline)
{
    nsec_t start;

    begin();
    fake_dev_set_state(&back, XenbusStateInitialising);
    fakexen_settle();
    start = time_now();
    CHECK_EQ(xb_await(&dev, XB_READY, soon()), -ETIMEDOUT);
    CHECK_EQ((time_now() - start) / NSEC_PER_SEC, 30);
    CHECK(host_logged("the backend did not come up and is in state Initialising"));
    end();
}

TEST(xenbus, await_is_content_with_skipped_states)
{
    begin();
    fake_dev_set_state(&back, XenbusStateConnected);
    CHECK_EQ(xb_await(&dev, XB_READY, soon()), 0);
    CHECK_EQ(xb_await(&dev, XB_MASK(XB_CONNECTED), soon()), 0);
    end();
}

TEST(xenbus, await_ends_when_the_backend_closes)
{
    static const unsigned states[] = {XenbusStateClosing, XenbusStateClosed, XenbusStateUnknown};

    for (unsigned i = 0; i < ARRAY_SIZE(states); i++) {
        nsec_t start = time_now();

        begin();
        fake_dev_set_state(&back, states[i]);
        CHECK_EQ(xb_await(&dev, XB_MASK(XB_CONNECTED), soon()), -ENODEV);
        CHECK(time_now() - start < NSEC_PER_SEC);
        end();
    }
}

TEST(xenbus, await_ends_when_the_backends_node_is_removed)
{
    begin();
    fakexen_store_rm(back.back);
    CHECK_EQ(xb_await(&dev, XB_MASK(XB_CONNECTED), soon()), -ENODEV);
    end();
}

TEST(xenbus, await_takes_nonsense_for_a_backend_that_is_gone)
{
    static const char *const states[] = {"", "abc", "9", "-1", "4294967300", " 4", "4x"};

    for (unsigned i = 0; i < ARRAY_SIZE(states); i++) {
        begin();
        fake_dev_set_back(&back, "state", states[i]);
        CHECK_EQ(xb_await(&dev, XB_MASK(XB_CONNECTED), soon()), -ENODEV);
        end();
    }
}

static void come_back(void *arg)
{
    (void)arg;
    fake_dev_set_state(&back, XenbusStateInitWait);
}

TEST(xenbus, await_bears_with_a_backend_still_parting_from_an_earlier_life)
{
    plug_in();
    back.aloof = true;
    fake_dev_set_state(&back, XenbusStateClosing);
    CHECK_EQ(open_dev(), 0);
    fakexen_settle();
    host_at(host_clock + 3 * NSEC_PER_SEC, come_back, NULL);
    CHECK_EQ(xb_await(&dev, XB_READY, soon()), 0);
    back.aloof = false;
    end();
}

TEST(xenbus, await_sees_a_backend_that_comes_late)
{
    nsec_t start = time_now();

    begin();
    fake_dev_set_state(&back, XenbusStateInitialising);
    fakexen_settle();
    host_at(host_clock + 29 * NSEC_PER_SEC, come_back, NULL);
    CHECK_EQ(xb_await(&dev, XB_READY, soon()), 0);
    CHECK((time_now() - start) / NSEC_PER_SEC <= 29);
    end();
}

TEST(xenbus, tells_of_changes_until_it_is_closed)
{
    unsigned seen;

    begin();
    changes = 0;
    fake_dev_set_state(&back, XenbusStateConnected);
    fakexen_settle();
    CHECK_EQ(changes, 1);
    CHECK(xb_connected(&dev));
    fake_dev_set_state(&back, XenbusStateClosing);
    fakexen_settle();
    CHECK_EQ(changes, 2);
    CHECK(!xb_connected(&dev));
    xb_close(&dev);
    seen = changes;
    fake_dev_set_state(&back, XenbusStateConnected);
    fakexen_settle();
    CHECK_EQ(changes, seen);
    end();
}

TEST(xenbus, bears_a_storm_of_states)
{
    begin();
    back.aloof = true;
    for (unsigned i = 0; i < 20000; i++) {
        fake_dev_set_state(&back, (unsigned)test_random_below(9));
        if (i % 100 == 0)
            fakexen_settle();
    }
    fake_dev_set_state(&back, XenbusStateConnected);
    CHECK_EQ(xb_await(&dev, XB_MASK(XB_CONNECTED), soon()) <= 0, 1);
    fakexen_settle();
    CHECK(xb_connected(&dev));
    back.aloof = false;
    end();
}

/* ---- read ---- */

struct values {
    bool flag;
    uint32_t small;
    uint64_t large;
    char text[8];
    uint8_t mac[6];
};

static int read_one(struct xb_key key, const char *value, struct values *out)
{
    memset(out, 0x55, sizeof(*out));
    if (value != NULL)
        fake_dev_set_back(&back, key.name, value);
    return xb_read(&dev, dev.backend, &key, 1, out);
}

TEST(xenbus, read_takes_numbers_within_their_bounds)
{
    const struct xb_key small = XB_REQUIRED(struct values, small, "k", 10, 4096);
    const struct xb_key large = XB_REQUIRED(struct values, large, "k", 0, 1ULL << 54);
    struct values v;

    begin();
    CHECK_EQ(read_one(small, "10", &v), 0);
    CHECK_EQ(v.small, 10);
    CHECK_EQ(read_one(small, "4096", &v), 0);
    CHECK_EQ(v.small, 4096);
    CHECK_EQ(read_one(large, "18014398509481984", &v), 0);
    CHECK_EQ(v.large, 1ULL << 54);
    end();
}

TEST(xenbus, read_refuses_a_required_number_that_is_none)
{
    static const char *const bad[] = {
        "",
        "abc",
        " 5",
        "5 ",
        "-1",
        "+5",
        "1e9",
        "0x10",
        "5\n",
        "18446744073709551616",
        "18014398509481985",
        "99999999999999999999999999999999",
    };
    const struct xb_key key = XB_REQUIRED(struct values, large, "sectors", 0, 1ULL << 54);
    struct values v;

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        begin();
        CHECK(read_one(key, bad[i], &v) < 0);
        CHECK(dev.broken);
        end();
    }
    CHECK(host_logged("vbd/51712: key \"sectors\" is \"abc\", not a number from 0 to "
                      "18014398509481984; check the disk= line"));
}

TEST(xenbus, read_names_a_required_key_that_is_missing)
{
    const struct xb_key key = XB_REQUIRED(struct values, large, "sectors", 0, 10);
    struct values v;

    begin();
    CHECK_EQ(read_one(key, NULL, &v), -ENOENT);
    CHECK(host_logged("vbd/51712: key \"sectors\" is missing; check the disk= line"));
    CHECK_STR(fakexen_store_get(FAKE_HOME "/error/device/vbd/51712/error"),
              "2 key \"sectors\" is missing; check the disk= line");
    end();
    fakexen_store_rm(FAKE_HOME "/error");
}

TEST(xenbus, read_lives_without_an_optional_key_it_may_not_read)
{
    const struct xb_key number = XB_OPTIONAL(struct values, small, "mtu", 1500, 68, 65521);
    const struct xb_key flag = XB_FLAG(struct values, flag, "feature-sg", true);
    const struct xb_key text = XB_OPTIONAL_TEXT(struct values, text, "mode");
    struct values v;

    begin();
    fakexen_store_faults.error = "EACCES";
    fakexen_store_faults.error_type = XS_READ;
    CHECK_EQ(read_one(number, "9000", &v), 0);
    CHECK_EQ(v.small, 1500);
    CHECK_EQ(read_one(flag, "0", &v), 0);
    CHECK(v.flag);
    CHECK_EQ(read_one(text, "w", &v), 0);
    CHECK_STR(v.text, "");
    CHECK(!dev.broken);
    fakexen_store_faults.error = NULL;
    CHECK_EQ(read_one(number, NULL, &v), 0);
    CHECK_EQ(v.small, 9000);
    end();
}

TEST(xenbus, read_names_a_required_key_it_may_not_read)
{
    const struct xb_key key = XB_REQUIRED(struct values, large, "sectors", 0, 10);
    struct values v;

    begin();
    fakexen_store_faults.error = "EACCES";
    fakexen_store_faults.error_type = XS_READ;
    CHECK_EQ(read_one(key, "5", &v), -EACCES);
    fakexen_store_faults.error = NULL;
    CHECK(dev.broken);
    CHECK(host_logged("vbd/51712: key \"sectors\" is \"(unreadable)\""));
    end();
    fakexen_store_rm(FAKE_HOME "/error");
}

TEST(xenbus, read_bounds_optional_numbers_and_ignores_nonsense)
{
    static const struct {
        const char *value;
        uint32_t number;
    } cases[] = {
        {NULL, 1500},
        {"abc", 1500},
        {"", 1500},
        {"-1", 1500},
        {"67", 68},
        {"68", 68},
        {"0", 68},
        {"9000", 9000},
        {"99999999999999999999", 65521},
        {"65522", 65521},
        {"4294967296", 65521},
    };
    const struct xb_key key = XB_OPTIONAL(struct values, small, "mtu", 1500, 68, 65521);
    struct values v;

    begin();
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        CHECK_EQ(read_one(key, cases[i].value, &v), 0);
        CHECK_EQ(v.small, cases[i].number);
    }
    end();
}

TEST(xenbus, read_takes_flags)
{
    static const struct {
        const char *value;
        bool flag;
    } cases[] = {{NULL, false}, {"0", false},   {"1", true},
                 {"2", true},   {"yes", false}, {"-1", false}};
    const struct xb_key key = XB_FLAG(struct values, flag, "feature-sg", false);
    struct values v;

    begin();
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        CHECK_EQ(read_one(key, cases[i].value, &v), 0);
        CHECK_EQ(v.flag, cases[i].flag);
    }
    end();
}

TEST(xenbus, read_takes_text_that_fits)
{
    const struct xb_key key = XB_OPTIONAL_TEXT(struct values, text, "mode");
    struct values v;

    begin();
    CHECK_EQ(read_one(key, "1234567", &v), 0);
    CHECK_STR(v.text, "1234567");
    CHECK_EQ(read_one(key, "12345678", &v), 0);
    CHECK_STR(v.text, "");
    fakexen_store_set_bytes("/local/domain/0/backend/vbd/7/51712/mode", "w\0r", 3);
    CHECK_EQ(read_one(key, NULL, &v), 0);
    CHECK_STR(v.text, "");
    end();
}

TEST(xenbus, read_takes_mac_addresses_strictly)
{
    const struct xb_key key = XB_REQUIRED(struct values, mac, "mac", 0, 0);
    struct values v;

    begin();
    CHECK_EQ(read_one(key, "00:16:3e:ab:CD:ef", &v), 0);
    CHECK_MEM(v.mac, "\x00\x16\x3e\xab\xcd\xef", 6);
    CHECK_EQ(read_one(key, "00:16:3e:ab:CD:e", &v), -EINVAL);
    CHECK(host_logged("key \"mac\" is \"00:16:3e:ab:CD:e\", not an address like"));
    end();
}

/* ---- publish, advance ---- */

static const struct xb_entry entries[] = {
    {.name = "ring-ref", .number = 4294967295},
    {.name = "protocol", .text = "x86_64-abi"},
};

TEST(xenbus, publish_writes_texts_and_numbers)
{
    begin();
    CHECK_EQ(xb_publish(&dev, entries, 2), 0);
    CHECK_STR(fake_dev_front(&back, "ring-ref"), "4294967295");
    CHECK_STR(fake_dev_front(&back, "protocol"), "x86_64-abi");
    end();
}

TEST(xenbus, publish_tries_again_when_others_got_in_between)
{
    begin();
    fakexen_store_faults.failing_commits = 5;
    CHECK_EQ(xb_publish(&dev, entries, 2), 0);
    CHECK_STR(fake_dev_front(&back, "protocol"), "x86_64-abi");
    end();
}

TEST(xenbus, publish_gives_up_when_others_always_get_in_between)
{
    nsec_t start;

    begin();
    start = time_now();
    fakexen_store_faults.failing_commits = ~0U;
    CHECK_EQ(xb_publish(&dev, entries, 2), -EAGAIN);
    fakexen_store_faults.failing_commits = 0;
    CHECK(time_now() - start < 2 * NSEC_PER_SEC);
    CHECK(fake_dev_front(&back, "protocol") == NULL);
    end();
}

TEST(xenbus, publish_writes_nothing_when_one_write_fails)
{
    begin();
    fakexen_store_faults.error = "ENOSPC";
    fakexen_store_faults.error_type = XS_WRITE;
    CHECK_EQ(xb_publish(&dev, entries, 2), -ENOSPC);
    fakexen_store_faults.error = NULL;
    CHECK(fake_dev_front(&back, "ring-ref") == NULL);
    end();
}

TEST(xenbus, advance_does_not_bring_a_removed_device_back)
{
    begin();
    fakexen_store_rm(back.front);
    CHECK_EQ(xb_advance(&dev, XB_CONNECTED), -ENODEV);
    CHECK(fakexen_store_get(FAKE_HOME "/device/vbd/51712/state") == NULL);
    end();
}

TEST(xenbus, advance_walks_the_startup_diagram)
{
    begin();
    CHECK_STR(fake_dev_front(&back, "state"), "1");
    CHECK_EQ(xb_advance(&dev, XB_INITIALISED), 0);
    CHECK_STR(fake_dev_front(&back, "state"), "3");
    CHECK_EQ(xb_await(&dev, XB_MASK(XB_CONNECTED), soon()), 0);
    CHECK_EQ(xb_advance(&dev, XB_CONNECTED), 0);
    end();
    CHECK(!back.attached);
}

/* ---- fail, close ---- */

TEST(xenbus, fail_tells_the_log_the_store_and_the_backend_once)
{
    begin();
    CHECK_EQ(xb_advance(&dev, XB_INITIALISED), 0);
    CHECK_EQ(xb_await(&dev, XB_MASK(XB_CONNECTED), soon()), 0);
    xb_fail(&dev, -EPROTO, "it lied %u times", 3);
    xb_fail(&dev, -EIO, "it lied again");
    CHECK(!xb_connected(&dev));
    CHECK(host_logged("vbd/51712: it lied 3 times"));
    CHECK(!host_logged("it lied again"));
    CHECK_STR(fakexen_store_get(FAKE_HOME "/error/device/vbd/51712/error"), "71 it lied 3 times");
    CHECK_STR(fake_dev_front(&back, "state"), "5");
    end();
    fakexen_store_rm(FAKE_HOME "/error");
}

TEST(xenbus, close_parts_from_the_backend)
{
    begin();
    CHECK_EQ(xb_advance(&dev, XB_INITIALISED), 0);
    CHECK_EQ(xb_await(&dev, XB_MASK(XB_CONNECTED), soon()), 0);
    xb_close(&dev);
    CHECK_EQ(back.state, XenbusStateClosed);
    CHECK(!back.attached);
    CHECK_STR(fake_dev_front(&back, "state"), "6");
    xb_close(&dev);
    end();
}

static void nobody(port_t port, void *arg)
{
    (void)port;
    (void)arg;
}

/* Tables do not shrink: what so many ports need is there before the census. */
static void warm_up(void)
{
    port_t port[2 * XB_PORTS_MAX];

    if (strcmp(test_current->module, "xenbus") != 0)
        return;
    for (size_t i = 0; i < ARRAY_SIZE(port); i++)
        CHECK_EQ(evtchn_alloc_unbound(0, nobody, NULL, &port[i]), 0);
    for (size_t i = 0; i < ARRAY_SIZE(port); i++)
        evtchn_unbind(port[i]);
}
SETUP(30, warm_up)

TEST(xenbus, close_releases_what_the_device_owns)
{
    unsigned grants = grant_count_used(), ports = evtchn_count_bound();
    struct shared_page ring[XB_RINGS_MAX + 1];
    port_t port[XB_PORTS_MAX + 1];

    begin();
    for (unsigned i = 0; i <= XB_RINGS_MAX; i++)
        CHECK_EQ(xb_ring(&dev, &ring[i]), i < XB_RINGS_MAX ? 0 : -ENOSPC);
    for (unsigned i = 0; i <= XB_PORTS_MAX; i++)
        CHECK_EQ(xb_port(&dev, nobody, NULL, &port[i]), i < XB_PORTS_MAX ? 0 : -ENOSPC);
    CHECK(fake_grant_is_to(ring[0].ref, 0));
    end();
    CHECK_EQ(grant_count_used(), grants);
    CHECK_EQ(evtchn_count_bound(), ports);
}

TEST(xenbus, says_when_xen_has_no_event_channel)
{
    port_t port;

    begin();
    fakexen_fail_evtchn(EVTCHNOP_alloc_unbound, -ENOSPC);
    CHECK_EQ(xb_port(&dev, nobody, NULL, &port), -ENOSPC);
    CHECK(host_logged("vbd/51712: no event channel"));
    end();
}

TEST(xenbus, close_does_not_wait_for_ever_and_keeps_what_is_mapped)
{
    struct shared_page ring;
    nsec_t start;

    begin();
    CHECK_EQ(xb_ring(&dev, &ring), 0);
    CHECK_EQ(xb_advance(&dev, XB_INITIALISED), 0);
    CHECK_EQ(xb_await(&dev, XB_MASK(XB_CONNECTED), soon()), 0);
    (void)fake_grant_map(ring.ref, true);
    back.aloof = true;
    start = time_now();
    xb_close(&dev);
    CHECK(time_now() - start <= XB_CLOSE_TIMEOUT + NSEC_PER_SEC);
    CHECK_EQ(grant_count_quarantined(), 1);
    fake_grant_unmap(ring.ref, true);
    host_advance(2 * NSEC_PER_SEC);
    CHECK_EQ(grant_count_quarantined(), 0);
    end();
}

TEST(xenbus, close_works_when_device_and_backend_are_gone)
{
    nsec_t start;

    begin();
    fakexen_store_rm(back.front);
    fakexen_store_rm(back.back);
    fakexen_settle();
    start = time_now();
    xb_close(&dev);
    CHECK(time_now() - start < NSEC_PER_SEC);
    end();
}

TEST(xenbus, close_of_a_device_that_never_opened_is_harmless)
{
    static struct xb_device zero;

    xb_close(&zero);
    xb_close(&zero);
    CHECK_EQ(zero.open, false);
}

TEST(xenbus, opens_again_after_close)
{
    begin();
    for (unsigned i = 0; i < 5; i++) {
        CHECK_EQ(xb_await(&dev, XB_READY, soon()), 0);
        CHECK_EQ(xb_advance(&dev, XB_INITIALISED), 0);
        CHECK_EQ(xb_await(&dev, XB_MASK(XB_CONNECTED), soon()), 0);
        xb_close(&dev);
        CHECK_EQ(open_dev(), 0);
    }
    end();
}
