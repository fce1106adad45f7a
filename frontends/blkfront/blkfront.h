/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * blkfront: sectors of a block backend (xen/io/blkif.h). Asynchronous at any depth; a blocking
 * call on top. Sector numbers are always in units of 512 bytes, whatever the backend's
 * sector-size; transfers must be multiples of info.sector_size.
 *
 * A disk outlives its backend. When the backend closes, restarts, is replaced or falls silent,
 * transfers wait, the driver connects again, and what was not answered is sent again, in the order
 * in which it was submitted. What then has waited for blkfront_timeout ends with -EIO; transfers
 * submitted to a disk that has been away for that long end so at once, until it is back.
 */
#ifndef FRONTENDS_BLKFRONT_H
#define FRONTENDS_BLKFRONT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "kernel/time.h"
#include "lib/base/list.h"
#include "lib/base/macros.h"

struct blkfront;

enum blkfront_op { BLKFRONT_READ, BLKFRONT_WRITE, BLKFRONT_FLUSH, BLKFRONT_DISCARD };

#define BLKFRONT_SECTOR 512
#define BLKFRONT_PAGES_MAX 32 /* of one transfer */

/*
 * One transfer, owned by the driver from submit until (done) is called.
 *
 * Its memory is whole pages, each from page_alloc and exclusively for this I/O while it lasts (I1
 * of kernel/grant.h): the backend may see all that lies in them, and a page that it does not give
 * back goes to quarantine. With (copy) it is any memory, 4096 bytes to a page[], the last as many
 * as (len) leaves: the driver copies, and no page is ever lost.
 *
 * A flush covers the writes whose (done) was called before it was submitted.
 */
struct blkfront_io {
    struct list link; /* the driver's */
    enum blkfront_op op;
    bool copy;           /* page[] is any memory */
    bool fua;            /* of a write: on stable storage before (done) */
    bool secure;         /* of a discard: no copy of the data may remain */
    uint64_t sector;     /* first, in 512-byte units */
    uint64_t nr_sectors; /* of a discard only */
    unsigned nr_pages;   /* 1 .. BLKFRONT_PAGES_MAX; 0 for a flush or a discard */
    void *page[BLKFRONT_PAGES_MAX];
    uint32_t len;                       /* bytes, a multiple of the sector size, from page[0] on */
    int status;                         /* 0, -EIO, -EOPNOTSUPP (discard), -ENODEV (closed) */
    bool page_lost[BLKFRONT_PAGES_MAX]; /* the backend still maps it: it is in quarantine and no
                                           longer the caller's */
    void (*done)(struct blkfront_io *io); /* thread context (one of the device's) */
    void *arg;
    /* The driver's. */
    uint64_t order;              /* of submission */
    nsec_t until;                /* after a disconnection: when it ends with -EIO; 0: was in none */
    uint16_t sent, total, parts; /* pages sent, to send; requests that carry them */
    bool under_way;              /* accepted, and (done) is not due yet */
    bool again;                  /* send it once more when its parts have ended */
    bool flushing;               /* (fua) written, to be flushed */
};

struct blkfront_info {
    char name[16];       /* "xvda" */
    uint64_t nr_sectors; /* of 512 bytes; may change at any time, as all of these */
    uint32_t sector_size, physical_sector_size;
    uint32_t discard_granularity, discard_alignment; /* bytes */
    bool read_only, cdrom, removable, can_flush, can_discard, can_discard_securely;
    bool persistent; /* transfers are copied through pages that the backend keeps mapped */
    bool connected;
    unsigned queues, depth, pages; /* rings, requests they hold in all, pages of a request */
    uint64_t reads, writes, flushes, discards, errors; /* transfers that ended */
    uint64_t requests;                                 /* that were sent for them */
    uint64_t notifies, events, reconnects, replays;    /* replays: transfers sent again */
};

/* Wait until the domain has device/vbd/(id), which may be plugged in at any time: 0, -ETIMEDOUT,
 * -EINVAL when (id) is no number, or what the store said. Thread context. */
int blkfront_await(const char *id, nsec_t deadline) MUST_CHECK;

/* Open device/vbd/(id) ("51712" is xvda). Blocks up to 30 s. 0 or -errno with a log line that names
 * the key at fault. */
int blkfront_open(const char *id, struct blkfront **out) MUST_CHECK;
/* Waits a bounded time for I/O under way, the rest ends with -EIO. Nobody may be in another
 * call, but from done. */
void blkfront_close(struct blkfront *bf);

/* Start (io). 0: (done) will be called once. -EINVAL (shape, alignment, beyond the end), -EROFS,
 * -EOPNOTSUPP (discard), -EIO (away for too long), -ENODEV (closing): it will not. Never waits for
 * the backend: what does not fit into the ring is queued, and sent in order, neighbours on the disk
 * in one request. Any thread, also from done. */
int blkfront_submit(struct blkfront *bf, struct blkfront_io *io) MUST_CHECK;
/* Between these transfers are held back, up to a ring's worth, so that neighbours become one
 * request and a burst costs one event. Nest. Do not wait for I/O in between. */
void blkfront_plug(struct blkfront *bf);
void blkfront_unplug(struct blkfront *bf);
/* Take a transfer with (copy) back. True: (done) will not be called, and the memory is the
 * caller's; false: it was called, or is in a moment. Not from done. */
bool blkfront_cancel(struct blkfront *bf, struct blkfront_io *io) MUST_CHECK;

/* How long a transfer waits for a backend that is not there, and how long one that is may be silent
 * (paravane.disk-timeout, 30 s). A blocking call waits twice as long for an answer. */
nsec_t blkfront_timeout(void);

/* Blocking transfer of (len) bytes at (sector); (buf) may be any memory. 0; -EIO, also when nothing
 * was answered in time; or as submit. */
int blkfront_read(struct blkfront *bf, uint64_t sector, void *buf, size_t len) MUST_CHECK;
int blkfront_write(struct blkfront *bf, uint64_t sector, const void *buf, size_t len) MUST_CHECK;
/* Everything written before is on stable storage. 0 also where the backend has no cache. */
int blkfront_flush(struct blkfront *bf) MUST_CHECK;
/* The content of these sectors is not wanted any more; (securely): and must not be found anywhere.
 * -EOPNOTSUPP where the backend cannot. */
int blkfront_discard(struct blkfront *bf, uint64_t sector, uint64_t nr_sectors,
                     bool securely) MUST_CHECK;

void blkfront_get_info(struct blkfront *bf, struct blkfront_info *out);

/* For measurements: (fn) is called at these moments of every request; NULL: nobody is. No I/O may
 * be under way while it is set. It does next to nothing. */
enum blkfront_moment {
    BLKFRONT_NOTIFY, /* requests are in the ring, the backend is about to be told */
    BLKFRONT_EVENT,  /* the backend's event came; in its handler */
    BLKFRONT_ANSWER, /* a response was taken */
    BLKFRONT_MOMENTS,
};
void blkfront_observe(struct blkfront *bf, void (*fn)(enum blkfront_moment moment));

#endif
