/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What netfront.c (a vif's life), tx.c (how a frame becomes slots), rx.c (how slots become a
 * frame), stock.c (received pages that came back) and groups.c (multicast) share. A queue is one
 * pair of rings with its event channels; a vif has one, or several where backend, CPUs and memory
 * allow. Frames of one flow go out through one queue, so they stay in order; through which one they
 * come in is the backend's choice.
 */
#ifndef FRONTENDS_NETFRONT_INTERNAL_H
#define FRONTENDS_NETFRONT_INTERNAL_H

#include <stdint.h>
#include <xen/grant_table.h>
#include <xen/io/netif.h>
#include "frontends/common/life.h"
#include "frontends/common/ring.h"
#include "frontends/common/slots.h"
#include "frontends/common/xenbus.h"
#include "frontends/netfront/netfront.h"
#include "kernel/mutex.h"
#include "kernel/spinlock.h"
#include "kernel/time.h"

#define ETHERNET_HEADER 14
#define NETFRONT_QUEUES_MAX 8
#define RX_SMALL 256 /* frames up to this are copied, and their page stays posted */

/* A response slot of the receive ring: of a piece of a frame, or of notes on it. */
union rx_answer {
    struct netif_rx_response rsp;
    struct netif_extra_info extra;
};

/* A request slot of the transmit ring: a piece of a frame, or notes on it. */
union tx_request {
    struct netif_tx_request req;
    struct netif_extra_info extra;
};

FRONT_RING(tx_ring, union tx_request, struct netif_tx_response);
FRONT_RING(rx_ring, struct netif_rx_request, union rx_answer);

_Static_assert(tx_ring_SIZE == 256 && rx_ring_SIZE == 256, "netif.h says 256 slots");
_Static_assert(tx_ring_SIZE <= SLOTS_MAX, "a slot for each request");

/* A page the backend may use. */
struct netfront_page {
    void *va;
    gref_t ref;
};

/* What a slot of the transmit ring was used for. */
enum tx_role { TX_PIECE, TX_HEAD, TX_GROUP }; /* of a frame; its first one; a group is told of */

struct netfront_tx {
    struct mutex lock;       /* guards all of this; (kick) and (worked) are also read without */
    struct shared_page page; /* the ring's */
    struct tx_ring ring;
    struct slots slots;                      /* one for each page of the pool */
    struct netfront_page pool[tx_ring_SIZE]; /* by slot */
    enum tx_role role[tx_ring_SIZE];         /* by slot */
    unsigned nr_extras; /* extra infos in the ring whose answer was not taken */
    bool kick;          /* the backend is to be notified */
    bool worked;        /* responses taken since the last EOI */
};

struct netfront_rx {
    struct shared_page page; /* the ring's */
    struct rx_ring ring;
    unsigned target;                           /* pages to keep posted */
    unsigned nr_lost;                          /* pages that could not be revoked */
    struct netfront_page posted[rx_ring_SIZE]; /* by ring position */
    bool worked;                               /* responses taken since the last EOI */
    /* The frame that is being put together. */
    struct netfront_frame frame;
    unsigned nr_slots; /* of data so far, 0: none has begun */
    unsigned extras;   /* mask of the types seen */
    bool more, extra;  /* another piece, another extra info follows */
    bool bad;          /* to be dropped when complete */
    uint8_t small[RX_SMALL];
};

/* An event channel; (owed): an event came and its EOI is still to be given. */
struct netfront_channel {
    struct netfront_queue *q;
    port_t port; /* PORT_NONE: not in use */
    bool owed;
};

/* As in struct netfront_info, which has the sums. Read at any time: see netfront_count. */
struct netfront_counts {
    uint64_t rx_frames, rx_bytes, tx_frames, tx_bytes, rx_dropped, tx_dropped, tx_large;
    uint64_t notifies, events;
};

struct netfront_queue {
    struct netfront *nf;
    unsigned index;
    struct netfront_counts count;
    struct netfront_tx tx;
    struct netfront_rx rx;
    struct netfront_channel rx_channel, tx_channel; /* not split: the second has no port */
};

/* What the other side said, for one life. */
struct netfront_terms {
    bool rx_copy, sg, split, no_csum_offload, csum6, trusted, gso4, gso6;
    bool filters, filters_at_will; /* multicast; and stops when told to */
    uint32_t mtu, max_queues;
    uint8_t mac[6];
    char ip[sizeof(((struct netfront_info *)0)->ip)];
    bool bounce; /* ours: hand up copies only */
};

/* stock.c */
struct netfront_stock {
    struct spinlock lock;
    unsigned life;
    unsigned nr, max;         /* max: 0, or how many may be here in this life */
    unsigned least;           /* how few there were since they were trimmed last */
    void *page[rx_ring_SIZE]; /* zeros, or what this life's backend wrote */
};

/* groups.c */
struct netfront_multicast {
    struct netfront_groups wanted, told;
    bool filtering;  /* the backend was asked to, in this life */
    bool due;        /* there is more to tell it */
    bool refused;    /* it did not take a group, and nothing was done about that yet */
    nsec_t next_try; /* of telling it to stop */
};

struct netfront {
    struct xb_device dev;
    struct life life;
    struct netfront_user user;
    struct netfront_info info; /* but the counters; changes and copies under (lock) */
    struct mutex lock;
    struct netfront_terms terms; /* changes only while it is not (up), as (nr_queues) */
    struct netfront_multicast multicast;
    struct netfront_stock stock;
    bool up;           /* open in full; false again once closed */
    const char *fault; /* what the backend did wrong, NULL: nothing */
    struct netfront_queue *queue[NETFRONT_QUEUES_MAX]; /* made when first needed, then kept */
    unsigned nr_queues;                                /* in this life */
    struct timer repoll;
};

/* Of a counter that one thread at a time adds to; (notifies) and (events) have several. */
static inline void netfront_count(uint64_t *counter, uint64_t n)
{
    store_relaxed(counter, load_relaxed(counter) + n);
}

/* Queue (i), NULL: there was never one. Any context. */
static inline struct netfront_queue *netfront_queue(struct netfront *nf, unsigned i)
{
    return i < NETFRONT_QUEUES_MAX ? load_acquire(&nf->queue[i]) : NULL;
}

/* The backend broke the protocol: out of service from now on. Any context. */
void netfront_fault(struct netfront *nf, const char *why);

/* Before the first open. */
void netfront_tx_init(struct netfront_queue *q);
/* (nr) granted pages. 0 or -errno; close takes back whatever there is. */
int netfront_tx_open(struct netfront_queue *q, unsigned nr) MUST_CHECK;
/* Frames that were not answered are dropped. */
void netfront_tx_close(struct netfront_queue *q);
/* Take what was answered. */
void netfront_tx_settle(struct netfront_queue *q);
/* Tell the backend of a group, (type) XEN_NETIF_EXTRA_TYPE_MCAST_*. As netfront_send. */
int netfront_tx_group(struct netfront_queue *q, uint8_t type, const uint8_t mac[6]) MUST_CHECK;

/* A life begins; nf->lock is held. */
void netfront_groups_begin(struct netfront *nf, bool can_filter);
void netfront_groups_poll(struct netfront *nf);

/* A life begins, in which up to (max) pages that were given back are kept; it ends. */
void netfront_stock_open(struct netfront *nf, unsigned max);
void netfront_stock_close(struct netfront *nf);
/* One that may be posted as it is, NULL: there is none. */
void *netfront_stock_take(struct netfront *nf) MUST_CHECK;
/* Now and then: frees what was not needed since the last time. Any context. */
void netfront_stock_trim(struct netfront *nf);

/* Keeps (nr) pages posted, from now on. */
void netfront_rx_open(struct netfront_queue *q, unsigned nr);
void netfront_rx_close(struct netfront_queue *q);
/* Hand up at most (budget) frames, keep the ring filled. True when the budget was used up. */
bool netfront_rx_poll(struct netfront_queue *q, unsigned budget);
/* True when there is more already. */
bool netfront_rx_rearm(struct netfront_queue *q);

/* Notify the backend over (q)'s channel for transmission, with its lock, or reception. */
void netfront_notify_tx(struct netfront_queue *q);
void netfront_notify_rx(struct netfront_queue *q);

#endif
