/* SPDX-License-Identifier: BSD-2-Clause */
/* Which multicast groups a backend is told of: by netfront, and by lwIP through it. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include "frontends/netfront/netfront.h"
#include "kernel/cpumask.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "lib/net/net.h"
#include "lib/posix/fd.h"
#include "tests/host/fakeback.h"
#include "tests/host/hostarch.h"
#include "tests/host/test.h"

FAKEXEN_BOOT(multicast)

static struct fake_net net;
static struct netfront *nf;
static bool woken;

/* ---- the user ---- */

static void input(void *arg, struct netfront_frame *frame)
{
    (void)arg;
    (void)frame;
    test_fail(__FILE__, __LINE__, "nobody sent a frame");
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
        netfront_mind_groups(nf);
        fakexen_settle();
    }
}

/* Group number (i): one that its first and its last byte tell. */
static const uint8_t *mac_of(unsigned i)
{
    static uint8_t mac[6] = {0x01, 0x00, 0x5e, 0x7f};

    mac[5] = (uint8_t)i;
    return mac;
}

/* Groups (first) .. (first + n - 1). */
static void want(unsigned first, unsigned n)
{
    struct netfront_groups groups = {.nr = 0};

    for (unsigned i = 0; i < n; i++)
        netfront_add_group(&groups, mac_of(first + i));
    netfront_set_groups(nf, &groups);
}

static void check_told(unsigned first, unsigned n)
{
    CHECK_EQ(net.nr_groups, n);
    for (unsigned i = 0; i < n; i++)
        CHECK(fake_net_has_group(&net, mac_of(first + i)));
}

static void offer(const char *feature, const char *dynamic)
{
    fake_dev_set_back(&net.dev, "feature-multicast-control", feature);
    fake_dev_set_back(&net.dev, "feature-dynamic-multicast-control", dynamic);
}

static bool is_asked_to_filter(void)
{
    const char *value = fake_dev_front(&net.dev, "request-multicast-control");

    return value != NULL && strcmp(value, "1") == 0;
}

/* With groups 0 .. (n - 1) from the start. */
static void begin(unsigned n)
{
    fake_net_create(&net, "0");
    offer("1", "1");
    CHECK_EQ(netfront_create("0", &user, &nf), 0);
    want(0, n);
    CHECK_EQ(netfront_open(nf), 0);
    run();
}

static void backend_leaves(void)
{
    fake_dev_set_state(&net.dev, XenbusStateClosing);
    fakexen_settle();
}

static void reopen(void)
{
    CHECK_EQ(netfront_reopen(nf, time_now() + 30 * NSEC_PER_SEC), 0);
    run();
}

static struct netfront_info info(void)
{
    struct netfront_info i;

    netfront_get_info(nf, &i);
    return i;
}

static void end(void)
{
    CHECK_EQ(info().tx_frames, net.nr_sent);
    CHECK(info().link);
    netfront_destroy(nf);
    fake_net_destroy(&net);
    fakexen_settle();
}

static int send_frame(unsigned len)
{
    static uint8_t data[8192] = {[12] = 8};
    struct netfront_frag frag = {data, (uint16_t)len, NULL};

    return netfront_send(nf, &frag, 1, NETFRONT_CSUM_NONE);
}

/* ---- announcing ---- */

TEST(multicast, tells_the_backend_what_is_wanted)
{
    begin(3);
    CHECK(is_asked_to_filter());
    check_told(0, 3);
    want(2, 4);
    run();
    check_told(2, 4);
    CHECK_EQ(net.nr_group_notes, 3 + 2 + 3);
    want(2, 4);
    run();
    CHECK_EQ(net.nr_group_notes, 8); /* nothing new */
    want(0, 0);
    run();
    check_told(0, 0);
    CHECK_EQ(net.nr_sent, 0); /* no frame */
    end();
}

TEST(multicast, as_many_as_the_backend_keeps_and_others_instead)
{
    begin(NETFRONT_GROUPS_MAX);
    check_told(0, NETFRONT_GROUPS_MAX);
    want(100, NETFRONT_GROUPS_MAX);
    run();
    check_told(100, NETFRONT_GROUPS_MAX);
    CHECK(is_asked_to_filter());
    end();
}

TEST(multicast, a_group_counts_once)
{
    struct netfront_groups groups = {.nr = 0};

    for (unsigned i = 0; i < 200; i++)
        netfront_add_group(&groups, mac_of(i % 64));
    CHECK_EQ(groups.nr, 64);
    netfront_add_group(&groups, mac_of(64));
    netfront_add_group(&groups, mac_of(65));
    CHECK_EQ(groups.nr, NETFRONT_GROUPS_MAX + 1);
}

TEST(multicast, tells_it_again_in_every_life)
{
    begin(5);
    for (unsigned i = 0; i < 10; i++) {
        backend_leaves();
        want(i, 5 + i); /* while there is nobody to tell */
        CHECK_EQ(netfront_reopen(nf, time_now() + 30 * NSEC_PER_SEC), 0);
        fakexen_settle();
        check_told(i, 5 + i); /* before the user sends anything */
        run();
        CHECK(is_asked_to_filter());
    }
    end();
}

TEST(multicast, waits_for_room_in_the_ring)
{
    unsigned sent = 0;

    begin(2);
    net.hold_tx = true;
    while (send_frame(4000) == 0)
        sent++;
    want(1, 40);
    run();
    check_told(0, 2);
    net.hold_tx = false;
    fake_net_run(&net);
    run();
    CHECK_EQ(net.nr_sent, sent);
    check_told(1, 40);
    end();
}

/* Some of the notes find room, and then the backend leaves with all of them. */
TEST(multicast, forgets_what_the_old_backend_did_not_take)
{
    begin(2);
    net.hold_tx = true;
    while (send_frame(4000) == 0 && send_frame(4000) == 0)
        want(2, 30);
    backend_leaves();
    net.hold_tx = false;
    reopen();
    check_told(2, 30);
    net.nr_sent = (unsigned)info().tx_frames; /* the others are lost */
    end();
}

TEST_RAM(multicast, through_the_first_of_several_queues, 65536)
{
    for (unsigned cpu = 0; cpu < 4; cpu++)
        cpumask_add(&host_cpus_online, cpu);
    fake_net_create(&net, "0");
    offer("1", "1");
    fake_dev_set_back(&net.dev, "multi-queue-max-queues", "4");
    CHECK_EQ(netfront_create("0", &user, &nf), 0);
    want(0, 9);
    CHECK_EQ(netfront_open(nf), 0);
    run();
    CHECK_EQ(net.nr_queues, 4);
    check_told(0, 9); /* the backend looks which queue it is */
    end();
    test_pass(); /* the grant table has grown */
}

/* ---- backends that do not filter, or not all ---- */

TEST(multicast, a_backend_that_does_not_filter)
{
    static const char *const without[][2] = {{"0", "0"}, {"0", "1"}, {"1", "0"}};

    begin(3);
    for (unsigned i = 0; i < ARRAY_SIZE(without); i++) {
        unsigned before = net.nr_group_notes;

        backend_leaves();
        offer(without[i][0], without[i][1]);
        reopen();
        want(0, i);
        run();
        CHECK(!is_asked_to_filter());
        CHECK_EQ(net.nr_group_notes, before);
    }
    backend_leaves();
    offer("1", "1");
    reopen();
    CHECK(is_asked_to_filter());
    check_told(0, 2);
    end();
}

TEST(multicast, a_user_who_says_nothing_wants_all)
{
    fake_net_create(&net, "0");
    offer("1", "1");
    CHECK_EQ(netfront_create("0", &user, &nf), 0);
    CHECK_EQ(netfront_open(nf), 0);
    run();
    CHECK(!is_asked_to_filter());
    CHECK_EQ(net.nr_group_notes, 0);
    end();
}

/* All come then, until there are few enough and another life begins. */
TEST(multicast, more_groups_than_backends_keep)
{
    begin(3);
    want(0, NETFRONT_GROUPS_MAX + 1);
    run();
    CHECK(!is_asked_to_filter());
    CHECK(host_logged("vif0: all multicast comes in: there are more groups than backends keep"));
    want(0, 4);
    run();
    CHECK(!is_asked_to_filter());
    CHECK_EQ(net.nr_group_notes, 3);
    backend_leaves();
    reopen();
    CHECK(is_asked_to_filter());
    check_told(0, 4);
    end();
}

/* The user polls with locks that others want, so the store is written elsewhere. */
TEST(multicast, nobody_waits_for_the_store_while_it_polls)
{
    begin(3);
    want(0, NETFRONT_GROUPS_MAX + 1);
    for (unsigned i = 0; i < 5; i++) {
        (void)netfront_poll(nf, 16);
        fakexen_settle();
        CHECK(is_asked_to_filter());
    }
    netfront_mind_groups(nf);
    CHECK(!is_asked_to_filter());
    end();
}

TEST(multicast, a_backend_that_refuses_a_group)
{
    begin(3);
    net.groups_max = 5;
    want(0, 9);
    host_advance(NSEC_PER_SEC); /* nobody asked for an event */
    run();
    CHECK(!is_asked_to_filter());
    CHECK(host_logged("vif0: all multicast comes in: the backend refused a group"));
    CHECK_EQ(info().tx_dropped, 0);
    net.groups_max = 64;
    backend_leaves();
    reopen();
    CHECK(is_asked_to_filter());
    check_told(0, 9);
    end();
}

/* Each is a fault of the backend's in one life, and nothing more. */
TEST(multicast, hostile_answers_to_notes)
{
    static const struct {
        int status;
        unsigned id_lie, nr_nulls;
    } lies[] = {{NETIF_RSP_NULL, 0, 2}, {1, 0, 1}, {NETIF_RSP_OKAY, 7, 1}, {NETIF_RSP_OKAY, 0, 3}};

    for (unsigned i = 0; i < ARRAY_SIZE(lies); i++) {
        struct netif_tx_request req;

        begin(0);
        net.hold_tx = true;
        want(0, 1);
        CHECK(back_ring_take(&net.tx, &req, sizeof(req)));
        fake_net_answer_tx(&net, req.id + lies[i].id_lie, lies[i].status);
        for (unsigned n = 0; n < lies[i].nr_nulls; n++)
            fake_net_answer_tx(&net, 0xabcd, NETIF_RSP_NULL);
        net.tx.req_cons++;
        back_ring_push(&net.tx);
        fakexen_raise(net.tx.port);
        run();
        CHECK(!info().link);
        net.hold_tx = false;
        reopen();
        CHECK(host_logged("vif/0: the backend broke the protocol: "));
        check_told(0, 1);
        end();
        fakexen_store_rm(FAKE_HOME "/error");
        host_advance(10 * NSEC_PER_SEC);
    }
}

/* It says "error" to whatever it is told: all come in, and it is not told twice. */
TEST(multicast, hostile_refusal_of_everything)
{
    begin(0);
    net.hold_tx = true;
    want(0, 20);
    for (struct netif_tx_request req; back_ring_take(&net.tx, &req, sizeof(req));
         net.tx.req_cons++) {
        fake_net_answer_tx(&net, req.id, NETIF_RSP_ERROR);
        fake_net_answer_tx(&net, 0, NETIF_RSP_NULL);
    }
    back_ring_push(&net.tx);
    fakexen_raise(net.tx.port);
    run();
    CHECK(info().link);
    CHECK(!is_asked_to_filter());
    net.hold_tx = false;
    want(5, 20);
    run();
    CHECK_EQ(net.nr_group_notes, 0);
    end();
}

/* ---- lwIP's groups ---- */

static const uint8_t all_nodes[] = {0x33, 0x33, 0, 0, 0, 1}, all_hosts[] = {1, 0, 0x5e, 0, 0, 1},
                     solicited[] = {0x33, 0x33, 0xff, 0, 0, 0x10},
                     local[] = {0x33, 0x33, 0xff, 0x12, 0x34, 0x56}, ours[] = {1, 0, 0x5e, 1, 2, 3},
                     ours6[] = {0x33, 0x33, 0x12, 0x34, 0x56, 0x78};

static void settle(nsec_t time)
{
    thread_sleep_until(time_now() + time);
}

static void start_network(void)
{
    fake_net_create(&net, "0");
    offer("1", "1");
    fake_dev_set_back(&net.dev, "ip", "10.8.0.10 fd00::10");
    CHECK_EQ(net_start(), 0);
    settle(5 * NSEC_PER_SEC); /* the link-local address is tested first */
}

static void check_neighbours_groups(void)
{
    CHECK(is_asked_to_filter());
    CHECK(fake_net_has_group(&net, all_nodes));
    CHECK(fake_net_has_group(&net, all_hosts));
    CHECK(fake_net_has_group(&net, solicited));
    CHECK(fake_net_has_group(&net, local));
}

static void change_ip4(int fd, int option, const char *group)
{
    struct ip_mreq mreq = {.imr_multiaddr.s_addr = inet_addr(group),
                           .imr_interface.s_addr = inet_addr("10.8.0.10")};

    CHECK_EQ(setsockopt(fd, IPPROTO_IP, option, &mreq, sizeof(mreq)), 0);
}

static void change_ip6(int fd, int option, const char *group)
{
    struct ipv6_mreq mreq = {.ipv6mr_interface = 0};

    CHECK_EQ(inet_pton(AF_INET6, group, &mreq.ipv6mr_multiaddr), 1);
    CHECK_EQ(setsockopt(fd, IPPROTO_IPV6, option, &mreq, sizeof(mreq)), 0);
}

TEST(multicast, neighbours_and_routers_are_heard)
{
    start_network();
    check_neighbours_groups();
    CHECK_EQ(net.nr_groups, 4);
    backend_leaves();
    fake_dev_set_state(&net.dev, XenbusStateInitWait);
    settle(5 * NSEC_PER_SEC);
    check_neighbours_groups();
    CHECK_EQ(net.nr_groups, 4);
    test_pass();
}

/* Two groups of IPv4 have the same Ethernet address. */
TEST(multicast, sockets_join_and_leave)
{
    start_network();
    int fd = socket(AF_INET, SOCK_DGRAM, 0), fd6 = socket(AF_INET6, SOCK_DGRAM, 0);

    CHECK(fd >= 0 && fd6 >= 0);
    change_ip4(fd, IP_ADD_MEMBERSHIP, "239.1.2.3");
    change_ip4(fd, IP_ADD_MEMBERSHIP, "239.129.2.3");
    change_ip6(fd6, IPV6_JOIN_GROUP, "ff02::1234:5678");
    settle(NSEC_PER_SEC);
    CHECK_EQ(net.nr_groups, 6);
    CHECK(fake_net_has_group(&net, ours));
    CHECK(fake_net_has_group(&net, ours6));
    change_ip4(fd, IP_DROP_MEMBERSHIP, "239.1.2.3");
    settle(NSEC_PER_SEC);
    CHECK(fake_net_has_group(&net, ours));
    change_ip4(fd, IP_DROP_MEMBERSHIP, "239.129.2.3");
    CHECK_EQ(fd_close(fd6), 0);
    settle(NSEC_PER_SEC);
    check_neighbours_groups();
    CHECK_EQ(net.nr_groups, 4);
    CHECK_EQ(fd_close(fd), 0);
    test_pass();
}
