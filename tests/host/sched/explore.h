/* SPDX-License-Identifier: BSD-2-Clause */
/* What a scenario is, and what its threads may ask of the explorer (explore.c). */
#ifndef TESTS_HOST_SCHED_EXPLORE_H
#define TESTS_HOST_SCHED_EXPLORE_H

#include <stdbool.h>

struct scenario {
    const char *name;
    unsigned cpus;
    void (*run)(void); /* in thread "main", with all (cpus) up and idle */
    unsigned bound;    /* preemptions in the schedules that are tried exhaustively */
    bool hosts_whim;   /* a CPU that spins goes on spinning, as when the host runs no other */
};

extern const struct scenario scenarios[];
extern const unsigned nr_scenarios;

/* Run (upcalls come, preemption as well) until all other CPUs sleep or are here as well. Then what
 * inside_check knows was true. */
void explore_busy(void);
/* Ends the schedule as failed if (cond) is false. */
#define MUST(cond) \
    ((cond) ? (void)0 : machine_fail("%s:%d: not true: %s", __FILE__, __LINE__, #cond))

#endif
