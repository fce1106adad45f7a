/* SPDX-License-Identifier: BSD-2-Clause */
/* The fuzzers' entry point, also for tests that feed it themselves. */
#ifndef TESTS_HOST_FUZZ_EROFS_H
#define TESTS_HOST_FUZZ_EROFS_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#endif
