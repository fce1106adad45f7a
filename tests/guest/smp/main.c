/* SPDX-License-Identifier: BSD-2-Clause */
/* All cases of this image; those that need two CPUs only where there are two. */
#include <stdarg.h>
#include "kernel/spinlock.h"
#include "lib/base/format.h"
#include "tests/guest/census.h"
#include "tests/guest/smp/cases.h"

static struct spinlock lock = SPINLOCK_INIT;

void complain(const char *fmt, ...)
{
    irqstate_t irq = spin_lock(&lock);
    va_list ap;

    va_start(ap, fmt);
    if (check_reason[0] == '\0')
        (void)vformat(check_reason, sizeof(check_reason), fmt, ap);
    va_end(ap);
    spin_unlock(&lock, irq);
}

bool complained(void)
{
    return *(volatile char *)check_reason != '\0';
}

static struct test_case all[80];
static size_t n, nr_left_out;

static void add(const struct test_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++)
        all[n++] = cases[i];
}

/* part=threads: without those of CPUs that go and come; part=hotplug: only those. */
static bool wanted(int argc, char **argv, const char *part)
{
    const char *only = census_option(argc, argv, "part=");

    return !only || strcmp(only, part) == 0;
}

static void add_pair(const struct test_case *cases, size_t count)
{
    if (cpus_count() > 1)
        add(cases, count);
    else
        nr_left_out += count;
}

static void add_threads(void)
{
    add(sched_cases, nr_sched_cases);
    add_pair(pair_sched_cases, nr_pair_sched_cases);
    add(lock_cases, nr_lock_cases);
    add_pair(pair_lock_cases, nr_pair_lock_cases);
    add(timer_cases, nr_timer_cases);
    add_pair(pair_timer_cases, nr_pair_timer_cases);
    add(event_cases, nr_event_cases);
    add_pair(pair_event_cases, nr_pair_event_cases);
    add(memory_cases, nr_memory_cases);
    add_pair(pair_memory_cases, nr_pair_memory_cases);
}

int main(int argc, char **argv)
{
    if (wanted(argc, argv, "threads"))
        add_threads();
    if (wanted(argc, argv, "hotplug"))
        add_pair(pair_hotplug_cases, nr_pair_hotplug_cases);
    printf("%u CPUs of %u\n", cpus_count(), cpus_possible());
    if (nr_left_out > 0)
        printf("one CPU: %zu cases that need two are left out\n", nr_left_out);
    return census_all(all, n, argc, argv);
}
