/* SPDX-License-Identifier: BSD-2-Clause */
/* All cases of this image. */
#include "tests/guest/census.h"
#include "tests/guest/kernel-threads/cases.h"

int main(int argc, char **argv)
{
    struct test_case all[64];
    size_t n = 0;

    for (size_t i = 0; i < nr_scheduler_cases; i++)
        all[n++] = scheduler_cases[i];
    for (size_t i = 0; i < nr_lock_cases; i++)
        all[n++] = lock_cases[i];
    for (size_t i = 0; i < nr_state_cases; i++)
        all[n++] = state_cases[i];
    return census_all(all, n, argc, argv);
}
