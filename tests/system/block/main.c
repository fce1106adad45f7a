/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * blkfront against a real backend, on a scratch disk (xvda, at least 16 MiB, overwritten): data,
 * order, depth, flush, discard, the way out and back in.
 */
#include <errno.h>
#include <stdlib.h>
#include "frontends/blkfront/blkfront.h"
#include "kernel/grant.h"
#include "kernel/page.h"
#include "kernel/time.h"
#include "kernel/wait.h"
#include "lib/base/macros.h"
#include "tests/guest/check.h"

#define SPAN (4u << 20) /* bytes of the disk that are used */

static struct blkfront *bf;
static struct blkfront_info info;
static unsigned char *want, *got;

static void fill(unsigned char *p, size_t len, unsigned seed)
{
    unsigned x = seed * 2654435761u + 1;

    for (size_t i = 0; i < len; i++) {
        x = x * 1664525 + 1013904223;
        p[i] = (unsigned char)(x >> 24);
    }
}

static void test_opens(void)
{
    CHECK_EQ(blkfront_open("51712", &bf), 0);
    blkfront_get_info(bf, &info);
    CHECK(strcmp(info.name, "xvda") == 0);
    CHECK(info.nr_sectors * 512 >= 16u << 20);
    CHECK(!info.read_only);
    CHECK(info.can_flush);
    want = malloc(SPAN);
    got = malloc(SPAN);
    CHECK(want != NULL && got != NULL);
}

static void test_reads_back_what_it_wrote(void)
{
    fill(want, SPAN, 1);
    CHECK_EQ(blkfront_write(bf, 0, want, SPAN), 0);
    CHECK_EQ(blkfront_flush(bf), 0);
    CHECK_EQ(blkfront_read(bf, 0, got, SPAN), 0);
    CHECK(memcmp(want, got, SPAN) == 0);
}

static void test_reads_and_writes_any_range(void)
{
    unsigned unit = info.sector_size / 512;

    for (unsigned i = 0; i < 100; i++) {
        size_t len = (1 + (unsigned)rand() % (i % 10 ? 30 : 300)) * info.sector_size;
        size_t at = (unsigned)rand() % ((SPAN - len) / info.sector_size) * info.sector_size;
        uint64_t sector = at / info.sector_size * unit;

        if (i % 2) {
            fill(want + at, len, i);
            CHECK_EQ(blkfront_write(bf, sector, want + at, len), 0);
        } else {
            CHECK_EQ(blkfront_read(bf, sector, got, len), 0);
            CHECK(memcmp(got, want + at, len) == 0);
        }
    }
    CHECK_EQ(blkfront_read(bf, 0, got, SPAN), 0);
    CHECK(memcmp(want, got, SPAN) == 0);
}

#define DEPTH 60

static struct blkfront_io io[DEPTH];
static struct waitq all_ended = WAITQ_INIT(all_ended);
static unsigned nr_ended;

static void ended(struct blkfront_io *one)
{
    (void)one;
    if (__atomic_add_fetch(&nr_ended, 1, __ATOMIC_SEQ_CST) == DEPTH)
        waitq_wake_all(&all_ended);
}

static bool start(enum blkfront_op op, unsigned i)
{
    io[i] = (struct blkfront_io){
        .op = op, .sector = i * 88, .nr_pages = 11, .len = 11 * 4096, .done = ended};
    for (unsigned p = 0; p < 11; p++) {
        io[i].page[p] = page_alloc_zeroed();
        if (io[i].page[p] == NULL)
            return false;
        if (op == BLKFRONT_WRITE)
            fill(io[i].page[p], 4096, i * 16 + p);
    }
    return blkfront_submit(bf, &io[i]) == 0;
}

static bool finish(enum blkfront_op op)
{
    bool good = wait_until(&all_ended, __atomic_load_n(&nr_ended, __ATOMIC_SEQ_CST) == DEPTH,
                           time_now() + 60 * NSEC_PER_SEC) == 0;

    for (unsigned i = 0; i < DEPTH && good; i++) {
        for (unsigned p = 0; p < 11; p++) {
            fill(got, 4096, i * 16 + p);
            good = good && (op != BLKFRONT_READ || memcmp(got, io[i].page[p], 4096) == 0);
            page_free(io[i].page[p]);
        }
        good = good && io[i].status == 0;
    }
    return good;
}

static void test_keeps_more_in_flight_than_the_ring_holds(void)
{
    nr_ended = 0;
    for (unsigned i = 0; i < DEPTH; i++)
        CHECK(start(BLKFRONT_WRITE, i));
    CHECK(finish(BLKFRONT_WRITE));
    nr_ended = 0;
    blkfront_plug(bf);
    for (unsigned i = 0; i < DEPTH; i++)
        CHECK(start(BLKFRONT_READ, i));
    blkfront_unplug(bf);
    CHECK(finish(BLKFRONT_READ));
}

static void test_refuses_what_is_beyond_the_end(void)
{
    CHECK_EQ(blkfront_read(bf, info.nr_sectors, got, 4096), -EINVAL);
    CHECK_EQ(blkfront_read(bf, info.nr_sectors - 4096 / 512, got, 4096), 0);
}

/* Whoever looks at the disk later finds the number of its last sectors in them. */
static void test_marks_its_end(void)
{
    static char mark[4096], back[4096];
    uint64_t sector = info.nr_sectors - sizeof(mark) / 512;

    snprintf(mark, sizeof(mark), "sector %llu\n", (unsigned long long)sector);
    CHECK_EQ(blkfront_write(bf, sector, mark, sizeof(mark)), 0);
    CHECK_EQ(blkfront_flush(bf), 0);
    CHECK_EQ(blkfront_read(bf, sector, back, sizeof(back)), 0);
    CHECK(memcmp(mark, back, sizeof(mark)) == 0);
}

#define HOLE (1u << 20) /* bytes; at twice that within what test_discards writes */

static bool is_zero(const unsigned char *p, size_t len)
{
    return p[0] == 0 && memcmp(p, p + 1, len - 1) == 0;
}

/* Whoever looks at the disk later finds a hole there. */
static void test_discards(void)
{
    uint64_t sector = (8u << 20) / 512;

    CHECK(info.can_discard && info.discard_granularity <= HOLE);
    CHECK_EQ(blkfront_write(bf, sector, want, SPAN), 0);
    CHECK_EQ(blkfront_flush(bf), 0);
    CHECK_EQ(blkfront_discard(bf, sector + 2 * HOLE / 512, HOLE / 512, false), 0);
    CHECK_EQ(blkfront_read(bf, sector, got, SPAN), 0);
    CHECK(memcmp(want, got, 2 * HOLE) == 0 && memcmp(want + 3 * HOLE, got + 3 * HOLE, HOLE) == 0);
    CHECK(is_zero(got + 2 * HOLE, HOLE));
    if (!info.can_discard_securely)
        CHECK_EQ(blkfront_discard(bf, sector, 8, true), -EOPNOTSUPP);
}

static void test_measures(void)
{
    nsec_t start_time = time_now(), middle;

    CHECK_EQ(blkfront_write(bf, 0, want, SPAN), 0);
    middle = time_now();
    CHECK_EQ(blkfront_read(bf, 0, got, SPAN), 0);
    printf("write %llu MiB/s, read %llu MiB/s\n",
           (unsigned long long)((SPAN >> 20) * NSEC_PER_SEC / (middle - start_time)),
           (unsigned long long)((SPAN >> 20) * NSEC_PER_SEC / (time_now() - middle)));
    blkfront_get_info(bf, &info);
    printf("%llu reads, %llu writes, %llu notifications, %llu events\n",
           (unsigned long long)info.reads, (unsigned long long)info.writes,
           (unsigned long long)info.notifies, (unsigned long long)info.events);
}

static void test_closes_and_opens_again(void)
{
    unsigned grants;

    blkfront_close(bf);
    grants = grant_count_used();
    for (unsigned i = 0; i < 2; i++) {
        CHECK_EQ(blkfront_open("51712", &bf), 0);
        CHECK_EQ(blkfront_read(bf, 0, got, SPAN), 0);
        CHECK(memcmp(want, got, SPAN) == 0);
        blkfront_close(bf);
        CHECK_EQ(grant_count_used(), grants);
        CHECK_EQ(grant_count_quarantined(), 0);
    }
}

int main(void)
{
    static const struct test_case cases[] = {
        CASE(opens),
        CASE(reads_back_what_it_wrote),
        CASE(reads_and_writes_any_range),
        CASE(keeps_more_in_flight_than_the_ring_holds),
        CASE(refuses_what_is_beyond_the_end),
        CASE(marks_its_end),
        CASE(discards),
        CASE(measures),
        CASE(closes_and_opens_again),
    };

    return check_all(cases, ARRAY_SIZE(cases));
}
