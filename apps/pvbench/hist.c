/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/pvbench/hist.h"

#include <math.h>
#include <string.h>

#define SUB (1u << HIST_BITS)
#define FEW 4 /* batches without which no interval is given */

void hist_init(struct hist *h)
{
    memset(h, 0, sizeof(*h));
    h->min = UINT64_MAX;
    h->batch_size = 1;
}

/* Values below 2 * SUB are buckets of their own; above, the first HIST_BITS + 1 bits choose. */
static unsigned index_of(uint64_t value)
{
    unsigned top = 63 - (unsigned)__builtin_clzll(value | SUB), shift = top - HIST_BITS;

    return (shift << HIST_BITS) + (unsigned)(value >> shift);
}

uint64_t hist_value(unsigned i)
{
    unsigned shift = i < 2 * SUB ? 0 : (i >> HIST_BITS) - 1;
    uint64_t low = (uint64_t)(i - (shift << HIST_BITS)) << shift;

    return low + ((1ULL << shift) >> 1); /* H1 */
}

/* H2: each two become one. */
static void merge_batches(struct hist *h)
{
    for (unsigned i = 0; i < HIST_BATCHES / 2; i++)
        h->batch[i] = h->batch[2 * i] + h->batch[2 * i + 1];
    memset(&h->batch[HIST_BATCHES / 2], 0, sizeof(h->batch) / 2);
    h->nr_batches = HIST_BATCHES / 2;
    h->batch_size *= 2;
}

static void add_to_batch(struct hist *h, uint64_t value)
{
    h->batch[h->nr_batches] += (double)value;
    if (++h->batch_fill < h->batch_size)
        return;
    h->batch_fill = 0;
    if (++h->nr_batches == HIST_BATCHES)
        merge_batches(h);
}

void hist_add(struct hist *h, uint64_t value)
{
    h->count++;
    h->sum += (double)value;
    h->min = value < h->min ? value : h->min;
    h->max = value > h->max ? value : h->max;
    h->bucket[index_of(value)]++;
    add_to_batch(h, value);
}

static uint64_t within(const struct hist *h, uint64_t value)
{
    return value < h->min ? h->min : value > h->max ? h->max : value;
}

uint64_t hist_quantile(const struct hist *h, unsigned per_mille)
{
    uint64_t rank = (h->count * per_mille + 999) / 1000, seen = 0;

    if (h->count == 0)
        return 0;
    if (rank == h->count)
        return h->max;
    for (unsigned i = 0; i < HIST_BUCKETS; i++) {
        seen += h->bucket[i];
        if (seen >= rank && seen > 0)
            return within(h, hist_value(i));
    }
    return h->max;
}

double hist_mean(const struct hist *h)
{
    return h->count ? h->sum / (double)h->count : 0;
}

/* Student's t for 95 % and (df) >= 3 degrees of freedom: the first terms of its expansion. */
static double student(double df)
{
    return 1.96 + 2.372 / df + 2.822 / (df * df) + 2.556 / (df * df * df);
}

double hist_ci(const struct hist *h)
{
    double mean = 0, squares = 0, n = h->nr_batches;

    if (h->nr_batches < FEW)
        return -1;
    for (unsigned i = 0; i < h->nr_batches; i++)
        mean += h->batch[i] / n;
    for (unsigned i = 0; i < h->nr_batches; i++)
        squares += (h->batch[i] - mean) * (h->batch[i] - mean);
    return student(n - 1) * sqrt(squares / (n - 1) / n) / (double)h->batch_size;
}
