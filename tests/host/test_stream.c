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

/* A page that is lent, and whether the stream still has it. */
struct lent {
    struct stream_piece piece;
    unsigned char data[4096];
    bool released;
};

static void release(struct stream_piece *piece)
{
    struct lent *l = CONTAINER_OF(piece, struct lent, piece);
    CHECK(!l->released);
    l->released = true;
    memset(l->data, 0xdb, sizeof(l->data)); /* nobody reads it any more */
}

static void lend(struct stream *s, struct lent *l, size_t from, size_t len)
{
    fill(l->data, from, len);
    l->released = false;
    l->piece = (struct stream_piece){
        .data = l->data, .end = (uint32_t)len, .memory = 4096, .release = release};
    stream_lend(s, &l->piece);
}

TEST(stream, keeps_the_order_of_what_is_copied_and_what_is_lent)
{
    static struct lent page[500];
    struct stream s;
    size_t in = 0, out = 0;
    unsigned nr = 0;
    budget_init(8 << 20);
    stream_init(&s);
    while (nr < 500) {
        unsigned char got[9000], want[9000];
        size_t n = 1 + test_random_below(4000), memory = s.memory;
        if (test_random_below(2)) {
            lend(&s, &page[nr++], in, n);
            CHECK_EQ(s.memory, memory + 4096);
        } else {
            put(&s, in, n / 8);
            n /= 8;
        }
        in += n;
        n = stream_peek(&s, 0, got, test_random_below(3000));
        fill(want, out, n);
        CHECK_MEM(got, want, n);
        stream_drop(&s, n);
        out += n;
        CHECK_EQ(s.len, in - out);
        unsigned char skipped[100];
        size_t skip = s.len > 0 ? test_random_below(s.len) : 0;
        n = stream_peek(&s, skip, skipped, sizeof(skipped));
        fill(want, out + skip, n);
        CHECK_MEM(skipped, want, n);
    }
    CHECK(page[0].released && !page[499].released);
    stream_clear(&s);
    for (unsigned i = 0; i < nr; i++)
        CHECK(page[i].released);
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
