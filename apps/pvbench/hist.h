/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A distribution of samples in constant memory: logarithmic buckets, each divided in 128, as HDR
 * histograms have them. No sample is ever left out.
 *
 * H1 A value that is read back from a bucket is its middle, at most 1/256 (0.4 %) from what was
 *    added. Values below 256, min, max, count and mean are exact.
 * H2 The confidence interval of the mean is that of batch means: samples that follow each other are
 *    alike (caches, a busy host), so they are averaged in batches, in order, and the batches are
 *    what counts as independent. Their number stays within 32 and 63: when there are 64, each two
 *    become one.
 */
#ifndef PVBENCH_HIST_H
#define PVBENCH_HIST_H

#include <stdint.h>

#define HIST_BITS 7
#define HIST_BUCKETS (((64 - HIST_BITS - 1) << HIST_BITS) + (2 << HIST_BITS))
#define HIST_BATCHES 64

struct hist {
    uint64_t count, min, max;
    double sum;
    uint32_t bucket[HIST_BUCKETS];
    double batch[HIST_BATCHES]; /* sums of full ones, and of the one that is filled */
    unsigned nr_batches;        /* full ones */
    uint64_t batch_size, batch_fill;
};

void hist_init(struct hist *h);
void hist_add(struct hist *h, uint64_t value);

/* The smallest value that at least (per_mille) of 1000 samples do not exceed; 0: no samples. */
uint64_t hist_quantile(const struct hist *h, unsigned per_mille);
double hist_mean(const struct hist *h);
/* Half the width of the mean's 95 % interval; -1: too few samples to say. */
double hist_ci(const struct hist *h);

/* What bucket (i) stands for. */
uint64_t hist_value(unsigned i);

#endif
