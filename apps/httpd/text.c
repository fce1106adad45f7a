/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/httpd/text.h"
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void text_init(struct text *t, char *buf, size_t size)
{
    *t = (struct text){.buf = buf, .size = size};
    buf[0] = '\0';
}

void text_add(struct text *t, const char *fmt, ...)
{
    size_t room = t->size - t->len;
    va_list args;

    va_start(args, fmt);
    int n = vsnprintf(t->buf + t->len, room, fmt, args);
    va_end(args);
    if (n >= 0 && (size_t)n < room)
        t->len += (size_t)n;
    else
        t->full = true;
    t->buf[t->len] = '\0';
}

/* Add (s) character by character as (add) says; back to where it was when it does not fit. */
static void add_each(struct text *t, const char *s, void (*add)(struct text *t, unsigned char c))
{
    size_t before = t->len;
    bool was_full = t->full;

    t->full = false;
    while (*s != '\0' && !t->full)
        add(t, (unsigned char)*s++);
    if (t->full)
        t->buf[t->len = before] = '\0';
    t->full |= was_full;
}

static void add_json(struct text *t, unsigned char c)
{
    if (c == '"' || c == '\\')
        text_add(t, "\\%c", c);
    else if (c < 0x20 || c >= 0x7f)
        text_add(t, "\\u%04x", c);
    else
        text_add(t, "%c", c);
}

static void add_html(struct text *t, unsigned char c)
{
    if (strchr("<>&\"'", c) != NULL || c < 0x20 || c == 0x7f)
        text_add(t, "&#%u;", c < 0x20 || c == 0x7f ? '?' : c);
    else
        text_add(t, "%c", c);
}

static void add_url(struct text *t, unsigned char c)
{
    if (isalnum(c) || strchr("/-._~", c) != NULL)
        text_add(t, "%c", c);
    else
        text_add(t, "%%%02X", c);
}

void text_add_json(struct text *t, const char *s)
{
    add_each(t, s, add_json);
}

void text_add_html(struct text *t, const char *s)
{
    add_each(t, s, add_html);
}

void text_add_url(struct text *t, const char *s)
{
    add_each(t, s, add_url);
}
