/* SPDX-License-Identifier: BSD-2-Clause */
/* frontends/netfront when the backend is silent, leaves, and comes back as another. */
#include "tests/host/netrig.h"

#include "frontends/common/xenbus.h"
#include "kernel/grant.h"
#include "kernel/time.h"
#include "lib/base/errno.h"
#include "tests/host/hostarch.h"
#include "tests/host/test.h"

/* ---- liveness, link ---- */

TEST(netfront, does_not_depend_on_the_backends_events)
{
    begin_vif();
    net.rx.quiet = net.tx.quiet = true;
    for (unsigned i = 1; i < 10; i++) {
        CHECK(fake_net_deliver(&net, pattern, 1000, 4096, 0, 0));
        fakexen_settle();
        CHECK(!woken);
        host_advance(NSEC_PER_SEC + NSEC_PER_MSEC);
        CHECK(woken);
        run_vif();
        CHECK_EQ(nr_frames, i);
    }
    end_vif();
}

TEST(netfront, gets_room_back_from_a_backend_that_sends_no_events)
{
    begin_vif();
    net.tx.quiet = true;
    net.hold_tx = true;
    while (send_pattern(65535, NETFRONT_CSUM_NONE) == 0)
        ;
    netfront_kick(nf);
    run_vif();
    net.hold_tx = false;
    fake_net_run(&net);
    CHECK(!woken);
    CHECK_EQ(send_pattern(65535, NETFRONT_CSUM_NONE), 0);
    end_vif();
}

TEST(netfront, works_with_a_backend_that_never_asks_to_be_notified)
{
    begin_vif();
    net.tx.deaf = net.rx.deaf = true;
    for (unsigned i = 0; i < 500; i++) {
        CHECK_EQ(send_pattern(1514, NETFRONT_CSUM_NONE), 0);
        netfront_kick(nf);
        fake_net_run(&net);
        CHECK(fake_net_deliver(&net, pattern, 1514, 4096, 0, 0));
        run_vif();
    }
    CHECK_EQ(net.nr_sent, 500);
    CHECK_EQ(nr_frames, 500);
    end_vif();
}

TEST(netfront, loses_its_link_when_the_backend_leaves)
{
    static const unsigned states[] = {XenbusStateClosing, XenbusStateClosed, XenbusStateInitWait,
                                      XenbusStateUnknown};

    for (unsigned i = 0; i < ARRAY_SIZE(states); i++) {
        begin_vif();
        CHECK(vif_info().link);
        woken = false;
        fake_dev_set_state(&net.dev, states[i]);
        fakexen_settle();
        CHECK(woken);
        CHECK(!vif_info().link);
        CHECK_EQ(send_pattern(100, NETFRONT_CSUM_NONE), -ENETDOWN);
        run_vif();
        CHECK_STR(fake_dev_front(&net.dev, "state"), "6");
        CHECK(!net.dev.attached);
        CHECK_EQ(send_pattern(100, NETFRONT_CSUM_NONE), -ENETDOWN);
        CHECK(!netfront_poll(nf, 16));
        end_vif();
    }
}

TEST(netfront, bears_that_device_and_backend_vanish_under_load)
{
    begin_vif();
    net.hold_tx = true;
    for (unsigned i = 0; i < 10; i++)
        CHECK_EQ(send_pattern(1514, NETFRONT_CSUM_NONE), 0);
    fake_dev_destroy(&net.dev);
    run_vif();
    CHECK(!vif_info().link);
    netfront_destroy(nf);
    nf = NULL;
}

/* ---- one life after the other ---- */

TEST(netfront, reconnects_when_the_backend_comes_back)
{
    begin_vif();
    for (unsigned i = 0; i < 5; i++) {
        exchange(20);
        backend_leaves();
        CHECK_EQ(send_pattern(100, NETFRONT_CSUM_NONE), -ENETDOWN);
        CHECK(!netfront_poll(nf, 16));
        reopen_vif();
        CHECK_EQ(vif_info().lives, i + 2);
    }
    exchange(20);
    end_vif();
}

TEST(netfront, drops_what_the_old_backend_did_not_take)
{
    unsigned grants;

    begin_vif();
    grants = grant_count_used();
    net.hold_tx = true;
    for (unsigned i = 0; i < 10; i++)
        CHECK_EQ(send_pattern(5000, NETFRONT_CSUM_NONE), 0);
    backend_leaves();
    reopen_vif();
    CHECK_EQ(vif_info().tx_dropped, 10);
    CHECK_EQ(grant_count_used(), grants);
    net.hold_tx = false;
    net.nr_sent = 0;
    exchange(30);
    CHECK_EQ(net.nr_sent, 30);
    end_vif();
}

TEST(netfront, gives_back_a_frame_that_only_began_in_an_earlier_life)
{
    begin_vif();
    for (unsigned i = 0; i < 5; i++) {
        fake_net_answer(&net, 0, 0, NETRXF_more_data, 1000);
        fake_net_push(&net);
        run_vif();
        backend_leaves();
        reopen_vif();
        CHECK(fake_net_deliver(&net, pattern, 1000, 4096, 0, 0));
        run_vif();
        CHECK_EQ(nr_frames, i + 1);
        CHECK_EQ(last.len, 1000);
    }
    end_vif();
}

TEST(netfront, says_that_there_is_room_in_the_new_life)
{
    begin_vif();
    net.hold_tx = true;
    while (send_pattern(4000, NETFRONT_CSUM_NONE) == 0)
        ;
    backend_leaves();
    net.hold_tx = false;
    woken = false;
    CHECK_EQ(netfront_reopen(nf, time_now() + 30 * NSEC_PER_SEC), 0);
    CHECK(woken);
    CHECK_EQ(send_pattern(4000, NETFRONT_CSUM_NONE), 0);
    end_vif();
}

TEST(netfront, learns_anew_what_the_backend_can)
{
    begin_vif();
    fake_dev_set_back(&net.dev, "feature-gso-tcpv4", "1");
    fake_dev_set_back(&net.dev, "feature-split-event-channels", "1");
    fake_dev_set_front(&net.dev, "mtu", "9000");
    backend_leaves();
    reopen_vif();
    CHECK_EQ(vif_info().mtu, 9000);
    CHECK_EQ(vif_info().tx_max, 65535);
    CHECK(fake_dev_front(&net.dev, "event-channel") == NULL);
    CHECK_EQ(send_pattern(9014, NETFRONT_CSUM_NONE), 0);
    fake_dev_set_back(&net.dev, "feature-sg", "0");
    fake_dev_set_back(&net.dev, "feature-split-event-channels", "0");
    fake_dev_set_back(&net.dev, "feature-no-csum-offload", "1");
    fake_dev_set_front(&net.dev, "mac", "00:16:3e:65:43:21");
    backend_leaves();
    reopen_vif();
    CHECK_EQ(vif_info().mtu, 1500);
    CHECK_EQ(vif_info().tx_max, 4096);
    CHECK(!vif_info().csum_offload);
    CHECK_MEM(vif_info().mac, "\x00\x16\x3e\x65\x43\x21", 6);
    CHECK(fake_dev_front(&net.dev, "event-channel-tx") == NULL);
    CHECK_EQ(send_pattern(9014, NETFRONT_CSUM_NONE), -EMSGSIZE);
    CHECK_EQ(send_pattern(1514, NETFRONT_CSUM_NONE), 0);
    netfront_kick(nf);
    CHECK(fake_net_deliver(&net, pattern, 1514, 4096, 0, 0));
    run_vif();
    CHECK_EQ(nr_frames, 1);
    CHECK_EQ(net.last.len, 1514);
    end_vif();
}

/* The fake one checks that whatever it is shown is for its domain. */
TEST(netfront, follows_its_backend_to_another_domain)
{
    static const domid_t domains[] = {3, 0, 5, 0};

    begin_vif();
    for (unsigned i = 0; i < ARRAY_SIZE(domains); i++) {
        exchange(20);
        net.hold_tx = true;
        CHECK_EQ(send_pattern(5000, NETFRONT_CSUM_NONE), 0);
        fake_net_move(&net, domains[i]);
        fake_dev_set_back(&net.dev, "feature-split-event-channels", i % 2 ? "0" : "1");
        run_vif();
        CHECK_STR(fake_dev_front(&net.dev, "state"), "1"); /* it was never told of the old one */
        reopen_vif();
        net.hold_tx = false;
        CHECK_EQ(vif_info().lives, i + 2);
        CHECK_EQ(vif_info().tx_dropped, i + 1);
    }
    exchange(20);
    end_vif();
}

TEST(netfront, is_unplugged_and_plugged_in_under_load)
{
    begin_vif();
    for (unsigned i = 0; i < 20; i++) {
        net.hold_tx = i % 2 == 0;
        for (unsigned n = 0; n < 20; n++)
            CHECK_EQ(send_pattern(1514, NETFRONT_CSUM_NONE), 0);
        (void)fake_net_deliver(&net, pattern, 1514, 4096, 0, 0);
        fake_net_destroy(&net);
        run_vif();
        CHECK_EQ(netfront_reopen(nf, time_now() + 5 * NSEC_PER_SEC), -ETIMEDOUT);
        fake_net_create(&net, "0");
        reopen_vif();
    }
    exchange(20);
    end_vif();
}

TEST(netfront, bears_a_thousand_restarts_of_its_backend_under_load)
{
    begin_vif();
    for (unsigned i = 0; i < 1000; i++) {
        net.hold_tx = test_random_below(2);
        for (unsigned n = 0; n < 30; n++)
            (void)!send_pattern((unsigned)(60 + test_random_below(9000)), NETFRONT_CSUM_NONE);
        (void)fake_net_deliver(&net, pattern, 1514, 4096, 0, 0);
        if (test_random_below(2))
            run_vif();
        host_advance(3 * NSEC_PER_SEC);
        fake_dev_set_back(&net.dev, "feature-split-event-channels", i / 3 % 2 ? "1" : "0");
        fake_dev_set_back(&net.dev, "feature-sg", i / 7 % 2 ? "0" : "1");
        fake_dev_set_state(&net.dev, i % 2 ? XenbusStateClosing : XenbusStateClosed);
        fakexen_settle();
        reopen_vif();
    }
    net.hold_tx = false;
    exchange(20);
    end_vif();
}

TEST(netfront, recovers_from_a_backend_that_broke_the_protocol)
{
    begin_vif();
    for (unsigned i = 0; i < 5; i++) {
        fake_net_answer(&net, 1, 0, 0, 100);
        fake_net_push(&net);
        run_vif();
        CHECK(host_logged("the backend broke the protocol: answer with the id of another"));
        reopen_vif();
        exchange(20);
    }
    end_vif();
}

TEST(netfront, closes_with_frames_in_flight)
{
    nsec_t start;

    begin_vif();
    net.hold_tx = true;
    while (send_pattern(1514, NETFRONT_CSUM_NONE) == 0)
        ;
    fake_net_answer(&net, 0, 0, NETRXF_more_data, 1000);
    fake_net_push(&net);
    run_vif();
    start = time_now();
    netfront_destroy(nf);
    nf = NULL;
    CHECK(time_now() - start < XB_CLOSE_TIMEOUT + NSEC_PER_SEC);
    end_vif();
}
