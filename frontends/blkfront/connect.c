/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a disk and its backend agree (xen/io/blkif.h), in tables: what they say, within which bounds
 * we believe it, and what is made of it.
 *
 *     InitWait     read transport keys; plan; open queues; write ours; -> Initialised
 *     Connected    read properties; judge them; -> Connected; queues start
 *     Connected, said again: read properties, judge them
 *
 * I1 Everything is judged as a whole into (offer) before anything of it is in force.
 * I2 No number of the backend's makes us allocate more than our own bounds and a share of memory.
 * I3 Keys of an earlier life that would mean something else now are removed.
 */
#include "frontends/blkfront/internal.h"

#include <xen/io/protocols.h>
#include "kernel/cpus.h"
#include "kernel/heap.h"
#include "kernel/log.h"
#include "kernel/option.h"
#include "kernel/page.h"
#include "lib/base/format.h"
#include "lib/base/string.h"

#define NOTES_SHARE 256 /* of memory, one part of so many for notes of requests */
#define POOL_SHARE 64   /* and for the pools */
#define POOL_MIN 64     /* pages; with fewer it would rather grant for each request */
#define POOL_MAX 1024   /* of a queue: Linux's backend keeps 1056 */

/* In our own directory. */
static const struct xb_key settings[] = {
    XB_FLAG(struct blkfront, trusted, "trusted", true),
};

/* In the backend's, once it is ready. */
static const struct xb_key transport[] = {
    XB_OPTIONAL(struct blkfront, offer.max_queues, "multi-queue-max-queues", 1, 1, QUEUES_MAX),
    XB_OPTIONAL(struct blkfront, offer.ring_order, "max-ring-page-order", 0, 0, RING_ORDER_MAX),
    XB_OPTIONAL(struct blkfront, offer.ring_pages, "max-ring-pages", 1, 1, 1 << RING_ORDER_MAX),
};

/* In the backend's, once it is connected. Linux's offers to flush only then. */
static const struct xb_key properties[] = {
    XB_REQUIRED(struct blkfront, offer.nr_sectors, "sectors", 0, 1ULL << 54),
    XB_REQUIRED(struct blkfront, offer.sector_size, "sector-size", 512, PAGE_SIZE),
    XB_OPTIONAL(struct blkfront, offer.physical, "physical-sector-size", 0, 0, 1u << 30),
    XB_OPTIONAL(struct blkfront, offer.vdisk, "info", 0, 0, UINT32_MAX),
    XB_OPTIONAL_TEXT(struct blkfront, offer.mode, "mode"),
    XB_FLAG(struct blkfront, offer.flush, "feature-flush-cache", false),
    XB_FLAG(struct blkfront, offer.barrier, "feature-barrier", false),
    XB_FLAG(struct blkfront, offer.discard, "feature-discard", false),
    XB_FLAG(struct blkfront, offer.secure, "discard-secure", false),
    XB_OPTIONAL(struct blkfront, offer.granularity, "discard-granularity", 0, 0, 1u << 30),
    XB_OPTIONAL(struct blkfront, offer.alignment, "discard-alignment", 0, 0, 1u << 30),
    XB_FLAG(struct blkfront, offer.persistent, "feature-persistent", false),
    XB_OPTIONAL(struct blkfront, offer.segments, "feature-max-indirect-segments", 0, 0,
                BLKFRONT_PAGES_MAX),
};

/* ---- the plan: what we take of what is offered, as memory allows ---- */

struct plan {
    unsigned queues, order, segments;
    unsigned pool; /* pages of each queue, 0: none */
};

static size_t notes_of(unsigned order, unsigned segments)
{
    return RING_SLOTS_OF(1u << order, sizeof(union blk_ring_slot)) *
           (sizeof(struct request) + segments * sizeof(struct segment));
}

static struct plan make_plan(const struct blkfront *bf)
{
    size_t pages = page_count_total(), pool = pages / POOL_SHARE;
    struct plan plan = {.queues = MIN(cpus_count(), bf->offer.max_queues)};
    unsigned order = MAX(bf->offer.ring_order, 31 - (unsigned)__builtin_clz(bf->offer.ring_pages));
    size_t share;

    plan.queues = (unsigned)MIN(plan.queues, MAX(pool / POOL_MIN, (size_t)1)); /* I2 */
    share = pages * PAGE_SIZE / NOTES_SHARE / plan.queues;
    plan.segments = notes_of(0, BLKFRONT_PAGES_MAX) <= share ? BLKFRONT_PAGES_MAX : DIRECT_PAGES;
    while (plan.order < order && notes_of(plan.order + 1, plan.segments) <= share)
        plan.order++;
    if (!bf->bounce && pool >= POOL_MIN)
        plan.pool = (unsigned)MIN(pool / plan.queues, (size_t)POOL_MAX);
    return plan;
}

/* ---- our keys ---- */

#define KEYS_MAX (QUEUES_MAX * ((1 << RING_ORDER_MAX) + 1) + 8)

struct keys {
    size_t n;
    struct xb_entry entry[KEYS_MAX];
    char name[KEYS_MAX][28];
};

static struct xb_entry *add_key(struct keys *k, const char *prefix, const char *name)
{
    format(k->name[k->n], sizeof(k->name[0]), "%s%s", prefix, name);
    k->entry[k->n].name = k->name[k->n];
    return &k->entry[k->n++];
}

/* A number, or a key that must not be there. */
static void add_number(struct keys *k, const char *prefix, const char *name, uint64_t number,
                       bool there)
{
    struct xb_entry *entry = add_key(k, prefix, name);

    entry->number = number;
    entry->remove = !there; /* I3 */
}

static void add_queue(struct keys *k, const char *prefix, const struct queue *q)
{
    char name[16];

    if (q->nr_pages == 1)
        add_number(k, prefix, "ring-ref", q->page_ref[0], true);
    for (unsigned i = 0; i < q->nr_pages && q->nr_pages > 1; i++) {
        format(name, sizeof(name), "ring-ref%u", i);
        add_number(k, prefix, name, q->page_ref[i], true);
    }
    add_number(k, prefix, "event-channel", q->port, true);
}

static void add_queues(struct blkfront *bf, struct keys *k)
{
    char prefix[16];

    if (bf->nr_queues == 1) {
        add_queue(k, "", bf->queue[0]);
        return;
    }
    for (unsigned i = 0; i < bf->nr_queues; i++) {
        format(prefix, sizeof(prefix), "queue-%u/", i);
        add_queue(k, prefix, bf->queue[i]);
    }
}

static int publish(struct blkfront *bf, const struct plan *plan)
{
    struct keys *k = heap_alloc_zeroed(sizeof(*k));
    unsigned several = plan->queues > 1, long_ring = plan->order > 0;
    int rc;

    if (k == NULL)
        return -ENOMEM;
    add_key(k, "", "protocol")->text = XEN_IO_PROTO_ABI_X86_64;
    add_number(k, "", "feature-persistent", 1, plan->pool > 0);
    add_number(k, "", "multi-queue-num-queues", plan->queues, several);
    add_number(k, "", "ring-page-order", plan->order, long_ring);
    add_number(k, "", "num-ring-pages", 1u << plan->order, long_ring);
    if (several || long_ring)
        add_number(k, "", "ring-ref", 0, false);
    if (several)
        add_number(k, "", "event-channel", 0, false);
    add_queues(bf, k);
    rc = xb_publish(&bf->dev, k->entry, k->n);
    heap_free(k);
    return rc;
}

/* ---- queues ---- */

/* (n) are in use; what waits in others waits in the first one. */
static int use_queues(struct blkfront *bf, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (bf->queue[i] == NULL)
            store_release(&bf->queue[i], blkfront_queue_create(bf, i));
        if (bf->queue[i] == NULL)
            return -ENOMEM;
    }
    store_release(&bf->nr_queues, n);
    for (unsigned i = n; i < QUEUES_MAX; i++)
        if (bf->queue[i] != NULL)
            blkfront_queue_move(bf->queue[i], bf->queue[0]);
    return 0;
}

/* All or none has a pool: without one we must not agree to "feature-persistent". */
static void open_pools(struct blkfront *bf, struct plan *plan)
{
    for (unsigned i = 0; i < plan->queues && plan->pool > 0; i++)
        if (!blkfront_pool_open(bf->queue[i], plan->pool, plan->segments + 1))
            plan->pool = 0;
    for (unsigned i = 0; i < plan->queues && plan->pool == 0; i++)
        blkfront_pool_close(bf->queue[i]);
}

static int open_queues(struct blkfront *bf, struct plan *plan)
{
    int rc = use_queues(bf, plan->queues);

    for (unsigned i = 0; i < plan->queues && rc == 0; i++)
        rc = blkfront_queue_open(bf->queue[i], plan->order, plan->segments);
    if (rc == 0)
        open_pools(bf, plan);
    return rc;
}

static int start_queues(struct blkfront *bf)
{
    int rc = 0;

    if (!bf->pooled)
        for (unsigned i = 0; i < bf->nr_queues; i++)
            blkfront_pool_close(bf->queue[i]);
    store_relaxed(&bf->down_since, 0);
    for (unsigned i = 0; i < bf->nr_queues && rc == 0; i++)
        rc = blkfront_queue_start(bf->queue[i]);
    return rc;
}

/* ---- properties ---- */

static void judge_discard(struct blkfront *bf)
{
    struct blkfront_info *info = &bf->info;
    uint32_t unit = bf->offer.granularity;
    bool can = bf->offer.discard && !info->read_only && !bf->discard_off;

    if (!IS_POW2(unit) || unit < info->sector_size)
        unit = info->sector_size;
    store_relaxed(&info->discard_granularity, unit);
    store_relaxed(&info->discard_alignment, IS_ALIGNED(bf->offer.alignment, info->sector_size)
                                                ? bf->offer.alignment % unit
                                                : 0);
    store_relaxed(&info->can_discard, can);
    store_relaxed(&info->can_discard_securely, can && bf->offer.secure);
}

static void judge_flush(struct blkfront *bf)
{
    uint8_t op = bf->offer.flush     ? BLKIF_OP_FLUSH_DISKCACHE
                 : bf->offer.barrier ? BLKIF_OP_WRITE_BARRIER
                                     : NO_FLUSH;

    store_relaxed(&bf->flush_op, op);
    bf->flush_else = bf->offer.flush && bf->offer.barrier ? BLKIF_OP_WRITE_BARRIER : NO_FLUSH;
    bf->info.can_flush = op != NO_FLUSH;
}

static int judge_geometry(struct blkfront *bf)
{
    struct blkfront_info *info = &bf->info;
    const struct offer *offer = &bf->offer;

    if (!IS_POW2(offer->sector_size)) {
        xb_fail(&bf->dev, -EINVAL, "key \"sector-size\" is %u, not a power of two; %s",
                offer->sector_size, bf->dev.remedy);
        return -EINVAL;
    }
    store_relaxed(&info->sector_size, offer->sector_size);
    info->physical_sector_size =
        IS_POW2(offer->physical) ? MAX(offer->physical, info->sector_size) : info->sector_size;
    info->cdrom = offer->vdisk & VDISK_CDROM;
    info->removable = offer->vdisk & VDISK_REMOVABLE;
    store_relaxed(&info->read_only, info->cdrom || (offer->vdisk & VDISK_READONLY) ||
                                        (offer->mode[0] != 'w' && offer->mode[0] != '\0'));
    store_relaxed(&info->nr_sectors, offer->nr_sectors);
    return 0;
}

static int read_properties(struct blkfront *bf)
{
    int rc = xb_read(&bf->dev, bf->dev.backend, properties, ARRAY_SIZE(properties), bf);

    if (rc != 0)
        return rc;
    mutex_lock(&bf->info_lock);
    rc = judge_geometry(bf);
    if (rc == 0)
        judge_discard(bf);
    mutex_unlock(&bf->info_lock);
    return rc;
}

void blkfront_reread(struct blkfront *bf)
{
    uint64_t before = bf->info.nr_sectors;

    if (read_properties(bf) == 0 && bf->info.nr_sectors != before && log_allowed(&bf->dev.limit))
        blkfront_announce(bf, " now");
}

/* ---- the whole ---- */

static int prepare(struct blkfront *bf, struct plan *plan)
{
    int rc = xb_read(&bf->dev, bf->dev.path, settings, ARRAY_SIZE(settings), bf);

    if (rc == 0)
        rc = xb_read(&bf->dev, bf->dev.backend, transport, ARRAY_SIZE(transport), bf);
    if (rc != 0)
        return rc;
    bf->bounce = !bf->trusted || option_on("bounce");
    *plan = make_plan(bf);
    rc = open_queues(bf, plan);
    return rc == 0 ? publish(bf, plan) : rc;
}

int blkfront_connect(struct blkfront *bf, nsec_t deadline)
{
    struct plan plan;
    int rc = prepare(bf, &plan);

    if (rc == 0)
        rc = xb_advance(&bf->dev, XB_INITIALISED);
    if (rc == 0)
        rc = xb_await(&bf->dev, XB_MASK(XB_CONNECTED), deadline);
    store_relaxed(&bf->changed, false);
    bf->discard_off = false;
    if (rc == 0)
        rc = read_properties(bf);
    if (rc != 0)
        return rc;
    bf->pooled = bf->offer.persistent && plan.pool > 0;
    store_relaxed(&bf->segments, MIN(MAX(bf->offer.segments, DIRECT_PAGES), plan.segments));
    mutex_lock(&bf->info_lock);
    judge_flush(bf);
    bf->info.persistent = bf->pooled;
    bf->info.connected = true;
    mutex_unlock(&bf->info_lock);
    rc = xb_advance(&bf->dev, XB_CONNECTED);
    return rc == 0 ? start_queues(bf) : rc;
}

void blkfront_announce(const struct blkfront *bf, const char *what)
{
    const struct blkfront_info *info = &bf->info;
    bool tiny = info->nr_sectors < 2048;

    log_info("%s%s: %llu %s, sectors of %u bytes%s%s%s", info->name, what,
             (unsigned long long)(info->nr_sectors >> (tiny ? 1 : 11)), tiny ? "KiB" : "MiB",
             info->sector_size, info->read_only ? ", read-only" : "",
             info->can_flush ? ", flush" : ", no flush", bf->bounce ? ", bounced" : "");
}
