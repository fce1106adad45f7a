/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TCP's sums of what leaves: a backend may sum IPv4 and not IPv6, or the other way round. One
 * family never costs the other one anything: each is summed by the backend, and leaves in large
 * segments, exactly where the backend sums that family (the rig looks at every frame). All backends
 * here say that they cut both.
 */
#include "tests/host/tcprig.h"

#include "kernel/thread.h"
#include "kernel/time.h"
#include "tests/host/test.h"

#define PART (TCP_STREAM_MAX / 8)

FAKEXEN_BOOT(sums)

static bool backend_sums(void)
{
    return !(cond.six ? cond.no_sum6 : cond.no_sum4);
}

static void stream(bool six)
{
    rig_renew(six);
    size_t before = rig_memory();
    int fd = rig_connect();

    rig_send(fd, 0, PART, 9000); /* of odd lengths, too */
    rig_send(fd, PART, 3 * PART, 1 << 17);
    CHECK_EQ(peer.large > 0, backend_sums());
    rig_finish(fd, before, 3 * PART);
}

/* Both families in one life. */
static void streams(struct conditions c)
{
    rig_begin(c);
    stream(false);
    stream(true);
    test_pass();
}

TEST(sums, of_both_left_to_the_backend)
{
    streams((struct conditions){0});
}

TEST(sums, of_ip4_left_to_the_backend)
{
    streams((struct conditions){.no_sum6 = true});
}

TEST(sums, of_ip6_left_to_the_backend)
{
    streams((struct conditions){.no_sum4 = true});
}

TEST(sums, of_none_left_to_the_backend)
{
    streams((struct conditions){.no_sum4 = true, .no_sum6 = true});
}

/* Another backend, and what was in flight or unsent is sent again as this one wants it. */
static void next_life(bool no_sum4, bool no_sum6)
{
    fake_dev_set_state(&vif.dev, XenbusStateClosed);
    fakexen_settle();
    cond.no_sum4 = no_sum4;
    cond.no_sum6 = no_sum6;
    rig_sums();
    fake_dev_set_state(&vif.dev, XenbusStateInitWait);
    thread_sleep_until(time_now() + NSEC_PER_SEC);
}

/* One connection, whose backends go through all that can be. */
static void lives(bool six)
{
    rig_begin((struct conditions){.six = six, .window = 300000, .loss = 5});
    size_t before = rig_memory();
    int fd = rig_connect();

    for (uint32_t i = 0; i < 8; i++) {
        unsigned large = peer.large;

        rig_send(fd, i * PART, (i + 1) * PART, 1 << 17);
        CHECK_EQ(peer.large > large, backend_sums());
        next_life(i % 4 < 2, (i + 1) % 4 < 2);
    }
    rig_finish(fd, before, 8 * PART);
    test_pass();
}

TEST(sums, change_with_the_backend)
{
    lives(false);
}

TEST(sums, change_with_the_backend_over_ip6)
{
    lives(true);
}
