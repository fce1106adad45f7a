/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A fuzzer for the network frontend and what is below it (xenbus, the store's client, events,
 * grants): the input is a program for the backend and the guest, one instruction after the other,
 * each with the operands it takes. Whatever it does, the frontend must not break a sanitizer's
 * rule, hang or send a frame that the backend could object to, and at the end of each input nothing
 * is left: grants, ports, watches and quarantine are as they were.
 *
 *     make fuzz FUZZ=net FUZZ_SECONDS=3600
 */
#include <stdlib.h>
#include <string.h>
#include "frontends/netfront/netfront.h"
#include "kernel/grant.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "tests/host/fakeback.h"
#include "tests/host/hostarch.h"
#include "tests/host/test.h"

FAKEXEN_BOOT(fuzz)

size_t fuzz_ram_pages = 16384; /* memory for several queues */

#define STEPS_MAX 400

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static struct fake_net net;
static struct netfront *nf;
static bool woken;
static uint8_t frame_data[65536];

/* ---- the program ---- */

static const uint8_t *code;
static size_t code_len;

static unsigned next8(void)
{
    if (code_len == 0)
        return 0;
    code_len--;
    return *code++;
}

static unsigned next16(void)
{
    unsigned low = next8();

    return low | next8() << 8;
}

static uint32_t next32(void)
{
    uint32_t low = next16();

    return low | (uint32_t)next16() << 16;
}

/* ---- the guest ---- */

static bool lies_in_its_page(const struct netfront_frag *frag)
{
    const uint8_t *data = frag->data, *page = frag->page;

    return page == NULL || (data >= page && data + frag->len <= page + PAGE_SIZE);
}

static void input(void *arg, struct netfront_frame *frame)
{
    uint32_t len = 0;

    (void)arg;
    CHECK(frame->nr_frags >= 1 && frame->nr_frags <= NETFRONT_FRAGS_MAX);
    for (unsigned i = 0; i < frame->nr_frags; i++) {
        CHECK(lies_in_its_page(&frame->frag[i]));
        memcpy(frame_data, frame->frag[i].data, frame->frag[i].len); /* all of it is readable */
        len += frame->frag[i].len;
        if (frame->frag[i].page != NULL)
            netfront_give_back(nf, frame->frag[i].page, frame->life);
    }
    CHECK_EQ(len, frame->len);
}

static void wake(void *arg)
{
    (void)arg;
    woken = true;
}

static void poll(void)
{
    fakexen_settle();
    woken = false;
    for (unsigned turns = 0; netfront_poll(nf, 16); turns++)
        CHECK(turns < 1000);
    netfront_mind_groups(nf);
}

/* Some in a row, now and then more than a backend keeps. */
static void want_groups(unsigned first, unsigned n)
{
    struct netfront_groups groups = {.nr = 0};
    uint8_t mac[6] = {0x33, 0x33};

    for (unsigned i = 0; i < n; i++) {
        mac[5] = (uint8_t)(first + i);
        netfront_add_group(&groups, mac);
    }
    netfront_set_groups(nf, &groups);
}

/* Headers of a TCP segment; its port chooses the queue. */
static void make_segment(unsigned kind, unsigned len, bool six)
{
    uint8_t *ip = frame_data + 14, *tcp = ip + (six ? 40 : 20);

    memcpy(frame_data + 12, six ? "\x86\xdd" : "\x08", 2);
    memset(ip, 0, 60);
    ip[0] = six ? 0x60 : 0x45;
    ip[six ? 4 : 2] = (uint8_t)((len - (six ? 54 : 14)) >> 8);
    ip[six ? 5 : 3] = (uint8_t)(len - (six ? 54 : 14));
    ip[six ? 6 : 9] = 6;
    tcp[1] = (uint8_t)kind;
    tcp[12] = 0x50;
    tcp[13] = 0x10;
}

/* A segment of some flow, or anything. */
static void send_frame(unsigned kind, unsigned len)
{
    struct netfront_frag frag[2] = {{.data = frame_data, .len = (uint16_t)MIN(len, 60u)}};

    memset(frame_data, (int)kind, 64);
    if (kind % 2)
        make_segment(kind, len, false);
    frag[1] = (struct netfront_frag){frame_data + 60, (uint16_t)(len - frag[0].len), NULL};
    (void)!netfront_send(nf, frag, len > 60 ? 2 : 1,
                         kind % 4 ? NETFRONT_CSUM_BLANK : NETFRONT_CSUM_NONE);
}

/* Into two segments at least, as lwIP would have it, or in the most ways. */
static void send_large(unsigned kind, unsigned len)
{
    static const uint16_t cuts[] = {1448, 8960, 1, 0xffff};
    bool six = kind & 1;
    unsigned headers = six ? 74 : 54;
    uint16_t cut = (uint16_t)MIN(cuts[kind >> 1 & 3], len - headers - 1);
    struct netfront_frag frag[2] = {{.data = frame_data, .len = (uint16_t)headers},
                                    {frame_data + headers, (uint16_t)(len - headers), NULL}};

    make_segment(kind >> 3, len, six);
    (void)!netfront_send_large(nf, frag, 2, cut);
}

static void guest_acts(void)
{
    unsigned kind = next8(), number = next16();

    if (kind >= 224)
        want_groups(number >> 8, number % (NETFRONT_GROUPS_MAX + 4));
    else if (kind >= 192)
        send_large(kind, 76 + number % 65400);
    else
        send_frame(kind, 54 + number % 9000);
}

/* ---- the backend ---- */

static struct back_ring *rx_ring(void)
{
    return net.queue == 0 ? &net.rx : &net.more_rx[net.queue - 1];
}

static struct back_ring *tx_ring(void)
{
    return net.queue == 0 ? &net.tx : &net.more_tx[net.queue - 1];
}

static bool posted(void)
{
    struct back_ring *rx = rx_ring();

    return net.dev.attached && rx->page != NULL && rx->page->req_prod != rx->req_cons;
}

static void answer(void)
{
    unsigned lie = next8(), offset = next16(), flags = next8();
    int status = (int16_t)next16();

    if (posted())
        fake_net_answer(&net, lie < 250 ? 0 : lie, lie & 1 ? offset : offset % 64, flags % 32,
                        lie & 2 ? status : status & 0x7ff);
}

static void note(void)
{
    unsigned type = next8(), flags = next8();

    if (posted())
        fake_net_answer_extra(&net, type % 8, flags % 4);
}

/* A request is taken first, with the note that may follow it: the answers lie where they lay.
 * A frame is taken as a whole, of whose last piece the answer may be a lie too. */
static void answer_transmission(void)
{
    unsigned lie = next16();
    int status = (int8_t)next8();
    struct netif_tx_request req = {.flags = NETTXF_more_data};
    struct netif_extra_info extra;

    while (net.dev.attached && (req.flags & NETTXF_more_data) &&
           back_ring_take(tx_ring(), &req, sizeof(req))) {
        bool lies = (lie & 1) && (!(lie & 4) || !(req.flags & NETTXF_more_data));

        fake_net_answer_tx(&net, req.id + (lies ? lie : 0), status);
        if ((req.flags & NETTXF_extra_info) && back_ring_take(tx_ring(), &extra, sizeof(extra)) &&
            !(lie & 2))
            fake_net_answer_tx(&net, 0, NETIF_RSP_NULL);
    }
    if (net.dev.attached)
        back_ring_push(tx_ring());
}

static void write_index(void)
{
    unsigned which = next8();
    uint32_t value = next32();
    struct back_ring *ring = which & 1 ? tx_ring() : rx_ring();

    if (!net.dev.attached)
        return;
    switch (which >> 1 & 3) {
    case 0:
        ring->page->rsp_prod += value;
        break;
    case 1:
        ring->page->req_event = value;
        break;
    default:
        ring->page->rsp_event = value;
    }
}

static void write_node(void)
{
    static const char *const names[] = {"feature-sg",
                                        "feature-gso-tcpv4",
                                        "feature-split-event-channels",
                                        "state",
                                        "multi-queue-max-queues",
                                        "feature-rx-copy",
                                        "online",
                                        "feature-no-csum-offload",
                                        "feature-gso-tcpv6",
                                        "feature-ipv6-csum-offload"};
    unsigned which = next8();
    char value[9] = "";

    for (unsigned i = 0; i < which >> 4 && i < 8; i++)
        value[i] = (char)next8();
    fake_dev_set_back(&net.dev, names[which % 16 % ARRAY_SIZE(names)], value);
}

static void write_front(void)
{
    static const char *const names[] = {"backend-id", "mac", "mtu", "backend"};
    static const char *const values[] = {"0", "00:16:3e:12:34:56", "9000", NULL, "7", "x", "1", ""};
    unsigned which = next8();
    const char *value = which & 16 ? values[which >> 5] : values[which % 4];

    fake_dev_set_front(&net.dev, names[which % 4], value != NULL ? value : net.dev.back);
}

static void raise_events(void)
{
    if (!net.dev.attached)
        return;
    fakexen_raise(rx_ring()->port);
    fakexen_raise(tx_ring()->port);
}

static void watch_event(void)
{
    char payload[16];
    unsigned len = next8() % sizeof(payload);

    for (unsigned i = 0; i < len; i++)
        payload[i] = (char)next8();
    fakexen_store_send_message(XS_WATCH_EVENT, next8(), payload, len);
}

static void begin_anew(void)
{
    if (!netfront_link(nf))
        (void)!netfront_reopen(nf, time_now() + next8() * NSEC_PER_SEC / 4);
}

static void step(void)
{
    switch (next8() % 20) {
    case 0:
    case 1:
        answer();
        break;
    case 2:
        note();
        break;
    case 3:
        if (net.dev.attached)
            fake_net_push(&net);
        break;
    case 4:
        if (posted())
            (void)fake_net_deliver(&net, frame_data, 14 + next16() % 65000, 4096, 0, next8() % 4);
        break;
    case 5:
        answer_transmission();
        break;
    case 6:
        write_index();
        break;
    case 7:
        raise_events();
        break;
    case 8:
    case 9:
        guest_acts();
        break;
    case 10:
        netfront_kick(nf);
        break;
    case 11:
        poll();
        break;
    case 12:
        host_advance(next8() * 10 * NSEC_PER_MSEC);
        break;
    case 13:
        fake_dev_set_state(&net.dev, next8() % 9);
        break;
    case 14:
        write_node();
        break;
    case 15:
        write_front();
        break;
    case 16:
        net.keep_mapped = next8() & 1;
        net.hold_tx = next8() & 1;
        net.dev.aloof = next8() > 250;
        break;
    case 17:
        watch_event();
        break;
    case 18:
        net.queue = net.nr_queues > 0 ? next8() % net.nr_queues : 0;
        break;
    default:
        begin_anew();
    }
}

/* ---- one input ---- */

static void begin(unsigned features)
{
    static const struct netfront_user user = {.input = input, .wake = wake};

    fake_net_create(&net, "0");
    net.hostile = true;
    fake_dev_set_back(&net.dev, "feature-sg", features & 1 ? "1" : "0");
    fake_dev_set_back(&net.dev, "feature-split-event-channels", features & 2 ? "1" : "0");
    fake_dev_set_back(&net.dev, "feature-gso-tcpv4", features & 4 ? "1" : "0");
    fake_dev_set_back(&net.dev, "multi-queue-max-queues", features & 8 ? "2" : "1");
    fake_dev_set_front(&net.dev, "trusted", features & 16 ? "0" : "1");
    fake_dev_set_back(&net.dev, "feature-multicast-control", features & 32 ? "1" : "0");
    fake_dev_set_back(&net.dev, "feature-gso-tcpv6", features & 64 ? "1" : "0");
    fake_dev_set_back(&net.dev, "feature-ipv6-csum-offload", features & 128 ? "1" : "0");
    fake_dev_set_back(&net.dev, "feature-dynamic-multicast-control", features & 32 ? "1" : "0");
    CHECK_EQ(netfront_create("0", &user, &nf), 0);
    if (features & 32)
        want_groups(0, 4);
    (void)!netfront_open(nf);
}

static void end(void)
{
    net.dev.aloof = net.hold_tx = net.keep_mapped = false;
    net.queue = 0;
    netfront_destroy(nf);
    fake_net_destroy(&net);
    fakexen_store_rm(FAKE_HOME "/error");
    fakexen_settle();
    for (unsigned i = 0; i < 40 && grant_count_quarantined() > 0; i++)
        host_advance(NSEC_PER_SEC);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    unsigned grants = grant_count_used(), ports = evtchn_count_bound();
    unsigned watches = fakexen_store_count_watches();

    fakexen_use_cpus(2);
    code = bytes;
    code_len = len;
    begin(next8());
    for (unsigned i = 0; i < STEPS_MAX && code_len > 0; i++)
        step();
    end();
    CHECK_EQ(grant_count_used(), grants);
    CHECK_EQ(grant_count_quarantined(), 0);
    CHECK_EQ(evtchn_count_bound(), ports);
    CHECK_EQ(fakexen_store_count_watches(), watches);
    return 0;
}
