/* SPDX-License-Identifier: BSD-2-Clause */
/* frontends/netfront with several queues. */
#include "tests/host/netrig.h"

#include <string.h>
#include "kernel/cpumask.h"
#include "kernel/grant.h"
#include "kernel/time.h"
#include "tests/host/hostarch.h"
#include "tests/host/test.h"

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
    end_vif();
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
        CHECK_EQ(vif_info().queues, cases[i].queues);
        CHECK_EQ(net.nr_queues, cases[i].queues);
        CHECK_EQ(fake_dev_front(&net.dev, "tx-ring-ref") == NULL, cases[i].queues > 1);
        end_vif();
    }
    test_pass(); /* the grant table has grown */
}

TEST_RAM(netfront, has_few_queues_in_a_small_domain, 8192)
{
    begin_with_queues(8, "8");
    CHECK_EQ(vif_info().queues, 2);
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
            run_vif();
        }
    }
    netfront_kick(nf);
    run_vif();
    CHECK_EQ(net.nr_sent, 5 * 128);
    CHECK_EQ(vif_info().tx_frames, 5 * 128);
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
        run_vif();
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
    CHECK_EQ(vif_info().rx_frames, 400);
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
        reopen_vif();
        CHECK_EQ(vif_info().queues, queues[i % 6]);
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
        run_vif();
        CHECK(host_logged("the backend broke the protocol"));
        net.queue = 0;
        reopen_vif();
        deliver_to_each_queue();
    }
    end_large();
}
