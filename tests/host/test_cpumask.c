/* SPDX-License-Identifier: BSD-2-Clause */
/* Sets of CPUs, at the borders of their words. */
#include "kernel/cpumask.h"

#include "lib/base/macros.h"
#include "tests/host/test.h"

static const unsigned some[] = {0, 1, 63, 64, 127, 128, 200, CPU_MAX - 1};

static struct cpumask set_of_some(void)
{
    struct cpumask m = {{0}};

    for (size_t i = 0; i < ARRAY_SIZE(some); i++)
        CHECK(!cpumask_add(&m, some[i]));
    return m;
}

TEST(cpumask, begins_with_the_first)
{
    struct cpumask m = CPUMASK_FIRST;

    CHECK(cpumask_has(&m, 0));
    CHECK_EQ(cpumask_count(&m), 1);
    CHECK_EQ(cpumask_next(&m, 1), CPU_MAX);
}

TEST(cpumask, says_what_was_before)
{
    struct cpumask m = set_of_some();

    for (size_t i = 0; i < ARRAY_SIZE(some); i++) {
        CHECK(cpumask_add(&m, some[i]));
        CHECK_EQ(cpumask_count(&m), ARRAY_SIZE(some) - i);
        CHECK(cpumask_remove(&m, some[i]));
        CHECK(!cpumask_remove(&m, some[i]));
        CHECK(!cpumask_has(&m, some[i]));
    }
}

TEST(cpumask, visits_each_once_in_order)
{
    struct cpumask m = set_of_some(), none = {{0}};
    size_t n = 0;

    cpumask_for_each (cpu, &m) {
        CHECK(n < ARRAY_SIZE(some));
        CHECK_EQ(cpu, some[n]);
        n++;
    }
    CHECK_EQ(n, ARRAY_SIZE(some));
    cpumask_for_each (cpu, &none)
        CHECK(cpu == CPU_MAX);
}

TEST(cpumask, finds_the_next_from_anywhere)
{
    struct cpumask m = set_of_some();

    for (unsigned from = 0; from < CPU_MAX; from++) {
        unsigned next = from;

        while (next < CPU_MAX && !cpumask_has(&m, next))
            next++;
        CHECK_EQ(cpumask_next(&m, from), next);
    }
    CHECK_EQ(cpumask_next(&m, CPU_MAX), CPU_MAX);
}

TEST(cpumask, meets_only_those_with_a_common_member)
{
    struct cpumask a = {{0}}, b = {{0}};

    for (unsigned cpu = 0; cpu < CPU_MAX; cpu++)
        (void)cpumask_add(cpu % 2 == 0 ? &a : &b, cpu);
    CHECK(!cpumask_meets(&a, &b));
    (void)cpumask_add(&a, CPU_MAX - 1);
    CHECK(cpumask_meets(&a, &b));
    CHECK(cpumask_meets(&b, &a));
}
