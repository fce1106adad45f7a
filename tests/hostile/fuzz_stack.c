/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A fuzzer for what is behind netfront: the interface (lib/net/nic.c), lwIP and the sockets, fed by
 * a backend with frames of any content. The input is a program: a frame of theirs or an act of the
 * guest's one after the other, each with the operands it takes. Most frames are of a protocol that
 * is understood here, answer what the guest sent last, and have right lengths and sums, so that
 * they get somewhere; what the program says they carry may be anything, and so may a few bytes that
 * it changes afterwards.
 *
 * Whatever comes: no sanitizer's report, none of lwIP's assertions, no hang; and at the end, once
 * every time-out is over, no socket, no grant, no port and no memory of the network's is left.
 *
 * The network starts once in a life, so each input runs in a process of its own (fuzz_apart).
 *
 *     make fuzz FUZZ=stack FUZZ_SECONDS=3600
 */
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include "kernel/evtchn.h"
#include "kernel/grant.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "lib/net/budget.h"
#include "lib/net/net.h"
#include "lib/net/sock.h"
#include "lib/posix/fd.h"
#include "tests/host/fakeback.h"
#include "tests/host/fuzz.h"
#include "tests/host/hostarch.h"
#include "tests/host/packet.h"
#include "tests/host/test.h"
#include "tests/hostile/program.h"
#include <lwip/priv/tcp_priv.h>

FAKEXEN_BOOT(fuzz, .cmdline = "paravane.dns=10.8.0.1 paravane.net-wait=1")

bool fuzz_forks = true;

#define STEPS_MAX 200
#define LINGER (300 * NSEC_PER_SEC) /* longer than TIME_WAIT, reassembly and questions */
/* Groups and addresses that the network told us to have. */
#define LEARNT_MAX 4096
#define SOCKETS 4
#define FRAME_MAX 65535
#define HOP_BY_HOP 0
#define ICMP 1
#define IGMP 2
#define TCP 6
#define UDP 17
#define ICMP6 58

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static struct program program;
static struct fake_net net;

static unsigned next8(void)
{
    return program_byte(&program);
}

static unsigned next16(void)
{
    unsigned low = next8();

    return low | next8() << 8;
}

uint32_t net_random(void);
uint32_t net_random(void)
{
    return (uint32_t)test_random();
}

/* ---- what the guest sent last ---- */

static const uint8_t peer_mac[6] = {2, 0, 0, 0, 0, 1},
                     guest_mac[6] = {0, 0x16, 0x3e, 0x12, 0x34, 0x56};
static const uint8_t peer_ip4[4] = {10, 8, 0, 1}, guest_ip4[4] = {10, 8, 0, 10};
static const uint8_t peer_ip6[16] = {0xfd, [15] = 1}, guest_ip6[16] = {0xfd, [15] = 16};

static uint8_t last_tcp[128], last_udp[600]; /* from the transport header on */

static void keep(const struct fake_frame *f, unsigned protocol, unsigned at)
{
    unsigned rest = f->len > at ? f->len - at : 0;

    if (protocol == TCP)
        memcpy(last_tcp, f->data + at, MIN(rest, sizeof(last_tcp)));
    if (protocol == UDP)
        memcpy(last_udp, f->data + at, MIN(rest, sizeof(last_udp)));
}

static void on_frame(struct fake_net *n)
{
    const struct fake_frame *f = &n->last;
    unsigned type = get(f->data + 12, 2);

    if (type == 0x0800 && f->len >= 34)
        keep(f, f->data[23], 34);
    if (type == 0x86dd && f->len >= 54)
        keep(f, f->data[20], 54);
}

/* ---- frames ---- */

static uint8_t frame[FRAME_MAX + 4096];
static unsigned at; /* so long it is */

static void add(unsigned bytes, uint32_t value)
{
    put(frame + at, bytes, value);
    at += bytes;
}

static void add_bytes(const void *bytes, unsigned n)
{
    memcpy(frame + at, bytes, n);
    at += n;
}

/* As many as the program says, and then a long run of one of them, now and then. */
static void add_program(void)
{
    unsigned n = next8(), run = n >= 192 ? next16() % (FRAME_MAX - 1024) : 0;

    for (unsigned i = n % 64; i > 0; i--)
        add(1, next8());
    memset(frame + at, (int)n, run);
    at += run;
}

static void add_ethernet(unsigned type, unsigned how)
{
    static const uint8_t others[][6] = {
        {1, 0, 0x5e, 0, 0, 1}, {0x33, 0x33, 0, 0, 0, 1}, {255, 255, 255, 255, 255, 255}};

    at = 0;
    add_bytes(how % 4 == 0 ? guest_mac : others[how % 4 - 1], 6);
    add_bytes(peer_mac, 6);
    add(2, type);
}

static void add_arp(void)
{
    unsigned how = next8();

    add_ethernet(0x0806, how);
    add_bytes((uint8_t[]){0, 1, 8, 0, 6, 4}, 6);
    add(2, how & 4 ? 1 : 2);
    add_bytes(peer_mac, 6);
    add_bytes(how & 8 ? guest_ip4 : peer_ip4, 4);
    add_bytes(how & 16 ? guest_mac : peer_mac, 6);
    add_bytes(how & 32 ? peer_ip4 : guest_ip4, 4);
}

/* From us, or by (how) from anybody; to the guest, or a group, or somebody else. */
static void add_addresses(bool six, unsigned how)
{
    static const uint8_t node_local[16] = {0xfe, 0x80, [15] = 1}, all[16] = {0xff, 2, [15] = 1};

    add_bytes(six ? how & 4 ? node_local : peer_ip6 : peer_ip4, six ? 16 : 4);
    if (how & 8)
        add_bytes(six ? all : (const uint8_t *)"\xe0\0\0\1", six ? 16 : 4);
    else
        add_bytes(six ? guest_ip6 : guest_ip4, six ? 16 : 4);
    if (how & 16)
        frame[at - 1 - next8() % (six ? 32 : 8)] = (uint8_t)next8();
}

static void add_ip(bool six, unsigned protocol, unsigned how)
{
    add_ethernet(six ? 0x86dd : 0x0800, how);
    if (six) {
        add_bytes((uint8_t[8]){0x60, [6] = (uint8_t)protocol, [7] = 255}, 8);
    } else {
        add_bytes((uint8_t[8]){0x45, [5] = 1}, 8);
        if (how & 32)
            put(frame + at - 2, 2, next16()); /* a fragment */
        add(1, protocol == IGMP ? 1 : 64);
        add(1, protocol);
        add(2, 0);
    }
    add_addresses(six, how);
}

/* Headers that come before the one that counts, of fragments too. */
static void add_extensions(unsigned protocol)
{
    static const uint8_t kinds[] = {44, HOP_BY_HOP, 43, 60, 51, 44, 59, 44};
    unsigned link = 20; /* where the kind of the next one is told */

    for (unsigned n = 1 + next8() % 3; n > 0; n--) {
        unsigned how = next8();

        frame[link] = kinds[how % 8];
        link = at;
        add(1, protocol);
        add(1, how & 8 ? next8() : 0);
        add(2, next16());
        add(4, how & 16 ? next16() : 1);
    }
}

/* ---- transports ---- */

/* In the connection of the guest's last segment, or to its listener. */
static void add_tcp(void)
{
    unsigned how = next8(), flags = next8(), options = how >> 5;
    const uint8_t *to = last_tcp;

    add(2, how & 1 ? 1024 + next8() : get(to + 2, 2));
    add(2, how & 1 ? 80 : get(to, 2));
    add(4, (how & 1 ? 1 : get(to + 8, 4)) + (how & 2 ? (uint32_t)(int16_t)next16() : 0));
    add(4, get(to + 4, 4) + (how & 4 ? (uint32_t)(int16_t)next16() : (to[13] & 3) != 0));
    add(1, (5 + options) << 4);
    add(1, flags);
    add(2, how & 8 ? next16() : 0xffff);
    add(4, 0);
    for (unsigned i = 0; i < options * 4; i++)
        add(1, next8());
}

/* What a server of names or addresses says first when it answers. */
static void add_answer(unsigned how)
{
    uint8_t *data = last_udp + 8;

    if (how & 2) {
        add_bytes(data, 2);
        add(2, 0x8180 ^ (how & 4 ? next16() : 0));
        add_bytes(data + 4, 2);
        add(2, next8() % 4);
        add(4, 0);
        add_bytes(data + 12, 17); /* the question that resolve asks */
    } else {
        add_bytes(data, 236);
        put(frame + at - 236, 1, 2);
        put(frame + at - 220, 4, 0x0a080000 | next8());
        add(4, 0x63825363);
        add_bytes((uint8_t[]){53, 1, (uint8_t)(next8() % 8), 54, 4, 10, 8, 0, 1}, 9);
    }
}

static void add_udp(void)
{
    static const uint16_t ports[] = {7, 68, 53, 9};
    unsigned how = next8();

    add(2, how & 1 ? get(last_udp + 2, 2) : 1000 + next8());
    add(2, how & 1 ? get(last_udp, 2) : ports[how >> 1 & 3]);
    add(4, 0);
    if (how & 1)
        add_answer(how);
}

static void add_icmp6(void)
{
    static const uint8_t types[] = {128, 129, 133, 134, 135, 136, 137, 130,
                                    131, 132, 1,   2,   3,   4,   143, 134};
    unsigned how = next8();

    add(1, types[how % 16]);
    add(1, how & 16 ? next8() : 0);
    add(2, 0);
    if (how & 32)
        add_bytes((uint8_t[4]){[3] = (uint8_t)next8()}, 4);
    if (how & 64)
        add_bytes(how & 128 ? peer_ip6 : guest_ip6, 16);
}

static void add_icmp(unsigned protocol)
{
    add(1, next8());
    add(1, protocol == IGMP ? 0 : next8());
    add(2, 0);
}

static void add_transport(unsigned protocol)
{
    if (protocol == TCP)
        add_tcp();
    else if (protocol == UDP)
        add_udp();
    else if (protocol == ICMP6)
        add_icmp6();
    else if (protocol == ICMP || protocol == IGMP)
        add_icmp(protocol);
}

/* ---- lengths and sums ---- */

static void finish_udp(uint8_t *udp)
{
    put(udp + 4, 2, (unsigned)(frame + at - udp));
}

/* (len) bytes of the frame end it; what was odd is summed with a 0 behind. */
static uint32_t sum_to_end(unsigned from, uint32_t start)
{
    frame[at] = 0;
    return 0xffff & ~sum_of(frame + from, at - from, start);
}

static void finish(bool six, unsigned protocol, unsigned transport)
{
    if (six)
        put(frame + 18, 2, at - 54);
    else
        put(frame + 16, 2, at - 14);
    if (protocol == UDP && at >= transport + 8)
        finish_udp(frame + transport);
    if (protocol == ICMP6 && at >= transport + 4)
        put(frame + transport + 2, 2,
            sum_to_end(transport, sum_of(frame + 22, 32, ICMP6 + at - transport)));
    if ((protocol == ICMP || protocol == IGMP) && at >= transport + 4)
        put(frame + transport + 2, 2, sum_to_end(transport, 0));
    if (!six)
        put(frame + 24, 2, 0xffff & ~sum_of(frame + 14, 20, 0));
}

static void change_bytes(unsigned n)
{
    while (n-- > 0) {
        unsigned where = next16();

        frame[where % MAX(at, 1u)] = (uint8_t)next8();
    }
}

static unsigned protocol_of(bool six, unsigned which)
{
    static const uint8_t four[] = {TCP, UDP, ICMP, IGMP}, sixth[] = {TCP, UDP, ICMP6, ICMP6};

    return six ? sixth[which % 4] : four[which % 4];
}

static void add_packet(void)
{
    unsigned kind = next8(), how = next8(), changes = kind >> 4 & 3;
    bool six = kind & 1, wrong = kind & 8; /* in its sums, too */
    unsigned protocol = protocol_of(six, kind >> 1), transport;

    add_ip(six, protocol, how);
    if (six && (how & 32))
        add_extensions(protocol);
    transport = at;
    add_transport(protocol);
    add_program();
    if (!wrong)
        change_bytes(changes);
    finish(six, protocol, transport);
    if (wrong)
        change_bytes(changes);
}

/* ---- the backend ---- */

static void deliver(void)
{
    static const uint16_t pieces[] = {4096, 1500, 256, 64, 4096, 4096, 4096, 17};
    unsigned how = next8(), flags = how & 8 ? NETRXF_data_validated : 0;

    if (how & 16)
        flags |= NETRXF_csum_blank;
    if (net.dev.attached && at >= 14)
        (void)fake_net_deliver(&net, frame, MIN(at, (unsigned)FRAME_MAX), pieces[how % 8], 0,
                               flags);
}

static void packet_comes(void)
{
    add_packet();
    deliver();
}

static void arp_comes(void)
{
    add_arp();
    add_program();
    change_bytes(next8() % 3);
    deliver();
}

static void anything_comes(void)
{
    at = 0;
    add_program();
    deliver();
}

/* The same frame again: of it the guest has heard. */
static void it_comes_again(void)
{
    if (at > 0)
        change_bytes(next8() % 3);
    deliver();
}

static void backend_steps(void)
{
    fake_dev_set_state(&net.dev, next8() % 2 ? XenbusStateClosing : XenbusStateInitWait);
}

static void time_goes_on(void)
{
    unsigned how = next8();

    thread_sleep_until(time_now() + (how & 128 ? NSEC_PER_SEC : 20 * NSEC_PER_MSEC) * (how & 127));
}

static void everybody_works(void)
{
    thread_sleep_until(time_now() + 1);
}

/* ---- the guest ---- */

static int listener, echo, sock[SOCKETS]; /* -1: closed */

static void guest_accepts(void)
{
    unsigned i = next8() % SOCKETS;

    if (sock[i] < 0)
        sock[i] = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
}

static void guest_connects(void)
{
    unsigned how = next8(), i = how % SOCKETS;
    struct sockaddr_in a4 = {.sin_family = AF_INET, .sin_port = htons(80)};
    struct sockaddr_in6 a6 = {.sin6_family = AF_INET6, .sin6_port = htons(80)};
    bool six = how & 128;

    if (sock[i] >= 0)
        return;
    memcpy(&a4.sin_addr, peer_ip4, 4);
    memcpy(&a6.sin6_addr, peer_ip6, 16);
    sock[i] = socket(six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (sock[i] >= 0)
        (void)!connect(sock[i], six ? (void *)&a6 : (void *)&a4, six ? sizeof(a6) : sizeof(a4));
}

static void guest_sends(void)
{
    static const uint8_t data[60000];
    unsigned i = next8() % SOCKETS, n = next16() % sizeof(data);

    if (sock[i] >= 0)
        (void)!send(sock[i], data, n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void guest_receives(void)
{
    static uint8_t data[65536];
    unsigned i = next8() % (SOCKETS + 1);
    int fd = i < SOCKETS ? sock[i] : echo;

    if (fd >= 0)
        (void)!recv(fd, data, 1 + next16(), MSG_DONTWAIT);
}

static void guest_closes(void)
{
    unsigned how = next8(), i = how % SOCKETS;

    if (sock[i] < 0)
        return;
    if (how & 128) {
        (void)!shutdown(sock[i], how >> 5 & 1 ? SHUT_RD : SHUT_WR);
        return;
    }
    CHECK_EQ(fd_close(sock[i]), 0);
    sock[i] = -1;
}

static void resolve(void *arg)
{
    struct addrinfo *found = NULL;

    (void)arg;
    if (getaddrinfo("www.example", NULL, NULL, &found) == 0)
        freeaddrinfo(found);
}

static void guest_asks_for_a_name(void)
{
    static bool asked;
    struct thread *t;

    if (!asked && thread_create("resolve", PRIO_NORMAL, 32 * 1024, resolve, NULL, &t) == 0)
        thread_detach(t);
    asked = true;
}

/* ---- one input ---- */

static void (*const acts[])(void) = {
    packet_comes,   packet_comes,   packet_comes,          packet_comes,
    packet_comes,   packet_comes,   packet_comes,          packet_comes,
    arp_comes,      anything_comes, it_comes_again,        everybody_works,
    time_goes_on,   guest_accepts,  guest_connects,        guest_sends,
    guest_receives, guest_closes,   guest_asks_for_a_name, backend_steps,
};

static int open_echo(void)
{
    struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_port = htons(7)};
    int fd = socket(AF_INET6, SOCK_DGRAM, 0);

    CHECK_EQ(bind(fd, (void *)&a, sizeof(a)), 0);
    return fd;
}

static int open_listener(void)
{
    struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_port = htons(80)};
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);

    CHECK_EQ(bind(fd, (void *)&a, sizeof(a)), 0);
    CHECK_EQ(listen(fd, 2), 0);
    return fd;
}

static void offer(const char *name, bool on)
{
    fake_dev_set_back(&net.dev, name, on ? "1" : "0");
}

static void begin(unsigned how)
{
    fake_net_create(&net, "0");
    net.hostile = true;
    net.on_frame = on_frame;
    offer("feature-sg", how & 1);
    offer("feature-gso-tcpv4", how & 2);
    offer("feature-gso-tcpv6", how & 2);
    offer("feature-ipv6-csum-offload", how & 4);
    fake_dev_set_front(&net.dev, "trusted", how & 8 ? "0" : "1");
    if (!(how & 16)) /* else it asks by DHCP */
        fake_dev_set_back(&net.dev, "ip", "10.8.0.10/24 fd00::10/64");
    CHECK_EQ(net_start(), 0);
    thread_sleep_until(time_now() + 5 * NSEC_PER_SEC); /* addresses are tested first */
    listener = open_listener();
    echo = open_echo();
    for (unsigned i = 0; i < SOCKETS; i++)
        sock[i] = -1;
}

static size_t used(void)
{
    struct budget_stats stats;

    budget_get_stats(&stats);
    return stats.used;
}

/* Else lwIP gives those up only after hours that nobody answers. */
static void abort_connections(void)
{
    net_lock();
    while (tcp_active_pcbs != NULL)
        tcp_abort(tcp_active_pcbs);
    net_unlock();
}

static void end(size_t memory, unsigned grants)
{
    for (unsigned i = 0; i < SOCKETS; i++)
        if (sock[i] >= 0)
            CHECK_EQ(fd_close(sock[i]), 0);
    CHECK_EQ(fd_close(listener), 0);
    CHECK_EQ(fd_close(echo), 0);
    abort_connections();
    for (nsec_t over = time_now() + LINGER; used() > memory + LEARNT_MAX && time_now() < over;)
        thread_sleep_until(time_now() + NSEC_PER_SEC);
    CHECK(used() <= memory + LEARNT_MAX);
    CHECK_EQ(sock_count(), 0);
    fake_net_destroy(&net);
    for (unsigned i = 0; i < 40 && grant_count_used() > grants; i++)
        thread_sleep_until(time_now() + NSEC_PER_SEC);
}

static void run(const uint8_t *bytes, size_t len)
{
    unsigned grants = grant_count_used(), ports = evtchn_count_bound();
    size_t memory;

    program = (struct program){bytes, bytes + len};
    begin(next8());
    memory = used();
    for (unsigned i = 0; i < STEPS_MAX && program.at < program.end; i++)
        acts[next8() % ARRAY_SIZE(acts)]();
    end(memory, grants);
    CHECK_EQ(grant_count_used(), grants);
    CHECK_EQ(grant_count_quarantined(), 0);
    CHECK_EQ(evtchn_count_bound(), ports);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    fuzz_apart(run, bytes, len);
    return 0;
}
