/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hostile block backends, a case each. Which cases of it there are: tests/hostile/README.md. What
 * all have in common is at the head of blk.c; the cases of single answers, indices and pages are
 * the tests hostile_... of tests/host/test_blkfront_hostile.c.
 */
#include <string.h>
#include "tests/host/fakexen.h"
#include "tests/host/test.h"
#include "tests/hostile/program.h"

FAKEXEN_BOOT(hostile_blk)

static uint8_t program[1 << 12];

static void run_random(unsigned n, size_t most)
{
    hostile_blk_prepare();
    for (unsigned i = 0; i < n; i++) {
        size_t size = 1 + test_random_below(most);

        for (size_t b = 0; b < size; b++)
            program[b] = (uint8_t)test_random();
        hostile_blk_run(program, size);
    }
    CHECK_EQ(hostile_blk_queues, 4);
}

TEST_RAM(hostile_blk, random_programs_short, HOSTILE_BLK_PAGES)
{
    run_random(200, 120);
    test_pass(); /* the grant table has grown; blk.c checks the rest */
}

TEST_RAM(hostile_blk, random_programs_long, HOSTILE_BLK_PAGES)
{
    run_random(20, sizeof(program));
    test_pass();
}
