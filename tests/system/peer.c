/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The other side of the system tests: a client in dom0, and the judge of disks on the host.
 *
 *   peer http ADDRESS PATH FILE CONNECTIONS REQUESTS   all connections open before the first
 *                                                      request; every body is compared with FILE
 *   peer trickle ADDRESS PORT CONNECTIONS BYTES        each byte a segment of its own, to somebody
 *                                                      who does not read; holds the connections
 *                                                      until it is killed
 *   peer stream ADDRESS PORT BYTES CONNECTIONS         to the guest and back, every word checked
 *   peer udp ADDRESS PORT COUNT SIZE WINDOW            echo; what was lost is counted
 *   peer disk FILE                                     blocks that blkverify wrote: the sum of
 *                                                      versions
 *
 * The last line tells the numbers; the status is 0 when nothing was wrong.
 */
#define _GNU_SOURCE 1
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "pattern.h"

#define CHUNK 65536u
#define PATIENCE_MS 120000
#define CONNECTIONS_MAX 1024

static struct sockaddr_storage peer;
static socklen_t peer_len;

static unsigned long number(const char *text)
{
    char *end;
    unsigned long n = strtoul(text, &end, 0);

    if (*end != '\0' || end == text)
        errx(64, "%s is not a number", text);
    return n;
}

static void set_peer(const char *address, unsigned port)
{
    struct sockaddr_in *in4 = (struct sockaddr_in *)&peer;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&peer;

    if (inet_pton(AF_INET, address, &in4->sin_addr) == 1) {
        in4->sin_family = AF_INET;
        in4->sin_port = htons((uint16_t)port);
        peer_len = sizeof(*in4);
    } else if (inet_pton(AF_INET6, address, &in6->sin6_addr) == 1) {
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons((uint16_t)port);
        peer_len = sizeof(*in6);
    } else {
        errx(64, "%s is not an address", address);
    }
}

static int open_socket(int type)
{
    int fd = socket(peer.ss_family, type | SOCK_CLOEXEC, 0);

    if (fd < 0)
        err(70, "socket");
    return fd;
}

static bool ready(int fd, short events)
{
    struct pollfd p = {.fd = fd, .events = events};

    return poll(&p, 1, PATIENCE_MS) == 1;
}

/* Start all connections, then wait for each: how many stand; fd[] holds -1 for the others. */
static unsigned connect_all(int *fd, unsigned n)
{
    unsigned good = 0;

    for (unsigned i = 0; i < n; i++) {
        fd[i] = open_socket(SOCK_STREAM | SOCK_NONBLOCK);
        if (connect(fd[i], (struct sockaddr *)&peer, peer_len) != 0 && errno != EINPROGRESS)
            warn("connection %u", i);
    }
    for (unsigned i = 0; i < n; i++) {
        int error = ETIMEDOUT, on = 1;
        socklen_t len = sizeof(error);

        if (ready(fd[i], POLLOUT))
            getsockopt(fd[i], SOL_SOCKET, SO_ERROR, &error, &len);
        if (error != 0) {
            close(fd[i]);
            fd[i] = -1;
            continue;
        }
        setsockopt(fd[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        good++;
    }
    return good;
}

/* ---- http -------------------------------------------------------------------------------- */

struct exchange {
    int fd;
    bool asked;
    char head[2048];
    size_t head_len, body_len, length; /* body_len of (length) were right */
    bool in_body;
};

static const char *body;
static size_t body_size;
static char request[1024];

static void map_file(const char *name)
{
    int fd = open(name, O_RDONLY);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) != 0)
        err(70, "%s", name);
    body_size = (size_t)st.st_size;
    body = body_size == 0 ? "" : mmap(NULL, body_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (body == MAP_FAILED)
        err(70, "%s", name);
    close(fd);
}

/* The head is whole: it must be 200 and as long as the file. */
static bool judge_head(struct exchange *x)
{
    char *length = strcasestr(x->head, "\r\nContent-Length:");

    if (strncmp(x->head, "HTTP/1.1 200 ", 13) != 0 || length == NULL)
        return false;
    x->length = strtoul(length + 17, NULL, 10);
    x->in_body = true;
    x->body_len = 0;
    return x->length == body_size;
}

static bool take_body(struct exchange *x, const char *data, size_t len)
{
    if (x->body_len + len > x->length || memcmp(body + x->body_len, data, len) != 0)
        return false;
    x->body_len += len;
    return true;
}

/* False when the answer is wrong. */
static bool take_data(struct exchange *x, const char *data, size_t len)
{
    while (len > 0 && !x->in_body) {
        if (x->head_len == sizeof(x->head) - 1)
            return false;
        x->head[x->head_len++] = *data++;
        x->head[x->head_len] = '\0';
        len--;
        if (x->head_len >= 4 && strcmp(x->head + x->head_len - 4, "\r\n\r\n") == 0 &&
            !judge_head(x))
            return false;
    }
    return len == 0 || take_body(x, data, len);
}

/* 1 answered, 0 not yet, -1 wrong or over. */
static int receive_some(struct exchange *x)
{
    static char buf[CHUNK];
    ssize_t n = recv(x->fd, buf, sizeof(buf), 0);

    if (n < 0 && errno == EAGAIN)
        return 0;
    if (n <= 0 || !take_data(x, buf, (size_t)n))
        return -1;
    return x->in_body && x->body_len == x->length;
}

static bool ask(struct exchange *x)
{
    size_t len = strlen(request);

    x->head_len = 0;
    x->in_body = false;
    x->asked = true;
    return send(x->fd, request, len, MSG_NOSIGNAL) == (ssize_t)len;
}

static int http(char **arg)
{
    static int fd[CONNECTIONS_MAX];
    static struct exchange x[CONNECTIONS_MAX];
    static struct pollfd p[CONNECTIONS_MAX];
    unsigned n = (unsigned)number(arg[3]), failed = 0, open_now = 0, stood;
    unsigned long wanted = number(arg[4]), started = 0, answered = 0;

    if (n > CONNECTIONS_MAX)
        errx(64, "at most %u connections", CONNECTIONS_MAX);
    set_peer(arg[0], 80);
    map_file(arg[2]);
    snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: guest\r\n\r\n", arg[1]);
    stood = connect_all(fd, n);
    for (unsigned i = 0; i < n; i++) {
        x[i].fd = fd[i];
        p[i] = (struct pollfd){.fd = fd[i], .events = POLLIN};
        if (fd[i] < 0)
            failed++;
        else if (started < wanted && ++started && ask(&x[i]))
            open_now++;
    }
    while (open_now > 0 && poll(p, n, PATIENCE_MS) > 0) {
        for (unsigned i = 0; i < n; i++) {
            if (p[i].fd < 0 || p[i].revents == 0)
                continue;
            int got = receive_some(&x[i]);
            answered += got > 0;
            failed += got < 0;
            bool more = got > 0 && started < wanted && ++started && ask(&x[i]);
            if (got == 0 || more)
                continue;
            if (failed == 1 && got < 0)
                fprintf(stderr, "first failure: %.200s\n", x[i].head);
            p[i].fd = -1;
            open_now--;
        }
    }
    printf("%u of %u connections stood, %lu of %lu requests answered, %u failed\n", stood, n,
           answered, wanted, failed);
    return stood != n || answered != wanted || failed != 0;
}

/* ---- trickle ------------------------------------------------------------------------------- */

static int trickle(char **arg)
{
    static int fd[CONNECTIONS_MAX];
    unsigned n = (unsigned)number(arg[2]);
    unsigned long bytes = number(arg[3]), sent = 0, refused = 0;

    if (n > CONNECTIONS_MAX)
        errx(64, "at most %u connections", CONNECTIONS_MAX);
    set_peer(arg[0], (unsigned)number(arg[1]));
    unsigned stood = connect_all(fd, n);
    for (unsigned long k = 0; k < bytes; k++) {
        for (unsigned i = 0; i < n; i++) {
            if (fd[i] < 0)
                continue;
            if (send(fd[i], "x", 1, MSG_NOSIGNAL) == 1)
                sent++;
            else
                refused++;
        }
    }
    printf("%u of %u connections stood, %lu bytes sent, %lu not\n", stood, n, sent, refused);
    fflush(stdout);
    for (;;)
        pause();
}

/* ---- stream ------------------------------------------------------------------------------ */

static void give(int fd, const void *data, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t n = send(fd, (const char *)data + at, len - at, MSG_NOSIGNAL);

        if (n <= 0)
            err(1, "send");
        at += (size_t)n;
    }
}

static void take(int fd, void *data, size_t len)
{
    ssize_t n = recv(fd, data, len, MSG_WAITALL);

    if (n != (ssize_t)len)
        errx(1, "the stream ended early: %s", n < 0 ? strerror(errno) : "closed");
}

static int stream_once(uint64_t bytes)
{
    static uint64_t buf[CHUNK / 8];
    uint64_t wrong_there, wrong_here = 0;
    int fd = open_socket(SOCK_STREAM);

    if (connect(fd, (struct sockaddr *)&peer, peer_len) != 0)
        err(1, "connect");
    give(fd, &bytes, sizeof(bytes));
    for (uint64_t at = 0; at < bytes; at += CHUNK) {
        size_t len = bytes - at < CHUNK ? bytes - at : CHUNK;

        stream_fill(buf, at / 8, len / 8);
        give(fd, buf, len);
    }
    take(fd, &wrong_there, sizeof(wrong_there));
    for (uint64_t at = 0; at < bytes; at += CHUNK) {
        size_t len = bytes - at < CHUNK ? bytes - at : CHUNK;

        take(fd, buf, len);
        wrong_here += !stream_right(buf, at / 8, len / 8);
    }
    if (recv(fd, buf, 1, 0) != 0)
        errx(1, "the stream did not end where it should");
    if (wrong_there || wrong_here)
        errx(1, "wrong chunks: %llu there, %llu here", (unsigned long long)wrong_there,
             (unsigned long long)wrong_here);
    return 0;
}

static int stream(char **arg)
{
    uint64_t bytes = number(arg[2]) & ~7ul;
    unsigned n = (unsigned)number(arg[3]), right = 0;
    int status;

    set_peer(arg[0], (unsigned)number(arg[1]));
    for (unsigned i = 0; i < n; i++) {
        pid_t pid = fork();

        if (pid < 0)
            err(70, "fork");
        if (pid == 0)
            _exit(stream_once(bytes));
    }
    while (wait(&status) > 0)
        right += status == 0;
    printf("%u of %u streams of %llu bytes were right both ways\n", right, n,
           (unsigned long long)bytes);
    return right != n;
}

/* ---- udp --------------------------------------------------------------------------------- */

static struct {
    unsigned long echoed, twice, wrong;
} udp_seen;

static void judge_datagram(const uint64_t *buf, size_t len, size_t size, unsigned long count,
                           bool *back)
{
    uint64_t id = buf[0];

    if (len != size || id >= count || !stream_right(buf + 1, id, size / 8 - 1))
        udp_seen.wrong++;
    else if (back[id])
        udp_seen.twice++;
    else {
        back[id] = true;
        udp_seen.echoed++;
    }
}

/* Take what is there, waiting at most (ms) for the first. */
static void take_datagrams(int fd, int ms, size_t size, unsigned long count, bool *back)
{
    static uint64_t buf[CHUNK / 8];
    struct pollfd p = {.fd = fd, .events = POLLIN};

    while (poll(&p, 1, ms) == 1) {
        ssize_t n = recv(fd, buf, sizeof(buf), 0);

        if (n >= 8)
            judge_datagram(buf, (size_t)n, size, count, back);
        else
            udp_seen.wrong++;
        ms = 0;
    }
}

static int udp(char **arg)
{
    static uint64_t buf[CHUNK / 8];
    unsigned long count = number(arg[2]), window = number(arg[4]);
    size_t size = number(arg[3]) & ~7ul;
    bool *back = calloc(count, sizeof(*back));
    int fd;

    set_peer(arg[0], (unsigned)number(arg[1]));
    fd = open_socket(SOCK_DGRAM);
    if (back == NULL || size < 8 || connect(fd, (struct sockaddr *)&peer, peer_len) != 0)
        err(70, "udp");
    for (unsigned long i = 0; i < count; i++) {
        buf[0] = i;
        stream_fill(buf + 1, i, size / 8 - 1);
        if (send(fd, buf, size, 0) != (ssize_t)size)
            err(1, "send");
        /* Whoever is lost makes the window smaller for a second at a time. */
        bool full = i + 1 - udp_seen.echoed >= window;
        take_datagrams(fd, full ? 1000 : 0, size, count, back);
    }
    for (unsigned tries = 0; tries < 5 && udp_seen.echoed < count; tries++)
        take_datagrams(fd, 1000, size, count, back);
    printf("%lu sent, %lu echoed, %lu lost, %lu twice, %lu wrong\n", count, udp_seen.echoed,
           count - udp_seen.echoed, udp_seen.twice, udp_seen.wrong);
    return udp_seen.wrong != 0 || udp_seen.twice != 0;
}

/* ---- disk -------------------------------------------------------------------------------- */

static int disk(char **arg)
{
    uint64_t block[PATTERN_WORDS], sum = 0;
    uint32_t n = 0, wrong = 0;
    FILE *f = fopen(arg[0], "rb");

    if (f == NULL)
        err(70, "%s", arg[0]);
    for (; fread(block, PATTERN_BLOCK, 1, f) == 1; n++) {
        uint32_t version = (uint32_t)block[0];

        wrong += version == 0 || !block_right(block, n, version);
        sum = versions_add(sum, version);
    }
    printf("%u blocks, %u wrong, versions %016llx\n", n, wrong, (unsigned long long)sum);
    return wrong != 0;
}

static const struct {
    const char *word;
    int args;
    int (*fn)(char **arg);
} commands[] = {
    {"http", 5, http}, {"trickle", 4, trickle}, {"stream", 4, stream},
    {"udp", 5, udp},   {"disk", 1, disk},
};

int main(int argc, char **argv)
{
    struct rlimit files = {4096, 4096};

    setrlimit(RLIMIT_NOFILE, &files);
    signal(SIGPIPE, SIG_IGN);
    for (unsigned i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        if (argc == commands[i].args + 2 && strcmp(argv[1], commands[i].word) == 0)
            return commands[i].fn(argv + 2);
    errx(64, "see the top of peer.c");
}
