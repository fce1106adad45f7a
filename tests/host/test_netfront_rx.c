/* SPDX-License-Identifier: BSD-2-Clause */
/* frontends/netfront receives: pages that are handed up, and frames of many of them. */
#include "tests/host/netrig.h"

#include "kernel/grant.h"
#include "tests/host/hostarch.h"
#include "tests/host/test.h"

TEST(netfront, hands_up_a_page_without_copying)
{
    begin_vif();
    fill_pattern(1);
    CHECK(fake_net_deliver(&net, pattern, 1514, 4096, 0, 0));
    run_vif();
    CHECK_EQ(nr_frames, 1);
    CHECK_EQ(nr_pages_up, 1);
    CHECK_EQ(last.len, 1514);
    CHECK_MEM(last_data, pattern, 1514);
    end_vif();
}

TEST(netfront, copies_a_small_frame_and_posts_its_page_again)
{
    unsigned grants;

    begin_vif();
    grants = grant_count_used();
    fill_pattern(2);
    CHECK(fake_net_deliver(&net, pattern, 256, 4096, 100, 0));
    run_vif();
    CHECK_EQ(nr_frames, 1);
    CHECK_EQ(nr_pages_up, 0);
    CHECK(last.frag[0].page == NULL);
    CHECK_MEM(last_data, pattern, 256);
    CHECK_EQ(grant_count_used(), grants);
    end_vif();
}

TEST(netfront, puts_frames_of_many_slots_together)
{
    static const struct {
        unsigned len, piece, offset;
    } cases[] = {
        {4097, 4096, 0}, {65535, 4096, 0}, {60000, 4000, 96},  {18 * 100, 100, 7},
        {28, 14, 4000},  {9014, 4096, 0},  {65535, 3641, 400},
    };

    begin_vif();
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        fill_pattern(i);
        CHECK(fake_net_deliver(&net, pattern, cases[i].len, cases[i].piece, cases[i].offset, 0));
        run_vif();
        CHECK_EQ(nr_frames, i + 1);
        CHECK_EQ(last.len, cases[i].len);
        CHECK_MEM(last_data, pattern, cases[i].len);
    }
    end_vif();
}

TEST(netfront, puts_a_frame_together_that_comes_in_two_polls)
{
    gref_t ref;

    begin_vif();
    ref = fake_net_answer(&net, 0, 0, NETRXF_more_data | NETRXF_csum_blank, 1000);
    CHECK_EQ(fake_grant_write(ref, 0, pattern, 1000), 0);
    fake_net_push(&net);
    run_vif();
    CHECK_EQ(nr_frames, 0);
    ref = fake_net_answer(&net, 0, 0, 0, 500);
    CHECK_EQ(fake_grant_write(ref, 0, pattern + 1000, 500), 0);
    fake_net_push(&net);
    run_vif();
    CHECK_EQ(nr_frames, 1);
    CHECK_EQ(last.len, 1500);
    CHECK_EQ(last.csum, NETFRONT_CSUM_BLANK);
    CHECK_MEM(last_data, pattern, 1500);
    end_vif();
}

TEST(netfront, passes_checksum_notes_up)
{
    static const struct {
        unsigned flags;
        enum netfront_csum csum;
    } cases[] = {
        {0, NETFRONT_CSUM_NONE},
        {NETRXF_data_validated, NETFRONT_CSUM_VALIDATED},
        {NETRXF_csum_blank, NETFRONT_CSUM_BLANK},
        {NETRXF_csum_blank | NETRXF_data_validated, NETFRONT_CSUM_BLANK},
    };

    begin_vif();
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        CHECK(fake_net_deliver(&net, pattern, 5000, 4096, 0, cases[i].flags));
        CHECK(fake_net_deliver(&net, pattern, 60, 4096, 0, cases[i].flags));
        run_vif();
        CHECK_EQ(nr_frames, 2 * (i + 1));
        CHECK_EQ(last.csum, cases[i].csum);
    }
    end_vif();
}

TEST(netfront, skips_extra_infos_that_do_no_harm)
{
    gref_t ref;

    begin_vif();
    ref = fake_net_answer(&net, 0, 0, NETRXF_extra_info | NETRXF_more_data, 4096);
    CHECK_EQ(fake_grant_write(ref, 0, pattern, 4096), 0);
    fake_net_answer_extra(&net, XEN_NETIF_EXTRA_TYPE_HASH, 0);
    ref = fake_net_answer(&net, 0, 0, 0, 904);
    CHECK_EQ(fake_grant_write(ref, 0, pattern + 4096, 904), 0);
    ref = fake_net_answer(&net, 0, 0, NETRXF_extra_info, 100);
    fake_net_push(&net);
    run_vif();
    CHECK_EQ(nr_frames, 1);
    CHECK_EQ(last.len, 5000);
    CHECK_MEM(last_data, pattern, 5000);
    fake_net_answer_extra(&net, XEN_NETIF_EXTRA_TYPE_HASH, 0); /* in another poll */
    fake_net_push(&net);
    run_vif();
    CHECK_EQ(nr_frames, 2);
    CHECK_EQ(last.len, 100);
    CHECK_EQ(net.rx.page->req_prod - net.rx.req_cons, 128);
    end_vif();
}

TEST(netfront, takes_a_segment_larger_than_the_mtu_whole)
{
    gref_t ref;

    begin_vif();
    ref = fake_net_answer(&net, 0, 0, NETRXF_extra_info | NETRXF_more_data, 4096);
    CHECK_EQ(fake_grant_write(ref, 0, pattern, 4096), 0);
    fake_net_answer_extra(&net, XEN_NETIF_EXTRA_TYPE_GSO, XEN_NETIF_EXTRA_FLAG_MORE);
    fake_net_answer_extra(&net, XEN_NETIF_EXTRA_TYPE_HASH, 0);
    for (unsigned at = 4096; at < 65000; at += 4096) {
        unsigned n = MIN(65000 - at, 4096u), more = at + n < 65000 ? NETRXF_more_data : 0;

        ref = fake_net_answer(&net, 0, 0, more, (int)n);
        CHECK_EQ(fake_grant_write(ref, 0, pattern + at, n), 0);
    }
    fake_net_push(&net);
    run_vif();
    CHECK_EQ(nr_frames, 1);
    CHECK_EQ(last.len, 65000);
    CHECK_MEM(last_data, pattern, 65000);
    end_vif();
}

TEST(netfront, keeps_to_its_budget)
{
    begin_vif();
    for (unsigned i = 0; i < 10; i++)
        CHECK(fake_net_deliver(&net, pattern, 600, 4096, 0, 0));
    CHECK(netfront_poll(nf, 4));
    CHECK_EQ(nr_frames, 4);
    CHECK(netfront_poll(nf, 4));
    CHECK_EQ(nr_frames, 8);
    CHECK(!netfront_poll(nf, 4));
    CHECK_EQ(nr_frames, 10);
    end_vif();
}

/* How many notifications the backend got over the channel for reception. */
static unsigned nr_rx_notes(void)
{
    return fakexen_count_notified(net.rx.port);
}

static void begin_split_vif(void)
{
    fake_net_create(&net, "0");
    fake_dev_set_back(&net.dev, "feature-split-event-channels", "1");
    CHECK_EQ(open_vif(), 0);
}

/* As feature-rx-notify promises. */
TEST(netfront, tells_a_backend_that_waits_for_pages_and_no_other)
{
    struct netif_rx_request req;
    unsigned before;

    begin_split_vif();
    for (unsigned i = 1; i <= 10; i++) {
        before = nr_rx_notes();
        CHECK(fake_net_deliver(&net, pattern, 1514, 4096, 0, 0));
        run_vif();
        CHECK_EQ(nr_rx_notes(), before);
        while (fake_net_deliver(&net, pattern, 60, 4096, 0, 0))
            ;
        CHECK(!back_ring_take(&net.rx, &req, sizeof(req))); /* from here on it waits */
        run_vif();
        CHECK_EQ(nr_rx_notes(), before + 1);
        CHECK_EQ(net.rx.page->req_prod - net.rx.req_cons, 128);
        CHECK_EQ(nr_frames, i * 129);
    }
    end_vif();
}

/* The backend is asked for the next event only by a poll that has budget left. */
TEST(netfront, asks_for_no_event_while_it_polls)
{
    begin_split_vif();
    CHECK(fake_net_deliver(&net, pattern, 600, 4096, 0, 0));
    CHECK_EQ(vif_info().events, 1);
    for (unsigned i = 1; i <= 100; i++) {
        CHECK(netfront_poll(nf, 1));
        CHECK_EQ(nr_frames, i);
        CHECK(fake_net_deliver(&net, pattern, 600, 4096, 0, 0));
        CHECK(!fakexen_port_pending(net.rx.port)); /* masked; but none was sent either */
    }
    CHECK(!netfront_poll(nf, 4));
    CHECK_EQ(nr_frames, 101);
    CHECK_EQ(vif_info().events, 1);
    CHECK(fake_net_deliver(&net, pattern, 600, 4096, 0, 0));
    CHECK_EQ(vif_info().events, 2);
    run_vif();
    end_vif();
}

TEST(netfront, keeps_the_ring_filled)
{
    begin_vif();
    for (unsigned i = 0; i < 2000; i++) {
        CHECK(fake_net_deliver(&net, pattern, i % 2 ? 1514 : 60, 4096, 0, 0));
        if (i % 50 == 49)
            run_vif();
        CHECK(net.rx.page->req_prod - net.rx.req_cons <= 128);
    }
    CHECK_EQ(nr_frames, 2000);
    CHECK_EQ(net.rx.page->req_prod - net.rx.req_cons, 128);
    CHECK_EQ(vif_info().rx_frames, 2000);
    CHECK_EQ(vif_info().rx_dropped, 0);
    end_vif();
}

TEST(netfront, drops_frames_that_the_backend_failed_to_deliver)
{
    begin_vif();
    fake_net_answer(&net, 0, 0, 0, NETIF_RSP_ERROR);
    fake_net_answer(&net, 0, 0, 0, NETIF_RSP_DROPPED);
    fake_net_answer(&net, 0, 0, NETRXF_more_data, 1000);
    fake_net_answer(&net, 0, 0, NETRXF_more_data, NETIF_RSP_ERROR);
    fake_net_answer(&net, 0, 0, 0, 1000);
    fake_net_push(&net);
    CHECK(fake_net_deliver(&net, pattern, 1000, 4096, 0, 0));
    run_vif();
    CHECK_EQ(nr_frames, 1);
    CHECK_EQ(vif_info().rx_dropped, 3);
    CHECK(vif_info().link);
    end_vif();
}

TEST(netfront, copies_every_frame_from_a_backend_that_is_not_trusted)
{
    unsigned grants;

    fake_net_create(&net, "0");
    fake_dev_set_front(&net.dev, "trusted", "0");
    CHECK_EQ(open_vif(), 0);
    grants = grant_count_used();
    fill_pattern(3);
    net.keep_mapped = true; /* does not matter: the pages are never revoked */
    CHECK(fake_net_deliver(&net, pattern, 50000, 4096, 0, 0));
    run_vif();
    CHECK_EQ(nr_frames, 1);
    CHECK_EQ(nr_pages_up, 13);
    CHECK_MEM(last_data, pattern, 50000);
    CHECK_EQ(grant_count_used(), grants);
    CHECK(host_logged("bounced"));
    end_vif();
}
