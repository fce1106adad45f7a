/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Paths. The file system knows only paths from its root; the working directory is a string kept
 * here, always absolute and without links, put in front of relative ones.
 *
 * realpath walks a path name by name. The invariant of its loop: (done) is a resolved directory,
 * and done/(rest) leads where the path led.
 */
#include "lib/posix/path.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "kernel/mutex.h"
#include "lib/fs/erofs.h"
#include "lib/posix/fd.h"
#include "lib/posix/rootfs.h"

static struct mutex lock = MUTEX_INIT(lock);
static char cwd[PATH_MAX] = "/";

int path_absolute(const char *path, char out[PATH_MAX])
{
    if (*path == '\0')
        return -ENOENT;
    out[0] = '\0';
    if (*path != '/') {
        mutex_lock(&lock);
        strlcpy(out, cwd, PATH_MAX);
        mutex_unlock(&lock);
        strlcat(out, "/", PATH_MAX);
    }
    return strlcat(out, path, PATH_MAX) < PATH_MAX ? 0 : -ENAMETOOLONG;
}

int path_lookup(const char *path, bool follow, struct erofs **fs, struct erofs_inode *out)
{
    char absolute[PATH_MAX];
    int rc = path_absolute(path, absolute);

    if (rc == 0)
        rc = rootfs_get(fs);
    if (rc == 0)
        rc = follow ? erofs_lookup(*fs, absolute, out) : erofs_lookup_link(*fs, absolute, out);
    return rc;
}

struct walk {
    char done[PATH_MAX], rest[PATH_MAX];
    unsigned links;
};

static void remove_last(char *done)
{
    *strrchr(done, '/') = '\0';
}

/* Put the target of a link in front of what is left. */
static int follow_link(struct walk *w, struct erofs *fs, const struct erofs_inode *inode)
{
    char target[PATH_MAX];
    long len = erofs_readlink(fs, inode, target, sizeof(target));

    if (len < 0)
        return (int)len;
    if (++w->links > EROFS_LINKS_MAX)
        return -ELOOP;
    if (len >= PATH_MAX || strlcat(target, "/", PATH_MAX) >= PATH_MAX ||
        strlcat(target, w->rest, PATH_MAX) >= PATH_MAX)
        return -ENAMETOOLONG;
    if (target[0] == '/')
        w->done[0] = '\0';
    else
        remove_last(w->done);
    memcpy(w->rest, target, PATH_MAX);
    return 0;
}

/* One name further. */
static int step(struct walk *w, const char *name)
{
    struct erofs_inode inode;
    struct erofs *fs;
    int rc;

    if (*name == '\0' || strcmp(name, ".") == 0)
        return 0;
    if (strcmp(name, "..") == 0) {
        if (w->done[0] != '\0')
            remove_last(w->done);
        return 0;
    }
    if (strlcat(w->done, "/", PATH_MAX) >= PATH_MAX || strlcat(w->done, name, PATH_MAX) >= PATH_MAX)
        return -ENAMETOOLONG;
    rc = path_lookup(w->done, false, &fs, &inode);
    if (rc == 0 && S_ISLNK(inode.mode))
        rc = follow_link(w, fs, &inode);
    return rc;
}

static int resolve(const char *path, struct walk *w)
{
    int rc = path_absolute(path, w->rest);

    w->done[0] = '\0';
    w->links = 0;
    while (rc == 0 && w->rest[0] != '\0') {
        char name[EROFS_NAME_MAX + 1];
        size_t len = strcspn(w->rest, "/"), skip = len + (w->rest[len] == '/');

        if (len >= sizeof(name))
            return -ENAMETOOLONG;
        memcpy(name, w->rest, len);
        name[len] = '\0';
        memmove(w->rest, w->rest + skip, strlen(w->rest + skip) + 1);
        rc = step(w, name);
    }
    if (rc == 0 && w->done[0] == '\0')
        strlcpy(w->done, "/", PATH_MAX);
    return rc;
}

char *realpath(const char *path, char *out)
{
    struct walk *w = malloc(sizeof(*w));
    int rc = w != NULL ? resolve(path, w) : -ENOMEM;

    if (rc == 0) {
        if (out == NULL)
            out = malloc(PATH_MAX);
        rc = out != NULL ? 0 : -ENOMEM;
    }
    if (rc == 0)
        strlcpy(out, w->done, PATH_MAX);
    free(w);
    return posix_result(rc) == 0 ? out : NULL;
}

static int change_directory(const char *path)
{
    struct erofs_inode inode;
    struct erofs *fs;
    char *whole;
    int rc = path_lookup(path, true, &fs, &inode);

    if (rc != 0)
        return rc;
    if (!S_ISDIR(inode.mode))
        return -ENOTDIR;
    whole = realpath(path, NULL);
    if (whole == NULL)
        return -errno;
    mutex_lock(&lock);
    strlcpy(cwd, whole, sizeof(cwd));
    mutex_unlock(&lock);
    free(whole);
    return 0;
}

int chdir(const char *path)
{
    return (int)posix_result(change_directory(path));
}

char *getcwd(char *buf, size_t size)
{
    char *out = buf;
    int rc = 0;

    if (buf == NULL) {
        size = size == 0 ? PATH_MAX : size;
        out = malloc(size);
    } else if (size == 0) {
        rc = -EINVAL;
    }
    if (out == NULL)
        return NULL;
    if (rc == 0) {
        mutex_lock(&lock);
        rc = strlcpy(out, cwd, size) < size ? 0 : -ERANGE;
        mutex_unlock(&lock);
    }
    if (rc != 0 && buf == NULL)
        free(out);
    return posix_result(rc) == 0 ? out : NULL;
}
