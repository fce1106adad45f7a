/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Services for clients in dom0, all in one thread around poll:
 *   7 echo (TCP and UDP, IPv4 and IPv6)   9 discard   19 source without end
 *   11 accepts and never reads            13 one line of counters
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "lib/net/status.h"

#define ENTRIES 1024
#define BLOCK 65536

struct entry {
    int port, type;
    bool listens;
    size_t held; /* echo: bytes that still go back */
    char *buf;
};

static struct pollfd fds[ENTRIES];
static struct entry entries[ENTRIES];
static unsigned nr;
static char block[BLOCK];

static void add(int fd, int port, int type, bool listens, short events)
{
    if (nr == ENTRIES) {
        close(fd);
        return;
    }
    fds[nr] = (struct pollfd){.fd = fd, .events = events};
    entries[nr++] = (struct entry){.port = port, .type = type, .listens = listens};
}

static void serve(int port, int type)
{
    struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    int fd = socket(AF_INET6, type | SOCK_NONBLOCK, 0);

    if (bind(fd, (struct sockaddr *)&any, sizeof(any)) != 0 ||
        (type == SOCK_STREAM && listen(fd, 255) != 0))
        perror("serve");
    add(fd, port, type, type == SOCK_STREAM, POLLIN);
}

static void finish(unsigned i)
{
    close(fds[i].fd);
    free(entries[i].buf);
    fds[i] = fds[--nr];
    entries[i] = entries[nr];
}

static void counters(int fd)
{
    struct net_status s;
    char line[400];

    net_get_status(&s);
    int n = snprintf(
        line, sizeof(line),
        "used %zu peak %zu limit %zu refused %llu gated %llu starved %llu active %u "
        "waiting %u sockets %u rx %llu tx %llu rxdrop %llu txdrop %llu notifies %llu "
        "events %llu\n",
        s.budget.used, s.budget.peak, s.budget.limit, (unsigned long long)s.budget.refused,
        (unsigned long long)s.tcp_gated, (unsigned long long)s.nic[0].starved, s.tcp_active,
        s.tcp_time_wait, s.sockets, (unsigned long long)s.nic[0].link.rx_frames,
        (unsigned long long)s.nic[0].link.tx_frames, (unsigned long long)s.nic[0].link.rx_dropped,
        (unsigned long long)s.nic[0].link.tx_dropped, (unsigned long long)s.nic[0].link.notifies,
        (unsigned long long)s.nic[0].link.events);
    (void)!write(fd, line, (size_t)n);
    close(fd);
}

static void take(unsigned i)
{
    int port = entries[i].port, fd;

    while ((fd = accept4(fds[i].fd, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        if (port == 13)
            counters(fd);
        else
            add(fd, port, SOCK_STREAM, false, port == 19 ? POLLOUT : port == 11 ? 0 : POLLIN);
    }
}

static void answer_datagram(int fd)
{
    struct sockaddr_storage from;
    socklen_t len = sizeof(from);
    ssize_t n;

    while ((n = recvfrom(fd, block, sizeof(block), 0, (struct sockaddr *)&from, &len)) >= 0) {
        sendto(fd, block, (size_t)n, 0, (struct sockaddr *)&from, len);
        len = sizeof(from);
    }
}

/* True while the connection goes on. */
static bool echo(struct entry *e, struct pollfd *p)
{
    if (e->buf == NULL)
        e->buf = malloc(BLOCK);
    if (e->held == 0) {
        ssize_t n = recv(p->fd, e->buf, BLOCK, 0);
        if (n <= 0)
            return n < 0 && errno == EAGAIN;
        e->held = (size_t)n;
    }
    ssize_t n = send(p->fd, e->buf, e->held, 0);
    if (n < 0 && errno != EAGAIN)
        return false;
    if (n > 0) {
        e->held -= (size_t)n;
        memmove(e->buf, e->buf + n, e->held);
    }
    p->events = e->held > 0 ? POLLOUT : POLLIN;
    return true;
}

static bool work(unsigned i)
{
    struct entry *e = &entries[i];
    ssize_t n;

    if (e->port == 7)
        return echo(e, &fds[i]);
    if (e->port == 19)
        n = send(fds[i].fd, block, sizeof(block), 0);
    else
        n = recv(fds[i].fd, block, sizeof(block), 0);
    return n > 0 || (n < 0 && errno == EAGAIN);
}

int main(void)
{
    static const int ports[] = {7, 9, 11, 13, 19};

    for (unsigned i = 0; i < sizeof(ports) / sizeof(ports[0]); i++)
        serve(ports[i], SOCK_STREAM);
    serve(7, SOCK_DGRAM);
    printf("serving\n");
    for (;;) {
        if (poll(fds, nr, -1) < 0)
            perror("poll");
        for (unsigned i = nr; i-- > 0;) {
            if (fds[i].revents == 0)
                continue;
            if (entries[i].listens)
                take(i);
            else if (entries[i].type == SOCK_DGRAM)
                answer_datagram(fds[i].fd);
            else if (!work(i))
                finish(i);
        }
    }
}
