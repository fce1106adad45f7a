/* SPDX-License-Identifier: BSD-2-Clause */
/* The ChaCha20 block function, straight from RFC 8439: twenty rounds, alternately on the columns
 * and the diagonals of a 4 by 4 matrix of words, then the start is added. */
#include "lib/libc/chacha.h"

static uint32_t rotate(uint32_t x, unsigned n)
{
    return x << n | x >> (32 - n);
}

static void quarter_round(uint32_t s[16], unsigned a, unsigned b, unsigned c, unsigned d)
{
    s[a] += s[b], s[d] = rotate(s[d] ^ s[a], 16);
    s[c] += s[d], s[b] = rotate(s[b] ^ s[c], 12);
    s[a] += s[b], s[d] = rotate(s[d] ^ s[a], 8);
    s[c] += s[d], s[b] = rotate(s[b] ^ s[c], 7);
}

static void double_round(uint32_t s[16])
{
    for (unsigned i = 0; i < 4; i++)
        quarter_round(s, i, 4 + i, 8 + i, 12 + i);
    for (unsigned i = 0; i < 4; i++)
        quarter_round(s, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4);
}

void chacha20_block(const uint32_t key[8], uint32_t counter, const uint32_t nonce[3],
                    uint32_t out[16])
{
    uint32_t start[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574}; /* "expand 32-byte k" */

    for (unsigned i = 0; i < 8; i++)
        start[4 + i] = key[i];
    start[12] = counter;
    for (unsigned i = 0; i < 3; i++)
        start[13 + i] = nonce[i];
    for (unsigned i = 0; i < 16; i++)
        out[i] = start[i];
    for (unsigned i = 0; i < 10; i++)
        double_round(out);
    for (unsigned i = 0; i < 16; i++)
        out[i] += start[i];
}
