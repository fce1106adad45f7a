/* SPDX-License-Identifier: BSD-2-Clause */
/* For fuzz targets that need the booted fake Xen: one input, with the census before and after it.
 */
#ifndef TESTS_HOST_FUZZ_H
#define TESTS_HOST_FUZZ_H

#include <stddef.h>
#include <stdint.h>

void fuzz_run(void (*fn)(const uint8_t *data, size_t size), const uint8_t *data, size_t size);

#endif
