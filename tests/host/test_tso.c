/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Large TCP segments from a socket through lwIP, the interface and netfront to a backend in memory,
 * which cuts them, and a peer on the wire behind it that loses frames, has small segments, small
 * windows, or none for a while. Whatever happens, the stream arrives byte for byte, no frame on the
 * wire is larger than the peer or the mtu allows, nothing is sent beyond the window, and memory
 * comes back.
 */
#include "tests/host/tcprig.h"

#include <sys/socket.h>
#include "kernel/thread.h"
#include "kernel/time.h"
#include "lib/net/budget.h"
#include "tests/host/test.h"

FAKEXEN_BOOT(tso)

static void stream(struct conditions c, uint32_t total, uint32_t most)
{
    rig_begin(c);
    size_t before = rig_memory();
    int fd = rig_connect();
    rig_send(fd, 0, total, most);
    rig_finish(fd, before, total);
}

TEST(tso, a_stream_leaves_in_large_segments)
{
    stream((struct conditions){0}, TCP_STREAM_MAX, 1 << 17);
    CHECK(peer.large > 50);
    CHECK(peer.large < 200);
    CHECK(peer.largest > 40000);
    test_pass();
}

TEST(tso, over_ip6_too)
{
    stream((struct conditions){.six = true}, TCP_STREAM_MAX, 1 << 17);
    CHECK(peer.large < 200);
    CHECK(peer.largest > 40000);
    test_pass();
}

TEST(tso, without_timestamps)
{
    stream((struct conditions){.no_timestamps = true}, TCP_STREAM_MAX, 1 << 17);
    CHECK(peer.largest > 40000);
    test_pass();
}

TEST(tso, written_in_small_pieces)
{
    stream((struct conditions){0}, 300000, 700);
    test_pass();
}

TEST(tso, a_peer_with_small_segments)
{
    stream((struct conditions){.mss = 536}, TCP_STREAM_MAX / 2, 1 << 17);
    CHECK(peer.largest > 20000);
    test_pass();
}

/* Too many of them would be in a large one. */
TEST(tso, a_peer_with_tiny_segments)
{
    stream((struct conditions){.mss = 100}, 100000, 1 << 17);
    CHECK_EQ(peer.large, 0);
    test_pass();
}

TEST(tso, an_mtu_smaller_than_the_peers_segments)
{
    stream((struct conditions){.mtu = 600}, TCP_STREAM_MAX / 2, 1 << 17);
    CHECK(peer.large > 0);
    test_pass();
}

TEST(tso, a_window_of_a_few_segments)
{
    stream((struct conditions){.window = 5000}, 200000, 1 << 17);
    test_pass();
}

TEST(tso, a_window_smaller_than_a_segment)
{
    stream((struct conditions){.window = 992}, 20000, 1 << 17);
    test_pass();
}

TEST(tso, a_window_that_closes)
{
    stream((struct conditions){.window = 200000, .close_every = 150000}, TCP_STREAM_MAX / 2,
           1 << 17);
    test_pass();
}

TEST(tso, loss_of_a_percent)
{
    stream((struct conditions){.loss = 10}, TCP_STREAM_MAX, 1 << 17);
    CHECK(peer.large > 10);
    test_pass();
}

TEST(tso, loss_of_a_tenth)
{
    stream((struct conditions){.loss = 100}, TCP_STREAM_MAX / 4, 1 << 17);
    test_pass();
}

TEST(tso, loss_with_small_segments_and_windows_over_ip6)
{
    stream(
        (struct conditions){
            .six = true, .mss = 536, .window = 20000, .loss = 30, .close_every = 70000},
        TCP_STREAM_MAX / 8, 1 << 17);
    test_pass();
}

/* Each frame takes as much as one of 9000 can: of IPv6 20 bytes less. */
TEST(tso, an_mtu_of_9000)
{
    stream((struct conditions){.mtu = 9000, .mss = 8960, .loss = 5}, TCP_STREAM_MAX, 1 << 17);
    CHECK(peer.largest > 40000);
    CHECK(peer.pieces < TCP_STREAM_MAX / 8948 + 150);
    test_pass();
}

TEST(tso, an_mtu_of_9000_and_a_backend_that_does_not_cut)
{
    stream((struct conditions){.mtu = 9000, .mss = 8960, .no_gso = true}, TCP_STREAM_MAX, 1 << 17);
    CHECK_EQ(peer.largest, 8960 - 12);
    test_pass();
}

TEST(tso, an_mtu_of_9000_over_ip6)
{
    stream((struct conditions){.six = true, .mtu = 9000, .mss = 8940, .no_gso = true},
           TCP_STREAM_MAX, 1 << 17);
    CHECK_EQ(peer.largest, 8940 - 12);
    test_pass();
}

/* A large one with the end of the stream is lost, and goes again in pieces: only the last has it.
 */
TEST(tso, the_end_of_the_stream_is_lost)
{
    rig_begin((struct conditions){0});
    size_t before = rig_memory();
    int fd = rig_connect();

    rig_send(fd, 0, TCP_STREAM_MAX / 4, 1 << 17);
    thread_sleep_until(time_now() + NSEC_PER_SEC);
    CHECK_EQ(peer.got, TCP_STREAM_MAX / 4);
    cond.dark = true;
    rig_send(fd, TCP_STREAM_MAX / 4, TCP_STREAM_MAX / 4 + 30000, 1 << 17);
    thread_sleep_until(time_now() + 5 * NSEC_PER_SEC);
    CHECK_EQ(shutdown(fd, SHUT_WR), 0);
    cond.dark = false;
    rig_finish(fd, before, TCP_STREAM_MAX / 4 + 30000);
    test_pass();
}

/* ---- backends ---- */

TEST(tso, a_backend_that_does_not_cut)
{
    stream((struct conditions){.no_gso = true, .loss = 10}, TCP_STREAM_MAX / 2, 1 << 17);
    CHECK_EQ(peer.large, 0);
    test_pass();
}

/* The backend leaves with much in flight and unsent, and another one comes, which cuts if the
 * earlier one did not. The neighbour's address is asked for anew, with segments waiting. */
TEST(tso, backends_that_cut_and_others_in_turn)
{
    rig_begin((struct conditions){.window = 300000, .loss = 5});
    size_t before = rig_memory();
    int fd = rig_connect();
    uint32_t part = TCP_STREAM_MAX / 8;

    for (uint32_t i = 0; i < 8; i++) {
        bool cuts = i % 2 == 1;
        unsigned large = peer.large;

        rig_send(fd, i * part, (i + 1) * part, 1 << 17);
        CHECK_EQ(peer.large > large, !cuts);
        fake_dev_set_state(&vif.dev, XenbusStateClosed);
        fakexen_settle();
        rig_gso(cuts);
        vif.hold_tx = false;
        fake_dev_set_state(&vif.dev, XenbusStateInitWait);
        thread_sleep_until(time_now() + NSEC_PER_SEC);
    }
    rig_finish(fd, before, 8 * part);
    test_pass();
}

/* ---- memory ---- */

/* An eighth of a MiB may be queued. */
TEST_RAM(tso, in_a_small_domain, 8 * 256)
{
    stream((struct conditions){.loss = 5}, TCP_STREAM_MAX / 2, 1 << 17);
    CHECK(peer.large > 0);
    CHECK(peer.largest < 30000);
    test_pass();
}

/* Others take the memory again and again, down to less than a large segment, or to nothing. */
TEST(tso, memory_comes_and_goes)
{
    rig_begin((struct conditions){.loss = 5});
    size_t before = rig_memory();
    int fd = rig_connect();
    struct budget_stats stats;

    for (uint32_t i = 0; i < 64; i++) {
        static uint8_t block[TCP_STREAM_MAX / 64];
        uint32_t at = 0, from = i * sizeof(block);

        for (uint32_t k = 0; k < sizeof(block); k++)
            block[k] = rig_pattern(from + k);
        while (at < sizeof(block)) {
            budget_get_stats(&stats);
            size_t taken = stats.limit - stats.used - test_random_below(90000);
            CHECK(budget_charge(taken));
            ssize_t n = send(fd, block + at, sizeof(block) - at, MSG_DONTWAIT);
            budget_release(taken);
            at += n > 0 ? (uint32_t)n : 0;
            thread_sleep_until(time_now() + 5 * NSEC_PER_MSEC);
        }
    }
    rig_finish(fd, before, TCP_STREAM_MAX);
    test_pass();
}
