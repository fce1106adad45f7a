/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sockets: round trips and rates to --peer, where `bench/dom0/peer echo` runs (dom0). Plain POSIX:
 * the same file is compiled for Linux, so both guests do the same.
 *
 *   net.icmp.rtt.SIZE   an echo request on a raw socket, answered by the peer's kernel
 *   net.udp.rtt.SIZE    a datagram to a program that sends it back
 *   net.tcp.rtt.SIZE    a message on a connection, and the same back; small segments do not wait
 *   net.udp.pps.SIZE    datagrams that came back a second, 32 under way, in windows of 10 ms
 *   net.tcp.out, .in    one connection, as much as it takes: 10^6 bits a second, in the same
 *                       windows
 *
 * SIZE is of the message, without headers. A datagram that does not come back within a second is a
 * lost round, not a sample; the second is not hidden: the run gives up after eight of them.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include "apps/pvbench/inetsum.h"
#include "apps/pvbench/lists.h"

#define ECHO_PORT 7007
#define SINK_PORT 7008
#define SOURCE_PORT 7009
#define BLOCK (64 * 1024)
#define UNDER_WAY 32
#define LOST_MAX 8
#define WINDOW_NS 10000000ULL
#define SILENT "the peer does not answer"

static char block[BLOCK];

static const char *absent_peer(void)
{
    struct in_addr address;

    if (options.peer == NULL)
        return "nobody to talk to: --peer ADDRESS names him";
    return inet_pton(AF_INET, options.peer, &address) == 1 ? NULL : "--peer is no IPv4 address";
}

/* Connected to (port) of the peer, with a limit to every wait; or -1 and the run is over. */
static int open_socket(struct run *r, int type, int protocol, unsigned port)
{
    const struct timeval limit = {.tv_sec = 1};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, type, protocol), one = 1;

    if (fd < 0) {
        run_give_up(r, "there is no network");
        return -1;
    }
    (void)inet_pton(AF_INET, options.peer, &to.sin_addr);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    if (protocol == IPPROTO_TCP)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0) {
        run_give_up(r, "the peer cannot be reached");
        close(fd);
        return -1;
    }
    return fd;
}

static void run_udp(struct run *r)
{
    int fd = open_socket(r, SOCK_DGRAM, IPPROTO_UDP, ECHO_PORT);
    unsigned lost = 0;

    while (fd >= 0 && run_more(r)) {
        uint64_t begin = stamp();

        if (send(fd, block, run_arg(r), 0) == (ssize_t)run_arg(r) &&
            recv(fd, block, sizeof(block), 0) == (ssize_t)run_arg(r))
            run_sample(r, 0, begin, stamp());
        else if (++lost == LOST_MAX)
            run_give_up(r, SILENT);
    }
    if (fd >= 0)
        close(fd);
}

static bool receive_all(int fd, size_t size)
{
    size_t got = 0;

    while (got < size) {
        ssize_t n = recv(fd, block, size - got, 0);

        if (n <= 0)
            return false;
        got += (size_t)n;
    }
    return true;
}

static void run_tcp(struct run *r)
{
    int fd = open_socket(r, SOCK_STREAM, IPPROTO_TCP, ECHO_PORT);

    while (fd >= 0 && run_more(r)) {
        uint64_t begin = stamp();

        if (send(fd, block, run_arg(r), 0) == (ssize_t)run_arg(r) && receive_all(fd, run_arg(r)))
            run_sample(r, 0, begin, stamp());
        else
            run_give_up(r, SILENT);
    }
    if (fd >= 0)
        close(fd);
}

/* ---- ICMP ---- */

static void make_echo(uint8_t *packet, size_t len, unsigned number)
{
    uint16_t sum;

    memset(packet, 0, len);
    packet[0] = 8;
    packet[4] = 0x51;
    packet[6] = (uint8_t)(number >> 8);
    packet[7] = (uint8_t)number;
    sum = inet_sum(packet, len);
    packet[2] = (uint8_t)(sum >> 8);
    packet[3] = (uint8_t)sum;
}

/* Until the answer with this number, which comes with its IP header. */
static bool await_echo(int fd, unsigned number)
{
    uint8_t answer[2048];
    ssize_t n;

    while ((n = recv(fd, answer, sizeof(answer), 0)) > 0) {
        const uint8_t *icmp = answer + (answer[0] & 15) * 4;

        if (n >= 28 && icmp[0] == 0 && icmp[4] == 0x51 && icmp[6] == (uint8_t)(number >> 8) &&
            icmp[7] == (uint8_t)number)
            return true;
    }
    return false;
}

static void run_icmp(struct run *r)
{
    int fd = open_socket(r, SOCK_RAW, IPPROTO_ICMP, 0);
    size_t len = 8 + run_arg(r);
    uint8_t packet[2048];
    unsigned number = 0, lost = 0;

    while (fd >= 0 && run_more(r)) {
        uint64_t begin;

        make_echo(packet, len, ++number);
        begin = stamp();
        if (send(fd, packet, len, 0) == (ssize_t)len && await_echo(fd, number))
            run_sample(r, 0, begin, stamp());
        else if (++lost == LOST_MAX)
            run_give_up(r, SILENT);
    }
    if (fd >= 0)
        close(fd);
}

/* ---- rates ---- */

/* Keep (UNDER_WAY) datagrams on their way for a window: how many came back. */
static unsigned window_of_datagrams(int fd, size_t size, uint64_t until, unsigned *under_way)
{
    unsigned came = 0;

    while (platform_clock() < until) {
        while (*under_way < UNDER_WAY && send(fd, block, size, 0) == (ssize_t)size)
            ++*under_way;
        if (recv(fd, block, sizeof(block), 0) != (ssize_t)size) {
            *under_way = 0; /* lost, all of them */
            break;
        }
        came++;
        --*under_way;
    }
    return came;
}

static void run_udp_rate(struct run *r)
{
    int fd = open_socket(r, SOCK_DGRAM, IPPROTO_UDP, ECHO_PORT);
    unsigned under_way = 0, silent = 0;

    while (fd >= 0 && run_more(r)) {
        uint64_t begin = platform_clock();
        unsigned came = window_of_datagrams(fd, run_arg(r), begin + WINDOW_NS, &under_way);

        run_rate(r, 0, came, platform_clock() - begin);
        if (came == 0 && ++silent == LOST_MAX)
            run_give_up(r, SILENT);
    }
    if (fd >= 0)
        close(fd);
}

static ssize_t transfer(int fd, bool out)
{
    return out ? send(fd, block, sizeof(block), 0) : recv(fd, block, sizeof(block), 0);
}

static void run_stream(struct run *r)
{
    bool out = run_arg(r) == SINK_PORT;
    int fd = open_socket(r, SOCK_STREAM, IPPROTO_TCP, (unsigned)run_arg(r));

    while (fd >= 0 && run_more(r)) {
        uint64_t begin = platform_clock(), now = begin, bytes = 0;

        while (now < begin + WINDOW_NS) {
            ssize_t n = transfer(fd, out);

            if (n <= 0) {
                run_give_up(r, "the connection broke");
                break;
            }
            bytes += (uint64_t)n;
            now = platform_clock();
        }
        if (now > begin)
            run_value(r, 0, (uint64_t)((double)bytes * 8 * 1e6 / (double)(now - begin)));
    }
    if (fd >= 0)
        close(fd);
}

const struct probe net_probes[] = {
    PROBE(run_icmp, 56, absent_peer, NS("net.icmp.rtt.56")),
    PROBE(run_icmp, 1400, absent_peer, NS("net.icmp.rtt.1400")),
    PROBE(run_udp, 64, absent_peer, NS("net.udp.rtt.64")),
    PROBE(run_udp, 1400, absent_peer, NS("net.udp.rtt.1400")),
    PROBE(run_tcp, 64, absent_peer, NS("net.tcp.rtt.64")),
    PROBE(run_tcp, 1400, absent_peer, NS("net.tcp.rtt.1400")),
    PROBE(run_udp_rate, 64, absent_peer, PER_SECOND("net.udp.pps.64")),
    PROBE(run_udp_rate, 1400, absent_peer, PER_SECOND("net.udp.pps.1400")),
    PROBE(run_stream, SINK_PORT, absent_peer, PER_SECOND_OF("net.tcp.out", "Mbit/s")),
    PROBE(run_stream, SOURCE_PORT, absent_peer, PER_SECOND_OF("net.tcp.in", "Mbit/s")),
};
PROBES_END(net_probes);
