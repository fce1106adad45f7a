/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The frame of guest tests of the kernel itself: as check.h, and after each case pages, grants,
 * ports and threads must be back where they were. Tables that are made once and kept (page tables
 * of the windows, grant frames, event words) may cost pages at first: a case that leaves fewer
 * pages is run again, and one of its CENSUS_RUNS must leave none.
 *
 * Arguments: only=TEXT runs the cases whose name contains it, repeat=N all of them N times.
 */
#ifndef TESTS_GUEST_CENSUS_H
#define TESTS_GUEST_CENSUS_H

#include <stdlib.h>
#include "kernel/evtchn.h"
#include "kernel/grant.h"
#include "kernel/heap.h"
#include "kernel/page.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "tests/guest/check.h"

struct census {
    size_t pages;
    unsigned grants, ports, threads;
};

static inline struct census census_take(void)
{
    heap_trim();
    return (struct census){page_count_free(), grant_count_used(), evtchn_count_bound(),
                           thread_count()};
}

static inline bool census_same(const struct census *a, const struct census *b)
{
    return a->pages == b->pages && a->grants == b->grants && a->ports == b->ports &&
           a->threads == b->threads;
}

#define CENSUS_RUNS 5

/* Ended threads and quarantined pages take a moment to go. */
static inline struct census census_settle(const struct census *before)
{
    struct census now = census_take();

    for (int i = 0; i < 100 && !census_same(before, &now); i++) {
        thread_sleep_until(time_now() + 10 * NSEC_PER_MSEC);
        now = census_take();
    }
    return now;
}

/* Why the census differs into check_reason; true when it does not. */
static inline bool census_check(const struct census *a, const struct census *b)
{
    if (census_same(a, b))
        return true;
    snprintf(check_reason, sizeof(check_reason),
             "census: pages %+ld, grants %+d, ports %+d, threads %+d", (long)(b->pages - a->pages),
             (int)(b->grants - a->grants), (int)(b->ports - a->ports),
             (int)(b->threads - a->threads));
    return false;
}

/* The case itself. What it starts is kept on CPU 0 as well, where events without a CPU of their own
 * arrive, when it is about one CPU. */
static inline void census_call(const struct test_case *c)
{
    static const struct cpumask first = CPUMASK_FIRST;
    struct cpumask before;

    thread_get_affinity(thread_current(), &before);
    if (c->one_cpu)
        thread_set_affinity(thread_current(), &first);
    c->fn();
    thread_set_affinity(thread_current(), &before);
}

static inline void census_run(const struct test_case *c)
{
    for (int run = 0; run < CENSUS_RUNS; run++) {
        struct census before = census_take(), after;

        check_reason[0] = '\0';
        census_call(c);
        if (check_reason[0] != '\0')
            return;
        after = census_settle(&before);
        if (census_check(&before, &after))
            return;
        if (after.grants != before.grants || after.ports != before.ports ||
            after.threads != before.threads)
            return;
    }
}

static inline const char *census_option(int argc, char **argv, const char *name)
{
    for (int i = 1; i < argc; i++)
        if (strncmp(argv[i], name, strlen(name)) == 0)
            return argv[i] + strlen(name);
    return NULL;
}

static inline int census_all(const struct test_case *cases, size_t n, int argc, char **argv)
{
    const char *only = census_option(argc, argv, "only=");
    const char *repeat = census_option(argc, argv, "repeat=");
    unsigned passed = 0, failed = 0;

    printf("first case\n"); /* what printf allocates once is allocated now */
    for (int round = repeat ? atoi(repeat) : 1; round > 0; round--) {
        for (size_t i = 0; i < n; i++) {
            if (only && !strstr(cases[i].name, only))
                continue;
            census_run(&cases[i]);
            *(check_reason[0] == '\0' ? &passed : &failed) += 1;
            printf("%s %s%s%s\n", check_reason[0] == '\0' ? "PASS" : "FAIL", cases[i].name,
                   check_reason[0] == '\0' ? "" : ": ", check_reason);
        }
    }
    printf("%u passed, %u failed\n", passed, failed);
    return failed != 0;
}

#endif
