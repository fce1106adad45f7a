/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Slots: which requests are in flight, and the only judge of ids that come from a backend.
 *
 * A slot is an index into its owner's private table of requests. Its id on the wire carries the
 * index in the low byte and above it how often the slot was used, as far as the wire's id has
 * bits, so a late second answer does not hit the slot's next request.
 *
 *     FREE --slots_get--> IN FLIGHT --slots_claim(id)--> CLAIMED --slots_put--> FREE
 *
 * I1 slots_claim accepts an id only while its slot is in flight and only if it equals the id that
 *    was sent, in all bits. Everything else is -EPROTO and changes nothing.
 * I2 A claimed slot belongs to its owner alone (a second answer is -EPROTO) until slots_put.
 *
 * The owner has the lock. Needs no ring: an owner that publishes in the same critical section in
 * which it calls slots_get never shows a slot that is prepared but not sent.
 */
#ifndef FRONTENDS_SLOTS_H
#define FRONTENDS_SLOTS_H

#include <stdbool.h>
#include <stdint.h>
#include "lib/base/assert.h"
#include "lib/base/errno.h"
#include "lib/base/macros.h"

#define SLOTS_MAX 256

enum slot_state { SLOT_FREE, SLOT_IN_FLIGHT, SLOT_CLAIMED };

struct slots {
    uint64_t id_mask; /* bits that the wire carries */
    unsigned nr, nr_free;
    uint8_t free[SLOTS_MAX];  /* a stack of indices */
    uint8_t state[SLOTS_MAX]; /* enum slot_state */
    uint64_t id[SLOTS_MAX];   /* as last sent */
};

/* (nr) free slots, ids of (id_bits) bits: 16 or 64. */
static inline void slots_init(struct slots *s, unsigned nr, unsigned id_bits)
{
    ASSERT(nr <= SLOTS_MAX);
    s->id_mask = ~0ULL >> (64 - id_bits);
    s->nr = s->nr_free = nr;
    for (unsigned i = 0; i < nr; i++) {
        s->free[i] = (uint8_t)(nr - 1 - i);
        s->state[i] = SLOT_FREE;
        s->id[i] = i;
    }
}

static inline unsigned slots_in_use(const struct slots *s)
{
    return s->nr - s->nr_free;
}

/* A slot that is now in flight, or -ENOSPC. */
static inline int slots_get(struct slots *s)
{
    unsigned slot;

    if (s->nr_free == 0)
        return -ENOSPC;
    slot = s->free[--s->nr_free];
    s->state[slot] = SLOT_IN_FLIGHT;
    s->id[slot] = (s->id[slot] + SLOTS_MAX) & s->id_mask;
    return (int)slot;
}

static inline bool slots_is_in_flight(const struct slots *s, unsigned slot)
{
    return s->state[slot] == SLOT_IN_FLIGHT;
}

static inline bool slots_is_claimed(const struct slots *s, unsigned slot)
{
    return s->state[slot] == SLOT_CLAIMED;
}

/* What to send for (slot). */
static inline uint64_t slots_id(const struct slots *s, unsigned slot)
{
    return s->id[slot];
}

/* The slot that the backend means by (id), or -EPROTO. */
static inline int slots_claim(struct slots *s, uint64_t id)
{
    unsigned slot = id % SLOTS_MAX;

    if (slot >= s->nr || s->state[slot] != SLOT_IN_FLIGHT || s->id[slot] != id) /* I1 */
        return -EPROTO;
    s->state[slot] = SLOT_CLAIMED; /* I2 */
    return (int)slot;
}

/* Some slot in flight, claimed without an answer, or -ENOSPC: for a device that is given up. */
static inline int slots_claim_any(struct slots *s)
{
    for (unsigned slot = 0; slot < s->nr; slot++)
        if (s->state[slot] == SLOT_IN_FLIGHT) {
            s->state[slot] = SLOT_CLAIMED;
            return (int)slot;
        }
    return -ENOSPC;
}

/* (slot) is free again: claimed, or taken back before it was sent. */
static inline void slots_put(struct slots *s, unsigned slot)
{
    ASSERT(slot < s->nr && s->state[slot] != SLOT_FREE);
    s->state[slot] = SLOT_FREE;
    s->free[s->nr_free++] = (uint8_t)slot;
}

#endif
