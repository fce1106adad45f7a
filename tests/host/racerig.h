/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For what runs in threads, on several CPUs at once, under the thread sanitizer (race_blk.c,
 * race_net.c, race_store.c, race_console.c): threads of the host, over which the real wait queues
 * and mutexes stand; memory and grants that are counted; no options, no log.
 */
#ifndef TESTS_HOST_RACERIG_H
#define TESTS_HOST_RACERIG_H

#include <stdbool.h>
#include <stdint.h>
#include "kernel/grant.h"
#include "kernel/thread.h"

#define RACE_CPUS 4

/* First of all: the calling thread becomes one of ours; all ends after (seconds). */
void race_begin(unsigned seconds);
uint32_t random_below(uint32_t n);

/* What was taken and not given back. */
extern unsigned live_threads, pages_out, heap_out, grants_out;
/* Each scene in a process of its own, by its number. 0: all went well; those that did not are
 * named. */
int race_scenes(unsigned nr, const char *const names[], void (*run)(unsigned scene));

/* What the clock is ahead of the host's. */
extern nsec_t skipped;

/* Told of every message, as long as it is set. */
extern void (*race_on_log)(const char *fmt);

/* xb_await's answer of a backend that sets (connected), once the frontend has set (initialised). */
int race_await(const bool *initialised, const bool *connected, nsec_t deadline);

/* The page that is granted as (ref), which is in use. */
void *mapped(gref_t ref);

#endif
