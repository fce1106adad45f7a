/* SPDX-License-Identifier: BSD-2-Clause */
/* Directory streams: a descriptor, which dirfd gives, and a place in the directory. scandir reads a
 * whole one into a list. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "lib/fs/erofs.h"
#include "lib/posix/fd.h"
#include "lib/posix/file.h"

struct _dir {
    int fd;
    struct erofs *fs;
    struct erofs_inode inode;
    uint64_t cursor;
    struct dirent entry;
};

static const unsigned char type_of[] = {
    [EROFS_REG] = DT_REG,   [EROFS_DIR] = DT_DIR,   [EROFS_CHR] = DT_CHR, [EROFS_BLK] = DT_BLK,
    [EROFS_FIFO] = DT_FIFO, [EROFS_SOCK] = DT_SOCK, [EROFS_LNK] = DT_LNK,
};

static int open_stream(int fd, DIR *d)
{
    struct file *f = fd_get(fd);
    int rc;

    if (f == NULL)
        return -EBADF;
    rc = file_inode(f, &d->fs, &d->inode);
    file_put(f);
    if (rc == 0 && !S_ISDIR(d->inode.mode))
        rc = -ENOTDIR;
    d->fd = fd;
    return rc;
}

DIR *fdopendir(int fd)
{
    DIR *d = calloc(1, sizeof(*d));

    if (d == NULL)
        return NULL;
    if (posix_result(open_stream(fd, d)) != 0) {
        free(d);
        return NULL;
    }
    return d;
}

DIR *opendir(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY);
    DIR *d;

    if (fd < 0)
        return NULL;
    d = fdopendir(fd);
    if (d == NULL)
        (void)fd_close(fd);
    return d;
}

struct dirent *readdir(DIR *d)
{
    struct erofs_entry e;
    int rc = erofs_readdir(d->fs, &d->inode, &d->cursor, &e);

    if (rc <= 0) {
        (void)posix_result(rc);
        return NULL;
    }
    d->entry.d_ino = (ino_t)e.nid;
    d->entry.d_off = (off_t)d->cursor;
    d->entry.d_reclen = sizeof(d->entry);
    d->entry.d_type = e.type < ARRAY_SIZE(type_of) ? type_of[e.type] : DT_UNKNOWN;
    strlcpy(d->entry.d_name, e.name, sizeof(d->entry.d_name));
    return &d->entry;
}

void rewinddir(DIR *d)
{
    d->cursor = 0;
}

long telldir(DIR *d)
{
    return (long)d->cursor;
}

void seekdir(DIR *d, long place)
{
    d->cursor = (uint64_t)place;
}

int dirfd(DIR *d)
{
    return d->fd;
}

int closedir(DIR *d)
{
    int fd = d->fd;

    free(d);
    return close(fd);
}

int alphasort(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* One more entry in a growing list: 0 or -ENOMEM. */
static int append_entry(struct dirent ***list, int n, const struct dirent *e)
{
    struct dirent *copy, **larger = *list;

    if ((n & (n - 1)) == 0) /* room for 1, 2, 4, 8, ... */
        larger = realloc(*list, (n == 0 ? 1 : 2 * (size_t)n) * sizeof(**list));
    if (larger == NULL)
        return -ENOMEM;
    *list = larger;
    copy = malloc(sizeof(*copy));
    if (copy == NULL)
        return -ENOMEM;
    *copy = *e;
    larger[n] = copy;
    return 0;
}

static void free_list(struct dirent **list, int n)
{
    while (n > 0)
        free(list[--n]);
    free(list);
}

/* All entries that (wanted) likes: their number or -errno. */
static int collect(DIR *d, struct dirent ***list, int (*wanted)(const struct dirent *))
{
    struct dirent *e;
    int n = 0, rc = 0;

    errno = 0;
    while (rc == 0 && (e = readdir(d)) != NULL) {
        if (wanted != NULL && !wanted(e))
            continue;
        rc = append_entry(list, n, e);
        n += rc == 0;
        errno = 0;
    }
    if (rc == 0)
        rc = -errno;
    if (rc == 0)
        return n;
    free_list(*list, n);
    return rc;
}

typedef int compare_fn(const void *a, const void *b);

int scandir(const char *path, struct dirent ***out, int (*wanted)(const struct dirent *),
            int (*compare)(const struct dirent **, const struct dirent **))
{
    struct dirent **list = NULL;
    DIR *d = opendir(path);
    int n;

    if (d == NULL)
        return -1;
    n = collect(d, &list, wanted);
    closedir(d);
    if (n < 0)
        return (int)posix_result(n);
    if (compare != NULL && n > 0)
        qsort(list, (size_t)n, sizeof(*list), (compare_fn *)(void (*)(void))compare);
    *out = list;
    return n;
}
