/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The method of apps/pvbench: distributions whose quantiles and means are known, and the frame of a
 * run with a system below that does what the test says.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "apps/pvbench/hist.h"
#include "apps/pvbench/probe.h"
#include "tests/host/test.h"

#define NSEC 1000000000ULL

/* ---- distributions ---- */

static struct hist h;

/* In [0, 1). */
static double uniform(void)
{
    return (double)(test_random() >> 11) / 9007199254740992.0;
}

static bool near(double a, double b, double relative)
{
    return fabs(a - b) <= relative * fabs(b);
}

TEST(pvbench, a_value_is_kept_to_four_in_a_thousand)
{
    for (int i = 0; i < 100000; i++) {
        uint64_t value = test_random() >> test_random_below(64);

        hist_init(&h);
        hist_add(&h, 0);
        hist_add(&h, value);
        hist_add(&h, UINT64_MAX);
        CHECK(near((double)hist_quantile(&h, 500), (double)value, 1.0 / 256));
    }
}

TEST(pvbench, small_values_are_kept_as_they_are)
{
    for (uint64_t value = 0; value < 256; value++) {
        hist_init(&h);
        hist_add(&h, 0);
        hist_add(&h, value);
        hist_add(&h, 1000);
        CHECK_EQ(hist_quantile(&h, 500), value);
    }
}

TEST(pvbench, buckets_are_in_order_and_complete)
{
    for (unsigned i = 1; i < HIST_BUCKETS; i++)
        CHECK(hist_value(i) > hist_value(i - 1));
    hist_init(&h);
    hist_add(&h, UINT64_MAX);
    CHECK_EQ(h.bucket[HIST_BUCKETS - 1], 1);
    CHECK_EQ(hist_quantile(&h, 1000), (intmax_t)UINT64_MAX);
}

TEST(pvbench, quantiles_of_an_even_distribution)
{
    hist_init(&h);
    for (uint64_t i = 1; i <= 100000; i++)
        hist_add(&h, i * 10);
    CHECK(near((double)hist_quantile(&h, 500), 500000, 0.004));
    CHECK(near((double)hist_quantile(&h, 900), 900000, 0.004));
    CHECK(near((double)hist_quantile(&h, 999), 999000, 0.004));
    CHECK_EQ(h.min, 10);
    CHECK_EQ(h.max, 1000000);
    CHECK(near(hist_mean(&h), 500005, 1e-12));
}

TEST(pvbench, quantiles_of_an_exponential_distribution)
{
    hist_init(&h);
    for (int i = 0; i < 1000000; i++)
        hist_add(&h, (uint64_t)(-log(1 - uniform()) * 1e6));
    CHECK(near((double)hist_quantile(&h, 500), log(2) * 1e6, 0.01));
    CHECK(near((double)hist_quantile(&h, 990), log(100) * 1e6, 0.01));
    CHECK(near((double)hist_quantile(&h, 999), log(1000) * 1e6, 0.03));
}

TEST(pvbench, two_humps_stay_two)
{
    hist_init(&h);
    for (int i = 0; i < 1000; i++)
        hist_add(&h, i % 10 == 0 ? 5000000 : 1000);
    CHECK_EQ(hist_quantile(&h, 900) / 10, 100);
    CHECK(near((double)hist_quantile(&h, 901), 5000000, 0.004));
}

TEST(pvbench, one_outlier_in_a_million_is_not_lost)
{
    hist_init(&h);
    for (int i = 0; i < 1000000; i++)
        hist_add(&h, i == 123456 ? 77777777777 : 100);
    CHECK_EQ(h.max, 77777777777);
    CHECK_EQ(hist_quantile(&h, 1000), 77777777777);
    CHECK_EQ(hist_quantile(&h, 999), 100);
    CHECK_EQ(h.count, 1000000);
}

/* How often, in a thousand, the interval of a mean of (n) samples holds the true mean, 1000, when
 * each sample keeps (memory) of the one before it. */
static unsigned coverage(int n, double memory)
{
    unsigned hits = 0;

    for (int trial = 0; trial < 1000; trial++) {
        double state = 0;

        hist_init(&h);
        for (int i = 0; i < n; i++) {
            state = memory * state + (uniform() - 0.5) * 200;
            hist_add(&h, (uint64_t)(1000.5 + state));
        }
        hits += fabs(hist_mean(&h) - 1000) <= hist_ci(&h);
    }
    return hits;
}

TEST(pvbench, the_interval_of_a_mean_holds_it_as_often_as_promised)
{
    unsigned hits = coverage(1000, 0);

    CHECK(hits >= 920 && hits <= 975);
    hits = coverage(10, 0);
    CHECK(hits >= 920 && hits <= 980);
}

TEST(pvbench, samples_that_resemble_each_other_do_not_deceive_the_interval)
{
    unsigned hits = coverage(5000, 0.9);

    CHECK(hits >= 900 && hits <= 980); /* without batches it would be some 350 */
}

TEST(pvbench, no_interval_of_three_samples)
{
    hist_init(&h);
    for (int i = 0; i < 3; i++)
        hist_add(&h, 5);
    CHECK_EQ((int)hist_ci(&h), -1);
    hist_add(&h, 5);
    CHECK_EQ((int)hist_ci(&h), 0);
}

/* ---- a run ---- */

struct options options;

static uint64_t now;
static struct counters counted;

uint64_t platform_clock(void)
{
    return now;
}

double platform_tick(void)
{
    return 1000; /* a stamp is a nanosecond */
}

void platform_count(struct counters *c)
{
    *c = counted;
}

static uint32_t marks[2];
static unsigned nr_marks;
static uint64_t calls_at_mark[2];

void platform_mark(uint32_t mark)
{
    calls_at_mark[nr_marks % 2] = counted.hypercalls;
    marks[nr_marks++ % 2] = mark;
}

/* Rounds of a millisecond: slow while caches are cold, 500 ns later. */
static void run_rounds(struct run *r)
{
    for (unsigned round = 0; run_more(r); round++) {
        now += 1000000;
        counted.hypercalls += 3;
        run_sample(r, 0, 0, round < 20 ? 900000 : 500);
    }
}

static const struct probe rounds = {.run = run_rounds, .series = {{.name = "x", .unit = "ns"}}};

/* What a stamp costs here is not known, only that it is the same for all samples. */
static uint64_t net(const struct result *r, uint64_t ns)
{
    return ns * 1000 - r->overhead;
}

TEST(pvbench, a_tenth_of_the_time_warms_up_and_leaves_nothing)
{
    const struct result *r;

    options.seconds = 1;
    r = run_probe(&rounds);
    CHECK_EQ(r->hist[0]->count, 1000);
    CHECK_EQ(r->hist[0]->max, net(r, 500));
    CHECK_EQ(r->ops, 1000);
    CHECK_EQ(r->disturbed.hypercalls, 3000);
}

TEST(pvbench, the_number_of_samples_can_be_bounded)
{
    options.seconds = 1;
    options.samples = 50;
    CHECK_EQ(run_probe(&rounds)->hist[0]->count, 50);
}

TEST(pvbench, a_run_that_is_too_short_has_some_samples_all_the_same)
{
    options.seconds = 1e-9;
    CHECK_EQ(run_probe(&rounds)->hist[0]->count, 5);
}

TEST(pvbench, marks_enclose_what_is_measured_and_nothing_of_the_warm_up)
{
    const struct result *r;
    unsigned number;

    options.seconds = 1;
    options.samples = 0;
    number = run_probe(&rounds)->number;
    nr_marks = 0;
    r = run_probe(&rounds);
    CHECK_EQ(r->number, number + 1);
    CHECK_EQ(nr_marks, 2);
    CHECK_EQ(marks[0], MARK_BEGIN | r->number);
    CHECK_EQ(marks[1], MARK_END | r->number);
    CHECK_EQ(calls_at_mark[1] - calls_at_mark[0], r->disturbed.hypercalls);
}

static void run_counted(struct run *r)
{
    while (run_more(r)) {
        now += NSEC / 100;
        run_value(r, 0, 5);
        run_count(r, 7);
    }
}

TEST(pvbench, operations_are_counted_that_are_no_samples)
{
    const struct probe p = {.run = run_counted, .series = {{.name = "x", .unit = "Mbit/s"}}};
    const struct result *r;

    options.seconds = 1;
    r = run_probe(&p);
    CHECK_EQ(r->ops, 7 * (intmax_t)r->hist[0]->count);
}

static void run_odd(struct run *r)
{
    while (run_more(r)) {
        now += NSEC / 100;
        run_batch(r, 0, 0, 100000, 10);
        run_sample(r, 1, 1000, 900); /* counters out of step */
        run_rate(r, 2, 50, NSEC / 100);
        run_interval(r, 3, 100, 350);
    }
}

static const struct probe odd = {.run = run_odd,
                                 .series = {{.name = "a", .unit = "ns"},
                                            {.name = "b", .unit = "ns"},
                                            {.name = "c", .unit = "1/s", .more = true},
                                            {.name = "d", .unit = "ns"}}};

TEST(pvbench, batches_rates_and_intervals)
{
    const struct result *r;

    options.seconds = 1;
    r = run_probe(&odd);
    CHECK_EQ(r->nr_series, 4);
    CHECK_EQ(r->hist[0]->max, net(r, 100000) / 10);
    CHECK_EQ(r->ops, 10 * (intmax_t)r->hist[0]->count);
    CHECK_EQ(r->hist[1]->max, 0);
    CHECK_EQ(r->backwards, r->hist[1]->count);
    CHECK_EQ(r->hist[2]->max, 5000 * 1000);
    CHECK_EQ(r->hist[3]->max, 250 * 1000);
}

/* One of 1000 bytes that ends every (pace). */
static uint64_t pace;

static void run_windows(struct run *r)
{
    struct window w = {.begin_ns = platform_clock()};

    while (run_more(r)) {
        now += pace;
        run_window(r, 0, &w, 1000);
    }
    run_window_end(r, 0, &w);
}

static const struct probe windows = {.run = run_windows,
                                     .series = {{.name = "a", .unit = "1/s", .more = true},
                                                {.name = "b", .unit = "MB/s", .more = true}}};

TEST(pvbench, windows_give_rates)
{
    const struct result *r;

    pace = 4000000; /* a window is three of them */
    options.seconds = 1;
    r = run_probe(&windows);
    CHECK_EQ(r->hist[0]->count, 83);
    CHECK_EQ(r->hist[0]->min, 250 * 1000);
    CHECK_EQ(r->hist[0]->max, 250 * 1000);
    CHECK_EQ(r->hist[1]->max, 250);
}

TEST(pvbench, a_window_that_is_not_full_counts_when_there_is_no_other)
{
    const struct result *r;

    pace = 100000;
    options.seconds = 1e-9;
    options.samples = 3;
    r = run_probe(&windows);
    CHECK_EQ(r->hist[0]->count, 1);
    CHECK_EQ(r->hist[0]->max, 10000 * 1000);
}

TEST(pvbench, a_rate_has_some_windows_however_short_the_run)
{
    const struct result *r;

    pace = 1000000;
    options.seconds = 0.001;
    r = run_probe(&windows);
    CHECK_EQ(r->hist[0]->count, 15);
}

static void run_hopeless(struct run *r)
{
    while (run_more(r))
        run_give_up(r, "no use");
}

TEST(pvbench, who_gives_up_is_not_asked_again)
{
    const struct probe p = {.run = run_hopeless, .series = {{.name = "x", .unit = "ns"}}};

    options.seconds = 1;
    CHECK_STR(run_probe(&p)->given_up, "no use");
}
