/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Byte rings. A byte's way: the sender stores it into data[idx mod size], then releases the
 * producer index; the receiver acquires that index, loads the byte, then releases the consumer
 * index; the sender acquires that one before it stores there again.
 *
 * I1 (mine) lives in private memory. We write it to the shared page and never read it back.
 * I2 The peer's index is loaded once per call; every size below is derived from that one value.
 * I3 Indices are compared by their difference mod 2^32 only, so they may wrap.
 */
#include "kernel/bytering.h"

#include "lib/base/atomic.h"
#include "lib/base/errno.h"
#include "lib/base/string.h"

static void init(struct bytering *r, char *data, uint32_t size, uint32_t *prod, uint32_t *cons)
{
    r->data = data;
    r->size = size;
    r->prod = prod;
    r->cons = cons;
}

void bytering_init_sender(struct bytering *r, char *data, uint32_t size, uint32_t *prod,
                          uint32_t *cons)
{
    init(r, data, size, prod, cons);
    r->sender = true;
    r->mine = load_acquire(prod);
}

void bytering_init_receiver(struct bytering *r, char *data, uint32_t size, uint32_t *prod,
                            uint32_t *cons)
{
    init(r, data, size, prod, cons);
    r->sender = false;
    r->mine = load_acquire(cons);
}

uint32_t bytering_peer(const struct bytering *r)
{
    /* Pairs with the release of the other side's index. */
    return load_acquire(r->sender ? r->cons : r->prod);
}

long bytering_available(const struct bytering *r)
{
    uint32_t peer = bytering_peer(r);                            /* I2 */
    uint32_t used = r->sender ? r->mine - peer : peer - r->mine; /* I3 */

    if (used > r->size)
        return -EPROTO;
    return r->sender ? r->size - used : used;
}

/* Our side has moved by (len) bytes. */
static void advance(struct bytering *r, uint32_t len)
{
    r->mine += len;
    /* Pairs with the other side's acquire: it sees our stores, or our loads are over. */
    store_release(r->sender ? r->prod : r->cons, r->mine);
}

/* What is contiguous in the ring from our index on, at most (len). */
static uint32_t run_length(const struct bytering *r, uint32_t len)
{
    return MIN(len, r->size - (r->mine & (r->size - 1)));
}

long bytering_send(struct bytering *r, const void *buf, size_t len)
{
    long room = bytering_available(r);
    uint32_t n, run;

    if (room <= 0)
        return room;
    n = (uint32_t)MIN((size_t)room, len);
    run = run_length(r, n);
    memcpy(r->data + (r->mine & (r->size - 1)), buf, run);
    memcpy(r->data, (const char *)buf + run, n - run);
    advance(r, n);
    return n;
}

long bytering_receive(struct bytering *r, void *buf, size_t len)
{
    long avail = bytering_available(r);
    uint32_t n, run;

    if (avail <= 0)
        return avail;
    n = (uint32_t)MIN((size_t)avail, len);
    run = run_length(r, n);
    memcpy(buf, r->data + (r->mine & (r->size - 1)), run);
    memcpy((char *)buf + run, r->data, n - run);
    advance(r, n);
    return n;
}

void bytering_reset(struct bytering *r)
{
    r->mine = bytering_peer(r);
    advance(r, 0);
}
