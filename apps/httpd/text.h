/* SPDX-License-Identifier: BSD-2-Clause */
/* A text that grows in a buffer of fixed size. What does not fit is left out and remembered. */
#ifndef APPS_HTTPD_TEXT_H
#define APPS_HTTPD_TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct text {
    char *buf;
    size_t size, len;
    bool full; /* something was left out */
};

/* An empty text in buf[size], size > 0. It always ends with a NUL behind its (len) bytes. */
void text_init(struct text *t, char *buf, size_t size);

/* Each adds all of it or nothing. */
void text_add(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* (s) as the inside of a JSON string. */
void text_add_json(struct text *t, const char *s);
/* (s) as HTML text or the inside of an attribute. */
void text_add_html(struct text *t, const char *s);
/* The path (s) as part of a URL: everything unusual as %XX. */
void text_add_url(struct text *t, const char *s);

#endif
