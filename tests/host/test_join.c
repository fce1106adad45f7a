/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * netfront's joining of TCP segments, against the backend in memory. What arrives there is cut
 * again by a cutter that knows nothing of frontends/netfront/segment.c and works the way Linux
 * does; the frames that it makes have to be those that were sent.
 */
#include "frontends/netfront/netfront.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "frontends/common/xenbus.h"
#include "kernel/page.h"
#include "kernel/time.h"
#include "tests/host/fakeback.h"
#include "tests/host/hostarch.h"
#include "tests/host/test.h"

FAKEXEN_BOOT(netfront_join)

#define SENT_MAX 4096
#define FRAME_MAX 9100

struct frame {
    unsigned len;
    enum netfront_csum csum;
    uint8_t data[FRAME_MAX];
};

static struct fake_net net;
static struct netfront *nf;
static struct frame *sent;                    /* in order */
static unsigned nr_sent, nr_cut, nr_requests; /* how many there are, arrived, and came as one */
static bool woken;

/* ---- the flow ---- */

static struct flow {
    bool six;
    unsigned options, mss; /* bytes */
    uint16_t id, port;
    uint32_t seq, ack;
} flow;

static void put(uint8_t *p, unsigned bytes, uint32_t value)
{
    while (bytes-- > 0) {
        p[bytes] = (uint8_t)value;
        value >>= 8;
    }
}

static uint32_t get(const uint8_t *p, unsigned bytes)
{
    uint32_t value = 0;

    while (bytes-- > 0)
        value = value << 8 | *p++;
    return value;
}

static uint32_t sum_of(const uint8_t *p, unsigned bytes, uint32_t sum)
{
    for (unsigned i = 0; i < bytes; i += 2)
        sum += get(p + i, 2);
    while (sum > 0xffff)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

static unsigned ip_len(bool six)
{
    return six ? 40 : 20;
}

/* Lengths and sums of the frame (f), from what else is in it. */
static void finish(uint8_t *f, unsigned len, bool six)
{
    uint8_t *ip = f + 14, *tcp = ip + ip_len(six);
    unsigned tcp_len = len - 14 - ip_len(six);

    if (six) {
        put(ip + 4, 2, tcp_len);
        put(tcp + 16, 2, sum_of(ip + 8, 32, 6 + tcp_len));
    } else {
        put(ip + 2, 2, len - 14);
        put(ip + 10, 2, 0);
        put(ip + 10, 2, ~sum_of(ip, 20, 0));
        put(tcp + 16, 2, sum_of(ip + 12, 8, 6 + tcp_len));
    }
}

/* The next segment of the flow, with (flags), in (out). */
static void segment(struct frame *out, unsigned payload, unsigned flags)
{
    uint8_t *f = out->data, *ip = f + 14, *tcp = ip + ip_len(flow.six);
    unsigned headers = 14 + ip_len(flow.six) + 20 + flow.options;

    memset(f, 0, headers);
    memcpy(f, "\x02\x00\x00\x00\x00\x01\x00\x16\x3e\x12\x34\x56", 12);
    put(f + 12, 2, flow.six ? 0x86dd : 0x0800);
    ip[0] = flow.six ? 0x60 : 0x45;
    if (!flow.six)
        put(ip + 4, 2, flow.id);
    ip[flow.six ? 6 : 9] = 6;
    ip[flow.six ? 7 : 8] = 255;
    memcpy(ip + (flow.six ? 8 : 12), "\x0a\x08\x00\x0a\x0a\x08\x00\x01", 8);
    put(tcp, 2, flow.port);
    put(tcp + 2, 2, 80);
    put(tcp + 4, 4, flow.seq);
    put(tcp + 8, 4, flow.ack);
    tcp[12] = (uint8_t)((20 + flow.options) / 4 << 4);
    tcp[13] = (uint8_t)flags;
    put(tcp + 14, 2, 500);
    memset(tcp + 20, 0x5a, flow.options);
    for (unsigned i = 0; i < payload; i++)
        f[headers + i] = (uint8_t)(flow.seq + i) ^ (uint8_t)((flow.seq + i) >> 8);
    out->len = headers + payload;
    out->csum = NETFRONT_CSUM_BLANK;
    finish(f, out->len, flow.six);
    flow.seq += payload;
    flow.id++;
}

/* ---- what arrives ---- */

/* The frame is the next of those that were sent. */
static void arrived(const uint8_t *f, unsigned len)
{
    CHECK(nr_cut < nr_sent);
    CHECK_EQ(len, sent[nr_cut].len);
    CHECK_MEM(f, sent[nr_cut].data, len);
    nr_cut++;
}

/* As Linux does. */
static void cut(const uint8_t *f, unsigned len, unsigned size, bool six)
{
    static uint8_t piece[FRAME_MAX];
    unsigned tcp = 14 + ip_len(six), headers = tcp + (f[tcp + 12] >> 4) * 4U;

    CHECK_EQ(get(f + tcp + 16, 2),
             six ? sum_of(f + 22, 32, 6 + len - tcp) : sum_of(f + 26, 8, 6 + len - tcp));
    CHECK(six || sum_of(f + 14, 20, 0) == 0xffff);
    CHECK_EQ(six ? get(f + 18, 2) + 40 : get(f + 16, 2), len - 14);
    for (unsigned at = 0; headers + at < len; at += size) {
        unsigned n = MIN(size, len - headers - at);

        memcpy(piece, f, headers);
        memcpy(piece + headers, f + headers + at, n);
        put(piece + tcp + 4, 4, get(f + tcp + 4, 4) + at);
        if (!six)
            put(piece + 18, 2, get(f + 18, 2) + at / size);
        if (headers + at + n < len)
            piece[tcp + 13] &= (uint8_t)~9; /* FIN, PSH */
        finish(piece, headers + n, six);
        arrived(piece, headers + n);
    }
}

static void on_frame(struct fake_net *n)
{
    const struct fake_frame *f = &n->last;

    nr_requests++;
    if (f->gso_size == 0)
        arrived(f->data, f->len);
    else
        cut(f->data, f->len, f->gso_size, f->gso_type == XEN_NETIF_GSO_TYPE_TCPV6);
}

/* ---- frame of the tests ---- */

static void input(void *arg, struct netfront_frame *frame)
{
    (void)arg;
    (void)frame;
}

static void wake(void *arg)
{
    (void)arg;
    woken = true;
}

static const struct netfront_user user = {.input = input, .wake = wake};

static void run(void)
{
    fakexen_settle();
    while (woken) {
        woken = false;
        while (netfront_poll(nf, 16))
            ;
        fakexen_settle();
    }
}

static void begin_with(const char *gso4, const char *gso6, const char *sg)
{
    fake_net_create(&net, "0");
    fake_dev_set_back(&net.dev, "feature-sg", sg);
    fake_dev_set_back(&net.dev, "feature-gso-tcpv4", gso4);
    fake_dev_set_back(&net.dev, "feature-gso-tcpv6", gso6);
    fake_dev_set_back(&net.dev, "feature-ipv6-csum-offload", "1");
    net.on_frame = on_frame;
    nf = NULL;
    CHECK_EQ(netfront_create("0", &user, &nf), 0);
    CHECK_EQ(netfront_open(nf), 0);
    run();
    sent = malloc(SENT_MAX * sizeof(*sent));
    nr_sent = nr_cut = nr_requests = 0;
    flow = (struct flow){.options = 12, .mss = 1448, .id = 65530, .port = 4711, .seq = 0xfffff000};
}

static void begin(void)
{
    begin_with("1", "1", "1");
}

static void end(void)
{
    netfront_destroy(nf);
    fake_net_destroy(&net);
    fakexen_store_rm(FAKE_HOME "/error");
    fakexen_settle();
    host_advance(10 * NSEC_PER_SEC);
    free(sent);
}

/* Send the frame that was made last; in pieces, since it may lie anywhere behind its headers. */
static int try_send(struct frame *f)
{
    unsigned some = 120 + (unsigned)test_random_below(200), first = MIN(f->len, some);
    unsigned second = (unsigned)test_random_below(f->len - first + 1);
    struct netfront_frag frags[3] = {
        {f->data, (uint16_t)first, NULL},
        {f->data + first, (uint16_t)second, NULL},
        {f->data + first + second, (uint16_t)(f->len - first - second), NULL},
    };

    return netfront_send(nf, frags, 3, f->csum);
}

static void send_last(void)
{
    CHECK_EQ(try_send(&sent[nr_sent]), 0);
    nr_sent++;
    CHECK(nr_sent < SENT_MAX);
}

static void send_segment(unsigned payload, unsigned flags)
{
    segment(&sent[nr_sent], payload, flags);
    send_last();
}

#define ACK 0x10
#define PSH_ACK 0x18

/* (n) full segments and (rest) bytes, as lwIP would. */
static void send_burst(unsigned n, unsigned rest)
{
    for (unsigned i = 0; i < n; i++)
        send_segment(flow.mss, i + 1 == n && rest == 0 ? PSH_ACK : ACK);
    if (rest > 0)
        send_segment(rest, PSH_ACK);
}

static void settle(void)
{
    netfront_kick(nf);
    run();
    CHECK_EQ(nr_cut, nr_sent);
}

static struct netfront_info info(void)
{
    struct netfront_info i;

    netfront_get_info(nf, &i);
    return i;
}

/* ---- joining ---- */

TEST(netfront_join, a_burst_becomes_one_frame)
{
    begin();
    send_burst(40, 1000);
    CHECK_EQ(nr_requests, 0); /* until the burst ends */
    settle();
    CHECK_EQ(nr_requests, 1);
    CHECK_EQ(net.last.gso_size, 1448);
    CHECK_EQ(net.last.gso_type, XEN_NETIF_GSO_TYPE_TCPV4);
    CHECK_EQ(net.last.len, 66 + 40 * 1448 + 1000);
    CHECK_EQ(net.last.nr_slots, 15);
    CHECK_EQ(info().tx_frames, 41);
    CHECK_EQ(info().tx_joined, 40);
    CHECK_EQ(info().tx_bytes, 41 * 66 + 40 * 1448 + 1000);
    end();
}

TEST(netfront_join, a_burst_of_ip6_too)
{
    begin();
    flow.six = true;
    flow.mss = 1428;
    send_burst(30, 7);
    settle();
    CHECK_EQ(nr_requests, 1);
    CHECK_EQ(net.last.gso_type, XEN_NETIF_GSO_TYPE_TCPV6);
    end();
}

TEST(netfront_join, what_is_too_long_becomes_several)
{
    begin();
    send_burst(150, 1);
    settle();
    CHECK_EQ(nr_requests, 4); /* 45 segments are 65226 bytes */
    end();
}

TEST(netfront_join, segments_of_any_size_and_number)
{
    begin();
    for (unsigned round = 0; round < 300; round++) {
        flow.six = test_random_below(2);
        flow.options = 4 * (unsigned)test_random_below(11);
        flow.mss = 1 + (unsigned)test_random_below(round % 7 ? 1448 : 8900);
        send_burst((unsigned)test_random_below(MIN(50u, 200000 / flow.mss)),
                   (unsigned)test_random_below(flow.mss));
        settle();
        if (nr_sent > SENT_MAX - 100)
            nr_sent = nr_cut = 0;
    }
    CHECK(info().tx_joined > 3000);
    end();
}

TEST(netfront_join, one_segment_alone_is_not_changed)
{
    begin();
    send_burst(1, 0);
    CHECK_EQ(net.tx.page->req_prod - net.tx.req_cons, 1); /* PSH: nothing to wait for */
    settle();
    send_segment(1448, ACK);
    settle();
    CHECK_EQ(nr_requests, 2);
    CHECK_EQ(net.last.gso_size, 0);
    CHECK_EQ(net.last.flags, NETTXF_csum_blank | NETTXF_data_validated);
    end();
}

/* ---- not joining ---- */

/* Three segments; (change) is made to the second or to what follows it: so many requests. */
static void with_change(void (*change)(uint8_t *f, struct frame *frame), unsigned requests)
{
    for (unsigned six = 0; six < 2; six++) {
        begin();
        flow.six = six;
        send_segment(1000, ACK);
        segment(&sent[nr_sent], 1000, ACK);
        change(sent[nr_sent].data + 14 + ip_len(six), &sent[nr_sent]);
        send_last();
        send_segment(1000, ACK);
        settle();
        CHECK_EQ(nr_requests, requests);
        end();
    }
}

static void sum_again(struct frame *f)
{
    finish(f->data, f->len, flow.six);
}

static void change_port(uint8_t *tcp, struct frame *f)
{
    tcp[1]++;
    sum_again(f);
}

static void change_ack(uint8_t *tcp, struct frame *f)
{
    tcp[11]++;
    sum_again(f);
}

static void change_window(uint8_t *tcp, struct frame *f)
{
    tcp[15]++;
    sum_again(f);
}

static void change_option(uint8_t *tcp, struct frame *f)
{
    tcp[31]++;
    sum_again(f);
}

static void change_sequence(uint8_t *tcp, struct frame *f)
{
    tcp[7]++;
    sum_again(f);
}

static void change_address(uint8_t *tcp, struct frame *f)
{
    tcp[-1]++;
    sum_again(f);
}

static void change_mac(uint8_t *tcp, struct frame *f)
{
    (void)tcp;
    f->data[5]++;
}

static void change_ttl(uint8_t *tcp, struct frame *f)
{
    (void)tcp;
    f->data[14 + (flow.six ? 7 : 8)]--;
    sum_again(f);
}

static void change_sum(uint8_t *tcp, struct frame *f)
{
    (void)f;
    tcp[17]++;
}

static void set_fin(uint8_t *tcp, struct frame *f)
{
    (void)f;
    tcp[13] |= 1;
}

static void set_urgent(uint8_t *tcp, struct frame *f)
{
    (void)f;
    tcp[13] |= 0x20;
}

static void has_its_sum(uint8_t *tcp, struct frame *f)
{
    (void)tcp;
    f->csum = NETFRONT_CSUM_NONE;
}

static void set_push(uint8_t *tcp, struct frame *f)
{
    (void)f;
    tcp[13] |= 8;
}

static void nothing(uint8_t *tcp, struct frame *f)
{
    (void)tcp;
    (void)f;
}

TEST(netfront_join, only_what_follows_exactly)
{
    static void (*const changes[])(uint8_t *, struct frame *) = {
        change_port, change_ack, change_window, change_option, change_sequence, change_address,
        change_mac,  change_ttl, change_sum,    set_fin,       set_urgent,      has_its_sum,
    };

    with_change(nothing, 1);
    with_change(set_push, 2); /* it ends the frame that it is joined to */
    for (unsigned i = 0; i < ARRAY_SIZE(changes); i++)
        with_change(changes[i], 3);
}

TEST(netfront_join, only_with_the_next_identification)
{
    begin();
    send_segment(1000, ACK);
    flow.id++;
    send_segment(1000, ACK);
    settle();
    CHECK_EQ(nr_requests, 2);
    end();
}

TEST(netfront_join, not_after_a_shorter_one_and_not_a_longer_one)
{
    begin();
    send_segment(1000, ACK);
    send_segment(999, ACK);
    send_segment(999, ACK);
    send_segment(1000, ACK);
    settle();
    CHECK_EQ(nr_requests, 3);
    end();
}

TEST(netfront_join, not_what_is_fragmented_or_padded_or_has_options_of_ip)
{
    begin();
    for (unsigned i = 0; i < 4; i++) {
        segment(&sent[nr_sent], 300, ACK);
        sent[nr_sent].data[20] = 0x20; /* more fragments */
        sum_again(&sent[nr_sent]);
        send_last();
        segment(&sent[nr_sent], 300, ACK);
        sent[nr_sent].len++;
        send_last();
        segment(&sent[nr_sent], 300, ACK);
        sent[nr_sent].data[14] = 0x46;
        send_last();
    }
    settle();
    CHECK_EQ(nr_requests, 12);
    end();
}

/* Frames of anything, cut anywhere: read no byte beyond, change nothing. */
TEST(netfront_join, frames_of_any_bytes)
{
    begin();
    for (unsigned i = 0; i < 3000; i++) {
        struct frame *f = &sent[nr_sent];

        flow.six = test_random_below(2);
        segment(f, (unsigned)test_random_below(40), ACK);
        for (unsigned n = (unsigned)test_random_below(6); n > 0; n--)
            f->data[test_random_below(f->len)] = (uint8_t)test_random();
        unsigned less = (unsigned)test_random_below(2) * (unsigned)test_random_below(80);
        f->len = f->len > 14 + less ? f->len - less : 14;
        uint8_t *exact = malloc(f->len); /* the sanitizer sees its end */
        memcpy(exact, f->data, f->len);
        struct netfront_frag frag = {exact, (uint16_t)f->len, NULL};
        CHECK_EQ(netfront_send(nf, &frag, 1, f->csum), 0);
        free(exact);
        nr_sent++;
        if (i % 20 == 19)
            settle();
    }
    settle();
    end();
}

static void not_with(const char *gso4, const char *gso6, const char *sg, bool six)
{
    begin_with(gso4, gso6, sg);
    flow.six = six;
    send_burst(10, 100);
    CHECK_EQ(net.tx.page->req_prod - net.tx.req_cons, 11);
    settle();
    CHECK_EQ(nr_requests, 11);
    end();
}

TEST(netfront_join, not_for_a_backend_that_does_not_cut)
{
    not_with("0", "1", "1", false);
    not_with("1", "0", "1", true);
    not_with("1", "1", "0", false);
    not_with("1", "1", "0", true);
}

/* ---- order and room ---- */

TEST(netfront_join, other_frames_keep_their_place)
{
    begin();
    for (unsigned i = 0; i < 60; i++) {
        if (i % 7 == 3) {
            memset(sent[nr_sent].data, (int)i, 60);
            sent[nr_sent].len = 60;
            sent[nr_sent].csum = NETFRONT_CSUM_NONE;
            send_last();
        }
        send_segment(1448, i % 11 == 10 ? PSH_ACK : ACK);
        if (i % 20 == 0)
            settle();
    }
    settle();
    CHECK(nr_requests > 18 && nr_requests < 40);
    end();
}

/* Sends until there is no room, with a backend that holds everything back. */
static unsigned fill(void)
{
    unsigned before = nr_sent;

    net.hold_tx = true;
    for (;;) {
        segment(&sent[nr_sent], flow.mss, ACK);
        if (try_send(&sent[nr_sent]) != 0)
            break;
        nr_sent++;
    }
    flow.seq -= flow.mss; /* it is sent later */
    flow.id--;
    return nr_sent - before;
}

static void fill_and_empty(unsigned least)
{
    begin();
    for (unsigned i = 0; i < 10; i++) {
        nr_sent = nr_cut = 0;
        CHECK(fill() >= least);
        netfront_kick(nf);
        run();
        CHECK(net.tx.page->req_prod - net.tx.rsp_prod <= 256);
        net.hold_tx = false;
        woken = false;
        fake_net_run(&net);
        CHECK(woken); /* there is room */
        settle();
    }
    end();
}

TEST(netfront_join, says_when_there_is_room_again)
{
    fill_and_empty(64 * 4096 / 1514);
}

TEST_RAM(netfront_join, says_so_when_the_ring_is_full, 16384)
{
    fill_and_empty(240 * 4096 / 1514);
    test_pass(); /* the grant table has grown by a page */
}

/* Short segments that are not joined, and extra infos between them: the ring fills before the pool.
 */
TEST_RAM(netfront_join, extra_infos_take_places_of_the_ring, 16384)
{
    begin();
    net.hold_tx = true;
    for (;;) {
        segment(&sent[nr_sent], 100, ACK);
        if (try_send(&sent[nr_sent]) != 0)
            break;
        nr_sent++;
        segment(&sent[nr_sent], 100, PSH_ACK);
        if (try_send(&sent[nr_sent]) != 0)
            break;
        nr_sent++;
    }
    netfront_kick(nf);
    CHECK(nr_sent >= 2 * 127);
    CHECK(net.tx.page->req_prod - net.tx.rsp_prod <= 256);
    net.hold_tx = false;
    fake_net_run(&net);
    settle();
    end();
    test_pass();
}

/* ---- endings and lies ---- */

TEST(netfront_join, closes_with_an_open_frame)
{
    begin();
    send_segment(1448, ACK);
    send_segment(1448, ACK);
    end();
    CHECK_EQ(nr_cut, 0);
}

TEST(netfront_join, an_open_frame_dies_with_its_link)
{
    begin();
    send_segment(1448, ACK);
    fake_dev_set_state(&net.dev, XenbusStateClosed);
    fakexen_settle();
    netfront_kick(nf);
    run();
    netfront_kick(nf);
    CHECK(!info().link);
    segment(&sent[nr_sent], 100, ACK);
    CHECK_EQ(try_send(&sent[nr_sent]), -ENETDOWN);
    end();
}

/* Take what was sent and answer with the first request's id plus (lie), then (nulls) times "null".
 */
static void answer(unsigned lie, unsigned nulls)
{
    struct netif_tx_request req, other;

    begin();
    net.hold_tx = true;
    send_burst(5, 0); /* two pages and an extra info */
    netfront_kick(nf);
    CHECK(back_ring_take(&net.tx, &req, sizeof(req)));
    while (back_ring_take(&net.tx, &other, sizeof(other)))
        ;
    fake_net_answer_tx(&net, req.id + lie, NETIF_RSP_OKAY);
    for (unsigned i = 0; i < nulls; i++)
        fake_net_answer_tx(&net, 0xffff, NETIF_RSP_NULL);
    back_ring_push(&net.tx);
    fakexen_raise(net.tx.port);
    run();
}

TEST(netfront_join, hostile_answers_to_extra_infos)
{
    answer(0, 1);
    CHECK(info().link);
    end();
    answer(0, 2); /* as many answers as requests were not, and one "null" for a frame */
    CHECK(!info().link);
    end();
    answer(100, 1);
    CHECK(!info().link);
    end();
}
