/* SPDX-License-Identifier: BSD-2-Clause */
/* Several CPUs doing the same thing at once: common.c, and for Linux
 * bench/linux/pvbench/together.c. */
#ifndef PVBENCH_TOGETHER_H
#define PVBENCH_TOGETHER_H

#include "apps/pvbench/lists.h"

/* Reasons for struct probe's (absent). */
const char *absent_second_cpu(void);
const char *absent_fourth_cpu(void);

/* (n) threads, one on each of the first CPUs, call turn(arg) again and again: each round of (r), 20
 * ms long, is a sample of how many calls all of them made a second. */
void run_together(struct run *r, unsigned n, void (*turn)(void *arg), void *arg);

#endif
