/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files and directories of the root file system, which is read-only: open, stat and their
 * relatives. Only this file and its callers bring the file system and the block driver into an
 * image.
 *
 * An open file is a copy of its inode and an offset. The offset's lock is held while a read is
 * under way, so that two reads through one descriptor get different bytes.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "kernel/heap.h"
#include "kernel/mutex.h"
#include "lib/fs/erofs.h"
#include "lib/posix/devfile.h"
#include "lib/posix/fd.h"
#include "lib/posix/file.h"
#include "lib/posix/path.h"
#include "lib/posix/rootfs.h"

struct open_file {
    struct file file;
    struct erofs *fs;
    struct erofs_inode inode;
    struct mutex lock;
    off_t offset;
};

static struct open_file *of(struct file *f)
{
    return CONTAINER_OF(f, struct open_file, file);
}

static ssize_t read_at(struct file *f, void *buf, size_t len, off_t offset)
{
    struct open_file *o = of(f);

    if (S_ISDIR(o->inode.mode))
        return -EISDIR;
    return erofs_read(o->fs, &o->inode, (uint64_t)offset, buf, len);
}

static ssize_t read_next(struct file *f, void *buf, size_t len)
{
    struct open_file *o = of(f);
    ssize_t n;

    mutex_lock(&o->lock);
    n = read_at(f, buf, len, o->offset);
    if (n > 0)
        o->offset += n;
    mutex_unlock(&o->lock);
    return n;
}

/* Where (whence) counts from, or -EINVAL. */
static off_t seek_base(const struct open_file *o, int whence)
{
    switch (whence) {
    case SEEK_SET:
        return 0;
    case SEEK_CUR:
        return o->offset;
    case SEEK_END:
        return (off_t)o->inode.size;
    default:
        return -EINVAL;
    }
}

static off_t seek(struct file *f, off_t offset, int whence)
{
    struct open_file *o = of(f);
    off_t to, base;

    mutex_lock(&o->lock);
    base = seek_base(o, whence);
    if (base < 0)
        to = base;
    else if (__builtin_add_overflow(base, offset, &to))
        to = -EOVERFLOW;
    else if (to < 0)
        to = -EINVAL;
    else
        o->offset = to;
    mutex_unlock(&o->lock);
    return to;
}

static void fill_stat(const struct erofs_inode *inode, struct stat *st)
{
    *st = (struct stat){
        .st_dev = 1,
        .st_ino = (ino_t)inode->ino,
        .st_mode = inode->mode,
        .st_nlink = (nlink_t)inode->nlink,
        .st_uid = (uid_t)inode->uid,
        .st_gid = (gid_t)inode->gid,
        .st_rdev = (dev_t)inode->rdev,
        .st_size = (off_t)inode->size,
        .st_blksize = FS_BLOCK_SIZE,
        .st_blocks = (blkcnt_t)DIV_ROUND_UP(inode->size, S_BLKSIZE),
    };
    st->st_atim.tv_sec = st->st_mtim.tv_sec = st->st_ctim.tv_sec = (time_t)inode->mtime;
    st->st_atim.tv_nsec = st->st_mtim.tv_nsec = st->st_ctim.tv_nsec = (long)inode->mtime_nsec;
}

static int stat_open(struct file *f, struct stat *st)
{
    fill_stat(&of(f)->inode, st);
    return 0;
}

static void close_file(struct file *f)
{
    heap_free(of(f));
}

static const struct file_ops ops = {
    .read = read_next,
    .lseek = seek,
    .pread = read_at,
    .fstat = stat_open,
    .close = close_file,
};

int file_inode(struct file *f, struct erofs **fs, struct erofs_inode *out)
{
    if (f->ops != &ops)
        return -ENOTDIR;
    *fs = of(f)->fs;
    *out = of(f)->inode;
    return 0;
}

/* What (flags) ask of an existing file and cannot have. */
static int check_flags(const struct erofs_inode *inode, int flags)
{
    if ((flags & O_CREAT) && (flags & O_EXCL))
        return -EEXIST;
    if ((flags & O_NOFOLLOW) && S_ISLNK(inode->mode))
        return -ELOOP;
    if ((flags & O_DIRECTORY) && !S_ISDIR(inode->mode))
        return -ENOTDIR;
    if ((flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC))
        return S_ISDIR(inode->mode) ? -EISDIR : -EROFS;
    if (!S_ISDIR(inode->mode) && !S_ISREG(inode->mode))
        return -ENXIO;
    return 0;
}

static int open_root_file(const char *path, int flags, struct file **out)
{
    struct open_file *o = heap_alloc_zeroed(sizeof(*o));
    int rc = o == NULL ? -ENOMEM : path_lookup(path, !(flags & O_NOFOLLOW), &o->fs, &o->inode);

    if (rc == -ENOENT && (flags & O_CREAT))
        rc = -EROFS;
    if (rc == 0)
        rc = check_flags(&o->inode, flags);
    if (rc != 0) {
        heap_free(o);
        return rc;
    }
    mutex_init(&o->lock);
    file_init(&o->file, &ops, (unsigned)flags & (O_ACCMODE | O_NONBLOCK));
    *out = &o->file;
    return 0;
}

static int open_path(const char *path, int flags)
{
    struct file *f = devfile_find(path);
    int rc = f != NULL ? 0 : open_root_file(path, flags, &f);

    if (rc != 0)
        return rc;
    rc = fd_install(f);
    if (rc < 0)
        file_put(f);
    return rc;
}

int open(const char *path, int flags, ...)
{
    return (int)posix_result(open_path(path, flags));
}

int creat(const char *path, mode_t mode UNUSED)
{
    return (int)posix_result(open_path(path, O_WRONLY | O_CREAT | O_TRUNC));
}

static int stat_path(const char *path, bool follow, struct stat *st)
{
    struct file *device = devfile_find(path);
    struct erofs_inode inode;
    struct erofs *fs;
    int rc;

    *st = (struct stat){0};
    if (device != NULL) {
        rc = device->ops->fstat(device, st);
        file_put(device);
        return rc;
    }
    rc = path_lookup(path, follow, &fs, &inode);
    if (rc == 0)
        fill_stat(&inode, st);
    return rc;
}

int stat(const char *path, struct stat *st)
{
    return (int)posix_result(stat_path(path, true, st));
}

int lstat(const char *path, struct stat *st)
{
    return (int)posix_result(stat_path(path, false, st));
}

static int check_access(const char *path, int mode)
{
    struct stat st;
    int rc = stat_path(path, true, &st);

    if (rc != 0)
        return rc;
    if ((mode & W_OK) && !S_ISCHR(st.st_mode))
        return -EROFS;
    if ((mode & X_OK) && !S_ISDIR(st.st_mode) && (st.st_mode & 0111) == 0)
        return -EACCES;
    return 0;
}

int access(const char *path, int mode)
{
    return (int)posix_result(check_access(path, mode));
}

static ssize_t read_link(const char *path, char *buf, size_t size)
{
    struct erofs_inode inode;
    struct erofs *fs;
    int rc = path_lookup(path, false, &fs, &inode);

    if (rc != 0)
        return rc;
    if (!S_ISLNK(inode.mode))
        return -EINVAL;
    return erofs_read(fs, &inode, 0, buf, size); /* readlink gives no NUL */
}

ssize_t readlink(const char *path, char *buf, size_t size)
{
    return posix_result(read_link(path, buf, size));
}

static int fill_statvfs(struct statvfs *out)
{
    struct erofs_info info;
    struct erofs *fs;
    int rc = rootfs_get(&fs);

    if (rc != 0)
        return rc;
    erofs_get_info(fs, &info);
    *out = (struct statvfs){.f_bsize = info.block_size,
                            .f_frsize = info.block_size,
                            .f_blocks = (fsblkcnt_t)info.blocks,
                            .f_files = (fsfilcnt_t)info.inodes,
                            .f_flag = ST_RDONLY,
                            .f_namemax = EROFS_NAME_MAX};
    return 0;
}

int statvfs(const char *path, struct statvfs *out)
{
    struct stat st;
    int rc = stat_path(path, true, &st);

    return (int)posix_result(rc != 0 ? rc : fill_statvfs(out));
}

int fstatvfs(int fd, struct statvfs *out)
{
    struct stat st;

    return fstat(fd, &st) != 0 ? -1 : (int)posix_result(fill_statvfs(out));
}
