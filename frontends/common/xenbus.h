/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Xenbus: how a frontend and its backend find each other, agree and part, once for all
 * devices. One life of a device is these calls in this order; its end is xb_close, whatever
 * stage it had reached. That one life follows another is frontends/common/life.h.
 */
#ifndef FRONTENDS_XENBUS_H
#define FRONTENDS_XENBUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "kernel/evtchn.h"
#include "kernel/grant.h"
#include "kernel/log.h"
#include "kernel/mutex.h"
#include "kernel/wait.h"
#include "kernel/xenstore.h"

/* States of either end (xen/io/xenbus.h); unknown also stands for "its node is gone". */
enum xb_state {
    XB_UNKNOWN,
    XB_INITIALISING,
    XB_INIT_WAIT,
    XB_INITIALISED,
    XB_CONNECTED,
    XB_CLOSING,
    XB_CLOSED,
    XB_RECONFIGURING,
    XB_RECONFIGURED,
};

#define XB_MASK(state) (1u << (state))
/* The backend has published its features. It may skip states (blkif.h, "Startup", note). */
#define XB_READY (XB_MASK(XB_INIT_WAIT) | XB_MASK(XB_INITIALISED) | XB_MASK(XB_CONNECTED))

#define XB_CONNECT_TIMEOUT (30 * NSEC_PER_SEC)
#define XB_CLOSE_TIMEOUT (5 * NSEC_PER_SEC)

#define XB_PATH_MAX 64 /* of our own directory, "device/vbd/51712" */
#define XB_RINGS_MAX 16
#define XB_PORTS_MAX 16

struct xb_device {
    /* For users to read. */
    char name[32]; /* "vbd/51712", for messages */
    char path[XB_PATH_MAX];
    char backend[XS_PATH_MAX];
    const char *remedy;     /* "check the disk= line" */
    domid_t backend_id;     /* as read by xb_open, never again while open */
    bool broken;            /* xb_fail was called */
    bool gone;              /* removed, or given to another backend: nobody is there to talk to */
    bool cancelled;         /* xb_cancel was called */
    struct waitq changed;   /* woken with every change that the store tells of, and by xb_cancel */
    struct log_limit limit; /* for what a backend may cause at any time */
    /* Private. */
    enum xb_state state, backend_state; /* ours; theirs as the watch last saw it */
    bool seen_ready, open;
    struct mutex identity; /* writing (backend) and (backend_id), and comparing them */
    void (*on_change)(void *arg);
    void *arg;
    struct xs_watch watch;
    struct shared_page ring[XB_RINGS_MAX];
    port_t port[XB_PORTS_MAX];
};

/* (dev) is device (id) of (class) ("vif", "vbd"), not open. (on_change)(arg) is called in the watch
 * thread after every change of the backend's state; may be NULL. 0 or -ENAMETOOLONG. */
int xb_init(struct xb_device *dev, const char *class, const char *id, void (*on_change)(void *arg),
            void *arg) MUST_CHECK;

/* Begin: who the backend is, a watch on its state, our own is Initialising. Of a device that is not
 * open. 0 or -errno with a log line; xb_close in any case. */
int xb_open(struct xb_device *dev) MUST_CHECK;

/* The store was changed: is the backend of the open device still who xb_open found? If not, it has
 * (gone). Thread context. */
void xb_verify(struct xb_device *dev);

/* For good: xb_await ends with -ECANCELED. Any context. */
void xb_cancel(struct xb_device *dev);

/* Wait until the backend's state is one of (states), a mask. 0; -ENODEV when it goes
 * away instead; -ETIMEDOUT at (deadline); both with a log line; -ECANCELED. */
int xb_await(struct xb_device *dev, unsigned states, nsec_t deadline) MUST_CHECK;

/*
 * Keys that the other side wrote, as a table. The type of the field decides how a key is
 * read: bool, uint32_t, uint64_t in decimal, char[] as text, uint8_t[6] as a MAC address.
 */
enum xb_kind { XB_BOOL, XB_U32, XB_U64, XB_TEXT, XB_MAC };

struct xb_key {
    const char *name;
    size_t offset, size;
    enum xb_kind kind;
    bool required;
    uint64_t min, max, absent;
};

#define XB_KIND(field) \
    _Generic((field), bool: XB_BOOL, uint32_t: XB_U32, uint64_t: XB_U64, char *: XB_TEXT, \
             uint8_t *: XB_MAC)
#define XB_KEY(type, field, required_, key, min_, max_, absent_)                            \
    {                                                                                       \
        .name = (key), .offset = offsetof(type, field), .size = sizeof(((type *)0)->field), \
        .kind = XB_KIND(((type *)0)->field), .required = (required_), .min = (min_),        \
        .max = (max_), .absent = (absent_)                                                  \
    }
/* Must be there, a number within [min, max] (flags, texts, addresses: 0, 0). */
#define XB_REQUIRED(type, field, key, min, max) XB_KEY(type, field, true, key, min, max, 0)
/* (absent) when it is missing or not a number; the nearest bound when it is outside of them. */
#define XB_OPTIONAL(type, field, key, absent, min, max) \
    XB_KEY(type, field, false, key, min, max, absent)
/* "" when it is missing or too long. */
#define XB_OPTIONAL_TEXT(type, field, key) XB_KEY(type, field, false, key, 0, 0, 0)
#define XB_FLAG(type, field, key, absent) XB_KEY(type, field, false, key, 0, 1, absent)

/* Read (n) keys from (dir) (dev->backend or dev->path) into the struct at (base).
 * 0, or -ENOENT, -EINVAL, -ERANGE with a log line that names the required key at fault, its value
 * and where to look. */
int xb_read(struct xb_device *dev, const char *dir, const struct xb_key *keys, size_t n,
            void *base) MUST_CHECK;

/* Something we write: (text), or (number) when it is NULL; or a key of an earlier life that must
 * not be there now. */
struct xb_entry {
    const char *name, *text;
    uint64_t number;
    bool remove;
};

/* Write (n) entries into our directory in one transaction. 0; -ENODEV when the directory is gone
 * (it is not made anew); -EAGAIN when others got in between too often; -errno. */
int xb_publish(struct xb_device *dev, const struct xb_entry *entries, size_t n) MUST_CHECK;

/* Our state is now (state). As xb_publish. */
int xb_advance(struct xb_device *dev, enum xb_state state) MUST_CHECK;

/* A zeroed page shared with the backend / a port for it. Owned by (dev) until xb_close.
 * Events are delivered at once. 0 or -errno with a log line. */
int xb_ring(struct xb_device *dev, struct shared_page *out) MUST_CHECK;
int xb_port(struct xb_device *dev, evtchn_fn *fn, void *arg, port_t *out) MUST_CHECK;

/* The backend is connected and did nothing wrong. Any context. */
bool xb_connected(const struct xb_device *dev);

/* The backend may have something of ours mapped, and may still answer. Any context. */
bool xb_attached(const struct xb_device *dev);

/* The device is of no use any more: log why, write it to error/(path)/error, go Closing. Only the
 * first call counts. */
void xb_fail(struct xb_device *dev, int err, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Part from the backend (waits at most XB_CLOSE_TIMEOUT for it) and release pages, ports and
 * watch; pages that it still maps go to the grants' quarantine. Idempotent, at any stage, also on a
 * zeroed (dev). */
void xb_close(struct xb_device *dev);

#endif
