/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sockets: round trips and rates to --peer, where `bench/dom0/peer echo` runs (dom0). Plain POSIX:
 * the same file is compiled for Linux, so both guests do the same.
 *
 *   net.icmp.rtt.SIZE   an echo request on a raw socket, answered by the peer's kernel: the same
 *                       frames of 64 and 1514 bytes as net.frame.rtt has
 *   net.udp.rtt.SIZE    a datagram to a program that sends it back
 *   net.tcp.rtt.SIZE    a message on a connection, and the same back; small segments do not wait
 *   net.udp.pps.SIZE    datagrams that came back a second, 32 under way, in windows of 10 ms
 *   net.udp.out.SIZE    datagrams that arrived there a second: it answers each sixteenth
 *   net.udp.in.SIZE     datagrams that came from there: 16 for each that asks for them
 *   net.tcp.out, .in    one connection, as much as it takes: 10^6 bits a second, in the same
 *                       windows
 *
 * SIZE is of the message, without headers. What hypercalls and events are counted for is a packet:
 * a datagram with its answer, one of the 16, and 1448 bytes of a connection. A datagram that does
 * not come back within a second is a lost round, not a sample; the second is not hidden: the run
 * gives up after eight of them.
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
#define TRAIN_OUT_PORT 7010
#define TRAIN_IN_PORT 7011
#define TRAIN 16
#define SEGMENT 1448
#define BLOCK (64 * 1024)
#define UNDER_WAY 32
#define LOST_MAX 8
#define WINDOW_NS 10000000ULL
#define ROOM_US 10000
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

/* A datagram is refused at once when the device's ring is full, which may last for as long as dom0
 * does other things. */
static void wait_for_room(void)
{
    usleep(ROOM_US);
}

/* As open_socket, for a crowd of datagrams: one goes ahead, since of many to an address that is not
 * resolved yet a stack keeps few. */
static int open_for_many(struct run *r, unsigned port)
{
    int fd = open_socket(r, SOCK_DGRAM, IPPROTO_UDP, ECHO_PORT);
    unsigned lost = 0;

    if (fd < 0)
        return -1;
    while (send(fd, block, 1, 0) != 1 || recv(fd, block, sizeof(block), 0) != 1) {
        if (++lost == LOST_MAX) {
            run_give_up(r, SILENT);
            break;
        }
        wait_for_room();
    }
    close(fd);
    return open_socket(r, SOCK_DGRAM, IPPROTO_UDP, port);
}

/* How many were sent, and the number of the last one that came back: they come in order, so what is
 * missing before it is lost, and not under way. */
struct flight {
    uint32_t sent, back;
};

static bool send_next(int fd, size_t size, struct flight *f)
{
    uint32_t number = f->sent + 1;

    memcpy(block, &number, sizeof(number));
    if (send(fd, block, size, 0) != (ssize_t)size)
        return false;
    f->sent = number;
    return true;
}

/* Keep (UNDER_WAY) datagrams on their way for a window: how many came back. */
static unsigned window_of_datagrams(int fd, size_t size, uint64_t until, struct flight *f)
{
    unsigned came = 0;

    while (platform_clock() < until) {
        while (f->sent - f->back < UNDER_WAY && send_next(fd, size, f))
            ;
        if (recv(fd, block, sizeof(block), 0) != (ssize_t)size) {
            f->back = f->sent; /* lost, all of them */
            break;
        }
        memcpy(&f->back, block, sizeof(f->back));
        came++;
    }
    return came;
}

static void run_udp_rate(struct run *r)
{
    int fd = open_for_many(r, ECHO_PORT);
    struct flight flight = {0};
    unsigned silent = 0;

    while (fd >= 0 && run_more(r)) {
        uint64_t begin = platform_clock();
        unsigned came = window_of_datagrams(fd, run_arg(r), begin + WINDOW_NS, &flight);

        run_rate(r, 0, came, platform_clock() - begin);
        if (came == 0 && ++silent == LOST_MAX)
            run_give_up(r, SILENT);
    }
    if (fd >= 0)
        close(fd);
}

/* One more train: (TRAIN) datagrams out, or a request for as many, which says of what size. */
static bool start_train(int fd, bool out, size_t size)
{
    uint16_t wanted = htons((uint16_t)size);

    if (!out)
        return send(fd, &wanted, sizeof(wanted), 0) == sizeof(wanted);
    for (unsigned i = 0; i < TRAIN; i++)
        if (send(fd, block, size, 0) != (ssize_t)size)
            return false;
    return true;
}

/* Until the next train is there: one answer, or all of its datagrams. */
static bool end_train(int fd, bool out)
{
    for (unsigned i = 0; i < (out ? 1 : TRAIN); i++)
        if (recv(fd, block, sizeof(block), 0) <= 0)
            return false;
    return true;
}

/* Keep two trains on their way for a window: how many datagrams arrived. A train of which one was
 * lost never ends, so the other end forgets what it has of it when it hears nothing for a while. */
static unsigned window_of_trains(int fd, bool out, size_t size, unsigned *under_way)
{
    uint64_t until = platform_clock() + WINDOW_NS;
    unsigned came = 0;

    while (platform_clock() < until) {
        while (*under_way < UNDER_WAY && start_train(fd, out, size))
            *under_way += TRAIN;
        if (*under_way == 0) {
            wait_for_room();
            continue;
        }
        if (!end_train(fd, out)) {
            *under_way = 0;
            break;
        }
        *under_way -= TRAIN;
        came += TRAIN;
    }
    return came;
}

static void run_trains(struct run *r)
{
    bool out = run_arg(r) >> 16 == TRAIN_OUT_PORT;
    int fd = open_for_many(r, (unsigned)(run_arg(r) >> 16));
    unsigned under_way = 0, silent = 0;

    while (fd >= 0 && run_more(r)) {
        uint64_t begin = platform_clock();
        unsigned came = window_of_trains(fd, out, run_arg(r) & 0xffff, &under_way);

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
    uint64_t rest = 0;

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
        rest += bytes;
        run_count(r, rest / SEGMENT);
        rest %= SEGMENT;
        if (now > begin)
            run_value(r, 0, (uint64_t)((double)bytes * 8 * 1e6 / (double)(now - begin)));
    }
    if (fd >= 0)
        close(fd);
}

const struct probe net_probes[] = {
    PROBE(run_icmp, 22, absent_peer, NS("net.icmp.rtt.22")),
    PROBE(run_icmp, 1472, absent_peer, NS("net.icmp.rtt.1472")),
    PROBE(run_udp, 64, absent_peer, NS("net.udp.rtt.64")),
    PROBE(run_udp, 1400, absent_peer, NS("net.udp.rtt.1400")),
    PROBE(run_tcp, 64, absent_peer, NS("net.tcp.rtt.64")),
    PROBE(run_tcp, 1400, absent_peer, NS("net.tcp.rtt.1400")),
    PROBE(run_udp_rate, 64, absent_peer, PER_SECOND("net.udp.pps.64")),
    PROBE(run_udp_rate, 1400, absent_peer, PER_SECOND("net.udp.pps.1400")),
    PROBE(run_trains, (unsigned long)TRAIN_OUT_PORT << 16 | 64, absent_peer,
          PER_SECOND("net.udp.out.64")),
    PROBE(run_trains, (unsigned long)TRAIN_OUT_PORT << 16 | 1400, absent_peer,
          PER_SECOND("net.udp.out.1400")),
    PROBE(run_trains, (unsigned long)TRAIN_IN_PORT << 16 | 64, absent_peer,
          PER_SECOND("net.udp.in.64")),
    PROBE(run_trains, (unsigned long)TRAIN_IN_PORT << 16 | 1400, absent_peer,
          PER_SECOND("net.udp.in.1400")),
    PROBE(run_stream, SINK_PORT, absent_peer, PER_SECOND_OF("net.tcp.out", "Mbit/s")),
    PROBE(run_stream, SOURCE_PORT, absent_peer, PER_SECOND_OF("net.tcp.in", "Mbit/s")),
};
PROBES_END(net_probes);
