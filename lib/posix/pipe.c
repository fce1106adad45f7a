/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pipe: one page of bytes between two files. Both ends embed their struct file in one object, which
 * lives until both are closed. (lock) guards the bytes; (count) and the open flags are read
 * without it where a stale answer only means one more look.
 *
 * A write of at most PIPE_BUF bytes is done in one piece.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "kernel/heap.h"
#include "kernel/mutex.h"
#include "lib/base/atomic.h"
#include "lib/posix/fd.h"

#define PIPE_SIZE 4096

struct pipe {
    struct file reader, writer;
    struct mutex lock;
    struct waitq changed;
    bool reader_open, writer_open;
    unsigned ends;       /* not yet closed */
    size_t first, count; /* the bytes wait at data[first ... first + count), modulo PIPE_SIZE */
    char data[PIPE_SIZE];
};

static struct pipe *of_reader(struct file *f)
{
    return CONTAINER_OF(f, struct pipe, reader);
}

static struct pipe *of_writer(struct file *f)
{
    return CONTAINER_OF(f, struct pipe, writer);
}

static bool can_take(struct pipe *p)
{
    return load_relaxed(&p->count) > 0 || !load_acquire(&p->writer_open);
}

static bool can_put(struct pipe *p, size_t len)
{
    return PIPE_SIZE - load_relaxed(&p->count) >= MIN(len, PIPE_BUF) ||
           !load_acquire(&p->reader_open);
}

static size_t take_bytes(struct pipe *p, char *buf, size_t len)
{
    size_t n, head;

    mutex_lock(&p->lock);
    n = MIN(len, p->count);
    head = MIN(n, PIPE_SIZE - p->first);
    memcpy(buf, p->data + p->first, head);
    memcpy(buf + head, p->data, n - head);
    p->first = (p->first + n) % PIPE_SIZE;
    store_relaxed(&p->count, p->count - n);
    mutex_unlock(&p->lock);
    return n;
}

static size_t put_bytes(struct pipe *p, const char *buf, size_t len)
{
    size_t n, at, head;

    mutex_lock(&p->lock);
    n = MIN(len, PIPE_SIZE - p->count);
    if (n < len && len <= PIPE_BUF)
        n = 0; /* in one piece or not yet */
    at = (p->first + p->count) % PIPE_SIZE;
    head = MIN(n, PIPE_SIZE - at);
    memcpy(p->data + at, buf, head);
    memcpy(p->data, buf + head, n - head);
    store_relaxed(&p->count, p->count + n);
    mutex_unlock(&p->lock);
    return n;
}

static ssize_t read_pipe(struct file *f, void *buf, size_t len)
{
    struct pipe *p = of_reader(f);
    size_t n;

    if (len == 0)
        return 0;
    for (;;) {
        bool more = load_acquire(&p->writer_open); /* asked first: it may write, then close */

        n = take_bytes(p, buf, len);
        if (n > 0)
            break;
        if (!more)
            return 0;
        if (file_nonblocking(f))
            return -EAGAIN;
        (void)wait_until(&p->changed, can_take(p), NEVER);
    }
    waitq_wake_all(&p->changed);
    file_notify(&p->writer, POLLOUT);
    return (ssize_t)n;
}

static ssize_t write_pipe(struct file *f, const void *buf, size_t len)
{
    struct pipe *p = of_writer(f);
    size_t n;

    if (len == 0)
        return 0;
    for (;;) {
        if (!load_acquire(&p->reader_open))
            return -EPIPE;
        n = put_bytes(p, buf, len);
        if (n > 0)
            break;
        if (file_nonblocking(f))
            return -EAGAIN;
        (void)wait_until(&p->changed, can_put(p, len), NEVER);
    }
    waitq_wake_all(&p->changed);
    file_notify(&p->reader, POLLIN);
    return (ssize_t)n;
}

static short poll_reader(struct file *f)
{
    struct pipe *p = of_reader(f);

    return (short)((load_relaxed(&p->count) > 0 ? POLLIN : 0) |
                   (load_acquire(&p->writer_open) ? 0 : POLLHUP));
}

static short poll_writer(struct file *f)
{
    struct pipe *p = of_writer(f);

    if (!load_acquire(&p->reader_open))
        return POLLERR;
    return can_put(p, PIPE_BUF) ? POLLOUT : 0;
}

static int stat_pipe(struct file *f UNUSED, struct stat *st)
{
    st->st_mode = S_IFIFO | S_IRUSR | S_IWUSR;
    st->st_blksize = PIPE_SIZE;
    return 0;
}

static int ioctl_reader(struct file *f, unsigned long request, void *arg)
{
    if (request != FIONREAD)
        return -ENOTTY;
    *(int *)arg = (int)load_relaxed(&of_reader(f)->count);
    return 0;
}

/* Nothing of (p) is touched after the own end was counted off: the other may free it then. */
static void close_end(struct pipe *p, bool *open, struct file *other)
{
    store_release(open, false);
    waitq_wake_all(&p->changed);
    file_notify(other, POLLHUP | POLLERR);
    if (atomic_sub(&p->ends, 1) == 0)
        heap_free(p);
}

static void close_reader(struct file *f)
{
    close_end(of_reader(f), &of_reader(f)->reader_open, &of_reader(f)->writer);
}

static void close_writer(struct file *f)
{
    close_end(of_writer(f), &of_writer(f)->writer_open, &of_writer(f)->reader);
}

static const struct file_ops reader_ops = {
    .read = read_pipe,
    .fstat = stat_pipe,
    .ioctl = ioctl_reader,
    .poll_events = poll_reader,
    .close = close_reader,
};

static const struct file_ops writer_ops = {
    .write = write_pipe,
    .fstat = stat_pipe,
    .poll_events = poll_writer,
    .close = close_writer,
};

static int create_pipe(int fds[2], unsigned flags)
{
    struct pipe *p = heap_alloc(sizeof(*p));
    int in, out;

    if (p == NULL)
        return -ENOMEM;
    p->reader_open = p->writer_open = true;
    p->ends = 2;
    p->first = p->count = 0;
    mutex_init(&p->lock);
    waitq_init(&p->changed);
    file_init(&p->reader, &reader_ops, O_RDONLY | flags);
    file_init(&p->writer, &writer_ops, O_WRONLY | flags);
    in = fd_install(&p->reader);
    out = in < 0 ? in : fd_install(&p->writer);
    if (out >= 0) {
        fds[0] = in;
        fds[1] = out;
        return 0;
    }
    file_put(&p->writer);
    if (in < 0)
        file_put(&p->reader);
    else
        (void)fd_close(in);
    return out;
}

int pipe2(int fds[2], int flags)
{
    if (flags & ~(O_NONBLOCK | O_CLOEXEC))
        return (int)posix_result(-EINVAL);
    return (int)posix_result(create_pipe(fds, (unsigned)flags & O_NONBLOCK));
}

int pipe(int fds[2])
{
    return pipe2(fds, 0);
}
