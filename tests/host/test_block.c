/* SPDX-License-Identifier: BSD-2-Clause */
/* lib/fs/block.c over a device that counts, fails and takes its time. */
#include "lib/fs/block.h"

#include <string.h>
#include "kernel/page.h"
#include "kernel/thread.h"
#include "lib/base/errno.h"
#include "lib/fs/memdev.h"
#include "tests/host/hostarch.h"
#include "tests/host/test.h"

#define DEVICE_SIZE (64 * FS_BLOCK_SIZE + 700)

static uint8_t content[DEVICE_SIZE];
static unsigned reads, fail_reads;
static uint64_t last_offset;
static size_t last_len;
static nsec_t delay;

static int slow_read(void *ctx, uint64_t offset, void *buf, size_t len)
{
    reads++;
    last_offset = offset;
    last_len = len;
    CHECK(offset % FS_BLOCK_SIZE == 0 && offset + len <= DEVICE_SIZE);
    CHECK(len % FS_BLOCK_SIZE == 0 || offset + len == DEVICE_SIZE);
    thread_sleep_until(host_clock + delay);
    if (fail_reads > 0) {
        fail_reads--;
        return -EIO;
    }
    memcpy(buf, (uint8_t *)ctx + offset, len);
    return 0;
}

static struct block_cache *create(unsigned blocks)
{
    struct fs_device dev = {slow_read, content, DEVICE_SIZE};
    struct block_cache *c;

    for (size_t i = 0; i < DEVICE_SIZE; i++)
        content[i] = (uint8_t)(i / FS_BLOCK_SIZE + i * 7);
    CHECK_EQ(block_cache_create(&dev, blocks * FS_BLOCK_SIZE, &c), 0);
    return c;
}

static void touch(struct block_cache *c, uint64_t number)
{
    const struct block *b;

    CHECK_EQ(block_get(c, number, &b), 0);
    CHECK_MEM(b->data, content + number * FS_BLOCK_SIZE, FS_BLOCK_SIZE);
    block_put(c, b);
}

TEST(block, reads_a_block_once)
{
    struct block_cache *c = create(8);

    touch(c, 3);
    touch(c, 3);
    CHECK_EQ(reads, 1);
    block_cache_destroy(c);
}

TEST(block, evicts_the_least_recently_used)
{
    struct block_cache *c = create(4);

    for (uint64_t i = 0; i < 4; i++)
        touch(c, i);
    touch(c, 0);
    touch(c, 4); /* in place of 1 */
    CHECK_EQ(reads, 5);
    touch(c, 0);
    touch(c, 2);
    touch(c, 3);
    CHECK_EQ(reads, 5);
    touch(c, 1);
    CHECK_EQ(reads, 6);
    block_cache_destroy(c);
}

TEST(block, the_last_block_ends_in_zeroes)
{
    struct block_cache *c = create(8);
    const struct block *b;

    CHECK_EQ(block_get(c, 64, &b), 0);
    CHECK_EQ(last_len, 700);
    CHECK_MEM(b->data, content + 64 * FS_BLOCK_SIZE, 700);
    for (unsigned i = 700; i < FS_BLOCK_SIZE; i++)
        CHECK_EQ(b->data[i], 0);
    block_put(c, b);
    CHECK_EQ(block_get(c, 65, &b), -EIO);
    CHECK_EQ(block_get(c, UINT64_MAX, &b), -EIO);
    block_cache_destroy(c);
}

TEST(block, any_range_reads_right)
{
    static uint8_t buf[DEVICE_SIZE];
    struct block_cache *c = create(16);

    for (int i = 0; i < 3000; i++) {
        uint64_t offset = test_random_below(DEVICE_SIZE + 1);
        size_t len = test_random_below(DEVICE_SIZE - offset + 1);

        if (i % 2 == 0)
            offset &= ~(uint64_t)(FS_BLOCK_SIZE - 1);
        CHECK_EQ(block_read(c, offset, buf, len), 0);
        CHECK(memcmp(buf, content + offset, len) == 0);
    }
    CHECK_EQ(block_read(c, DEVICE_SIZE, buf, 1), -EIO);
    CHECK_EQ(block_read(c, 10, buf, SIZE_MAX), -EIO);
    CHECK_EQ(block_read(c, UINT64_MAX, buf, 1), -EIO);
    block_cache_destroy(c);
}

TEST(block, a_long_read_is_one_read_of_the_device)
{
    static uint8_t buf[32 * FS_BLOCK_SIZE];
    struct block_cache *c = create(256);

    CHECK_EQ(block_read(c, 0, buf, sizeof(buf)), 0);
    CHECK_EQ(reads, 1);
    CHECK_EQ(block_read(c, 5 * FS_BLOCK_SIZE, buf, 20 * FS_BLOCK_SIZE), 0);
    CHECK_EQ(reads, 1); /* it was kept */
    block_cache_destroy(c);
}

TEST(block, a_long_read_leaves_most_of_the_cache_alone)
{
    static uint8_t buf[32 * FS_BLOCK_SIZE];
    struct block_cache *c = create(8);

    for (uint64_t i = 40; i < 48; i++)
        touch(c, i);
    CHECK_EQ(block_read(c, 0, buf, sizeof(buf)), 0);
    reads = 0;
    for (uint64_t i = 40; i < 48; i++)
        touch(c, i);
    CHECK_EQ(reads, 0);
    block_cache_destroy(c);
}

TEST(block, stays_within_its_budget)
{
    struct block_cache *c = create(8);
    struct block_stats stats;
    size_t before = page_count_free();

    for (uint64_t i = 0; i < 60; i++)
        touch(c, i);
    block_get_stats(c, &stats);
    CHECK_EQ(stats.blocks, 8);
    CHECK_EQ(before - page_count_free(), 8);
    block_cache_destroy(c);
}

TEST(block, a_failed_read_is_reported_and_not_kept)
{
    struct block_cache *c = create(8);
    const struct block *b;
    uint8_t buf[3 * FS_BLOCK_SIZE];

    fail_reads = 2;
    CHECK_EQ(block_get(c, 1, &b), -EIO);
    CHECK(host_logged("fs: reading 4096 bytes at 4096 failed"));
    CHECK_EQ(block_read(c, 0, buf, sizeof(buf)), -EIO);
    touch(c, 1);
    CHECK_EQ(block_read(c, 0, buf, sizeof(buf)), 0);
    CHECK_MEM(buf, content, sizeof(buf));
    block_cache_destroy(c);
}

static struct block_cache *shared;
static unsigned failures;

static void reader(void *arg)
{
    const struct block *b;
    int rc = block_get(shared, (uint64_t)(uintptr_t)arg, &b);

    if (rc == 0)
        block_put(shared, b);
    failures += rc != 0;
}

static void run_readers(unsigned n, uint64_t first, unsigned step)
{
    struct thread *t[8];

    for (unsigned i = 0; i < n; i++)
        CHECK_EQ(thread_create("reader", PRIO_NORMAL, 0, reader,
                               (void *)(uintptr_t)(first + i * step), &t[i]),
                 0);
    for (unsigned i = 0; i < n; i++)
        thread_join(t[i]);
}

TEST(block, threads_that_want_the_same_block_share_one_read)
{
    shared = create(8);
    delay = NSEC_PER_MSEC;
    run_readers(5, 9, 0);
    CHECK_EQ(reads, 1);
    CHECK_EQ(failures, 0);
    block_cache_destroy(shared);
}

TEST(block, waiters_of_a_failed_read_try_themselves)
{
    shared = create(8);
    delay = NSEC_PER_MSEC;
    fail_reads = 1;
    run_readers(5, 9, 0);
    CHECK_EQ(reads, 2);
    CHECK_EQ(failures, 1);
    block_cache_destroy(shared);
}

TEST(block, different_blocks_are_read_at_the_same_time)
{
    nsec_t start = host_clock;

    shared = create(8);
    delay = NSEC_PER_SEC;
    run_readers(6, 0, 1);
    CHECK_EQ(reads, 6);
    CHECK_EQ(host_clock - start, NSEC_PER_SEC);
    block_cache_destroy(shared);
}

TEST(block, more_threads_than_blocks_take_turns)
{
    nsec_t start = host_clock;

    shared = create(4);
    delay = NSEC_PER_SEC;
    run_readers(8, 0, 1);
    CHECK_EQ(failures, 0);
    CHECK_EQ(host_clock - start, 2 * NSEC_PER_SEC);
    block_cache_destroy(shared);
}

TEST_RAM(block, works_with_fewer_pages_than_its_budget, 1024)
{
    struct block_cache *c = create(16);
    void *chain = NULL, *p;
    const struct block *b;

    touch(c, 0);
    touch(c, 1);
    while ((p = page_alloc()) != NULL) {
        *(void **)p = chain;
        chain = p;
    }
    for (uint64_t i = 0; i < 60; i++)
        touch(c, i);
    block_cache_destroy(c);
    CHECK_EQ(page_count_free(), 2);
    c = create(16);
    p = page_alloc();
    CHECK(p != NULL && page_alloc() != NULL && page_alloc() == NULL);
    CHECK_EQ(block_get(c, 0, &b), -ENOMEM);
    test_pass();
}

TEST(block, a_device_of_impossible_size_is_refused)
{
    struct fs_device dev = {slow_read, NULL, UINT64_MAX};
    struct block_cache *c;

    CHECK_EQ(block_cache_create(&dev, 4096, &c), -EINVAL);
}

TEST(block, memory_is_a_device)
{
    struct fs_device dev;
    struct block_cache *c;
    char buf[5];

    memdev_init(&dev, "some bytes", 10);
    CHECK_EQ(block_cache_create(&dev, 0, &c), 0);
    CHECK_EQ(block_cache_size(c), 10);
    CHECK_EQ(block_read(c, 5, buf, 5), 0);
    CHECK_MEM(buf, "bytes", 5);
    block_cache_destroy(c);
}
