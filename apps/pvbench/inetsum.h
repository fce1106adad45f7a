/* SPDX-License-Identifier: BSD-2-Clause */
/* The Internet checksum (RFC 1071), for the frames and echoes that probes make themselves. */
#ifndef PVBENCH_INETSUM_H
#define PVBENCH_INETSUM_H

#include <stddef.h>
#include <stdint.h>

/* Of an even number of bytes, in host order. */
static inline uint16_t inet_sum(const uint8_t *data, size_t len)
{
    uint32_t sum = 0;

    for (size_t i = 0; i + 1 < len; i += 2)
        sum += (uint32_t)(data[i] << 8 | data[i + 1]);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

#endif
