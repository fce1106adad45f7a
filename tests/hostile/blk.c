/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Programs (program.h) against blkfront. What is checked whatever a backend does:
 *
 * P1 every accepted transfer ends once, and none before it was submitted;
 * P2 what was written and read while the backend was honest is what the disk holds;
 * P3 with an honest backend the device works again within a bounded time;
 * P4 no granted page shows a byte of memory that was never part of a transfer (CANARY);
 * P5 after closing and letting go all memory, grants and ports are back (the frame's census).
 */
#include <stdio.h>
#include <string.h>
#include <xen/io/xenbus.h>
#include "frontends/blkfront/blkfront.h"
#include "kernel/page.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "tests/host/fakeback.h"
#include "tests/host/hostarch.h"
#include "tests/host/test.h"
#include "tests/hostile/program.h"

#define TRIALS 24
#define CANARY 0xca
#define ACTS_MAX 400

static struct fake_blk blk;
static struct blkfront *bf;
static struct {
    struct blkfront_io io;
    bool busy, lost;
} trial[TRIALS];
static uint8_t buf[40 * 4096], want[64 * 4096];
static unsigned plugs;
unsigned hostile_blk_queues;

/* ---- the guest's part ---- */

static void on_done(struct blkfront_io *io)
{
    unsigned i = (unsigned)(uintptr_t)io->arg;

    CHECK(trial[i].busy); /* P1 */
    trial[i].busy = false;
}

/* Memory as it is: with something in it that is nobody else's business. All of it, once. */
static void plant_canaries(void)
{
    static void *page[HOSTILE_BLK_PAGES];
    static bool planted;
    size_t n = 0;

    while (!planted && n < ARRAY_SIZE(page) && (page[n] = page_alloc()) != NULL)
        memset(page[n++], CANARY, 4096);
    while (n > 0)
        page_free(page[--n]);
    planted = true;
}

/* The grant table as large as it ever gets here: what it takes is not a program's. */
static void grow_grants(void)
{
    static gref_t ref[4000];
    void *page = page_alloc_zeroed();
    unsigned n = 0;

    while (ref[0] == 0 && n < ARRAY_SIZE(ref) && grant_page(0, page, true, &ref[n]) == 0)
        n++;
    for (unsigned i = 0; i < n; i++)
        CHECK_EQ(grant_revoke(ref[i]), 0);
    page_free(page);
}

static void *data_page(void)
{
    void *page = page_alloc();

    CHECK(page != NULL);
    return memset(page, 1, 4096);
}

static void give_pages_back(struct blkfront_io *io)
{
    for (unsigned i = 0; i < io->nr_pages; i++)
        if (!io->page_lost[i] && !io->copy)
            page_free(io->page[i]);
    io->nr_pages = 0;
}

static void set_pages(struct blkfront_io *io, unsigned i, unsigned n, bool copy)
{
    io->copy = copy;
    io->nr_pages = n;
    io->len = n * 4096;
    for (unsigned p = 0; p < n; p++)
        io->page[p] = copy ? want + (i % 2) * 32 * 4096 + p * 4096 : data_page();
}

static void submit(struct program *p)
{
    unsigned i = program_byte(p) % TRIALS, how = program_byte(p);
    struct blkfront_io *io = &trial[i].io;

    if (trial[i].busy)
        return;
    give_pages_back(io);
    memset(io, 0, sizeof(*io));
    io->op = (enum blkfront_op)(how % 4);
    io->done = on_done;
    io->arg = (void *)(uintptr_t)i;
    io->sector = program_byte(p) * 8;
    io->fua = how & 4;
    io->secure = how & 8;
    io->nr_sectors = program_byte(p);
    if (io->op == BLKFRONT_READ || io->op == BLKFRONT_WRITE)
        set_pages(io, i, 1 + program_byte(p) % 32, how & 16);
    trial[i].busy = true;
    host_cpu = i % host_cpus_possible; /* it says which queue */
    if (blkfront_submit(bf, io) != 0)
        trial[i].busy = false;
    host_cpu = 0;
}

static void cancel(struct program *p)
{
    unsigned i = program_byte(p) % TRIALS;

    if (trial[i].busy && trial[i].io.copy && blkfront_cancel(bf, &trial[i].io))
        trial[i].busy = false;
}

static void plug(void)
{
    if (plugs++ % 2 == 0)
        blkfront_plug(bf);
    else
        blkfront_unplug(bf);
}

/* ---- the backend's part ---- */

static struct back_ring *ring_of(unsigned queue)
{
    return fake_blk_ring(&blk, queue % MAX(blk.nr_queues, 1u));
}

static void answer(struct program *p)
{
    unsigned how = program_byte(p);
    unsigned which = program_byte(p);
    const struct blkif_request *req = &blk.held[which % FAKE_BLK_HELD];
    struct back_ring *ring = ring_of(which);
    uint64_t id;

    if (blk.ring.page == NULL)
        return;
    if (blk.nr_held > 0 && how % 8 != 0) {
        req = &blk.held[(how >> 3) % blk.nr_held];
        ring = blk.held_of[(how >> 3) % blk.nr_held];
    }
    blk.answering = ring;
    id = how % 16 == 1 ? (uint64_t)program_word(p) << (program_byte(p) % 33) : req->id;
    fake_blk_answer(&blk, id, how % 16 == 2 ? program_byte(p) : req->operation,
                    how % 16 == 3 ? (int16_t)program_word(p) : -(int)(how % 16 == 4));
    blk.answering = NULL;
    back_ring_push(ring);
}

static void scribble(struct program *p)
{
    uint32_t where = program_word(p);
    uint8_t *page = (uint8_t *)ring_of(where >> 16)->page;

    for (unsigned n = program_byte(p) % 16; n > 0 && page != NULL; n--)
        page[where++ % 4096] = (uint8_t)program_byte(p);
}

static void move_index(struct program *p)
{
    unsigned which = program_byte(p);
    uint32_t by = program_word(p);
    struct back_ring *ring = ring_of(which >> 2);

    if (ring->page == NULL)
        return;
    switch (which % 4) {
    case 0:
        ring->page->rsp_prod += by;
        break;
    case 1:
        ring->page->rsp_prod += by % 64;
        break;
    case 2:
        ring->page->req_event = by;
        break;
    case 3:
        ring->page->rsp_event = by;
        break;
    }
    fakexen_raise(ring->port);
}

/* No data of transfers has it four times in a row. */
static bool shows_canary(const void *page, size_t len)
{
    static const uint8_t four[] = {CANARY, CANARY, CANARY, CANARY};

    return memmem(page, len, four, sizeof(four)) != NULL;
}

/* Of a request that was given up meanwhile the list of segments may be gone. */
static unsigned nr_segments(const struct blkif_request *req)
{
    const struct blkif_request_indirect *indirect = (const void *)req;
    uint8_t byte;

    if (req->operation == BLKIF_OP_INDIRECT &&
        fake_grant_read(indirect->indirect_grefs[0], 0, &byte, 1) != 0)
        return 0;
    return MIN(fake_blk_nr_segments(req), 32u);
}

/* P4: all of every page that is granted for a request. */
static void look_at_pages(void)
{
    static uint8_t page[4096];

    for (unsigned i = 0; i < blk.nr_held; i++)
        for (unsigned s = 0; s < nr_segments(&blk.held[i]); s++)
            if (fake_grant_read(fake_blk_segment(&blk.held[i], s).gref, 0, page, 4096) == 0)
                CHECK(!shows_canary(page, 4096));
    for (unsigned i = 0; i < blk.nr_queues; i++)
        CHECK(ring_of(i)->page == NULL || !shows_canary(ring_of(i)->page, 4096));
}

static bool is_sane(const struct back_ring *r)
{
    return r->page != NULL && r->page->req_prod - r->req_cons <= r->size;
}

/* What was held is not answered any more. */
static void run(bool hold)
{
    blk.hold = hold;
    for (unsigned i = 0; i < blk.nr_queues; i++)
        if (!is_sane(ring_of(i)))
            return;
    fake_blk_run(&blk);
}

static const char *const keys[] = {
    "sectors",
    "sector-size",
    "physical-sector-size",
    "info",
    "mode",
    "feature-flush-cache",
    "feature-barrier",
    "feature-discard",
    "discard-secure",
    "discard-granularity",
    "discard-alignment",
    "feature-max-indirect-segments",
    "max-ring-page-order",
    "max-ring-pages",
    "multi-queue-max-queues",
    "state",
};
static const char *const values[] = {
    "",
    "0",
    "1",
    "2",
    "3",
    "4",
    "5",
    "6",
    "8",
    "31",
    "32",
    "256",
    "512",
    "513",
    "1024",
    "2048",
    "4096",
    "65536",
    "-1",
    "1e9",
    " 5",
    "x",
    "r",
    "w",
    "w!",
    "4294967295",
    "4294967296",
    "18014398509481985",
    "18446744073709551615",
    "18446744073709551616",
    "99999999999999999999",
    "\x80\xff",
};
static const char *const honest[] = {"2048", "512", "512", "0", "w", "1", "0", "1",
                                     "0",    "512", "0",   "0", "0", "1", "1", "2"};

_Static_assert(ARRAY_SIZE(keys) == ARRAY_SIZE(honest), "a value for each key");

static void set_key(struct program *p)
{
    unsigned key = program_byte(p) % ARRAY_SIZE(keys);

    fake_dev_set_back(&blk.dev, keys[key], values[program_byte(p) % ARRAY_SIZE(values)]);
}

static void set_state(struct program *p)
{
    fake_dev_set_state(&blk.dev, program_byte(p) % 9);
}

static void change_mind(struct program *p)
{
    unsigned how = program_byte(p);

    blk.dev.aloof = how % 8 == 0;
    blk.keep_mapped = how % 8 == 1;
    blk.persistent = how & 8;
    for (unsigned i = 0; i < FAKE_BLK_QUEUES; i++) {
        fake_blk_ring(&blk, i)->quiet = how & 16;
        fake_blk_ring(&blk, i)->deaf = how & 32;
    }
    if (how & 64)
        fake_dev_set_front(&blk.dev, "trusted", how & 128 ? "0" : "1");
    else if (how & 128)
        fake_dev_set_back(&blk.dev, "multi-queue-max-queues", "4");
}

/* As after a restart: what was done before it does not end everything that could come after it. */
static void restart(struct program *p)
{
    fake_blk_crash(&blk);
    blk.dev.aloof = false;
    blk.hold = true;
    blk.persistent = program_byte(p) & 1;
    fake_dev_set_state(&blk.dev, XenbusStateInitWait);
    thread_sleep_until(time_now() + 15 * NSEC_PER_SEC);
}

static void let_time_pass(struct program *p)
{
    thread_sleep_until(time_now() + (1ULL << program_byte(p) % 36));
}

static void take(struct program *p)
{
    (void)p;
    run(true);
    look_at_pages();
}

static void obey(struct program *p)
{
    (void)p;
    run(false);
}

static void change_plug(struct program *p)
{
    (void)p;
    plug();
}

static void crash(struct program *p)
{
    (void)p;
    fake_blk_crash(&blk);
}

static void let_go(struct program *p)
{
    (void)p;
    fake_blk_let_go(&blk);
}

/* The likelier an act, the more often it is here. */
static void (*const acts[])(struct program *p) = {
    submit,        submit,  submit,    submit,      submit,   submit,     take,
    take,          take,    take,      obey,        obey,     answer,     answer,
    answer,        answer,  cancel,    crash,       let_go,   restart,    restart,
    let_time_pass, set_key, set_state, change_plug, scribble, move_index, change_mind,
};

static void act(struct program *p)
{
    acts[program_byte(p) % ARRAY_SIZE(acts)](p);
    fakexen_settle();
    hostile_blk_queues = MAX(hostile_blk_queues, blk.nr_queues);
}

/* ---- the frame ---- */

static bool is_connected(void)
{
    struct blkfront_info info;

    fakexen_settle();
    blkfront_get_info(bf, &info);
    return info.connected;
}

static void be_honest(void)
{
    while (plugs % 2 != 0)
        plug();
    fake_blk_crash(&blk);
    blk.tolerant = false;
    blk.hold = blk.keep_mapped = blk.dev.aloof = false;
    for (unsigned i = 0; i < FAKE_BLK_QUEUES; i++)
        fake_blk_ring(&blk, i)->quiet = fake_blk_ring(&blk, i)->deaf = false;
    fake_blk_let_go(&blk);
    fake_dev_set_front(&blk.dev, "trusted", "1");
    for (unsigned i = 0; i < ARRAY_SIZE(keys) - 1; i++)
        fake_dev_set_back(&blk.dev, keys[i], honest[i]);
    fake_dev_set_state(&blk.dev, XenbusStateInitWait);
    for (unsigned i = 0; i < 60 && !is_connected(); i++) /* P3 */
        thread_sleep_until(time_now() + NSEC_PER_SEC);
    CHECK(is_connected());
}

/* P2, P3 */
static void expect_well(void)
{
    for (unsigned i = 0; i < sizeof(buf); i++)
        want[i] = (uint8_t)(i * 7 + i / 4096);
    CHECK_EQ(blkfront_write(bf, 8, want, sizeof(buf)), 0);
    CHECK_EQ(blkfront_read(bf, 8, buf, sizeof(buf)), 0);
    CHECK(memcmp(buf, want, sizeof(buf)) == 0);
    CHECK(memcmp(blk.data + 4096, want, sizeof(buf)) == 0);
}

static void be_done(void)
{
    blkfront_close(bf);
    for (unsigned i = 0; i < TRIALS; i++) {
        CHECK(!trial[i].busy); /* P1 */
        give_pages_back(&trial[i].io);
    }
    fake_blk_destroy(&blk);
    fakexen_store_rm(FAKE_HOME "/error");
    fakexen_settle();
    host_advance(5 * NSEC_PER_SEC); /* the quarantine empties */
    CHECK_EQ(grant_count_quarantined(), 0);
}

void hostile_blk_prepare(void)
{
    fakexen_use_cpus(4);
    grow_grants();
    plant_canaries();
}

void hostile_blk_run(const uint8_t *data, size_t size)
{
    struct program p = {data, data + size};
    unsigned grants = grant_count_used();
    size_t pages = page_count_free();

    memset(trial, 0, sizeof(trial));
    plugs = 0;
    fake_blk_create(&blk, "51712");
    blk.tolerant = true;
    fake_dev_set_back(&blk.dev, "feature-discard", "1");
    change_mind(&p);
    blk.dev.aloof = false;
    if (blkfront_open("51712", &bf) != 0)
        test_fail(__FILE__, __LINE__, "it does not open");
    for (unsigned i = 0; i < ACTS_MAX && p.at < p.end; i++)
        act(&p);
    be_honest();
    expect_well();
    be_done();
    CHECK_EQ(grant_count_used(), grants); /* P5 */
    CHECK_EQ(page_count_free(), pages);
}
