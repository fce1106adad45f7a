/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dom0's end of what is measured there.
 *
 * peer boot LOG TEXT LIMIT COMMAND...
 *     starts COMMAND (xl create) and looks into LOG every millisecond until TEXT is in it:
 *     milliseconds from the one to the other
 * peer send ADDRESS SECONDS
 *     TCP to port 5001 of bench/apps/netbench: Mbit/s that arrived
 * peer receive ADDRESS SECONDS
 *     TCP from its port 5002: Mbit/s
 * peer echo
 *     what pvbench (apps/pvbench/net.c) talks to, until it is killed: UDP and TCP on port 7007 come
 *     back, TCP to 7008 is thrown away, TCP from 7009 never ends; of datagrams to 7010 each
 * sixteenth is answered, and two bytes to 7011 are asking for sixteen datagrams of so many bytes
 *
 * Nothing waits without a limit: a guest that stands still is an error, not a stand-still here.
 */
#define _GNU_SOURCE 1
#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BLOCK (128 * 1024)
#define LOG_MAX (64 * 1024)
#define TRAIN 16
#define PATIENCE 60 /* seconds for one call to a guest that does nothing */

static char block[BLOCK];

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- boot ---- */

static bool contains(const char *log, const char *text)
{
    static char seen[LOG_MAX];
    int fd = open(log, O_RDONLY);
    ssize_t n = fd < 0 ? 0 : read(fd, seen, sizeof(seen) - 1);

    if (fd >= 0)
        close(fd);
    seen[n > 0 ? n : 0] = '\0';
    return strstr(seen, text) != NULL;
}

static int boot(char **arg)
{
    const struct timespec step = {0, 1000000};
    double begin = now(), limit = begin + strtod(arg[2], NULL), end;
    pid_t child = fork();
    int status;

    if (child < 0)
        err(70, "fork");
    if (child == 0) {
        execvp(arg[3], arg + 3);
        err(127, "%s", arg[3]);
    }
    while (!contains(arg[0], arg[1])) {
        if (now() > limit) {
            (void)kill(child, SIGKILL);
            errx(1, "no '%s' within %s s", arg[1], arg[2]);
        }
        if (child > 0 && waitpid(child, &status, WNOHANG) == child) {
            if (status != 0)
                errx(1, "%s failed", arg[3]);
            child = 0;
        }
        nanosleep(&step, NULL);
    }
    end = now();
    if (child > 0 && (waitpid(child, &status, 0) != child || status != 0))
        errx(1, "%s failed", arg[3]);
    printf("%.1f\n", (end - begin) * 1000);
    return 0;
}

/* ---- streams ---- */

static int connect_to(const char *address, unsigned port)
{
    const struct timeval patience = {.tv_sec = PATIENCE};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) != 0)
        err(1, "setsockopt");
    if (inet_pton(AF_INET, address, &to.sin_addr) != 1 ||
        connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0)
        err(1, "%s port %u", address, port);
    return fd;
}

static void print_rate(uint64_t bytes, double seconds)
{
    printf("%.2f\n", (double)bytes * 8 / 1e6 / seconds);
}

static int send_stream(char **arg)
{
    int fd = connect_to(arg[0], 5001);
    double begin = now(), end = begin + strtod(arg[1], NULL);
    uint64_t arrived;

    while (now() < end)
        if (send(fd, block, sizeof(block), MSG_NOSIGNAL) < 0)
            err(1, "send");
    shutdown(fd, SHUT_WR);
    if (recv(fd, &arrived, sizeof(arrived), MSG_WAITALL) != sizeof(arrived))
        err(1, "the count did not come");
    print_rate(arrived, now() - begin);
    return 0;
}

static int receive_stream(char **arg)
{
    int fd = connect_to(arg[0], 5002);
    double begin = now(), end = begin + strtod(arg[1], NULL);
    uint64_t total = 0;

    while (now() < end) {
        ssize_t n = recv(fd, block, sizeof(block), 0);

        if (n <= 0)
            err(1, "receive");
        total += (uint64_t)n;
    }
    print_rate(total, now() - begin);
    return 0;
}

/* ---- echo ---- */

static int bound(int type, unsigned port)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, type, 0), one = 1;

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 ||
        bind(fd, (struct sockaddr *)&any, sizeof(any)) != 0)
        err(1, "port %u", port);
    return fd;
}

static void echo_datagrams(void)
{
    int fd = bound(SOCK_DGRAM, 7007);

    for (;;) {
        struct sockaddr_in from;
        socklen_t len = sizeof(from);
        ssize_t n = recvfrom(fd, block, sizeof(block), 0, (struct sockaddr *)&from, &len);

        if (n >= 0)
            (void)sendto(fd, block, (size_t)n, 0, (struct sockaddr *)&from, len);
    }
}

/* When nothing comes for a while, the rest of a train has been lost. */
static void count_datagrams(void)
{
    const struct timeval silence = {.tv_usec = 300000};
    int fd = bound(SOCK_DGRAM, 7010);
    unsigned came = 0;

    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof(silence));
    for (;;) {
        struct sockaddr_in from;
        socklen_t len = sizeof(from);
        ssize_t n = recvfrom(fd, block, sizeof(block), 0, (struct sockaddr *)&from, &len);

        came = n >= 0 ? came + 1 : 0;
        if (came < TRAIN)
            continue;
        came = 0;
        (void)sendto(fd, block, 1, 0, (struct sockaddr *)&from, len);
    }
}

static void send_datagrams(void)
{
    int fd = bound(SOCK_DGRAM, 7011);

    for (;;) {
        struct sockaddr_in from;
        socklen_t len = sizeof(from);
        uint16_t size;

        if (recvfrom(fd, &size, sizeof(size), 0, (struct sockaddr *)&from, &len) != sizeof(size))
            continue;
        for (unsigned i = 0; i < TRAIN; i++)
            (void)sendto(fd, block, ntohs(size), 0, (struct sockaddr *)&from, len);
    }
}

static void give_back(int fd)
{
    ssize_t n;

    while ((n = recv(fd, block, sizeof(block), 0)) > 0)
        if (send(fd, block, (size_t)n, MSG_NOSIGNAL) != n)
            break;
}

static void throw_away(int fd)
{
    while (recv(fd, block, sizeof(block), 0) > 0)
        ;
}

static void never_end(int fd)
{
    while (send(fd, block, sizeof(block), MSG_NOSIGNAL) > 0)
        ;
}

/* Each connection has a process of its own: one that is dead already keeps nobody waiting. */
static void serve_streams(unsigned port, void (*serve)(int fd))
{
    int listener = bound(SOCK_STREAM, port), one = 1;

    if (listen(listener, 8) != 0)
        err(1, "listen");
    signal(SIGCHLD, SIG_IGN);
    for (;;) {
        int fd = accept(listener, NULL, NULL);

        if (fd < 0)
            continue;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        if (fork() == 0) {
            serve(fd);
            _exit(0);
        }
        close(fd);
    }
}

static int echo(void)
{
    if (fork() == 0)
        serve_streams(7007, give_back);
    if (fork() == 0)
        serve_streams(7008, throw_away);
    if (fork() == 0)
        serve_streams(7009, never_end);
    if (fork() == 0)
        count_datagrams();
    if (fork() == 0)
        send_datagrams();
    echo_datagrams();
    return 0;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";

    if (strcmp(what, "boot") == 0 && argc > 5)
        return boot(argv + 2);
    if (strcmp(what, "send") == 0 && argc == 4)
        return send_stream(argv + 2);
    if (strcmp(what, "receive") == 0 && argc == 4)
        return receive_stream(argv + 2);
    if (strcmp(what, "echo") == 0 && argc == 2)
        return echo();
    errx(64, "usage: peer echo | boot LOG TEXT LIMIT COMMAND... | send|receive ADDRESS SECONDS");
}
