/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The life of a request (xen/io/blkif.h):
 *
 *     blkfront_submit --> pending --> slot + grants + ring --> backend
 *                                                                 |
 *     done(io) <-- pages revoked or copied <-- claimed by id <----+
 *
 * Submitting works in the caller's thread as long as the ring has room; the rest waits in pending,
 * in order. The device's thread takes responses, completes, and moves pending on.
 *
 * I1 A response is accepted for a request in flight (slots_claim) of the same operation, with one
 *    of the three statuses that exist. Anything else fails the request and the device.
 * I2 A transfer ends, and its data is looked at, only after every page was revoked, or copied
 *    (pool.c, bounce pages). A page that cannot be revoked is in the grants' quarantine, reported
 *    in page_lost, and the transfer failed.
 * I3 What the backend is to read is granted read-only, but for the pool's pages, which hold nothing
 *    but this disk's data. A request slot is zeroed before it is filled, bounce pages are zeroed
 *    before they are granted.
 * I4 Every transfer that was accepted is completed once, whatever happens to the device.
 * I5 Sector numbers are in units of 512 bytes on the wire, always; sector-size is only alignment.
 *
 * The mutex guards the ring, slots, lists and flags; (done) is called without it. A slot that
 * was claimed is the device's thread's until it is put back.
 *
 * Not done: indirect segments, several queues or ring pages, discard.
 */
#include "frontends/blkfront/internal.h"

#include "kernel/log.h"
#include "kernel/page.h"
#include "lib/base/string.h"

#define BUDGET 64 /* completions before others of the same priority get a turn */

/* The lock, and what is due when it is given back. */
static void lock(struct blkfront *bf)
{
    mutex_lock(&bf->lock);
}

static void unlock(struct blkfront *bf)
{
    /* A dead device's last requests are not held back; nothing is published after them. */
    bool notify = bf->kick && (bf->plugged == 0 || bf->dead);
    bool wake = !list_empty(&bf->finished);

    if (notify)
        bf->kick = false;
    mutex_unlock(&bf->lock);
    if (notify) {
        bf->info.notifies++;
        (void)evtchn_notify(bf->port);
    }
    if (wake)
        waitq_wake_all(&bf->work);
}

void blkfront_requests_init(struct blkfront *bf, void *page)
{
    blk_ring_init(&bf->ring, page);
    slots_init(&bf->slots, blk_ring_SIZE, 64);
}

/* ---- submitting ---- */

static uint32_t bytes_of_page(const struct blkfront_io *io, unsigned i)
{
    return MIN(io->len - i * (uint32_t)PAGE_SIZE, (uint32_t)PAGE_SIZE);
}

/* The first (n) pages of (req) are the pool's again. */
static void put_pages(struct blkfront *bf, struct request *req, unsigned n)
{
    while (n-- > 0)
        blkfront_pool_put(bf, (struct pool_page){req->bounce[n], req->ref[n]});
}

/* Give back what request (req) has granted so far; nothing was sent. */
static void ungrant(struct blkfront *bf, struct request *req, unsigned n)
{
    if (bf->pooled) {
        put_pages(bf, req, n);
        return;
    }
    for (unsigned i = 0; i < n; i++)
        grant_revoke_and_free(req->ref[i], req->bounce[i]);
}

static int take_pooled(struct blkfront *bf, struct request *req, unsigned i)
{
    struct pool_page page;
    int rc = blkfront_pool_get(bf, &page);

    if (rc != 0)
        return rc;
    req->bounce[i] = page.va;
    req->ref[i] = page.ref;
    if (req->io->op == BLKFRONT_WRITE)
        memcpy(page.va, req->io->page[i], bytes_of_page(req->io, i));
    return 0;
}

static int grant_one(struct blkfront *bf, struct request *req, unsigned i)
{
    const struct blkfront_io *io = req->io;
    bool write = io->op == BLKFRONT_WRITE;
    int rc;

    if (bf->pooled)
        return take_pooled(bf, req, i);
    req->bounce[i] = NULL;
    if (bf->bounce) {
        req->bounce[i] = page_alloc_zeroed(); /* I3 */
        if (req->bounce[i] == NULL)
            return -ENOMEM;
        if (write)
            memcpy(req->bounce[i], io->page[i], bytes_of_page(io, i));
    }
    rc = grant_page(bf->dev.backend_id, bf->bounce ? req->bounce[i] : io->page[i], write,
                    &req->ref[i]);
    if (rc != 0 && bf->bounce)
        page_free(req->bounce[i]);
    return rc;
}

static int grant_all(struct blkfront *bf, struct request *req)
{
    for (unsigned i = 0; i < req->io->nr_pages; i++) {
        int rc = grant_one(bf, req, i);

        if (rc != 0) {
            ungrant(bf, req, i);
            return rc;
        }
    }
    return 0;
}

static void fill(struct blkfront *bf, unsigned slot)
{
    struct blkif_request *wire = blk_ring_reserve(&bf->ring);
    const struct request *req = &bf->request[slot];
    const struct blkfront_io *io = req->io;

    memset(wire, 0, sizeof(*wire)); /* I3 */
    wire->operation = req->operation;
    wire->nr_segments = (uint8_t)io->nr_pages;
    wire->handle = bf->handle;
    wire->id = slots_id(&bf->slots, slot);
    wire->sector_number = io->sector;
    for (unsigned i = 0; i < io->nr_pages; i++) {
        wire->seg[i].gref = req->ref[i];
        wire->seg[i].last_sect = (uint8_t)(bytes_of_page(io, i) / BLKFRONT_SECTOR - 1);
    }
}

static uint8_t operation_of(const struct blkfront *bf, const struct blkfront_io *io)
{
    switch (io->op) {
    case BLKFRONT_READ:
        return BLKIF_OP_READ;
    case BLKFRONT_WRITE:
        return BLKIF_OP_WRITE;
    default:
        return bf->flush_op;
    }
}

/* False: no slot, memory or grant now. */
static bool issue(struct blkfront *bf, struct blkfront_io *io)
{
    int slot = slots_get(&bf->slots);

    if (slot < 0)
        return false;
    bf->request[slot].io = io;
    bf->request[slot].operation = operation_of(bf, io);
    if (grant_all(bf, &bf->request[slot]) != 0) {
        slots_put(&bf->slots, (unsigned)slot);
        return false;
    }
    fill(bf, (unsigned)slot);
    return true;
}

/* Move pending on as far as it goes; a dead device's ring page is gone. The lock is held. */
static void pump(struct blkfront *bf)
{
    if (bf->dead)
        return;
    while (!list_empty(&bf->pending)) {
        struct blkfront_io *io = list_first(&bf->pending, struct blkfront_io, link);

        if (io->op == BLKFRONT_FLUSH && bf->flush_op == NO_FLUSH) {
            list_remove(&io->link);
            io->status = 0;
            list_push_back(&bf->finished, &io->link);
        } else if (issue(bf, io)) {
            list_remove(&io->link);
        } else {
            break;
        }
    }
    if (blk_ring_publish(&bf->ring))
        bf->kick = true;
}

static bool shape_is_right(const struct blkfront *bf, const struct blkfront_io *io)
{
    if (io->op == BLKFRONT_FLUSH)
        return io->nr_pages == 0;
    if (io->op > BLKFRONT_FLUSH || io->nr_pages == 0 || io->nr_pages > BLKFRONT_PAGES_MAX ||
        io->len == 0 || io->len > io->nr_pages * PAGE_SIZE ||
        io->len <= (io->nr_pages - 1) * PAGE_SIZE)
        return false;
    for (unsigned i = 0; i < io->nr_pages; i++)
        if (io->page[i] == NULL || !IS_ALIGNED((uintptr_t)io->page[i], PAGE_SIZE))
            return false;
    return IS_ALIGNED(io->len, bf->info.sector_size) &&
           IS_ALIGNED(io->sector, bf->info.sector_size / BLKFRONT_SECTOR) && /* I5 */
           io->sector <= bf->info.nr_sectors &&
           io->len / BLKFRONT_SECTOR <= bf->info.nr_sectors - io->sector;
}

int blkfront_submit(struct blkfront *bf, struct blkfront_io *io)
{
    int rc = 0;

    if (!shape_is_right(bf, io))
        return -EINVAL;
    if (io->op == BLKFRONT_WRITE && bf->info.read_only)
        return -EROFS;
    memset(io->page_lost, 0, sizeof(io->page_lost));
    lock(bf);
    if (bf->dead) {
        rc = -ENODEV;
    } else {
        list_push_back(&bf->pending, &io->link);
        pump(bf);
    }
    unlock(bf);
    return rc;
}

void blkfront_plug(struct blkfront *bf)
{
    lock(bf);
    bf->plugged++;
    unlock(bf);
}

void blkfront_unplug(struct blkfront *bf)
{
    lock(bf);
    bf->plugged--;
    unlock(bf);
}

/* ---- completing; the device's thread ---- */

/* Hand the data of segment (i) on if it was not the caller's page. */
static void take_data(struct request *req, unsigned i)
{
    struct blkfront_io *io = req->io;

    if (req->bounce[i] != NULL && io->op == BLKFRONT_READ)
        memcpy(io->page[i], req->bounce[i], bytes_of_page(io, i));
}

/* Revoke the page of segment (i), and take its data. */
static bool take_back(struct request *req, unsigned i)
{
    struct blkfront_io *io = req->io;

    if (grant_revoke(req->ref[i]) != 0) { /* I2 */
        io->page_lost[i] = req->bounce[i] == NULL;
        grant_revoke_and_free(req->ref[i], req->bounce[i] != NULL ? req->bounce[i] : io->page[i]);
        return false;
    }
    take_data(req, i);
    if (req->bounce[i] != NULL)
        page_free(req->bounce[i]);
    return true;
}

static void count(struct blkfront_info *info, const struct blkfront_io *io)
{
    info->reads += io->op == BLKFRONT_READ;
    info->writes += io->op == BLKFRONT_WRITE;
    info->flushes += io->op == BLKFRONT_FLUSH;
    info->errors += io->status != 0;
}

static void complete(struct blkfront *bf, struct blkfront_io *io, int status)
{
    io->status = status;
    count(&bf->info, io);
    io->done(io);
}

/* End the request in the claimed (slot). */
static void end_request(struct blkfront *bf, unsigned slot, int status)
{
    struct request *req = &bf->request[slot];
    struct blkfront_io *io = req->io;

    for (unsigned i = 0; i < io->nr_pages; i++) {
        if (bf->pooled)
            take_data(req, i); /* I2 */
        else if (!take_back(req, i))
            status = -EIO;
    }
    lock(bf);
    if (bf->pooled)
        put_pages(bf, req, io->nr_pages);
    slots_put(&bf->slots, slot);
    pump(bf);
    unlock(bf);
    complete(bf, io, status);
}

/* What the answer (rsp) means for its request. */
static int verdict(struct blkfront *bf, const struct request *req, const struct blkif_response *rsp)
{
    if (rsp->operation != req->operation || rsp->status > BLKIF_RSP_OKAY ||
        rsp->status < BLKIF_RSP_EOPNOTSUPP) { /* I1 */
        bf->fault = "answer of another operation or with an impossible status";
        return -EIO;
    }
    if (rsp->status == BLKIF_RSP_EOPNOTSUPP && req->io->op == BLKFRONT_FLUSH) {
        log_warn("%s: the backend does not flush its cache after all", bf->dev.name);
        bf->flush_op = NO_FLUSH;
        bf->info.can_flush = false;
        return 0;
    }
    return rsp->status == BLKIF_RSP_OKAY ? 0 : -EIO;
}

/* Take and judge one response: true, and the claimed slot with what became of it. */
static bool take_answer(struct blkfront *bf, unsigned *slot, int *status)
{
    struct blkif_response rsp;
    int claimed = -1, rc;

    lock(bf);
    rc = blk_ring_take(&bf->ring, &rsp);
    if (rc > 0) {
        bf->worked = true;
        claimed = slots_claim(&bf->slots, rsp.id); /* I1 */
        if (claimed >= 0)
            *status = verdict(bf, &bf->request[claimed], &rsp);
        else
            bf->fault = "answer to a request that is not in flight";
    } else if (rc < 0) {
        bf->fault = "more answers than requests";
    }
    unlock(bf);
    *slot = (unsigned)claimed;
    return claimed >= 0;
}

static bool rearm(struct blkfront *bf)
{
    bool more;

    lock(bf);
    pump(bf); /* memory or grants may have been short */
    more = blk_ring_rearm(&bf->ring, 1);
    unlock(bf);
    return more;
}

/* Complete what the backend did not have to do. */
static void end_finished(struct blkfront *bf)
{
    struct blkfront_io *io;

    do {
        io = NULL;
        lock(bf);
        if (!list_empty(&bf->finished)) {
            io = list_first(&bf->finished, struct blkfront_io, link);
            list_remove(&io->link);
        }
        mutex_unlock(&bf->lock); /* we are who unlock() would wake */
        if (io != NULL)
            complete(bf, io, io->status);
    } while (io != NULL);
}

void blkfront_drain(struct blkfront *bf)
{
    unsigned done = 0, slot;
    int status;

    end_finished(bf);
    do {
        while (bf->fault == NULL && take_answer(bf, &slot, &status)) {
            end_request(bf, slot, status);
            if (++done % BUDGET == 0)
                thread_yield();
        }
    } while (bf->fault == NULL && rearm(bf));
    if (bf->fault == NULL && atomic_exchange(&bf->owed, false)) {
        evtchn_eoi(bf->port, bf->worked);
        bf->worked = false;
    }
}

void blkfront_refuse(struct blkfront *bf)
{
    lock(bf);
    bf->dead = true;
    while (!list_empty(&bf->pending)) {
        struct blkfront_io *io = list_first(&bf->pending, struct blkfront_io, link);

        list_remove(&io->link);
        io->status = -ENODEV;
        list_push_back(&bf->finished, &io->link);
    }
    unlock(bf);
    end_finished(bf);
}

void blkfront_abandon(struct blkfront *bf)
{
    int slot;

    while ((slot = slots_claim_any(&bf->slots)) >= 0) /* I4 */
        end_request(bf, (unsigned)slot, -EIO);
}
