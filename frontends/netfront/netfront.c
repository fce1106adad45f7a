/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A vif's lives: connect, poll, disconnect (xen/io/netif.h). Frames out are tx.c, frames in rx.c
 * and stock.c, multicast groups groups.c.
 *
 * The driver has no thread. Its event handler and a timer call the user's wake; the user's
 * thread calls netfront_poll, which does what there is to do. An event's port stays masked from
 * its handler until the poll that found nothing more to do gives the EOI: a storm of events costs
 * at most a poll each time, and is slowed down by kernel/evtchn when these polls find no work.
 *
 * I1 Progress does not depend on the backend's notifications: once a second a timer calls
 *    wake, whatever the backend does.
 * I2 A violation only sets (fault), in any context: the link is down, and the user's thread, woken,
 *    closes or reopens.
 * I3 After closing nothing of the device is left with the backend or the store: pages are freed or
 *    in the grants' quarantine. What remains is a vif without a link, ready for its next life.
 * I4 Memory is bounded by the size of the domain: see nr_rx_pages, nr_tx_pages and nr_queues_for.
 * I5 (up) is the last to be set and the first to be cleared, after which each queue's lock is taken
 *    once: who holds it and sees (up) may use the rings. Queues are freed by destroy only, so who
 *    chose one in an earlier life finds it, and finds that it is not open.
 *
 * The checksum flags travel both ways, and so do TCP segments larger than the mtu, up to 64 KiB
 * (feature-gso): out where the backend takes them.
 */
#include "frontends/netfront/netfront.h"

#include "frontends/netfront/internal.h"
#include "kernel/cpus.h"
#include "kernel/heap.h"
#include "kernel/log.h"
#include "kernel/option.h"
#include "kernel/page.h"
#include "lib/base/format.h"
#include "lib/base/string.h"

#define REPOLL NSEC_PER_SEC
#define MTU_MAX (65535 - ETHERNET_HEADER)
#define MTU_ETHERNET 1500
#define MTU_MIN 68

/* In the backend's directory. */
static const struct xb_key features[] = {
    XB_FLAG(struct netfront_terms, rx_copy, "feature-rx-copy", false),
    XB_FLAG(struct netfront_terms, sg, "feature-sg", false),
    XB_FLAG(struct netfront_terms, split, "feature-split-event-channels", false),
    XB_FLAG(struct netfront_terms, no_csum_offload, "feature-no-csum-offload", false),
    XB_FLAG(struct netfront_terms, csum6, "feature-ipv6-csum-offload", false),
    XB_FLAG(struct netfront_terms, gso4, "feature-gso-tcpv4", false),
    XB_FLAG(struct netfront_terms, gso6, "feature-gso-tcpv6", false),
    XB_FLAG(struct netfront_terms, filters, "feature-multicast-control", false),
    XB_FLAG(struct netfront_terms, filters_at_will, "feature-dynamic-multicast-control", false),
    XB_OPTIONAL(struct netfront_terms, max_queues, "multi-queue-max-queues", 1, 1,
                NETFRONT_QUEUES_MAX),
    XB_OPTIONAL_TEXT(struct netfront_terms, ip, "ip"),
};

/* In our own. */
static const struct xb_key settings[] = {
    XB_REQUIRED(struct netfront_terms, mac, "mac", 0, 0),
    XB_OPTIONAL(struct netfront_terms, mtu, "mtu", MTU_ETHERNET, MTU_MIN, MTU_MAX),
    XB_FLAG(struct netfront_terms, trusted, "trusted", true),
};

/* I4: a 32nd and a 64th of memory for all (n) queues, within what the rings can use and need. */
static unsigned nr_rx_pages(unsigned n)
{
    return (unsigned)MAX(64, MIN(page_count_total() / 32 / n, rx_ring_SIZE));
}

static unsigned nr_tx_pages(unsigned n)
{
    return (unsigned)MAX(32, MIN(page_count_total() / 64 / n, tx_ring_SIZE));
}

/* One for each CPU, if the backend has as many, and half a ring of pages for each of them. */
static unsigned nr_queues_for(const struct netfront_terms *t)
{
    size_t n = MIN(t->max_queues, page_count_total() / 32 / (rx_ring_SIZE / 2));

    return (unsigned)MAX(1, MIN(n, cpus_count()));
}

/* ---- events ---- */

void netfront_fault(struct netfront *nf, const char *why)
{
    const char *none = NULL;

    if (atomic_cmpxchg(&nf->fault, &none, why)) /* I2 */
        nf->user.wake(nf->user.arg);
}

bool netfront_link(const struct netfront *nf)
{
    return load_acquire(&nf->up) && load_relaxed(&nf->fault) == NULL && xb_connected(&nf->dev);
}

static void on_event(port_t port, void *arg)
{
    struct netfront_channel *channel = arg;
    struct netfront *nf = channel->q->nf;

    store_relaxed(&channel->port, port); /* the opener may not have noted it yet */
    store_release(&channel->owed, true);
    atomic_add(&channel->q->count.events, 1); /* its other channel may be on another CPU */
    nf->user.wake(nf->user.arg);
}

static void on_repoll(struct timer *t)
{
    struct netfront *nf = CONTAINER_OF(t, struct netfront, repoll);

    if (!load_relaxed(&nf->up))
        return;
    timer_set(t, time_now() + REPOLL); /* I1 */
    netfront_stock_trim(nf);
    nf->user.wake(nf->user.arg);
}

/* In the watch thread. */
static void on_backend_change(void *arg)
{
    struct netfront *nf = arg;

    nf->user.wake(nf->user.arg);
}

static void notify(struct netfront_queue *q, const struct netfront_channel *channel)
{
    atomic_add(&q->count.notifies, 1);
    (void)evtchn_notify(load_relaxed(&channel->port));
}

void netfront_notify_rx(struct netfront_queue *q)
{
    notify(q, &q->rx_channel);
}

void netfront_notify_tx(struct netfront_queue *q)
{
    notify(q, q->nf->terms.split ? &q->tx_channel : &q->rx_channel);
}

static void give_eoi(struct netfront_channel *channel, bool worked)
{
    if (atomic_exchange(&channel->owed, false))
        evtchn_eoi(channel->port, worked);
}

/* Nothing more to do: ask for events again. False when something came in after all. */
static bool go_idle(struct netfront_queue *q)
{
    bool rx_worked, tx_worked;

    if (netfront_rx_rearm(q))
        return false;
    rx_worked = q->rx.worked;
    q->rx.worked = false;
    /* What a send took counts as well: its event would otherwise look spurious. */
    tx_worked = atomic_exchange(&q->tx.worked, false);
    give_eoi(&q->rx_channel, rx_worked || (tx_worked && !q->nf->terms.split));
    give_eoi(&q->tx_channel, tx_worked);
    return true;
}

/* ---- connecting ---- */

/* What we make of it: no feature without those it stands on. */
static void judge(struct netfront_terms *t)
{
    t->mtu = t->sg ? t->mtu : MIN(t->mtu, MTU_ETHERNET);
    t->gso4 &= t->sg && !t->no_csum_offload;
    t->gso6 &= t->sg && t->csum6;
    t->filters &= t->filters_at_will;
    t->bounce = !t->trusted || option_on("bounce");
    for (char *p = t->ip; *p != '\0'; p++) /* it is in messages, too */
        *p = *p >= ' ' && *p <= '~' ? *p : '?';
}

static void accept_terms(struct netfront *nf, const struct netfront_terms *t)
{
    struct netfront_info *info = &nf->info;

    nf->terms = *t;
    mutex_lock(&nf->lock);
    memcpy(info->mac, t->mac, sizeof(info->mac));
    memcpy(info->ip, t->ip, sizeof(info->ip));
    info->mtu = (uint16_t)t->mtu;
    info->csum_offload = !t->no_csum_offload;
    info->csum_offload6 = t->csum6;
    info->large4 = t->gso4;
    info->large6 = t->gso6;
    info->tx_max = t->sg ? XEN_NETIF_MAX_TX_SIZE : PAGE_SIZE;
    netfront_groups_begin(nf, t->filters);
    mutex_unlock(&nf->lock);
}

static int negotiate(struct netfront *nf)
{
    struct netfront_terms t = {0};
    int rc = xb_read(&nf->dev, nf->dev.backend, features, ARRAY_SIZE(features), &t);

    if (rc == 0)
        rc = xb_read(&nf->dev, nf->dev.path, settings, ARRAY_SIZE(settings), &t);
    if (rc != 0)
        return rc;
    if (!t.rx_copy) {
        xb_fail(&nf->dev, -EOPNOTSUPP, "the backend has no feature-rx-copy; it is too old");
        return -EOPNOTSUPP;
    }
    if (t.mac[0] & 1) {
        xb_fail(&nf->dev, -EINVAL, "key \"mac\" is a group address; %s", nf->dev.remedy);
        return -EINVAL;
    }
    judge(&t);
    accept_terms(nf, &t);
    return 0;
}

static int make_queue(struct netfront *nf, unsigned i)
{
    struct netfront_queue *q = nf->queue[i];

    if (q != NULL)
        return 0;
    q = heap_alloc_zeroed(sizeof(*q));
    if (q == NULL)
        return -ENOMEM;
    q->nf = nf;
    q->index = i;
    netfront_tx_init(q);
    store_release(&nf->queue[i], q); /* netfront_kick looks for it */
    return 0;
}

static int open_queue(struct netfront_queue *q)
{
    struct netfront *nf = q->nf;
    int rc = xb_ring(&nf->dev, &q->tx.page);

    q->rx_channel = q->tx_channel = (struct netfront_channel){.q = q};
    if (rc == 0)
        rc = xb_ring(&nf->dev, &q->rx.page);
    if (rc == 0)
        rc = xb_port(&nf->dev, on_event, &q->rx_channel, &q->rx_channel.port);
    if (rc == 0 && nf->terms.split)
        rc = xb_port(&nf->dev, on_event, &q->tx_channel, &q->tx_channel.port);
    if (rc == 0)
        rc = netfront_tx_open(q, nr_tx_pages(nf->nr_queues));
    if (rc == 0)
        netfront_rx_open(q, nr_rx_pages(nf->nr_queues));
    return rc;
}

/* A backend prefers split channels if it finds them, also those of an earlier life. One queue's
 * keys lie in our directory itself. */
static int publish_queue(struct netfront_queue *q)
{
    bool split = q->nf->terms.split;
    char name[5][40];
    const struct xb_entry keys[] = {
        {.name = "tx-ring-ref", .number = q->tx.page.ref},
        {.name = "rx-ring-ref", .number = q->rx.page.ref},
        {.name = "event-channel", .number = q->rx_channel.port, .remove = split},
        {.name = "event-channel-rx", .number = q->rx_channel.port, .remove = !split},
        {.name = "event-channel-tx", .number = q->tx_channel.port, .remove = !split},
    };
    struct xb_entry named[ARRAY_SIZE(keys)];

    for (unsigned i = 0; i < ARRAY_SIZE(keys); i++) {
        named[i] = keys[i];
        format(name[i], sizeof(name[i]), "queue-%u/%s", q->index, keys[i].name);
        if (q->nf->nr_queues > 1)
            named[i].name = name[i];
    }
    return xb_publish(&q->nf->dev, named, ARRAY_SIZE(named));
}

static int publish_features(struct netfront *nf)
{
    const struct xb_entry keys[] = {
        {.name = "multi-queue-num-queues", .number = nf->nr_queues},
        {.name = "request-rx-copy", .number = 1},
        {.name = "feature-rx-notify", .number = 1},
        {.name = "feature-sg", .number = 1},
        {.name = "feature-ipv6-csum-offload", .number = 1},
        {.name = "feature-gso-tcpv4", .number = 1},
        {.name = "feature-gso-tcpv6", .number = 1},
        {.name = "feature-no-csum-offload", .remove = true},
        {.name = "request-multicast-control", .number = 1, .remove = !nf->multicast.filtering},
    };

    return xb_publish(&nf->dev, keys, ARRAY_SIZE(keys));
}

static int open_queues(struct netfront *nf)
{
    unsigned n = nr_queues_for(&nf->terms);
    int rc = 0;

    for (unsigned i = 0; i < n && rc == 0; i++)
        rc = make_queue(nf, i);
    if (rc == 0)
        store_release(&nf->nr_queues, n); /* whoever reads it finds so many */
    netfront_stock_open(nf, nf->terms.bounce ? 0 : nr_rx_pages(n));
    for (unsigned i = 0; i < n && rc == 0; i++) {
        rc = open_queue(nf->queue[i]);
        if (rc == 0)
            rc = publish_queue(nf->queue[i]);
    }
    return rc;
}

/* The backend is ready. */
static int connect(void *arg, nsec_t deadline)
{
    struct netfront *nf = arg;
    int rc = negotiate(nf);

    if (rc == 0)
        rc = open_queues(nf);
    if (rc == 0)
        rc = publish_features(nf);
    if (rc == 0)
        rc = xb_advance(&nf->dev, XB_CONNECTED);
    if (rc == 0)
        rc = xb_await(&nf->dev, XB_MASK(XB_CONNECTED), deadline);
    return rc;
}

static void announce(const struct netfront *nf)
{
    const uint8_t *mac = nf->info.mac;
    char queues[16] = "";

    if (nf->nr_queues > 1)
        format(queues, sizeof(queues), "%u * ", nf->nr_queues);
    log_info("%s: %02x:%02x:%02x:%02x:%02x:%02x, mtu %u%s%s%s, %s%u + %u pages", nf->info.name,
             mac[0], mac[1], mac[2], mac[3], mac[4], mac[5], nf->info.mtu,
             nf->terms.sg ? ", scatter-gather" : "", nf->terms.split ? ", split channels" : "",
             nf->terms.bounce ? ", bounced" : "", queues, nf->queue[0]->rx.target,
             nf->queue[0]->tx.slots.nr);
}

/* ---- up and down ---- */

/* The inverse of connect at whatever stage (I3). */
static void disconnect(void *arg)
{
    struct netfront *nf = arg;

    for (unsigned i = 0; i < nf->nr_queues; i++) {
        netfront_tx_close(nf->queue[i]);
        netfront_rx_close(nf->queue[i]);
    }
    netfront_stock_close(nf);
    store_relaxed(&nf->fault, NULL);
}

static const struct life_driver driver = {
    .class = "vif", .connect = connect, .disconnect = disconnect, .on_change = on_backend_change};

/* I5; also out of queues that this life does not have, the next may. */
static void let_senders_out(struct netfront *nf)
{
    struct netfront_queue *q;

    for (unsigned i = 0; (q = netfront_queue(nf, i)) != NULL; i++) {
        mutex_lock(&q->tx.lock);
        mutex_unlock(&q->tx.lock);
    }
}

static void go_up(struct netfront *nf)
{
    mutex_lock(&nf->lock);
    nf->info.lives++;
    mutex_unlock(&nf->lock);
    announce(nf);
    store_release(&nf->up, true);
    netfront_groups_poll(nf); /* a backend that filters lets nothing through yet */
    timer_set(&nf->repoll, time_now() + REPOLL);
    /* The pages were posted before there was anyone to notify. */
    for (unsigned i = 0; i < nf->nr_queues; i++)
        netfront_notify_rx(nf->queue[i]);
    /* An event may have come before the user could poll. */
    nf->user.wake(nf->user.arg);
}

static void take_down(struct netfront *nf)
{
    store_release(&nf->up, false);
    let_senders_out(nf);
    (void)timer_cancel(&nf->repoll);
    if (load_relaxed(&nf->fault) != NULL)
        xb_fail(&nf->dev, -EPROTO, "the backend broke the protocol: %s", nf->fault);
    life_close(&nf->life);
    log_info("%s: link down", nf->info.name);
}

/* ---- for the user ---- */

int netfront_create(const char *handle, const struct netfront_user *user, struct netfront **out)
{
    struct netfront *nf = heap_alloc_zeroed(sizeof(*nf));
    int rc;

    if (nf == NULL)
        return -ENOMEM;
    nf->user = *user;
    nf->multicast.wanted.nr = NETFRONT_GROUPS_MAX + 1;
    mutex_init(&nf->lock);
    spin_init(&nf->stock.lock);
    timer_init(&nf->repoll, on_repoll);
    format(nf->info.name, sizeof(nf->info.name), "vif%s", handle);
    rc = life_init(&nf->life, &nf->dev, &driver, handle, nf);
    if (rc == 0)
        *out = nf;
    else
        heap_free(nf);
    return rc;
}

int netfront_open(struct netfront *nf)
{
    int rc = life_open(&nf->life);

    if (rc == 0)
        go_up(nf);
    return rc;
}

int netfront_reopen(struct netfront *nf, nsec_t deadline)
{
    int rc;

    netfront_close(nf);
    rc = life_reopen(&nf->life, deadline);
    if (rc == 0)
        go_up(nf);
    return rc;
}

void netfront_close(struct netfront *nf)
{
    if (nf->up)
        take_down(nf);
}

void netfront_cancel(struct netfront *nf)
{
    life_cancel(&nf->life);
}

void netfront_destroy(struct netfront *nf)
{
    netfront_close(nf);
    life_destroy(&nf->life);
    for (unsigned i = 0; i < NETFRONT_QUEUES_MAX; i++)
        heap_free(nf->queue[i]);
    heap_free(nf);
}

/* True when there is more in (q). */
static bool poll_queue(struct netfront_queue *q, unsigned budget)
{
    netfront_tx_settle(q);
    return netfront_rx_poll(q, budget);
}

bool netfront_poll(struct netfront *nf, unsigned budget)
{
    bool more = false;

    if (!netfront_link(nf))
        return false;
    for (unsigned i = 0; i < nf->nr_queues; i++)
        more |= poll_queue(nf->queue[i], MAX(1, budget / nf->nr_queues));
    netfront_groups_poll(nf);
    if (more || load_relaxed(&nf->fault) != NULL)
        return true;
    for (unsigned i = 0; i < nf->nr_queues; i++)
        more |= !go_idle(nf->queue[i]);
    return more;
}

static void add_counts(struct netfront_info *info, const struct netfront_counts *c)
{
    info->rx_frames += load_relaxed(&c->rx_frames);
    info->rx_bytes += load_relaxed(&c->rx_bytes);
    info->tx_frames += load_relaxed(&c->tx_frames);
    info->tx_bytes += load_relaxed(&c->tx_bytes);
    info->rx_dropped += load_relaxed(&c->rx_dropped);
    info->tx_dropped += load_relaxed(&c->tx_dropped);
    info->tx_large += load_relaxed(&c->tx_large);
    info->notifies += load_relaxed(&c->notifies);
    info->events += load_relaxed(&c->events);
}

void netfront_get_info(struct netfront *nf, struct netfront_info *out)
{
    const struct netfront_queue *q;

    mutex_lock(&nf->lock);
    *out = nf->info;
    mutex_unlock(&nf->lock);
    out->link = netfront_link(nf);
    out->queues = load_relaxed(&nf->nr_queues);
    for (unsigned i = 0; (q = netfront_queue(nf, i)) != NULL; i++)
        add_counts(out, &q->count);
}
