/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Received pages on their way round: handed up, given back, posted again.
 *
 * A posted page must show the backend nothing that it does not know. A new page is zeroed for that.
 * One that was given back holds zeros and what this very backend wrote, and is posted as it is.
 *
 *     page_alloc_zeroed --> posted --> frame --> the user --> netfront_give_back
 *                             ^                                  |          |
 *                             +------------- stock <-------------+          v
 *                                                              page_free (full, another life)
 *
 * I1 A stock is of one life: the backend of the next may be in another domain. A page says by the
 *    frame it came with which life that was.
 * I2 There is no stock where frames are copied (bounce): what is handed up then was never posted,
 *    and is not clean.
 * I3 What nobody took for a while goes back to the allocator: a stock is as large as the traffic of
 *    the last second or two needs, and an idle vif has none.
 */
#include "frontends/netfront/internal.h"

#include "kernel/page.h"

void netfront_stock_open(struct netfront *nf, unsigned max)
{
    struct netfront_stock *s = &nf->stock;
    irqstate_t state = spin_lock(&s->lock);

    s->life++; /* I1 */
    s->least = 0;
    s->max = max;
    spin_unlock(&s->lock, state);
}

void *netfront_stock_take(struct netfront *nf)
{
    struct netfront_stock *s = &nf->stock;
    irqstate_t state = spin_lock(&s->lock);
    void *page = s->nr > 0 ? s->page[--s->nr] : NULL;

    s->least = MIN(s->least, s->nr);
    spin_unlock(&s->lock, state);
    return page;
}

void netfront_give_back(struct netfront *nf, void *page, unsigned life)
{
    struct netfront_stock *s = &nf->stock;
    irqstate_t state = spin_lock(&s->lock);
    bool room = s->life == life && s->nr < s->max;

    if (room)
        s->page[s->nr++] = page;
    spin_unlock(&s->lock, state);
    if (!room)
        page_free(page);
}

/* As many as (n), or as there are. */
static void free_some(struct netfront *nf, unsigned n)
{
    void *page;

    while (n-- > 0 && (page = netfront_stock_take(nf)) != NULL)
        page_free(page);
}

void netfront_stock_trim(struct netfront *nf)
{
    struct netfront_stock *s = &nf->stock;
    irqstate_t state = spin_lock(&s->lock);
    unsigned unused = s->least;

    spin_unlock(&s->lock, state);
    free_some(nf, unused); /* I3 */
    state = spin_lock(&s->lock);
    s->least = s->nr;
    spin_unlock(&s->lock, state);
}

void netfront_stock_close(struct netfront *nf)
{
    struct netfront_stock *s = &nf->stock;
    irqstate_t state = spin_lock(&s->lock);

    s->max = 0; /* and so none comes in from here on */
    spin_unlock(&s->lock, state);
    free_some(nf, ARRAY_SIZE(s->page));
}
