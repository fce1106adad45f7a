/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The life of a connection:
 *
 *     IDLE --first byte--> READING --request done--> SENDING --all sent--> IDLE   (keep-alive)
 *                                                       `----------------> DRAIN --> closed
 *
 * I1 Bytes are taken from the socket only when they belong to the request at hand: they are looked
 *    at first (MSG_PEEK). So the requests behind it wait in the socket, answers keep their order, a
 *    client that does not read is not read from, and no buffer is needed for leftovers.
 * I2 All connections share one buffer. What of it a socket does not take is kept in a copy of
 *    that size only when it cannot be had again; bytes of files can.
 *
 * DRAIN exists because closing a socket with unread data resets the connection, and the reset may
 * overtake the answer.
 */
#include "apps/httpd/conn.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "apps/httpd/answer.h"
#include "apps/httpd/counters.h"
#include "apps/httpd/request.h"

#define BUFFER_SIZE 49152
#define STEPS_MAX 16 /* of one connection before it is others' turn */
#define DRAIN_TIME_MS 2000

enum step { STEP_GO_ON, STEP_WAIT, STEP_CLOSE };

struct conn_options conn_options = {.timeout_ms = 15000};
static char buffer[BUFFER_SIZE]; /* I2 */

int64_t conn_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void set_state(struct conn *c, enum conn_state state)
{
    c->state = state;
    c->deadline = conn_now() + (state == CONN_DRAIN ? DRAIN_TIME_MS : conn_options.timeout_ms);
}

void conn_open(struct conn *c, int fd)
{
    *c = (struct conn){.fd = fd, .file = -1};
    set_state(c, CONN_IDLE);
}

static void forget_answer(struct conn *c)
{
    if (c->file >= 0)
        close(c->file);
    free(c->rest);
    c->file = -1;
    c->rest = NULL;
    c->rest_len = c->rest_sent = 0;
}

void conn_close(struct conn *c)
{
    forget_answer(c);
    request_destroy(c->request);
    close(c->fd);
}

/* ---- sending
 * -------------------------------------------------------------------------------------- */

/* Bytes sent, 0 when the socket takes none now, -1 when it is broken. */
static ssize_t send_some(struct conn *c, const char *data, size_t len)
{
    ssize_t n = send(c->fd, data, len, MSG_NOSIGNAL);

    if (n < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -1;
    counters.bytes_sent += (uint64_t)n;
    return n;
}

/* Fill the buffer from byte (used) on with the next of the file: the buffer's length then, -1 when
 * the file cannot be read (any more). */
static ssize_t add_file_bytes(struct conn *c, size_t used)
{
    size_t want = sizeof(buffer) - used;

    if (c->file < 0)
        return (ssize_t)used;
    if (c->end - c->offset < (off_t)want)
        want = (size_t)(c->end - c->offset);
    ssize_t n = pread(c->file, buffer + used, want, c->offset);
    return n <= 0 ? -1 : (ssize_t)used + n;
}

/* Everything is handed to the socket. */
static enum step end_answer(struct conn *c)
{
    forget_answer(c);
    if (c->keep_alive) {
        set_state(c, CONN_IDLE);
        return STEP_GO_ON;
    }
    shutdown(c->fd, SHUT_WR);
    set_state(c, CONN_DRAIN);
    return STEP_GO_ON;
}

/* (sent) bytes of the file went out. */
static enum step advance_file(struct conn *c, size_t sent)
{
    if (sent > 0)
        c->deadline = conn_now() + conn_options.timeout_ms;
    c->offset += (off_t)sent;
    return c->file < 0 || c->offset == c->end ? end_answer(c) : STEP_GO_ON;
}

/* Send buffer[0..have), where a head or text of (len) bytes comes before those of the file. */
static enum step send_first(struct conn *c, size_t len, size_t have)
{
    ssize_t sent = send_some(c, buffer, have);

    if (sent < 0)
        return STEP_CLOSE;
    if ((size_t)sent >= len)
        return advance_file(c, (size_t)sent - len);
    c->rest_len = (uint32_t)(len - (size_t)sent);
    c->rest = malloc(c->rest_len);
    if (c->rest == NULL)
        return STEP_CLOSE;
    memcpy(c->rest, buffer + sent, c->rest_len);
    return STEP_WAIT;
}

static enum step send_rest(struct conn *c)
{
    ssize_t sent = send_some(c, c->rest + c->rest_sent, c->rest_len - c->rest_sent);

    if (sent <= 0)
        return sent < 0 ? STEP_CLOSE : STEP_WAIT;
    c->deadline = conn_now() + conn_options.timeout_ms;
    c->rest_sent += (uint32_t)sent;
    if (c->rest_sent < c->rest_len)
        return STEP_WAIT;
    free(c->rest);
    c->rest = NULL;
    return advance_file(c, 0);
}

static enum step send_more(struct conn *c)
{
    if (c->rest != NULL)
        return send_rest(c);
    ssize_t have = add_file_bytes(c, 0);
    ssize_t sent = have < 0 ? -1 : send_some(c, buffer, (size_t)have);
    if (sent <= 0)
        return sent < 0 ? STEP_CLOSE : STEP_WAIT;
    return advance_file(c, (size_t)sent);
}

/* ---- answering
 * ------------------------------------------------------------------------------------ */

/* Targets come from strangers: only printable characters reach the log, and not too many. */
static void log_answer(const struct request *r, const struct answer *a)
{
    char target[81];
    size_t n = 0;

    while (r != NULL && r->target != NULL && r->target[n] != '\0' && n < sizeof(target) - 1) {
        unsigned char ch = (unsigned char)r->target[n];
        target[n++] = ch > 0x20 && ch < 0x7f ? (char)ch : '?';
    }
    target[n] = '\0';
    printf("httpd: %d %s\n", a->status, n > 0 ? target : "-");
}

static enum step refuse(struct conn *c, int status);

static enum step send_answer(struct conn *c, const struct answer *a)
{
    if (conn_options.log)
        log_answer(c->request, a);
    request_destroy(c->request);
    c->request = NULL;
    c->file = a->file;
    c->offset = a->offset;
    c->end = a->end;
    c->keep_alive = a->keep_alive;
    set_state(c, CONN_SENDING);
    ssize_t have = add_file_bytes(c, a->len);
    if (have < 0) { /* now it can still be said; later only by closing early */
        forget_answer(c);
        return refuse(c, 500);
    }
    return send_first(c, a->len, (size_t)have);
}

static enum step refuse(struct conn *c, int status)
{
    struct answer a;

    answer_refusal(status, &a, buffer, sizeof(buffer));
    return send_answer(c, &a);
}

/* ---- reading
 * -------------------------------------------------------------------------------------- */

/* What recv said, when it gave no bytes. */
static enum step judge_recv(ssize_t n)
{
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return STEP_WAIT;
    return STEP_CLOSE;
}

static enum step begin_request(struct conn *c)
{
    c->request = request_create();
    if (c->request == NULL)
        return refuse(c, 503);
    set_state(c, CONN_READING);
    return STEP_GO_ON;
}

static enum step read_request(struct conn *c)
{
    struct answer a;
    ssize_t n = recv(c->fd, buffer, REQUEST_PIECE_MAX, MSG_PEEK); /* I1 */

    if (n <= 0)
        return judge_recv(n);
    if (c->request == NULL)
        return begin_request(c);
    size_t taken = request_feed(c->request, buffer, (size_t)n);
    if (taken > 0 && recv(c->fd, buffer, taken, 0) != (ssize_t)taken)
        return STEP_CLOSE;
    if (!request_is_done(c->request))
        return STEP_GO_ON;
    answer_request(c->request, &a, buffer, sizeof(buffer));
    return send_answer(c, &a);
}

static enum step drain(struct conn *c)
{
    ssize_t n = recv(c->fd, buffer, sizeof(buffer), 0);

    return n > 0 ? STEP_GO_ON : judge_recv(n);
}

/* ---- the whole
 * ------------------------------------------------------------------------------------ */

static enum step run_step(struct conn *c)
{
    switch (c->state) {
    case CONN_IDLE:
    case CONN_READING:
        return read_request(c);
    case CONN_SENDING:
        return send_more(c);
    case CONN_DRAIN:
        return drain(c);
    }
    return STEP_CLOSE;
}

bool conn_run(struct conn *c)
{
    enum step step = STEP_GO_ON;

    for (int i = 0; i < STEPS_MAX && step == STEP_GO_ON; i++)
        step = run_step(c);
    return step != STEP_CLOSE;
}

bool conn_expire(struct conn *c)
{
    counters.timed_out += c->state != CONN_DRAIN;
    return c->state == CONN_READING && refuse(c, 408) != STEP_CLOSE;
}

short conn_events(const struct conn *c)
{
    return c->state == CONN_SENDING ? POLLOUT : POLLIN;
}
