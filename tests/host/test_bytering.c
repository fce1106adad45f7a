/* SPDX-License-Identifier: BSD-2-Clause */
/* Byte rings: wrap-around of the ring and of the indices, and a peer that writes nonsense. */
#include "kernel/bytering.h"

#include <string.h>
#include "lib/base/errno.h"
#include "lib/base/macros.h"
#include "tests/host/test.h"

#define SIZE 64

static struct {
    char data[SIZE];
    uint32_t prod, cons;
} page;
static struct bytering tx, rx;

/* Both halves, with indices that start at (start). */
static void begin(uint32_t start)
{
    memset(&page, 0, sizeof(page));
    page.prod = page.cons = start;
    bytering_init_sender(&tx, page.data, SIZE, &page.prod, &page.cons);
    bytering_init_receiver(&rx, page.data, SIZE, &page.prod, &page.cons);
}

TEST(bytering, carries_bytes_in_order)
{
    char buf[SIZE];

    begin(0);
    CHECK_EQ(bytering_send(&tx, "hello", 5), 5);
    CHECK_EQ(bytering_available(&rx), 5);
    CHECK_EQ(bytering_receive(&rx, buf, 3), 3);
    CHECK_EQ(bytering_receive(&rx, buf + 3, sizeof(buf)), 2);
    CHECK_MEM(buf, "hello", 5);
    CHECK_EQ(bytering_receive(&rx, buf, sizeof(buf)), 0);
}

TEST(bytering, takes_what_fits_and_no_more)
{
    char buf[2 * SIZE];

    begin(7);
    memset(buf, 'x', sizeof(buf));
    CHECK_EQ(bytering_send(&tx, buf, sizeof(buf)), SIZE);
    CHECK_EQ(bytering_send(&tx, buf, 1), 0);
    CHECK_EQ(bytering_available(&tx), 0);
    CHECK_EQ(bytering_receive(&rx, buf, 1), 1);
    CHECK_EQ(bytering_available(&tx), 1);
}

/* A stream of numbers through pieces of random sizes; (start) near 2^32 makes the indices wrap. */
static void stream(uint32_t start)
{
    uint8_t buf[SIZE], sent = 0, received = 0;

    begin(start);
    for (unsigned i = 0; i < 2000; i++) {
        long n = (long)test_random_below(SIZE), done;

        for (long k = 0; k < n; k++)
            buf[k] = (uint8_t)(sent + k);
        done = bytering_send(&tx, buf, (size_t)n);
        CHECK(done >= 0 && done <= n);
        sent = (uint8_t)(sent + done);
        done = bytering_receive(&rx, buf, test_random_below(SIZE));
        for (long k = 0; k < done; k++)
            CHECK_EQ(buf[k], received++);
    }
    CHECK_EQ(page.prod - page.cons, (uint8_t)(sent - received));
}

TEST(bytering, wraps_at_the_end_of_the_ring)
{
    stream(0);
}

TEST(bytering, wraps_at_the_end_of_its_indices)
{
    stream(0xfffffff0);
    CHECK(page.prod < 0x80000000);
}

TEST(bytering, goes_on_where_the_shared_indices_are)
{
    page.data[5] = 'a';
    page.prod = 6;
    page.cons = 5;
    bytering_init_receiver(&rx, page.data, SIZE, &page.prod, &page.cons);
    CHECK_EQ(bytering_available(&rx), 1);
}

static const uint32_t nonsense[] = {SIZE + 1, 0x7fffffff, 0x80000000, 0xffffff00, 0xffffffff};

TEST(bytering, refuses_a_producer_that_lies)
{
    char buf[4 * SIZE];

    for (size_t i = 0; i < ARRAY_SIZE(nonsense); i++) {
        begin(100);
        page.prod = 100 + nonsense[i];
        memset(buf, 0x55, sizeof(buf));
        CHECK_EQ(bytering_receive(&rx, buf, sizeof(buf)), -EPROTO);
        CHECK_EQ(bytering_available(&rx), -EPROTO);
        CHECK_EQ(buf[0], 0x55);
        CHECK_EQ(page.cons, 100);
    }
}

TEST(bytering, refuses_a_consumer_that_lies)
{
    for (size_t i = 0; i < ARRAY_SIZE(nonsense); i++) {
        begin(100);
        page.cons = 100 - nonsense[i];
        CHECK_EQ(bytering_send(&tx, "x", 1), -EPROTO);
        CHECK_EQ(bytering_available(&tx), -EPROTO);
        CHECK_EQ(page.prod, 100);
        CHECK_EQ(page.data[100 % SIZE], 0);
    }
}

TEST(bytering, never_reads_its_own_index_back)
{
    char buf[SIZE];

    begin(0);
    CHECK_EQ(bytering_send(&tx, "abc", 3), 3);
    page.cons = 0;
    page.prod = 40; /* scribbled by the peer */
    CHECK_EQ(bytering_send(&tx, "def", 3), 3);
    CHECK_EQ(page.prod, 6);
    CHECK_EQ(bytering_receive(&rx, buf, sizeof(buf)), 6);
    page.cons = 0xdeadbeef;
    CHECK_EQ(bytering_receive(&rx, buf, sizeof(buf)), 0);
    CHECK_MEM(buf, "abcdef", 6);
}

TEST(bytering, works_again_after_a_reset)
{
    char buf[SIZE];

    begin(100);
    page.prod = 5000;
    CHECK_EQ(bytering_receive(&rx, buf, 1), -EPROTO);
    bytering_reset(&rx);
    CHECK_EQ(bytering_receive(&rx, buf, 1), 0);
    CHECK_EQ(page.cons, 5000);
    page.data[5000 % SIZE] = 'z';
    page.prod = 5001;
    CHECK_EQ(bytering_receive(&rx, buf, sizeof(buf)), 1);
    CHECK_EQ(buf[0], 'z');
}
