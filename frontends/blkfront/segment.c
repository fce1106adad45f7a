/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The pages of a request: granted to the backend and taken back. A transfer's own pages are
 * granted, or its data is copied through pages of the pool (pool.c), or through pages for this once
 * ("bounce": the backend is not trusted to keep off what else lies in them, or they are any
 * memory).
 *
 * I1 What the backend is to read is granted read-only, but for the pool's pages, which hold nothing
 *    but this disk's data. Pages of ours are zeroed before they are granted.
 * I2 Data is looked at only after its page was revoked, or is copied out of the pool's once. A page
 *    that cannot be revoked is in the grants' quarantine, and reported in page_lost if it was the
 *    caller's.
 */
#include "frontends/blkfront/internal.h"

#include "kernel/page.h"
#include "lib/base/string.h"

/* A page for the data of (seg), granted. */
static int get_bounce(struct queue *q, struct segment *seg, bool write)
{
    struct granted page = {.va = NULL};
    int rc;

    seg->pooled = q->bf->pooled;
    if (seg->pooled) {
        rc = blkfront_pool_get(q, &page);
    } else {
        page.va = page_alloc_zeroed(); /* I1 */
        rc = page.va == NULL ? -ENOMEM : 0;
    }
    if (rc != 0)
        return rc;
    if (write)
        memcpy(page.va, seg->io->page[seg->page], blkfront_bytes_of_page(seg->io, seg->page));
    if (!seg->pooled)
        rc = grant_page(q->bf->dev.backend_id, page.va, write, &page.ref);
    if (rc != 0)
        page_free(page.va);
    seg->bounce = page.va;
    seg->ref = page.ref;
    return rc;
}

int blkfront_segment_grant(struct queue *q, struct segment *seg)
{
    struct blkfront *bf = q->bf;
    bool write = seg->io->op == BLKFRONT_WRITE;

    if (bf->pooled || bf->bounce || seg->io->copy)
        return get_bounce(q, seg, write);
    seg->bounce = NULL;
    seg->pooled = false;
    return grant_page(bf->dev.backend_id, seg->io->page[seg->page], write, &seg->ref);
}

void blkfront_segment_ungrant(struct queue *q, struct segment *seg)
{
    if (seg->pooled)
        blkfront_pool_put(q, (struct granted){seg->bounce, seg->ref});
    else
        grant_revoke_and_free(seg->ref, seg->bounce);
}

int blkfront_indirect_get(struct queue *q, struct request *req)
{
    int rc;

    if (q->bf->pooled)
        return blkfront_pool_get(q, &req->indirect);
    req->indirect.va = page_alloc_zeroed(); /* I1 */
    if (req->indirect.va == NULL)
        return -ENOMEM;
    rc = grant_page(q->bf->dev.backend_id, req->indirect.va, true, &req->indirect.ref);
    if (rc != 0) {
        page_free(req->indirect.va);
        req->indirect.va = NULL;
    }
    return rc;
}

void blkfront_indirect_put(struct queue *q, struct request *req)
{
    if (req->indirect.va == NULL)
        return;
    if (q->bf->pooled)
        blkfront_pool_put(q, req->indirect);
    else
        grant_revoke_and_free(req->indirect.ref, req->indirect.va);
    req->indirect.va = NULL;
}

/* Hand the data of (seg) on if it was not the caller's page. */
static void take_data(const struct segment *seg)
{
    struct blkfront_io *io = seg->io;

    if (io != NULL && seg->bounce != NULL && io->op == BLKFRONT_READ)
        memcpy(io->page[seg->page], seg->bounce, blkfront_bytes_of_page(io, seg->page));
}

static bool revoke(struct segment *seg, bool take)
{
    struct blkfront_io *io = seg->io;

    if (grant_revoke(seg->ref) != 0) { /* I2 */
        if (seg->bounce == NULL)
            io->page_lost[seg->page] = true;
        grant_revoke_and_free(seg->ref, seg->bounce != NULL ? seg->bounce : io->page[seg->page]);
        return false;
    }
    if (take)
        take_data(seg);
    if (seg->bounce != NULL)
        page_free(seg->bounce);
    return true;
}

bool blkfront_segment_take_back(struct segment *seg, bool take)
{
    if (!seg->pooled)
        return revoke(seg, take);
    if (take)
        take_data(seg);
    return true;
}
