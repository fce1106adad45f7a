/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pvbench: how long Xen's primitives take, seen from inside a domain.
 *
 *   pvbench [PREFIX]... [--seconds S] [--samples N] [--json] [--destroy] [--peer ADDRESS]
 *           [--await-peer] | --serve DOMAIN | --list | --check
 *
 * Runs the probes whose name begins with one of the prefixes (all without one), each for S seconds
 * (1) or N samples. --destroy allows those that overwrite the disk. --peer names what answers to
 * net.* (bench/dom0/peer echo, in dom0), --await-peer waits for another domain's `pvbench --serve
 * DOMAIN`. --check is the test: a moment of each probe, and whether what it says is plausible.
 * docs/measuring.md explains every probe.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "apps/pvbench/hist.h"
#include "apps/pvbench/probe.h"

#define USAGE                                                                              \
    "usage: pvbench [PREFIX]... [--seconds S] [--samples N] [--json] [--destroy] [--peer " \
    "ADDRESS]\n               [--await-peer] | --serve DOMAIN | --list | --check\n"

#define CHECK_SECONDS 0.01
#define CHECK_SAMPLES 20

struct options options = {.seconds = 1};

static const char **prefixes;
static unsigned nr_prefixes;

static bool is_wanted(const struct probe *p)
{
    for (unsigned i = 0; i < nr_prefixes; i++)
        for (unsigned s = 0; s < probe_series(p); s++)
            if (strncmp(p->series[s].name, prefixes[i], strlen(prefixes[i])) == 0)
                return true;
    return nr_prefixes == 0;
}

/* "" is no number, and neither is what has something behind it. */
static bool positive(const char *text, double *out)
{
    char *end;

    *out = strtod(text, &end);
    return end != text && *end == '\0' && *out > 0;
}

/* True: (word) is one of these, and what it asks for is noted. */
static bool take_flag(const char *word)
{
    const struct {
        const char *word;
        bool *flag;
    } flags[] = {{"--json", &options.json},
                 {"--destroy", &options.destroy},
                 {"--list", &options.list},
                 {"--check", &options.check}};

    for (unsigned i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        if (strcmp(word, flags[i].word) == 0) {
            *flags[i].flag = true;
            return true;
        }
    }
    if (strcmp(word, "--await-peer") == 0)
        options.await = word;
    return options.await == word;
}

static bool take_value(const char *word, const char *value)
{
    double number;

    if (value == NULL)
        return false;
    if (strcmp(word, "--seconds") == 0)
        return positive(value, &options.seconds);
    if (strcmp(word, "--samples") == 0 && positive(value, &number)) {
        options.samples = (uint64_t)number;
        return options.samples > 0;
    }
    if (strcmp(word, "--peer") == 0)
        options.peer = value;
    else if (strcmp(word, "--serve") == 0)
        options.serve = value;
    else
        return false;
    return true;
}

static bool take_words(int argc, char **argv)
{
    prefixes = calloc((size_t)argc + 1, sizeof(*prefixes));
    if (prefixes == NULL)
        return false;
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--", 2) != 0) {
            prefixes[nr_prefixes++] = argv[i];
        } else if (!take_flag(argv[i])) {
            if (!take_value(argv[i], i + 1 < argc ? argv[i + 1] : NULL)) {
                printf("pvbench: %s is not understood\n" USAGE, argv[i]);
                return false;
            }
            i++;
        }
    }
    return true;
}

/* Why (p) will not run, or NULL. */
static const char *obstacle(const struct probe *p)
{
    const char *why = p->absent ? p->absent() : NULL;

    return why == NULL && p->destroys && !options.destroy ? "it overwrites the disk: say --destroy"
                                                          : why;
}

static void list_all(void)
{
    const struct probe *p;

    for (unsigned n = 0; (p = probe_get(n)) != NULL; n++)
        for (unsigned i = 0; i < probe_series(p) && is_wanted(p); i++)
            printf("%-30s %-6s %s\n", p->series[i].name, p->series[i].unit,
                   p->destroys ? "needs --destroy" : "");
}

/* How many of the probes gave figures. */
static unsigned run_all(void)
{
    const struct probe *p;
    unsigned done = 0;

    report_head();
    for (unsigned n = 0; (p = probe_get(n)) != NULL; n++) {
        const char *why = is_wanted(p) ? obstacle(p) : NULL;
        const struct result *r;

        if (!is_wanted(p))
            continue;
        r = why == NULL ? run_probe(p) : NULL;
        why = r != NULL ? r->given_up : why;
        if (why != NULL)
            report_skipped(p, why);
        else
            report_result(r);
        done += why == NULL;
    }
    return done;
}

/* Every figure is a number that can be; its distribution is in order. */
const char *check_result(const struct result *r)
{
    for (unsigned i = 0; i < r->nr_series; i++) {
        const struct hist *h = r->hist[i];

        if (h->count == 0)
            return "no sample";
        if (h->min > hist_quantile(h, 500) || hist_quantile(h, 500) > hist_quantile(h, 999) ||
            hist_quantile(h, 999) > h->max)
            return "quantiles out of order";
        if (hist_mean(h) < (double)h->min || hist_mean(h) > (double)h->max * (1 + 1e-9))
            return "a mean outside of what was measured";
        if (strcmp(r->probe->series[i].unit, "ns") == 0 && h->min > 60000ULL * 1000000000)
            return "more than a minute";
    }
    return r->clock_ratio > 0 ? NULL : "a counter that stands still";
}

/* The frame of the guest tests: PASS or FAIL for each, the sum at the end. */
static int check_all(void)
{
    const struct probe *p;
    unsigned passed = 0, failed = 0;

    options.seconds = CHECK_SECONDS;
    options.samples = CHECK_SAMPLES;
    for (unsigned n = 0; (p = probe_get(n)) != NULL; n++) {
        const char *absent = is_wanted(p) ? obstacle(p) : NULL, *why = absent;

        if (!is_wanted(p))
            continue;
        if (absent == NULL) {
            const struct result *r = run_probe(p);

            why = r->given_up ? r->given_up : check_result(r);
        }
        *(why == absent ? &passed : &failed) += 1;
        printf("%s %s%s%s\n", why == absent ? "PASS" : "FAIL", p->series[0].name,
               absent ? " skipped: "
               : why  ? ": "
                      : "",
               why ? why : "");
    }
    printf("%u passed, %u failed\n", passed, failed);
    return failed != 0;
}

int main(int argc, char **argv)
{
    if (!take_words(argc, argv))
        return 64;
    if (options.list) {
        list_all();
        return 0;
    }
    platform_init();
    if (options.serve != NULL)
        return platform_serve();
    if (options.check)
        return check_all();
    if (run_all() == 0) {
        printf("pvbench: nothing could be measured; --list names the probes\n");
        return 1;
    }
    printf("# pvbench: done\n");
    return 0;
}
