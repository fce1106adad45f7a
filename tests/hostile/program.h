/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Programs of hostile acts: bytes, each a backend's act or a guest's, made by a fuzzer or at
 * random. Whatever they say, a program ends with an honest backend, and with that the device must
 * work, nothing may be left of the acts, and every transfer must have ended once.
 */
#ifndef TESTS_HOSTILE_PROGRAM_H
#define TESTS_HOSTILE_PROGRAM_H

#include <stddef.h>
#include <stdint.h>

struct program {
    const uint8_t *at, *end;
};

/* The next byte, 0 at the end. */
static inline unsigned program_byte(struct program *p)
{
    return p->at < p->end ? *p->at++ : 0;
}

static inline uint32_t program_word(struct program *p)
{
    uint32_t word = program_byte(p);

    for (unsigned i = 0; i < 3; i++)
        word = word << 8 | program_byte(p);
    return word;
}

#define HOSTILE_BLK_PAGES 16384 /* memory for several queues */

/* The most that a program had. */
extern unsigned hostile_blk_queues;

/* Once, before the first program. */
void hostile_blk_prepare(void);
/* Against blkfront. Fails the test, or returns with everything as it was. */
void hostile_blk_run(const uint8_t *data, size_t size);

#endif
