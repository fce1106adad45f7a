/* SPDX-License-Identifier: BSD-2-Clause */
/* The peer and the wire of tcprig.h. */
#include "tests/host/tcprig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "kernel/thread.h"
#include "lib/net/budget.h"
#include "lib/net/net.h"
#include "lib/net/sock.h"
#include "lib/posix/fd.h"
#include "tests/host/hostarch.h"
#include "tests/host/packet.h"
#include "tests/host/test.h"

#define QUEUE 1024
#define TIMEOUT (300 * NSEC_PER_MSEC) /* of the peer's segments */
#define FRAME_MAX 65535
#define FIN 1
#define SYN 2
#define PSH 8
#define ACK 16

/* ---- bytes ---- */

/* Of the guest's stream, and the peer's. */
uint8_t rig_pattern(uint32_t offset)
{
    return (uint8_t)(offset * 2654435761U >> 24);
}

static uint8_t peer_pattern(uint32_t offset)
{
    return (uint8_t)~rig_pattern(offset);
}

/* ---- the wire ---- */

static const uint8_t peer_mac[6] = {2, 0, 0, 0, 0, 1};
static const uint8_t peer_ip4[4] = {10, 8, 0, 1}, guest_ip4[4] = {10, 8, 0, 10};
static const uint8_t peer_ip6[16] = {0xfd, [15] = 1}, guest_ip6[16] = {0xfd, [15] = 16};
static uint8_t vif_mac[6], guest_mac[6]; /* the vif's, and what the peer believes it is */

struct conditions cond;
struct fake_net vif;
struct tcp_peer peer;
static bool have[TCP_STREAM_MAX];

/* Frames that wait for the guest's pages, each in pieces of (piece) at (offset) in them. */
static struct frame {
    uint8_t *data;
    unsigned len, piece, offset, flags;
    unsigned cut; /* what it would be cut into: larger than the mtu; 0: it is not */
} queue[QUEUE];
static unsigned queue_in, queue_out;

unsigned rig_waiting(void)
{
    return queue_in - queue_out;
}

static bool lost(void)
{
    return cond.dark || test_random_below(1000) < cond.loss;
}

/* (frame.data) is the queue's from now on. */
static void to_guest(struct frame frame)
{
    if (rig_waiting() == QUEUE)
        free(frame.data); /* lost */
    else
        queue[queue_in++ % QUEUE] = frame;
}

static void copy_to_guest(const uint8_t *data, unsigned len)
{
    struct frame f = {malloc(len), len, 4096, 0, NETRXF_data_validated, 0};

    memcpy(f.data, data, len);
    to_guest(f);
}

static bool deliver_frame(const struct frame *f)
{
    if (memcmp(f->data, vif_mac, 6) != 0)
        return true; /* nobody has this address */
    if (f->cut == 0)
        return fake_net_deliver(&vif, f->data, f->len, f->piece, f->offset, f->flags);
    return fake_net_deliver_large(&vif, f->data, f->len, f->piece, f->offset, f->flags, f->cut,
                                  cond.six ? XEN_NETIF_GSO_TYPE_TCPV6 : XEN_NETIF_GSO_TYPE_TCPV4);
}

/* Give the guest what waits for it; while there is no vif, it is lost. */
static bool deliver(void *unused)
{
    bool some = false;

    (void)unused;
    while (queue_in != queue_out && !cond.in_held &&
           (vif.rx.page == NULL || deliver_frame(&queue[queue_out % QUEUE]))) {
        free(queue[queue_out++ % QUEUE].data);
        some = true;
    }
    return some;
}

/* ---- the peer ---- */

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

static unsigned options_of(unsigned flags)
{
    return (flags & SYN ? 8 : 0) + (!cond.no_timestamps ? 12 : 0);
}

static unsigned ip_end(void)
{
    return cond.six ? 54 : 34;
}

/* What goes into one of its frames on the wire. */
static unsigned piece_len(void)
{
    return MIN(cond.mss, cond.mtu + 14 - ip_end() - 20) - options_of(ACK);
}

/* TCP's header at (tcp), but for the sum. */
static void put_tcp(uint8_t *tcp, unsigned flags, uint32_t offset)
{
    uint32_t window = window_now(), syn = flags & SYN ? 0 : 1;
    uint8_t *option = tcp + 20;
    bool fin = peer.closing;

    put(tcp, 2, 80);
    put(tcp + 2, 2, peer.port);
    put(tcp + 4, 4, peer.iss + syn + offset);
    put(tcp + 8, 4, peer.irs + 1 + peer.got + fin);
    tcp[12] = (uint8_t)((20 + options_of(flags)) / 4 << 4);
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
}

static uint32_t pseudo_sum(const uint8_t *f, unsigned tcp_len)
{
    return cond.six ? sum_of(f + 22, 32, 6 + tcp_len) : sum_of(f + 26, 8, 6 + tcp_len);
}

static enum tcp_sum pick_sum(void)
{
    enum tcp_sum sum;

    do
        sum = (enum tcp_sum)test_random_below(TCP_SUMS);
    while (!(cond.in_sums >> sum & 1));
    return sum;
}

/* TCP's sum in the frame, as the backend says it is. The byte behind the frame is 0. */
static void put_sum(struct frame *f)
{
    static const unsigned flags[TCP_SUMS] = {NETRXF_csum_blank | NETRXF_data_validated,
                                             NETRXF_data_validated, 0};
    unsigned at = ip_end(), n = f->len - at;
    uint32_t pseudo = pseudo_sum(f->data, n), full = ~sum_of(f->data + at, n, pseudo);
    enum tcp_sum sum = pick_sum();

    put(f->data + at + 16, 2, sum == TCP_SUM_BLANK ? pseudo : full);
    f->flags = flags[sum];
    if (sum == TCP_SUM_VALIDATED)
        f->data[at + 16] ^= 0x55;
    if (sum == TCP_SUM_FULL && test_random_below(1000) < cond.in_spoilt) {
        f->data[at + test_random_below(n)] ^= (uint8_t)(1 + test_random_below(255));
        peer.spoilt++;
    }
}

/* Where Linux's backend may put the pieces of a large frame: nearly full pages, 18 at most. */
static void choose_pieces(struct frame *f)
{
    f->piece = 4096 - (f->cut == 0 ? 0 : (unsigned)test_random_below(4096 - 3641));
    f->offset = (unsigned)test_random_below(4096 - f->piece + 1);
}

/* (n) bytes of its stream from (offset) on. */
static void segment(unsigned flags, uint32_t offset, unsigned n)
{
    unsigned at = ip_end(), headers = at + 20 + options_of(flags);
    struct frame f = {.len = headers + n, .cut = n > piece_len() ? piece_len() : 0};

    f.data = calloc(1, f.len + 1);
    put_header(f.data, cond.six ? 0x86dd : 0x0800, 6, f.len - at);
    put_tcp(f.data + at, flags, offset);
    for (unsigned i = 0; i < n; i++)
        f.data[headers + i] = peer_pattern(offset + i);
    put_sum(&f);
    choose_pieces(&f);
    if (lost())
        free(f.data);
    else
        to_guest(f);
}

static void answer(unsigned flags)
{
    segment(flags, peer.sent, 0);
}

static void send_more(unsigned n)
{
    segment(ACK | PSH, peer.sent, n);
    peer.sent += n;
    peer.top = MAX(peer.top, peer.sent);
    peer.in_largest = MAX(peer.in_largest, n);
    peer.in_large += n > piece_len();
}

/* How much its next segment has: one in four is as large as it may be. 0: it waits. */
static unsigned next_len(void)
{
    uint32_t flying = peer.sent - peer.acked, room = peer.room - MIN(peer.room, flying);
    unsigned most = cond.in_largest == 0 ? piece_len() : cond.in_largest, n;

    most = MIN(most, FRAME_MAX - ip_end() - 20 - options_of(ACK));
    n = test_random_below(4) == 0 ? most : 1 + (unsigned)test_random_below(most);
    n = MIN(n, cond.in - peer.sent);
    return n <= room ? n : flying == 0 ? room : 0;
}

static void send_what_may_be(void)
{
    unsigned n;

    while (rig_waiting() < QUEUE / 2 && (n = next_len()) != 0)
        send_more(n);
}

/* All that is not acknowledged goes again; into a closed window, a byte. */
static void send_again(void)
{
    peer.again += peer.sent != peer.acked;
    peer.sent = peer.acked;
    if (peer.room == 0)
        send_more(1);
    send_what_may_be();
}

static void on_timeout(void *unused)
{
    static uint32_t before;

    (void)unused;
    if (peer.open && peer.acked == cond.in)
        return;
    if (peer.open && peer.acked == before)
        send_again();
    before = peer.acked;
    host_at(host_clock + TIMEOUT, on_timeout, NULL);
}

static unsigned scale_of(const uint8_t *tcp)
{
    const uint8_t *end = tcp + (tcp[12] >> 4) * 4, *option = tcp + 20;

    while (option < end && option[0] != 3)
        option += option[0] == 1 ? 1 : option[1];
    return option < end ? option[2] : 0;
}

static void on_ack(const uint8_t *tcp)
{
    uint32_t ack = get(tcp + 8, 4) - peer.iss - 1;

    CHECK(ack <= peer.top + peer.closing);
    ack = MIN(ack, peer.top);
    if (ack < peer.acked)
        return;
    peer.open = true;
    peer.acked = ack;
    peer.sent = MAX(peer.sent, ack);
    peer.room = get(tcp + 14, 2) << peer.scale;
    send_what_may_be();
}

static void on_syn(const uint8_t *tcp, uint32_t seq)
{
    peer.port = (uint16_t)get(tcp, 2);
    peer.irs = seq;
    peer.scale = scale_of(tcp);
    segment(SYN | ACK, 0, 0);
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
    CHECK(offset + n <= TCP_STREAM_MAX);
    CHECK(offset + n <= MAX(peer.edge, 1U) + 1); /* but for what probes a closed window */
    for (unsigned i = 0; i < n; i++) {
        CHECK_EQ(data[i], rig_pattern(offset + i));
        have[offset + i] = true;
    }
    while (peer.got < TCP_STREAM_MAX && have[peer.got] && peer.got < peer.edge)
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
        on_syn(tcp, seq);
        return;
    }
    CHECK(n <= cond.mss - options);
    on_ack(tcp);
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

/* As much as the backend wants, or all of it; and only where it sums is it asked to cut. */
static void check_sum(const struct fake_frame *f, const uint8_t *tcp, unsigned n)
{
    uint32_t pseudo = pseudo_sum(f->data, n), odd = n % 2 == 0 ? 0 : tcp[n - 1] << 8;
    unsigned blank = NETTXF_csum_blank | NETTXF_data_validated;

    if (cond.six ? cond.no_sum6 : cond.no_sum4) {
        CHECK_EQ(f->flags & blank, 0);
        CHECK_EQ(sum_of(tcp, n - n % 2, pseudo + odd), 0xffff);
        CHECK_EQ(f->gso_size, 0);
    } else {
        CHECK_EQ(f->flags & blank, blank);
        CHECK_EQ(get(tcp + 16, 2), pseudo);
    }
}

/* As Linux cuts. */
static void on_tcp(const struct fake_frame *f, unsigned at)
{
    const uint8_t *tcp = f->data + at;
    unsigned headers = at + (tcp[12] >> 4) * 4U, total = f->len - headers;
    unsigned size = f->gso_size == 0 ? MAX(total, 1) : f->gso_size, flags = tcp[13], i = 0;

    check_sum(f, tcp, f->len - at);
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

/* Whoever asks or tells says where the guest is. */
static void on_arp(const uint8_t *f)
{
    uint8_t reply[42];

    if (memcmp(f + 28, guest_ip4, 4) == 0)
        memcpy(guest_mac, f + 22, 6);
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
    copy_to_guest(reply, 42);
}

static void on_solicitation(const uint8_t *f)
{
    uint8_t reply[86] = {0};

    if (memcmp(f + 62, peer_ip6, 16) != 0)
        return;
    if (memcmp(f + 22, guest_ip6, 16) == 0)
        memcpy(guest_mac, f + 80, 6);
    put_header(reply, 0x86dd, 58, 32);
    reply[54] = 136;
    reply[58] = 0x60; /* solicited, override */
    memcpy(reply + 62, peer_ip6, 16);
    reply[78] = 2;
    reply[79] = 1;
    memcpy(reply + 80, peer_mac, 6);
    put(reply + 56, 2, ~sum_of(reply + 54, 32, sum_of(reply + 22, 32, 58 + 32)));
    copy_to_guest(reply, 86);
}

static void on_neighbour(const uint8_t *f)
{
    if (f[54] == 135)
        on_solicitation(f);
    else if (f[54] == 136 && memcmp(f + 62, guest_ip6, 16) == 0)
        memcpy(guest_mac, f + 80, 6);
}

static void on_frame(struct fake_net *n)
{
    const struct fake_frame *f = &n->last;
    unsigned type = get(f->data + 12, 2);

    CHECK_MEM(f->data + 6, vif_mac, 6);
    if (type == 0x0806)
        on_arp(f->data);
    else if (type == 0x0800 && f->data[23] == 6)
        on_tcp(f, 34);
    else if (type == 0x86dd && f->data[20] == 6)
        on_tcp(f, 54);
    else if (type == 0x86dd && f->data[20] == 58)
        on_neighbour(f->data);
    if (f->data[type == 0x86dd ? 20 : 23] != 6)
        CHECK_EQ(f->flags & NETTXF_csum_blank, 0);
}

/* ---- frame of the tests ---- */

size_t rig_memory(void)
{
    struct budget_stats stats;

    budget_get_stats(&stats);
    return stats.used;
}

void rig_gso(bool on)
{
    fake_dev_set_back(&vif.dev, "feature-gso-tcpv4", on ? "1" : "0");
    fake_dev_set_back(&vif.dev, "feature-gso-tcpv6", on ? "1" : "0");
}

void rig_sums(void)
{
    fake_dev_set_back(&vif.dev, "feature-no-csum-offload", cond.no_sum4 ? "1" : "0");
    fake_dev_set_back(&vif.dev, "feature-ipv6-csum-offload", cond.no_sum6 ? "0" : "1");
}

void rig_plug(const char *mac)
{
    char mtu[8];

    for (unsigned i = 0; i < 6; i++)
        vif_mac[i] = (uint8_t)strtoul(mac + 3 * i, NULL, 16);
    fake_net_create(&vif, "0");
    fake_dev_set_front(&vif.dev, "mac", mac);
    rig_sums();
    fake_dev_set_back(&vif.dev, "ip", "10.8.0.10/24 fd00::10/64");
    snprintf(mtu, sizeof(mtu), "%u", cond.mtu);
    fake_dev_set_front(&vif.dev, "mtu", mtu);
    vif.on_frame = on_frame;
    rig_gso(!cond.no_gso);
}

void rig_renew(bool six)
{
    cond.six = six;
    memset(&peer, 0, sizeof(peer));
    memset(have, 0, sizeof(have));
    peer.iss = 0xfffffff0;
    peer.next_close = cond.close_every;
}

void rig_begin(struct conditions c)
{
    cond = c;
    cond.mss = c.mss == 0 ? 1460 : c.mss;
    cond.mtu = c.mtu == 0 ? 1500 : c.mtu;
    cond.window = c.window == 0 ? 1000000 : c.window;
    cond.in_sums = c.in_sums == 0 ? 1 << TCP_SUM_VALIDATED : c.in_sums;
    rig_renew(c.six);
    rig_plug("00:16:3e:12:34:56");
    host_on_idle(deliver, NULL);
    if (cond.in != 0)
        on_timeout(NULL);
    CHECK_EQ(net_start(), 0);
    thread_sleep_until(time_now() + TCP_LINGER); /* what addresses cost at the start is over */
}

int rig_connect(void)
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

static uint8_t block[1 << 17];

/* The next bytes of the guest's stream: as many as the block has, or (most), or are left. */
static uint32_t fill_block(uint32_t from, uint32_t to, uint32_t most)
{
    uint32_t n = 1 + (uint32_t)test_random_below(most);

    n = MIN(n, to - from);
    for (uint32_t i = 0; i < n; i++)
        block[i] = rig_pattern(from + i);
    return n;
}

void rig_send(int fd, uint32_t from, uint32_t to, uint32_t most)
{
    for (uint32_t n; from < to; from += n) {
        n = fill_block(from, to, most);
        CHECK_EQ(send(fd, block, n, 0), n);
    }
}

uint32_t rig_send_some(int fd, uint32_t from, uint32_t to)
{
    ssize_t n = 0;

    for (; from < to && n >= 0; from += n > 0 ? (uint32_t)n : 0)
        n = send(fd, block, fill_block(from, to, sizeof(block)), MSG_DONTWAIT);
    CHECK(n >= 0 || errno == EAGAIN);
    return from;
}

uint32_t rig_receive_some(int fd, uint32_t from, uint32_t to)
{
    ssize_t n = 1;

    while (from < to && n > 0) {
        n = recv(fd, block, MIN(sizeof(block), to - from), MSG_DONTWAIT);
        for (ssize_t i = 0; i < n; i++)
            CHECK_EQ(block[i], peer_pattern(from++));
    }
    CHECK(n > 0 || (n < 0 && errno == EAGAIN));
    return from;
}

void rig_finish(int fd, size_t before, uint32_t total)
{
    CHECK_EQ(fd_close(fd), 0);
    thread_sleep_until(time_now() + TCP_LINGER);
    CHECK_EQ(peer.got, total);
    CHECK_EQ(peer.acked, cond.in);
    CHECK(peer.closing);
    CHECK_EQ(peer.end, total);
    CHECK_EQ(sock_count(), 0);
    CHECK_EQ(rig_memory(), before);
}
