/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parser calls back with pieces of names and values. A field's name and value are gathered in
 * two small buffers and digested when the next field begins, so that a head of any shape costs the
 * same memory; only the target is kept whole.
 *
 * I1 A request with a body, or one that broke the grammar, is the last of its connection: where the
 *    next one would begin is not known, and is not guessed.
 */
#include "apps/httpd/request.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- fields
 * --------------------------------------------------------------------------------------- */

static void take_host(struct request *r)
{
    r->hosts++;
}

static void take_range(struct request *r)
{
    range_parse(r->value, &r->range);
}

static void take_since(struct request *r)
{
    r->has_since = date_parse(r->value, &r->since);
}

static void take_none_match(struct request *r)
{
    strcpy(r->none_match, r->value);
}

static void take_if_range(struct request *r)
{
    strcpy(r->if_range, r->value);
}

static const struct {
    const char *name;
    void (*take)(struct request *r);
} fields[] = {
    {"host", take_host},
    {"range", take_range},
    {"if-modified-since", take_since},
    {"if-none-match", take_none_match},
    {"if-range", take_if_range},
};

/* A name or value that was too long for its buffer is one byte longer than fits. */
static void digest_field(struct request *r)
{
    size_t n = r->value_len;

    if (n > REQUEST_VALUE_MAX)
        n = 0;
    while (n > 0 && (r->value[n - 1] == ' ' || r->value[n - 1] == '\t'))
        n--;
    r->value[n] = '\0';
    for (size_t i = 0; r->in_value && i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (r->name_len == strlen(fields[i].name) &&
            strncasecmp(r->name, fields[i].name, r->name_len) == 0)
            fields[i].take(r);
    }
    r->in_value = false;
    r->name_len = r->value_len = 0;
}

static void gather(char *buf, size_t *len, size_t room, const char *at, size_t n)
{
    if (*len > room || n > room - *len) {
        *len = room + 1;
        return;
    }
    memcpy(buf + *len, at, n);
    *len += n;
}

/* ---- what the parser calls
 * ------------------------------------------------------------------------ */

static int refuse(struct request *r, int status)
{
    r->refusal = status;
    r->keep_alive = false; /* I1 */
    return -1;
}

static int on_target(http_parser *p, const char *at, size_t n)
{
    struct request *r = p->data;
    size_t len = r->target_len + n;

    if (len > REQUEST_TARGET_MAX)
        return refuse(r, 414);
    if (len + 1 > r->target_room) {
        size_t room = len + 1 + (r->target_len > 0 ? len : 0);
        char *bigger = realloc(r->target, room);
        if (bigger == NULL)
            return refuse(r, 503);
        r->target = bigger;
        r->target_room = room;
    }
    memcpy(r->target + r->target_len, at, n);
    r->target[len] = '\0';
    r->target_len = len;
    return 0;
}

static int on_name(http_parser *p, const char *at, size_t n)
{
    struct request *r = p->data;

    if (r->in_value)
        digest_field(r);
    gather(r->name, &r->name_len, sizeof(r->name), at, n);
    return 0;
}

static int on_value(http_parser *p, const char *at, size_t n)
{
    struct request *r = p->data;

    r->in_value = true;
    gather(r->value, &r->value_len, REQUEST_VALUE_MAX, at, n);
    return 0;
}

static bool has_body(const http_parser *p)
{
    return p->uses_transfer_encoding || (p->content_length > 0 && p->content_length != ULLONG_MAX);
}

static int on_head(http_parser *p)
{
    struct request *r = p->data;

    digest_field(r);
    r->keep_alive = http_should_keep_alive(p) && p->method != HTTP_CONNECT;
    r->only_head = p->method == HTTP_HEAD;
    r->http_1_0 = p->http_major == 1 && p->http_minor == 0;
    if (p->http_major != 1)
        return refuse(r, 505);
    if (r->hosts > 1 || (r->hosts == 0 && !r->http_1_0))
        return refuse(r, 400);
    if (p->method != HTTP_GET && p->method != HTTP_HEAD)
        r->refusal = 405;
    if (has_body(p))
        return refuse(r, r->refusal != 0 ? r->refusal : 413);
    return 0;
}

static int on_end(http_parser *p)
{
    struct request *r = p->data;

    r->done = true;
    http_parser_pause(p, 1); /* what follows is the next request */
    return 0;
}

static const http_parser_settings settings = {
    .on_url = on_target,
    .on_header_field = on_name,
    .on_header_value = on_value,
    .on_headers_complete = on_head,
    .on_message_complete = on_end,
};

/* ---- life
 * ----------------------------------------------------------------------------------------- */

struct request *request_create(void)
{
    struct request *r = calloc(1, sizeof(*r));

    if (r == NULL)
        return NULL;
    http_parser_set_max_header_size(REQUEST_HEAD_MAX);
    http_parser_init(&r->parser, HTTP_REQUEST);
    r->parser.data = r;
    return r;
}

void request_destroy(struct request *r)
{
    if (r == NULL)
        return;
    free(r->target);
    free(r);
}

/* The status for a head that the parser did not like; ours when a callback refused it. */
static int status_of_error(const struct request *r)
{
    if (r->refusal != 0)
        return r->refusal;
    switch (HTTP_PARSER_ERRNO(&r->parser)) {
    case HPE_HEADER_OVERFLOW:
        return 431;
    case HPE_INVALID_VERSION:
        return 505;
    default:
        return 400;
    }
}

size_t request_feed(struct request *r, const char *data, size_t len)
{
    if (len > REQUEST_PIECE_MAX)
        len = REQUEST_PIECE_MAX;
    size_t taken = http_parser_execute(&r->parser, &settings, data, len);
    if (r->parser.http_errno != HPE_OK && r->parser.http_errno != HPE_PAUSED) {
        refuse(r, status_of_error(r));
        r->done = true;
    }
    return taken;
}

bool request_is_done(const struct request *r)
{
    return r->done;
}
