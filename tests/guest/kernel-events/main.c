/* SPDX-License-Identifier: BSD-2-Clause */
/* All cases of this image. The kernel runs as domain 0, so its own domain number is known. */
#include "tests/guest/census.h"
#include "tests/guest/kernel-events/cases.h"

int main(int argc, char **argv)
{
    struct test_case all[64];
    size_t n = 0;

    for (size_t i = 0; i < nr_event_cases; i++)
        all[n++] = event_cases[i];
    for (size_t i = 0; i < nr_grant_cases; i++)
        all[n++] = grant_cases[i];
    for (size_t i = 0; i < nr_return_cases; i++)
        all[n++] = return_cases[i];
    return census_all(all, n, argc, argv);
}
