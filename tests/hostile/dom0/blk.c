/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A block backend whose disk is memory of this process: honest enough that the guest finds what it
 * wrote, and its attacks. B1, B2, ... are the cases of tests/hostile/README.md.
 */
#include "device.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xen/xen.h>
#include <xen/io/blkif.h>
#include "tests/system/vitals.h"

#define SECTOR 512u
#define ROUND_MS 60000
#define KEPT 1024

/* What is done to the next answers. */
enum lie {
    NONE,
    ID_OF_NOBODY,
    ID_TWICE,
    ID_LIKE_A_POINTER,
    OTHER_OPERATION,
    STATUS_OF_NO_KIND,
    STATUS_VERY_NEGATIVE,
    NOT_SUPPORTED,
    FAILED,
    KEEPS_PAGES,
    CHANGES_PAGES,
    NO_ANSWER,
};

static struct device dev;
static struct ring ring;
static uint8_t *disk;
static unsigned long sectors;
static enum lie lie;
static bool persistent = true;
static unsigned nr_kept, nr_waiting;
static struct blkif_request waiting[64];

/* With persistent pages: what is mapped already. */
static struct {
    uint32_t gref;
    uint8_t *page;
} kept[KEPT];

/* ---- honest ---- */

static void offer_features(void)
{
    store_write(dev.back, "feature-persistent", persistent ? "1" : "0");
    store_write(dev.back, "feature-flush-cache", "1");
    store_write(dev.back, "feature-barrier", "0");
    store_write(dev.back, "feature-discard", "0");
    store_write(dev.back, "feature-max-indirect-segments", "0");
    store_write(dev.back, "max-ring-page-order", "0");
    store_write(dev.back, "multi-queue-max-queues", "1");
    store_write_number(dev.back, "sectors", sectors);
    store_write(dev.back, "sector-size", "512");
    store_write(dev.back, "info", "0");
}

static bool open_blk(void)
{
    lie = NONE;
    nr_kept = nr_waiting = 0;
    memset(kept, 0, sizeof(kept));
    if (!device_offer(&dev) ||
        !ring_open(&dev, &ring, "ring-ref", "event-channel", sizeof(union blkif_sring_entry)))
        return false;
    device_connected(&dev);
    return true;
}

static void leave_blk(void)
{
    device_leave(&dev);
    ring_close(&ring);
    grant_unmap_all();
}

static uint8_t *page_of(uint32_t gref, bool writable)
{
    unsigned i = 0;

    if (!persistent)
        return grant_map(dev.dom, gref, writable);
    while (i < KEPT && kept[i].page != NULL && kept[i].gref != gref)
        i++;
    if (i == KEPT)
        errx(70, "more pages than it may keep");
    if (kept[i].page == NULL) {
        kept[i].gref = gref;
        kept[i].page = grant_map(dev.dom, gref, true);
    } else {
        grant_inspect(kept[i].page);
    }
    return kept[i].page;
}

static void let_go(uint8_t *page)
{
    if (lie == KEEPS_PAGES)
        nr_kept++;
    else if (!persistent)
        grant_unmap(page);
}

static bool transfer(const struct blkif_request *req)
{
    uint64_t at = req->sector_number;

    for (unsigned i = 0; i < req->nr_segments && i < BLKIF_MAX_SEGMENTS_PER_REQUEST; i++) {
        unsigned first = req->seg[i].first_sect, n = req->seg[i].last_sect - first + 1u;
        uint8_t *page = page_of(req->seg[i].gref, req->operation == BLKIF_OP_READ);

        if (page == NULL || first + n > PAGE / SECTOR || at + n > sectors)
            return false;
        if (req->operation == BLKIF_OP_READ)
            memcpy(page + first * SECTOR, disk + at * SECTOR, n * SECTOR);
        else
            memcpy(disk + at * SECTOR, page + first * SECTOR, n * SECTOR);
        at += n;
        let_go(page);
    }
    return true;
}

static void answer(const struct blkif_request *req, int status)
{
    struct blkif_response rsp = {
        .id = req->id, .operation = req->operation, .status = (int16_t)status};

    if (lie == ID_OF_NOBODY)
        rsp.id = 31 - rsp.id % 32 == rsp.id ? 30 : 31 - rsp.id % 32;
    if (lie == ID_LIKE_A_POINTER)
        rsp.id = 0x40201000;
    if (lie == OTHER_OPERATION)
        rsp.operation = (uint8_t)(BLKIF_OP_FLUSH_DISKCACHE - req->operation);
    if (lie == STATUS_OF_NO_KIND)
        rsp.status = 1;
    if (lie == STATUS_VERY_NEGATIVE)
        rsp.status = -32768;
    if (lie == NOT_SUPPORTED)
        rsp.status = BLKIF_RSP_EOPNOTSUPP;
    if (lie == FAILED)
        rsp.status = BLKIF_RSP_ERROR;
    ring_answer(&ring, &rsp, sizeof(rsp));
}

static void do_request(const struct blkif_request *req)
{
    bool moves = req->operation == BLKIF_OP_READ || req->operation == BLKIF_OP_WRITE;

    answer(req, moves && !transfer(req) ? BLKIF_RSP_ERROR : BLKIF_RSP_OKAY);
}

/* All that is there, the answers shown at once; how many. */
static unsigned serve_once(void)
{
    struct blkif_request req;
    unsigned n = 0;

    while (ring_take(&ring, &req, sizeof(req))) {
        if (lie == NO_ANSWER)
            waiting[nr_waiting++ % 64] = req;
        else
            do_request(&req);
        n++;
    }
    if (n > 0 && lie != NO_ANSWER)
        ring_push(&ring);
    return n;
}

static void serve_meanwhile(void)
{
    (void)serve_once();
}

static unsigned serve(unsigned ms)
{
    unsigned n = 0;

    for (uint64_t end = now_ms() + ms; now_ms() < end; sleep_us(1000))
        n += serve_once();
    return n;
}

/* The guest has written and read all of the disk, and it was right. */
static const char *honest_blk(unsigned ms)
{
    uint64_t before = victim->rounds_good, end = now_ms() + ROUND_MS;

    lie = NONE;
    serve(ms);
    while (victim->rounds_good == before && now_ms() < end)
        serve(10);
    return victim->rounds_good == before ? "no round over the disk went well" : NULL;
}

/* ---- B1: ids, operations, statuses; B5 ---- */

/* Until something was answered so. */
static void serve_with(enum lie which)
{
    lie = which;
    for (unsigned i = 0; i < 20000 && serve_once() == 0; i++)
        sleep_us(300);
    lie = which == NO_ANSWER ? NO_ANSWER : NONE;
}

static void id_of_nobody(void)
{
    serve_with(ID_OF_NOBODY);
}

static void id_like_a_pointer(void)
{
    serve_with(ID_LIKE_A_POINTER);
}

static void other_operation(void)
{
    serve_with(OTHER_OPERATION);
}

static void status_of_no_kind(void)
{
    serve_with(STATUS_OF_NO_KIND);
}

static void status_very_negative(void)
{
    serve_with(STATUS_VERY_NEGATIVE);
}

/* The first of two that are there, for both. */
static void id_twice(void)
{
    lie = NO_ANSWER;
    for (unsigned i = 0; i < 20000 && nr_waiting < 2; i++) {
        (void)serve_once();
        sleep_us(300);
    }
    lie = NONE;
    if (nr_waiting < 2) {
        complain("there are never two requests at once");
        return;
    }
    answer(&waiting[0], BLKIF_RSP_OKAY);
    answer(&waiting[0], BLKIF_RSP_OKAY);
    ring_push(&ring);
}

static void nothing_is_supported(void)
{
    lie = NOT_SUPPORTED;
    serve(1000);
    lie = NONE;
}

static void everything_fails(void)
{
    lie = FAILED;
    serve(1000);
    lie = NONE;
}

/* ---- B2: indices ---- */

static void push_index(uint32_t to)
{
    ring.page->rsp_prod = to;
    port_notify(ring.port);
}

static void producer_far_ahead(void)
{
    push_index(ring.rsp_prod + 0x80000000u);
}

static void producer_one_ring_ahead(void)
{
    push_index(ring.rsp_prod + ring.slots + 1);
}

static void producer_one_too_many(void)
{
    push_index(ring.page->req_prod + 1);
}

static void producer_backwards(void)
{
    push_index(ring.rsp_prod - 1);
}

/* ---- B3, B4: pages ---- */

static void offer_persistent(bool yes)
{
    leave_blk();
    persistent = yes;
    offer_features();
    if (!open_blk())
        complain("the frontend does not connect with other features");
}

static void pages_that_stay_mapped(void)
{
    uint64_t good;

    offer_persistent(false);
    serve(100);
    good = victim->rounds_good;
    serve_with(KEEPS_PAGES);
    for (uint64_t end = now_ms() + ROUND_MS; victim->quarantined < nr_kept && now_ms() < end;)
        sleep_us(10000);
    if (nr_kept == 0 || victim->quarantined < nr_kept)
        complain("pages that are mapped are not in quarantine");
    if (victim->rounds_good != good)
        complain("a transfer whose pages are mapped was taken for good");
    offer_persistent(true);
}

/* What was read is scribbled on as soon as it was answered, again and again: the guest may
 * have taken it before or after, but at one time only, and goes on. */
static void pages_that_change_after_the_answer(void)
{
    for (uint64_t end = now_ms() + 2000; now_ms() < end;) {
        (void)serve_once();
        for (unsigned i = 0; i < KEPT && kept[i].page != NULL; i++)
            kept[i].page[(unsigned)rand() % PAGE] = (uint8_t)rand();
    }
}

static void all_of_the_ring_overwritten(void)
{
    for (unsigned i = 0; i < 200; i++) {
        for (unsigned b = 64; b < PAGE; b++)
            ((volatile uint8_t *)ring.page)[b] = (uint8_t)rand();
        ring.page->req_prod = (uint32_t)rand();
        ring.page->rsp_event = (uint32_t)rand();
        port_notify(ring.port);
        sleep_us(2000);
    }
}

/* ---- B6, B7, B12: what it says of itself ---- */

static void try_node(const char *name, const char *value)
{
    leave_blk();
    offer_features();
    store_write(dev.back, name, value);
    store_write_number(dev.back, "state", INIT_WAIT);
    sleep_us(150000);
    if (device_front_state(&dev) == CONNECTED || device_front_state(&dev) == INITIALISED)
        store_write_number(dev.back, "state", CONNECTED);
    sleep_us(150000);
}

static void geometry_of_nonsense(void)
{
    static const char *const sizes[] = {"0", "18446744073709551615", "1e9", " 5", "-1", ""};
    static const char *const units[] = {"0", "1", "513", "65536", "x"};

    for (unsigned i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
        try_node("sectors", sizes[i]);
    for (unsigned i = 0; i < sizeof(units) / sizeof(*units); i++)
        try_node("sector-size", units[i]);
    leave_blk();
    offer_features();
}

static void bounds_of_nonsense(void)
{
    static const char *const names[] = {"feature-max-indirect-segments", "max-ring-page-order",
                                        "multi-queue-max-queues", "discard-granularity", "info"};
    static const char *const values[] = {"4294967295", "abc", "-1"};

    for (unsigned i = 0; i < 5; i++)
        for (unsigned v = 0; v < 3; v++)
            try_node(names[i], values[v]);
    leave_blk();
    offer_features();
}

static void disk_that_came_back_smaller(void)
{
    unsigned long all = sectors;

    leave_blk();
    sectors = all / 2;
    offer_features();
    if (open_blk())
        serve(1500);
    else
        complain("the frontend refuses a smaller disk");
    leave_blk();
    sectors = all;
    offer_features();
}

/* ---- B8, B9, B11 ---- */

/* Nothing for a while, then gone; an honest one gets it all again. */
static void requests_that_are_never_answered(void)
{
    uint64_t bad = victim->rounds_bad;

    serve_with(NO_ANSWER);
    sleep_us(3000000);
    (void)serve_once();
    leave_blk();
    if (!open_blk()) {
        complain("there is no new life");
        return;
    }
    serve(2000);
    if (victim->rounds_bad != bad)
        complain("a transfer failed although its backend came back in time");
}

static void storm_of_events(void)
{
    for (uint64_t end = now_ms() + 3000; now_ms() < end;) {
        for (unsigned i = 0; i < 200; i++)
            port_notify(ring.port);
        (void)serve_once();
    }
}

static void storm_of_states(void)
{
    for (uint64_t end = now_ms() + 2000; now_ms() < end;) {
        store_write_number(dev.back, "state", (unsigned long)rand() % 9);
        (void)serve_once();
    }
}

/* ---- the table ---- */

static const struct test_case cases[] = {
    {"id_of_nobody", true, ACCUSED, id_of_nobody},
    {"id_twice", false, ACCUSED, id_twice},
    {"id_like_a_pointer", false, ACCUSED, id_like_a_pointer},
    {"other_operation", true, ACCUSED, other_operation},
    {"status_of_no_kind", false, ACCUSED, status_of_no_kind},
    {"status_very_negative", false, ACCUSED, status_very_negative},
    {"nothing_is_supported", false, STAYS, nothing_is_supported},
    {"everything_fails", false, STAYS, everything_fails},
    {"producer_far_ahead", true, ACCUSED, producer_far_ahead},
    {"producer_one_ring_ahead", false, ACCUSED, producer_one_ring_ahead},
    {"producer_one_too_many", false, ACCUSED, producer_one_too_many},
    {"producer_backwards", false, ACCUSED, producer_backwards},
    {"pages_that_stay_mapped", true, ANY, pages_that_stay_mapped},
    {"pages_that_change_after_the_answer", true, ANY, pages_that_change_after_the_answer},
    {"all_of_the_ring_overwritten", false, ANY, all_of_the_ring_overwritten},
    {"geometry_of_nonsense", true, ANY, geometry_of_nonsense},
    {"bounds_of_nonsense", false, ANY, bounds_of_nonsense},
    {"disk_that_came_back_smaller", false, ANY, disk_that_came_back_smaller},
    {"requests_that_are_never_answered", true, STAYS, requests_that_are_never_answered},
    {"storm_of_events", true, STAYS, storm_of_events},
    {"storm_of_states", false, ANY, storm_of_states},
};

const struct play *play_blk(unsigned dom, const char *id)
{
    static const struct play play = {open_blk, leave_blk, honest_blk,
                                     &dev,     cases,     sizeof(cases) / sizeof(*cases)};

    device_init(&dev, dom, "vbd", id);
    dev.serve = serve_meanwhile;
    ring.port = -1;
    sectors = store_number(dev.back, "sectors", 0);
    disk = calloc(sectors, SECTOR);
    if (sectors == 0 || disk == NULL)
        errx(70, "there is no disk of %lu sectors", sectors);
    offer_features();
    return &play;
}
