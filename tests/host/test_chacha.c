/* SPDX-License-Identifier: BSD-2-Clause */
/* The block function against the vectors of RFC 8439, 2.3.2 and A.1. */
#include "lib/libc/chacha.h"

#include "tests/host/test.h"

TEST(chacha, matches_the_example_of_rfc_8439)
{
    static const uint32_t expected[16] = {
        0xe4e7f110, 0x15593bd1, 0x1fdd0f50, 0xc47120a3, 0xc7f4d1c7, 0x0368c033,
        0x9aaa2204, 0x4e6cd4c3, 0x466482d2, 0x09aa9f07, 0x05d7c214, 0xa2028bd9,
        0xd19c12b5, 0xb94e16de, 0xe883d0cb, 0x4e3c50a2,
    };
    static const uint32_t nonce[3] = {0x09000000, 0x4a000000, 0};
    uint32_t key[8], out[16];

    for (uint32_t i = 0; i < 8; i++)
        key[i] = 0x03020100 + i * 0x04040404;
    chacha20_block(key, 1, nonce, out);
    CHECK_MEM(out, expected, sizeof(out));
}

TEST(chacha, matches_the_zero_key_of_rfc_8439)
{
    static const uint8_t expected[16] = {0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90,
                                         0x40, 0x5d, 0x6a, 0xe5, 0x53, 0x86, 0xbd, 0x28};
    static const uint32_t key[8], nonce[3];
    uint32_t out[16];

    chacha20_block(key, 0, nonce, out);
    CHECK_MEM(out, expected, sizeof(expected));
}
