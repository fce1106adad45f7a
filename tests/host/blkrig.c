/* SPDX-License-Identifier: BSD-2-Clause */
/* The disk, the transfers and the CPUs of blkrig.h. */
#include "tests/host/blkrig.h"

#include <string.h>
#include "kernel/cpumask.h"
#include "kernel/page.h"
#include "kernel/thread.h"
#include "tests/host/hostarch.h"
#include "tests/host/test.h"

FAKEXEN_BOOT(blkfront)

struct fake_blk blk;
struct blkfront *bf;

uint8_t buf[1 << 20], want[1 << 20];

int open_vbd(void)
{
    bf = NULL;
    return blkfront_open("51712", &bf);
}

void begin(void)
{
    fake_blk_create(&blk, "51712");
    CHECK_EQ(open_vbd(), 0);
}

void end(void)
{
    if (bf != NULL)
        blkfront_close(bf);
    bf = NULL;
    fake_blk_destroy(&blk);
    fakexen_store_rm(FAKE_HOME "/error");
    fakexen_settle();
    host_advance(10 * NSEC_PER_SEC); /* the quarantine empties */
}

struct blkfront_info info(void)
{
    struct blkfront_info i;

    blkfront_get_info(bf, &i);
    return i;
}

void fill_random(uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i += 8) {
        uint64_t r = test_random();

        memcpy(p + i, &r, 8);
    }
}

unsigned nr_ended;

void ended(struct blkfront_io *io)
{
    struct trial *t = io->arg;

    t->ended++;
    t->order = nr_ended++;
}

void prepare(struct trial *t, enum blkfront_op op, uint64_t sector, unsigned nr_pages)
{
    memset(t, 0, sizeof(*t));
    t->io.op = op;
    t->io.sector = sector;
    t->io.nr_pages = nr_pages;
    t->io.len = nr_pages * 4096;
    t->io.done = ended;
    t->io.arg = t;
    for (unsigned i = 0; i < nr_pages; i++) {
        t->io.page[i] = page_alloc_zeroed();
        CHECK(t->io.page[i] != NULL);
    }
}

void prepare_copy(struct trial *t, enum blkfront_op op, uint64_t sector, uint8_t *data,
                  unsigned len)
{
    prepare(t, op, sector, 0);
    t->io.copy = true;
    t->io.nr_pages = 1;
    t->io.len = len;
    t->io.page[0] = data;
}

void dispose(struct trial *t)
{
    for (unsigned i = 0; i < t->io.nr_pages; i++)
        if (!t->io.page_lost[i])
            page_free(t->io.page[i]);
}

struct trial replayed[100];
unsigned asked[100], nr_asked;

bool note_order(const struct blkif_request *req)
{
    CHECK(nr_asked < ARRAY_SIZE(asked));
    asked[nr_asked++] = (unsigned)(req->sector_number / 16);
    return false;
}

int16_t answer_status;

void mangle_status(struct blkif_response *rsp)
{
    rsp->status = answer_status;
}

void expect_well(void)
{
    blk.mangle = NULL;
    blk.hold = false;
    fakexen_settle();
    CHECK_EQ(blkfront_read(bf, 0, buf, 4096), 0);
    CHECK_MEM(buf, blk.data, 4096);
    CHECK(info().connected);
    CHECK_STR(fake_dev_front(&blk.dev, "state"), "4");
}
