/* SPDX-License-Identifier: BSD-2-Clause */
/* frontends/netfront against a hostile backend. */
#include "tests/host/netrig.h"

#include <string.h>
#include "kernel/grant.h"
#include "kernel/page.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "lib/base/errno.h"
#include "tests/host/hostarch.h"
#include "tests/host/test.h"

/* The device is out of service, everybody was told, and it closes. */
static void expect_broken(const char *why)
{
    run_vif();
    CHECK(!vif_info().link);
    CHECK(host_logged("vif/0: the backend broke the protocol: "));
    if (!host_logged(why))
        test_fail(__FILE__, __LINE__, "not because of: %s", why);
    CHECK(fakexen_store_get(FAKE_HOME "/error/device/vif/0/error") != NULL);
    CHECK_EQ(send_pattern(100, NETFRONT_CSUM_NONE), -ENETDOWN);
    end_vif();
}

TEST(netfront, hostile_receive_indices)
{
    static const uint32_t jumps[] = {0x80000000, 0x7fffffff, 257, 256, 129, 0xffffffff, 0xfffffff0};

    for (unsigned i = 0; i < ARRAY_SIZE(jumps); i++) {
        begin_vif();
        net.rx.page->rsp_prod += jumps[i];
        fakexen_raise(net.rx.port);
        expect_broken("more received slots than were posted");
    }
}

TEST(netfront, hostile_transmit_indices)
{
    static const uint32_t jumps[] = {0x80000000, 257, 256, 6, 0xffffffff};

    for (unsigned i = 0; i < ARRAY_SIZE(jumps); i++) {
        begin_vif();
        net.hold_tx = true;
        for (unsigned n = 0; n < 5; n++)
            CHECK_EQ(send_pattern(100, NETFRONT_CSUM_NONE), 0);
        net.tx.page->rsp_prod += jumps[i];
        fakexen_raise(net.tx.port);
        expect_broken("more answers than frames sent");
    }
}

TEST(netfront, hostile_answers_to_frames_never_sent)
{
    begin_vif();
    net.tx.page->rsp_prod++;
    fakexen_raise(net.tx.port);
    expect_broken("more answers than frames sent");
}

/* Send two frames, answer with (first) and, if it is not negative, (second) plus the first one's
 * id. */
static void answer_two(int first, int second)
{
    struct netif_tx_request req;
    unsigned id;

    begin_vif();
    net.hold_tx = true;
    CHECK_EQ(send_pattern(100, NETFRONT_CSUM_NONE), 0);
    CHECK_EQ(send_pattern(100, NETFRONT_CSUM_NONE), 0);
    CHECK(back_ring_take(&net.tx, &req, sizeof(req)));
    id = req.id;
    fake_net_answer_tx(&net, id + (unsigned)first, NETIF_RSP_OKAY);
    if (second >= 0)
        fake_net_answer_tx(&net, id + (unsigned)second, NETIF_RSP_OKAY);
    back_ring_push(&net.tx);
    fakexen_raise(net.tx.port);
    expect_broken("answer to a frame that was not sent");
}

TEST(netfront, hostile_transmit_ids)
{
    static const int lies[] = {2, 100, 256, 512, 65280, 65535, 32768};

    for (unsigned i = 0; i < ARRAY_SIZE(lies); i++)
        answer_two(lies[i], -1);
}

TEST(netfront, hostile_transmit_id_twice)
{
    answer_two(0, 0);
}

TEST(netfront, hostile_transmit_status)
{
    static const int lies[] = {NETIF_RSP_NULL, 2, 32767};

    for (unsigned i = 0; i < ARRAY_SIZE(lies); i++) {
        struct netif_tx_request req;

        begin_vif();
        net.hold_tx = true;
        CHECK_EQ(send_pattern(100, NETFRONT_CSUM_NONE), 0);
        CHECK(back_ring_take(&net.tx, &req, sizeof(req)));
        fake_net_answer_tx(&net, req.id, lies[i]);
        back_ring_push(&net.tx);
        fakexen_raise(net.tx.port);
        expect_broken("impossible status");
    }
}

/* Of a frame's three slots one alone failed: the frame counts by its first, and all three pages are
 * of use again, once. */
TEST(netfront, hostile_transmit_status_of_one_slot_alone)
{
    static const int lies[] = {NETIF_RSP_ERROR, NETIF_RSP_DROPPED, -32768};

    begin_vif();
    for (unsigned i = 0; i < 300; i++) {
        struct netif_tx_request req;

        net.hold_tx = true;
        CHECK_EQ(send_pattern(9000, NETFRONT_CSUM_NONE), 0);
        for (unsigned slot = 0; slot < 3; slot++) {
            CHECK(back_ring_take(&net.tx, &req, sizeof(req)));
            fake_net_answer_tx(&net, req.id, slot == i % 3 ? lies[i / 3 % 3] : NETIF_RSP_OKAY);
        }
        back_ring_push(&net.tx);
        run_vif();
    }
    net.hold_tx = false;
    exchange(50);
    CHECK_EQ(vif_info().tx_dropped, 100);
    CHECK(vif_info().link);
    end_vif();
}

TEST(netfront, hostile_receive_ids)
{
    static const unsigned lies[] = {1, 128, 255, 256, 32768, 65535};

    for (unsigned i = 0; i < ARRAY_SIZE(lies); i++) {
        begin_vif();
        fake_net_answer(&net, lies[i], 0, 0, 100);
        fake_net_push(&net);
        expect_broken("id of another receive slot");
    }
}

TEST_RAM(netfront, hostile_receive_id_in_a_full_ring, 8192)
{
    begin_vif();
    CHECK_EQ(net.rx.page->req_prod, 256);
    fake_net_answer(&net, 0, 0, 0, 100);
    fake_net_answer(&net, 1, 0, 0, 100);
    fake_net_push(&net);
    expect_broken("id of another receive slot");
}

TEST(netfront, hostile_receive_offsets_and_lengths)
{
    static const struct {
        unsigned offset;
        int status;
    } lies[] = {{4095, 4096}, {4095, 2},      {1, 4096}, {0, 4097},
                {65535, 1},   {65535, 32767}, {4096, 1}, {0, 32767}};

    for (unsigned i = 0; i < ARRAY_SIZE(lies); i++) {
        begin_vif();
        fake_net_answer(&net, 0, lies[i].offset, 0, lies[i].status);
        fake_net_push(&net);
        expect_broken("beyond the end of its page");
    }
}

TEST(netfront, hostile_runts_and_failures_are_dropped)
{
    static const int statuses[] = {0, 1, 13, -1, -2, -3, -32768};

    begin_vif();
    for (unsigned i = 0; i < ARRAY_SIZE(statuses); i++) {
        fake_net_answer(&net, 0, 65535 * (statuses[i] < 0), 0, statuses[i]);
        fake_net_push(&net);
        run_vif();
        CHECK_EQ(vif_info().rx_dropped, i + 1);
    }
    CHECK_EQ(nr_frames, 0);
    CHECK(vif_info().link);
    end_vif();
}

TEST(netfront, hostile_chain_of_too_many_slots)
{
    begin_vif();
    for (unsigned i = 0; i < 19; i++)
        fake_net_answer(&net, 0, 0, NETRXF_more_data, 100);
    fake_net_push(&net);
    expect_broken("received frame of too many slots");
    CHECK_EQ(nr_frames, 0);
}

TEST(netfront, hostile_chain_of_failures_is_bounded_too)
{
    begin_vif();
    for (unsigned i = 0; i < 19; i++)
        fake_net_answer(&net, 0, 0, NETRXF_more_data, NETIF_RSP_ERROR);
    fake_net_push(&net);
    expect_broken("received frame of too many slots");
}

TEST(netfront, hostile_chain_that_never_ends_is_given_back_at_close)
{
    begin_vif();
    for (unsigned i = 0; i < 18; i++)
        fake_net_answer(&net, 0, 0, NETRXF_more_data, 300);
    fake_net_push(&net);
    run_vif();
    CHECK_EQ(nr_frames, 0);
    CHECK(vif_info().link);
    end_vif();
}

TEST(netfront, hostile_frame_longer_than_any_is_dropped)
{
    begin_vif();
    for (unsigned i = 0; i < 17; i++)
        fake_net_answer(&net, 0, 0, i < 16 ? NETRXF_more_data : 0, 4096);
    fake_net_push(&net);
    run_vif();
    CHECK_EQ(nr_frames, 0);
    CHECK_EQ(vif_info().rx_dropped, 1);
    end_vif();
}

TEST(netfront, hostile_extra_infos)
{
    static const struct {
        unsigned type, flags;
        const char *why;
    } lies[] = {
        {XEN_NETIF_EXTRA_TYPE_NONE, 0, "unknown type"},
        {XEN_NETIF_EXTRA_TYPE_MAX, 0, "unknown type"},
        {255, 255, "unknown type"},
        {XEN_NETIF_EXTRA_TYPE_MCAST_ADD, 0, "not negotiated"},
        {XEN_NETIF_EXTRA_TYPE_MCAST_DEL, XEN_NETIF_EXTRA_FLAG_MORE, "not negotiated"},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(lies); i++) {
        begin_vif();
        fake_net_answer(&net, 0, 0, NETRXF_extra_info, 1000);
        fake_net_answer_extra(&net, lies[i].type, lies[i].flags);
        fake_net_push(&net);
        expect_broken(lies[i].why);
    }
    CHECK_EQ(nr_frames, 0);
}

TEST(netfront, hostile_chain_of_extra_infos)
{
    begin_vif();
    fake_net_answer(&net, 0, 0, NETRXF_extra_info, 1000);
    for (unsigned i = 0; i < 3; i++)
        fake_net_answer_extra(&net, XEN_NETIF_EXTRA_TYPE_HASH, XEN_NETIF_EXTRA_FLAG_MORE);
    fake_net_push(&net);
    expect_broken("extra info twice");
}

/* TCP takes a frame whole, however it is to be cut: nobody looks at what that says. */
TEST(netfront, hostile_cutting_of_nonsense_is_not_looked_at)
{
    static const unsigned sizes[] = {0, 1, 13, 999, 1000, 65535};
    static const unsigned types[] = {XEN_NETIF_GSO_TYPE_NONE, XEN_NETIF_GSO_TYPE_TCPV4,
                                     XEN_NETIF_GSO_TYPE_TCPV6, 3, 255};

    begin_vif();
    for (unsigned i = 0; i < ARRAY_SIZE(sizes) * ARRAY_SIZE(types); i++) {
        gref_t ref = fake_net_answer(&net, 0, 0, NETRXF_extra_info, 1000);

        fill_pattern(i);
        CHECK_EQ(fake_grant_write(ref, 0, pattern, 1000), 0);
        fake_net_answer_gso(&net, sizes[i % ARRAY_SIZE(sizes)], types[i / ARRAY_SIZE(sizes)]);
        fake_net_push(&net);
        run_vif();
        CHECK_EQ(nr_frames, i + 1);
        CHECK_EQ(last.len, 1000);
        CHECK_MEM(last_data, pattern, 1000);
    }
    CHECK(vif_info().link);
    end_vif();
}

TEST(netfront, hostile_segmentation_prefix)
{
    begin_vif();
    fake_net_answer(&net, 0, 0, NETRXF_gso_prefix | NETRXF_more_data, 1000);
    fake_net_push(&net);
    expect_broken("segmentation prefix");
}

TEST(netfront, hostile_mappings_lose_frames_but_no_pages)
{
    begin_vif();
    net.keep_mapped = true;
    CHECK(fake_net_deliver(&net, pattern, 5000, 4096, 0, 0));
    CHECK(fake_net_deliver(&net, pattern, 1514, 4096, 0, 0));
    net.keep_mapped = false;
    CHECK(fake_net_deliver(&net, pattern, 1514, 4096, 0, 0));
    run_vif();
    CHECK_EQ(nr_frames, 1);
    CHECK_EQ(vif_info().rx_dropped, 2);
    CHECK_EQ(grant_count_quarantined(), 3);
    fake_net_let_go(&net);
    host_advance(2 * NSEC_PER_SEC);
    CHECK_EQ(grant_count_quarantined(), 0);
    CHECK(vif_info().link);
    end_vif();
}

TEST(netfront, hostile_mappings_are_bounded)
{
    begin_vif();
    net.keep_mapped = true;
    for (unsigned i = 0; i < 1000 && net.rx.page != NULL; i++) {
        (void)fake_net_deliver(&net, pattern, 1514, 4096, 0, 0);
        run_vif();
    }
    CHECK_EQ(nr_frames, 0);
    CHECK(net.nr_kept <= 257);
    CHECK(grant_count_quarantined() <= 257);
    expect_broken("keeps received pages mapped");
    CHECK_EQ(grant_count_quarantined(), 0);
    test_pass(); /* the grant table has grown by a page */
}

TEST(netfront, hostile_mappings_of_transmit_pages_do_no_harm)
{
    begin_vif();
    net.keep_mapped = true;
    for (unsigned i = 0; i < 200; i++) {
        CHECK_EQ(send_pattern(4000, NETFRONT_CSUM_NONE), 0);
        netfront_kick(nf);
        run_vif();
    }
    CHECK_EQ(net.nr_sent, 200);
    netfront_destroy(nf);
    nf = NULL;
    CHECK(grant_count_quarantined() > 0);
    end_vif();
    CHECK_EQ(grant_count_quarantined(), 0);
}

TEST(netfront, hostile_ring_pages_stay_out_of_the_next_life)
{
    struct back_ring_page *old;
    gref_t ref;

    begin_vif();
    ref = net.rx.ref;
    old = fake_grant_map(ref, true);
    netfront_destroy(nf);
    CHECK_EQ(open_vif(), 0);
    CHECK(net.rx.page != old);
    memset(old, 0xff, 4096);
    exchange(20);
    fake_grant_unmap(ref, true);
    end_vif();
}

TEST(netfront, hostile_scribbling_over_our_indices_has_no_effect)
{
    begin_vif();
    for (unsigned i = 0; i < 300; i++) {
        net.tx.page->req_event = (uint32_t)test_random();
        net.rx.page->req_event = (uint32_t)test_random();
        net.tx.page->rsp_event = (uint32_t)test_random();
        net.rx.page->rsp_event = (uint32_t)test_random();
        net.tx.page->req_prod = net.rx.page->req_prod = (uint32_t)test_random();
        CHECK_EQ(send_pattern(100, NETFRONT_CSUM_NONE), 0);
        fill_pattern(i);
        net.rx.page->req_prod = net.rx.req_cons + 1; /* for the fake's own checks */
        CHECK(fake_net_deliver(&net, pattern, 1000, 4096, 0, 0));
        fakexen_raise(net.rx.port);
        CHECK_EQ(net.tx.page->req_prod - net.tx.req_cons, 1);
        fake_net_run(&net);
        run_vif();
        CHECK_EQ(nr_frames, i + 1);
        CHECK_MEM(last_data, pattern, 1000);
    }
    end_vif();
}

TEST(netfront, hostile_event_storm_costs_little)
{
    uint64_t events;

    begin_vif();
    events = vif_info().events;
    for (unsigned i = 0; i < 100000; i++) {
        fakexen_raise(net.rx.port);
        if (i % 10 == 0) {
            host_advance(100000); /* 0.1 ms */
            run_vif();
        }
    }
    CHECK(vif_info().events - events < 1000);
    host_advance(2 * NSEC_PER_SEC);
    exchange(100);
    CHECK(vif_info().link);
    end_vif();
}

/* Two senders for a minute, with channels of their own or one for both. Two seconds later each
 * frame is taken at its event: no traffic waits as long as the shortest delay of events. */
TEST(netfront, hostile_event_storm_of_a_minute_is_forgotten)
{
    for (unsigned split = 0; split < 2; split++) {
        uint64_t events;
        nsec_t start;

        fake_net_create(&net, "0");
        fake_dev_set_back(&net.dev, "feature-split-event-channels", split ? "1" : "0");
        CHECK_EQ(open_vif(), 0);
        events = vif_info().events;
        for (unsigned ms = 0; ms < 60 * 1000; ms++) {
            fakexen_raise(net.rx.port);
            fakexen_raise(net.tx.port);
            host_advance(NSEC_PER_MSEC);
            if (ms % 10 == 0)
                run_vif();
        }
        CHECK(vif_info().events - events <= (split + 1) * (12 + 60));
        thread_sleep_until(time_now() + 2 * NSEC_PER_SEC);
        start = time_now();
        exchange(500);
        CHECK(time_now() - start < NSEC_PER_MSEC);
        end_vif();
    }
}

TEST(netfront, hostile_eyes_find_nothing_in_granted_pages)
{
    static uint8_t page[4096], secret[4096];
    void *stale[512];

    memset(secret, 0xca, sizeof(secret));
    for (unsigned i = 0; i < 512; i++)
        memcpy(stale[i] = page_alloc(), secret, 4096);
    for (unsigned i = 0; i < 512; i++)
        page_free(stale[i]);
    begin_vif();
    memset(pattern, 0xcb, sizeof(pattern));
    net.hold_tx = true;
    CHECK_EQ(send_pattern(20, NETFRONT_CSUM_NONE), 0);
    for (gref_t ref = 8; ref < 600; ref++) {
        if (!fake_grant_is_to(ref, 0))
            continue;
        CHECK_EQ(fake_grant_read(ref, 0, page, 4096), 0);
        CHECK(memchr(page, 0xca, 4096) == NULL);
        CHECK(memchr(page, 0xcb, 4096) == NULL || page[20] == 0);
    }
    end_vif();
}

TEST(netfront, hostile_state_storm_under_load)
{
    begin_vif();
    for (unsigned i = 0; i < 500; i++) {
        (void)!send_pattern(1514, NETFRONT_CSUM_NONE);
        fake_dev_set_state(&net.dev, (unsigned)test_random_below(9));
        run_vif();
    }
    CHECK(!vif_info().link);
    end_vif();
}

/* Anything may come, in any order: nothing may break on our side, and nothing be left. */
static void misbehave(void)
{
    uint64_t r = test_random();
    int status = (int)test_random_below(3) ? (int)test_random_below(4200) : (int)(int16_t)r;
    unsigned flags = r >> 16 & (r >> 40 & 1 ? 31 : NETRXF_more_data);

    if (net.rx.page == NULL || net.rx.page->req_prod == net.rx.req_cons)
        return;
    if ((r >> 20) % 20 == 0)
        fake_net_answer_extra(&net, (unsigned)(r >> 24 & 7), (unsigned)(r >> 28 & 1));
    else
        fake_net_answer(&net, (r >> 32) % 50 == 0, (unsigned)(r >> 41) % 200, flags, status);
    fake_net_push(&net);
}

TEST(netfront, hostile_random_answers)
{
    unsigned lives = 0;

    fake_net_create(&net, "0");
    for (unsigned i = 0; i < 150; i++) {
        CHECK_EQ(open_vif(), 0);
        net.keep_mapped = i % 5 == 0;
        for (unsigned n = 0; n < 60; n++) {
            misbehave();
            if (n % 4 == 0)
                run_vif();
        }
        lives += vif_info().link;
        netfront_destroy(nf);
        fake_net_let_go(&net);
        fakexen_settle();
        host_advance(2 * NSEC_PER_SEC);
    }
    CHECK(lives < 150);
    nf = NULL;
    end_vif();
}
