/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Results as a table for people and, with --json, as lines of JSON for programs (bench/report reads
 * them out of a console's log, whatever stands between them). A line of JSON is one object:
 *
 *   {"pvbench": 1, "conditions": {...}}                       first
 *   {"name": ..., "unit": ..., "better": "lower"|"higher", "min" .. "buckets": [value, count, ...]}
 *   {"skipped": NAME, "reason": ...}
 */
#include <inttypes.h>
#include <string.h>
#include "apps/pvbench/hist.h"
#include "apps/pvbench/probe.h"

static const struct quantile {
    const char *name;
    unsigned per_mille;
} quantiles[] = {{"p50", 500}, {"p90", 900}, {"p99", 990}, {"p99.9", 999}};
#define QUANTILES (sizeof(quantiles) / sizeof(quantiles[0]))

void report_head(void)
{
    if (options.json) {
        printf("{\"pvbench\": 1, \"conditions\": {\"bucket_error\": %.4f, \"seconds\": %.3f, ",
               0.5 / (1 << HIST_BITS), options.seconds);
        platform_conditions(stdout);
        printf("}}\n");
    } else {
        printf("# {");
        platform_conditions(stdout);
        printf("}\n# quantiles within %.1f %%\n", 50.0 / (1 << HIST_BITS));
    }
    printf("%s%-30s %-6s %9s %9s %9s %9s %9s %9s  %-18s %9s\n", options.json ? "# " : "", "probe",
           "unit", "min", "p50", "p90", "p99", "p99.9", "max", "mean", "samples");
}

/* Thousandths of a unit in nine characters. */
static void print_number(double thousandths)
{
    double value = thousandths / 1000;

    printf(" %9.*f", value < 100 ? 2 : value < 10000 ? 1 : 0, value);
}

static void print_mean(const struct hist *h)
{
    char text[40];
    double ci = hist_ci(h) / 1000, mean = hist_mean(h) / 1000;
    int digits = mean < 100 ? 2 : mean < 10000 ? 1 : 0;

    if (hist_ci(h) < 0)
        snprintf(text, sizeof(text), "%.*f", digits, mean);
    else
        snprintf(text, sizeof(text), "%.*f +- %.*f", digits, mean, digits, ci);
    printf("  %-18s", text);
}

static void print_row(const struct series *s, const struct hist *h)
{
    printf("%s%-30s %-6s", options.json ? "# " : "", s->name, s->unit);
    if (h->count == 0) {
        printf(" no sample\n");
        return;
    }
    print_number((double)h->min);
    for (unsigned q = 0; q < QUANTILES; q++)
        print_number((double)hist_quantile(h, quantiles[q].per_mille));
    print_number((double)h->max);
    print_mean(h);
    printf(" %9" PRIu64 "\n", h->count);
}

static void print_buckets(const struct hist *h)
{
    const char *comma = "";

    printf("\"buckets\": [");
    for (unsigned i = 0; i < HIST_BUCKETS; i++) {
        if (h->bucket[i] == 0)
            continue;
        printf("%s%" PRIu64 ", %" PRIu32, comma, hist_value(i), h->bucket[i]);
        comma = ", ";
    }
    printf("]");
}

static void print_json(const struct result *r, const struct series *s, const struct hist *h)
{
    double ops = r->ops ? (double)r->ops : 1;

    printf("{\"name\": \"%s\", \"unit\": \"%s\", \"better\": \"%s\", \"count\": %" PRIu64 ", ",
           s->name, s->unit, s->more ? "higher" : "lower", h->count);
    if (h->count > 0) {
        printf("\"min\": %.3f, ", (double)h->min / 1000);
        for (unsigned q = 0; q < QUANTILES; q++)
            printf("\"%s\": %.3f, ", quantiles[q].name,
                   (double)hist_quantile(h, quantiles[q].per_mille) / 1000);
        printf("\"max\": %.3f, \"mean\": %.3f, ", (double)h->max / 1000, hist_mean(h) / 1000);
    }
    if (hist_ci(h) >= 0)
        printf("\"ci\": %.3f, ", hist_ci(h) / 1000);
    printf("\"run\": %u, \"ops\": %" PRIu64 ", ", r->number, r->ops);
    if (r->disturbed.hypercalls != NOT_COUNTED)
        printf("\"hypercalls_per_op\": %.3f, ", (double)r->disturbed.hypercalls / ops);
    printf("\"overhead\": %.3f, \"steal_ns\": %" PRIu64 ", \"preemptions\": %" PRIu64
           ", \"events_per_op\": %.3f, \"clock_ratio\": %.6f, \"backwards\": %" PRIu64 ", ",
           (double)r->overhead / 1000, r->disturbed.steal_ns, r->disturbed.preemptions,
           (double)r->disturbed.events / ops, r->clock_ratio, r->backwards);
    print_buckets(h);
    printf("}\n");
}

/* What made the figures worse than they need be, or doubtful. */
static void print_disturbance(const struct result *r)
{
    const struct counters *d = &r->disturbed;
    bool clocks = r->clock_ratio < 0.999 || r->clock_ratio > 1.001;

    if (d->steal_ns == 0 && r->backwards == 0 && !clocks)
        return;
    printf("#   meanwhile: %" PRIu64 " us waiting for a CPU of the host, %" PRIu64 " preemptions",
           d->steal_ns / 1000, d->preemptions);
    if (r->backwards > 0)
        printf(", %" PRIu64 " intervals that ended before they began", r->backwards);
    if (clocks)
        printf(", counter and clock differ by %.2f %%", (r->clock_ratio - 1) * 100);
    printf("\n");
}

void report_result(const struct result *r)
{
    for (unsigned i = 0; i < r->nr_series; i++) {
        print_row(&r->probe->series[i], r->hist[i]);
        if (options.json)
            print_json(r, &r->probe->series[i], r->hist[i]);
    }
    print_disturbance(r);
    fflush(stdout);
}

void report_skipped(const struct probe *p, const char *why)
{
    for (unsigned i = 0; i < probe_series(p); i++) {
        if (options.json)
            printf("{\"skipped\": \"%s\", \"reason\": \"%s\"}\n", p->series[i].name, why);
        else
            printf("%-30s skipped: %s\n", p->series[i].name, why);
    }
    fflush(stdout);
}
