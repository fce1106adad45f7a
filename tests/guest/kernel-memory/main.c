/* SPDX-License-Identifier: BSD-2-Clause */
/* All cases of this image. */
#include "tests/guest/census.h"
#include "tests/guest/kernel-memory/cases.h"

int main(int argc, char **argv)
{
    struct test_case all[64];
    size_t n = 0;

    for (size_t i = 0; i < nr_trap_cases; i++)
        all[n++] = trap_cases[i];
    for (size_t i = 0; i < nr_table_cases; i++)
        all[n++] = table_cases[i];
    for (size_t i = 0; i < nr_storm_cases; i++)
        all[n++] = storm_cases[i];
    return census_all(all, n, argc, argv);
}
