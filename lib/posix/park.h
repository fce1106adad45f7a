/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Parking: wait until a 32-bit word changes. All of pthreads' objects are such words (newlib
 * declares them so), and this is all the waiting they need: no memory to allocate, nothing to free.
 */
#ifndef LIB_POSIX_PARK_H
#define LIB_POSIX_PARK_H

#include <stdbool.h>
#include <stdint.h>
#include <arch/clock.h>

#define PARK_ALL (~0u)

/* Sleep if *(word) is (expected), until park_wake(word) or (deadline). 0: woken; -EAGAIN: the word
 * had another value; -ETIMEDOUT. Thread context. */
int park_wait(const uint32_t *word, uint32_t expected, nsec_t deadline);

/* Wake at most (n) that wait on (word), the longest waiting first. (word) is only an address here:
 * the memory behind it may be gone. Any context. */
void park_wake(const uint32_t *word, unsigned n);

/* A meeting is a word, too: how many it takes below PARK_MEETING_ONE, and as many times
 * PARK_MEETING_ONE as have come. Sleep until all have; true for the last one, who wakes the others
 * and does not sleep. Then the next meeting begins. Once one has returned nobody of this meeting
 * looks at the word any more. Thread context. */
#define PARK_MEETING_ONE (1u << 16)
bool park_meet(uint32_t *word);

#endif
