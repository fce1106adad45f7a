/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sockets over the loopback interface: what the host's tests of one coroutine at a time cannot
 * show, namely many threads, preemption and real timers. Runs without any backend.
 */
#define _GNU_SOURCE 1
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "lib/net/status.h"
#include "tests/guest/check.h"

static struct sockaddr_in at(uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

static int server(uint16_t port)
{
    struct sockaddr_in a = at(port);
    int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0 || listen(fd, 64) != 0)
        perror("server");
    return fd;
}

static int client(uint16_t port)
{
    struct sockaddr_in a = at(port);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0)
        perror("client");
    return fd;
}

/* Sends back what comes until the end. */
static void *echo(void *arg)
{
    int fd = (int)(long)arg;
    char buf[3000];
    ssize_t n;

    while ((n = recv(fd, buf, sizeof(buf), 0)) > 0)
        if (send(fd, buf, (size_t)n, 0) != n)
            break;
    close(fd);
    return NULL;
}

static int listener;

static void *echo_server(void *unused)
{
    int fd;

    (void)unused;
    while ((fd = accept(listener, NULL, NULL)) >= 0) {
        pthread_t t;

        pthread_create(&t, NULL, echo, (void *)(long)fd);
        pthread_detach(t);
    }
    return NULL;
}

#define CLIENTS 8
#define ROUNDS 50

/* Different sizes each round, every byte compared; NULL when all was right. */
static void *talk(void *arg)
{
    unsigned char out[4000], in[4000];
    int fd = client(7);
    bool right = true;

    for (unsigned round = 0; round < ROUNDS && right; round++) {
        size_t len = 1 + (round * 977 + (size_t)(long)arg * 131) % sizeof(out);

        for (size_t i = 0; i < len; i++)
            out[i] = (unsigned char)(round + i * 3);
        right = send(fd, out, len, 0) == (ssize_t)len &&
                recv(fd, in, len, MSG_WAITALL) == (ssize_t)len && memcmp(in, out, len) == 0;
    }
    close(fd);
    return right ? NULL : (void *)1;
}

static void test_eight_clients_talk_at_once(void)
{
    pthread_t server_thread, t[CLIENTS];

    listener = server(7);
    CHECK_EQ(pthread_create(&server_thread, NULL, echo_server, NULL), 0);
    for (long i = 0; i < CLIENTS; i++)
        CHECK_EQ(pthread_create(&t[i], NULL, talk, (void *)i), 0);
    for (unsigned i = 0; i < CLIENTS; i++) {
        void *wrong;

        CHECK_EQ(pthread_join(t[i], &wrong), 0);
        CHECK(wrong == NULL);
    }
    CHECK_EQ(close(listener), 0); /* ends the server's accept */
    CHECK_EQ(pthread_join(server_thread, NULL), 0);
}

#define BULK (4 << 20)

static void *pour(void *arg)
{
    static unsigned char block[40000];
    size_t done = 0;

    while (done < BULK) {
        size_t n = BULK - done < sizeof(block) ? BULK - done : sizeof(block);

        for (size_t i = 0; i < n; i++)
            block[i] = (unsigned char)((done + i) / 7);
        if (write((int)(long)arg, block, n) != (ssize_t)n)
            return (void *)1;
        done += n;
    }
    shutdown((int)(long)arg, SHUT_WR);
    return NULL;
}

static void test_four_megabytes_arrive_in_order(void)
{
    static unsigned char buf[50000];
    int l = server(9), a = client(9), b = accept(l, NULL, NULL);
    size_t total = 0;
    pthread_t t;
    void *wrong;
    ssize_t n;

    CHECK_EQ(pthread_create(&t, NULL, pour, (void *)(long)a), 0);
    while ((n = read(b, buf, sizeof(buf))) > 0) {
        for (size_t i = 0; i < (size_t)n; i++)
            CHECK_EQ(buf[i], (unsigned char)((total + i) / 7));
        total += (size_t)n;
    }
    CHECK_EQ(n, 0);
    CHECK_EQ(total, BULK);
    CHECK_EQ(pthread_join(t, &wrong), 0);
    CHECK(wrong == NULL);
    close(a);
    close(b);
    close(l);
}

static void *close_later(void *arg)
{
    usleep(50000);
    close((int)(long)arg);
    return NULL;
}

static void test_close_wakes_a_blocked_receiver(void)
{
    int l = server(9), a = client(9), b = accept(l, NULL, NULL);
    pthread_t t;
    char c;

    CHECK_EQ(pthread_create(&t, NULL, close_later, (void *)(long)a), 0);
    CHECK_EQ(recv(a, &c, 1, 0), -1);
    CHECK_EQ(errno, EBADF);
    pthread_join(t, NULL);
    close(b);
    close(l);
}

static void test_poll_sees_sockets_and_pipes_alike(void)
{
    int l = server(9), a = client(9), b = accept(l, NULL, NULL), p[2];
    struct pollfd fds[] = {{.fd = b, .events = POLLIN}, {.fd = -1, .events = POLLIN}};

    CHECK_EQ(pipe(p), 0);
    fds[1].fd = p[0];
    CHECK_EQ(poll(fds, 2, 20), 0);
    CHECK_EQ(send(a, "x", 1, 0), 1);
    CHECK_EQ(poll(fds, 2, 5000), 1);
    CHECK_EQ(fds[0].revents, POLLIN);
    CHECK_EQ(write(p[1], "y", 1), 1);
    CHECK_EQ(poll(fds, 2, 5000), 2);
    CHECK_EQ(fds[1].revents, POLLIN);
    close(p[0]);
    close(p[1]);
    close(a);
    close(b);
    close(l);
}

static void test_select_and_nonblocking_connect(void)
{
    struct sockaddr_in a = at(9);
    int l = server(9), error = -1;
    socklen_t len = sizeof(error);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    fd_set set;

    CHECK_EQ(connect(fd, (struct sockaddr *)&a, sizeof(a)), -1);
    CHECK_EQ(errno, EINPROGRESS);
    FD_ZERO(&set);
    FD_SET(fd, &set);
    CHECK_EQ(select(fd + 1, NULL, &set, NULL, NULL), 1);
    CHECK_EQ(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len), 0);
    CHECK_EQ(error, 0);
    close(fd);
    close(l);
}

static void test_datagrams_over_ip6(void)
{
    struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_port = htons(53)};
    int s = socket(AF_INET6, SOCK_DGRAM, 0), c = socket(AF_INET6, SOCK_DGRAM, 0);
    char buf[8];

    a.sin6_addr = in6addr_loopback;
    CHECK_EQ(bind(s, (struct sockaddr *)&a, sizeof(a)), 0);
    CHECK_EQ(sendto(c, "ping", 4, 0, (struct sockaddr *)&a, sizeof(a)), 4);
    CHECK_EQ(recv(s, buf, sizeof(buf), 0), 4);
    close(s);
    close(c);
}

static void test_receive_timeout_is_kept(void)
{
    struct timeval tv = {.tv_usec = 200000};
    int s = socket(AF_INET, SOCK_DGRAM, 0);
    struct timespec before, after;
    char c;

    CHECK_EQ(setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)), 0);
    clock_gettime(CLOCK_MONOTONIC, &before);
    CHECK_EQ(recv(s, &c, 1, 0), -1);
    CHECK_EQ(errno, EAGAIN);
    clock_gettime(CLOCK_MONOTONIC, &after);
    CHECK((after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000 >=
          200);
    close(s);
}

static void test_nothing_is_left(void)
{
    struct net_status status;

    for (unsigned tries = 0; tries < 100; tries++) {
        net_get_status(&status);
        if (status.sockets == 0)
            break;
        usleep(10000);
    }
    CHECK_EQ(status.sockets, 0);
    CHECK_EQ(status.tcp_listening, 0);
    CHECK(status.budget.used < 256 * 1024);
}

int main(void)
{
    static const struct test_case cases[] = {
        CASE(eight_clients_talk_at_once),     CASE(four_megabytes_arrive_in_order),
        CASE(close_wakes_a_blocked_receiver), CASE(poll_sees_sockets_and_pipes_alike),
        CASE(select_and_nonblocking_connect), CASE(datagrams_over_ip6),
        CASE(receive_timeout_is_kept),        CASE(nothing_is_left),
    };

    return check_all(cases, sizeof(cases) / sizeof(cases[0]));
}
