/* SPDX-License-Identifier: BSD-2-Clause */
/* THE CONTRACT, randomness: the CPU's own source of it. */
#ifndef ARCH_RANDOM_H
#define ARCH_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

/* 64 random bits; false when the CPU offers none (now, or at all). Any context. */
bool arch_random(uint64_t *out);

#endif
