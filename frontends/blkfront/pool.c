/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pages that stay granted ("feature-persistent" of xen/io/blkif.h).
 *
 * Mapping a page into the backend and out of it again costs more than copying it: the last step has
 * every processor of that domain forget its address translations. So transfers go through pages of
 * a pool that are granted once and that the backend may keep mapped; what was not used for longest
 * is used last, since a backend keeps only so many.
 *
 * I1 A pool page was zeroed and never holds anything but what this disk's backend gave or was
 * given. I2 The pool grows by need up to (max). A page leaves it only with the device. I3 It has
 * the pages of one request from the beginning: however short memory and grants are, one request
 * after the other can be served.
 */
#include "frontends/blkfront/internal.h"

#include "kernel/grant.h"
#include "kernel/page.h"

static int grow(struct blkfront *bf, struct pool_page *out)
{
    struct pool_page page = {.va = page_alloc_zeroed()}; /* I1 */
    int rc;

    if (page.va == NULL)
        return -ENOMEM;
    rc = grant_page(bf->dev.backend_id, page.va, false, &page.ref);
    if (rc != 0) {
        page_free(page.va);
        return rc;
    }
    bf->pool.nr++;
    *out = page;
    return 0;
}

void blkfront_pool_open(struct blkfront *bf)
{
    size_t max = MIN(page_count_total() / 64, (size_t)POOL_MAX);
    struct pool_page page;

    if (max < POOL_MIN)
        return;
    while (bf->pool.nr < BLKFRONT_PAGES_MAX) { /* I3 */
        if (grow(bf, &page) != 0) {
            blkfront_pool_close(bf);
            return;
        }
        blkfront_pool_put(bf, page);
    }
    bf->pool.max = (unsigned)max;
}

int blkfront_pool_get(struct blkfront *bf, struct pool_page *out)
{
    struct pool *pool = &bf->pool;

    if (pool->nr_free > 0) {
        *out = pool->free[--pool->nr_free];
        return 0;
    }
    return pool->nr < pool->max ? grow(bf, out) : -ENOMEM;
}

void blkfront_pool_put(struct blkfront *bf, struct pool_page page)
{
    bf->pool.free[bf->pool.nr_free++] = page;
}

void blkfront_pool_close(struct blkfront *bf)
{
    while (bf->pool.nr_free > 0) {
        struct pool_page page = bf->pool.free[--bf->pool.nr_free];

        grant_revoke_and_free(page.ref, page.va);
    }
    bf->pool.nr = bf->pool.max = 0;
}
