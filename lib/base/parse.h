/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Strict parsing of text that another domain or a user wrote: the whole string must match,
 * no white space, no sign, bounds on every number. Nothing is stored on failure.
 */
#ifndef LIB_BASE_PARSE_H
#define LIB_BASE_PARSE_H

#include <stddef.h>
#include <stdint.h>
#include "lib/base/macros.h"

/* Decimal number in [min, max]. 0, -EINVAL (not a number) or -ERANGE. */
int parse_u64(const char *s, uint64_t min, uint64_t max, uint64_t *out) MUST_CHECK;
int parse_u32(const char *s, uint32_t min, uint32_t max, uint32_t *out) MUST_CHECK;

/* "00:16:3e:01:02:03" into six bytes. 0 or -EINVAL. */
int parse_mac(const char *s, uint8_t mac[6]) MUST_CHECK;

#endif
