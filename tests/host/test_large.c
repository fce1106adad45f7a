/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Large TCP segments through netfront, against the backend in memory. What arrives there is cut
 * by a cutter that works the way Linux does; the frames that it makes have to be those that a
 * sender of small segments would have sent.
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
#include "tests/host/packet.h"
#include "tests/host/test.h"

FAKEXEN_BOOT(netfront_large)

#define SENT_MAX 4096
#define FRAME_MAX 9100

struct frame {
    unsigned len;
    enum netfront_csum csum;
    uint8_t data[FRAME_MAX];
};

static struct fake_net net;
static struct netfront *nf;
static struct frame *sent; /* those that are to arrive, in order */
static uint8_t large[1 << 17];
static unsigned nr_sent, nr_cut, nr_requests; /* how many there are, arrived, and came as one */
static bool woken;

/* ---- the flow ---- */

static struct flow {
    bool six;
    unsigned options, mss; /* bytes */
    uint16_t id, port;
    uint32_t seq, ack;
} flow;

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

/* The next segment of the flow, with (flags), at (f). Its length. */
static unsigned make(uint8_t *f, unsigned payload, unsigned flags)
{
    uint8_t *ip = f + 14, *tcp = ip + ip_len(flow.six);
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
    finish(f, headers + payload, flow.six);
    flow.seq += payload;
    flow.id++;
    return headers + payload;
}

static void segment(struct frame *out, unsigned payload, unsigned flags)
{
    out->len = make(out->data, payload, flags);
    out->csum = NETFRONT_CSUM_BLANK;
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

/* In pieces, since it may lie anywhere behind its headers. (cut): 0, or it is a large one. */
static int try_send(uint8_t *data, unsigned len, enum netfront_csum csum, unsigned cut_to)
{
    unsigned some = 120 + (unsigned)test_random_below(200), first = MIN(len, some);
    unsigned second = (unsigned)test_random_below(len - first + 1);
    struct netfront_frag frags[3] = {
        {data, (uint16_t)first, NULL},
        {data + first, (uint16_t)second, NULL},
        {data + first + second, (uint16_t)(len - first - second), NULL},
    };

    return cut_to == 0 ? netfront_send(nf, frags, 3, csum)
                       : netfront_send_large(nf, frags, 3, (uint16_t)cut_to);
}

#define ACK 0x10
#define PSH_ACK 0x18
#define FIN_PSH_ACK 0x19

static void send_small(unsigned payload, unsigned flags)
{
    struct frame *f = &sent[nr_sent++];

    CHECK(nr_sent < SENT_MAX);
    segment(f, payload, flags);
    CHECK_EQ(try_send(f->data, f->len, f->csum, 0), 0);
}

/* A segment of (payload) bytes; noted are those that are to be made of it. */
static int try_large(unsigned payload, unsigned flags)
{
    struct flow before = flow;
    unsigned len = make(large, payload, flags), noted = nr_sent;
    int rc = try_send(large, len, NETFRONT_CSUM_BLANK, flow.mss);

    flow = before;
    if (rc != 0)
        return rc;
    for (unsigned at = 0; at < payload; at += flow.mss) {
        bool last = payload - at <= flow.mss;

        segment(&sent[noted++], MIN(flow.mss, payload - at), last ? flags : ACK);
        CHECK(noted < SENT_MAX);
    }
    nr_sent = noted;
    return 0;
}

static void send_large(unsigned payload, unsigned flags)
{
    CHECK_EQ(try_large(payload, flags), 0);
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

/* ---- cutting ---- */

TEST(netfront_large, a_segment_becomes_one_frame)
{
    begin();
    send_large(40 * 1448 + 1000, PSH_ACK);
    settle();
    CHECK_EQ(nr_requests, 1);
    CHECK_EQ(nr_cut, 41);
    CHECK_EQ(net.last.gso_size, 1448);
    CHECK_EQ(net.last.gso_type, XEN_NETIF_GSO_TYPE_TCPV4);
    CHECK_EQ(net.last.len, 66 + 40 * 1448 + 1000);
    CHECK_EQ(net.last.nr_slots, 15);
    CHECK_EQ(info().tx_frames, 1);
    CHECK_EQ(info().tx_large, 1);
    end();
}

TEST(netfront_large, a_segment_of_ip6_too)
{
    begin();
    flow.six = true;
    flow.mss = 1428;
    send_large(30 * 1428, FIN_PSH_ACK);
    settle();
    CHECK_EQ(nr_requests, 1);
    CHECK_EQ(net.last.gso_type, XEN_NETIF_GSO_TYPE_TCPV6);
    end();
}

/* The largest one fills 16 pages, and there is no larger one. */
TEST(netfront_large, the_largest)
{
    struct netfront_frag frags[2] = {{large, 65535, NULL}, {large, 1, NULL}};

    begin();
    send_large(65535 - 66, ACK);
    CHECK_EQ(netfront_send_large(nf, frags, 2, 1448), -EMSGSIZE);
    settle();
    CHECK_EQ(net.last.nr_slots, 16);
    end();
}

TEST(netfront_large, segments_of_any_size)
{
    begin();
    for (unsigned i = 0; i < 400; i++) {
        flow.six = test_random_below(2);
        flow.options = (unsigned)test_random_below(11) * 4;
        flow.mss = 256 + (unsigned)test_random_below(8000);
        send_large(flow.mss + 1 + (unsigned)test_random_below(65535 - 114 - flow.mss),
                   test_random_below(2) ? ACK : FIN_PSH_ACK);
        if (i % 4 == 3) {
            settle();
            nr_sent = nr_cut = 0;
        }
    }
    settle();
    CHECK_EQ(nr_requests, 400);
    end();
}

static void not_with(const char *gso4, const char *gso6, const char *sg, bool six)
{
    begin_with(gso4, gso6, sg);
    CHECK(!(six ? info().large6 : info().large4));
    flow.six = six;
    CHECK_EQ(try_large(3000, ACK), -EMSGSIZE);
    send_small(1448, ACK);
    settle();
    end();
}

TEST(netfront_large, not_for_a_backend_that_does_not_cut)
{
    not_with("0", "1", "1", false);
    not_with("1", "0", "1", true);
    not_with("1", "1", "0", false);
    not_with("1", "1", "0", true);
}

/* ---- order and room ---- */

TEST(netfront_large, other_frames_keep_their_place)
{
    begin();
    for (unsigned i = 0; i < 60; i++) {
        if (i % 3 == 0)
            send_small(i, ACK);
        send_large(1449 + i * 300, ACK);
        if (i % 6 == 0)
            settle();
    }
    settle();
    CHECK_EQ(nr_requests, 80);
    end();
}

/* Sends until there is no room, with a backend that holds everything back. */
static unsigned fill(unsigned payload)
{
    unsigned before = nr_sent;

    net.hold_tx = true;
    while (try_large(payload, ACK) == 0)
        ;
    return nr_sent - before;
}

/* There is room for (least) of those that are made of it. */
static void fill_and_empty(unsigned payload, unsigned least)
{
    begin();
    for (unsigned i = 0; i < 10; i++) {
        nr_sent = nr_cut = 0;
        CHECK(fill(payload) >= least);
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

TEST(netfront_large, says_when_there_is_room_again)
{
    fill_and_empty(45 * 1448, 4 * 45); /* 64 pages */
}

/* Requests of two pages and a note each: the ring is full before the pool is empty. */
TEST_RAM(netfront_large, says_so_when_the_ring_is_full, 16384)
{
    fill_and_empty(4 * 1448, 256 / 3 * 4);
    test_pass(); /* the grant table has grown by a page */
}

/* ---- endings and lies ---- */

TEST(netfront_large, dies_with_its_link)
{
    begin();
    net.hold_tx = true;
    send_large(20000, ACK);
    fake_dev_set_state(&net.dev, XenbusStateClosed);
    fakexen_settle();
    netfront_kick(nf);
    run();
    CHECK(!info().link);
    CHECK_EQ(try_large(20000, ACK), -ENETDOWN);
    end();
}

/* Take what was sent and answer with the first request's id plus (lie), then (nulls) times "null".
 */
static void answer(unsigned lie, unsigned nulls)
{
    struct netif_tx_request req, other;

    begin();
    net.hold_tx = true;
    send_large(5 * 1448, ACK); /* two pages and an extra info */
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

TEST(netfront_large, hostile_answers_to_extra_infos)
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
