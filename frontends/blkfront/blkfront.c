/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A vbd's life: open, serve, connect again, end. How both ends agree is in connect.c, a ring and
 * its thread in queue.c, how a transfer becomes requests and back in those that internal.h draws,
 * the blocking calls in sync.c.
 *
 * Opening walks the startup diagram of xen/io/blkif.h in the caller's thread. From then on a thread
 * of the device takes responses, and sees to its lives (frontends/common/life.h):
 *
 *     serve --> stop --> drain --> life_close --> expire <--> life_reopen --> serve
 *               nothing  what is    the rest is   -EIO for
 *               is sent  answered   pending again what waited too long
 *
 * I1 A backend that closes in an orderly way, and one that we close, may finish what it has for
 *    DRAIN_TIMEOUT. One that broke the protocol may not, and what it had ends with -EIO: nobody
 *    knows what it did with it. A silent one (I3 of queue.c) had its time.
 * I2 What a backend did not answer is sent again to the next one, once it is there, in the order of
 *    submission; a transfer waits for that no longer than (timeout).
 * I3 When the device is closed no transfer is left without its (done).
 */
#include "frontends/blkfront/blkfront.h"

#include "frontends/blkfront/internal.h"
#include "kernel/heap.h"
#include "kernel/log.h"
#include "kernel/option.h"
#include "kernel/time.h"
#include "lib/base/format.h"
#include "lib/base/parse.h"
#include "lib/base/string.h"

#define DRAIN_TIMEOUT (10 * NSEC_PER_SEC)
#define TIMEOUT_DEFAULT 30
#define TIMEOUT_MAX 86400

nsec_t blkfront_timeout(void)
{
    const char *given = option_get("disk-timeout");
    uint32_t seconds = TIMEOUT_DEFAULT;
    static bool said;

    if (given != NULL && parse_u32(given, 1, TIMEOUT_MAX, &seconds) != 0) {
        seconds = TIMEOUT_DEFAULT;
        if (!atomic_exchange(&said, true))
            log_warn("option: paravane.disk-timeout=%s is not a number of seconds from 1 to %u: "
                     "taken as %u",
                     given, TIMEOUT_MAX, TIMEOUT_DEFAULT);
    }
    return seconds * NSEC_PER_SEC;
}

/* ---- the device's thread ---- */

static void for_queues(struct blkfront *bf, void (*fn)(struct queue *))
{
    for (unsigned i = 0; i < bf->nr_queues; i++)
        fn(bf->queue[i]);
}

static void serve(struct blkfront *bf)
{
    while (blkfront_is_serving(bf)) {
        blkfront_queue_serve(bf->queue[0]);
        if (atomic_exchange(&bf->changed, false) && blkfront_is_serving(bf))
            blkfront_reread(bf);
    }
}

/* Nothing is sent any more; what the backend answers still counts (I1). */
static void settle(struct blkfront *bf)
{
    nsec_t deadline = time_now() + (load_relaxed(&bf->silent) ? 0 : DRAIN_TIMEOUT);

    store_relaxed(&bf->down_since, time_now());
    mutex_lock(&bf->info_lock);
    bf->info.connected = false;
    mutex_unlock(&bf->info_lock);
    for_queues(bf, blkfront_queue_stop);
    for (unsigned i = 0; i < bf->nr_queues; i++)
        blkfront_queue_drain(bf->queue[i], deadline);
    if (bf->fault != NULL)
        xb_fail(&bf->dev, -EPROTO, "the backend broke the protocol: %s", bf->fault);
    else if (!load_relaxed(&bf->stop))
        log_warn("%s: the backend %s; %u s until transfers fail", bf->info.name,
                 bf->silent ? "does not answer" : "has left",
                 (unsigned)(bf->timeout / NSEC_PER_SEC));
}

/* Transfers that waited for long enough end (I2). When the next one is due. */
static nsec_t expire(struct blkfront *bf, nsec_t now, int status)
{
    nsec_t next = now + bf->timeout;

    for (unsigned i = 0; i < QUEUES_MAX && bf->queue[i] != NULL; i++)
        next = MIN(next, blkfront_queue_expire(bf->queue[i], now, status));
    return next;
}

/* Until there is a backend again. False: the device is closed. */
static bool reopen(struct blkfront *bf)
{
    int rc = -ETIMEDOUT;

    while (rc != 0 && rc != -ECANCELED)
        rc = life_reopen(&bf->life, expire(bf, time_now(), -EIO));
    if (rc != 0)
        return false;
    mutex_lock(&bf->info_lock);
    bf->info.reconnects++;
    mutex_unlock(&bf->info_lock);
    blkfront_announce(bf, " again");
    return true;
}

static void device_thread(void *arg)
{
    struct blkfront *bf = arg;

    do {
        serve(bf);
        settle(bf);
        life_close(&bf->life);
    } while (reopen(bf));
    store_relaxed(&bf->dead, true);
    (void)expire(bf, NEVER, -ENODEV); /* I3 */
}

/* ---- lifecycle.h calls ---- */

static int on_connect(void *arg, nsec_t deadline)
{
    return blkfront_connect(arg, deadline);
}

/* After xb_close: nobody answers any more. */
static void on_disconnect(void *arg)
{
    struct blkfront *bf = arg;
    int status = load_relaxed(&bf->stop) || bf->fault != NULL ? -EIO : 0; /* I1 */

    for_queues(bf, blkfront_queue_stop);
    for (unsigned i = 0; i < bf->nr_queues; i++)
        blkfront_queue_close(bf->queue[i], status);
    bf->fault = NULL;
    bf->silent = false;
}

/* In the watch thread. */
static void on_change(void *arg)
{
    struct blkfront *bf = arg;

    store_relaxed(&bf->changed, true);
    blkfront_wake(bf);
}

static const struct life_driver driver = {
    .class = "vbd", .connect = on_connect, .disconnect = on_disconnect, .on_change = on_change};

/* ---- for programs ---- */

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

static void destroy(struct blkfront *bf)
{
    for (unsigned i = 0; i < QUEUES_MAX; i++)
        heap_free(bf->queue[i]);
    heap_free(bf);
}

static struct blkfront *create(uint32_t vbd)
{
    struct blkfront *bf = heap_alloc_zeroed(sizeof(*bf));

    if (bf == NULL)
        return NULL;
    mutex_init(&bf->info_lock);
    bf->handle = (uint16_t)vbd;
    bf->flush_op = NO_FLUSH;
    bf->timeout = blkfront_timeout();
    name_disk(bf->info.name, sizeof(bf->info.name), vbd);
    bf->nr_queues = 1;
    bf->queue[0] = blkfront_queue_create(bf, 0);
    if (bf->queue[0] != NULL)
        return bf;
    destroy(bf);
    return NULL;
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
    rc = life_init(&bf->life, &bf->dev, &driver, id, bf);
    if (rc == 0)
        rc = life_open(&bf->life);
    if (rc == 0)
        blkfront_announce(bf, ""); /* from now on all this is the thread's */
    if (rc == 0)
        rc = thread_create(bf->info.name, PRIO_DRIVER, 0, device_thread, bf, &bf->thread);
    if (rc != 0) {
        life_destroy(&bf->life);
        destroy(bf);
        return rc;
    }
    *out = bf;
    return 0;
}

void blkfront_close(struct blkfront *bf)
{
    store_relaxed(&bf->plugged, 1);
    blkfront_unplug(bf);
    store_relaxed(&bf->stop, true);
    life_cancel(&bf->life);
    blkfront_wake(bf);
    thread_join(bf->thread);
    life_destroy(&bf->life);
    destroy(bf);
}

static void add_counts(struct blkfront_info *out, struct queue *q)
{
    mutex_lock(&q->lock);
    out->depth += q->live ? blk_ring_size(&q->ring) : 0;
    out->reads += q->counts.reads;
    out->writes += q->counts.writes;
    out->flushes += q->counts.flushes;
    out->discards += q->counts.discards;
    out->errors += q->counts.errors;
    out->requests += q->counts.requests;
    out->notifies += q->counts.notifies;
    out->events += load_relaxed(&q->counts.events);
    out->replays += q->counts.replays;
    mutex_unlock(&q->lock);
}

void blkfront_get_info(struct blkfront *bf, struct blkfront_info *out)
{
    mutex_lock(&bf->info_lock);
    *out = bf->info;
    mutex_unlock(&bf->info_lock);
    out->queues = load_relaxed(&bf->nr_queues);
    out->pages = load_relaxed(&bf->segments);
    for (unsigned i = 0; i < QUEUES_MAX; i++)
        if (load_acquire(&bf->queue[i]) != NULL)
            add_counts(out, bf->queue[i]);
}

void blkfront_observe(struct blkfront *bf, void (*fn)(enum blkfront_moment moment))
{
    bf->observer = fn;
}
