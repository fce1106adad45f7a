/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A vbd's life: open, serve, end (xen/io/blkif.h). What happens to a request is in request.c, the
 * blocking calls are in sync.c.
 *
 * Opening walks the startup diagram in the caller's thread. From then on a thread of the device
 * takes responses; the event handler and the watch on the backend's state only wake it. The device
 * ends when it is closed, when its backend leaves, or when its backend breaks the protocol: always
 * by way of the end of serve().
 *
 * I1 Progress does not depend on notifications: the thread looks at the ring once a second.
 * I2 A backend that closes in an orderly way, and one that we close, may finish what it has for
 *    DRAIN_TIMEOUT. One that broke the protocol may not.
 * I3 After xb_close what is still in flight is taken back: revoked and freed, or in quarantine.
 *    Only then does the thread end, and no transfer is left without its (done).
 *
 * When the device has gone it stays gone; reconnecting would keep the requests that serve()
 * ends by failing, open again and issue them anew.
 */
#include "frontends/blkfront/blkfront.h"

#include <xen/io/protocols.h>
#include "frontends/blkfront/internal.h"
#include "kernel/heap.h"
#include "kernel/log.h"
#include "kernel/option.h"
#include "kernel/time.h"
#include "lib/base/format.h"
#include "lib/base/parse.h"

#define REPOLL NSEC_PER_SEC
#define DRAIN_TIMEOUT (10 * NSEC_PER_SEC)

/* In our own directory. */
static const struct xb_key settings[] = {
    XB_FLAG(struct blkfront, trusted, "trusted", true),
};

/* In the backend's directory, once it is connected. Linux's backend offers to flush only then. */
static const struct xb_key properties[] = {
    XB_REQUIRED(struct blkfront, info.nr_sectors, "sectors", 0, 1ULL << 54),
    XB_REQUIRED(struct blkfront, info.sector_size, "sector-size", 512, PAGE_SIZE),
    XB_OPTIONAL(struct blkfront, physical, "physical-sector-size", 0, 0, 1u << 30),
    XB_OPTIONAL(struct blkfront, vdisk, "info", 0, 0, UINT32_MAX),
    XB_OPTIONAL_TEXT(struct blkfront, mode, "mode"),
    XB_FLAG(struct blkfront, flush, "feature-flush-cache", false),
    XB_FLAG(struct blkfront, barrier, "feature-barrier", false),
    XB_FLAG(struct blkfront, persistent, "feature-persistent", false),
};

/* ---- the device's thread ---- */

static bool is_serving(const struct blkfront *bf)
{
    return !load_relaxed(&bf->stop) && bf->fault == NULL && xb_connected(&bf->dev);
}

static bool has_work(struct blkfront *bf)
{
    return load_acquire(&bf->owed) || !list_empty(&bf->finished);
}

/* A backend that stands by what it has taken on may finish it. */
static void await_answers(struct blkfront *bf)
{
    nsec_t deadline = time_now() + DRAIN_TIMEOUT;

    while (slots_in_use(&bf->slots) > 0 && bf->fault == NULL && xb_attached(&bf->dev) &&
           time_now() < deadline) {
        (void)wait_until(&bf->work, has_work(bf) || !xb_attached(&bf->dev),
                         MIN(deadline, time_now() + REPOLL));
        blkfront_drain(bf);
    }
}

/* Until the device is closed, broken or gone; then to the end of every transfer (I3). */
static void serve(void *arg)
{
    struct blkfront *bf = arg;

    while (is_serving(bf)) {
        (void)wait_until(&bf->work, has_work(bf) || !is_serving(bf), time_now() + REPOLL); /* I1 */
        blkfront_drain(bf);
    }
    if (!bf->stop && bf->fault == NULL)
        log_warn("%s: the device is gone", bf->info.name);
    blkfront_refuse(bf);
    await_answers(bf);
    if (bf->fault != NULL)
        xb_fail(&bf->dev, -EPROTO, "the backend broke the protocol: %s", bf->fault);
    xb_close(&bf->dev);
    blkfront_abandon(bf);
    blkfront_pool_close(bf);
}

static void on_event(port_t port, void *arg)
{
    struct blkfront *bf = arg;

    (void)port;
    bf->info.events++;
    store_release(&bf->owed, true);
    waitq_wake_all(&bf->work);
}

/* In the watch thread. */
static void on_backend_change(void *arg)
{
    struct blkfront *bf = arg;

    waitq_wake_all(&bf->work);
}

/* ---- opening ---- */

/* "xvda", "xvdb1" from the number that the toolstack made of them; else "vbd<number>". */
static void name_disk(char *name, size_t size, uint32_t vbd)
{
    bool extended = vbd >> 28 == 1, plain = vbd >> 8 == 202;
    uint32_t disk = extended ? (vbd & 0xfffffff) >> 8 : (vbd & 0xff) >> 4;
    uint32_t part = extended ? vbd & 0xff : vbd & 15;
    char letters[3] = "", number[12] = "";

    if ((!extended && !plain) || disk >= 27 * 26) {
        format(name, size, "vbd%u", vbd);
        return;
    }
    if (disk >= 26)
        format(letters, sizeof(letters), "%c", 'a' + (int)(disk / 26) - 1);
    if (part != 0)
        format(number, sizeof(number), "%u", part);
    format(name, size, "xvd%s%c%s", letters, 'a' + (int)(disk % 26), number);
}

static int prepare(struct blkfront *bf)
{
    struct shared_page ring;
    int rc = xb_ring(&bf->dev, &ring);

    if (rc != 0)
        return rc;
    bf->bounce = !bf->trusted || option_on("bounce");
    if (!bf->bounce)
        blkfront_pool_open(bf);
    blkfront_requests_init(bf, ring.va);
    rc = xb_port(&bf->dev, on_event, bf, &bf->port);
    if (rc != 0)
        return rc;
    const struct xb_entry keys[] = {
        {.name = "ring-ref", .number = ring.ref},
        {.name = "event-channel", .number = bf->port},
        {.name = "protocol", .text = XEN_IO_PROTO_ABI_X86_64},
        {.name = "feature-persistent", .number = 1, .remove = bf->pool.max == 0},
    };
    return xb_publish(&bf->dev, keys, ARRAY_SIZE(keys));
}

static int judge_properties(struct blkfront *bf)
{
    struct blkfront_info *info = &bf->info;

    if (!IS_POW2(info->sector_size)) {
        xb_fail(&bf->dev, -EINVAL, "key \"sector-size\" is %u, not a power of two; %s",
                info->sector_size, bf->dev.remedy);
        return -EINVAL;
    }
    info->physical_sector_size =
        IS_POW2(bf->physical) ? MAX(bf->physical, info->sector_size) : info->sector_size;
    info->cdrom = bf->vdisk & VDISK_CDROM;
    info->removable = bf->vdisk & VDISK_REMOVABLE;
    info->read_only =
        info->cdrom || (bf->vdisk & VDISK_READONLY) || (bf->mode[0] != 'w' && bf->mode[0] != '\0');
    info->can_flush = bf->flush || bf->barrier;
    info->depth = blk_ring_SIZE;
    bf->pooled = info->persistent = bf->persistent && bf->pool.max > 0;
    if (bf->barrier)
        bf->flush_op = BLKIF_OP_WRITE_BARRIER;
    if (bf->flush)
        bf->flush_op = BLKIF_OP_FLUSH_DISKCACHE;
    return 0;
}

/* The startup diagram of blkif.h. */
static int connect(struct blkfront *bf, const char *id)
{
    nsec_t deadline = time_now() + XB_CONNECT_TIMEOUT;
    int rc = xb_open(&bf->dev, "vbd", id, on_backend_change, bf);

    if (rc == 0)
        rc = xb_await(&bf->dev, XB_READY, deadline);
    if (rc == 0)
        rc = xb_read(&bf->dev, bf->dev.path, settings, ARRAY_SIZE(settings), bf);
    if (rc == 0)
        rc = prepare(bf);
    if (rc == 0)
        rc = xb_advance(&bf->dev, XB_INITIALISED);
    if (rc == 0)
        rc = xb_await(&bf->dev, XB_MASK(XB_CONNECTED), deadline);
    if (rc == 0)
        rc = xb_read(&bf->dev, bf->dev.backend, properties, ARRAY_SIZE(properties), bf);
    if (rc == 0)
        rc = judge_properties(bf);
    if (rc == 0 && !bf->pooled)
        blkfront_pool_close(bf);
    if (rc == 0)
        rc = xb_advance(&bf->dev, XB_CONNECTED);
    return rc;
}

static void announce(const struct blkfront *bf)
{
    const struct blkfront_info *info = &bf->info;
    bool tiny = info->nr_sectors < 2048;

    log_info("%s: %llu %s, sectors of %u bytes%s%s%s", info->name,
             (unsigned long long)(info->nr_sectors >> (tiny ? 1 : 11)), tiny ? "KiB" : "MiB",
             info->sector_size, info->read_only ? ", read-only" : "",
             info->can_flush ? ", flush" : ", no flush", bf->bounce ? ", bounced" : "");
}

static struct blkfront *create(uint32_t vbd)
{
    struct blkfront *bf = heap_alloc_zeroed(sizeof(*bf));

    if (bf == NULL)
        return NULL;
    mutex_init(&bf->lock);
    waitq_init(&bf->work);
    list_init(&bf->pending);
    list_init(&bf->finished);
    bf->flush_op = NO_FLUSH;
    bf->handle = (uint16_t)vbd;
    name_disk(bf->info.name, sizeof(bf->info.name), vbd);
    return bf;
}

int blkfront_open(const char *id, struct blkfront **out)
{
    struct blkfront *bf;
    uint32_t vbd;
    int rc = parse_u32(id, 0, UINT32_MAX, &vbd);

    if (rc != 0)
        return -EINVAL;
    bf = create(vbd);
    if (bf == NULL)
        return -ENOMEM;
    rc = connect(bf, id);
    if (rc == 0)
        rc = thread_create(bf->info.name, PRIO_DRIVER, 0, serve, bf, &bf->thread);
    if (rc != 0) {
        xb_close(&bf->dev);
        blkfront_pool_close(bf);
        heap_free(bf);
        return rc;
    }
    announce(bf);
    *out = bf;
    return 0;
}

void blkfront_close(struct blkfront *bf)
{
    store_relaxed(&bf->stop, true);
    waitq_wake_all(&bf->work);
    thread_join(bf->thread);
    heap_free(bf);
}

void blkfront_get_info(struct blkfront *bf, struct blkfront_info *out)
{
    *out = bf->info;
}
