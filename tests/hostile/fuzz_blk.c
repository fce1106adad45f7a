/* SPDX-License-Identifier: BSD-2-Clause */
/* libFuzzer's way to programs of hostile acts against blkfront. */
#include "tests/host/fakexen.h"
#include "tests/host/fuzz.h"
#include "tests/hostile/program.h"

FAKEXEN_BOOT(fuzz)

size_t fuzz_ram_pages = HOSTILE_BLK_PAGES;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool prepared;

    if (!prepared)
        hostile_blk_prepare();
    prepared = true;
    fuzz_run(hostile_blk_run, data, size);
    return 0;
}
