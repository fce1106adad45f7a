/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sockets over lwIP's loopback interface: the socket layer, lwIP and the budget as they are in a
 * guest, without a backend. Each test ends with no socket, and with memory back where it was once
 * lwIP's own timers have run out.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include "kernel/thread.h"
#include "kernel/time.h"
#include "lib/net/budget.h"
#include "lib/net/net.h"
#include "lib/net/sock.h"
#include "lib/net/status.h"
#include "lib/posix/fd.h"
#include "tests/host/hostarch.h"
#include "tests/host/test.h"

uint32_t net_random(void);
uint32_t net_random(void)
{
    return (uint32_t)test_random();
}

static size_t used(void)
{
    struct budget_stats stats;
    budget_get_stats(&stats);
    return stats.used;
}

#define LINGER (300 * NSEC_PER_SEC) /* longer than TIME_WAIT and all retransmissions in a test */

/* Body between a start of the network and a look at what is left. */
#define SOCKET_TEST(name)                        \
    static void body_##name(void);               \
    TEST(sockets, name)                          \
    {                                            \
        CHECK_EQ(net_start(), 0);                \
        size_t before = used();                  \
        body_##name();                           \
        CHECK_EQ(sock_count(), 0);               \
        CHECK_EQ(fd_count(), 0);                 \
        thread_sleep_until(time_now() + LINGER); \
        CHECK_EQ(used(), before);                \
        test_pass();                             \
    }                                            \
    static void body_##name(void)

static struct sockaddr_in at(uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

static int server(uint16_t port, int backlog)
{
    struct sockaddr_in a = at(port);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(fd >= 0);
    CHECK_EQ(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    CHECK_EQ(listen(fd, backlog), 0);
    return fd;
}

static int client(uint16_t port)
{
    struct sockaddr_in a = at(port);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(fd >= 0);
    CHECK_EQ(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    return fd;
}

struct pair {
    int listener, a, b;
};

static struct pair pair(void)
{
    struct pair p = {.listener = server(80, 5)};
    p.a = client(80);
    p.b = accept(p.listener, NULL, NULL);
    CHECK(p.b >= 0);
    return p;
}

static void close_fd(int fd)
{
    CHECK_EQ(fd_close(fd), 0);
}

static void close_pair(struct pair p)
{
    close_fd(p.a);
    close_fd(p.b);
    close_fd(p.listener);
}

static struct thread *start(void (*fn)(void *), void *arg)
{
    struct thread *t;
    CHECK_EQ(thread_create("helper", PRIO_NORMAL, 0, fn, arg, &t), 0);
    return t;
}

static void sleep_ms(unsigned ms)
{
    thread_sleep_until(time_now() + ms * NSEC_PER_MSEC);
}

static void nonblocking(int fd)
{
    struct file *f = fd_get(fd);
    f->flags |= O_NONBLOCK;
    file_put(f);
}

static short events(int fd, short wanted)
{
    struct pollfd p = {.fd = fd, .events = wanted};
    CHECK(poll(&p, 1, 0) >= 0);
    return p.revents;
}

/* --- streams --- */

SOCKET_TEST(bytes_go_both_ways)
{
    struct pair p = pair();
    char buf[16];
    CHECK_EQ(send(p.a, "hello", 5, 0), 5);
    CHECK_EQ(recv(p.b, buf, sizeof(buf), 0), 5);
    CHECK_MEM(buf, "hello", 5);
    CHECK_EQ(send(p.b, "world", 5, 0), 5);
    CHECK_EQ(recv(p.a, buf, 2, 0), 2);
    CHECK_EQ(recv(p.a, buf + 2, 14, 0), 3);
    CHECK_MEM(buf, "world", 5);
    close_pair(p);
}

static void send_much(void *arg)
{
    int fd = *(int *)arg;
    static unsigned char block[100000];
    for (unsigned i = 0; i < sizeof(block); i++)
        block[i] = (unsigned char)(i * 31 + i / 256);
    for (unsigned i = 0; i < 30; i++)
        CHECK_EQ(send(fd, block, sizeof(block), 0), sizeof(block));
    CHECK_EQ(shutdown(fd, SHUT_WR), 0);
}

SOCKET_TEST(three_megabytes_arrive_in_order_through_a_small_budget)
{
    struct pair p = pair();
    struct thread *t = start(send_much, &p.a);
    size_t total = 0;
    for (;;) {
        unsigned char buf[5000];
        ssize_t n = recv(p.b, buf, sizeof(buf), 0);
        CHECK(n >= 0);
        for (ssize_t i = 0; i < n; i++) {
            size_t at_block = (total + (size_t)i) % 100000;
            CHECK_EQ(buf[i], (unsigned char)(at_block * 31 + at_block / 256));
        }
        total += (size_t)n;
        if (n == 0)
            break;
    }
    CHECK_EQ(total, 3000000);
    thread_join(t);
    close_pair(p);
}

/* Reading opens the window and the sender hears of it at once: the only time that passes is the
 * reader's own. (The fake clock moves only when all threads wait.) */
SOCKET_TEST(a_sender_hears_of_a_window_that_opens)
{
    static char buf[60000];
    static const size_t piece[] = {3000, 20000, sizeof(buf)};
    for (unsigned i = 0; i < 3; i++) {
        struct pair p = pair();
        nsec_t begin = time_now(), slept = 0;
        struct thread *t = start(send_much, &p.a);
        do {
            sleep_ms(10); /* the window shuts */
            slept += 10 * NSEC_PER_MSEC;
        } while (recv(p.b, buf, piece[i], 0) > 0);
        thread_join(t);
        CHECK((time_now() - begin - slept) / NSEC_PER_MSEC < 100);
        close_pair(p);
        sleep_ms(300000); /* the port is free again */
    }
}

SOCKET_TEST(waitall_fills_the_buffers_and_peek_leaves_them)
{
    struct pair p = pair();
    char one[3], two[5];
    struct iovec iov[] = {{one, 3}, {two, 5}};
    struct msghdr m = {.msg_iov = iov, .msg_iovlen = 2};
    CHECK_EQ(send(p.a, "abcd", 4, 0), 4);
    sleep_ms(1);
    CHECK_EQ(recv(p.b, two, 5, MSG_PEEK), 4);
    CHECK_EQ(send(p.a, "efgh", 4, 0), 4);
    CHECK_EQ(recvmsg(p.b, &m, MSG_WAITALL), 8);
    CHECK_MEM(one, "abc", 3);
    CHECK_MEM(two, "defgh", 5);
    close_pair(p);
}

SOCKET_TEST(gathered_pieces_are_one_stream)
{
    struct pair p = pair();
    struct iovec iov[] = {{(char *)"ab", 2}, {(char *)"", 0}, {(char *)"cde", 3}};
    struct msghdr m = {.msg_iov = iov, .msg_iovlen = 3};
    char buf[8];
    CHECK_EQ(sendmsg(p.a, &m, 0), 5);
    CHECK_EQ(recv(p.b, buf, 5, MSG_WAITALL), 5);
    CHECK_MEM(buf, "abcde", 5);
    close_pair(p);
}

SOCKET_TEST(end_of_stream_then_broken_pipe)
{
    struct pair p = pair();
    char c;
    CHECK_EQ(shutdown(p.a, SHUT_WR), 0);
    CHECK_EQ(recv(p.b, &c, 1, 0), 0);
    CHECK_EQ(send(p.a, "x", 1, 0), -1);
    CHECK_EQ(errno, EPIPE);
    CHECK_EQ(send(p.b, "y", 1, 0), 1);
    CHECK_EQ(recv(p.a, &c, 1, 0), 1);
    close_pair(p);
}

SOCKET_TEST(unread_data_turns_close_into_a_reset)
{
    struct pair p = pair();
    char c;
    CHECK_EQ(send(p.a, "x", 1, 0), 1);
    sleep_ms(1);
    close_fd(p.b);
    sleep_ms(1);
    CHECK_EQ(recv(p.a, &c, 1, 0), -1);
    CHECK_EQ(errno, ECONNRESET);
    CHECK_EQ(recv(p.a, &c, 1, 0), 0);
    close_fd(p.a);
    close_fd(p.listener);
}

SOCKET_TEST(nobody_listens)
{
    struct sockaddr_in a = at(81);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_EQ(connect(fd, (struct sockaddr *)&a, sizeof(a)), -1);
    CHECK_EQ(errno, ECONNREFUSED);
    /* A failed socket may try again. */
    int listener = server(81, 1);
    CHECK_EQ(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    close_fd(fd);
    close_fd(listener);
}

SOCKET_TEST(nonblocking_connect_reports_through_poll)
{
    struct sockaddr_in a = at(80);
    int listener = server(80, 1), error = -1;
    socklen_t len = sizeof(error);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    CHECK_EQ(connect(fd, (struct sockaddr *)&a, sizeof(a)), -1);
    CHECK_EQ(errno, EINPROGRESS);
    CHECK_EQ(connect(fd, (struct sockaddr *)&a, sizeof(a)), -1);
    CHECK_EQ(errno, EALREADY);
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    CHECK_EQ(poll(&p, 1, 1000), 1);
    CHECK_EQ(p.revents & (POLLOUT | POLLERR), POLLOUT);
    CHECK_EQ(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len), 0);
    CHECK_EQ(error, 0);
    close_fd(fd);
    close_fd(listener);
}

SOCKET_TEST(nonblocking_connect_to_nobody_reports_the_error)
{
    struct sockaddr_in a = at(82);
    int error = 0;
    socklen_t len = sizeof(error);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    CHECK_EQ(connect(fd, (struct sockaddr *)&a, sizeof(a)), -1);
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    CHECK_EQ(poll(&p, 1, 1000), 1);
    CHECK(p.revents & POLLERR);
    CHECK_EQ(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len), 0);
    CHECK_EQ(error, ECONNREFUSED);
    close_fd(fd);
}

SOCKET_TEST(nonblocking_calls_return_eagain)
{
    struct pair p = pair();
    static char block[65536];
    char c;
    nonblocking(p.b);
    nonblocking(p.a);
    nonblocking(p.listener);
    CHECK_EQ(recv(p.b, &c, 1, 0), -1);
    CHECK_EQ(errno, EAGAIN);
    CHECK_EQ(accept(p.listener, NULL, NULL), -1);
    CHECK_EQ(errno, EAGAIN);
    ssize_t n;
    unsigned rounds = 0;
    while ((n = send(p.a, block, sizeof(block), 0)) > 0 && rounds++ < 1000)
        sleep_ms(1);
    CHECK_EQ(n, -1);
    CHECK_EQ(errno, EAGAIN);
    CHECK_EQ(events(p.a, POLLOUT), 0);
    CHECK_EQ(events(p.b, POLLIN), POLLIN);
    while (recv(p.b, block, sizeof(block), 0) > 0)
        sleep_ms(1);
    sleep_ms(500);
    CHECK_EQ(events(p.a, POLLOUT), POLLOUT);
    while (recv(p.b, block, sizeof(block), 0) > 0)
        sleep_ms(1);
    close_pair(p);
}

SOCKET_TEST(receive_timeout)
{
    struct pair p = pair();
    struct timeval tv = {.tv_sec = 2, .tv_usec = 500000};
    char c;
    CHECK_EQ(setsockopt(p.a, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)), 0);
    nsec_t before = time_now();
    CHECK_EQ(recv(p.a, &c, 1, 0), -1);
    CHECK_EQ(errno, EAGAIN);
    CHECK_EQ((time_now() - before) / NSEC_PER_MSEC, 2500);
    close_pair(p);
}

static int blocked_result, blocked_errno;

static void receive_one(void *arg)
{
    char c;
    blocked_result = (int)recv(*(int *)arg, &c, 1, 0);
    blocked_errno = errno;
}

SOCKET_TEST(close_wakes_a_blocked_receiver)
{
    struct pair p = pair();
    struct thread *t = start(receive_one, &p.a);
    sleep_ms(10);
    close_fd(p.a);
    thread_join(t);
    CHECK_EQ(blocked_result, -1);
    CHECK_EQ(blocked_errno, EBADF);
    close_fd(p.b);
    close_fd(p.listener);
}

SOCKET_TEST(shutdown_wakes_a_blocked_receiver)
{
    struct pair p = pair();
    struct thread *t = start(receive_one, &p.a);
    sleep_ms(10);
    CHECK_EQ(shutdown(p.a, SHUT_RD), 0);
    thread_join(t);
    CHECK_EQ(blocked_result, 0);
    close_pair(p);
}

static void accept_one(void *arg)
{
    blocked_result = accept(*(int *)arg, NULL, NULL);
    blocked_errno = errno;
}

SOCKET_TEST(close_wakes_a_blocked_accept)
{
    int listener = server(80, 1);
    struct thread *t = start(accept_one, &listener);
    sleep_ms(10);
    close_fd(listener);
    thread_join(t);
    CHECK_EQ(blocked_result, -1);
    CHECK_EQ(blocked_errno, EBADF);
}

SOCKET_TEST(poll_wakes_for_what_it_waits_for)
{
    struct pair p = pair();
    struct pollfd fds[] = {{.fd = p.a, .events = POLLIN}, {.fd = p.listener, .events = POLLIN}};
    CHECK_EQ(poll(fds, 2, 50), 0);
    CHECK_EQ(send(p.b, "x", 1, 0), 1);
    CHECK_EQ(poll(fds, 2, -1), 1);
    CHECK_EQ(fds[0].revents, POLLIN);
    int other = client(80);
    CHECK_EQ(poll(fds, 2, -1), 2);
    CHECK_EQ(fds[1].revents, POLLIN);
    close_fd(other);
    close_pair(p);
}

SOCKET_TEST(backlog_is_a_bound)
{
    int listener = server(80, 2), fds[5];
    struct sockaddr_in a = at(80);
    for (unsigned i = 0; i < 5; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        connect(fds[i], (struct sockaddr *)&a, sizeof(a));
    }
    sleep_ms(100);
    unsigned connected = 0;
    for (unsigned i = 0; i < 5; i++)
        connected += (events(fds[i], POLLOUT) & POLLOUT) != 0;
    CHECK_EQ(connected, 2);
    /* Accepting makes room; the others' next attempt gets in. */
    for (unsigned i = 0; i < 5; i++) {
        int fd = accept(listener, NULL, NULL);
        CHECK(fd >= 0);
        close_fd(fd);
    }
    for (unsigned i = 0; i < 5; i++)
        close_fd(fds[i]);
    close_fd(listener);
}

SOCKET_TEST(connections_nobody_accepted_die_with_the_listener)
{
    int listener = server(80, 5), a = client(80), b = client(80);
    char c;
    CHECK_EQ(send(a, "x", 1, 0), 1);
    sleep_ms(10);
    close_fd(listener);
    sleep_ms(10);
    CHECK_EQ(recv(a, &c, 1, 0), -1);
    CHECK_EQ(errno, ECONNRESET);
    close_fd(a);
    close_fd(b);
}

SOCKET_TEST(addresses_are_known)
{
    struct pair p = pair();
    struct sockaddr_in a, b;
    socklen_t len = sizeof(a);
    CHECK_EQ(getsockname(p.b, (struct sockaddr *)&a, &len), 0);
    CHECK_EQ(len, sizeof(a));
    CHECK_EQ(ntohs(a.sin_port), 80);
    CHECK_EQ(getpeername(p.b, (struct sockaddr *)&a, &len), 0);
    CHECK_EQ(getsockname(p.a, (struct sockaddr *)&b, &len), 0);
    CHECK_EQ(a.sin_port, b.sin_port);
    CHECK_EQ(b.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
    close_pair(p);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_EQ(getpeername(fd, (struct sockaddr *)&a, &len), -1);
    CHECK_EQ(errno, ENOTCONN);
    close_fd(fd);
}

SOCKET_TEST(port_in_use_until_reused)
{
    int one = 1, first = server(80, 1);
    struct sockaddr_in a = at(80);
    int second = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_EQ(bind(second, (struct sockaddr *)&a, sizeof(a)), -1);
    CHECK_EQ(errno, EADDRINUSE);
    int c = client(80), b = accept(first, NULL, NULL);
    close_fd(b); /* the server's side ends first: its port stays in TIME_WAIT */
    sleep_ms(10);
    close_fd(c);
    close_fd(first);
    sleep_ms(10);
    CHECK_EQ(setsockopt(second, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)), 0);
    CHECK_EQ(bind(second, (struct sockaddr *)&a, sizeof(a)), 0);
    CHECK_EQ(listen(second, 1), 0);
    close_fd(second);
}

SOCKET_TEST(options_are_remembered_or_refused)
{
    struct pair p = pair();
    int one = 1, got = 0;
    socklen_t len = sizeof(got);
    CHECK_EQ(setsockopt(p.a, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)), 0);
    CHECK_EQ(getsockopt(p.a, IPPROTO_TCP, TCP_NODELAY, &got, &len), 0);
    CHECK_EQ(got, 1);
    CHECK_EQ(setsockopt(p.a, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one)), 0);
    CHECK_EQ(getsockopt(p.a, SOL_SOCKET, SO_TYPE, &got, &len), 0);
    CHECK_EQ(got, SOCK_STREAM);
    CHECK_EQ(setsockopt(p.a, SOL_SOCKET, 0x7777, &one, sizeof(one)), -1);
    CHECK_EQ(errno, ENOPROTOOPT);
    CHECK_EQ(setsockopt(p.a, SOL_SOCKET, SO_KEEPALIVE, &one, 1), -1);
    CHECK_EQ(errno, EINVAL);
    close_pair(p);
}

SOCKET_TEST(wrong_calls_are_refused)
{
    struct sockaddr_in a = at(80);
    char c;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_EQ(socket(AF_UNIX, SOCK_STREAM, 0), -1);
    CHECK_EQ(errno, EAFNOSUPPORT);
    CHECK_EQ(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP), -1);
    CHECK_EQ(errno, EPROTONOSUPPORT);
    CHECK_EQ(recv(fd, &c, 1, 0), -1);
    CHECK_EQ(errno, ENOTCONN);
    CHECK_EQ(bind(fd, (struct sockaddr *)&a, 4), -1);
    CHECK_EQ(errno, EINVAL);
    CHECK_EQ(accept(fd, NULL, NULL), -1);
    CHECK_EQ(errno, EINVAL);
    CHECK_EQ(shutdown(fd, SHUT_WR), -1);
    CHECK_EQ(errno, ENOTCONN);
    CHECK_EQ(recv(99, &c, 1, 0), -1);
    CHECK_EQ(errno, EBADF);
    close_fd(fd);
}

SOCKET_TEST(ip6_listener_takes_both_families)
{
    struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(80)}, peer;
    struct sockaddr_in6 six = any;
    socklen_t len = sizeof(peer);
    int listener = socket(AF_INET6, SOCK_STREAM, 0);
    CHECK_EQ(bind(listener, (struct sockaddr *)&any, sizeof(any)), 0);
    CHECK_EQ(listen(listener, 2), 0);
    int a = client(80), b = accept(listener, (struct sockaddr *)&peer, &len);
    CHECK(b >= 0);
    CHECK(IN6_IS_ADDR_V4MAPPED(&peer.sin6_addr));
    six.sin6_addr = in6addr_loopback;
    int c = socket(AF_INET6, SOCK_STREAM, 0);
    CHECK_EQ(connect(c, (struct sockaddr *)&six, sizeof(six)), 0);
    int d = accept(listener, (struct sockaddr *)&peer, &len);
    CHECK(d >= 0);
    CHECK(memcmp(&peer.sin6_addr, &in6addr_loopback, 16) == 0);
    int fds[] = {a, b, c, d, listener};
    for (unsigned i = 0; i < 5; i++)
        close_fd(fds[i]);
}

SOCKET_TEST(v6only_listener_takes_one_family)
{
    struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(80)};
    struct sockaddr_in four = at(80);
    int one = 1, listener = socket(AF_INET6, SOCK_STREAM, 0);
    CHECK_EQ(setsockopt(listener, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)), 0);
    CHECK_EQ(bind(listener, (struct sockaddr *)&any, sizeof(any)), 0);
    CHECK_EQ(listen(listener, 2), 0);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_EQ(connect(fd, (struct sockaddr *)&four, sizeof(four)), -1);
    CHECK_EQ(errno, ECONNREFUSED);
    close_fd(fd);
    close_fd(listener);
}

/* --- datagrams --- */

SOCKET_TEST(datagrams_keep_their_bounds_and_senders)
{
    struct sockaddr_in a = at(53), from;
    socklen_t len = sizeof(from);
    int s = socket(AF_INET, SOCK_DGRAM, 0), c = socket(AF_INET, SOCK_DGRAM, 0);
    char buf[10];
    CHECK_EQ(bind(s, (struct sockaddr *)&a, sizeof(a)), 0);
    CHECK_EQ(send(c, "x", 1, 0), -1);
    CHECK_EQ(errno, EDESTADDRREQ);
    CHECK_EQ(sendto(c, "question", 8, 0, (struct sockaddr *)&a, sizeof(a)), 8);
    CHECK_EQ(connect(c, (struct sockaddr *)&a, sizeof(a)), 0);
    CHECK_EQ(send(c, "", 0, 0), 0);
    CHECK_EQ(recvfrom(s, buf, 3, 0, (struct sockaddr *)&from, &len), 3);
    CHECK_MEM(buf, "que", 3);
    CHECK_EQ(recv(s, buf, 3, 0), 0);
    CHECK_EQ(sendto(s, "answer", 6, 0, (struct sockaddr *)&from, len), 6);
    CHECK_EQ(recv(c, buf, sizeof(buf), 0), 6);
    close_fd(s);
    close_fd(c);
}

SOCKET_TEST(a_flood_of_datagrams_is_bounded)
{
    struct sockaddr_in a = at(53);
    static char block[1000];
    int s = socket(AF_INET, SOCK_DGRAM, 0), c = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK_EQ(bind(s, (struct sockaddr *)&a, sizeof(a)), 0);
    CHECK_EQ(connect(c, (struct sockaddr *)&a, sizeof(a)), 0);
    for (unsigned i = 0; i < 3000; i++) {
        CHECK_EQ(send(c, block, sizeof(block), 0), sizeof(block));
        thread_yield();
    }
    struct budget_stats stats;
    budget_get_stats(&stats);
    CHECK(stats.used < stats.limit / 4);
    CHECK_EQ(recv(s, block, sizeof(block), MSG_DONTWAIT), sizeof(block));
    close_fd(s);
    close_fd(c);
}

SOCKET_TEST(ping_to_ourselves_is_answered)
{
    struct sockaddr_in a = at(0);
    int fd = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
    unsigned char echo[16] = {8, 0, 0xf7, 0xff - 0x01, 0, 1, 0, 0}, buf[100];
    CHECK(fd >= 0);
    CHECK_EQ(sendto(fd, echo, sizeof(echo), 0, (struct sockaddr *)&a, sizeof(a)), sizeof(echo));
    ssize_t n;
    do
        n = recv(fd, buf, sizeof(buf), 0);
    while (n > 20 && buf[20] == 8); /* raw sockets see the question, too */
    CHECK_EQ(n, 20 + sizeof(echo));
    CHECK_EQ(buf[20], 0);
    close_fd(fd);
}

/* --- memory --- */

#define MANY 512

/* 512 connections that are sent single bytes and never read, in a domain of 8 MiB; one more is
 * served all the time. */
static void crowd(void)
{
    static int in[MANY], out[MANY];
    int one = 1, listener = server(80, 255);
    struct sockaddr_in a = at(80);
    for (unsigned i = 0; i < MANY; i++) {
        in[i] = client(80);
        out[i] = accept(listener, NULL, NULL);
        CHECK(out[i] >= 0);
        CHECK_EQ(setsockopt(in[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)), 0);
        nonblocking(in[i]);
    }
    for (unsigned round = 0; round < 100; round++) {
        for (unsigned i = 0; i < MANY; i++)
            (void)!send(in[i], "x", 1, 0);
        thread_yield();
    }
    int good = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_EQ(connect(good, (struct sockaddr *)&a, sizeof(a)), 0);
    int served = accept(listener, NULL, NULL);
    for (unsigned i = 0; i < 20; i++) {
        static char block[8000];
        CHECK_EQ(send(good, block, sizeof(block), MSG_DONTWAIT) > 0, 1);
        CHECK(recv(served, block, sizeof(block), 0) > 0);
        sleep_ms(20);
    }
    struct budget_stats stats;
    budget_get_stats(&stats);
    CHECK(stats.peak <= stats.limit);
    shutdown(served, SHUT_RD);
    close_fd(good);
    close_fd(served);
    for (unsigned i = 0; i < MANY; i++) {
        close_fd(in[i]);
        close_fd(out[i]);
    }
    close_fd(listener);
}

TEST_RAM(sockets, hundreds_that_do_not_read_do_not_starve_another, 8 * 256)
{
    CHECK_EQ(net_start(), 0);
    size_t before = used();
    crowd();
    CHECK_EQ(sock_count(), 0);
    thread_sleep_until(time_now() + 1000 * NSEC_PER_SEC);
    CHECK_EQ(used(), before);
    test_pass();
}

/* Senders of bulk data to programs that do not read: all that can be queued is, and still a new
 * connection works. */
SOCKET_TEST(full_queues_leave_room_for_a_new_connection)
{
    enum { SENDERS = 60 };
    static char block[65536];
    static int in[SENDERS], out[SENDERS];
    struct budget_stats stats;
    int listener = server(80, 255);
    for (unsigned i = 0; i < SENDERS; i++) {
        in[i] = client(80);
        out[i] = accept(listener, NULL, NULL);
        nonblocking(in[i]);
    }
    for (unsigned round = 0; round < 40; round++) {
        for (unsigned i = 0; i < SENDERS; i++)
            (void)!send(in[i], block, sizeof(block), 0);
        sleep_ms(50);
    }
    budget_get_stats(&stats);
    CHECK(stats.used < stats.limit / 8 * 7);
    struct pair p = {.listener = listener, .a = client(80)};
    p.b = accept(listener, NULL, NULL);
    CHECK_EQ(send(p.a, "hello", 5, 0), 5);
    CHECK_EQ(recv(p.b, block, 5, MSG_WAITALL), 5);
    /* Who begins to read gets everything that was sent. */
    CHECK(recv(out[0], block, sizeof(block), 0) > 0);
    for (unsigned i = 0; i < SENDERS; i++) {
        close_fd(out[i]);
        close_fd(in[i]);
    }
    close_pair(p);
}

static void send_300_kilobytes(void *arg)
{
    static char block[30000];
    for (unsigned i = 0; i < 10; i++)
        CHECK_EQ(send(*(int *)arg, block, sizeof(block), 0), sizeof(block));
}

/* Over a link with segments of 8960 bytes a window opens by no less than one, also when a share
 * of what is free is less than that. Three times: memory is scarce from the start, or gets so. */
SOCKET_TEST(a_connection_with_large_segments_moves_while_memory_is_scarce)
{
    static char buf[300000];
    for (unsigned i = 0; i < 3; i++) {
        struct pair p = pair();
        struct budget_stats stats;
        size_t first = i * 10000;
        if (first > 0)
            CHECK_EQ(send(p.a, buf, first, 0), first);
        budget_get_stats(&stats);
        size_t others = stats.limit / 4 * 3 - stats.used;
        CHECK(budget_charge(others));
        nsec_t begin = time_now();
        struct thread *t = start(send_300_kilobytes, &p.a);
        CHECK_EQ(recv(p.b, buf, first, MSG_WAITALL), first);
        CHECK_EQ(recv(p.b, buf, sizeof(buf), MSG_WAITALL), sizeof(buf));
        CHECK((time_now() - begin) / NSEC_PER_MSEC < 10000);
        thread_join(t);
        budget_release(others);
        close_pair(p);
        sleep_ms(300000); /* the port is free again */
    }
}

/* As many small messages are under way as over a link with small segments. */
SOCKET_TEST(small_messages_count_what_they_take)
{
    struct pair p = pair();
    int one = 1;
    unsigned nr = 0;
    CHECK_EQ(setsockopt(p.a, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)), 0);
    nonblocking(p.a);
    while (nr < 1000 && send(p.a, "0123456789", 10, 0) == 10)
        nr++;
    CHECK(nr >= MIN(budget_share() / 1460, 60));
    close_pair(p);
}

/* --- names --- */

SOCKET_TEST(numbers_and_localhost_need_no_server)
{
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *list;
    CHECK_EQ(getaddrinfo("10.1.2.3", "http", &hints, &list), 0);
    struct sockaddr_in *in = (struct sockaddr_in *)list->ai_addr;
    CHECK_EQ(in->sin_addr.s_addr, htonl(0x0a010203));
    CHECK_EQ(ntohs(in->sin_port), 80);
    CHECK(list->ai_next == NULL);
    freeaddrinfo(list);
    CHECK_EQ(getaddrinfo("localhost", "8080", NULL, &list), 0);
    unsigned n = 0;
    for (struct addrinfo *i = list; i != NULL; i = i->ai_next)
        n++;
    CHECK_EQ(n, 4); /* two families, two kinds */
    freeaddrinfo(list);
    CHECK_EQ(getaddrinfo("no.such.name", NULL, &hints, &list), EAI_AGAIN);
    CHECK_EQ(getaddrinfo("::1", NULL, &hints, &list), EAI_NONAME);
}

TEST(inet, text_to_address_is_strict)
{
    unsigned char b[16];
    CHECK_EQ(inet_pton(AF_INET, "1.2.3.4", b), 1);
    static const char *const wrong[] = {"1.2.3",    "1.2.3.4.5", "1.2.3.256", "01.2.3.0004",
                                        "1.2.3.4 ", "0x1.2.3.4", "",          "1..2.3"};
    for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        CHECK_EQ(inet_pton(AF_INET, wrong[i], b), 0);
    CHECK_EQ(inet_pton(AF_INET6, "2001:db8::1", b), 1);
    CHECK_EQ(b[0], 0x20);
    CHECK_EQ(b[15], 1);
    CHECK_EQ(inet_pton(AF_INET6, "2001:db8::1::2", b), 0);
    CHECK_EQ(inet_pton(AF_INET6, "fe80::1%lo", b), 0);
    CHECK_EQ(inet_pton(AF_INET6, "::ffff:1.2.3.4", b), 1);
    CHECK_EQ(b[12], 1);
}

TEST(inet, address_to_text)
{
    unsigned char six[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 0xab}, four[] = {10, 0, 255, 1};
    char text[INET6_ADDRSTRLEN];
    CHECK_STR(inet_ntop(AF_INET, four, text, sizeof(text)), "10.0.255.1");
    CHECK_STR(inet_ntop(AF_INET6, six, text, sizeof(text)), "2001:db8::ab");
    CHECK(inet_ntop(AF_INET, four, text, 5) == NULL);
    CHECK_EQ(errno, ENOSPC);
}
