/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the program `victim` shows of itself in a page that dom0 may map: it can be read at any
 * time, whatever happens to the domain's devices and to the store.
 */
#ifndef TESTS_SYSTEM_VITALS_H
#define TESTS_SYSTEM_VITALS_H

#include <stdint.h>

#define VITALS_MAGIC 0x7669746c73616779u
#define VITALS_CANARY 0xca5eca5eca5eca5eu /* fills memory that nobody outside may see */
#define VITALS_PLANTED 17 /* bytes from the end of the page data/canary, where one shows */

struct vitals {
    uint64_t magic;
    uint64_t beats;  /* of a thread of ordinary priority that sleeps 10 ms again and again */
    uint64_t stolen; /* ns in which the domain would have run, but another did */
    uint64_t rounds_good, rounds_bad; /* all of the disk written and read: right, or not */
    uint32_t grants, quarantined, ports, threads;
    uint64_t pages_free;
    uint32_t pause; /* dom0's: 1, and the program leaves its devices alone */
    uint32_t paused;
    uint32_t begun; /* dom0's: a bit for each backend of its own that was honest once */
};

#endif
