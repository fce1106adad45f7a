/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Backends for host tests: a device in the fake store, a network and a block backend that follow
 * the protocol, check that the frontend does, and can be told to misbehave. They act when the
 * frontend notifies them or writes its state, and when a test calls them.
 */
#ifndef TESTS_HOST_FAKEBACK_H
#define TESTS_HOST_FAKEBACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <xen/grant_table.h>
#include <xen/io/blkif.h>
#include <xen/io/netif.h>
#include <xen/io/xenbus.h>
#include "tests/host/fakexen.h"

/* ---- a device in the store, as the toolstack makes it ---- */

struct fake_dev {
    char front[64], back[96]; /* directories */
    char class[16], id[16];   /* of the backend's directory */
    domid_t domid;            /* the backend's: all it is given must be given to this domain */
    unsigned state;           /* ours, as in the store */
    bool attached;            /* connect was called, disconnect was not */
    bool aloof;               /* does not react to the frontend's state */
    void (*connect)(struct fake_dev *dev);
    void (*disconnect)(struct fake_dev *dev);
};

/* (class) is the frontend's, (back_class) the directory name in the backend's domain. The backend
 * is in InitWait. */
void fake_dev_create(struct fake_dev *dev, const char *class, const char *back_class,
                     const char *id);
/* The toolstack removes it; also lets go of what was attached. */
void fake_dev_destroy(struct fake_dev *dev);
/* The toolstack gives the device to a backend in another domain, in InitWait. The old one dies with
 * all its mappings; its nodes stay as they are. */
void fake_dev_move(struct fake_dev *dev, domid_t domid);
void fake_dev_set_state(struct fake_dev *dev, unsigned state);
/* The frontend's, or the backend's, node (name): NULL when there is none. */
const char *fake_dev_front(struct fake_dev *dev, const char *name);
void fake_dev_set_front(struct fake_dev *dev, const char *name, const char *value);
void fake_dev_set_back(struct fake_dev *dev, const char *name, const char *value);
unsigned fake_dev_front_number(struct fake_dev *dev, const char *name);

/* ---- the backend's half of a ring ---- */

struct back_ring {
    gref_t ref, refs[16]; /* of the first page, of all */
    unsigned nr_pages;
    port_t port;
    size_t slot_size;
    unsigned size;
    struct back_ring_page {
        uint32_t req_prod, req_event, rsp_prod, rsp_event;
        uint8_t pad[48];
        uint8_t slot[];
    } * page;
    uint32_t req_cons, rsp_prod;
    bool quiet; /* sends no events */
    bool deaf;  /* does not ask for notifications */
};

/* (size) slots in one page; or in (n) of them. */
void back_ring_attach(struct back_ring *r, gref_t ref, port_t port, size_t slot_size,
                      unsigned size);
void back_ring_attach_pages(struct back_ring *r, const gref_t *ref, unsigned n, port_t port,
                            size_t slot_size, unsigned size);
void back_ring_detach(struct back_ring *r);
/* Copy the next request out; false when there is none. */
bool back_ring_take(struct back_ring *r, void *req, size_t size);
/* Put a response into the next place. */
void back_ring_put(struct back_ring *r, const void *rsp, size_t size);
/* Publish the responses, send an event if the frontend asked for it. */
void back_ring_push(struct back_ring *r);

/* ---- network ---- */

struct fake_frame {
    unsigned len, flags, nr_slots;
    unsigned gso_size, gso_type; /* 0: not to be cut */
    uint8_t data[65536];
};

#define FAKE_QUEUES 8

struct fake_net {
    struct fake_dev dev;
    struct back_ring tx, rx;                                             /* of the first queue, */
    struct back_ring more_tx[FAKE_QUEUES - 1], more_rx[FAKE_QUEUES - 1]; /* of the others */
    unsigned nr_queues;
    bool sg, gso4, gso6;         /* what it offered when it connected */
    unsigned queue;              /* the one that the calls below work on, and on_frame is for */
    unsigned taken[FAKE_QUEUES]; /* frames from the guest by queue */
    bool hold_tx;                /* leaves requests alone */
    bool hostile;                /* pages that it may not reach any more are its own fault */
    bool keep_mapped;            /* maps what it answers, until fake_net_let_go */
    int16_t tx_status;           /* of the answers */
    uint8_t group[64][6];        /* multicast that it lets through */
    unsigned nr_groups, groups_max;
    unsigned nr_group_notes; /* adding or removing one, in all lives */
    unsigned nr_sent;        /* frames from the guest; the last one: */
    struct fake_frame last;
    void (*on_frame)(struct fake_net *net); /* sees each, NULL: nobody does */
    /* Kept mappings. */
    struct {
        gref_t ref;
        bool writable;
    } kept[1024];
    unsigned nr_kept;
};

/* With feature-sg and one event channel, unless nodes say otherwise before the frontend opens. */
void fake_net_create(struct fake_net *net, const char *handle);
void fake_net_destroy(struct fake_net *net);
/* fake_dev_move; the new one has the same features as one that was just created. */
void fake_net_move(struct fake_net *net, domid_t domid);
/* Take what the guest sent: checks each frame's form, answers. */
void fake_net_run(struct fake_net *net);
/* Send (len) bytes to the guest in pieces of (piece) at (offset) in their pages, with (flags) on
 * the first one. False: too few pages posted. */
bool fake_net_deliver(struct fake_net *net, const void *data, unsigned len, unsigned piece,
                      unsigned offset, unsigned flags);
/* A TCP segment larger than the mtu, with the note that it would be cut into payloads of (cut). */
bool fake_net_deliver_large(struct fake_net *net, const void *data, unsigned len, unsigned piece,
                            unsigned offset, unsigned flags, unsigned cut, unsigned gso_type);
/* Take one posted page and answer it with these fields; the id is the request's plus (id_lie). */
gref_t fake_net_answer(struct fake_net *net, unsigned id_lie, unsigned offset, unsigned flags,
                       int status);
/* The same with an extra info in its place. */
void fake_net_answer_extra(struct fake_net *net, unsigned type, unsigned flags);
/* And with the one that says how to cut the frame. */
void fake_net_answer_gso(struct fake_net *net, unsigned size, unsigned gso_type);
void fake_net_push(struct fake_net *net);
/* Answer any transmit request that was taken, or not. */
void fake_net_answer_tx(struct fake_net *net, unsigned id, int status);
void fake_net_let_go(struct fake_net *net);
bool fake_net_has_group(const struct fake_net *net, const uint8_t *mac);

/* ---- block ---- */

#define FAKE_BLK_HELD 1024
#define FAKE_BLK_QUEUES 8

struct fake_blk {
    struct fake_dev dev;
    struct back_ring ring, other[FAKE_BLK_QUEUES - 1]; /* of queue 0, and of the others */
    unsigned nr_queues;                                /* connected now */
    uint64_t base;                                     /* sector that data begins with */
    bool no_flush;                                     /* does not offer feature-flush-cache */
    /* Offers feature-persistent: keeps what it mapped until it disconnects, as Linux's. */
    bool persistent;
    uint8_t data[1 << 20];
    uint8_t stable[1 << 20]; /* what is left of it after a power cut: as of the last flush */
    bool hold;               /* keeps requests in held */
    bool tolerant;           /* of requests that make no sense: the ring was scribbled on */
    bool keeps;              /* the frontend agrees to persistent */
    bool keep_mapped;        /* maps every page until fake_blk_let_go */
    bool (*skip)(const struct blkif_request *req); /* true: leave it unanswered */
    unsigned reads, writes, flushes, barriers, discards, secure, indirect, most_held;
    unsigned connects, most_segments;
    struct blkif_request held[FAKE_BLK_HELD];
    struct back_ring *held_of[FAKE_BLK_HELD];
    unsigned nr_held;
    struct back_ring *answering; /* where answers go, NULL: to queue 0 */
    /* Change the answer before it is sent, NULL: no. */
    void (*mangle)(struct blkif_response *rsp);
    struct {
        gref_t ref;
        bool writable;
    } kept[2048];
    unsigned nr_kept;
};

/* 2048 sectors of 512 bytes, unless nodes say otherwise. Like Linux's, it offers to flush only when
 * it connects. */
void fake_blk_create(struct fake_blk *blk, const char *id);
void fake_blk_destroy(struct fake_blk *blk);
/* fake_dev_move, with the same data; what it held is forgotten. */
void fake_blk_move(struct fake_blk *blk, domid_t domid);
/* Take what the guest asks: does it, unless hold is set. */
void fake_blk_run(struct fake_blk *blk);
/* Do held request (i) / all of them and answer. */
void fake_blk_do(struct fake_blk *blk, unsigned i);
void fake_blk_release(struct fake_blk *blk);
struct back_ring *fake_blk_ring(struct fake_blk *blk, unsigned queue);
/* Answer as told, whatever was asked. */
void fake_blk_answer(struct fake_blk *blk, uint64_t id, unsigned operation, int status);
void fake_blk_let_go(struct fake_blk *blk);
/* What segment (i) of a request of any kind says. */
struct blkif_request_segment fake_blk_segment(const struct blkif_request *req, unsigned i);
unsigned fake_blk_nr_segments(const struct blkif_request *req);
/* Leaves at once, whatever is under way: what it held is forgotten, nothing is answered. */
void fake_blk_crash(struct fake_blk *blk);

#endif
