/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A queue of bytes in chunks. Data is always copied in, so that a received page never waits for a
 * program, and always to the end of the last chunk first, so that a thousand segments of one byte
 * cost a thousand bytes. New chunks grow with the queue up to a page: memory is at most
 * twice the data plus one small chunk. A segment is taken as a whole or not at all, hence
 * reserving before appending.
 */
#include "lib/net/stream.h"
#include <stdint.h>
#include <string.h>
#include "lib/base/errno.h"
#include "lib/net/budget.h"

#define CHUNK_FIRST 512
#define CHUNK_LAST 4096

struct chunk {
    struct list link;
    uint32_t start, end, size; /* of data[] */
    uint8_t data[];
};

void stream_init(struct stream *s)
{
    list_init(&s->chunks);
    s->len = s->memory = 0;
}

static void free_chunk(struct stream *s, struct chunk *c)
{
    s->memory -= sizeof(*c) + c->size;
    list_remove(&c->link);
    net_free(c);
}

void stream_clear(struct stream *s)
{
    list_for_each_safe (pos, &s->chunks)
        free_chunk(s, list_entry(pos, struct chunk, link));
    s->len = 0;
}

static struct chunk *add_chunk(struct stream *s, size_t want)
{
    size_t total = CHUNK_FIRST;
    while (total < CHUNK_LAST && total < sizeof(struct chunk) + MAX(want, s->len))
        total *= 2;
    struct chunk *c = net_alloc(total);
    if (c == NULL)
        return NULL;
    c->start = c->end = 0;
    c->size = (uint32_t)(total - sizeof(*c));
    list_push_back(&s->chunks, &c->link);
    s->memory += total;
    return c;
}

static struct chunk *last_chunk(struct stream *s)
{
    return list_empty(&s->chunks) ? NULL : list_entry(s->chunks.prev, struct chunk, link);
}

static size_t room_in(const struct chunk *c)
{
    return c == NULL ? 0 : c->size - c->end;
}

/* Room is the rest of the last chunk with data and empty chunks behind it. */
int stream_reserve(struct stream *s, size_t len)
{
    struct chunk *last = last_chunk(s);
    size_t room = room_in(last);
    while (room < len) {
        struct chunk *c = add_chunk(s, len - room);
        if (c == NULL)
            break;
        room += c->size;
    }
    if (room >= len)
        return 0;
    while ((last = last_chunk(s)) != NULL && last->end == 0)
        free_chunk(s, last);
    return -ENOMEM;
}

/* The first chunk that is not full. */
static struct chunk *fill_chunk(struct stream *s)
{
    struct chunk *c = last_chunk(s);
    while (c->link.prev != &s->chunks) {
        struct chunk *prev = list_entry(c->link.prev, struct chunk, link);
        if (room_in(prev) == 0)
            break;
        c = prev;
    }
    return c;
}

void stream_append(struct stream *s, const void *data, size_t len)
{
    const uint8_t *from = data;
    s->len += len;
    while (len > 0) {
        struct chunk *c = fill_chunk(s);
        size_t n = MIN(len, room_in(c));
        memcpy(c->data + c->end, from, n);
        c->end += (uint32_t)n;
        from += n;
        len -= n;
    }
}

size_t stream_peek(const struct stream *s, size_t skip, void *buf, size_t len)
{
    size_t done = 0;
    list_for_each (pos, &s->chunks) {
        const struct chunk *c = list_entry(pos, struct chunk, link);
        size_t have = c->end - c->start;
        size_t off = MIN(skip, have), n = MIN(have - off, len - done);
        memcpy((uint8_t *)buf + done, c->data + c->start + off, n);
        skip -= off;
        done += n;
        if (done == len)
            break;
    }
    return done;
}

void stream_drop(struct stream *s, size_t len)
{
    s->len -= len;
    while (len > 0) {
        struct chunk *c = list_first(&s->chunks, struct chunk, link);
        size_t n = MIN(len, c->end - c->start);
        c->start += (uint32_t)n;
        len -= n;
        if (c->start == c->end)
            free_chunk(s, c);
    }
}
