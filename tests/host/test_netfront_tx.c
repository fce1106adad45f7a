/* SPDX-License-Identifier: BSD-2-Clause */
/* frontends/netfront transmits, and traffic goes both ways. */
#include "tests/host/netrig.h"

#include "lib/base/errno.h"
#include "tests/host/test.h"

/* ---- transmission ---- */

TEST(netfront, sends_what_it_is_given)
{
    static const unsigned lens[] = {14, 60, 1514, 4095, 4096, 4097, 8192, 9014, 40000, 65535};

    begin_vif();
    for (unsigned i = 0; i < ARRAY_SIZE(lens); i++) {
        fill_pattern(i);
        CHECK_EQ(send_pattern(lens[i], NETFRONT_CSUM_NONE), 0);
        netfront_kick(nf);
        run_vif();
        CHECK_EQ(net.nr_sent, i + 1);
        CHECK_EQ(net.last.len, lens[i]);
        CHECK_EQ(net.last.nr_slots, (lens[i] + 4095) / 4096);
        CHECK_MEM(net.last.data, pattern, lens[i]);
    }
    end_vif();
}

TEST(netfront, gathers_fragments_of_any_shape)
{
    begin_vif();
    for (unsigned round = 0; round < 500; round++) {
        struct netfront_frag frags[40];
        unsigned n = 1 + (unsigned)test_random_below(40), len = 0;

        fill_pattern(round);
        for (unsigned i = 0; i < n; i++) {
            frags[i].data = pattern + len;
            frags[i].len = (uint16_t)test_random_below(round % 3 ? 1500 : 20);
            len += frags[i].len;
        }
        if (len < 14)
            continue;
        CHECK_EQ(netfront_send(nf, frags, n, NETFRONT_CSUM_NONE), 0);
        netfront_kick(nf);
        run_vif();
        CHECK_EQ(net.last.len, len);
        CHECK_MEM(net.last.data, pattern, len);
    }
    end_vif();
}

TEST(netfront, passes_checksum_notes_down)
{
    begin_vif();
    CHECK_EQ(send_pattern(5000, NETFRONT_CSUM_BLANK), 0);
    netfront_kick(nf);
    run_vif();
    CHECK_EQ(net.last.flags & ~NETTXF_more_data, NETTXF_csum_blank | NETTXF_data_validated);
    CHECK_EQ(send_pattern(5000, NETFRONT_CSUM_NONE), 0);
    netfront_kick(nf);
    run_vif();
    CHECK_EQ(net.last.flags & ~NETTXF_more_data, 0);
    end_vif();
}

TEST(netfront, refuses_frames_that_are_too_short_or_too_long)
{
    begin_vif();
    CHECK_EQ(send_pattern(13, NETFRONT_CSUM_NONE), -EMSGSIZE);
    CHECK_EQ(send_pattern(0, NETFRONT_CSUM_NONE), -EMSGSIZE);
    CHECK_EQ(send_pattern(65536, NETFRONT_CSUM_NONE), -EMSGSIZE);
    CHECK_EQ(netfront_send(nf, NULL, 0, NETFRONT_CSUM_NONE), -EMSGSIZE);
    end_vif();
}

TEST(netfront, sends_one_page_at_most_without_scatter_gather)
{
    fake_net_create(&net, "0");
    fake_dev_set_back(&net.dev, "feature-sg", "0");
    CHECK_EQ(open_vif(), 0);
    CHECK_EQ(vif_info().tx_max, 4096);
    CHECK_EQ(send_pattern(4096, NETFRONT_CSUM_NONE), 0);
    CHECK_EQ(send_pattern(4097, NETFRONT_CSUM_NONE), -EMSGSIZE);
    netfront_kick(nf);
    run_vif();
    CHECK_EQ(net.nr_sent, 1);
    end_vif();
}

TEST(netfront, notifies_once_for_a_burst)
{
    unsigned before;

    begin_vif();
    before = fakexen_count_notified(net.tx.port);
    for (unsigned i = 0; i < 20; i++)
        CHECK_EQ(send_pattern(1514, NETFRONT_CSUM_NONE), 0);
    CHECK_EQ(fakexen_count_notified(net.tx.port), before);
    netfront_kick(nf);
    netfront_kick(nf);
    CHECK_EQ(fakexen_count_notified(net.tx.port), before + 1);
    run_vif();
    CHECK_EQ(net.nr_sent, 20);
    end_vif();
}

TEST(netfront, says_when_there_is_room_again)
{
    unsigned sent = 0;

    begin_vif();
    net.hold_tx = true;
    while (send_pattern(1514, NETFRONT_CSUM_NONE) == 0)
        sent++;
    CHECK_EQ(sent, 64);
    CHECK_EQ(send_pattern(14, NETFRONT_CSUM_NONE), -ENOBUFS);
    netfront_kick(nf);
    run_vif();
    net.hold_tx = false;
    woken = false;
    fake_net_run(&net);
    CHECK(woken);
    CHECK_EQ(send_pattern(65535, NETFRONT_CSUM_NONE), 0);
    run_vif();
    end_vif();
}

TEST(netfront, says_so_every_time_and_on_the_channel_for_transmission)
{
    fake_net_create(&net, "0");
    fake_dev_set_back(&net.dev, "feature-split-event-channels", "1");
    CHECK_EQ(open_vif(), 0);
    for (unsigned i = 0; i < 20; i++) {
        net.hold_tx = true;
        while (send_pattern(1514, NETFRONT_CSUM_NONE) == 0)
            ;
        netfront_kick(nf);
        run_vif();
        net.hold_tx = false;
        woken = false;
        fake_net_run(&net);
        CHECK(woken);
        run_vif();
    }
    end_vif();
}

TEST(netfront, counts_what_the_backend_dropped)
{
    begin_vif();
    net.tx_status = NETIF_RSP_DROPPED;
    CHECK_EQ(send_pattern(9000, NETFRONT_CSUM_NONE), 0);
    netfront_kick(nf);
    run_vif();
    net.tx_status = NETIF_RSP_ERROR;
    CHECK_EQ(send_pattern(100, NETFRONT_CSUM_NONE), 0);
    netfront_kick(nf);
    run_vif();
    CHECK_EQ(send_pattern(100, NETFRONT_CSUM_NONE), 0);
    CHECK_EQ(vif_info().tx_dropped, 2);
    CHECK(vif_info().link);
    end_vif();
}

TEST(netfront, carries_traffic_both_ways)
{
    begin_vif();
    exchange(1000);
    CHECK_EQ(vif_info().rx_dropped + vif_info().tx_dropped, 0);
    end_vif();
}

TEST(netfront, carries_traffic_over_split_channels)
{
    fake_net_create(&net, "0");
    fake_dev_set_back(&net.dev, "feature-split-event-channels", "1");
    CHECK_EQ(open_vif(), 0);
    CHECK(fake_dev_front(&net.dev, "event-channel") == NULL);
    CHECK(net.tx.port != net.rx.port);
    exchange(300);
    end_vif();
}

TEST(netfront, carries_traffic_over_several_vifs)
{
    static struct fake_net second;
    struct netfront *other;

    begin_vif();
    fake_net_create(&second, "1");
    fake_dev_set_front(&second.dev, "mac", "00:16:3e:00:00:01");
    CHECK_EQ(create_and_open("1", &vif_user, &other), 0);
    exchange(50);
    CHECK(fake_net_deliver(&second, pattern, 1000, 4096, 0, 0));
    fakexen_settle();
    (void)netfront_poll(other, 16);
    CHECK_EQ(nr_frames, 51);
    netfront_destroy(other);
    fake_net_destroy(&second);
    end_vif();
}
