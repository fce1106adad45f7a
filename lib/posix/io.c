/* SPDX-License-Identifier: BSD-2-Clause */
/* The calls that work on any open descriptor: read, write, close, dup, fcntl, ioctl, ... Each
 * takes a reference, runs the file's operation and turns -errno into POSIX's form. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include "lib/base/atomic.h"
#include "lib/posix/fd.h"

#define SETTABLE_FLAGS (O_APPEND | O_NONBLOCK)

static bool can_read(const struct file *f)
{
    return (load_relaxed(&f->flags) & O_ACCMODE) != O_WRONLY;
}

static bool can_write(const struct file *f)
{
    return (load_relaxed(&f->flags) & O_ACCMODE) != O_RDONLY;
}

static ssize_t read_file(struct file *f, void *buf, size_t len)
{
    if (!can_read(f))
        return -EBADF;
    if (f->ops->read == NULL)
        return -EINVAL;
    return f->ops->read(f, buf, MIN(len, (size_t)SSIZE_MAX));
}

/* A blocking write takes everything, as programs expect; an error after some bytes waits until the
 * next call. */
static ssize_t write_file(struct file *f, const void *buf, size_t len)
{
    size_t done = 0;

    if (!can_write(f))
        return -EBADF;
    if (f->ops->write == NULL)
        return -EINVAL;
    len = MIN(len, (size_t)SSIZE_MAX);
    do {
        ssize_t rc = f->ops->write(f, (const char *)buf + done, len - done);

        if (rc < 0)
            return done > 0 ? (ssize_t)done : rc;
        done += (size_t)rc;
    } while (done < len && !file_nonblocking(f));
    return (ssize_t)done;
}

ssize_t read(int fd, void *buf, size_t len)
{
    struct file *f = fd_get(fd);
    ssize_t rc;

    if (f == NULL)
        return posix_result(-EBADF);
    rc = read_file(f, buf, len);
    file_put(f);
    return posix_result(rc);
}

ssize_t write(int fd, const void *buf, size_t len)
{
    struct file *f = fd_get(fd);
    ssize_t rc;

    if (f == NULL)
        return posix_result(-EBADF);
    rc = write_file(f, buf, len);
    file_put(f);
    return posix_result(rc);
}

static ssize_t pread_file(struct file *f, void *buf, size_t len, off_t offset)
{
    if (!can_read(f))
        return -EBADF;
    if (f->ops->pread == NULL)
        return -ESPIPE;
    return offset < 0 ? -EINVAL : f->ops->pread(f, buf, MIN(len, (size_t)SSIZE_MAX), offset);
}

static ssize_t pwrite_file(struct file *f, const void *buf, size_t len, off_t offset)
{
    if (!can_write(f))
        return -EBADF;
    if (f->ops->pwrite == NULL)
        return -ESPIPE;
    return offset < 0 ? -EINVAL : f->ops->pwrite(f, buf, MIN(len, (size_t)SSIZE_MAX), offset);
}

ssize_t pread(int fd, void *buf, size_t len, off_t offset)
{
    struct file *f = fd_get(fd);
    ssize_t rc;

    if (f == NULL)
        return posix_result(-EBADF);
    rc = pread_file(f, buf, len, offset);
    file_put(f);
    return posix_result(rc);
}

ssize_t pwrite(int fd, const void *buf, size_t len, off_t offset)
{
    struct file *f = fd_get(fd);
    ssize_t rc;

    if (f == NULL)
        return posix_result(-EBADF);
    rc = pwrite_file(f, buf, len, offset);
    file_put(f);
    return posix_result(rc);
}

typedef ssize_t piece_fn(struct file *f, void *buf, size_t len);

static ssize_t write_piece(struct file *f, void *buf, size_t len)
{
    return write_file(f, buf, len);
}

/* One piece after the other, until one is not done whole. */
static ssize_t each_piece(int fd, const struct iovec *iov, int n, piece_fn *fn)
{
    struct file *f;
    ssize_t done = 0, rc = 0;

    if (n <= 0 || n > IOV_MAX)
        return -EINVAL;
    f = fd_get(fd);
    if (f == NULL)
        return -EBADF;
    for (int i = 0; i < n; i++) {
        if (iov[i].iov_len == 0)
            continue;
        if (done > 0 && iov[i].iov_len > (size_t)(SSIZE_MAX - done))
            break;
        rc = fn(f, iov[i].iov_base, iov[i].iov_len);
        done += MAX(rc, 0);
        if (rc < 0 || (size_t)rc < iov[i].iov_len)
            break;
    }
    file_put(f);
    return rc < 0 && done == 0 ? rc : done;
}

ssize_t readv(int fd, const struct iovec *iov, int n)
{
    return posix_result(each_piece(fd, iov, n, read_file));
}

ssize_t writev(int fd, const struct iovec *iov, int n)
{
    return posix_result(each_piece(fd, iov, n, write_piece));
}

off_t lseek(int fd, off_t offset, int whence)
{
    struct file *f = fd_get(fd);
    off_t rc;

    if (f == NULL)
        return posix_result(-EBADF);
    rc = f->ops->lseek != NULL ? f->ops->lseek(f, offset, whence) : -ESPIPE;
    file_put(f);
    return posix_result(rc);
}

int fstat(int fd, struct stat *st)
{
    struct file *f = fd_get(fd);
    int rc;

    if (f == NULL)
        return (int)posix_result(-EBADF);
    *st = (struct stat){0};
    rc = f->ops->fstat != NULL ? f->ops->fstat(f, st) : -EINVAL;
    file_put(f);
    return (int)posix_result(rc);
}

int close(int fd)
{
    return (int)posix_result(fd_close(fd));
}

int isatty(int fd)
{
    struct stat st;

    if (fstat(fd, &st) != 0)
        return 0;
    if (S_ISCHR(st.st_mode))
        return 1;
    errno = ENOTTY;
    return 0;
}

/* Nothing is buffered below write. */
int fsync(int fd)
{
    struct file *f = fd_get(fd);

    if (f == NULL)
        return (int)posix_result(-EBADF);
    file_put(f);
    return 0;
}

int fdatasync(int fd)
{
    return fsync(fd);
}

static int dup_from(int fd, int min)
{
    struct file *f;
    int rc;

    if (min < 0 || min >= FD_MAX)
        return -EINVAL;
    f = fd_get(fd);
    if (f == NULL)
        return -EBADF;
    rc = fd_install_from(f, min);
    if (rc < 0)
        file_put(f);
    return rc;
}

int dup(int fd)
{
    return (int)posix_result(dup_from(fd, 0));
}

int dup2(int fd, int to)
{
    struct file *f = fd_get(fd);
    int rc;

    if (f == NULL)
        return (int)posix_result(-EBADF);
    rc = to == fd ? -EEXIST : fd_replace(to, f);
    if (rc < 0)
        file_put(f);
    return rc == -EEXIST ? fd : (int)posix_result(rc);
}

static void set_flags(struct file *f, unsigned mask, unsigned value)
{
    unsigned old = load_relaxed(&f->flags);

    while (!atomic_cmpxchg(&f->flags, &old, (old & ~mask) | (value & mask))) {
    }
}

static int fcntl_file(struct file *f, int cmd, long arg)
{
    switch (cmd) {
    case F_GETFL:
        return (int)load_relaxed(&f->flags);
    case F_SETFL:
        set_flags(f, SETTABLE_FLAGS, (unsigned)arg);
        return 0;
    case F_GETFD: /* close-on-exec means nothing where nothing is executed */
    case F_SETFD:
        return 0;
    default:
        return -EINVAL;
    }
}

int fcntl(int fd, int cmd, ...)
{
    struct file *f;
    va_list ap;
    long arg;
    int rc;

    va_start(ap, cmd);
    arg = va_arg(ap, long);
    va_end(ap);
    if (cmd == F_DUPFD || cmd == F_DUPFD_CLOEXEC)
        return (int)posix_result(dup_from(fd, (int)arg));
    f = fd_get(fd);
    if (f == NULL)
        return (int)posix_result(-EBADF);
    rc = fcntl_file(f, cmd, arg);
    file_put(f);
    return (int)posix_result(rc);
}

static int ioctl_file(struct file *f, unsigned long request, void *arg)
{
    if (request == FIONBIO) {
        set_flags(f, O_NONBLOCK, *(const int *)arg != 0 ? O_NONBLOCK : 0);
        return 0;
    }
    return f->ops->ioctl != NULL ? f->ops->ioctl(f, request, arg) : -ENOTTY;
}

int ioctl(int fd, unsigned long request, ...)
{
    struct file *f;
    va_list ap;
    void *arg;
    int rc;

    va_start(ap, request);
    arg = va_arg(ap, void *);
    va_end(ap);
    f = fd_get(fd);
    if (f == NULL)
        return (int)posix_result(-EBADF);
    rc = ioctl_file(f, request, arg);
    file_put(f);
    return (int)posix_result(rc);
}
