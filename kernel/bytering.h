/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One half of a byte ring shared with another domain (console, xenstore): an array of bytes with a
 * producer and a consumer index that only ever grow. Our own index is private and
 * authoritative; the other side's is read once and judged: more bytes than the ring holds is
 * -EPROTO, and nothing is copied.
 *
 * No locks inside: whoever owns the ring serializes its users.
 */
#ifndef KERNEL_BYTERING_H
#define KERNEL_BYTERING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/base/macros.h"

struct bytering {
    char *data;            /* shared */
    uint32_t size;         /* power of two */
    uint32_t *prod, *cons; /* shared */
    uint32_t mine;         /* our index: prod of a sender, cons of a receiver */
    bool sender;
};

/* Our index starts as the shared page has it: the ring may have been used before us. */
void bytering_init_sender(struct bytering *r, char *data, uint32_t size, uint32_t *prod,
                          uint32_t *cons);
void bytering_init_receiver(struct bytering *r, char *data, uint32_t size, uint32_t *prod,
                            uint32_t *cons);

/* Copy as much as fits. The count (0: full), or -EPROTO. */
long bytering_send(struct bytering *r, const void *buf, size_t len) MUST_CHECK;
/* Take at most (len) bytes. The count (0: empty), or -EPROTO. */
long bytering_receive(struct bytering *r, void *buf, size_t len) MUST_CHECK;
/* Bytes that send would take, or receive would give, now; or -EPROTO. */
long bytering_available(const struct bytering *r) MUST_CHECK;

/* The other side's index as it is now, unjudged: only to see whether it moved. */
uint32_t bytering_peer(const struct bytering *r);
/* After -EPROTO: believe the other side's index once and continue with an empty ring. */
void bytering_reset(struct bytering *r);

#endif
