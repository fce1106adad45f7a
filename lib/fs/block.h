/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Devices as file systems see them, and a cache of their blocks: read-only, 4 KiB each, the
 * least recently used one makes room. All of a device's bytes come through here, so what a
 * file system judges is private memory that does not change while it is looked at.
 */
#ifndef LIB_FS_BLOCK_H
#define LIB_FS_BLOCK_H

#include <stddef.h>
#include <stdint.h>
#include "lib/base/macros.h"

#define FS_BLOCK_SIZE 4096U

/* The seam to a device. read fills (len) bytes at (offset): 0 or -errno. (offset) is a multiple of
 * FS_BLOCK_SIZE, and so is (len) unless it ends with the device; (buf) may be any memory. It is
 * called by several threads at once and may block. */
struct fs_device {
    int (*read)(void *ctx, uint64_t offset, void *buf, size_t len);
    void *ctx;
    uint64_t size; /* bytes */
};

struct block_cache;

/* A cache over (dev), which it copies, of at most (budget) bytes of blocks (at least 4 blocks);
 * they are allocated as they are needed. 0, -ENOMEM, or -EINVAL (size). Thread context, as
 * everything here. */
int block_cache_create(const struct fs_device *dev, size_t budget,
                       struct block_cache **out) MUST_CHECK;
/* Nobody may use the cache any more. NULL is harmless. */
void block_cache_destroy(struct block_cache *c);

/* Size of the device in bytes. */
uint64_t block_cache_size(const struct block_cache *c);

/* A block, kept in place until block_put; zeroes behind the end of the device. A thread holds
 * at most one at a time. 0, -EIO (also behind the device), -ENOMEM, or what the device says. */
struct block {
    const uint8_t *data; /* FS_BLOCK_SIZE bytes */
};
int block_get(struct block_cache *c, uint64_t number, const struct block **out) MUST_CHECK;
void block_put(struct block_cache *c, const struct block *b);

/* Copy (len) bytes at (offset). Long reads of blocks that are not cached are one read of the
 * device each. 0 or as block_get. */
int block_read(struct block_cache *c, uint64_t offset, void *buf, size_t len) MUST_CHECK;

struct block_stats {
    uint64_t hits, misses, device_reads;
    size_t blocks, blocks_max; /* cached now, and allowed */
};
void block_get_stats(struct block_cache *c, struct block_stats *out);

#endif
