/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The backend's end of a device that the toolstack made, once the real driver was unbound: the
 * handshake of xen/io/xenbus.h, rings, and the frame of a hostile case.
 */
#ifndef TESTS_HOSTILE_DEVICE_H
#define TESTS_HOSTILE_DEVICE_H

#include "dom0.h"

enum state { UNKNOWN, INITIALISING, INIT_WAIT, INITIALISED, CONNECTED, CLOSING, CLOSED };

/* A shared ring as it lies in its page: four indices, then slots. */
struct ring_page {
    volatile uint32_t req_prod, req_event, rsp_prod, rsp_event;
    uint8_t pad[48];
    volatile uint8_t slot[];
};

struct ring {
    struct ring_page *page;
    unsigned slot_size, slots;
    uint32_t req_cons, rsp_prod; /* ours */
    int port;
};

struct device {
    unsigned dom;
    const char *class, *id;
    char front[PATH], back[PATH], error[PATH];
    bool open;
    void (*serve)(void); /* while it waits for the frontend */
};

void device_init(struct device *d, unsigned dom, const char *class, const char *id);
/* Say goodbye if need be, then offer (features were written) until the frontend has published.
 * False: it did not. device_connected then makes it mutual. */
bool device_offer(struct device *d);
void device_connected(struct device *d);
/* Closing, Closed. The caller unmaps. */
void device_leave(struct device *d);
unsigned device_front_state(const struct device *d);
/* The frontend has said that we broke the protocol; device_forget_error before. */
bool device_is_accused(const struct device *d);
void device_forget_error(struct device *d);

/* The key (ref) names the page of a ring with (slot_size) bytes in each slot, (channel) its port.
 */
bool ring_open(struct device *d, struct ring *r, const char *ref, const char *channel,
               unsigned slot_size);
void ring_close(struct ring *r);
/* The next request, or false. */
bool ring_take(struct ring *r, void *to, size_t len);
/* Put (len) bytes into the next answer's slot; ring_push shows them. */
void ring_answer(struct ring *r, const void *from, size_t len);
void ring_push(struct ring *r);

/* One case: how it attacks, and what must come of it. */
enum outcome {
    ACCUSED, /* the frontend ends that life and says why */
    STAYS,   /* the same life goes on, and an honest backend is served in it */
    ANY,     /* either; a new life with an honest backend works */
};

struct test_case {
    const char *name;
    bool starred; /* in the short run as well */
    enum outcome outcome;
    void (*attack)(void);
};

/* How a class plays. */
struct play {
    bool (*open)(void); /* a new life, honest */
    void (*leave)(void);
    /* Serve honestly for (ms), and see that the guest is served: NULL, or what was wrong. */
    const char *(*honest)(unsigned ms);
    struct device *device;
    const struct test_case *cases;
    unsigned nr_cases;
};

const struct play *play_net(unsigned dom, const char *id);
const struct play *play_blk(unsigned dom, const char *id);

/* What the guest shows of itself. */
extern volatile struct vitals *victim;
/* An attack that found something wrong by itself says so. */
void complain(const char *what);

#endif
