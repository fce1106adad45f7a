/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the tests of blkfront share: one disk with its backend, transfers that remember what became
 * of them, and CPUs. The tests are of the module blkfront, which boots here.
 */
#ifndef TESTS_HOST_BLKRIG_H
#define TESTS_HOST_BLKRIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "frontends/blkfront/blkfront.h"
#include "tests/host/fakeback.h"

/* ---- the disk ---- */

extern struct fake_blk blk; /* vbd 51712 */
extern struct blkfront *bf; /* NULL: not open */
/* As large as the disk. */
extern uint8_t buf[1 << 20], want[1 << 20];

/* Open the disk that fake_blk_create made. */
int open_vbd(void);
/* Make the disk and open it. A test that opens it otherwise ends by end() as well. */
void begin(void);
/* Close it, if it is open, and remove it with all that is left of it. */
void end(void);
struct blkfront_info info(void);
/* Once the backend holds and changes nothing any more: connected (again), and of use. */
void expect_well(void);
/* (len) is a multiple of 8. */
void fill_random(uint8_t *p, size_t len);

/* ---- transfers ---- */

/* An asynchronous transfer of whole pages, and what became of it. */
struct trial {
    struct blkfront_io io;
    unsigned ended;
    uint64_t order;
};

/* Of all trials; the next one's order. */
extern unsigned nr_ended;

/* Of (nr_pages) new pages, zeroed, from (sector). */
void prepare(struct trial *t, enum blkfront_op op, uint64_t sector, unsigned nr_pages);
/* The same of up to a page of any memory. */
void prepare_copy(struct trial *t, enum blkfront_op op, uint64_t sector, uint8_t *data,
                  unsigned len);
/* The done of both. */
void ended(struct blkfront_io *io);
/* Free what prepare took and the backend did not keep. */
void dispose(struct trial *t);

/* ---- the backend's answers ---- */

/* For fake_blk.mangle: every status is answer_status. */
extern int16_t answer_status;
void mangle_status(struct blkif_response *rsp);

/* For fake_blk.skip: notes the order in which a later backend is asked for what was submitted to an
 * earlier one, every 16 sectors. */
extern struct trial replayed[100];
extern unsigned asked[100], nr_asked;
bool note_order(const struct blkif_request *req);

#endif
