/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A request while it comes in. It exists from the first byte of a request to the moment its answer
 * is decided; a connection that waits or sends has none. http-parser reads the grammar; this keeps
 * what the answer depends on and judges the rest.
 */
#ifndef APPS_HTTPD_REQUEST_H
#define APPS_HTTPD_REQUEST_H

#include <http_parser.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>
#include "apps/httpd/fields.h"

#define REQUEST_HEAD_MAX 8192   /* bytes of a request's head */
#define REQUEST_TARGET_MAX 4000 /* bytes of its target */
#define REQUEST_PIECE_MAX 4096  /* bytes that request_feed looks at in one call */
#define REQUEST_VALUE_MAX 128   /* a longer value of a field we know is not understood */

struct request {
    int refusal;     /* 0, or the status to refuse it with */
    bool keep_alive; /* the connection can carry another request after this one */
    bool only_head;
    bool http_1_0;
    char *target; /* NUL-terminated; NULL before it came */
    size_t target_len;
    struct range range;
    bool has_since;
    time_t since;                           /* If-Modified-Since */
    char none_match[REQUEST_VALUE_MAX + 1]; /* If-None-Match, "" when absent */
    char if_range[REQUEST_VALUE_MAX + 1];

    /* private */
    struct http_parser parser;
    bool done, in_value;
    unsigned hosts;
    size_t name_len, value_len, target_room;
    char name[20], value[REQUEST_VALUE_MAX + 1];
};

/* NULL: no memory. */
struct request *request_create(void);
void request_destroy(struct request *r);

/* Look at (len) more bytes: how many of them belong to this request. */
size_t request_feed(struct request *r, const char *data, size_t len);
/* True once it is complete or refused: nothing more is fed. */
bool request_is_done(const struct request *r);

#endif
