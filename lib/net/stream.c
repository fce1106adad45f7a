/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A queue of bytes in pieces. A segment is copied, always to the end of the last chunk first, so
 * that a thousand segments of one byte cost a thousand bytes; new chunks grow with the queue up to
 * a page. Pages that are full enough are not copied but kept (tcp.c decides). Memory is at most
 * twice the data plus one small chunk either way. A segment is taken as a whole or not at all,
 * hence reserving before appending.
 *
 * I1 A lent piece has no room, so filling, which looks for room from the end backwards and stops
 *    at the first piece without, never goes past one.
 */
#include "lib/net/stream.h"
#include <string.h>
#include "lib/base/errno.h"
#include "lib/net/budget.h"

#define CHUNK_FIRST 512
#define CHUNK_LAST 4096

struct chunk {
    struct stream_piece piece;
    uint8_t data[];
};

void stream_init(struct stream *s)
{
    list_init(&s->pieces);
    s->len = s->memory = 0;
}

static void let_go(struct stream *s, struct stream_piece *p)
{
    s->memory -= p->memory;
    list_remove(&p->link);
    p->release(p);
}

void stream_clear(struct stream *s)
{
    list_for_each_safe (pos, &s->pieces)
        let_go(s, list_entry(pos, struct stream_piece, link));
    s->len = 0;
}

static void free_chunk(struct stream_piece *p)
{
    net_free(CONTAINER_OF(p, struct chunk, piece));
}

static struct stream_piece *add_chunk(struct stream *s, size_t want)
{
    size_t total = CHUNK_FIRST;
    while (total < CHUNK_LAST && total < sizeof(struct chunk) + MAX(want, s->len))
        total *= 2;
    struct chunk *c = net_alloc(total);
    if (c == NULL)
        return NULL;
    c->piece = (struct stream_piece){.data = c->data,
                                     .size = (uint32_t)(total - sizeof(*c)),
                                     .memory = (uint32_t)total,
                                     .release = free_chunk};
    list_push_back(&s->pieces, &c->piece.link);
    s->memory += total;
    return &c->piece;
}

static struct stream_piece *last_piece(struct stream *s)
{
    return list_empty(&s->pieces) ? NULL : list_entry(s->pieces.prev, struct stream_piece, link);
}

static size_t room_in(const struct stream_piece *p)
{
    return p == NULL ? 0 : p->size - p->end;
}

int stream_reserve(struct stream *s, size_t len)
{
    struct stream_piece *last = last_piece(s);
    size_t room = room_in(last);
    while (room < len) {
        struct stream_piece *p = add_chunk(s, len - room);
        if (p == NULL)
            break;
        room += p->size;
    }
    if (room >= len)
        return 0;
    while ((last = last_piece(s)) != NULL && last->end == 0)
        let_go(s, last);
    return -ENOMEM;
}

/* The first piece with room (I1). */
static struct stream_piece *fill_piece(struct stream *s)
{
    struct stream_piece *p = last_piece(s);
    while (p->link.prev != &s->pieces) {
        struct stream_piece *prev = list_entry(p->link.prev, struct stream_piece, link);
        if (room_in(prev) == 0)
            break;
        p = prev;
    }
    return p;
}

void stream_append(struct stream *s, const void *data, size_t len)
{
    const uint8_t *from = data;
    s->len += len;
    while (len > 0) {
        struct stream_piece *p = fill_piece(s);
        size_t n = MIN(len, room_in(p));
        memcpy(CONTAINER_OF(p, struct chunk, piece)->data + p->end, from, n);
        p->end += (uint32_t)n;
        from += n;
        len -= n;
    }
}

void stream_lend(struct stream *s, struct stream_piece *piece)
{
    piece->start = 0;
    piece->size = piece->end; /* I1 */
    list_push_back(&s->pieces, &piece->link);
    s->memory += piece->memory;
    s->len += piece->end;
}

size_t stream_peek(const struct stream *s, size_t skip, void *buf, size_t len)
{
    size_t done = 0;
    list_for_each (pos, &s->pieces) {
        const struct stream_piece *p = list_entry(pos, struct stream_piece, link);
        size_t have = p->end - p->start;
        size_t off = MIN(skip, have), n = MIN(have - off, len - done);
        memcpy((uint8_t *)buf + done, p->data + p->start + off, n);
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
        struct stream_piece *p = list_first(&s->pieces, struct stream_piece, link);
        size_t n = MIN(len, p->end - p->start);
        p->start += (uint32_t)n;
        len -= n;
        if (p->start == p->end)
            let_go(s, p);
    }
}
