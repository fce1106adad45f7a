/* SPDX-License-Identifier: BSD-2-Clause */
/* The ChaCha20 block function of RFC 8439, section 2.3. */
#ifndef LIB_LIBC_CHACHA_H
#define LIB_LIBC_CHACHA_H

#include <stdint.h>

/* 64 bytes of key stream, as 16 little-endian words, for (key, counter, nonce). */
void chacha20_block(const uint32_t key[8], uint32_t counter, const uint32_t nonce[3],
                    uint32_t out[16]);

#endif
