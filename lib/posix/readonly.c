/* SPDX-License-Identifier: BSD-2-Clause */
/* Calls that would change the file system, which cannot be changed: EROFS, or EBADF first. */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>
#include "lib/base/macros.h"
#include "lib/posix/fd.h"

int utimes(const char *path, const struct timeval times[2]);

static int refuse(void)
{
    return (int)posix_result(-EROFS);
}

static int refuse_fd(int fd)
{
    struct file *f = fd_get(fd);

    if (f == NULL)
        return (int)posix_result(-EBADF);
    file_put(f);
    return refuse();
}

int link(const char *from UNUSED, const char *to UNUSED)
{
    return refuse();
}

int symlink(const char *from UNUSED, const char *to UNUSED)
{
    return refuse();
}

int unlink(const char *path UNUSED)
{
    return refuse();
}

int rmdir(const char *path UNUSED)
{
    return refuse();
}

int mkdir(const char *path UNUSED, mode_t mode UNUSED)
{
    return refuse();
}

int chmod(const char *path UNUSED, mode_t mode UNUSED)
{
    return refuse();
}

int chown(const char *path UNUSED, uid_t owner UNUSED, gid_t group UNUSED)
{
    return refuse();
}

int truncate(const char *path UNUSED, off_t len UNUSED)
{
    return refuse();
}

int utimes(const char *path UNUSED, const struct timeval times[2] UNUSED)
{
    return refuse();
}

int fchmod(int fd, mode_t mode UNUSED)
{
    return refuse_fd(fd);
}

int fchown(int fd, uid_t owner UNUSED, gid_t group UNUSED)
{
    return refuse_fd(fd);
}

int ftruncate(int fd, off_t len UNUSED)
{
    return refuse_fd(fd);
}

/* There is nothing that a mask could keep from being permitted. */
mode_t umask(mode_t mask UNUSED)
{
    return 022;
}
