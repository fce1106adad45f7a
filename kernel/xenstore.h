/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Xenstore: requests, transactions and watches over the ring that xenstored serves
 * (xen/io/xs_wire.h). Paths without a leading "/" are relative to our own domain's home. Every
 * reply is judged (type, id, length); a reply that never comes ends in -ETIMEDOUT after
 * XS_TIMEOUT. Thread context, may block, unless said otherwise.
 */
#ifndef KERNEL_XENSTORE_H
#define KERNEL_XENSTORE_H

#include <arch/boot.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "kernel/thread.h"
#include "lib/base/list.h"
#include "lib/base/macros.h"

#define XS_VALUE_MAX 4096
#define XS_LIST_MAX (64 * 1024)        /* bytes of names that one xs_list takes */
#define XS_PATH_MAX 256                /* of the paths that we build; longer ones are refused */
#define XS_TIMEOUT (20 * NSEC_PER_SEC) /* as in kernel/xswire.h */

typedef uint32_t xs_tx_t;
#define XS_NO_TX 0

/* Starts the reader thread. Without a store (as dom0) every call returns -ENXIO. Once the other end
 * wrote nonsense into the ring, every call returns -EIO. */
void xs_init(const struct bootinfo *boot);

/* The value of (path) into buf[size], NUL-terminated; a NUL inside it or a value that does not fit
 * is -EINVAL. Its length, or -errno (-ENOENT: no such node). */
long xs_read(xs_tx_t tx, const char *path, char *buf, size_t size) MUST_CHECK;
/* A decimal number within [min, max]; -EINVAL or -ERANGE when it is something else. */
int xs_read_u64(xs_tx_t tx, const char *path, uint64_t min, uint64_t max, uint64_t *out) MUST_CHECK;
int xs_write(xs_tx_t tx, const char *path, const char *value) MUST_CHECK;
int xs_printf(xs_tx_t tx, const char *path, const char *fmt, ...) PRINTF_LIKE(3, 4) MUST_CHECK;
int xs_rm(xs_tx_t tx, const char *path) MUST_CHECK;

/* Names below (path) as one allocated block: (*names) has (count) pointers, one heap_free. Uses
 * DIRECTORY_PART for long ones. */
int xs_list(xs_tx_t tx, const char *path, char ***names, size_t *count) MUST_CHECK;

int xs_tx_begin(xs_tx_t *out) MUST_CHECK;
/* -EAGAIN: the caller repeats the transaction from its beginning (a bounded number of times). */
int xs_tx_end(xs_tx_t tx, bool commit) MUST_CHECK;

/*
 * A watch: (fn) is called in the watch thread after (path) or something below it changed, and once
 * at the start. Events are coalesced: one pending flag per watch, never a queue.
 */
struct xs_watch {
    struct list link;
    char path[XS_PATH_MAX];
    void (*fn)(struct xs_watch *w);
    void *arg;
    uint32_t token;
    bool pending;
};
int xs_watch(struct xs_watch *w, const char *path, void (*fn)(struct xs_watch *w),
             void *arg) MUST_CHECK;
/* After it returns (fn) does not run and will not (unless called from fn itself). Idempotent, also
 * when several call it at once, (fn) among them; harmless to a zeroed (w). */
void xs_unwatch(struct xs_watch *w);
unsigned xs_count_watches(void);

#endif
