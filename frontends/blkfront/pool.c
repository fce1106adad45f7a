/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pages that stay granted ("feature-persistent" of xen/io/blkif.h), one pool to a queue, as
 * backends keep their mappings.
 *
 * Mapping a page into the backend and out of it again costs more than copying it: the last step has
 * every processor of that domain forget its address translations. So transfers go through pages of
 * a pool that are granted once and that the backend may keep mapped:
 *
 *      free[0]                              free[nr_free - 1]
 *      | used longest ago ............ used last | <--> requests
 *        given back by trim, when
 *        the backend has let go
 *
 * What was not used for longest is used last, since a backend keeps only so many and forgets in
 * the same order.
 *
 * I1 A pool page was zeroed and never holds anything but what this disk's backend gave or was
 * given. I2 The pool grows by need up to (max), and shrinks by what was idle for TRIM_PERIOD and
 * could be revoked. I3 It keeps the pages of one request: however short memory and grants are, one
 * request after the other can be served.
 */
#include "frontends/blkfront/internal.h"

#include "kernel/heap.h"
#include "kernel/page.h"
#include "lib/base/string.h"

#define TRIM_PERIOD (10 * NSEC_PER_SEC)
#define TRIM_BATCH 64

static int grow(struct queue *q, struct granted *out)
{
    struct granted page = {.va = page_alloc_zeroed()}; /* I1 */
    int rc;

    if (page.va == NULL)
        return -ENOMEM;
    rc = grant_page(q->bf->dev.backend_id, page.va, false, &page.ref);
    if (rc != 0) {
        page_free(page.va);
        return rc;
    }
    q->pool.nr++;
    *out = page;
    return 0;
}

bool blkfront_pool_open(struct queue *q, unsigned max, unsigned reserve)
{
    struct pool *pool = &q->pool;
    struct granted page;

    pool->free = heap_alloc(max * sizeof(pool->free[0]));
    if (pool->free == NULL)
        return false;
    while (pool->nr < reserve) { /* I3 */
        if (grow(q, &page) != 0) {
            blkfront_pool_close(q);
            return false;
        }
        blkfront_pool_put(q, page);
    }
    pool->max = max;
    pool->idle = 0;
    pool->trim_at = time_now() + TRIM_PERIOD;
    return true;
}

int blkfront_pool_get(struct queue *q, struct granted *out)
{
    struct pool *pool = &q->pool;

    if (pool->nr_free == 0)
        return pool->nr < pool->max ? grow(q, out) : -ENOMEM;
    *out = pool->free[--pool->nr_free];
    pool->idle = MIN(pool->idle, pool->nr_free);
    return 0;
}

void blkfront_pool_put(struct queue *q, struct granted page)
{
    q->pool.free[q->pool.nr_free++] = page;
}

/* The longest unused (n) pages: those that the backend still maps go back to the same end. */
static void give_back(struct pool *pool, unsigned n)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < n; i++) {
        if (grant_revoke(pool->free[i].ref) == 0)
            page_free(pool->free[i].va);
        else
            pool->free[kept++] = pool->free[i];
    }
    memmove(&pool->free[kept], &pool->free[n], (pool->nr_free - n) * sizeof(pool->free[0]));
    pool->nr_free -= n - kept;
    pool->nr -= n - kept;
}

void blkfront_pool_trim(struct queue *q, unsigned reserve)
{
    struct pool *pool = &q->pool;
    unsigned spare = pool->nr > reserve ? pool->nr - reserve : 0;

    if (pool->max == 0 || time_now() < pool->trim_at)
        return;
    give_back(pool, MIN(MIN(pool->idle, spare), TRIM_BATCH)); /* I2 */
    pool->idle = pool->nr_free;
    pool->trim_at = time_now() + TRIM_PERIOD;
}

void blkfront_pool_close(struct queue *q)
{
    struct pool *pool = &q->pool;

    while (pool->nr_free > 0) {
        struct granted page = pool->free[--pool->nr_free];

        grant_revoke_and_free(page.ref, page.va);
    }
    heap_free(pool->free);
    *pool = (struct pool){.max = 0};
}
