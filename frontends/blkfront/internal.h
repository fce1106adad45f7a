/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of blkfront share: blkfront.c (a vbd's life), connect.c (negotiation), queue.c (a
 * ring and its thread), sync.c (blocking calls), and the way of a transfer (what programs submit)
 * to requests (what the wire has) and back:
 *
 *     submit.c --> pending --> send.c: up to (segments) pages --> segment.c --> wire.c --> ring
 *     judge.c         ^                 of neighbours             grants, pool.c             |
 *                     | again: reconnected, or the                                           v
 *     transfer.c      | backend cannot do it so                                           answer.c
 *                     +-------------------- parts of transfers <-- pages revoked or copied <-+
 *     done(io) <-- finished <-- the last one +
 *
 * The queue's mutex guards the ring, slots and lists; (done) is called without it.
 */
#ifndef FRONTENDS_BLKFRONT_INTERNAL_H
#define FRONTENDS_BLKFRONT_INTERNAL_H

#include <stdint.h>
#include <xen/grant_table.h>
#include <xen/io/blkif.h>
#include "frontends/blkfront/blkfront.h"
#include "frontends/common/life.h"
#include "frontends/common/ring.h"
#include "frontends/common/slots.h"
#include "frontends/common/xenbus.h"
#include "kernel/mutex.h"
#include "kernel/thread.h"

#define AGAIN 1       /* what became of a request: to be sent once more */
#define NO_FLUSH 0xff /* no operation's number */
#define QUEUES_MAX 8
#define RING_ORDER_MAX 3 /* as many requests as struct slots has */
#define DIRECT_PAGES BLKIF_MAX_SEGMENTS_PER_REQUEST

FRONT_RING(blk_ring, struct blkif_request, struct blkif_response);

_Static_assert(blk_ring_SIZE == 32, "blkif.h says 32 slots");
_Static_assert(RING_SLOTS_OF(1 << RING_ORDER_MAX, sizeof(union blk_ring_slot)) <= SLOTS_MAX,
               "a slot for each request");
_Static_assert(sizeof(struct blkif_request_indirect) <= sizeof(struct blkif_request) &&
                   sizeof(struct blkif_request_discard) <= sizeof(struct blkif_request),
               "all kinds of request in one slot");

struct granted {
    void *va;
    gref_t ref;
};

struct pool {
    unsigned max, nr, nr_free; /* pages it may have, has, and has free; max 0: there is none */
    unsigned idle;             /* fewest free ones since the last trim */
    struct granted *free;      /* a stack: what was used last is used next */
    nsec_t trim_at;
};

/* One page of a request: page (page) of the transfer (io), granted itself or copied. */
struct segment {
    struct blkfront_io *io; /* NULL: cancelled */
    void *bounce;           /* the pool's or for this once; NULL: the io's own page is granted */
    gref_t ref;
    uint16_t page;
    bool pooled;
};

/* Our own note of what is in flight, by slot. */
struct request {
    struct segment *seg;
    unsigned nr;                /* segments */
    unsigned sent;              /* in the queue's looks */
    struct blkfront_io *single; /* a flush or a discard, which has none; NULL: cancelled */
    uint8_t operation;          /* what is done; an indirect request's is on the wire, too */
    struct granted indirect;    /* page of descriptors; va NULL: they are in the request */
};

struct queue_counts {
    uint64_t reads, writes, flushes, discards, errors, requests, notifies, events, replays;
};

/* A ring and what is on its way to it. */
struct queue {
    struct blkfront *bf;
    unsigned index;

    struct mutex lock; /* guards the next ones, down to (kick) */
    bool live;         /* the ring may be used */
    struct blk_ring ring;
    struct slots slots;
    struct pool pool;
    struct list pending;  /* not in the ring yet, or not all of it; oldest first */
    struct list busy;     /* in the ring, all of it, not answered */
    struct list finished; /* its (done) is due */
    bool due;             /* there is one; read without the lock */
    unsigned nr_held;     /* came while plugged */
    bool kick;            /* the backend is to be notified */
    struct queue_counts counts;

    /* Made for one connection. */
    void *pages;
    gref_t page_ref[1 << RING_ORDER_MAX];
    unsigned nr_pages, segments; /* of the ring; of a request at most */
    struct request *request;
    struct segment *segment;
    port_t port;
    struct thread *thread; /* of queues other than the first */

    struct waitq work;
    bool owed;   /* an event came, its EOI is to be given */
    bool worked; /* responses taken since the last EOI */
    bool more;   /* there are answers that were not taken yet */

    /* What the backend's silence is measured by (queue.c). */
    unsigned looks, answered; /* of the thread, once a second; at the last answer */
    nsec_t look_at;           /* the next one */
};

/* What the backend says; read into here first, judged, then in force. */
struct offer {
    uint32_t max_queues, ring_order, ring_pages, segments;
    uint64_t nr_sectors;
    uint32_t sector_size, physical, vdisk, granularity, alignment;
    bool flush, barrier, discard, secure, persistent;
    char mode[8];
};

struct blkfront {
    struct xb_device dev;
    struct life life;
    /* Without what the queues count. Changed under (info_lock); what judges a transfer is also read
     * without it, and so written by store_relaxed. */
    struct mutex info_lock;
    struct blkfront_info info;
    bool trusted;
    struct offer offer;

    uint16_t handle;
    bool bounce; /* copy through pages for this once, */
    bool pooled; /* or through pages of the pool */
    bool discard_off;
    uint8_t flush_op, flush_else; /* what a flush is; and if the backend cannot do that after all */
    unsigned segments;            /* of a request: what backend and memory allow */

    struct queue *queue[QUEUES_MAX]; /* those that ever were in use */
    unsigned nr_queues;              /* those in use, 1 at least */
    unsigned plugged;
    unsigned nr_long;  /* flushes and discards in flight */
    uint64_t order;    /* of the last transfer submitted */
    nsec_t down_since; /* 0: connected */
    nsec_t timeout;

    struct thread *thread;
    bool stop;         /* the program closes the device */
    bool dead;         /* nothing is accepted any more */
    bool changed;      /* the backend said something about itself */
    bool silent;       /* the backend does not answer */
    const char *fault; /* what it did wrong */
    void (*observer)(enum blkfront_moment moment);
};

static inline bool takes_long(const struct request *req)
{
    return req->operation != BLKIF_OP_READ && req->operation != BLKIF_OP_WRITE;
}

static inline void blkfront_note(const struct blkfront *bf, enum blkfront_moment moment)
{
    if (__builtin_expect(bf->observer != NULL, 0))
        bf->observer(moment);
}

/* ---- connect.c ---- */

/* The startup diagram of blkif.h, from the backend's InitWait until both ends are Connected and the
 * queues go. 0 or -errno. */
int blkfront_connect(struct blkfront *bf, nsec_t deadline) MUST_CHECK;
/* The backend says Connected again: it has another size, or another medium. */
void blkfront_reread(struct blkfront *bf);
void blkfront_announce(const struct blkfront *bf, const char *what);

/* ---- queue.c ---- */

struct queue *blkfront_queue_create(struct blkfront *bf, unsigned index);
/* A fresh ring of 2^(order) pages and a port, requests of (segments). 0 or -errno. */
int blkfront_queue_open(struct queue *q, unsigned order, unsigned segments) MUST_CHECK;
/* The backend is connected: what is pending may go. */
int blkfront_queue_start(struct queue *q) MUST_CHECK;
/* Serve until the device does not any more. In the queue's thread. */
void blkfront_queue_serve(struct queue *q);
/* Nothing is sent from now on. */
void blkfront_queue_stop(struct queue *q);
/* Take what is answered until (deadline), or nothing is in flight, or the backend is gone. */
void blkfront_queue_drain(struct queue *q, nsec_t deadline);
/* Everything in flight is taken back, ring and port are given back. What was not answered is
 * pending again, or (status) is not 0 and it ends so. */
void blkfront_queue_close(struct queue *q, int status);
/* Is the device to be served as it is? */
bool blkfront_is_serving(const struct blkfront *bf);
void blkfront_wake(struct blkfront *bf);

/* The lock; when it is given back the backend is notified and the thread woken if that is due. */
void blkfront_lock(struct queue *q);
void blkfront_unlock(struct queue *q);

/* ---- judge.c ---- */

/* Do these sectors lie on the disk, and on its units? */
bool blkfront_lies_within(const struct blkfront *bf, uint64_t sector, uint64_t n);
/* May (io) be sent as things are? 0, -EINVAL, -EROFS, -EOPNOTSUPP. */
int blkfront_judge(const struct blkfront *bf, const struct blkfront_io *io) MUST_CHECK;
/* The part of the discard (io) that the disk can do, from (first) on: whole units of its
 * granularity, but all of a secure one. May be 0. */
uint64_t blkfront_discardable(const struct blkfront *bf, const struct blkfront_io *io,
                              uint64_t *first);

/* ---- transfer.c; the queue's lock is held but where it says queue ---- */

/* The first sector of page (i) of (io), and the bytes in it. */
static inline uint64_t blkfront_sector_of(const struct blkfront_io *io, unsigned i)
{
    return io->sector + (uint64_t)i * (PAGE_SIZE / BLKFRONT_SECTOR);
}

static inline uint32_t blkfront_bytes_of_page(const struct blkfront_io *io, unsigned i)
{
    return MIN(io->len - i * (uint32_t)PAGE_SIZE, (uint32_t)PAGE_SIZE);
}

void blkfront_io_accept(struct queue *q, struct blkfront_io *io);
/* Its (done) is due. */
void blkfront_io_finish(struct queue *q, struct blkfront_io *io, int status);
/* It cannot be sent any more; it fails when the parts that were sent have ended. */
void blkfront_io_give_up(struct queue *q, struct blkfront_io *io);
/* (req) is in the ring; and has ended with (status): 0, -errno, AGAIN. */
void blkfront_request_sent(struct queue *q, struct request *req);
void blkfront_request_ended(struct queue *q, struct request *req, int status);
/* Call the (done) of all that has finished. */
void blkfront_queue_finish(struct queue *q);
/* Nothing is in flight: what is pending, some of it sent or not, begins anew. */
void blkfront_queue_restart(struct queue *q);
/* All that is pending and was to wait until (now) at most ends with (status). When the next one is
 * due. */
nsec_t blkfront_queue_expire(struct queue *q, nsec_t now, int status);
/* All that waits in (from) waits in (to), in the order of submission. */
void blkfront_queue_move(struct queue *from, struct queue *to);

/* ---- send.c ---- */

/* What is pending goes as far as it can. With the lock held; without. */
void blkfront_pump(struct queue *q);
void blkfront_queue_pump(struct queue *q);

/* ---- segment.c ---- */

/* Fill in the rest of (seg), of which transfer and page are known. The lock is held. */
int blkfront_segment_grant(struct queue *q, struct segment *seg) MUST_CHECK;
/* Undo that for what no backend ever saw. The lock is held. */
void blkfront_segment_ungrant(struct queue *q, struct segment *seg);
/* The backend is done with it; (take): its data counts. False: it does not let the page go. Without
 * the lock; a page of the pool is still to be put back. */
bool blkfront_segment_take_back(struct segment *seg, bool take) MUST_CHECK;
/* The page of descriptors that a long request needs. The lock is held. */
int blkfront_indirect_get(struct queue *q, struct request *req) MUST_CHECK;
void blkfront_indirect_put(struct queue *q, struct request *req);

/* ---- wire.c ---- */

/* The request of (slot) into the ring, not yet published. The lock is held. */
void blkfront_wire_put(struct queue *q, unsigned slot);

/* ---- answer.c ---- */

/* Complete what was answered or needs no answer, move pending on, give the EOI. Some of it: when
 * (more) is left, call it again. */
void blkfront_queue_work(struct queue *q);
/* Every request in flight is taken back, its pages revoked or in quarantine. Its transfers are
 * pending again, or end with (status) if that is not 0. */
void blkfront_queue_abandon(struct queue *q, int status);

/* ---- pool.c ---- */

/* A pool of (max) pages; its first (reserve) are made at once. False: no memory or no grants. */
bool blkfront_pool_open(struct queue *q, unsigned max, unsigned reserve);
/* A page that is granted, with anything of this disk in it. 0, -ENOMEM or what grant_page says. The
 * lock is held, also for put and trim. */
int blkfront_pool_get(struct queue *q, struct granted *out) MUST_CHECK;
void blkfront_pool_put(struct queue *q, struct granted page);
/* Give back what was not used lately and is not mapped any more, but for (reserve) pages. */
void blkfront_pool_trim(struct queue *q, unsigned reserve);
/* All pages are back in it. Those that the backend does not let go are in quarantine. */
void blkfront_pool_close(struct queue *q);

#endif
