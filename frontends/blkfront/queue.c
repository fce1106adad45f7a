/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A queue: a ring, its event channel, its pool and the thread that serves it. A disk has one, or as
 * many as there are CPUs if its backend likes; then queue (n) is CPU (n)'s: what is submitted there
 * goes into it, and its events and its thread are there.
 *
 *     create --> open --> start --> serve ... stop --> drain --> close --> open again
 *                 ring,    lists                        answers   what is in flight
 *                 port     move                                   is taken back
 *
 * I1 Progress does not depend on notifications: the thread looks at the ring once a second.
 * I2 The memory of a queue stays until the disk is closed, so that its lock and its lists are there
 *    for who submits; what belongs to one connection (ring, port, slots) comes and goes under it.
 * I3 No request is in flight without end: a backend that answered nothing for (timeout) is left as
 *    one that is gone. It has PATIENCE times that while a flush or a discard of the disk is under
 *    way, which may take long and hold up others, and for a request that all others overtake.
 *    Seconds are counted in looks at the ring: while the domain stands still, its backend is not to
 *    blame.
 */
#include "frontends/blkfront/internal.h"

#include "kernel/cpus.h"
#include "kernel/heap.h"
#include "kernel/log.h"
#include "kernel/page.h"
#include "lib/base/format.h"
#include "lib/base/string.h"

#define LOOK NSEC_PER_SEC /* I1 */
#define PATIENCE 4

/* ---- the lock, and what is due when it is given back ---- */

void blkfront_lock(struct queue *q)
{
    mutex_lock(&q->lock);
}

void blkfront_unlock(struct queue *q)
{
    bool notify = q->kick;
    port_t port = notify ? q->port : PORT_NONE; /* what it is later harms nobody */
    bool wake = !list_empty(&q->finished);

    q->kick = false;
    store_release(&q->due, wake);
    q->counts.notifies += notify;
    mutex_unlock(&q->lock);
    if (notify) {
        blkfront_note(q->bf, BLKFRONT_NOTIFY);
        (void)evtchn_notify(port);
    }
    if (wake)
        waitq_wake_all(&q->work);
}

/* ---- serving ---- */

bool blkfront_is_serving(const struct blkfront *bf)
{
    return !load_relaxed(&bf->stop) && !load_relaxed(&bf->silent) &&
           load_relaxed(&bf->fault) == NULL && xb_connected(&bf->dev);
}

static bool has_work(struct queue *q)
{
    return q->more || load_acquire(&q->owed) || load_acquire(&q->due);
}

/* The first queue's thread is also the device's. */
static bool is_to_go_on(const struct queue *q)
{
    return load_relaxed(&q->live) && blkfront_is_serving(q->bf) &&
           (q->index > 0 || !load_relaxed(&q->bf->changed));
}

/* Is there a request that waits for its answer for too long (I3)? The lock is held. */
static bool is_left_alone(const struct queue *q)
{
    unsigned limit = (unsigned)(q->bf->timeout / LOOK), oldest = 0;
    bool slow = load_relaxed(&q->bf->nr_long) > 0;

    for (unsigned slot = 0; slot < q->slots.nr; slot++)
        if (slots_is_in_flight(&q->slots, slot))
            oldest = MAX(oldest, q->looks - q->request[slot].sent);
    return oldest > PATIENCE * limit || (!slow && MIN(oldest, q->looks - q->answered) > limit);
}

static void look(struct queue *q)
{
    if (time_now() < q->look_at)
        return;
    q->look_at = time_now() + LOOK;
    mutex_lock(&q->lock);
    q->looks++;
    if (is_left_alone(q))
        store_relaxed(&q->bf->silent, true);
    mutex_unlock(&q->lock);
}

void blkfront_queue_serve(struct queue *q)
{
    do { /* once at least: news of the disk may never pause */
        (void)wait_until(&q->work, has_work(q) || !is_to_go_on(q), q->look_at); /* I1 */
        blkfront_queue_work(q);
        look(q);
    } while (is_to_go_on(q));
}

static void serve_thread(void *arg)
{
    blkfront_queue_serve(arg);
}

static void on_event(port_t port, void *arg)
{
    struct queue *q = arg;

    (void)port;
    store_relaxed(&q->counts.events, load_relaxed(&q->counts.events) + 1);
    blkfront_note(q->bf, BLKFRONT_EVENT);
    store_release(&q->owed, true);
    waitq_wake_all(&q->work);
}

void blkfront_wake(struct blkfront *bf)
{
    for (unsigned i = 0; i < QUEUES_MAX; i++)
        if (load_acquire(&bf->queue[i]) != NULL)
            waitq_wake_all(&bf->queue[i]->work);
}

/* ---- a connection ---- */

struct queue *blkfront_queue_create(struct blkfront *bf, unsigned index)
{
    struct queue *q = heap_alloc_zeroed(sizeof(*q));

    if (q == NULL)
        return NULL;
    q->bf = bf;
    q->index = index;
    mutex_init(&q->lock);
    waitq_init(&q->work);
    list_init(&q->pending);
    list_init(&q->busy);
    list_init(&q->finished);
    return q;
}

/* Pages side by side, each granted. */
static int open_ring(struct queue *q, unsigned order)
{
    q->pages = page_alloc_order(order);
    if (q->pages == NULL)
        return -ENOMEM;
    memset(q->pages, 0, PAGE_SIZE << order);
    page_split(q->pages, order);
    for (q->nr_pages = 0; q->nr_pages < 1u << order; q->nr_pages++) {
        int rc = grant_page(q->bf->dev.backend_id, (char *)q->pages + q->nr_pages * PAGE_SIZE,
                            false, &q->page_ref[q->nr_pages]);

        if (rc == 0)
            continue;
        for (unsigned i = q->nr_pages; i < 1u << order; i++)
            page_free((char *)q->pages + i * PAGE_SIZE);
        return rc;
    }
    return 0;
}

static void close_ring(struct queue *q)
{
    while (q->nr_pages > 0) {
        q->nr_pages--;
        grant_revoke_and_free(q->page_ref[q->nr_pages], (char *)q->pages + q->nr_pages * PAGE_SIZE);
    }
    q->pages = NULL;
}

/* Our notes of (n) requests. */
static int open_requests(struct queue *q, unsigned n, unsigned segments)
{
    q->segments = segments;
    q->request = heap_alloc_zeroed(n * sizeof(q->request[0]));
    q->segment = heap_alloc_zeroed(n * segments * sizeof(q->segment[0]));
    if (q->request == NULL || q->segment == NULL)
        return -ENOMEM;
    for (unsigned i = 0; i < n; i++)
        q->request[i].seg = q->segment + i * segments;
    return 0;
}

int blkfront_queue_open(struct queue *q, unsigned order, unsigned segments)
{
    int rc = open_ring(q, order);

    q->owed = q->worked = q->more = false;
    if (rc == 0) {
        blk_ring_init_pages(&q->ring, q->pages, q->nr_pages);
        rc = open_requests(q, blk_ring_size(&q->ring), segments);
    }
    if (rc == 0)
        rc = evtchn_alloc_unbound(q->bf->dev.backend_id, on_event, q, &q->port);
    if (rc != 0)
        log_err("%s: no memory, grant or event channel for a ring: error %d", q->bf->dev.name, -rc);
    return rc;
}

/* Its CPU, if there are several queues. */
static void settle(struct queue *q)
{
    struct cpumask own = {{0}};

    if (q->bf->nr_queues == 1 || evtchn_set_cpu(q->port, q->index) != 0)
        return;
    (void)cpumask_add(&own, q->index);
    if (q->thread != NULL)
        thread_set_affinity(q->thread, &own);
}

int blkfront_queue_start(struct queue *q)
{
    char name[24];
    int rc = 0;

    mutex_lock(&q->lock);
    slots_init(&q->slots, blk_ring_size(&q->ring), 64);
    store_relaxed(&q->live, true);
    mutex_unlock(&q->lock);
    blkfront_queue_pump(q);
    format(name, sizeof(name), "%s-%u", q->bf->info.name, q->index);
    if (q->index > 0)
        rc = thread_create(name, PRIO_DRIVER, 0, serve_thread, q, &q->thread);
    if (rc == 0)
        settle(q);
    return rc;
}

void blkfront_queue_stop(struct queue *q)
{
    mutex_lock(&q->lock);
    store_relaxed(&q->live, false);
    mutex_unlock(&q->lock);
    waitq_wake_all(&q->work);
    if (q->thread != NULL)
        thread_join(q->thread);
    q->thread = NULL;
}

static bool is_answering(const struct queue *q)
{
    return load_relaxed(&q->bf->fault) == NULL && xb_attached(&q->bf->dev);
}

void blkfront_queue_drain(struct queue *q, nsec_t deadline)
{
    while (slots_in_use(&q->slots) > 0 && is_answering(q) && time_now() < deadline) {
        (void)wait_until(&q->work, has_work(q) || !is_answering(q),
                         MIN(deadline, time_now() + LOOK));
        blkfront_queue_work(q);
    }
}

void blkfront_queue_close(struct queue *q, int status)
{
    if (q->port != PORT_NONE)
        evtchn_unbind(q->port);
    blkfront_queue_abandon(q, status);
    blkfront_pool_close(q);
    close_ring(q);
    mutex_lock(&q->lock);
    q->port = PORT_NONE;
    slots_init(&q->slots, 0, 64);
    heap_free(q->request);
    heap_free(q->segment);
    q->request = NULL;
    q->segment = NULL;
    mutex_unlock(&q->lock);
    blkfront_queue_finish(q);
}
