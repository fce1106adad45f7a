/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The first process of the Linux guest: says how long after the start of the kernel's clock it
 * began, as bench/apps/firstline does, and sleeps. Linux starts its clock a little after the domain
 * was entered, which is in its favour.
 */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

int main(void)
{
    struct timespec now;

    clock_gettime(CLOCK_BOOTTIME, &now);
    printf("main: %lld us after entry\n", now.tv_sec * 1000000LL + now.tv_nsec / 1000);
    fflush(stdout);
    for (;;)
        pause();
}
