/* SPDX-License-Identifier: BSD-2-Clause */
/* What to answer a request with: the head, and the bytes of a text or a file behind it. */
#ifndef APPS_HTTPD_ANSWER_H
#define APPS_HTTPD_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include "apps/httpd/request.h"

#define ANSWER_MIN_ROOM 16384 /* for a head and the longest text */

struct answer {
    int status;
    bool keep_alive;
    size_t len; /* bytes in the caller's buffer: the head, and a text if that is the body */
    int file;   /* -1, or a file of the caller's whose bytes [offset, end) follow */
    off_t offset, end;
};

/* Serve files below (root), "/" or "/dir"; at start. False when there is nothing to serve: files
 * are then answered with 503 and the reason until there is. */
bool answer_init(const char *root);

/* Decide the answer to (r), which is done, and write it to buf[size], size >= ANSWER_MIN_ROOM. */
void answer_request(const struct request *r, struct answer *a, char *buf, size_t size);
/* The answer that ends a connection: a (status) page. */
void answer_refusal(int status, struct answer *a, char *buf, size_t size);

#endif
