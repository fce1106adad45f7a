/* SPDX-License-Identifier: BSD-2-Clause */
/* frontends/netfront opens a vif: what the two sides tell each other, and what is refused. */
#include "tests/host/netrig.h"

#include "kernel/grant.h"
#include "kernel/time.h"
#include "lib/base/errno.h"
#include "tests/host/hostarch.h"
#include "tests/host/test.h"

TEST(netfront, open_tells_the_backend_what_it_needs)
{
    begin_vif();
    CHECK_STR(fake_dev_front(&net.dev, "state"), "4");
    CHECK_STR(fake_dev_front(&net.dev, "request-rx-copy"), "1");
    CHECK_STR(fake_dev_front(&net.dev, "feature-rx-notify"), "1");
    CHECK_STR(fake_dev_front(&net.dev, "feature-sg"), "1");
    CHECK_STR(fake_dev_front(&net.dev, "feature-ipv6-csum-offload"), "1");
    CHECK(fake_dev_front(&net.dev, "feature-no-csum-offload") == NULL);
    CHECK_STR(fake_dev_front(&net.dev, "feature-gso-tcpv4"), "1");
    CHECK_STR(fake_dev_front(&net.dev, "feature-gso-tcpv6"), "1");
    CHECK(fake_dev_front(&net.dev, "feature-gso-tcpv4-prefix") == NULL);
    CHECK(fake_dev_front(&net.dev, "event-channel") != NULL);
    CHECK(fake_dev_front(&net.dev, "event-channel-tx") == NULL);
    end_vif();
}

TEST(netfront, open_learns_what_the_toolstack_says)
{
    fake_net_create(&net, "0");
    fake_dev_set_front(&net.dev, "mtu", "9000");
    fake_dev_set_back(&net.dev, "ip", "10.0.0.7 10.0.0.8");
    CHECK_EQ(open_vif(), 0);
    CHECK_STR(vif_info().name, "vif0");
    CHECK_MEM(vif_info().mac, "\x00\x16\x3e\x12\x34\x56", 6);
    CHECK_EQ(vif_info().mtu, 9000);
    CHECK_STR(vif_info().ip, "10.0.0.7 10.0.0.8");
    CHECK(vif_info().link);
    CHECK(vif_info().csum_offload && !vif_info().csum_offload6);
    CHECK(host_logged("vif0: 00:16:3e:12:34:56, mtu 9000, scatter-gather, 128 + 64 pages"));
    end_vif();
}

TEST(netfront, open_bounds_the_mtu)
{
    static const struct {
        const char *mtu, *sg;
        unsigned result;
    } cases[] = {
        {"0", "1", 68},      {"1499", "1", 1499}, {"70000", "1", 65521}, {"x", "1", 1500},
        {"9000", "0", 1500}, {"1400", "0", 1400}, {"65521", "1", 65521}, {"-1", "0", 1500},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        fake_net_create(&net, "0");
        fake_dev_set_front(&net.dev, "mtu", cases[i].mtu);
        fake_dev_set_back(&net.dev, "feature-sg", cases[i].sg);
        CHECK_EQ(open_vif(), 0);
        CHECK_EQ(vif_info().mtu, cases[i].result);
        end_vif();
    }
    CHECK(host_logged("vif/0: key \"mtu\" is \"x\": ignored; check the vif= line"));
}

TEST(netfront, open_makes_an_address_fit_for_messages)
{
    fake_net_create(&net, "0");
    fake_dev_set_back(&net.dev, "ip", "10.0.0.7\nexit status 0\t\x1b[2J");
    CHECK_EQ(open_vif(), 0);
    CHECK_STR(vif_info().ip, "10.0.0.7?exit status 0??[2J");
    end_vif();
}

TEST(netfront, open_refuses_a_vif_without_a_good_address)
{
    static const char *const bad[] = {"",
                                      "00:16:3e:12:34",
                                      "01:16:3e:12:34:56",
                                      "ff:ff:ff:ff:ff:ff",
                                      "00:16:3e:12:34:5g",
                                      "00-16-3e-12-34-56",
                                      "00:16:3e:12:34:56 "};

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        fake_net_create(&net, "0");
        fake_dev_set_front(&net.dev, "mac", bad[i]);
        CHECK_EQ(open_vif(), -EINVAL);
        end_vif();
    }
    CHECK(host_logged("vif/0: key \"mac\" is \"\", not an address"));
    CHECK(host_logged("key \"mac\" is a group address; check the vif= line"));
}

TEST(netfront, open_refuses_a_backend_that_cannot_copy)
{
    fake_net_create(&net, "0");
    fake_dev_set_back(&net.dev, "feature-rx-copy", "0");
    CHECK_EQ(open_vif(), -EOPNOTSUPP);
    end_vif();
}

TEST(netfront, open_gives_up_after_30_seconds)
{
    nsec_t start;

    fake_net_create(&net, "0");
    net.dev.aloof = true;
    start = time_now();
    CHECK_EQ(open_vif(), -ETIMEDOUT);
    CHECK((time_now() - start) / NSEC_PER_SEC <= 36);
    end_vif();
}

TEST(netfront, open_refuses_a_vif_that_is_not_there)
{
    CHECK_EQ(open_vif(), -ENOENT);
}

TEST(netfront, opens_again_and_again)
{
    fake_net_create(&net, "0");
    for (unsigned i = 0; i < 10; i++) {
        CHECK_EQ(open_vif(), 0);
        CHECK_EQ(send_pattern(100, NETFRONT_CSUM_NONE), 0);
        CHECK(fake_net_deliver(&net, pattern, 1000, 4096, 0, 0));
        run_vif();
        netfront_destroy(nf);
        nf = NULL;
        fakexen_settle();
    }
    CHECK_EQ(nr_frames, 10);
    end_vif();
}

TEST(netfront, opens_again_with_other_features)
{
    fake_net_create(&net, "0");
    for (unsigned i = 0; i < 4; i++) {
        fake_dev_set_back(&net.dev, "feature-split-event-channels", i % 2 ? "0" : "1");
        fake_dev_set_back(&net.dev, "feature-sg", i / 2 ? "0" : "1");
        CHECK_EQ(open_vif(), 0);
        CHECK_EQ(fake_dev_front(&net.dev, "event-channel") == NULL, i % 2 == 0);
        CHECK_EQ(fake_dev_front(&net.dev, "event-channel-tx") == NULL, i % 2 == 1);
        CHECK_EQ(fake_dev_front(&net.dev, "event-channel-rx") == NULL, i % 2 == 1);
        CHECK_EQ(vif_info().tx_max, i / 2 ? 4096 : 65535);
        net.nr_sent = nr_frames = 0;
        CHECK_EQ(send_pattern(1514, NETFRONT_CSUM_NONE), 0);
        netfront_kick(nf);
        CHECK(fake_net_deliver(&net, pattern, 5000, 4096, 0, 0));
        run_vif();
        CHECK_EQ(net.nr_sent, 1);
        CHECK_EQ(nr_frames, 1);
        netfront_destroy(nf);
        nf = NULL;
        fakexen_settle();
    }
    end_vif();
}

TEST_RAM(netfront, is_modest_in_a_small_domain, 2048)
{
    unsigned before = grant_count_used();

    begin_vif();
    CHECK_EQ(net.rx.page->req_prod, 64);
    CHECK_EQ(grant_count_used() - before, 64 + 32 + 2);
    end_vif();
}

TEST_RAM(netfront, uses_the_whole_rings_in_a_larger_one, 16384)
{
    unsigned before = grant_count_used();

    begin_vif();
    CHECK_EQ(net.rx.page->req_prod, 256);
    CHECK_EQ(grant_count_used() - before, 256 + 256 + 2);
    end_vif();
    CHECK_EQ(grant_count_used(), before);
    test_pass(); /* the grant table has grown by a page */
}
