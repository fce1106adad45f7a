/* SPDX-License-Identifier: BSD-2-Clause */
/* kernel/cpus.h on the host: a set of CPUs that a test decides about, and a note of every attempt.
 */
#include "kernel/cpus.h"

#include <stdio.h>
#include <string.h>
#include "lib/base/errno.h"
#include "tests/host/hostarch.h"

struct cpumask host_cpus_online = CPUMASK_FIRST;
unsigned host_cpus_possible = 1;
char host_cpus_notes[256];
int host_cpus_error;

const struct cpumask *cpus_online(void)
{
    return &host_cpus_online;
}

unsigned cpus_count(void)
{
    return cpumask_count(&host_cpus_online);
}

unsigned cpus_known(void)
{
    return host_cpus_possible;
}

unsigned cpus_possible(void)
{
    return host_cpus_possible;
}

/* What it returns instead of doing it. */
static int attempt(char what, unsigned cpu)
{
    size_t len = strlen(host_cpus_notes);
    int rc = host_cpus_error;

    snprintf(host_cpus_notes + len, sizeof(host_cpus_notes) - len, "%c%u ", what, cpu);
    host_cpus_error = 0;
    return rc;
}

int cpus_bring_up(unsigned cpu)
{
    int rc = attempt('+', cpu);

    if (rc == 0)
        (void)cpumask_add(&host_cpus_online, cpu);
    return rc;
}

int cpus_take_down(unsigned cpu)
{
    int rc = attempt('-', cpu);

    if (rc == 0 && cpu == 0)
        rc = -EBUSY;
    if (rc == 0)
        (void)cpumask_remove(&host_cpus_online, cpu);
    return rc;
}
