/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Large TCP segments from a socket through lwIP, the interface and netfront to a backend in memory,
 * which cuts them, and a peer on the wire behind it that loses frames, has small segments, small
 * windows, or none for a while. Whatever happens, the stream arrives byte for byte, no frame on the
 * wire is larger than the peer or the mtu allows, nothing is sent beyond the window, and memory
 * comes back.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include "kernel/thread.h"
#include "kernel/time.h"
#include "lib/net/budget.h"
#include "lib/net/net.h"
#include "lib/net/sock.h"
#include "lib/posix/fd.h"
#include "tests/host/fakeback.h"
#include "tests/host/hostarch.h"
#include "tests/host/packet.h"
#include "tests/host/test.h"

FAKEXEN_BOOT(tso)

#define STREAM_MAX (4 << 20)
#define LINGER (400 * NSEC_PER_SEC) /* longer than TIME_WAIT and all retransmissions */
#define QUEUE 1024
#define FIN 1
#define SYN 2
#define PSH 8
#define ACK 16

/* ---- bytes ---- */

/* What the stream has at (offset). */
static uint8_t pattern(uint32_t offset)
{
    return (uint8_t)(offset * 2654435761U >> 24);
}

/* ---- the peer ---- */

static const uint8_t peer_mac[6] = {2, 0, 0, 0, 0, 1},
                     guest_mac[6] = {0, 0x16, 0x3e, 0x12, 0x34, 0x56};
static const uint8_t peer_ip4[4] = {10, 8, 0, 1}, guest_ip4[4] = {10, 8, 0, 10};
static const uint8_t peer_ip6[16] = {0xfd, [15] = 1}, guest_ip6[16] = {0xfd, [15] = 16};

/* How the peer and the way to it are; 0 is what is usual. */
struct conditions {
    bool six;
    unsigned mss, mtu;
    uint32_t window;
    bool no_timestamps;
    unsigned loss;        /* frames of 1000, either way */
    unsigned close_every; /* the window closes for half a second after so many bytes; 0: never */
    bool dark;            /* all is lost, as long as this is set */
    bool no_gso;          /* the backend does not cut */
};

static struct conditions cond;
static struct fake_net net;
static uint8_t queue[QUEUE][128]; /* frames that wait for the guest's pages */
static unsigned queue_len[QUEUE], queue_in, queue_out;
static bool have[STREAM_MAX];
static struct {
    bool open, closing;
    uint16_t port;
    uint32_t irs, iss;
    uint32_t got;  /* bytes of the stream in order */
    uint32_t edge; /* the largest offset it allowed so far */
    uint32_t end;  /* where the guest said that the stream ends */
    uint32_t stamp;
    bool shut; /* its window is closed */
    nsec_t until;
    uint32_t next_close;
    unsigned large, pieces; /* frames that were to be cut, frames on the wire */
    uint32_t largest;
} peer;

static bool lost(void)
{
    return cond.dark || test_random_below(1000) < cond.loss;
}

static void to_guest(const uint8_t *frame, unsigned len)
{
    CHECK(len <= 128);
    if (queue_in - queue_out == QUEUE)
        return; /* lost */
    memcpy(queue[queue_in % QUEUE], frame, len);
    queue_len[queue_in++ % QUEUE] = len;
}

/* Give the guest what waits for it. */
static bool deliver(void *unused)
{
    bool some = false;

    (void)unused;
    while (queue_in != queue_out && net.rx.page != NULL &&
           fake_net_deliver(&net, queue[queue_out % QUEUE], queue_len[queue_out % QUEUE], 4096, 0,
                            NETRXF_data_validated)) {
        queue_out++;
        some = true;
    }
    return some;
}

static unsigned put_header(uint8_t *f, unsigned type, unsigned protocol, unsigned payload)
{
    memcpy(f, guest_mac, 6);
    memcpy(f + 6, peer_mac, 6);
    put(f + 12, 2, type);
    if (type == 0x86dd) {
        memcpy(f + 14,
               (uint8_t[8]){0x60, 0, 0, 0, (uint8_t)(payload >> 8), (uint8_t)payload,
                            (uint8_t)protocol, 255},
               8);
        memcpy(f + 22, peer_ip6, 16);
        memcpy(f + 38, guest_ip6, 16);
        return 54;
    }
    memset(f + 14, 0, 20);
    f[14] = 0x45;
    put(f + 16, 2, 20 + payload);
    f[22] = 64;
    f[23] = (uint8_t)protocol;
    memcpy(f + 26, peer_ip4, 4);
    memcpy(f + 30, guest_ip4, 4);
    put(f + 24, 2, ~sum_of(f + 14, 20, 0));
    return 34;
}

static uint32_t window_now(void)
{
    return peer.shut ? 0 : cond.window;
}

static void answer(unsigned flags)
{
    uint8_t f[128] = {0}, *tcp, *option;
    unsigned options = (flags & SYN ? 8 : 0) + (!cond.no_timestamps ? 12 : 0);
    unsigned at = put_header(f, cond.six ? 0x86dd : 0x0800, 6, 20 + options);
    uint32_t window = window_now(), syn = flags & SYN ? 0 : 1;
    bool fin = peer.closing;

    tcp = f + at;
    option = tcp + 20;
    put(tcp, 2, 80);
    put(tcp + 2, 2, peer.port);
    put(tcp + 4, 4, peer.iss + syn);
    put(tcp + 8, 4, peer.irs + 1 + peer.got + fin);
    tcp[12] = (uint8_t)((20 + options) / 4 << 4);
    tcp[13] = (uint8_t)flags;
    put(tcp + 14, 2, flags & SYN ? MIN(window, 65535U) : window >> 4);
    if (flags & SYN) {
        put(option, 4, 0x02040000 | cond.mss);
        put(option + 4, 4, 0x01030304); /* windows count 16 bytes */
        option += 8;
    }
    if (!cond.no_timestamps) {
        put(option, 4, 0x0101080a);
        put(option + 8, 4, peer.stamp);
    }
    if (peer.edge < peer.got + window)
        peer.edge = peer.got + window;
    if (!lost())
        to_guest(f, at + 20 + options);
}

static void open_window(void *unused)
{
    (void)unused;
    peer.shut = false;
    answer(ACK);
}

/* (n) bytes at (offset). */
static void take(uint32_t offset, const uint8_t *data, unsigned n)
{
    CHECK(offset + n <= STREAM_MAX);
    CHECK(offset + n <= MAX(peer.edge, 1U) + 1); /* but for what probes a closed window */
    for (unsigned i = 0; i < n; i++) {
        CHECK_EQ(data[i], pattern(offset + i));
        have[offset + i] = true;
    }
    while (peer.got < STREAM_MAX && have[peer.got] && peer.got < peer.edge)
        peer.got++;
    if (cond.close_every != 0 && peer.got >= peer.next_close) {
        peer.next_close = peer.got + cond.close_every;
        peer.shut = true;
        host_at(host_clock + 500 * NSEC_PER_MSEC, open_window, NULL);
    }
}

/* One segment on the wire: (tcp) is its header, of the whole; its data begins (skip) further on. */
static void on_segment(const uint8_t *tcp, uint32_t skip, const uint8_t *data, unsigned n,
                       unsigned flags)
{
    unsigned options = (tcp[12] >> 4) * 4U - 20;
    uint32_t seq = get(tcp + 4, 4) + skip;

    peer.pieces++;
    if (lost())
        return;
    if (options == 12 || (flags & SYN && !cond.no_timestamps))
        peer.stamp = get(tcp + 20 + (flags & SYN ? options - 16 : 0) + 4, 4);
    if (flags & SYN) {
        peer.open = true;
        peer.port = (uint16_t)get(tcp, 2);
        peer.irs = seq;
        answer(SYN | ACK);
        return;
    }
    CHECK(n <= cond.mss - options);
    if (n > 0)
        take(seq - peer.irs - 1, data, n);
    if (flags & FIN) {
        CHECK(peer.end == 0 || peer.end == seq + n - peer.irs - 1);
        peer.end = seq + n - peer.irs - 1;
    }
    if (flags & FIN && peer.end == peer.got)
        peer.closing = true;
    if (n > 0 || flags & FIN)
        answer(ACK | (peer.closing ? FIN : 0));
}

/* As Linux cuts. */
static void on_tcp(const struct fake_frame *f, unsigned at)
{
    const uint8_t *tcp = f->data + at;
    unsigned headers = at + (tcp[12] >> 4) * 4U, total = f->len - headers;
    unsigned size = f->gso_size == 0 ? MAX(total, 1) : f->gso_size, flags = tcp[13], i = 0;

    CHECK_EQ(get(tcp + 16, 2), cond.six ? sum_of(f->data + 22, 32, 6 + f->len - at)
                                        : sum_of(f->data + 26, 8, 6 + f->len - at));
    CHECK(headers + MIN(size, total) <= 14 + cond.mtu);
    peer.large += f->gso_size != 0;
    peer.largest = MAX(peer.largest, total);
    do {
        bool last = i + size >= total;
        on_segment(tcp, i, f->data + headers + i, MIN(size, total - i),
                   last ? flags : flags & ~(unsigned)(FIN | PSH));
        i += size;
    } while (i < total);
}

static void on_arp(const uint8_t *f)
{
    uint8_t reply[42];

    if (memcmp(f + 38, peer_ip4, 4) != 0)
        return;
    memcpy(reply, f, 42);
    memcpy(reply, guest_mac, 6);
    memcpy(reply + 6, peer_mac, 6);
    reply[21] = 2;
    memcpy(reply + 22, peer_mac, 6);
    memcpy(reply + 28, peer_ip4, 4);
    memcpy(reply + 32, guest_mac, 6);
    memcpy(reply + 38, guest_ip4, 4);
    to_guest(reply, 42);
}

static void on_neighbour(const uint8_t *f)
{
    uint8_t reply[86] = {0};

    if (f[54] != 135 || memcmp(f + 62, peer_ip6, 16) != 0)
        return;
    put_header(reply, 0x86dd, 58, 32);
    reply[54] = 136;
    reply[58] = 0x60; /* solicited, override */
    memcpy(reply + 62, peer_ip6, 16);
    reply[78] = 2;
    reply[79] = 1;
    memcpy(reply + 80, peer_mac, 6);
    put(reply + 56, 2, ~sum_of(reply + 54, 32, sum_of(reply + 22, 32, 58 + 32)));
    to_guest(reply, 86);
}

static void on_frame(struct fake_net *n)
{
    const struct fake_frame *f = &n->last;
    unsigned type = get(f->data + 12, 2);

    if (type == 0x0806)
        on_arp(f->data);
    else if (type == 0x0800 && f->data[23] == 6)
        on_tcp(f, 34);
    else if (type == 0x86dd && f->data[20] == 6)
        on_tcp(f, 54);
    else if (type == 0x86dd && f->data[20] == 58)
        on_neighbour(f->data);
}

/* ---- frame of the tests ---- */

static size_t used(void)
{
    struct budget_stats stats;

    budget_get_stats(&stats);
    return stats.used;
}

static void gso(bool on)
{
    fake_dev_set_back(&net.dev, "feature-gso-tcpv4", on ? "1" : "0");
    fake_dev_set_back(&net.dev, "feature-gso-tcpv6", on ? "1" : "0");
}

static void begin(struct conditions c)
{
    char mtu[8];

    cond = c;
    cond.mss = c.mss == 0 ? 1460 : c.mss;
    cond.mtu = c.mtu == 0 ? 1500 : c.mtu;
    cond.window = c.window == 0 ? 1000000 : c.window;
    memset(&peer, 0, sizeof(peer));
    memset(have, 0, sizeof(have));
    peer.iss = 0xfffffff0;
    peer.next_close = c.close_every;
    fake_net_create(&net, "0");
    fake_dev_set_back(&net.dev, "feature-ipv6-csum-offload", "1");
    fake_dev_set_back(&net.dev, "ip", "10.8.0.10/24 fd00::10/64");
    snprintf(mtu, sizeof(mtu), "%u", cond.mtu);
    fake_dev_set_front(&net.dev, "mtu", mtu);
    net.on_frame = on_frame;
    host_on_idle(deliver, NULL);
    gso(!c.no_gso);
    CHECK_EQ(net_start(), 0);
    thread_sleep_until(time_now() + LINGER); /* what addresses cost at the start is over */
}

static int connect_to_peer(void)
{
    struct sockaddr_in a4 = {.sin_family = AF_INET, .sin_port = htons(80)};
    struct sockaddr_in6 a6 = {.sin6_family = AF_INET6, .sin6_port = htons(80)};
    int fd = socket(cond.six ? AF_INET6 : AF_INET, SOCK_STREAM, 0);

    memcpy(&a4.sin_addr, peer_ip4, 4);
    memcpy(&a6.sin6_addr, peer_ip6, 16);
    CHECK_EQ(connect(fd, cond.six ? (void *)&a6 : (void *)&a4, cond.six ? sizeof(a6) : sizeof(a4)),
             0);
    return fd;
}

/* The stream from (from) to (to), in calls of at most (most) bytes. */
static void send_stream(int fd, uint32_t from, uint32_t to, uint32_t most)
{
    static uint8_t block[1 << 17];

    for (uint32_t n; from < to; from += n) {
        n = 1 + (uint32_t)test_random_below(most);
        n = MIN(n, to - from);
        for (uint32_t i = 0; i < n; i++)
            block[i] = pattern(from + i);
        CHECK_EQ(send(fd, block, n, 0), n);
    }
}

static void finish(int fd, size_t before, uint32_t total)
{
    CHECK_EQ(fd_close(fd), 0);
    thread_sleep_until(time_now() + LINGER);
    CHECK_EQ(peer.got, total);
    CHECK(peer.closing);
    CHECK_EQ(peer.end, total);
    CHECK_EQ(sock_count(), 0);
    CHECK_EQ(used(), before);
}

static void stream(struct conditions c, uint32_t total, uint32_t most)
{
    begin(c);
    size_t before = used();
    int fd = connect_to_peer();
    send_stream(fd, 0, total, most);
    finish(fd, before, total);
}

TEST(tso, a_stream_leaves_in_large_segments)
{
    stream((struct conditions){0}, STREAM_MAX, 1 << 17);
    CHECK(peer.large > 50);
    CHECK(peer.large < 200);
    CHECK(peer.largest > 40000);
    test_pass();
}

TEST(tso, over_ip6_too)
{
    stream((struct conditions){.six = true}, STREAM_MAX, 1 << 17);
    CHECK(peer.large < 200);
    CHECK(peer.largest > 40000);
    test_pass();
}

TEST(tso, without_timestamps)
{
    stream((struct conditions){.no_timestamps = true}, STREAM_MAX, 1 << 17);
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
    stream((struct conditions){.mss = 536}, STREAM_MAX / 2, 1 << 17);
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
    stream((struct conditions){.mtu = 600}, STREAM_MAX / 2, 1 << 17);
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
    stream((struct conditions){.window = 200000, .close_every = 150000}, STREAM_MAX / 2, 1 << 17);
    test_pass();
}

TEST(tso, loss_of_a_percent)
{
    stream((struct conditions){.loss = 10}, STREAM_MAX, 1 << 17);
    CHECK(peer.large > 10);
    test_pass();
}

TEST(tso, loss_of_a_tenth)
{
    stream((struct conditions){.loss = 100}, STREAM_MAX / 4, 1 << 17);
    test_pass();
}

TEST(tso, loss_with_small_segments_and_windows_over_ip6)
{
    stream(
        (struct conditions){
            .six = true, .mss = 536, .window = 20000, .loss = 30, .close_every = 70000},
        STREAM_MAX / 8, 1 << 17);
    test_pass();
}

/* Each frame takes as much as one of 9000 can: of IPv6 20 bytes less. */
TEST(tso, an_mtu_of_9000)
{
    stream((struct conditions){.mtu = 9000, .mss = 8960, .loss = 5}, STREAM_MAX, 1 << 17);
    CHECK(peer.largest > 40000);
    CHECK(peer.pieces < STREAM_MAX / 8948 + 150);
    test_pass();
}

TEST(tso, an_mtu_of_9000_and_a_backend_that_does_not_cut)
{
    stream((struct conditions){.mtu = 9000, .mss = 8960, .no_gso = true}, STREAM_MAX, 1 << 17);
    CHECK_EQ(peer.largest, 8960 - 12);
    test_pass();
}

TEST(tso, an_mtu_of_9000_over_ip6)
{
    stream((struct conditions){.six = true, .mtu = 9000, .mss = 8940, .no_gso = true}, STREAM_MAX,
           1 << 17);
    CHECK_EQ(peer.largest, 8940 - 12);
    test_pass();
}

/* A large one with the end of the stream is lost, and goes again in pieces: only the last has it.
 */
TEST(tso, the_end_of_the_stream_is_lost)
{
    begin((struct conditions){0});
    size_t before = used();
    int fd = connect_to_peer();

    send_stream(fd, 0, STREAM_MAX / 4, 1 << 17);
    thread_sleep_until(time_now() + NSEC_PER_SEC);
    CHECK_EQ(peer.got, STREAM_MAX / 4);
    cond.dark = true;
    send_stream(fd, STREAM_MAX / 4, STREAM_MAX / 4 + 30000, 1 << 17);
    thread_sleep_until(time_now() + 5 * NSEC_PER_SEC);
    CHECK_EQ(shutdown(fd, SHUT_WR), 0);
    cond.dark = false;
    finish(fd, before, STREAM_MAX / 4 + 30000);
    test_pass();
}

/* ---- backends ---- */

TEST(tso, a_backend_that_does_not_cut)
{
    stream((struct conditions){.no_gso = true, .loss = 10}, STREAM_MAX / 2, 1 << 17);
    CHECK_EQ(peer.large, 0);
    test_pass();
}

/* The backend leaves with much in flight and unsent, and another one comes, which cuts if the
 * earlier one did not. The neighbour's address is asked for anew, with segments waiting. */
TEST(tso, backends_that_cut_and_others_in_turn)
{
    begin((struct conditions){.window = 300000, .loss = 5});
    size_t before = used();
    int fd = connect_to_peer();
    uint32_t part = STREAM_MAX / 8;

    for (uint32_t i = 0; i < 8; i++) {
        bool cuts = i % 2 == 1;
        unsigned large = peer.large;

        send_stream(fd, i * part, (i + 1) * part, 1 << 17);
        CHECK_EQ(peer.large > large, !cuts);
        fake_dev_set_state(&net.dev, XenbusStateClosed);
        fakexen_settle();
        gso(cuts);
        net.hold_tx = false;
        fake_dev_set_state(&net.dev, XenbusStateInitWait);
        thread_sleep_until(time_now() + NSEC_PER_SEC);
    }
    finish(fd, before, 8 * part);
    test_pass();
}

/* ---- memory ---- */

/* An eighth of a MiB may be queued. */
TEST_RAM(tso, in_a_small_domain, 8 * 256)
{
    stream((struct conditions){.loss = 5}, STREAM_MAX / 2, 1 << 17);
    CHECK(peer.large > 0);
    CHECK(peer.largest < 30000);
    test_pass();
}

/* Others take the memory again and again, down to less than a large segment, or to nothing. */
TEST(tso, memory_comes_and_goes)
{
    begin((struct conditions){.loss = 5});
    size_t before = used();
    int fd = connect_to_peer();
    struct budget_stats stats;

    for (uint32_t i = 0; i < 64; i++) {
        static uint8_t block[STREAM_MAX / 64];
        uint32_t at = 0, from = i * sizeof(block);

        for (uint32_t k = 0; k < sizeof(block); k++)
            block[k] = pattern(from + k);
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
    finish(fd, before, STREAM_MAX);
    test_pass();
}
