/* SPDX-License-Identifier: BSD-2-Clause */
/* The queue of received bytes. */
#include "lib/net/stream.h"
#include <errno.h>
#include <string.h>
#include "lib/net/budget.h"
#include "tests/host/test.h"

static void fill(unsigned char *buf, size_t from, size_t len)
{
    for (size_t i = 0; i < len; i++)
        buf[i] = (unsigned char)((from + i) * 7 + (from + i) / 251);
}

static void put(struct stream *s, size_t from, size_t len)
{
    unsigned char buf[70000];
    fill(buf, from, len);
    CHECK_EQ(stream_reserve(s, len), 0);
    stream_append(s, buf, len);
}

static size_t used(void)
{
    struct budget_stats stats;
    budget_get_stats(&stats);
    return stats.used;
}

TEST(stream, gives_back_in_order_whatever_the_pieces)
{
    struct stream s;
    size_t in = 0, out = 0;
    budget_init(8 << 20);
    stream_init(&s);
    for (unsigned round = 0; round < 3000; round++) {
        unsigned char got[9000], want[9000];
        size_t n = test_random_below(4000);
        put(&s, in, n);
        in += n;
        n = stream_peek(&s, 0, got, test_random_below(sizeof(got)));
        fill(want, out, n);
        CHECK_MEM(got, want, n);
        stream_drop(&s, n);
        out += n;
        CHECK_EQ(s.len, in - out);
    }
    stream_clear(&s);
    CHECK_EQ(s.memory, 0);
    CHECK_EQ(used(), 0);
}

TEST(stream, peeks_behind_the_first_bytes)
{
    struct stream s;
    unsigned char got[100], want[100];
    budget_init(8 << 20);
    stream_init(&s);
    put(&s, 0, 20000);
    for (size_t skip = 0; skip < 20000; skip += 97) {
        size_t n = stream_peek(&s, skip, got, sizeof(got));
        fill(want, skip, n);
        CHECK_EQ(n, skip + 100 <= 20000 ? 100 : 20000 - skip);
        CHECK_MEM(got, want, n);
    }
    stream_clear(&s);
}

TEST(stream, single_bytes_cost_little_more_than_a_byte)
{
    struct stream s;
    budget_init(8 << 20);
    stream_init(&s);
    for (unsigned i = 0; i < 10000; i++)
        put(&s, i, 1);
    CHECK(s.memory <= 2 * 10000 + 512);
    stream_clear(&s);
}

TEST(stream, takes_all_or_nothing_when_the_budget_ends)
{
    struct stream s;
    budget_init(20000);
    stream_init(&s);
    put(&s, 0, 1000);
    size_t before = s.memory;
    CHECK_EQ(stream_reserve(&s, 40000), -ENOMEM);
    CHECK_EQ(s.memory, before);
    CHECK_EQ(s.len, 1000);
    stream_clear(&s);
    CHECK_EQ(used(), 0);
}
