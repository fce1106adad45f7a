/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A network backend: honest enough to exchange an ARP request for its answer, and its attacks. N1,
 * N2,
 * ... are the cases of tests/hostile/README.md.
 */
#include "device.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xen/xen.h>
#include <xen/io/netif.h>
#include "tests/system/vitals.h"

#define ANSWER_MS 60000
#define FRAME 60
#define POSTED_MIN 32

static struct device dev;
static struct ring tx, rx;
static bool hold_tx; /* what is sent stays unanswered */
static unsigned arp_answers, frames_out;
static uint8_t our_mac[6] = {0x00, 0x16, 0x3e, 0xff, 0x00, 0x01};

/* ---- honest ---- */

static void offer_features(void)
{
    static const char *const ones[] = {"feature-rx-copy", "feature-sg", "feature-gso-tcpv4",
                                       "feature-split-event-channels", "multi-queue-max-queues"};

    for (unsigned i = 0; i < sizeof(ones) / sizeof(*ones); i++)
        store_write(dev.back, ones[i], "1");
}

static bool open_net(void)
{
    if (!device_offer(&dev))
        return false;
    if (!ring_open(&dev, &tx, "tx-ring-ref", "event-channel-tx",
                   sizeof(union netif_tx_sring_entry)) ||
        !ring_open(&dev, &rx, "rx-ring-ref", "event-channel-rx",
                   sizeof(union netif_rx_sring_entry)))
        return false;
    hold_tx = false;
    device_connected(&dev);
    return true;
}

static void leave_net(void)
{
    device_leave(&dev);
    ring_close(&tx);
    ring_close(&rx);
    grant_unmap_all();
}

static void look_at(const struct netif_tx_request *req)
{
    uint8_t *page = grant_map(dev.dom, req->gref, false);

    if (page == NULL)
        return;
    frames_out++;
    if (req->size >= 42 && req->offset + 42u <= PAGE &&
        memcmp(page + req->offset + 12, "\x08\x06", 2) == 0 && page[req->offset + 21] == 2)
        arp_answers++;
    grant_unmap(page);
}

static void answer_tx(unsigned id, int status)
{
    struct netif_tx_response rsp = {.id = (uint16_t)id, .status = (int16_t)status};

    ring_answer(&tx, &rsp, sizeof(rsp));
}

/* Take what was sent, look at its pages, and answer it. */
static void serve_once(void)
{
    static bool note_follows;
    union {
        struct netif_tx_request req;
        struct netif_extra_info note;
    } slot;
    unsigned n = 0;

    for (; !hold_tx && ring_take(&tx, &slot, sizeof(slot)); n++)
        if (note_follows) {
            note_follows = slot.note.flags & XEN_NETIF_EXTRA_FLAG_MORE;
            answer_tx(0, NETIF_RSP_NULL);
        } else {
            look_at(&slot.req);
            note_follows = slot.req.flags & NETTXF_extra_info;
            answer_tx(slot.req.id, NETIF_RSP_OKAY);
        }
    if (n > 0)
        ring_push(&tx);
}

/* A posted request, when there is one within a moment. */
static bool take_rx(struct netif_rx_request *req)
{
    for (unsigned i = 0; i < 5000; i++) {
        if (ring_take(&rx, req, sizeof(*req)))
            return true;
        sleep_us(1000);
    }
    complain("no pages are posted");
    return false;
}

static void answer_rx(unsigned id, unsigned offset, unsigned flags, int status)
{
    struct netif_rx_response rsp = {(uint16_t)id, (uint16_t)offset, (uint16_t)flags,
                                    (int16_t)status};

    ring_answer(&rx, &rsp, sizeof(rsp));
}

/* Write (data) into the next posted page; its mapping stays with (keep). */
static void *fill_rx(const void *data, size_t len, unsigned *id, bool keep)
{
    struct netif_rx_request req;
    uint8_t *page;

    if (!take_rx(&req))
        return NULL;
    *id = req.id;
    page = grant_map(dev.dom, req.gref, true);
    if (page == NULL)
        return NULL;
    memcpy(page, data, len);
    if (!keep)
        grant_unmap(page);
    return page;
}

static void make_arp_request(uint8_t *frame)
{
    const char *ip = store_read("%s/ip", dev.back);
    struct in_addr target;

    memset(frame, 0, FRAME);
    memset(frame, 0xff, 6);
    memcpy(frame + 6, our_mac, 6);
    memcpy(frame + 12, "\x08\x06\x00\x01\x08\x00\x06\x04\x00\x01", 10);
    memcpy(frame + 22, our_mac, 6);
    memcpy(frame + 28, "\x0a\x08\x00\x01", 4);
    if (ip != NULL && inet_aton(ip, &target))
        memcpy(frame + 38, &target, 4);
}

static void send_arp_request(void)
{
    uint8_t frame[FRAME];
    unsigned id;

    make_arp_request(frame);
    if (fill_rx(frame, sizeof(frame), &id, false) != NULL)
        answer_rx(id, 0, 0, FRAME);
    ring_push(&rx);
}

static void serve(unsigned ms)
{
    for (uint64_t end = now_ms() + ms; now_ms() < end; sleep_us(2000))
        serve_once();
}

static const char *honest_net(unsigned ms)
{
    uint64_t end = now_ms() + ANSWER_MS;
    unsigned before = arp_answers, tries = 0;

    serve(ms);
    for (; arp_answers == before && now_ms() < end; tries++) {
        send_arp_request();
        serve(200);
    }
    return arp_answers == before ? "an ARP request was not answered" : NULL;
}

/* ---- indices: N1, N2 ---- */

static void push_index(struct ring *r, uint32_t to)
{
    r->page->rsp_prod = to;
    port_notify(r->port);
}

static void rx_far_ahead(void)
{
    push_index(&rx, rx.rsp_prod + 0x80000000u);
}

static void rx_one_ring_ahead(void)
{
    push_index(&rx, rx.rsp_prod + rx.slots + 1);
}

static void rx_one_too_many(void)
{
    push_index(&rx, rx.page->req_prod + 1);
}

static void rx_backwards(void)
{
    push_index(&rx, rx.rsp_prod - 1);
}

static void tx_far_ahead(void)
{
    push_index(&tx, tx.rsp_prod + 0x80000000u);
}

static void tx_one_too_many(void)
{
    push_index(&tx, tx.page->req_prod + 1);
}

static void tx_backwards(void)
{
    push_index(&tx, tx.rsp_prod - 1);
}

/* ---- answers to what was sent: N3, N8 ---- */

/* One that is not answered yet. */
static bool take_tx(struct netif_tx_request *req)
{
    for (unsigned i = 0; i < 5000; i++) {
        if (ring_take(&tx, req, sizeof(*req)))
            return true;
        sleep_us(1000);
    }
    complain("nothing is sent");
    return false;
}

static void answer_one_tx(int id, int status)
{
    struct netif_tx_request req;

    if (take_tx(&req))
        answer_tx(id >= 0 ? (unsigned)id : req.id, status);
    ring_push(&tx);
}

static void tx_id_beyond_all(void)
{
    answer_one_tx(65535, NETIF_RSP_OKAY);
}

static void tx_id_of_nobody(void)
{
    answer_one_tx(255, NETIF_RSP_OKAY); /* of a ring that was never so full */
}

static void tx_id_twice(void)
{
    struct netif_tx_request first, second;

    if (!take_tx(&first) || !take_tx(&second))
        return;
    answer_tx(first.id, NETIF_RSP_OKAY);
    answer_tx(first.id, NETIF_RSP_OKAY);
    ring_push(&tx);
}

static void tx_status_that_does_not_exist(void)
{
    answer_one_tx(-1, 77);
}

static void tx_note_where_there_was_none(void)
{
    answer_one_tx(-1, NETIF_RSP_NULL);
}

static void tx_dropped_and_failed(void)
{
    for (unsigned i = 0; i < 20; i++)
        answer_one_tx(-1, i & 1 ? NETIF_RSP_DROPPED : NETIF_RSP_ERROR);
}

/* ---- received pieces: N4, N6, N7, N16 ---- */

static void answer_one_rx(int lie, unsigned offset, unsigned flags, int status)
{
    struct netif_rx_request req;

    if (take_rx(&req))
        answer_rx(req.id + (unsigned)lie, offset, flags, status);
    ring_push(&rx);
}

static void rx_id_of_another(void)
{
    answer_one_rx(1, 0, 0, FRAME);
}

static void rx_id_beyond_all(void)
{
    answer_one_rx(32768, 0, 0, FRAME);
}

static void rx_offset_and_length_beyond_the_page(void)
{
    answer_one_rx(0, 4095, 0, 4096);
}

static void rx_offset_beyond_the_page(void)
{
    answer_one_rx(0, 65535, 0, FRAME);
}

static void rx_length_beyond_the_page(void)
{
    answer_one_rx(0, 0, 0, 32767);
}

static void rx_negative_lengths(void)
{
    for (unsigned i = 0; i < 20; i++)
        answer_one_rx(0, 0, 0, i & 1 ? -32768 : -1);
}

static void rx_empty_and_short(void)
{
    for (unsigned i = 0; i < 20; i++)
        answer_one_rx(0, i, 0, (int)(i % 14));
}

static void rx_chain_without_end(void)
{
    for (unsigned i = 0; i < 60; i++)
        answer_one_rx(0, 0, NETRXF_more_data, 1000);
}

static void rx_notes_without_end(void)
{
    struct netif_extra_info note = {.type = XEN_NETIF_EXTRA_TYPE_GSO,
                                    .flags = XEN_NETIF_EXTRA_FLAG_MORE};
    struct netif_rx_request req;

    answer_one_rx(0, 0, NETRXF_extra_info, FRAME);
    for (unsigned i = 0; i < 30 && take_rx(&req); i++)
        ring_answer(&rx, &note, sizeof(note));
    ring_push(&rx);
}

static void rx_notes_of_no_kind(void)
{
    struct netif_extra_info note = {.type = 6};
    struct netif_rx_request req;

    answer_one_rx(0, 0, NETRXF_extra_info, FRAME);
    if (take_rx(&req))
        ring_answer(&rx, &note, sizeof(note));
    ring_push(&rx);
}

static void rx_any_bytes(void)
{
    static uint8_t junk[PAGE];
    unsigned id;

    for (unsigned i = 0; i < 60; i++) {
        for (unsigned b = 0; b < sizeof(junk); b++)
            junk[b] = (uint8_t)rand();
        if (i & 1)
            make_arp_request(junk);
        junk[0] = 0xff;
        if (fill_rx(junk, sizeof(junk), &id, false) != NULL)
            answer_rx(id, 0, i & 3, (int)(14 + (unsigned)rand() % (PAGE - 14)));
        ring_push(&rx);
    }
}

/* ---- N5: what changes while it is read ---- */

static bool flipping;

/* Every slot's offset, flags and length, as fast as it goes. */
static void *flip(void *arg)
{
    struct netif_rx_response *slot = (void *)(uintptr_t)rx.page->slot;
    uint16_t noise = 1;

    while (__atomic_load_n(&flipping, __ATOMIC_RELAXED))
        for (unsigned i = 0; i < rx.slots; i++) {
            noise = (uint16_t)(noise * 25173 + 13849);
            __atomic_store_n(&slot[i].offset, noise & 1 ? 65535 : 0, __ATOMIC_RELAXED);
            __atomic_store_n(&slot[i].status, noise & 2 ? 32767 : FRAME, __ATOMIC_RELAXED);
            __atomic_store_n(&slot[i].flags, noise & 4 ? 0xff : 0, __ATOMIC_RELAXED);
        }
    return arg;
}

static void rx_fields_that_change(void)
{
    pthread_t t;

    __atomic_store_n(&flipping, true, __ATOMIC_RELAXED);
    if (pthread_create(&t, NULL, flip, NULL) != 0)
        exit(70);
    for (unsigned i = 0; i < 40 && device_front_state(&dev) == CONNECTED; i++)
        answer_one_rx(0, 0, 0, FRAME);
    __atomic_store_n(&flipping, false, __ATOMIC_RELAXED);
    pthread_join(t, NULL);
}

/* ---- N9, N10: what stays mapped ---- */

static void await_quarantine(unsigned pages)
{
    for (uint64_t end = now_ms() + ANSWER_MS; now_ms() < end; sleep_us(10000))
        if (victim->quarantined >= pages)
            return;
    complain("pages that are mapped are not in quarantine");
}

static void rx_pages_that_stay_mapped(void)
{
    static uint8_t frame[1000];
    unsigned id, n = 0;
    uint8_t *page;

    memset(frame, 0xff, 12);
    while (n < 20 && (page = fill_rx(frame, sizeof(frame), &id, true)) != NULL) {
        answer_rx(id, 0, 0, sizeof(frame));
        ring_push(&rx);
        n++;
    }
    await_quarantine(n);
}

static void rings_of_an_earlier_life(void)
{
    struct ring old[2] = {tx, rx};

    device_leave(&dev);
    if (!open_net()) {
        complain("there is no new life");
        return;
    }
    for (unsigned i = 0; i < 2; i++)
        memset(old[i].page, 0xff, PAGE);
    serve(300);
    if (device_front_state(&dev) != CONNECTED)
        complain("writing into rings of an earlier life ended this one");
    for (unsigned i = 0; i < 2; i++)
        ring_close(&old[i]);
}

/* ---- N17: what pages hold before they are used ---- */

/* All that are posted; none of them gets a frame. */
static void rx_pages_before_they_are_used(void)
{
    struct netif_rx_request req;
    unsigned n = 0;

    for (; ring_take(&rx, &req, sizeof(req)); n++) {
        grant_unmap(grant_map(dev.dom, req.gref, true));
        answer_rx(req.id, 0, 0, NETIF_RSP_ERROR);
    }
    ring_push(&rx);
    if (n < POSTED_MIN)
        complain("fewer pages are posted than would tell");
}

/* ---- N11, N12, N13, N14, N15: events, and none ---- */

static void storm_of_events(void)
{
    for (uint64_t end = now_ms() + 3000; now_ms() < end;)
        for (unsigned i = 0; i < 100; i++) {
            port_notify(tx.port);
            port_notify(rx.port);
        }
}

static void event_with_each_empty_answer(void)
{
    for (uint64_t end = now_ms() + 2000; now_ms() < end;)
        answer_one_rx(0, 0, 0, -1);
}

static void frames_that_are_never_answered(void)
{
    hold_tx = true;
    sleep_us(3000000);
    hold_tx = false;
}

static void no_event_for_what_was_received(void)
{
    uint64_t end = now_ms() + ANSWER_MS;
    unsigned before = arp_answers, port = (unsigned)rx.port;

    rx.port = -1;
    send_arp_request();
    rx.port = (int)port;
    while (arp_answers == before && now_ms() < end)
        serve(1);
    if (arp_answers == before)
        complain("without an event nothing was looked at");
}

static void our_hands_on_their_indices(void)
{
    for (unsigned i = 0; i < 2000; i++) {
        rx.page->req_prod = tx.page->req_prod = (uint32_t)rand();
        rx.page->req_event = tx.page->req_event = (uint32_t)rand();
        rx.page->rsp_event = tx.page->rsp_event = (uint32_t)rand();
        port_notify(rx.port);
        sleep_us(500);
    }
}

/* ---- N18, N19: states and nodes ---- */

static void storm_of_states(void)
{
    for (uint64_t end = now_ms() + 2000; now_ms() < end;)
        store_write_number(dev.back, "state", (unsigned long)rand() % 9);
}

static void states_of_nonsense(void)
{
    static const char *const values[] = {"",  "x", "-1", "4294967300", " 4", "99999999999999999999",
                                         "4 "};

    for (unsigned i = 0; i < sizeof(values) / sizeof(*values); i++) {
        store_write(dev.back, "state", values[i]);
        sleep_us(50000);
    }
}

static void nodes_of_nonsense(void)
{
    static const char *const names[] = {"feature-sg", "multi-queue-max-queues", "feature-gso-tcpv4",
                                        "feature-split-event-channels", "feature-rx-copy"};
    static char junk[2000];

    device_leave(&dev);
    for (unsigned i = 0; i < 5; i++) {
        memset(junk, i & 1 ? 0 : 0xfe, sizeof(junk));
        store_write_bytes(dev.back, names[i], i == 4 ? "-1" : junk, i == 4 ? 2 : sizeof(junk));
    }
    store_write_number(dev.back, "state", INIT_WAIT);
    sleep_us(1000000);
    if (device_front_state(&dev) == CONNECTED)
        complain("it accepts a backend that cannot copy");
    leave_net();
    offer_features();
}

/* ---- the table ---- */

static const struct test_case cases[] = {
    {"rx_far_ahead", true, ACCUSED, rx_far_ahead},
    {"rx_one_ring_ahead", false, ACCUSED, rx_one_ring_ahead},
    {"rx_one_too_many", true, ACCUSED, rx_one_too_many},
    {"rx_backwards", false, ACCUSED, rx_backwards},
    {"tx_far_ahead", false, ACCUSED, tx_far_ahead},
    {"tx_one_too_many", true, ACCUSED, tx_one_too_many},
    {"tx_backwards", false, ACCUSED, tx_backwards},
    {"tx_id_beyond_all", false, ACCUSED, tx_id_beyond_all},
    {"tx_id_of_nobody", false, ACCUSED, tx_id_of_nobody},
    {"tx_id_twice", true, ACCUSED, tx_id_twice},
    {"tx_status_that_does_not_exist", false, ACCUSED, tx_status_that_does_not_exist},
    {"tx_note_where_there_was_none", false, ACCUSED, tx_note_where_there_was_none},
    {"tx_dropped_and_failed", false, STAYS, tx_dropped_and_failed},
    {"rx_id_of_another", false, ACCUSED, rx_id_of_another},
    {"rx_id_beyond_all", false, ACCUSED, rx_id_beyond_all},
    {"rx_offset_and_length_beyond_the_page", true, ANY, rx_offset_and_length_beyond_the_page},
    {"rx_offset_beyond_the_page", false, ANY, rx_offset_beyond_the_page},
    {"rx_length_beyond_the_page", false, ANY, rx_length_beyond_the_page},
    {"rx_negative_lengths", false, ANY, rx_negative_lengths},
    {"rx_empty_and_short", false, ANY, rx_empty_and_short},
    {"rx_chain_without_end", false, ACCUSED, rx_chain_without_end},
    {"rx_notes_without_end", false, ACCUSED, rx_notes_without_end},
    {"rx_notes_of_no_kind", false, ACCUSED, rx_notes_of_no_kind},
    {"rx_any_bytes", false, STAYS, rx_any_bytes},
    {"rx_fields_that_change", true, ANY, rx_fields_that_change},
    {"rx_pages_that_stay_mapped", true, ANY, rx_pages_that_stay_mapped},
    {"rx_pages_before_they_are_used", true, STAYS, rx_pages_before_they_are_used},
    {"rings_of_an_earlier_life", true, STAYS, rings_of_an_earlier_life},
    {"storm_of_events", true, STAYS, storm_of_events},
    {"event_with_each_empty_answer", false, ANY, event_with_each_empty_answer},
    {"frames_that_are_never_answered", false, STAYS, frames_that_are_never_answered},
    {"no_event_for_what_was_received", false, STAYS, no_event_for_what_was_received},
    {"our_hands_on_their_indices", false, ANY, our_hands_on_their_indices},
    {"storm_of_states", false, ANY, storm_of_states},
    {"states_of_nonsense", false, ANY, states_of_nonsense},
    {"nodes_of_nonsense", false, ANY, nodes_of_nonsense},
};

const struct play *play_net(unsigned dom, const char *id)
{
    static const struct play play = {open_net, leave_net, honest_net,
                                     &dev,     cases,     sizeof(cases) / sizeof(*cases)};

    device_init(&dev, dom, "vif", id);
    dev.serve = serve_once;
    tx.port = rx.port = -1;
    offer_features();
    return &play;
}
