/* SPDX-License-Identifier: BSD-2-Clause */
/* What blkfront.c (a vbd's life), request.c (a request's) and pool.c (pages that stay granted)
 * share. */
#ifndef FRONTENDS_BLKFRONT_INTERNAL_H
#define FRONTENDS_BLKFRONT_INTERNAL_H

#include <stdint.h>
#include <xen/grant_table.h>
#include <xen/io/blkif.h>
#include "frontends/blkfront/blkfront.h"
#include "frontends/common/ring.h"
#include "frontends/common/slots.h"
#include "frontends/common/xenbus.h"
#include "kernel/mutex.h"
#include "kernel/thread.h"

#define NO_FLUSH 0xff /* no operation's number */

FRONT_RING(blk_ring, struct blkif_request, struct blkif_response);

_Static_assert(blk_ring_SIZE == 32, "blkif.h says 32 slots");
_Static_assert(BLKFRONT_PAGES_MAX == BLKIF_MAX_SEGMENTS_PER_REQUEST, "as the wire has");

/* What a full ring needs; and below what the device would rather grant for each request. */
#define POOL_MAX (blk_ring_SIZE * BLKFRONT_PAGES_MAX)
#define POOL_MIN 64

struct pool_page {
    void *va;
    gref_t ref;
};

struct pool {
    unsigned max, nr, nr_free; /* pages it may have, has, and has free; max 0: there is none */
    struct pool_page free[POOL_MAX];
};

/* Our own note of what is in flight, by slot. */
struct request {
    struct blkfront_io *io;
    uint8_t operation; /* on the wire */
    gref_t ref[BLKFRONT_PAGES_MAX];
    void *bounce[BLKFRONT_PAGES_MAX]; /* the pool's or for this once; NULL: the io's own page is
                                         granted */
};

struct blkfront {
    struct xb_device dev;
    struct blkfront_info info;
    /* What the other side said. */
    bool flush, barrier, trusted, persistent;
    uint32_t physical, vdisk;
    char mode[8];

    uint16_t handle;
    bool bounce; /* copy through pages for this once, */
    bool pooled; /* or through pages of the pool */

    struct mutex lock; /* guards the next ones, down to (dead) */
    struct blk_ring ring;
    struct slots slots;
    struct request request[blk_ring_SIZE];
    struct pool pool;
    struct list pending;  /* not in the ring yet, oldest first */
    struct list finished; /* complete without the backend's help */
    uint8_t flush_op;
    unsigned plugged;
    bool kick; /* the backend is to be notified */
    bool dead; /* nothing is accepted any more */

    struct thread *thread;
    struct waitq work;
    port_t port;
    bool owed;   /* an event came, its EOI is to be given */
    bool worked; /* responses taken since the last EOI */
    bool stop;
    const char *fault; /* what the backend did wrong */
};

/* A fresh ring in (page), nothing in flight. */
void blkfront_requests_init(struct blkfront *bf, void *page);

/* Complete all that was answered or needs no answer, move pending on, give the EOI. */
void blkfront_drain(struct blkfront *bf);

/* A pool, if the domain is large enough: pool.max says how large it may get. */
void blkfront_pool_open(struct blkfront *bf);
/* A page that is granted, with anything of this disk in it. 0, -ENOMEM or what grant_page says. The
 * lock is held, also for put. */
int blkfront_pool_get(struct blkfront *bf, struct pool_page *out) MUST_CHECK;
void blkfront_pool_put(struct blkfront *bf, struct pool_page page);
/* All pages are back in it. Those that the backend does not let go are in quarantine. */
void blkfront_pool_close(struct blkfront *bf);

/* Accept no more; what was not sent ends with -ENODEV. */
void blkfront_refuse(struct blkfront *bf);

/* Every request in flight ends with -EIO, its pages revoked or in quarantine. */
void blkfront_abandon(struct blkfront *bf);

#endif
