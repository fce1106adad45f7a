/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two domains. One runs `pvbench --serve DOMAIN`: it grants a page to DOMAIN, opens a port for it
 * and says both on its console; the other runs `pvbench --await-peer` and waits until somebody
 * writes what the first one said, "DOMAIN PORT GREF", to its node data/pvbench-peer.
 *
 *   evtchn.peer.pingpong   an event to the other domain, whose handler answers by one: until ours
 *                          runs; we sleep meanwhile
 *   grant.peer.map, .unmap the other domain's page, as grant.map and grant.unmap
 *   grant.peer.copy        as grant.copy
 */
#include <stdlib.h>
#include "apps/pvbench/foreign.h"
#include "apps/pvbench/handler.h"
#include "apps/pvbench/probes.h"
#include "kernel/page.h"
#include "kernel/time.h"
#include "kernel/wait.h"
#include "kernel/xenstore.h"

#define NODE "data/pvbench-peer"
#define PATIENCE (600 * NSEC_PER_SEC)

/* ---- the peer ---- */

HANDLER static void answer(port_t port, void *arg)
{
    (void)arg;
    (void)evtchn_notify(port);
    evtchn_eoi(port, true);
}

int platform_serve(void)
{
    domid_t client = (domid_t)atoi(options.serve);
    void *page = page_alloc_zeroed();
    port_t port;
    gref_t ref;

    if (page == NULL || grant_page(client, page, false, &ref) != 0 ||
        evtchn_alloc_unbound(client, answer, NULL, &port) != 0) {
        printf("pvbench: cannot serve domain %s\n", options.serve);
        return 1;
    }
    printf("pvbench: peer: %u %u %u\n", own_domid(), port, ref);
    fflush(stdout);
    for (;;)
        thread_sleep_until(NEVER);
}

/* ---- the one that measures ---- */

static domid_t peer;
static port_t peer_port;
static gref_t peer_ref;

/* The three numbers, once they are there. */
static bool find_peer(void)
{
    nsec_t end = time_now() + PATIENCE;
    unsigned domain, port, ref;
    char text[64];

    while (peer == 0 && time_now() < end) {
        if (xs_read(XS_NO_TX, NODE, text, sizeof(text)) > 0 &&
            sscanf(text, "%u %u %u", &domain, &port, &ref) == 3) {
            peer = (domid_t)domain;
            peer_port = port;
            peer_ref = ref;
        } else {
            thread_sleep_until(time_now() + 100 * NSEC_PER_MSEC);
        }
    }
    return peer != 0;
}

static const char *absent_peer(void)
{
    if (options.await == NULL)
        return "no peer domain: --await-peer says that there is one";
    return absent_xenstore() ? absent_xenstore()
           : find_peer()     ? NULL
                             : "no peer came within ten minutes";
}

static volatile uint64_t heard_at;
static volatile unsigned heard;
static struct waitq queue = WAITQ_INIT(queue);

HANDLER static void on_answer(port_t port, void *arg)
{
    (void)arg;
    heard_at = stamp();
    heard++;
    evtchn_eoi(port, true);
    waitq_wake_all(&queue);
}

/* One exchange: false when there was no answer within a second. We sleep meanwhile, so that the
 * other domain has a CPU even where there is one only. */
static bool exchange(port_t port, uint64_t *begin)
{
    unsigned before = heard;
    nsec_t end = time_now() + NSEC_PER_SEC;

    *begin = stamp();
    (void)evtchn_notify(port);
    return wait_until(&queue, heard != before, end) == 0;
}

static void run_pingpong(struct run *r)
{
    port_t port;

    if (evtchn_bind_interdomain(peer, peer_port, on_answer, NULL, &port) != 0) {
        run_give_up(r, "the peer's port cannot be bound");
        return;
    }
    while (run_more(r)) {
        uint64_t begin;

        if (exchange(port, &begin))
            run_sample(r, 0, begin, heard_at);
        else
            run_give_up(r, "the peer does not answer");
    }
    evtchn_unbind(port);
}

static void run_map(struct run *r)
{
    foreign_map(r, peer, peer_ref);
}

static void run_copy(struct run *r)
{
    foreign_copy(r, peer, peer_ref);
}

const struct probe peer_probes[] = {
    PROBE(run_pingpong, 0, absent_peer, NS("evtchn.peer.pingpong")),
    PROBE(run_map, 0, absent_peer, NS("grant.peer.map"), NS("grant.peer.unmap")),
    PROBE(run_copy, 0, absent_peer, NS("grant.peer.copy")),
};
PROBES_END(peer_probes);
