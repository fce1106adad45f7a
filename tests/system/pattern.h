/* SPDX-License-Identifier: BSD-2-Clause */
/* What streams and disks hold in the tests: every 64-bit word tells where it belongs. */
#ifndef TESTS_SYSTEM_PATTERN_H
#define TESTS_SYSTEM_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PATTERN_BLOCK 4096u
#define PATTERN_WORDS (PATTERN_BLOCK / sizeof(uint64_t))
#define PATTERN_MIX 0x9e3779b97f4a7c15u

/* (n) words of a stream, from word (first) on. */
static inline void stream_fill(uint64_t *to, uint64_t first, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = (first + i + 1) * PATTERN_MIX;
}

static inline bool stream_right(const uint64_t *from, uint64_t first, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (from[i] != (first + i + 1) * PATTERN_MIX)
            return false;
    return true;
}

/* A block of a disk, written for the (version)th time; word 0 says both. */
static inline void block_fill(uint64_t *to, uint32_t block, uint32_t version)
{
    uint64_t id = (uint64_t)block << 32 | version;

    to[0] = id;
    for (size_t i = 1; i < PATTERN_WORDS; i++)
        to[i] = (id + i) * PATTERN_MIX;
}

static inline bool block_right(const uint64_t *from, uint32_t block, uint32_t version)
{
    uint64_t id = (uint64_t)block << 32 | version;

    for (size_t i = 1; i < PATTERN_WORDS; i++)
        if (from[i] != (id + i) * PATTERN_MIX)
            return false;
    return from[0] == id;
}

/* The sum over a disk's versions, block by block in order; it starts with 0. */
static inline uint64_t versions_add(uint64_t sum, uint32_t version)
{
    return (sum ^ version) * PATTERN_MIX + 1;
}

#endif
