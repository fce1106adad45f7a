/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A network backend that is hostile for a while. The frontend, xenbus, the store's client, grants
 * and events are the real ones. Every test is attack(), and has passed when
 *
 *   - nothing was wrong in between: no sanitizer's report, no panic, no frame handed up that is not
 *     within its pages, and no poll that takes longer than what was posted allows;
 *   - a thread that wants to run every 10 ms ran at least 90 % of the times (of the machine's
 * clock, which moves with every wait);
 *   - what the backend keeps mapped is within the quarantine's bound;
 *   - with the same backend, honest again, frames go both ways, after a new life if need be;
 *   - after the end pages, grants, ports, watches, threads and heap are what they were (the frame's
 *     census; in large domains the count of grants).
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include "frontends/common/xenbus.h"
#include "frontends/netfront/netfront.h"
#include "kernel/page.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "lib/base/atomic.h"
#include "tests/host/fakeback.h"
#include "tests/host/hostarch.h"
#include "tests/host/test.h"

FAKEXEN_BOOT(hostile_net)

#define BEAT (10 * NSEC_PER_MSEC)
#define MSEC NSEC_PER_MSEC

static struct fake_net net;
static struct netfront *nf;
static bool woken, resting;
static unsigned nr_frames, beats;
static uint8_t data[65536], up[65536];
static uint32_t up_len;

/* ---- the guest ---- */

static bool lies_in_its_page(const struct netfront_frag *frag)
{
    const uint8_t *first = frag->data, *page = frag->page;

    return page == NULL || (first >= page && first + frag->len <= page + PAGE_SIZE);
}

static void input(void *arg, struct netfront_frame *frame)
{
    (void)arg;
    CHECK(frame->nr_frags >= 1 && frame->nr_frags <= NETFRONT_FRAGS_MAX);
    up_len = 0;
    for (unsigned i = 0; i < frame->nr_frags; i++) {
        struct netfront_frag *frag = &frame->frag[i];

        CHECK(up_len + frag->len <= sizeof(up));
        CHECK(lies_in_its_page(frag));
        memcpy(up + up_len, frag->data, frag->len);
        up_len += frag->len;
        if (frag->page != NULL)
            netfront_give_back(nf, frag->page, frame->life);
    }
    CHECK_EQ(up_len, frame->len);
    CHECK(up_len >= 14);
    nr_frames++;
}

static void wake(void *arg)
{
    (void)arg;
    woken = true;
}

static const struct netfront_user user = {.input = input, .wake = wake};

static void beat(void *arg)
{
    (void)arg;
    while (!resting) {
        beats++;
        thread_sleep_until(time_now() + BEAT);
    }
}

/* What a driver's thread does with its wake-ups; bounded in each turn. */
static void serve(void)
{
    fakexen_settle();
    for (unsigned i = 0; woken && i < 100; i++) {
        woken = false;
        for (unsigned turns = 0; netfront_poll(nf, 16); turns++)
            CHECK(turns < 1000);
        fakexen_settle();
    }
}

static int send(unsigned len)
{
    struct netfront_frag frag = {data, (uint16_t)len, NULL};
    int rc = netfront_send(nf, &frag, 1, NETFRONT_CSUM_NONE);

    netfront_kick(nf);
    return rc;
}

static void pass(nsec_t ns)
{
    thread_sleep_until(time_now() + ns);
    serve();
}

static void live_again(void)
{
    serve();
    if (!netfront_link(nf))
        CHECK_EQ(netfront_reopen(nf, time_now() + 60 * NSEC_PER_SEC), 0);
}

/* ---- the frame of every test ---- */

static void honest_traffic(unsigned rounds)
{
    for (unsigned i = 0; i < rounds; i++) {
        unsigned len = 60 + (unsigned)test_random_below(1400), before = nr_frames;

        memset(data, (int)i, len);
        net.nr_sent = 0;
        CHECK_EQ(send(len), 0);
        CHECK(fake_net_deliver(&net, data, len, 4096, 0, 0));
        fakexen_raise(net.rx.port); /* it may be owed one */
        pass(MSEC);
        CHECK_EQ(net.nr_sent, 1);
        CHECK_MEM(net.last.data, data, len);
        CHECK_EQ(nr_frames, before + 1);
        CHECK_MEM(up, data, len);
    }
}

static void be_honest(void)
{
    net.hold_tx = net.keep_mapped = net.dev.aloof = false;
    net.tx_status = 0;
    net.tx.quiet = net.rx.quiet = net.tx.deaf = net.rx.deaf = false;
    fake_net_let_go(&net);
    for (unsigned i = 0; i < 5; i++) { /* delays of events, the quarantine */
        fake_net_run(&net);
        pass(NSEC_PER_SEC);
    }
}

/* (act)(i) for (rounds), (ms) of time after each. */
static void attack(void (*act)(unsigned i), unsigned rounds, unsigned ms)
{
    struct thread *heart;
    nsec_t start;
    unsigned before;

    fake_net_create(&net, "0");
    CHECK_EQ(netfront_create("0", &user, &nf), 0);
    CHECK_EQ(netfront_open(nf), 0);
    CHECK_EQ(thread_create("heart", PRIO_NORMAL, 0, beat, NULL, &heart), 0);
    honest_traffic(20);
    start = time_now();
    before = beats;
    for (unsigned i = 0; i < rounds; i++) {
        act(i);
        pass(ms * MSEC);
        CHECK(grant_count_quarantined() <= page_count_total() / 16 + 600);
        if (!netfront_link(nf))
            (void)!netfront_reopen(nf, time_now() + 20 * NSEC_PER_SEC);
    }
    CHECK((beats - before) * BEAT * 10 >= (time_now() - start) * 9);
    be_honest();
    if (net.hostile || net.rx.page == NULL || net.rx.page->req_prod == net.rx.req_cons ||
        !netfront_link(nf))
        netfront_close(nf); /* nothing is posted, or rubbish: it begins anew */
    net.hostile = false;
    live_again();
    honest_traffic(50);
    resting = true;
    thread_join(heart);
    netfront_destroy(nf);
    fake_net_destroy(&net);
    fakexen_store_rm(FAKE_HOME "/error");
    fakexen_settle();
    host_advance(10 * NSEC_PER_SEC);
    CHECK_EQ(grant_count_quarantined(), 0);
}

static bool posted(void)
{
    return net.rx.page != NULL && net.rx.page->req_prod != net.rx.req_cons;
}

static void answer(unsigned id_lie, unsigned offset, unsigned flags, int status)
{
    if (posted())
        fake_net_answer(&net, id_lie, offset, flags, status);
}

static void push(void)
{
    if (net.rx.page != NULL)
        fake_net_push(&net);
    if (net.tx.page != NULL)
        back_ring_push(&net.tx);
}

/* ---- indices ---- */

static void jump(unsigned i)
{
    static const uint32_t by[] = {1u << 31, 257, 1, 0xffffffff, 256, 128, 0x7fffffff};

    if (net.rx.page == NULL)
        return;
    (i % 2 ? &net.tx : &net.rx)->page->rsp_prod += by[i / 2 % 7];
    fakexen_raise(net.rx.port);
}

TEST(hostile_net, producer_that_jumps)
{
    attack(jump, 28, 50);
}

static void scribble_over_ours(unsigned i)
{
    if (net.tx.page == NULL)
        return;
    net.tx.page->req_event = net.tx.page->rsp_event = (uint32_t)test_random();
    net.rx.page->req_event = net.rx.page->rsp_event = (uint32_t)test_random();
    (void)!send(100 + i);
    fakexen_raise(net.tx.port);
}

TEST(hostile_net, events_indices_at_random)
{
    attack(scribble_over_ours, 300, 2);
}

/* ---- ids and lengths ---- */

static void lie_about_transmission(unsigned i)
{
    static const unsigned ids[] = {0, 1, 255, 256, 511, 32768, 65535};
    static const int statuses[] = {0, -1, -2, 1, 2, 32767, -32768};

    net.hold_tx = true;
    if (net.tx.page == NULL)
        return;
    for (unsigned n = 0; n < 4; n++)
        (void)!send(1000);
    fake_net_answer_tx(&net, ids[i % 7], statuses[i / 7 % 7]);
    push();
}

TEST(hostile_net, transmit_ids_and_statuses)
{
    attack(lie_about_transmission, 98, 20);
}

static void lie_about_reception(unsigned i)
{
    static const unsigned offsets[] = {0, 1, 4095, 4096, 65535};
    static const int statuses[] = {4096, 0, 1, 13, 32767, -1, -32768};

    answer(i % 11 == 0, offsets[i % 5], i % 3 ? 0 : NETRXF_more_data, statuses[i / 5 % 7]);
    push();
}

TEST(hostile_net, receive_ids_offsets_and_lengths)
{
    attack(lie_about_reception, 140, 20);
}

static void endless(unsigned i)
{
    for (unsigned n = 0; n < 15 + i % 5; n++)
        answer(0, 0, NETRXF_more_data, i % 2 ? 100 : -1);
    push();
}

TEST(hostile_net, chains_that_do_not_end)
{
    attack(endless, 60, 20);
}

static void notes(unsigned i)
{
    answer(0, 0, NETRXF_extra_info | (i % 2 ? NETRXF_more_data : 0), 1000);
    for (unsigned n = 0; n < 1 + i % 4 && posted(); n++)
        fake_net_answer_extra(&net, i % 9, i / 9 % 3);
    push();
}

TEST(hostile_net, notes_of_every_kind)
{
    attack(notes, 108, 20);
}

/* Checksums that are not there, segments that were not agreed on, frames of impossible sizes: lies
 * that a frontend cannot see; they must not be more than frames. */
static void lies_in_good_form(unsigned i)
{
    static const unsigned sizes[] = {14, 60, 1514, 4096, 9000, 30000, 65535};
    unsigned flags[] = {0, NETRXF_csum_blank, NETRXF_data_validated, 3};

    if (posted())
        (void)fake_net_deliver(&net, data, sizes[i % 7], i % 3 ? 4096 : 3700, 0, flags[i / 7 % 4]);
}

TEST(hostile_net, lies_in_good_form)
{
    attack(lies_in_good_form, 200, 2);
    CHECK(nr_frames >= 200);
}

/* ---- twice read is once too often ---- */

static volatile bool flipping;

/* Another processor: all that lies in the slots changes at full speed. */
static void *flip(void *arg)
{
    struct back_ring_page *page = arg;
    uint64_t n = 0;

    while (flipping) {
        struct netif_rx_response *rsp = (void *)(page->slot + n % 256 * 8);

        store_relaxed(&rsp->offset, (uint16_t)(n & 1 ? 0 : 65535));
        store_relaxed(&rsp->status, (int16_t)(n & 2 ? 100 : 32767));
        store_relaxed(&rsp->flags, (uint16_t)(n & 4 ? 0 : 31));
        n++;
    }
    return NULL;
}

static void answer_while_flipped(unsigned i)
{
    pthread_t t;

    (void)i;
    if (net.rx.page == NULL)
        return;
    net.hostile = true; /* it spoils requests, too */
    flipping = true;
    CHECK_EQ(pthread_create(&t, NULL, flip, net.rx.page), 0);
    for (unsigned n = 0; n < 40 && posted(); n++) {
        answer(0, 0, 0, 100);
        push();
        serve();
    }
    flipping = false;
    pthread_join(t, NULL);
}

TEST(hostile_net, slots_that_change_while_they_are_read)
{
    attack(answer_while_flipped, 60, 1);
}

/* ---- pages ---- */

static void keep_everything(unsigned i)
{
    net.keep_mapped = true;
    if (posted())
        (void)fake_net_deliver(&net, data, 1514 + i % 3 * 3000, 4096, 0, 0);
    (void)!send(1514);
}

TEST(hostile_net, pages_that_stay_mapped)
{
    attack(keep_everything, 400, 5);
    CHECK_EQ(grant_count_used(), 0);
    test_pass(); /* the grant table has grown by a page */
}

static void keep_rings(unsigned i)
{
    static gref_t ring;
    static struct back_ring_page *page;

    (void)i;
    if (page != NULL) {
        memset(page, 0xff, 4096); /* the next life has others */
        fake_grant_unmap(ring, true);
        page = NULL;
    } else if (net.rx.page != NULL) {
        ring = net.rx.ref;
        page = fake_grant_map(ring, true);
        fake_dev_set_state(&net.dev, XenbusStateClosing);
    }
}

TEST(hostile_net, rings_of_an_earlier_life)
{
    attack(keep_rings, 40, 500);
}

/* Everything that is granted, byte by byte. */
static void look_for_canaries(unsigned i)
{
    static uint8_t page[4096], canary[16];

    memset(canary, 0xca, sizeof(canary));
    memset(data, 0xcb, 64); /* what it may see: our frame */
    net.hold_tx = i % 2;
    (void)!send(64);
    for (gref_t ref = 8; ref < 600; ref++) {
        if (!fake_grant_is_to(ref, 0))
            continue;
        CHECK_EQ(fake_grant_read(ref, 0, page, 4096), 0);
        CHECK(memmem(page, 4096, canary, sizeof(canary)) == NULL);
    }
}

TEST(hostile_net, eyes_that_search_granted_pages)
{
    void *stale[1024];

    for (unsigned i = 0; i < 1024; i++) {
        stale[i] = page_alloc();
        memset(stale[i], 0xca, PAGE_SIZE);
    }
    for (unsigned i = 0; i < 1024; i++)
        page_free(stale[i]);
    attack(look_for_canaries, 50, 5);
}

/* ---- events, or none ---- */

static void storm(unsigned i)
{
    (void)i;
    for (unsigned n = 0; n < 500 && net.rx.page != NULL; n++) {
        fakexen_raise(net.rx.port);
        fakexen_raise(net.tx.port);
    }
}

TEST(hostile_net, storm_of_events)
{
    attack(storm, 400, 3);
}

static void drip(unsigned i)
{
    answer(0, 0, 0, i % 2 ? -1 : 13); /* work, of a kind */
    if (net.rx.page != NULL)
        net.rx.page->rsp_prod = net.rx.rsp_prod;
    if (net.rx.page != NULL)
        fakexen_raise(net.rx.port);
}

TEST(hostile_net, one_bad_answer_with_each_event)
{
    attack(drip, 500, 10);
}

static void never_answer(unsigned i)
{
    net.hold_tx = true;
    for (unsigned n = 0; n < 20; n++) {
        int rc = send(1514);

        CHECK(rc == 0 || rc == -ENOBUFS || rc == -ENETDOWN);
    }
    (void)i;
}

TEST(hostile_net, frames_that_are_never_answered)
{
    attack(never_answer, 100, 20);
}

static void without_events(unsigned i)
{
    net.rx.quiet = net.tx.quiet = net.rx.deaf = net.tx.deaf = true;
    (void)!send(100);
    if (posted())
        CHECK(fake_net_deliver(&net, data, 100 + i, 4096, 0, 0));
    fake_net_run(&net);
}

TEST(hostile_net, backend_that_neither_sends_nor_wants_events)
{
    unsigned before = nr_frames;

    attack(without_events, 200, 300); /* the second's look is enough */
    CHECK(nr_frames - before >= 200);
}

/* ---- the store ---- */

static void states_at_random(unsigned i)
{
    (void)!send(1514);
    for (unsigned n = 0; n < 1 + i % 20; n++)
        fake_dev_set_state(&net.dev, (unsigned)test_random_below(9));
}

TEST(hostile_net, storm_of_states)
{
    attack(states_at_random, 300, 3);
}

static void nonsense_in_nodes(unsigned i)
{
    static const char *const keys[] = {"feature-sg",
                                       "feature-gso-tcpv4",
                                       "multi-queue-max-queues",
                                       "feature-split-event-channels",
                                       "feature-rx-copy",
                                       "state"};
    static char values[8][4200] = {"", "-1", "4294967296", "1e9", "\x01\xff", "0x1", " 1"};

    memset(values[7], '9', 4000);
    fake_dev_set_back(&net.dev, keys[i % 6], values[i / 6 % 8]);
    if (i % 6 != 5)
        fake_dev_set_state(&net.dev, XenbusStateClosing);
}

static void features_again(unsigned i)
{
    nonsense_in_nodes(i);
    if (i % 7 != 6)
        return;
    fake_dev_set_back(&net.dev, "feature-rx-copy", "1");
    fake_dev_set_back(&net.dev, "feature-sg", "1");
    fake_dev_set_state(&net.dev, XenbusStateInitWait);
}

TEST(hostile_net, nodes_of_nonsense)
{
    attack(features_again, 48 * 7, 100);
}

static void features_flap(unsigned i)
{
    net.hold_tx = i % 2;
    for (unsigned n = 0; n < 5; n++)
        (void)!send(60000);
    fake_dev_set_back(&net.dev, "feature-sg", i % 3 ? "1" : "0");
    fake_dev_set_back(&net.dev, "feature-split-event-channels", i % 5 < 2 ? "1" : "0");
    fake_dev_set_back(&net.dev, "feature-gso-tcpv4", i % 7 < 3 ? "1" : "0");
    fake_dev_set_state(&net.dev, XenbusStateClosed);
}

TEST(hostile_net, features_that_flap)
{
    attack(features_flap, 60, 2500);
}

static void vanish(unsigned i)
{
    (void)!send(1514);
    if (i % 2)
        fake_net_destroy(&net);
    else if (fakexen_store_get(net.dev.front) == NULL)
        fake_net_create(&net, "0");
}

TEST(hostile_net, devices_that_vanish_and_return)
{
    attack(vanish, 41, 1500);
}
