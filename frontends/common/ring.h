/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rings: requests to a backend and its responses in a shared page, or in several side by side
 * (xen/io/ring.h draws it).
 * FRONT_RING(name, request, response) generates one type and its functions, so that slots cannot
 * be confused and a frontend contains no index and no fence.
 *
 *     struct name           our half of the ring
 *     name_init(r, page)    a fresh ring in the zeroed shared (page)
 *     name_init_pages(r, page, n)
 *                           the same in (n) pages, a power of two
 *     name_size(r)          its slots
 *     name_reserve(r)       the next request to fill, NULL when the ring is full
 *     name_publish(r)       hand over all that was reserved; true: notify the backend
 *     name_take(r, &rsp)    1: one response was copied out, 0: none is there,
 *                           -EPROTO: more responses than published requests
 *     name_rearm(r, after)  ask for an event at the (after)th response from now;
 *                           true: so many are there already, so do not wait for it
 *     name_outstanding(r)   requests reserved or published whose response was not taken
 *     name_next_request(r)  position [0, size) of the next reserve,
 *     name_next_response(r) and of the next take: for backends that answer in place
 *
 * The page has four indices that only grow, modulo 2^32, then the slots:
 *
 *      taken           answered          published          reserved
 *        | rsp_cons       | rsp_prod          | req_pub         | req_prod
 *     ---+----------------+-------------------+-----------------+---------> + size at most
 *        private          shared, theirs      private           private
 *
 * I1 Our indices are private. What we wrote into the page is never read back: the other side can
 *    write there too.
 * I2 Theirs is read once for each take. Responses are bounded by the requests published and not
 *    yet answered; this is stricter than the ring's size and also catches an index that runs back.
 * I3 A response is copied out once, before anybody looks at it.
 * I4 req_event, which they write, decides about a notification and nothing else.
 *
 * One thread at a time works on a ring; its owner has the lock.
 */
#ifndef FRONTENDS_RING_H
#define FRONTENDS_RING_H

#include <arch/page.h>
#include <stdbool.h>
#include <stdint.h>
#include "lib/base/atomic.h"
#include "lib/base/errno.h"
#include "lib/base/macros.h"

#define RING_HEADER 64 /* bytes before the first slot */

/* The largest power of two of slots of (bytes) that fit into the page, or into (pages). */
#define RING_SLOTS_OF(pages, bytes) \
    (1u << (31 - __builtin_clz(((unsigned)(pages)*PAGE_SIZE - RING_HEADER) / (bytes))))
#define RING_SLOTS(bytes) RING_SLOTS_OF(1, bytes)

#define FRONT_RING(name, request, response)                                                      \
    union name##_slot {                                                                          \
        request req;                                                                             \
        response rsp;                                                                            \
    };                                                                                           \
    struct name##_page {                                                                         \
        uint32_t req_prod, req_event, rsp_prod, rsp_event;                                       \
        uint8_t pad[RING_HEADER - 16];                                                           \
        union name##_slot slot[];                                                                \
    };                                                                                           \
    enum { name##_SIZE = RING_SLOTS(sizeof(union name##_slot)) };                                \
    struct name {                                                                                \
        struct name##_page *page;                                                                \
        uint32_t size;                                                                           \
        uint32_t req_prod, req_pub, rsp_cons; /* I1 */                                           \
    };                                                                                           \
                                                                                                 \
    static inline UNUSED void name##_init_pages(struct name *r, void *page, unsigned n)          \
    {                                                                                            \
        *r = (struct name){.page = page, .size = RING_SLOTS_OF(n, sizeof(union name##_slot))};   \
        r->page->req_event = 1;                                                                  \
        r->page->rsp_event = 1;                                                                  \
    }                                                                                            \
                                                                                                 \
    static inline UNUSED void name##_init(struct name *r, void *page)                            \
    {                                                                                            \
        name##_init_pages(r, page, 1);                                                           \
    }                                                                                            \
                                                                                                 \
    static inline UNUSED uint32_t name##_size(const struct name *r)                              \
    {                                                                                            \
        return r->size;                                                                          \
    }                                                                                            \
                                                                                                 \
    static inline UNUSED uint32_t name##_outstanding(const struct name *r)                       \
    {                                                                                            \
        return r->req_prod - r->rsp_cons;                                                        \
    }                                                                                            \
                                                                                                 \
    static inline UNUSED unsigned name##_next_request(const struct name *r)                      \
    {                                                                                            \
        return r->req_prod & (r->size - 1);                                                      \
    }                                                                                            \
                                                                                                 \
    static inline UNUSED unsigned name##_next_response(const struct name *r)                     \
    {                                                                                            \
        return r->rsp_cons & (r->size - 1);                                                      \
    }                                                                                            \
                                                                                                 \
    static inline UNUSED request *name##_reserve(struct name *r)                                 \
    {                                                                                            \
        if (name##_outstanding(r) == r->size)                                                    \
            return NULL;                                                                         \
        return &r->page->slot[r->req_prod++ & (r->size - 1)].req;                                \
    }                                                                                            \
                                                                                                 \
    static inline UNUSED bool name##_publish(struct name *r)                                     \
    {                                                                                            \
        uint32_t old = r->req_pub, new = r->req_prod;                                            \
                                                                                                 \
        r->req_pub = new;                                                                        \
        /* The backend reads req_prod before it reads the requests. */                           \
        store_release(&r->page->req_prod, new);                                                  \
        /* Pairs with the backend's fence between its writing req_event and its last look at     \
         * req_prod: one of the two sees the other's write, so no request sleeps. */             \
        full_fence();                                                                            \
        return new - load_relaxed(&r->page->req_event) < new - old; /* I4 */                     \
    }                                                                                            \
                                                                                                 \
    static inline UNUSED int name##_take(struct name *r, response *rsp)                          \
    {                                                                                            \
        /* Pairs with the backend's release of rsp_prod after its writing the responses. */      \
        uint32_t answered = load_acquire(&r->page->rsp_prod) - r->rsp_cons;                      \
                                                                                                 \
        if (answered > r->req_pub - r->rsp_cons) /* I2 */                                        \
            return -EPROTO;                                                                      \
        if (answered == 0)                                                                       \
            return 0;                                                                            \
        *rsp = *(volatile response *)&r->page->slot[r->rsp_cons++ & (r->size - 1)].rsp; /* I3 */ \
        return 1;                                                                                \
    }                                                                                            \
                                                                                                 \
    static inline UNUSED bool name##_rearm(struct name *r, uint32_t after)                       \
    {                                                                                            \
        store_relaxed(&r->page->rsp_event, r->rsp_cons + after);                                 \
        /* Pairs with the backend's fence between its writing rsp_prod and its reading           \
         * rsp_event. */                                                                         \
        full_fence();                                                                            \
        return load_relaxed(&r->page->rsp_prod) - r->rsp_cons >= after;                          \
    }                                                                                            \
    struct name /* the user's semicolon ends this */

#endif
