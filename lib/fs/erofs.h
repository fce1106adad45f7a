/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * EROFS, the read-only file system that "mkfs.erofs IMAGE DIRECTORY" makes: uncompressed images
 * of blocks of 512 bytes to 4 KiB. Nothing in an image is believed: a broken one gives -EUCLEAN,
 * a device that fails -EIO, each with a log line now and then. Several threads may use one file
 * system at once. Thread context, may block.
 */
#ifndef LIB_FS_EROFS_H
#define LIB_FS_EROFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/base/macros.h"
#include "lib/fs/block.h"

struct erofs;

/* File types in the mode, the same numbers everywhere. */
#define EROFS_IFMT 0170000U
#define EROFS_IFDIR 0040000U
#define EROFS_IFREG 0100000U
#define EROFS_IFLNK 0120000U

#define EROFS_NAME_MAX 255
#define EROFS_PATH_MAX 1024 /* of a path with its symbolic links put in; with the NUL */
#define EROFS_LINKS_MAX 8   /* symbolic links that one look-up follows */

/* A file, as large as it looks: copy it, forget it, nothing to release. */
struct erofs_inode {
    uint64_t nid; /* where it is; also unique, unlike ino in damaged images */
    uint32_t ino, mode, nlink, uid, gid, rdev;
    uint64_t size;
    uint64_t mtime; /* seconds since the Unix epoch */
    uint32_t mtime_nsec;
    /* private: bytes [0, tail_from) lie at data_at, the rest at tail_at */
    uint64_t data_at, tail_from, tail_at;
};

struct erofs_entry {
    uint64_t nid;
    uint8_t type; /* enum erofs_type */
    char name[EROFS_NAME_MAX + 1];
};

enum erofs_type {
    EROFS_UNKNOWN,
    EROFS_REG,
    EROFS_DIR,
    EROFS_CHR,
    EROFS_BLK,
    EROFS_FIFO,
    EROFS_SOCK,
    EROFS_LNK
};

/* Open the image on (dev) with a cache of (budget) bytes. 0, -EINVAL (no EROFS), -EOPNOTSUPP (made
 * with options that need more than this reader knows; the log says which), -EUCLEAN, -EIO,
 * -ENOMEM. The device is copied. */
int erofs_mount(const struct fs_device *dev, size_t budget, struct erofs **out) MUST_CHECK;
/* No call may be under way. NULL is harmless. */
void erofs_unmount(struct erofs *fs);

/* The file at (path), which is read from the root with or without a leading "/". Follows symbolic
 * links; lookup_link not the last one. 0, -ENOENT, -ENOTDIR, -ELOOP, -ENAMETOOLONG, or damage. */
int erofs_lookup(struct erofs *fs, const char *path, struct erofs_inode *out) MUST_CHECK;
int erofs_lookup_link(struct erofs *fs, const char *path, struct erofs_inode *out) MUST_CHECK;
/* The inode (nid) of a directory entry. */
int erofs_inode_get(struct erofs *fs, uint64_t nid, struct erofs_inode *out) MUST_CHECK;

/* At most (len) bytes at (offset) of a file, directory or link; the count, 0 at its end. */
long erofs_read(struct erofs *fs, const struct erofs_inode *inode, uint64_t offset, void *buf,
                size_t len) MUST_CHECK;

/* The next entry of a directory, "." and ".." included: 1, or 0 at the end. (*cursor) is 0 at first
 * and may be kept as a position. -ENOTDIR or damage. */
int erofs_readdir(struct erofs *fs, const struct erofs_inode *dir, uint64_t *cursor,
                  struct erofs_entry *out) MUST_CHECK;

/* The target of a symbolic link, NUL-terminated, cut to (size). Its whole length; -EINVAL when it
 * is none. */
long erofs_readlink(struct erofs *fs, const struct erofs_inode *inode, char *buf,
                    size_t size) MUST_CHECK;

struct erofs_info {
    uint32_t block_size;
    uint64_t blocks, inodes;
    char volume[17];
};
void erofs_get_info(const struct erofs *fs, struct erofs_info *out);
struct block_cache *erofs_cache(struct erofs *fs);

#endif
