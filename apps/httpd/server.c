/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The loop: poll, serve those that are ready, end those whose time is over, take new ones.
 *
 * Connections lie side by side, conns[i] with polls[i + 1]; polls[0] is the listener. A closed one
 * is replaced by the last, and the list is walked from its end, so nobody is skipped.
 *
 * I1 There is always room for a newcomer: at the limit, or when the system has no descriptor or
 *    memory left, the connection that is least worth keeping is closed (enum conn_state, then
 *    the nearest deadline). A thousand silent clients thus keep nobody out.
 */
#include "apps/httpd/server.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "apps/httpd/conn.h"
#include "apps/httpd/counters.h"

#define ACCEPT_MAX 64    /* newcomers in one round */
#define ACCEPT_PAUSE 100 /* milliseconds without, after accept failed */

struct counters counters;

static struct conn *conns;
static struct pollfd *polls;
static unsigned nr_conns, max_conns;
static int64_t accept_at; /* no newcomers before */

static void add_conn(int fd)
{
    int on = 1;

    /* Answers are sent in large pieces: the last one must not wait for an acknowledgement. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    conn_open(&conns[nr_conns], fd);
    polls[nr_conns + 1] = (struct pollfd){.fd = fd, .events = POLLIN};
    nr_conns++;
    counters.accepted++;
    counters.open = nr_conns;
}

static void remove_conn(unsigned i)
{
    conn_close(&conns[i]);
    nr_conns--;
    conns[i] = conns[nr_conns];
    polls[i + 1] = polls[nr_conns + 1];
    counters.open = nr_conns;
}

/* Close or keep conns[i], which has just been served. */
static void settle(unsigned i, bool keep)
{
    if (keep)
        polls[i + 1].events = conn_events(&conns[i]);
    else
        remove_conn(i);
}

static bool is_worth_less(const struct conn *a, const struct conn *b)
{
    return a->state != b->state ? a->state < b->state : a->deadline < b->deadline;
}

/* I1 */
static void evict_one(void)
{
    unsigned worst = 0;

    for (unsigned i = 1; i < nr_conns; i++) {
        if (is_worth_less(&conns[i], &conns[worst]))
            worst = i;
    }
    if (nr_conns > 0) {
        remove_conn(worst);
        counters.evicted++;
    }
}

/* False when nobody (else) is there. */
static bool accept_one(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);

    if (fd >= 0) {
        if (nr_conns == max_conns)
            evict_one();
        add_conn(fd);
        settle(nr_conns - 1, conn_run(&conns[nr_conns - 1]));
        return true;
    }
    if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
        evict_one();
        accept_at = conn_now() + ACCEPT_PAUSE; /* in case that does not help */
    }
    return errno == ECONNABORTED || errno == EINTR;
}

static void accept_some(int listener)
{
    for (int i = 0; i < ACCEPT_MAX && accept_one(listener); i++)
        ;
}

/* Milliseconds until something has to be done without anybody asking, -1: never. */
static int time_left(void)
{
    int64_t now = conn_now(), nearest = accept_at > now ? accept_at : INT64_MAX;

    for (unsigned i = 0; i < nr_conns; i++) {
        if (conns[i].deadline < nearest)
            nearest = conns[i].deadline;
    }
    if (nearest == INT64_MAX)
        return -1;
    return nearest > now ? (int)(nearest - now) : 0;
}

static void serve(void)
{
    int64_t now = conn_now();

    for (unsigned i = nr_conns; i-- > 0;) {
        if (polls[i + 1].revents != 0)
            settle(i, conn_run(&conns[i]));
        else if (conns[i].deadline <= now)
            settle(i, conn_expire(&conns[i]));
    }
}

static int listen_at(const struct sockaddr *addr, socklen_t len)
{
    int on = 1, off = 0;
    int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (addr->sa_family == AF_INET6) /* IPv4 as well */
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    if (bind(fd, addr, len) != 0 || listen(fd, SOMAXCONN) != 0) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

int server_listen(uint16_t port)
{
    struct sockaddr_in6 both = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    struct sockaddr_in only4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = listen_at((struct sockaddr *)&both, sizeof(both));

    if (fd < 0 && errno != EADDRINUSE)
        fd = listen_at((struct sockaddr *)&only4, sizeof(only4));
    return fd;
}

int server_run(int listener, unsigned limit)
{
    max_conns = limit;
    conns = calloc(limit, sizeof(*conns));
    polls = calloc(limit + 1, sizeof(*polls));
    while (conns != NULL && polls != NULL) {
        bool paused = accept_at > conn_now();
        polls[0] = (struct pollfd){.fd = paused ? -1 : listener, .events = POLLIN};
        if (poll(polls, nr_conns + 1, time_left()) < 0) {
            for (unsigned i = 0; i <= nr_conns; i++)
                polls[i].revents = 0;
        }
        serve();
        if (polls[0].revents != 0)
            accept_some(listener);
    }
    errno = ENOMEM;
    return -1;
}
