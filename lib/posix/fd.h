/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Descriptors: the one table from small integers to open files, whatever stands behind them
 * (console, regular file, pipe, socket), and the one way to hear that a file became ready.
 *
 * A kind of file embeds struct file in its own object, fills a table of operations and hands the
 * object to fd_install. A reference count keeps the object alive: one reference belongs to
 * each descriptor (dup adds one), one to each call that is using it. ops->close runs when the last
 * is gone, so a close in one thread never pulls an object from under another.
 *
 * I1 An operation runs only while its caller holds a reference.
 * I2 Readiness is a level, asked by poll_events; file_notify only says "ask again". An owner
 *    changes its state first and notifies afterwards, so no wake-up is lost.
 */
#ifndef LIB_POSIX_FD_H
#define LIB_POSIX_FD_H

#include <stdbool.h>
#include <stddef.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/types.h>
#include "kernel/spinlock.h"
#include "lib/base/list.h"
#include "lib/base/macros.h"

#define FD_MAX 2048 /* open descriptors; FD_SETSIZE and OPEN_MAX are the same */

struct file;

/* A NULL operation gets the default in brackets. All return >= 0 or -errno, run in thread context,
 * and may block unless said otherwise. */
struct file_ops {
    /* Some bytes, at least one unless at the end (0); waits for the first byte unless
     * file_nonblocking (then -EAGAIN). [-EINVAL] */
    ssize_t (*read)(struct file *f, void *buf, size_t len);
    /* As many bytes as were taken, >= 1; waits as read does. [-EINVAL] */
    ssize_t (*write)(struct file *f, const void *buf, size_t len);
    /* The new offset. [-ESPIPE] */
    off_t (*lseek)(struct file *f, off_t offset, int whence);
    /* Read or write at an offset of the caller's, the file's own stays. [-ESPIPE] */
    ssize_t (*pread)(struct file *f, void *buf, size_t len, off_t offset);
    ssize_t (*pwrite)(struct file *f, const void *buf, size_t len, off_t offset);
    /* Fill (st), which is all zero. [-EINVAL] */
    int (*fstat)(struct file *f, struct stat *st);
    /* [-ENOTTY] (FIONBIO is done for everybody by ioctl itself.) */
    int (*ioctl)(struct file *f, unsigned long request, void *arg);
    /* Which of POLLIN, POLLOUT, POLLERR, POLLHUP, POLLPRI, ... hold now. Never blocks. [POLLIN |
     * POLLOUT: always ready, as a regular file] */
    short (*poll_events)(struct file *f);
    /* The last descriptor is closed, while calls may still be waiting: make them return. Called
     * before close, never blocks. [nothing] */
    void (*abandon)(struct file *f);
    /* The last reference is gone: free the object. [nothing] */
    void (*close)(struct file *f);
};

/* Embedded in the object; the fields are private to fd.c and poll.c. */
struct file {
    const struct file_ops *ops;
    unsigned refs;
    unsigned fds;   /* descriptors that mean it; under the table's lock */
    unsigned flags; /* O_ACCMODE, O_APPEND, O_NONBLOCK; atomic */
    struct spinlock lock;
    struct list pollers; /* struct poller: calls that wait for this file */
};

#define FILE_INIT(name, file_ops, open_flags)                                    \
    {                                                                            \
        (file_ops), 1, 0, (open_flags), SPINLOCK_INIT, LIST_INIT((name).pollers) \
    }

/* Prepare an object with one reference, the caller's. (flags): O_RDWR | O_NONBLOCK ... */
void file_init(struct file *f, const struct file_ops *ops, unsigned flags);

/* One more user of (f). Any context. */
void file_get(struct file *f);
/* One user less; the last one's call runs ops->close. Thread context. */
void file_put(struct file *f);

/* True when calls on (f) must not wait. Any context. */
bool file_nonblocking(const struct file *f);

/* Some of (events) may hold now: wake the poll and select calls that wait for them. Any
 * context, also event handlers and with upcalls masked; the owner holds no lock that
 * poll_events takes. (I2) */
void file_notify(struct file *f, short events);

/* Give (f) the lowest free descriptor; the caller's reference becomes the table's. The descriptor,
 * or -EMFILE (the reference is still the caller's). */
int fd_install(struct file *f) MUST_CHECK;
/* The same for the lowest free one >= (min): F_DUPFD. */
int fd_install_from(struct file *f, int min) MUST_CHECK;

/* The file behind (fd) with a new reference, or NULL: EBADF. Always file_put it. */
struct file *fd_get(int fd) MUST_CHECK;

/* Take (fd) out of the table and drop its reference: 0 or -EBADF. */
int fd_close(int fd);

/* Make (fd) mean (f), whose reference the caller gives away; what was there is closed. (fd), or
 * -EBADF. dup2. */
int fd_replace(int fd, struct file *f) MUST_CHECK;

/* Descriptors in use, for the census. */
unsigned fd_count(void);

/* Turn 0/-errno into the POSIX form: (rc) when >= 0, else -1 with errno set. */
long posix_result(long rc);

/* poll.c's: one file that one call waits for. */
struct poller {
    struct list link;
    struct file *file;
    short events;
    struct poll_call *call;
};
void file_add_poller(struct file *f, struct poller *p);
void file_remove_poller(struct poller *p);
/* What (f) is ready for now. */
short file_poll_events(struct file *f);
/* Called by file_notify under the file's lock: wake the call behind (p). */
void poll_wake(struct poller *p);

#endif
