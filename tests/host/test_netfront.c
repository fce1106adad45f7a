/* SPDX-License-Identifier: BSD-2-Clause */
/* frontends/netfront against an obedient and a hostile backend. */
#include "frontends/netfront/netfront.h"

#include <stdio.h>
#include <string.h>
#include "frontends/common/xenbus.h"
#include "kernel/cpumask.h"
#include "kernel/page.h"
#include "kernel/time.h"
#include "tests/host/fakeback.h"
#include "tests/host/hostarch.h"
#include "tests/host/test.h"

FAKEXEN_BOOT(netfront)

static struct fake_net net;
static struct netfront *nf;

/* ---- the user ---- */

static bool woken;
static unsigned nr_frames, nr_pages_up;
static struct netfront_frame last; /* without its pages */
static uint8_t last_data[65536];
static bool hold_pages; /* the user keeps what it gets, here: */
static void *held[256];
static unsigned nr_held;

static void input(void *arg, struct netfront_frame *frame)
{
    uint32_t len = 0;

    CHECK(arg == &net);
    CHECK(frame->nr_frags >= 1 && frame->nr_frags <= NETFRONT_FRAGS_MAX);
    for (unsigned i = 0; i < frame->nr_frags; i++) {
        struct netfront_frag *frag = &frame->frag[i];

        memcpy(last_data + len, frag->data, frag->len);
        len += frag->len;
        if (frag->page != NULL) {
            nr_pages_up++;
            memset(frag->page, 0xee, PAGE_SIZE); /* it is ours alone */
            if (hold_pages)
                held[nr_held++] = frag->page;
            else
                page_free(frag->page);
        }
    }
    CHECK_EQ(len, frame->len);
    last = *frame;
    nr_frames++;
}

static void wake(void *arg)
{
    CHECK(arg == &net);
    woken = true;
}

static const struct netfront_user user = {.arg = &net, .input = input, .wake = wake};

static int create_and_open(const char *handle, const struct netfront_user *u, struct netfront **out)
{
    int rc = netfront_create(handle, u, out);

    if (rc != 0)
        return rc;
    rc = netfront_open(*out);
    if (rc != 0)
        netfront_destroy(*out);
    if (rc != 0)
        *out = NULL;
    return rc;
}

/* Let everybody work until nothing happens any more at this time. As a user would, poll only when
 * woken. */
static void run(void)
{
    fakexen_settle();
    while (woken) {
        woken = false;
        while (nf != NULL && netfront_poll(nf, 16))
            ;
        if (nf != NULL && !netfront_link(nf))
            netfront_close(nf);
        fakexen_settle();
    }
}

static int open_vif(void)
{
    int rc;

    nf = NULL;
    rc = create_and_open("0", &user, &nf);
    if (rc == 0)
        run();
    return rc;
}

static void begin(void)
{
    fake_net_create(&net, "0");
    CHECK_EQ(open_vif(), 0);
}

static void end(void)
{
    if (nf != NULL)
        netfront_destroy(nf);
    nf = NULL;
    fake_net_destroy(&net);
    fakexen_store_rm(FAKE_HOME "/error");
    fakexen_settle();
    host_advance(10 * NSEC_PER_SEC); /* the quarantine empties */
}

static struct netfront_info info(void)
{
    struct netfront_info i;

    netfront_get_info(nf, &i);
    return i;
}

static uint8_t pattern[65536];

static void fill_pattern(unsigned seed)
{
    for (unsigned i = 0; i < sizeof(pattern); i++)
        pattern[i] = (uint8_t)(seed + i * 7 + (i >> 8));
}

static int send_pattern(unsigned len, enum netfront_csum csum)
{
    struct netfront_frag frags[2] = {{.data = pattern, .len = (uint16_t)(len / 2)}};

    frags[1] = (struct netfront_frag){pattern + len / 2, (uint16_t)(len - len / 2), NULL};
    return netfront_send(nf, frags, 2, csum);
}

/* ---- opening ---- */

TEST(netfront, open_tells_the_backend_what_it_needs)
{
    begin();
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
    end();
}

TEST(netfront, open_learns_what_the_toolstack_says)
{
    fake_net_create(&net, "0");
    fake_dev_set_front(&net.dev, "mtu", "9000");
    fake_dev_set_back(&net.dev, "ip", "10.0.0.7 10.0.0.8");
    CHECK_EQ(open_vif(), 0);
    CHECK_STR(info().name, "vif0");
    CHECK_MEM(info().mac, "\x00\x16\x3e\x12\x34\x56", 6);
    CHECK_EQ(info().mtu, 9000);
    CHECK_STR(info().ip, "10.0.0.7 10.0.0.8");
    CHECK(info().link);
    CHECK(info().csum_offload && !info().csum_offload6);
    CHECK(host_logged("vif0: 00:16:3e:12:34:56, mtu 9000, scatter-gather, 128 + 64 pages"));
    end();
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
        CHECK_EQ(info().mtu, cases[i].result);
        end();
    }
    CHECK(host_logged("vif/0: key \"mtu\" is \"x\": ignored; check the vif= line"));
}

TEST(netfront, open_makes_an_address_fit_for_messages)
{
    fake_net_create(&net, "0");
    fake_dev_set_back(&net.dev, "ip", "10.0.0.7\nexit status 0\t\x1b[2J");
    CHECK_EQ(open_vif(), 0);
    CHECK_STR(info().ip, "10.0.0.7?exit status 0??[2J");
    end();
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
        end();
    }
    CHECK(host_logged("vif/0: key \"mac\" is \"\", not an address"));
    CHECK(host_logged("key \"mac\" is a group address; check the vif= line"));
}

TEST(netfront, open_refuses_a_backend_that_cannot_copy)
{
    fake_net_create(&net, "0");
    fake_dev_set_back(&net.dev, "feature-rx-copy", "0");
    CHECK_EQ(open_vif(), -EOPNOTSUPP);
    end();
}

TEST(netfront, open_gives_up_after_30_seconds)
{
    nsec_t start;

    fake_net_create(&net, "0");
    net.dev.aloof = true;
    start = time_now();
    CHECK_EQ(open_vif(), -ETIMEDOUT);
    CHECK((time_now() - start) / NSEC_PER_SEC <= 36);
    end();
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
        run();
        netfront_destroy(nf);
        nf = NULL;
        fakexen_settle();
    }
    CHECK_EQ(nr_frames, 10);
    end();
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
        CHECK_EQ(info().tx_max, i / 2 ? 4096 : 65535);
        net.nr_sent = nr_frames = 0;
        CHECK_EQ(send_pattern(1514, NETFRONT_CSUM_NONE), 0);
        netfront_kick(nf);
        CHECK(fake_net_deliver(&net, pattern, 5000, 4096, 0, 0));
        run();
        CHECK_EQ(net.nr_sent, 1);
        CHECK_EQ(nr_frames, 1);
        netfront_destroy(nf);
        nf = NULL;
        fakexen_settle();
    }
    end();
}

TEST_RAM(netfront, is_modest_in_a_small_domain, 2048)
{
    unsigned before = grant_count_used();

    begin();
    CHECK_EQ(net.rx.page->req_prod, 64);
    CHECK_EQ(grant_count_used() - before, 64 + 32 + 2);
    end();
}

TEST_RAM(netfront, uses_the_whole_rings_in_a_larger_one, 16384)
{
    unsigned before = grant_count_used();

    begin();
    CHECK_EQ(net.rx.page->req_prod, 256);
    CHECK_EQ(grant_count_used() - before, 256 + 256 + 2);
    end();
    CHECK_EQ(grant_count_used(), before);
    test_pass(); /* the grant table has grown by a page */
}

/* ---- reception ---- */

TEST(netfront, hands_up_a_page_without_copying)
{
    begin();
    fill_pattern(1);
    CHECK(fake_net_deliver(&net, pattern, 1514, 4096, 0, 0));
    run();
    CHECK_EQ(nr_frames, 1);
    CHECK_EQ(nr_pages_up, 1);
    CHECK_EQ(last.len, 1514);
    CHECK_MEM(last_data, pattern, 1514);
    end();
}

TEST(netfront, copies_a_small_frame_and_posts_its_page_again)
{
    unsigned grants;

    begin();
    grants = grant_count_used();
    fill_pattern(2);
    CHECK(fake_net_deliver(&net, pattern, 256, 4096, 100, 0));
    run();
    CHECK_EQ(nr_frames, 1);
    CHECK_EQ(nr_pages_up, 0);
    CHECK(last.frag[0].page == NULL);
    CHECK_MEM(last_data, pattern, 256);
    CHECK_EQ(grant_count_used(), grants);
    end();
}

TEST(netfront, puts_frames_of_many_slots_together)
{
    static const struct {
        unsigned len, piece, offset;
    } cases[] = {
        {4097, 4096, 0}, {65535, 4096, 0}, {60000, 4000, 96},  {18 * 100, 100, 7},
        {28, 14, 4000},  {9014, 4096, 0},  {65535, 3641, 400},
    };

    begin();
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        fill_pattern(i);
        CHECK(fake_net_deliver(&net, pattern, cases[i].len, cases[i].piece, cases[i].offset, 0));
        run();
        CHECK_EQ(nr_frames, i + 1);
        CHECK_EQ(last.len, cases[i].len);
        CHECK_MEM(last_data, pattern, cases[i].len);
    }
    end();
}

TEST(netfront, puts_a_frame_together_that_comes_in_two_polls)
{
    gref_t ref;

    begin();
    ref = fake_net_answer(&net, 0, 0, NETRXF_more_data | NETRXF_csum_blank, 1000);
    CHECK_EQ(fake_grant_write(ref, 0, pattern, 1000), 0);
    fake_net_push(&net);
    run();
    CHECK_EQ(nr_frames, 0);
    ref = fake_net_answer(&net, 0, 0, 0, 500);
    CHECK_EQ(fake_grant_write(ref, 0, pattern + 1000, 500), 0);
    fake_net_push(&net);
    run();
    CHECK_EQ(nr_frames, 1);
    CHECK_EQ(last.len, 1500);
    CHECK_EQ(last.csum, NETFRONT_CSUM_BLANK);
    CHECK_MEM(last_data, pattern, 1500);
    end();
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

    begin();
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        CHECK(fake_net_deliver(&net, pattern, 5000, 4096, 0, cases[i].flags));
        CHECK(fake_net_deliver(&net, pattern, 60, 4096, 0, cases[i].flags));
        run();
        CHECK_EQ(nr_frames, 2 * (i + 1));
        CHECK_EQ(last.csum, cases[i].csum);
    }
    end();
}

TEST(netfront, skips_extra_infos_that_do_no_harm)
{
    gref_t ref;

    begin();
    ref = fake_net_answer(&net, 0, 0, NETRXF_extra_info | NETRXF_more_data, 4096);
    CHECK_EQ(fake_grant_write(ref, 0, pattern, 4096), 0);
    fake_net_answer_extra(&net, XEN_NETIF_EXTRA_TYPE_HASH, 0);
    ref = fake_net_answer(&net, 0, 0, 0, 904);
    CHECK_EQ(fake_grant_write(ref, 0, pattern + 4096, 904), 0);
    ref = fake_net_answer(&net, 0, 0, NETRXF_extra_info, 100);
    fake_net_push(&net);
    run();
    CHECK_EQ(nr_frames, 1);
    CHECK_EQ(last.len, 5000);
    CHECK_MEM(last_data, pattern, 5000);
    fake_net_answer_extra(&net, XEN_NETIF_EXTRA_TYPE_HASH, 0); /* in another poll */
    fake_net_push(&net);
    run();
    CHECK_EQ(nr_frames, 2);
    CHECK_EQ(last.len, 100);
    CHECK_EQ(net.rx.page->req_prod - net.rx.req_cons, 128);
    end();
}

TEST(netfront, takes_a_segment_larger_than_the_mtu_whole)
{
    gref_t ref;

    begin();
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
    run();
    CHECK_EQ(nr_frames, 1);
    CHECK_EQ(last.len, 65000);
    CHECK_MEM(last_data, pattern, 65000);
    end();
}

TEST(netfront, keeps_to_its_budget)
{
    begin();
    for (unsigned i = 0; i < 10; i++)
        CHECK(fake_net_deliver(&net, pattern, 600, 4096, 0, 0));
    CHECK(netfront_poll(nf, 4));
    CHECK_EQ(nr_frames, 4);
    CHECK(netfront_poll(nf, 4));
    CHECK_EQ(nr_frames, 8);
    CHECK(!netfront_poll(nf, 4));
    CHECK_EQ(nr_frames, 10);
    end();
}

TEST(netfront, keeps_the_ring_filled)
{
    begin();
    for (unsigned i = 0; i < 2000; i++) {
        CHECK(fake_net_deliver(&net, pattern, i % 2 ? 1514 : 60, 4096, 0, 0));
        if (i % 50 == 49)
            run();
        CHECK(net.rx.page->req_prod - net.rx.req_cons <= 128);
    }
    CHECK_EQ(nr_frames, 2000);
    CHECK_EQ(net.rx.page->req_prod - net.rx.req_cons, 128);
    CHECK_EQ(info().rx_frames, 2000);
    CHECK_EQ(info().rx_dropped, 0);
    end();
}

TEST(netfront, drops_frames_that_the_backend_failed_to_deliver)
{
    begin();
    fake_net_answer(&net, 0, 0, 0, NETIF_RSP_ERROR);
    fake_net_answer(&net, 0, 0, 0, NETIF_RSP_DROPPED);
    fake_net_answer(&net, 0, 0, NETRXF_more_data, 1000);
    fake_net_answer(&net, 0, 0, NETRXF_more_data, NETIF_RSP_ERROR);
    fake_net_answer(&net, 0, 0, 0, 1000);
    fake_net_push(&net);
    CHECK(fake_net_deliver(&net, pattern, 1000, 4096, 0, 0));
    run();
    CHECK_EQ(nr_frames, 1);
    CHECK_EQ(info().rx_dropped, 3);
    CHECK(info().link);
    end();
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
    run();
    CHECK_EQ(nr_frames, 1);
    CHECK_EQ(nr_pages_up, 13);
    CHECK_MEM(last_data, pattern, 50000);
    CHECK_EQ(grant_count_used(), grants);
    CHECK(host_logged("bounced"));
    end();
}

/* ---- transmission ---- */

TEST(netfront, sends_what_it_is_given)
{
    static const unsigned lens[] = {14, 60, 1514, 4095, 4096, 4097, 8192, 9014, 40000, 65535};

    begin();
    for (unsigned i = 0; i < ARRAY_SIZE(lens); i++) {
        fill_pattern(i);
        CHECK_EQ(send_pattern(lens[i], NETFRONT_CSUM_NONE), 0);
        netfront_kick(nf);
        run();
        CHECK_EQ(net.nr_sent, i + 1);
        CHECK_EQ(net.last.len, lens[i]);
        CHECK_EQ(net.last.nr_slots, (lens[i] + 4095) / 4096);
        CHECK_MEM(net.last.data, pattern, lens[i]);
    }
    end();
}

TEST(netfront, gathers_fragments_of_any_shape)
{
    begin();
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
        run();
        CHECK_EQ(net.last.len, len);
        CHECK_MEM(net.last.data, pattern, len);
    }
    end();
}

TEST(netfront, passes_checksum_notes_down)
{
    begin();
    CHECK_EQ(send_pattern(5000, NETFRONT_CSUM_BLANK), 0);
    netfront_kick(nf);
    run();
    CHECK_EQ(net.last.flags & ~NETTXF_more_data, NETTXF_csum_blank | NETTXF_data_validated);
    CHECK_EQ(send_pattern(5000, NETFRONT_CSUM_NONE), 0);
    netfront_kick(nf);
    run();
    CHECK_EQ(net.last.flags & ~NETTXF_more_data, 0);
    end();
}

TEST(netfront, refuses_frames_that_are_too_short_or_too_long)
{
    begin();
    CHECK_EQ(send_pattern(13, NETFRONT_CSUM_NONE), -EMSGSIZE);
    CHECK_EQ(send_pattern(0, NETFRONT_CSUM_NONE), -EMSGSIZE);
    CHECK_EQ(send_pattern(65536, NETFRONT_CSUM_NONE), -EMSGSIZE);
    CHECK_EQ(netfront_send(nf, NULL, 0, NETFRONT_CSUM_NONE), -EMSGSIZE);
    end();
}

TEST(netfront, sends_one_page_at_most_without_scatter_gather)
{
    fake_net_create(&net, "0");
    fake_dev_set_back(&net.dev, "feature-sg", "0");
    CHECK_EQ(open_vif(), 0);
    CHECK_EQ(info().tx_max, 4096);
    CHECK_EQ(send_pattern(4096, NETFRONT_CSUM_NONE), 0);
    CHECK_EQ(send_pattern(4097, NETFRONT_CSUM_NONE), -EMSGSIZE);
    netfront_kick(nf);
    run();
    CHECK_EQ(net.nr_sent, 1);
    end();
}

TEST(netfront, notifies_once_for_a_burst)
{
    unsigned before;

    begin();
    before = fakexen_count_notified(net.tx.port);
    for (unsigned i = 0; i < 20; i++)
        CHECK_EQ(send_pattern(1514, NETFRONT_CSUM_NONE), 0);
    CHECK_EQ(fakexen_count_notified(net.tx.port), before);
    netfront_kick(nf);
    netfront_kick(nf);
    CHECK_EQ(fakexen_count_notified(net.tx.port), before + 1);
    run();
    CHECK_EQ(net.nr_sent, 20);
    end();
}

TEST(netfront, says_when_there_is_room_again)
{
    unsigned sent = 0;

    begin();
    net.hold_tx = true;
    while (send_pattern(1514, NETFRONT_CSUM_NONE) == 0)
        sent++;
    CHECK_EQ(sent, 64);
    CHECK_EQ(send_pattern(14, NETFRONT_CSUM_NONE), -ENOBUFS);
    netfront_kick(nf);
    run();
    net.hold_tx = false;
    woken = false;
    fake_net_run(&net);
    CHECK(woken);
    CHECK_EQ(send_pattern(65535, NETFRONT_CSUM_NONE), 0);
    run();
    end();
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
        run();
        net.hold_tx = false;
        woken = false;
        fake_net_run(&net);
        CHECK(woken);
        run();
    }
    end();
}

TEST(netfront, counts_what_the_backend_dropped)
{
    begin();
    net.tx_status = NETIF_RSP_DROPPED;
    CHECK_EQ(send_pattern(9000, NETFRONT_CSUM_NONE), 0);
    netfront_kick(nf);
    run();
    net.tx_status = NETIF_RSP_ERROR;
    CHECK_EQ(send_pattern(100, NETFRONT_CSUM_NONE), 0);
    netfront_kick(nf);
    run();
    CHECK_EQ(send_pattern(100, NETFRONT_CSUM_NONE), 0);
    CHECK_EQ(info().tx_dropped, 2);
    CHECK(info().link);
    end();
}

/* Random frames both ways, all checked. */
static void exchange(unsigned rounds)
{
    net.nr_sent = nr_frames = 0;
    for (unsigned i = 0; i < rounds; i++) {
        unsigned out = 14 + (unsigned)test_random_below(i % 10 ? 1500 : 60000);
        unsigned in = 14 + (unsigned)test_random_below(i % 7 ? 1500 : 60000);

        fill_pattern(i);
        CHECK_EQ(send_pattern(out, NETFRONT_CSUM_BLANK), 0);
        netfront_kick(nf);
        CHECK(fake_net_deliver(&net, pattern, in, 4096, 0, 0));
        run();
        CHECK_EQ(net.nr_sent, i + 1);
        CHECK_MEM(net.last.data, pattern, out);
        CHECK_EQ(nr_frames, i + 1);
        CHECK_MEM(last_data, pattern, in);
    }
}

TEST(netfront, carries_traffic_both_ways)
{
    begin();
    exchange(1000);
    CHECK_EQ(info().rx_dropped + info().tx_dropped, 0);
    end();
}

TEST(netfront, carries_traffic_over_split_channels)
{
    fake_net_create(&net, "0");
    fake_dev_set_back(&net.dev, "feature-split-event-channels", "1");
    CHECK_EQ(open_vif(), 0);
    CHECK(fake_dev_front(&net.dev, "event-channel") == NULL);
    CHECK(net.tx.port != net.rx.port);
    exchange(300);
    end();
}

TEST(netfront, carries_traffic_over_several_vifs)
{
    static struct fake_net second;
    struct netfront *other;

    begin();
    fake_net_create(&second, "1");
    fake_dev_set_front(&second.dev, "mac", "00:16:3e:00:00:01");
    CHECK_EQ(create_and_open("1", &user, &other), 0);
    exchange(50);
    CHECK(fake_net_deliver(&second, pattern, 1000, 4096, 0, 0));
    fakexen_settle();
    (void)netfront_poll(other, 16);
    CHECK_EQ(nr_frames, 51);
    netfront_destroy(other);
    fake_net_destroy(&second);
    end();
}

/* ---- liveness, link ---- */

TEST(netfront, does_not_depend_on_the_backends_events)
{
    begin();
    net.rx.quiet = net.tx.quiet = true;
    for (unsigned i = 1; i < 10; i++) {
        CHECK(fake_net_deliver(&net, pattern, 1000, 4096, 0, 0));
        fakexen_settle();
        CHECK(!woken);
        host_advance(NSEC_PER_SEC + NSEC_PER_MSEC);
        CHECK(woken);
        run();
        CHECK_EQ(nr_frames, i);
    }
    end();
}

TEST(netfront, gets_room_back_from_a_backend_that_sends_no_events)
{
    begin();
    net.tx.quiet = true;
    net.hold_tx = true;
    while (send_pattern(65535, NETFRONT_CSUM_NONE) == 0)
        ;
    netfront_kick(nf);
    run();
    net.hold_tx = false;
    fake_net_run(&net);
    CHECK(!woken);
    CHECK_EQ(send_pattern(65535, NETFRONT_CSUM_NONE), 0);
    end();
}

TEST(netfront, works_with_a_backend_that_never_asks_to_be_notified)
{
    begin();
    net.tx.deaf = net.rx.deaf = true;
    for (unsigned i = 0; i < 500; i++) {
        CHECK_EQ(send_pattern(1514, NETFRONT_CSUM_NONE), 0);
        netfront_kick(nf);
        fake_net_run(&net);
        CHECK(fake_net_deliver(&net, pattern, 1514, 4096, 0, 0));
        run();
    }
    CHECK_EQ(net.nr_sent, 500);
    CHECK_EQ(nr_frames, 500);
    end();
}

TEST(netfront, loses_its_link_when_the_backend_leaves)
{
    static const unsigned states[] = {XenbusStateClosing, XenbusStateClosed, XenbusStateInitWait,
                                      XenbusStateUnknown};

    for (unsigned i = 0; i < ARRAY_SIZE(states); i++) {
        begin();
        CHECK(info().link);
        woken = false;
        fake_dev_set_state(&net.dev, states[i]);
        fakexen_settle();
        CHECK(woken);
        CHECK(!info().link);
        CHECK_EQ(send_pattern(100, NETFRONT_CSUM_NONE), -ENETDOWN);
        run();
        CHECK_STR(fake_dev_front(&net.dev, "state"), "6");
        CHECK(!net.dev.attached);
        CHECK_EQ(send_pattern(100, NETFRONT_CSUM_NONE), -ENETDOWN);
        CHECK(!netfront_poll(nf, 16));
        end();
    }
}

TEST(netfront, bears_that_device_and_backend_vanish_under_load)
{
    begin();
    net.hold_tx = true;
    for (unsigned i = 0; i < 10; i++)
        CHECK_EQ(send_pattern(1514, NETFRONT_CSUM_NONE), 0);
    fake_dev_destroy(&net.dev);
    run();
    CHECK(!info().link);
    netfront_destroy(nf);
    nf = NULL;
}

/* ---- one life after the other ---- */

static void reopen(void)
{
    CHECK(!info().link);
    CHECK_EQ(netfront_reopen(nf, time_now() + 30 * NSEC_PER_SEC), 0);
    CHECK(info().link);
    run();
}

static void backend_leaves(void)
{
    fake_dev_set_state(&net.dev, XenbusStateClosing);
    fakexen_settle();
}

TEST(netfront, reconnects_when_the_backend_comes_back)
{
    begin();
    for (unsigned i = 0; i < 5; i++) {
        exchange(20);
        backend_leaves();
        CHECK_EQ(send_pattern(100, NETFRONT_CSUM_NONE), -ENETDOWN);
        CHECK(!netfront_poll(nf, 16));
        reopen();
        CHECK_EQ(info().lives, i + 2);
    }
    exchange(20);
    end();
}

TEST(netfront, drops_what_the_old_backend_did_not_take)
{
    unsigned grants;

    begin();
    grants = grant_count_used();
    net.hold_tx = true;
    for (unsigned i = 0; i < 10; i++)
        CHECK_EQ(send_pattern(5000, NETFRONT_CSUM_NONE), 0);
    backend_leaves();
    reopen();
    CHECK_EQ(info().tx_dropped, 10);
    CHECK_EQ(grant_count_used(), grants);
    net.hold_tx = false;
    net.nr_sent = 0;
    exchange(30);
    CHECK_EQ(net.nr_sent, 30);
    end();
}

TEST(netfront, gives_back_a_frame_that_only_began_in_an_earlier_life)
{
    begin();
    for (unsigned i = 0; i < 5; i++) {
        fake_net_answer(&net, 0, 0, NETRXF_more_data, 1000);
        fake_net_push(&net);
        run();
        backend_leaves();
        reopen();
        CHECK(fake_net_deliver(&net, pattern, 1000, 4096, 0, 0));
        run();
        CHECK_EQ(nr_frames, i + 1);
        CHECK_EQ(last.len, 1000);
    }
    end();
}

TEST(netfront, says_that_there_is_room_in_the_new_life)
{
    begin();
    net.hold_tx = true;
    while (send_pattern(4000, NETFRONT_CSUM_NONE) == 0)
        ;
    backend_leaves();
    net.hold_tx = false;
    woken = false;
    CHECK_EQ(netfront_reopen(nf, time_now() + 30 * NSEC_PER_SEC), 0);
    CHECK(woken);
    CHECK_EQ(send_pattern(4000, NETFRONT_CSUM_NONE), 0);
    end();
}

TEST(netfront, learns_anew_what_the_backend_can)
{
    begin();
    fake_dev_set_back(&net.dev, "feature-gso-tcpv4", "1");
    fake_dev_set_back(&net.dev, "feature-split-event-channels", "1");
    fake_dev_set_front(&net.dev, "mtu", "9000");
    backend_leaves();
    reopen();
    CHECK_EQ(info().mtu, 9000);
    CHECK_EQ(info().tx_max, 65535);
    CHECK(fake_dev_front(&net.dev, "event-channel") == NULL);
    CHECK_EQ(send_pattern(9014, NETFRONT_CSUM_NONE), 0);
    fake_dev_set_back(&net.dev, "feature-sg", "0");
    fake_dev_set_back(&net.dev, "feature-split-event-channels", "0");
    fake_dev_set_back(&net.dev, "feature-no-csum-offload", "1");
    fake_dev_set_front(&net.dev, "mac", "00:16:3e:65:43:21");
    backend_leaves();
    reopen();
    CHECK_EQ(info().mtu, 1500);
    CHECK_EQ(info().tx_max, 4096);
    CHECK(!info().csum_offload);
    CHECK_MEM(info().mac, "\x00\x16\x3e\x65\x43\x21", 6);
    CHECK(fake_dev_front(&net.dev, "event-channel-tx") == NULL);
    CHECK_EQ(send_pattern(9014, NETFRONT_CSUM_NONE), -EMSGSIZE);
    CHECK_EQ(send_pattern(1514, NETFRONT_CSUM_NONE), 0);
    netfront_kick(nf);
    CHECK(fake_net_deliver(&net, pattern, 1514, 4096, 0, 0));
    run();
    CHECK_EQ(nr_frames, 1);
    CHECK_EQ(net.last.len, 1514);
    end();
}

TEST(netfront, is_unplugged_and_plugged_in_under_load)
{
    begin();
    for (unsigned i = 0; i < 20; i++) {
        net.hold_tx = i % 2 == 0;
        for (unsigned n = 0; n < 20; n++)
            CHECK_EQ(send_pattern(1514, NETFRONT_CSUM_NONE), 0);
        (void)fake_net_deliver(&net, pattern, 1514, 4096, 0, 0);
        fake_net_destroy(&net);
        run();
        CHECK_EQ(netfront_reopen(nf, time_now() + 5 * NSEC_PER_SEC), -ETIMEDOUT);
        fake_net_create(&net, "0");
        reopen();
    }
    exchange(20);
    end();
}

TEST(netfront, bears_a_thousand_restarts_of_its_backend_under_load)
{
    begin();
    for (unsigned i = 0; i < 1000; i++) {
        net.hold_tx = test_random_below(2);
        for (unsigned n = 0; n < 30; n++)
            (void)!send_pattern((unsigned)(60 + test_random_below(9000)), NETFRONT_CSUM_NONE);
        (void)fake_net_deliver(&net, pattern, 1514, 4096, 0, 0);
        if (test_random_below(2))
            run();
        host_advance(3 * NSEC_PER_SEC);
        fake_dev_set_back(&net.dev, "feature-split-event-channels", i / 3 % 2 ? "1" : "0");
        fake_dev_set_back(&net.dev, "feature-sg", i / 7 % 2 ? "0" : "1");
        fake_dev_set_state(&net.dev, i % 2 ? XenbusStateClosing : XenbusStateClosed);
        fakexen_settle();
        reopen();
    }
    net.hold_tx = false;
    exchange(20);
    end();
}

TEST(netfront, recovers_from_a_backend_that_broke_the_protocol)
{
    begin();
    for (unsigned i = 0; i < 5; i++) {
        fake_net_answer(&net, 1, 0, 0, 100);
        fake_net_push(&net);
        run();
        CHECK(host_logged("the backend broke the protocol: answer with the id of another"));
        reopen();
        exchange(20);
    }
    end();
}

/* ---- several queues ---- */

#define LARGE 32768 /* pages: enough for eight queues */

static void begin_with_queues(unsigned cpus, const char *max)
{
    for (unsigned cpu = 0; cpu < cpus; cpu++)
        cpumask_add(&host_cpus_online, cpu);
    fake_net_create(&net, "0");
    if (max != NULL)
        fake_dev_set_back(&net.dev, "multi-queue-max-queues", max);
    fake_dev_set_back(&net.dev, "feature-split-event-channels", "1");
    CHECK_EQ(open_vif(), 0);
}

/* The grant table has grown, which is no leak. */
static void end_large(void)
{
    end();
    CHECK_EQ(grant_count_used(), 0);
    test_pass();
}

TEST_RAM(netfront, has_as_many_queues_as_backend_cpus_and_cap_allow, LARGE)
{
    static const struct {
        unsigned cpus, queues;
        const char *max;
    } cases[] = {
        {1, 1, "4"}, {2, 2, "4"}, {4, 3, "3"},  {4, 4, "16"},         {16, 8, "16"}, {4, 1, NULL},
        {4, 1, "0"}, {4, 1, ""},  {4, 1, "-1"}, {4, 4, "4294967296"}, {4, 1, "x"},   {4, 1, "1"},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        host_cpus_online = (struct cpumask){0};
        begin_with_queues(cases[i].cpus, cases[i].max);
        CHECK_EQ(info().queues, cases[i].queues);
        CHECK_EQ(net.nr_queues, cases[i].queues);
        CHECK_EQ(fake_dev_front(&net.dev, "tx-ring-ref") == NULL, cases[i].queues > 1);
        end();
    }
    test_pass(); /* the grant table has grown */
}

TEST_RAM(netfront, has_few_queues_in_a_small_domain, 8192)
{
    begin_with_queues(8, "8");
    CHECK_EQ(info().queues, 2);
    CHECK(host_logged("2 * 128 + 64 pages"));
    end_large();
}

/* A frame of UDP flow (flow), (six): of IPv6. */
static unsigned flow_frame(uint8_t *f, unsigned flow, bool six)
{
    unsigned ports = six ? 54 : 34;

    memset(f, 0, 100);
    memcpy(f + 12, six ? "\x86\xdd" : "\x08\x00", 2);
    f[14] = six ? 0x60 : 0x45;
    f[six ? 20 : 23] = 17;
    f[six ? 53 : 33] = (uint8_t)flow;
    f[ports + 1] = (uint8_t)(flow * 7);
    return 100;
}

static unsigned queue_of_flow[2][64], flows_in[FAKE_QUEUES];

/* The backend's side: each flow in the queue in which it began. */
static void check_flow(struct fake_net *n)
{
    bool six = n->last.data[12] == 0x86;
    unsigned flow = n->last.data[six ? 53 : 33], *queue = &queue_of_flow[six][flow];

    if (*queue == 0)
        flows_in[n->queue]++;
    CHECK(*queue == 0 || *queue == n->queue + 1);
    *queue = n->queue + 1;
}

TEST_RAM(netfront, keeps_a_flow_in_one_queue_and_uses_all, LARGE)
{
    uint8_t f[128];

    begin_with_queues(4, "4");
    net.on_frame = check_flow;
    for (unsigned i = 0; i < 5 * 128; i++) {
        unsigned len = flow_frame(f, i % 64, i / 64 % 2);
        struct netfront_frag frag = {f, (uint16_t)len, NULL};

        CHECK_EQ(netfront_send(nf, &frag, 1, NETFRONT_CSUM_NONE), 0);
        if (i % 10 == 0) {
            netfront_kick(nf);
            run();
        }
    }
    netfront_kick(nf);
    run();
    CHECK_EQ(net.nr_sent, 5 * 128);
    CHECK_EQ(info().tx_frames, 5 * 128);
    for (unsigned i = 0; i < 4; i++)
        CHECK(flows_in[i] > 128 / 16);
    end_large();
}

static void deliver_to_each_queue(void)
{
    for (net.queue = 0; net.queue < net.nr_queues; net.queue++) {
        fill_pattern(net.queue);
        nr_frames = 0;
        CHECK(fake_net_deliver(&net, pattern, 5000, 4096, 0, 0));
        run();
        CHECK_EQ(nr_frames, 1);
        CHECK_MEM(last_data, pattern, 5000);
    }
    net.queue = 0;
}

TEST_RAM(netfront, takes_frames_from_every_queue, LARGE)
{
    begin_with_queues(4, "4");
    for (unsigned i = 0; i < 100; i++)
        deliver_to_each_queue();
    CHECK_EQ(info().rx_frames, 400);
    end_large();
}

TEST_RAM(netfront, reconnects_with_another_number_of_queues, LARGE)
{
    static const char *const max[] = {"1", "8", "2", "4", "", "3"};
    static const unsigned queues[] = {1, 4, 2, 4, 1, 3};
    uint8_t f[128];

    begin_with_queues(4, "4");
    for (unsigned i = 0; i < 60; i++) {
        net.hold_tx = i % 2;
        for (unsigned n = 0; n < 64; n++) {
            struct netfront_frag frag = {f, (uint16_t)flow_frame(f, n, false), NULL};

            CHECK_EQ(netfront_send(nf, &frag, 1, NETFRONT_CSUM_NONE), 0);
        }
        if (i % 3)
            netfront_kick(nf);
        fake_dev_set_back(&net.dev, "multi-queue-max-queues", max[i % 6]);
        fake_dev_set_back(&net.dev, "feature-split-event-channels", i % 4 / 2 ? "1" : "0");
        host_advance(3 * NSEC_PER_SEC);
        backend_leaves();
        reopen();
        CHECK_EQ(info().queues, queues[i % 6]);
        net.hold_tx = false;
        deliver_to_each_queue();
    }
    end_large();
}

TEST_RAM(netfront, hostile_queue_takes_the_vif_down_and_no_more, LARGE)
{
    begin_with_queues(4, "4");
    for (unsigned i = 0; i < 4; i++) {
        net.queue = i;
        fake_net_answer(&net, 1, 0, 0, 100);
        fake_net_push(&net);
        run();
        CHECK(host_logged("the backend broke the protocol"));
        net.queue = 0;
        reopen();
        deliver_to_each_queue();
    }
    end_large();
}

TEST(netfront, closes_with_frames_in_flight)
{
    nsec_t start;

    begin();
    net.hold_tx = true;
    while (send_pattern(1514, NETFRONT_CSUM_NONE) == 0)
        ;
    fake_net_answer(&net, 0, 0, NETRXF_more_data, 1000);
    fake_net_push(&net);
    run();
    start = time_now();
    netfront_destroy(nf);
    nf = NULL;
    CHECK(time_now() - start < XB_CLOSE_TIMEOUT + NSEC_PER_SEC);
    end();
}

/* Take all memory but (n) pages; give it back with n = HOST_RAM_PAGES. */
static void leave_pages(size_t n)
{
    static void *hog[HOST_RAM_PAGES];
    static size_t taken;

    while (taken > 0 && page_count_free() < n)
        page_free(hog[--taken]);
    while (page_count_free() > n)
        CHECK((hog[taken++] = page_alloc()) != NULL);
}

TEST(netfront, posts_pages_again_once_there_is_memory)
{
    begin();
    leave_pages(10);
    hold_pages = true;
    for (unsigned i = 0; i < 60; i++)
        CHECK(fake_net_deliver(&net, pattern, 1514, 4096, 0, 0));
    run();
    CHECK_EQ(nr_frames, 60);
    CHECK_EQ(net.rx.page->req_prod - net.rx.req_cons, 128 - 60 + 10);
    while (nr_held > 0)
        page_free(held[--nr_held]);
    leave_pages(HOST_RAM_PAGES);
    host_advance(2 * NSEC_PER_SEC);
    run();
    CHECK_EQ(net.rx.page->req_prod - net.rx.req_cons, 128);
    end();
}

TEST(netfront, bouncing_drops_frames_without_memory)
{
    fake_net_create(&net, "0");
    fake_dev_set_front(&net.dev, "trusted", "0");
    CHECK_EQ(open_vif(), 0);
    leave_pages(2);
    CHECK(fake_net_deliver(&net, pattern, 20000, 4096, 0, 0));
    run();
    CHECK_EQ(nr_frames, 0);
    CHECK_EQ(info().rx_dropped, 1);
    CHECK_EQ(page_count_free(), 2);
    leave_pages(HOST_RAM_PAGES);
    CHECK(fake_net_deliver(&net, pattern, 20000, 4096, 0, 0));
    run();
    CHECK_EQ(nr_frames, 1);
    end();
}

TEST(netfront, open_fails_cleanly_without_memory)
{
    fake_net_create(&net, "0");
    for (size_t n = 0; n < 80; n++) {
        int rc;

        leave_pages(n);
        rc = open_vif();
        CHECK_EQ(rc, n < 66 ? -ENOMEM : 0);
        if (rc == 0)
            netfront_destroy(nf);
        nf = NULL;
        fakexen_settle();
        CHECK_EQ(page_count_free(), n);
    }
    leave_pages(HOST_RAM_PAGES);
    end();
}

/* ---- a hostile backend ---- */

/* The device is out of service, everybody was told, and it closes. */
static void expect_broken(const char *why)
{
    run();
    CHECK(!info().link);
    CHECK(host_logged("vif/0: the backend broke the protocol: "));
    if (!host_logged(why))
        test_fail(__FILE__, __LINE__, "not because of: %s", why);
    CHECK(fakexen_store_get(FAKE_HOME "/error/device/vif/0/error") != NULL);
    CHECK_EQ(send_pattern(100, NETFRONT_CSUM_NONE), -ENETDOWN);
    end();
}

TEST(netfront, hostile_receive_indices)
{
    static const uint32_t jumps[] = {0x80000000, 0x7fffffff, 257, 256, 129, 0xffffffff, 0xfffffff0};

    for (unsigned i = 0; i < ARRAY_SIZE(jumps); i++) {
        begin();
        net.rx.page->rsp_prod += jumps[i];
        fakexen_raise(net.rx.port);
        expect_broken("more received slots than were posted");
    }
}

TEST(netfront, hostile_transmit_indices)
{
    static const uint32_t jumps[] = {0x80000000, 257, 256, 6, 0xffffffff};

    for (unsigned i = 0; i < ARRAY_SIZE(jumps); i++) {
        begin();
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
    begin();
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

    begin();
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

        begin();
        net.hold_tx = true;
        CHECK_EQ(send_pattern(100, NETFRONT_CSUM_NONE), 0);
        CHECK(back_ring_take(&net.tx, &req, sizeof(req)));
        fake_net_answer_tx(&net, req.id, lies[i]);
        back_ring_push(&net.tx);
        fakexen_raise(net.tx.port);
        expect_broken("impossible status");
    }
}

TEST(netfront, hostile_receive_ids)
{
    static const unsigned lies[] = {1, 128, 255, 256, 32768, 65535};

    for (unsigned i = 0; i < ARRAY_SIZE(lies); i++) {
        begin();
        fake_net_answer(&net, lies[i], 0, 0, 100);
        fake_net_push(&net);
        expect_broken("id of another receive slot");
    }
}

TEST_RAM(netfront, hostile_receive_id_in_a_full_ring, 8192)
{
    begin();
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
        begin();
        fake_net_answer(&net, 0, lies[i].offset, 0, lies[i].status);
        fake_net_push(&net);
        expect_broken("beyond the end of its page");
    }
}

TEST(netfront, hostile_runts_and_failures_are_dropped)
{
    static const int statuses[] = {0, 1, 13, -1, -2, -3, -32768};

    begin();
    for (unsigned i = 0; i < ARRAY_SIZE(statuses); i++) {
        fake_net_answer(&net, 0, 65535 * (statuses[i] < 0), 0, statuses[i]);
        fake_net_push(&net);
        run();
        CHECK_EQ(info().rx_dropped, i + 1);
    }
    CHECK_EQ(nr_frames, 0);
    CHECK(info().link);
    end();
}

TEST(netfront, hostile_chain_of_too_many_slots)
{
    begin();
    for (unsigned i = 0; i < 19; i++)
        fake_net_answer(&net, 0, 0, NETRXF_more_data, 100);
    fake_net_push(&net);
    expect_broken("received frame of too many slots");
    CHECK_EQ(nr_frames, 0);
}

TEST(netfront, hostile_chain_of_failures_is_bounded_too)
{
    begin();
    for (unsigned i = 0; i < 19; i++)
        fake_net_answer(&net, 0, 0, NETRXF_more_data, NETIF_RSP_ERROR);
    fake_net_push(&net);
    expect_broken("received frame of too many slots");
}

TEST(netfront, hostile_chain_that_never_ends_is_given_back_at_close)
{
    begin();
    for (unsigned i = 0; i < 18; i++)
        fake_net_answer(&net, 0, 0, NETRXF_more_data, 300);
    fake_net_push(&net);
    run();
    CHECK_EQ(nr_frames, 0);
    CHECK(info().link);
    end();
}

TEST(netfront, hostile_frame_longer_than_any_is_dropped)
{
    begin();
    for (unsigned i = 0; i < 17; i++)
        fake_net_answer(&net, 0, 0, i < 16 ? NETRXF_more_data : 0, 4096);
    fake_net_push(&net);
    run();
    CHECK_EQ(nr_frames, 0);
    CHECK_EQ(info().rx_dropped, 1);
    end();
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
        begin();
        fake_net_answer(&net, 0, 0, NETRXF_extra_info, 1000);
        fake_net_answer_extra(&net, lies[i].type, lies[i].flags);
        fake_net_push(&net);
        expect_broken(lies[i].why);
    }
    CHECK_EQ(nr_frames, 0);
}

TEST(netfront, hostile_chain_of_extra_infos)
{
    begin();
    fake_net_answer(&net, 0, 0, NETRXF_extra_info, 1000);
    for (unsigned i = 0; i < 3; i++)
        fake_net_answer_extra(&net, XEN_NETIF_EXTRA_TYPE_HASH, XEN_NETIF_EXTRA_FLAG_MORE);
    fake_net_push(&net);
    expect_broken("extra info twice");
}

TEST(netfront, hostile_segmentation_prefix)
{
    begin();
    fake_net_answer(&net, 0, 0, NETRXF_gso_prefix | NETRXF_more_data, 1000);
    fake_net_push(&net);
    expect_broken("segmentation prefix");
}

TEST(netfront, hostile_mappings_lose_frames_but_no_pages)
{
    begin();
    net.keep_mapped = true;
    CHECK(fake_net_deliver(&net, pattern, 5000, 4096, 0, 0));
    CHECK(fake_net_deliver(&net, pattern, 1514, 4096, 0, 0));
    net.keep_mapped = false;
    CHECK(fake_net_deliver(&net, pattern, 1514, 4096, 0, 0));
    run();
    CHECK_EQ(nr_frames, 1);
    CHECK_EQ(info().rx_dropped, 2);
    CHECK_EQ(grant_count_quarantined(), 3);
    fake_net_let_go(&net);
    host_advance(2 * NSEC_PER_SEC);
    CHECK_EQ(grant_count_quarantined(), 0);
    CHECK(info().link);
    end();
}

TEST(netfront, hostile_mappings_are_bounded)
{
    begin();
    net.keep_mapped = true;
    for (unsigned i = 0; i < 1000 && net.rx.page != NULL; i++) {
        (void)fake_net_deliver(&net, pattern, 1514, 4096, 0, 0);
        run();
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
    begin();
    net.keep_mapped = true;
    for (unsigned i = 0; i < 200; i++) {
        CHECK_EQ(send_pattern(4000, NETFRONT_CSUM_NONE), 0);
        netfront_kick(nf);
        run();
    }
    CHECK_EQ(net.nr_sent, 200);
    netfront_destroy(nf);
    nf = NULL;
    CHECK(grant_count_quarantined() > 0);
    end();
    CHECK_EQ(grant_count_quarantined(), 0);
}

TEST(netfront, hostile_ring_pages_stay_out_of_the_next_life)
{
    struct back_ring_page *old;
    gref_t ref;

    begin();
    ref = net.rx.ref;
    old = fake_grant_map(ref, true);
    netfront_destroy(nf);
    CHECK_EQ(open_vif(), 0);
    CHECK(net.rx.page != old);
    memset(old, 0xff, 4096);
    exchange(20);
    fake_grant_unmap(ref, true);
    end();
}

TEST(netfront, hostile_scribbling_over_our_indices_has_no_effect)
{
    begin();
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
        run();
        CHECK_EQ(nr_frames, i + 1);
        CHECK_MEM(last_data, pattern, 1000);
    }
    end();
}

TEST(netfront, hostile_event_storm_costs_little)
{
    uint64_t events;

    begin();
    events = info().events;
    for (unsigned i = 0; i < 100000; i++) {
        fakexen_raise(net.rx.port);
        if (i % 10 == 0) {
            host_advance(100000); /* 0.1 ms */
            run();
        }
    }
    CHECK(info().events - events < 1000);
    host_advance(2 * NSEC_PER_SEC);
    exchange(100);
    CHECK(info().link);
    end();
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
    begin();
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
    end();
}

TEST(netfront, hostile_state_storm_under_load)
{
    begin();
    for (unsigned i = 0; i < 500; i++) {
        (void)!send_pattern(1514, NETFRONT_CSUM_NONE);
        fake_dev_set_state(&net.dev, (unsigned)test_random_below(9));
        run();
    }
    CHECK(!info().link);
    end();
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
                run();
        }
        lives += info().link;
        netfront_destroy(nf);
        fake_net_let_go(&net);
        fakexen_settle();
        host_advance(2 * NSEC_PER_SEC);
    }
    CHECK(lives < 150);
    nf = NULL;
    end();
}

/* ---- few grants ---- */

FAKEXEN_BOOT(netfront_tight, .max_grant_frames = 1) /* 504 grants */

TEST(netfront_tight, open_fails_cleanly_without_grants)
{
    static struct fake_net more[3];
    struct netfront *vif[3] = {NULL, NULL, NULL};
    int rc = 0;

    for (unsigned i = 0; i < 3; i++) {
        fake_net_create(&more[i], i == 0 ? "0" : i == 1 ? "1" : "2");
        rc = create_and_open(i == 0 ? "0" : i == 1 ? "1" : "2", &user, &vif[i]);
        CHECK_EQ(rc, 0); /* the third one has few pages posted */
    }
    CHECK(grant_count_used() >= 490);
    CHECK_EQ(create_and_open("0", &user, &nf), -ENOSPC);
    for (unsigned i = 0; i < 3; i++)
        netfront_destroy(vif[i]);
    for (unsigned i = 0; i < 3; i++)
        fake_net_destroy(&more[i]);
    fakexen_store_rm(FAKE_HOME "/error");
}
