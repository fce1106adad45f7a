/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbers and sums as they lie in packets. */
#ifndef TESTS_HOST_PACKET_H
#define TESTS_HOST_PACKET_H

#include <stdint.h>

static inline void put(uint8_t *p, unsigned bytes, uint32_t value)
{
    while (bytes-- > 0) {
        p[bytes] = (uint8_t)value;
        value >>= 8;
    }
}

static inline uint32_t get(const uint8_t *p, unsigned bytes)
{
    uint32_t value = 0;

    while (bytes-- > 0)
        value = value << 8 | *p++;
    return value;
}

static inline uint32_t sum_of(const uint8_t *p, unsigned bytes, uint32_t sum)
{
    for (unsigned i = 0; i < bytes; i += 2)
        sum += get(p + i, 2);
    while (sum > 0xffff)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

#endif
