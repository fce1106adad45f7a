/* SPDX-License-Identifier: BSD-2-Clause */
/* For fuzz targets that need the booted fake Xen: one input, with the census before and after it.
 */
#ifndef TESTS_HOST_FUZZ_H
#define TESTS_HOST_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void fuzz_run(void (*fn)(const uint8_t *data, size_t size), const uint8_t *data, size_t size);

/* A target that defines it as true calls fuzz_setup itself, in a process for each input. */
extern bool fuzz_forks;
void fuzz_setup(void);

#endif
