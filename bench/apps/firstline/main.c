/* SPDX-License-Identifier: BSD-2-Clause */
/* The first thing a program can do: say how long after the domain's entry it began, by the guest's
 * own clock. bench/linux/init.c is the same for Linux. */
#include <stdio.h>
#include "kernel/time.h"

int main(void)
{
    nsec_t since_entry = time_now() - clock_entry();

    printf("main: %llu us after entry\n", (unsigned long long)since_entry / 1000);
    return 0;
}
