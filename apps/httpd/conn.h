/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One connection. It never blocks and holds little: a request only while one comes in, a copy of
 * what the socket did not take of a head or text, and of a file just how far it got.
 */
#ifndef APPS_HTTPD_CONN_H
#define APPS_HTTPD_CONN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* In the order in which connections are given up when there are too many. */
enum conn_state {
    CONN_IDLE,    /* no byte of a request yet */
    CONN_DRAIN,   /* answered for the last time; what the client still sends is thrown away */
    CONN_READING, /* a request has begun */
    CONN_SENDING,
};

struct conn {
    int fd;
    int file; /* -1, or what is being sent: bytes [offset, end) */
    off_t offset, end;
    char *rest; /* bytes to send before those of the file: rest[rest_sent .. rest_len) */
    uint32_t rest_len, rest_sent;
    struct request *request;
    int64_t deadline; /* clock of conn_now: it gets no more time */
    enum conn_state state;
    bool keep_alive;
};

/* How long a client may be silent, take for the head of a request, or leave an answer unread; and
 * whether requests are logged. */
struct conn_options {
    int64_t timeout_ms;
    bool log;
};
extern struct conn_options conn_options;

/* Milliseconds of a clock that only goes forward. */
int64_t conn_now(void);

/* (fd) is non-blocking and becomes the connection's. */
void conn_open(struct conn *c, int fd);
void conn_close(struct conn *c);

/* Do what can be done now. False when the connection is over: conn_close. */
bool conn_run(struct conn *c);
/* Its deadline has passed. False: conn_close. */
bool conn_expire(struct conn *c);
/* What to poll for. */
short conn_events(const struct conn *c);

#endif
