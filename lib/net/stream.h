/* SPDX-License-Identifier: BSD-2-Clause */
/* Bytes that a TCP connection received and nobody read yet, in private memory. Not locked. */
#ifndef LIB_NET_STREAM_H
#define LIB_NET_STREAM_H

#include <stddef.h>
#include <stdint.h>
#include "lib/base/list.h"
#include "lib/base/macros.h"

/* Bytes that lie somewhere: in a chunk of the stream's own, or where they came in. */
struct stream_piece {
    struct list link;
    const uint8_t *data;
    uint32_t start, end, size; /* of data: read up to, filled up to, room */
    uint32_t memory;           /* what it costs to keep it */
    void (*release)(struct stream_piece *piece);
};

struct stream {
    struct list pieces;
    size_t len;    /* bytes to read */
    size_t memory; /* bytes that holding them costs */
};

void stream_init(struct stream *s);
/* Forget what is left. */
void stream_clear(struct stream *s);

/* Make room for (len) bytes more: 0, or -ENOMEM with nothing changed. */
int stream_reserve(struct stream *s, size_t len) MUST_CHECK;
/* Copy (len) bytes, for which there is room, to the end. */
void stream_append(struct stream *s, const void *data, size_t len);

/* Add (piece) as it is, with data, end, memory and release set; it is the stream's until release.
 */
void stream_lend(struct stream *s, struct stream_piece *piece);

/* Copy up to (len) bytes out, from (skip) bytes after the first; they stay. The count. */
size_t stream_peek(const struct stream *s, size_t skip, void *buf, size_t len);
/* Drop the first (len) bytes. */
void stream_drop(struct stream *s, size_t len);

#endif
