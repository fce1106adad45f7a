/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lives of a device: a backend that closes, restarts, vanishes, moves to another domain, and a
 * device that is unplugged and plugged in again, are all the same to a frontend: one life ends, and
 * another begins when it can.
 *
 *            life_init
 *                |          life_open: one attempt, its error
 *                v          life_reopen: attempts until one succeeds, a deadline, life_cancel
 *     +---> not open ----------------------------------------------> open: driver->connect was 0
 *     |          ^                                                     |
 *     |          +---- life_close: part, driver->disconnect <----------+ when !xb_connected
 *     +-- life_destroy ends it all
 *
 * How a frontend uses it: it embeds a struct xb_device and a struct life and has one thread that
 * makes all these calls, but life_cancel:
 *
 *     rc = life_init(&f->life, &f->dev, &driver, id, f);
 *     rc = life_open(&f->life);                   (a program that opens a device wants the reason)
 *     for (;;) {
 *         serve while xb_connected(&f->dev);      driver->on_change wakes the thread
 *         life_close(&f->life);
 *         if (life_reopen(&f->life, deadline) == -ECANCELED)
 *             break;                              (another error: not yet)
 *     }
 *     life_destroy(&f->life);
 *
 * connect begins after xb_await(XB_READY): it reads features, makes rings and ports, publishes, and
 * returns once both ends are Connected. disconnect is its inverse at whatever stage it had
 * reached, once for each connect; it comes after xb_close, so nobody answers any more and what the
 * backend still maps can only go to quarantine. What is to be done again in the next life, the
 * frontend keeps for itself.
 */
#ifndef FRONTENDS_LIFE_H
#define FRONTENDS_LIFE_H

#include "frontends/common/xenbus.h"

struct life_driver {
    const char *class;                          /* "vif", "vbd" */
    int (*connect)(void *arg, nsec_t deadline); /* 0 or -errno with a log line */
    void (*disconnect)(void *arg);
    /* Look at xb_connected again. In the watch thread. */
    void (*on_change)(void *arg);
};

struct life {
    const struct life_driver *driver;
    void *arg;
    struct xb_device *dev;
    struct xs_watch self; /* on the toolstack's word on who the backend is */
    bool connected;       /* connect was called: disconnect is due */
    unsigned failures;    /* attempts that failed, and short lives, in a row */
    unsigned changes;     /* counts what the watch saw */
    nsec_t began, ended;
};

/* (dev) is device (id) of the driver's class; nothing is said to anybody yet. Needs life_destroy
 * if 0. 0 or -errno with a log line. */
int life_init(struct life *life, struct xb_device *dev, const struct life_driver *driver,
              const char *id, void *arg) MUST_CHECK;

/* One attempt of at most XB_CONNECT_TIMEOUT. 0 or -errno with a log line; then it is closed. */
int life_open(struct life *life) MUST_CHECK;

/* As often as there is hope, until (deadline) at the latest, an attempt that is under way included.
 * 0; -ETIMEDOUT; -ECANCELED. Of a device that is not open. */
int life_reopen(struct life *life, nsec_t deadline) MUST_CHECK;

/* Part from the backend, as xb_close, then driver->disconnect. Idempotent. */
void life_close(struct life *life);

/* life_open and life_reopen end with -ECANCELED, from now on. Any context. */
void life_cancel(struct life *life);

/* Close; the watch ends. */
void life_destroy(struct life *life);

#endif
