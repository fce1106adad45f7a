/* SPDX-License-Identifier: BSD-2-Clause */
/* For fuzz targets that need the booted fake Xen: one input, with the census before and after it.
 */
#ifndef TESTS_HOST_FUZZ_H
#define TESTS_HOST_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The domain's memory, if a target defines it as more than HOST_RAM_PAGES: several queues need it.
 */
extern size_t fuzz_ram_pages;

void fuzz_run(void (*fn)(const uint8_t *data, size_t size), const uint8_t *data, size_t size);

/* A target that defines it as true runs each input by fuzz_apart: in a process of its own, from the
 * setups on, whose coverage is taken over. */
extern bool fuzz_forks;
void fuzz_setup(void);
void fuzz_apart(void (*fn)(const uint8_t *data, size_t size), const uint8_t *data, size_t size);

#endif
