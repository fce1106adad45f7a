/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Raw frames through netfront, with nothing above it: an echo request (ICMP) made by hand, which
 * the kernel of --peer answers. Against net.icmp.rtt, the same frames through sockets and lwIP, it
 * says what the stack takes.
 *
 *   net.frame.send.SIZE   netfront_send and netfront_kick: copied, granted, in the ring, and the
 *                         backend told
 *   net.frame.rtt.SIZE    from there until netfront_poll hands up the answer
 *   net.frame.pps.SIZE    answered a second, with up to 64 under way (16 large ones), in windows of
 *                         10 ms
 *
 * SIZE is of the whole frame but its checksum. The first vif is opened for each of them and closed
 * again; lwIP opens it later.
 */
#include <stdint.h>
#include <arch/page.h>
#include <string.h>
#include "apps/pvbench/inetsum.h"
#include "apps/pvbench/handler.h"
#include "apps/pvbench/probes.h"
#include "frontends/netfront/netfront.h"
#include "kernel/time.h"
#include "kernel/wait.h"
#include "kernel/xenstore.h"
#include "lib/base/atomic.h"

#define WINDOW (10 * NSEC_PER_MSEC)
#define PATIENCE NSEC_PER_SEC
#define BUDGET 64
#define FRAME_MAX 1514

#define ETHER 14
#define IP 20
#define ICMP 8

static struct netfront *vif;
static struct netfront_info info;
static uint8_t my_ip[4], peer_ip[4], peer_mac[6];
static bool have_mac;
static uint8_t frame[FRAME_MAX];

static struct waitq queue = WAITQ_INIT(queue);
static bool pending;
static uint64_t answers;
static uint64_t answered_at;

/* Any context. */
HANDLER static void wake(void *arg)
{
    (void)arg;
    store_release(&pending, true);
    waitq_wake_all(&queue);
}

static bool parse_ip(const char *text, uint8_t ip[4])
{
    unsigned part[4];

    if (sscanf(text, "%u.%u.%u.%u", &part[0], &part[1], &part[2], &part[3]) != 4)
        return false;
    for (int i = 0; i < 4; i++)
        ip[i] = (uint8_t)part[i];
    return true;
}

/* Of ARP and of the answers, what concerns us. */
static void take(const uint8_t *f, unsigned len)
{
    if (len >= 42 && f[12] == 8 && f[13] == 6 && f[21] == 2 && memcmp(f + 28, peer_ip, 4) == 0) {
        memcpy(peer_mac, f + 22, 6);
        have_mac = true;
    } else if (len >= ETHER + IP + ICMP && f[12] == 8 && f[13] == 0 && f[23] == 1 &&
               f[ETHER + IP] == 0 && memcmp(f + 26, peer_ip, 4) == 0) {
        answered_at = stamp();
        answers++;
    }
}

static void input(void *arg, struct netfront_frame *in)
{
    (void)arg;
    take(in->frag[0].data, in->frag[0].len);
    for (unsigned i = 0; i < in->nr_frags; i++)
        if (in->frag[i].page != NULL)
            netfront_give_back(vif, in->frag[i].page, in->life);
}

static const struct netfront_user user = {.input = input, .wake = wake};

static int send_frame(size_t len)
{
    const struct netfront_frag frag = {.data = frame, .len = (uint16_t)len};
    int rc = netfront_send(vif, &frag, 1, NETFRONT_CSUM_NONE);

    netfront_kick(vif);
    return rc;
}

/* Take in what there is, or wait for it. */
static void receive(nsec_t deadline)
{
    (void)wait_until(&queue, load_acquire(&pending), deadline);
    store_release(&pending, false);
    if (netfront_poll(vif, BUDGET))
        store_release(&pending, true);
}

static void ask_for_mac(void)
{
    static const uint8_t head[] = {0, 1, 8, 0, 6, 4, 0, 1};

    memset(frame, 0, sizeof(frame));
    memset(frame, 0xff, 6);
    memcpy(frame + 6, info.mac, 6);
    frame[12] = 8;
    frame[13] = 6;
    memcpy(frame + 14, head, sizeof(head));
    memcpy(frame + 22, info.mac, 6);
    memcpy(frame + 28, my_ip, 4);
    memcpy(frame + 38, peer_ip, 4);
    (void)send_frame(60);
}

static bool find_peer(void)
{
    have_mac = false;
    for (int tries = 0; tries < 10 && !have_mac; tries++) {
        nsec_t end = time_now() + PATIENCE / 2;

        ask_for_mac();
        while (!have_mac && time_now() < end)
            receive(end);
    }
    return have_mac;
}

static void put16(uint8_t *at, unsigned value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

/* An echo request of (len) bytes in all. */
static void make_echo(size_t len)
{
    uint8_t *ip = frame + ETHER, *icmp = ip + IP;

    memset(frame, 0, sizeof(frame));
    memcpy(frame, peer_mac, 6);
    memcpy(frame + 6, info.mac, 6);
    frame[12] = 8;
    ip[0] = 0x45;
    put16(ip + 2, (unsigned)(len - ETHER));
    ip[8] = 64;
    ip[9] = 1;
    memcpy(ip + 12, my_ip, 4);
    memcpy(ip + 16, peer_ip, 4);
    put16(ip + 10, inet_sum(ip, IP));
    icmp[0] = 8;
    icmp[4] = 0x50;
    put16(icmp + 2, inet_sum(icmp, len - ETHER - IP));
}

/* Why there is no vif to measure on, or NULL. */
static const char *open_vif(void)
{
    if (netfront_create("0", &user, &vif) != 0 || netfront_open(vif) != 0)
        return "the vif cannot be opened";
    netfront_get_info(vif, &info);
    if (!parse_ip(info.ip, my_ip))
        return "the vif has no address: say ip= in its configuration";
    return find_peer() ? NULL : "the peer does not answer to ARP";
}

/* Call (measure) with the vif open. */
static void with_vif(struct run *r, void (*measure)(struct run *r))
{
    const char *why = open_vif();

    if (why != NULL) {
        run_give_up(r, why);
    } else {
        make_echo(run_arg(r));
        answers = 0;
        measure(r);
    }
    if (vif != NULL)
        netfront_destroy(vif);
    vif = NULL;
}

static void measure_rtt(struct run *r)
{
    while (run_more(r)) {
        uint64_t before = answers, begin, sent;
        nsec_t end = time_now() + PATIENCE;

        begin = stamp();
        if (send_frame(run_arg(r)) != 0)
            run_give_up(r, "the ring is full");
        sent = stamp();
        while (answers == before && time_now() < end)
            receive(end);
        if (answers == before) {
            run_give_up(r, "the peer does not answer");
            break;
        }
        run_sample(r, 0, begin, answered_at);
        run_sample(r, 1, begin, sent);
    }
}

/* So many are not too many: Linux has some 128 KiB for answers to echoes, in which a large frame
 * takes more than its size, and drops what is beyond. */
static unsigned under_way(uint64_t size)
{
    return size > 256 ? 16 : 64;
}

static void measure_rate(struct run *r)
{
    uint64_t sent = 0;

    while (run_more(r)) {
        uint64_t before = answers;
        nsec_t begin = time_now(), now = begin;

        for (; now < begin + WINDOW; now = time_now()) {
            const struct netfront_frag frag = {.data = frame, .len = (uint16_t)run_arg(r)};

            while (sent - answers < under_way(run_arg(r)) &&
                   netfront_send(vif, &frag, 1, NETFRONT_CSUM_NONE) == 0)
                sent++;
            netfront_kick(vif);
            receive(now + WINDOW);
        }
        if (answers == before)
            sent = answers; /* what was lost is not waited for */
        run_rate(r, 0, answers - before, now - begin);
    }
}

static void run_rtt(struct run *r)
{
    with_vif(r, measure_rtt);
}

static void run_rate_of_frames(struct run *r)
{
    with_vif(r, measure_rate);
}

static const char *absent_vif(void)
{
    char text[8];

    if (absent_xenstore() != NULL)
        return "there is no xenstore, and so no vif";
    if (xs_read(XS_NO_TX, "device/vif/0/state", text, sizeof(text)) < 0)
        return "there is no vif";
    if (options.peer == NULL || !parse_ip(options.peer, peer_ip))
        return "nobody to talk to: --peer ADDRESS names him";
    return NULL;
}

const struct probe frame_probes[] = {
    PROBE(run_rtt, 64, absent_vif, NS("net.frame.rtt.64"), NS("net.frame.send.64")),
    PROBE(run_rtt, 1514, absent_vif, NS("net.frame.rtt.1514"), NS("net.frame.send.1514")),
    PROBE(run_rate_of_frames, 64, absent_vif, PER_SECOND("net.frame.pps.64")),
    PROBE(run_rate_of_frames, 1514, absent_vif, PER_SECOND("net.frame.pps.1514")),
};
PROBES_END(frame_probes);
