/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * blkfront: sectors of a block backend (xen/io/blkif.h). Asynchronous at any depth the ring has; a
 * blocking call on top. Sector numbers are always in units of 512 bytes, whatever the backend's
 * sector-size; requests must be multiples of info.sector_size.
 */
#ifndef FRONTENDS_BLKFRONT_H
#define FRONTENDS_BLKFRONT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/base/list.h"
#include "lib/base/macros.h"

struct blkfront;

enum blkfront_op { BLKFRONT_READ, BLKFRONT_WRITE, BLKFRONT_FLUSH };

#define BLKFRONT_SECTOR 512
#define BLKFRONT_PAGES_MAX 11 /* direct segments of one request */

/* One transfer, owned by the driver from submit until (done) is called. Its memory is whole
 * pages, each from page_alloc and exclusively for this I/O while it lasts (I1 of kernel/grant.h):
 * the backend sees all that lies in them, and a page that it does not give back goes to quarantine.
 */
struct blkfront_io {
    struct list link; /* the driver's */
    enum blkfront_op op;
    uint64_t sector;   /* first, in 512-byte units */
    unsigned nr_pages; /* 1 .. BLKFRONT_PAGES_MAX; 0 for a flush */
    void *page[BLKFRONT_PAGES_MAX];
    uint32_t len;                       /* bytes, a multiple of the sector size, from page[0] on */
    int status;                         /* 0, -EIO, -ENODEV (the device has gone) */
    bool page_lost[BLKFRONT_PAGES_MAX]; /* the backend still maps it: it is in quarantine and no
                                           longer the caller's */
    void (*done)(struct blkfront_io *io); /* thread context (the device's completion thread) */
    void *arg;
};

struct blkfront_info {
    char name[16];       /* "xvda" */
    uint64_t nr_sectors; /* of 512 bytes */
    uint32_t sector_size, physical_sector_size;
    bool read_only, cdrom, removable, can_flush;
    bool persistent; /* transfers are copied through pages that the backend keeps mapped */
    uint64_t reads, writes, flushes, errors, notifies, events;
    unsigned depth; /* requests the ring holds */
};

/* Open device/vbd/(id) ("51712" is xvda). Blocks up to 30 s. 0 or -errno with a log line that names
 * the key at fault. */
int blkfront_open(const char *id, struct blkfront **out) MUST_CHECK;
/* Waits a bounded time for I/O under way, the rest ends with -EIO. Nobody may be in another
 * call, but from done. */
void blkfront_close(struct blkfront *bf);

/* Start (io). 0: (done) will be called once. -EINVAL (shape, alignment, beyond the end), -EROFS,
 * -ENODEV: it will not. Never waits for the backend: what does not fit into the ring is queued, and
 * sent in order. Any thread, also from done. */
int blkfront_submit(struct blkfront *bf, struct blkfront_io *io) MUST_CHECK;
/* Between these the backend is not notified, so a burst costs one event; submit notifies at once
 * otherwise. Nest. Do not wait for I/O in between. */
void blkfront_plug(struct blkfront *bf);
void blkfront_unplug(struct blkfront *bf);

/* Blocking transfer of (len) bytes at (sector) through private bounce pages; (buf) may be any
 * memory. 0; -EIO, also when nothing was answered for 30 s; -ENOMEM, or as submit. */
int blkfront_read(struct blkfront *bf, uint64_t sector, void *buf, size_t len) MUST_CHECK;
int blkfront_write(struct blkfront *bf, uint64_t sector, const void *buf, size_t len) MUST_CHECK;
/* Everything written before is on stable storage. 0 also where the backend has no cache. */
int blkfront_flush(struct blkfront *bf) MUST_CHECK;

void blkfront_get_info(struct blkfront *bf, struct blkfront_info *out);

#endif
