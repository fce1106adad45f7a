/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TCP from a socket to a peer behind a backend in memory: large segments that come in, with every
 * kind of sum, and connections that outlive their vif, with segments on their way both ways.
 */
#include "tests/host/tcprig.h"

#include <stdio.h>
#include "kernel/thread.h"
#include "tests/host/test.h"

FAKEXEN_BOOT(tcp)

#define TOTAL (TCP_STREAM_MAX / 2)
#define BLANK (1 << TCP_SUM_BLANK)
#define VALIDATED (1 << TCP_SUM_VALIDATED)
#define FULL (1 << TCP_SUM_FULL)
#define LARGE 65535

/* A connection, and how much went in and out. */
struct flow {
    int fd;
    uint32_t in, out;
};

static void pass(nsec_t ns)
{
    thread_sleep_until(time_now() + ns);
}

/* Until (in) and (out) bytes went. What else comes waits, until the window is closed. */
static void exchange(struct flow *f, uint32_t in, uint32_t out)
{
    for (unsigned rounds = 0; f->in < in || f->out < out; rounds++) {
        CHECK(rounds < 50000);
        f->in = rig_receive_some(f->fd, f->in, in);
        f->out = rig_send_some(f->fd, f->out, out);
        pass(NSEC_PER_MSEC);
    }
}

/* ---- in ---- */

static void arrive(struct conditions c)
{
    c.in = TOTAL;
    rig_begin(c);
    size_t before = rig_memory();
    struct flow f = {.fd = rig_connect()};
    exchange(&f, TOTAL, 0);
    CHECK_EQ(f.in, TOTAL);
    rig_finish(f.fd, before, 0);
}

/* None was refused: the peer never had to send again. */
static void arrive_large(struct conditions c)
{
    c.in_largest = LARGE;
    arrive(c);
    CHECK_EQ(peer.again, 0);
    CHECK(peer.in_large > TOTAL / 65536);
    CHECK_EQ(peer.in_largest, LARGE - (c.six ? 86 : 66));
}

TEST(tcp, large_segments_without_a_sum)
{
    arrive_large((struct conditions){.in_sums = BLANK});
    test_pass();
}

TEST(tcp, large_segments_without_a_sum_over_ip6)
{
    arrive_large((struct conditions){.six = true, .in_sums = BLANK});
    test_pass();
}

TEST(tcp, large_segments_vouched_for)
{
    arrive_large((struct conditions){.in_sums = VALIDATED});
    test_pass();
}

TEST(tcp, large_segments_vouched_for_over_ip6)
{
    arrive_large((struct conditions){.six = true, .in_sums = VALIDATED});
    test_pass();
}

TEST(tcp, small_segments_with_a_sum)
{
    arrive((struct conditions){.in_sums = FULL});
    CHECK_EQ(peer.again, 0);
    test_pass();
}

TEST(tcp, small_segments_with_a_sum_over_ip6)
{
    arrive((struct conditions){.six = true, .in_sums = FULL});
    CHECK_EQ(peer.again, 0);
    test_pass();
}

TEST(tcp, a_wrong_sum_is_dropped)
{
    arrive((struct conditions){.in_sums = FULL, .in_spoilt = 10});
    CHECK(peer.spoilt > 5);
    CHECK(peer.again > 5);
    test_pass();
}

TEST(tcp, a_wrong_sum_is_dropped_over_ip6)
{
    arrive((struct conditions){.six = true, .in_sums = FULL, .in_spoilt = 10});
    CHECK(peer.spoilt > 5);
    CHECK(peer.again > 5);
    test_pass();
}

/* What was said of one frame holds for no other. */
TEST(tcp, segments_of_every_kind_in_turn)
{
    arrive_large((struct conditions){.in_sums = BLANK | VALIDATED | FULL});
    test_pass();
}

TEST(tcp, segments_of_every_kind_some_lost_or_spoilt_over_ip6)
{
    arrive((struct conditions){.six = true,
                               .in_largest = LARGE,
                               .in_sums = BLANK | VALIDATED | FULL,
                               .in_spoilt = 200,
                               .loss = 10});
    CHECK(peer.spoilt > 0);
    CHECK(peer.again > 0);
    test_pass();
}

/* ---- other lives ---- */

#define LIVES 4
#define PART (TCP_STREAM_MAX / LIVES)

/* Segments are on their way in; others lie in the ring, and in lwIP, which may queue no more. */
static void fill_the_way(struct flow *f)
{
    cond.in_held = true;
    f->in = rig_receive_some(f->fd, f->in, TCP_STREAM_MAX);
    pass(5 * NSEC_PER_MSEC);
    vif.hold_tx = true;
    f->out = rig_send_some(f->fd, f->out, TCP_STREAM_MAX);
    pass(5 * NSEC_PER_MSEC);
    CHECK(rig_waiting() > 0 && peer.top > peer.acked);
    CHECK(vif.tx.page->req_prod != vif.tx.req_cons);
    CHECK(f->out - peer.got > 100000);
}

/* Both streams, with fn(life) ending each life of the vif and beginning the next. */
static void outlive(struct conditions c, void (*fn)(unsigned life))
{
    c.in = TCP_STREAM_MAX;
    rig_begin(c);
    size_t before = rig_memory();
    struct flow f = {.fd = rig_connect()};
    for (unsigned life = 1; life < LIVES; life++) {
        exchange(&f, life * PART - PART / 2, life * PART - PART / 2);
        fill_the_way(&f);
        fn(life);
        pass(NSEC_PER_SEC);
    }
    exchange(&f, TCP_STREAM_MAX, TCP_STREAM_MAX);
    rig_finish(f.fd, before, TCP_STREAM_MAX);
}

/* All on its way is lost. */
static void replug(unsigned life)
{
    char mac[24];

    snprintf(mac, sizeof(mac), "00:16:3e:12:35:%02x", life);
    fake_net_destroy(&vif);
    cond.in_held = false;
    pass(2 * NSEC_PER_SEC);
    CHECK_EQ(rig_waiting(), 0);
    rig_plug(mac);
}

TEST(tcp, outlives_its_vif_with_another_mac)
{
    outlive((struct conditions){.in_largest = LARGE}, replug);
    test_pass();
}

TEST(tcp, outlives_its_vif_with_another_mac_over_ip6)
{
    outlive((struct conditions){.six = true, .in_largest = LARGE}, replug);
    test_pass();
}

/* The backend has feature-sg in every other life, and with it an mtu of 9000. */
static void lose_or_gain_sg(unsigned life)
{
    bool sg = life % 2 == 0;

    CHECK_EQ(peer.large > 0, !sg);
    CHECK_EQ(peer.largest > 1500, !sg);
    fake_dev_set_state(&vif.dev, XenbusStateClosed);
    cond.in_held = vif.hold_tx = false;
    fakexen_settle();
    peer.large = peer.largest = 0;
    cond.mtu = sg ? 9000 : 1500;
    fake_dev_set_back(&vif.dev, "feature-sg", sg ? "1" : "0");
    fake_dev_set_state(&vif.dev, XenbusStateInitWait);
}

TEST(tcp, outlives_feature_sg_and_the_mtu_with_it)
{
    outlive((struct conditions){.mtu = 9000, .mss = 8960}, lose_or_gain_sg);
    test_pass();
}

TEST(tcp, outlives_feature_sg_and_the_mtu_with_it_over_ip6)
{
    outlive((struct conditions){.six = true, .mtu = 9000, .mss = 8940}, lose_or_gain_sg);
    test_pass();
}
