/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The block cache. A block is found by its number in a hash table and, while nobody holds it, is
 * on the LRU list, oldest first. Its life:
 *
 *     block_get, missing: claim (a new one, or the oldest) -> FILLING, device read without the
 *                         lock -> held -> block_put -> LRU -> found again or evicted
 *
 * I1 A block is in the hash table from claim to eviction, and on the LRU list exactly while it is
 *    neither held nor being filled: only such blocks are evicted.
 * I2 Whoever finds a block being filled waits for the filler, then looks again: two threads
 *    never read the same block at the same time. If that read failed the block is gone, and
 *    the waiter tries for itself.
 * I3 A thread holds at most one block and never waits for a second one while it does, so a
 *    thread that waits for any block to become free does not wait for itself.
 *
 * Long reads of missing blocks go to the caller's buffer in one piece; copies go into the cache
 * unless the run is so long that it would push out most of what is there.
 */
#include "lib/fs/block.h"

#include <arch/page.h>
#include <stdbool.h>
#include "kernel/heap.h"
#include "kernel/log.h"
#include "kernel/mutex.h"
#include "kernel/page.h"
#include "lib/base/errno.h"
#include "lib/base/list.h"
#include "lib/base/string.h"

#define BLOCKS_MIN 4
#define BUCKETS_MAX 4096
/* Longest single read of the device, in blocks. */
#define RUN_MAX 256

struct entry {
    struct block block; /* data: a page */
    struct list hash, lru;
    uint64_t number;
    unsigned holders;
    bool filling;
};

struct block_cache {
    struct fs_device dev;
    struct mutex lock;
    struct cond changed; /* a block was filled, or is held no more */
    struct list lru, *buckets;
    size_t nr_buckets; /* power of two */
    struct block_stats stats;
    struct log_limit limit;
};

uint64_t block_cache_size(const struct block_cache *c)
{
    return c->dev.size;
}

int block_cache_create(const struct fs_device *dev, size_t budget, struct block_cache **out)
{
    size_t blocks = MAX(budget / FS_BLOCK_SIZE, (size_t)BLOCKS_MIN);
    struct block_cache *c;

    if (dev->size > INT64_MAX) /* so that no sum below overflows */
        return -EINVAL;
    c = heap_alloc_zeroed(sizeof(*c));
    if (c == NULL)
        return -ENOMEM;
    c->nr_buckets = 1;
    while (c->nr_buckets < BUCKETS_MAX && c->nr_buckets * 2 <= blocks)
        c->nr_buckets *= 2;
    c->buckets = heap_alloc(c->nr_buckets * sizeof(struct list));
    if (c->buckets == NULL) {
        heap_free(c);
        return -ENOMEM;
    }
    for (size_t i = 0; i < c->nr_buckets; i++)
        list_init(&c->buckets[i]);
    c->dev = *dev;
    c->stats.blocks_max = blocks;
    mutex_init(&c->lock);
    cond_init(&c->changed);
    list_init(&c->lru);
    *out = c;
    return 0;
}

/* ---- under the lock ---- */

static struct list *bucket_of(struct block_cache *c, uint64_t number)
{
    return &c->buckets[number & (c->nr_buckets - 1)];
}

static struct entry *find(struct block_cache *c, uint64_t number)
{
    struct list *bucket = bucket_of(c, number);

    list_for_each (pos, bucket) {
        struct entry *e = list_entry(pos, struct entry, hash);

        if (e->number == number)
            return e;
    }
    return NULL;
}

static void entry_free(struct block_cache *c, struct entry *e)
{
    list_remove(&e->hash);
    list_remove(&e->lru);
    page_free((void *)(uintptr_t)e->block.data);
    heap_free(e);
    c->stats.blocks--;
}

static struct entry *entry_create(struct block_cache *c)
{
    struct entry *e = heap_alloc_zeroed(sizeof(*e));
    void *page = e == NULL ? NULL : page_alloc();

    if (page == NULL) {
        heap_free(e);
        return NULL;
    }
    e->block.data = page;
    list_init(&e->hash);
    list_init(&e->lru);
    c->stats.blocks++;
    return e;
}

/* A block for (number), in the table, held by the caller; its data are undefined. NULL when there
 * is no memory for a new one and none to evict. */
static struct entry *claim(struct block_cache *c, uint64_t number)
{
    struct entry *e = c->stats.blocks < c->stats.blocks_max ? entry_create(c) : NULL;

    if (e == NULL && !list_empty(&c->lru)) {
        e = list_first(&c->lru, struct entry, lru); /* I1 */
        list_remove(&e->lru);
        list_remove(&e->hash);
    }
    if (e == NULL)
        return NULL;
    e->number = number;
    e->holders = 1;
    list_push_front(bucket_of(c, number), &e->hash);
    return e;
}

static void hold(struct entry *e)
{
    e->holders++;
    list_remove(&e->lru);
}

static void unhold(struct block_cache *c, struct entry *e)
{
    if (--e->holders > 0)
        return;
    list_push_back(&c->lru, &e->lru);
    cond_broadcast(&c->changed);
}

/* ---- filling ---- */

/* Bytes of block (number) that the device has. */
static size_t block_bytes(const struct block_cache *c, uint64_t number)
{
    uint64_t left = c->dev.size - number * FS_BLOCK_SIZE;

    return left < FS_BLOCK_SIZE ? (size_t)left : FS_BLOCK_SIZE;
}

static int device_read(struct block_cache *c, uint64_t offset, void *buf, size_t len)
{
    int rc = c->dev.read(c->dev.ctx, offset, buf, len);

    if (rc != 0 && log_allowed(&c->limit))
        log_err("fs: reading %zu bytes at %llu failed: error %d", len, (unsigned long long)offset,
                -rc);
    return rc;
}

/* Called with the lock, which it drops for the time of the read. */
static int fill(struct block_cache *c, struct entry *e)
{
    uint8_t *data = (uint8_t *)(uintptr_t)e->block.data;
    size_t len = block_bytes(c, e->number);
    int rc;

    e->filling = true;
    c->stats.misses++;
    c->stats.device_reads++;
    mutex_unlock(&c->lock);
    rc = device_read(c, e->number * FS_BLOCK_SIZE, data, len);
    memset(data + len, 0, FS_BLOCK_SIZE - len);
    mutex_lock(&c->lock);
    e->filling = false;
    if (rc != 0)
        entry_free(c, e);
    cond_broadcast(&c->changed); /* I2 */
    return rc;
}

static int get_locked(struct block_cache *c, uint64_t number, struct entry **out)
{
    for (;;) {
        struct entry *e = find(c, number);

        if (e != NULL && !e->filling) {
            hold(e);
            c->stats.hits++;
            *out = e;
            return 0;
        }
        if (e == NULL && (e = claim(c, number)) != NULL) {
            *out = e;
            return fill(c, e);
        }
        if (e == NULL && c->stats.blocks == 0) /* nobody to wait for */
            return -ENOMEM;
        (void)cond_wait(&c->changed, &c->lock, NEVER); /* I2, I3 */
    }
}

int block_get(struct block_cache *c, uint64_t number, const struct block **out)
{
    struct entry *e;
    int rc;

    if (number >= DIV_ROUND_UP(c->dev.size, FS_BLOCK_SIZE))
        return -EIO;
    mutex_lock(&c->lock);
    rc = get_locked(c, number, &e);
    mutex_unlock(&c->lock);
    if (rc == 0)
        *out = &e->block;
    return rc;
}

void block_put(struct block_cache *c, const struct block *b)
{
    struct entry *e = CONTAINER_OF(b, struct entry, block);

    mutex_lock(&c->lock);
    unhold(c, e);
    mutex_unlock(&c->lock);
}

/* ---- long reads ---- */

/* Missing whole blocks from (number) on, at most (max). */
static size_t missing_run(struct block_cache *c, uint64_t number, size_t max)
{
    size_t n = 0;

    mutex_lock(&c->lock);
    while (n < max && find(c, number + n) == NULL)
        n++;
    mutex_unlock(&c->lock);
    return n;
}

/* Keep copies of (n) blocks that were read to (buf). */
static void keep_run(struct block_cache *c, uint64_t number, const uint8_t *buf, size_t n)
{
    mutex_lock(&c->lock);
    c->stats.misses += n;
    c->stats.device_reads++;
    for (size_t i = 0; i < n && n <= c->stats.blocks_max / 4; i++) {
        struct entry *e = find(c, number + i) == NULL ? claim(c, number + i) : NULL;

        if (e == NULL)
            continue;
        memcpy((void *)(uintptr_t)e->block.data, buf + i * FS_BLOCK_SIZE, FS_BLOCK_SIZE);
        unhold(c, e);
    }
    mutex_unlock(&c->lock);
}

/* Read what can be read in one piece at (offset): sets (*done), 0 when nothing can. */
static int read_run(struct block_cache *c, uint64_t offset, uint8_t *buf, size_t len, size_t *done)
{
    uint64_t number = offset / FS_BLOCK_SIZE;
    size_t whole = MIN(len / FS_BLOCK_SIZE, (size_t)RUN_MAX), n;
    int rc;

    *done = 0;
    if (offset % FS_BLOCK_SIZE != 0 || whole < 2 || (n = missing_run(c, number, whole)) < 2)
        return 0;
    rc = device_read(c, offset, buf, n * FS_BLOCK_SIZE);
    if (rc != 0)
        return rc;
    keep_run(c, number, buf, n);
    *done = n * FS_BLOCK_SIZE;
    return 0;
}

static int read_piece(struct block_cache *c, uint64_t offset, uint8_t *buf, size_t len,
                      size_t *done)
{
    size_t from = offset % FS_BLOCK_SIZE;
    const struct block *b;
    int rc = block_get(c, offset / FS_BLOCK_SIZE, &b);

    if (rc != 0)
        return rc;
    *done = MIN(len, FS_BLOCK_SIZE - from);
    memcpy(buf, b->data + from, *done);
    block_put(c, b);
    return 0;
}

int block_read(struct block_cache *c, uint64_t offset, void *buf, size_t len)
{
    uint8_t *to = buf;
    int rc = 0;

    if (offset > c->dev.size || len > c->dev.size - offset)
        return -EIO;
    while (len > 0 && rc == 0) {
        size_t done;

        rc = read_run(c, offset, to, len, &done);
        if (rc == 0 && done == 0)
            rc = read_piece(c, offset, to, len, &done);
        if (rc != 0)
            break;
        to += done;
        offset += done;
        len -= done;
    }
    return rc;
}

void block_get_stats(struct block_cache *c, struct block_stats *out)
{
    mutex_lock(&c->lock);
    *out = c->stats;
    mutex_unlock(&c->lock);
}

void block_cache_destroy(struct block_cache *c)
{
    if (c == NULL)
        return;
    for (size_t i = 0; i < c->nr_buckets; i++)
        list_for_each_safe (pos, &c->buckets[i])
            entry_free(c, list_entry(pos, struct entry, hash));
    heap_free(c->buckets);
    heap_free(c);
}
