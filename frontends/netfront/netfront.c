/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A vif's life: connect, poll, take down (xen/io/netif.h). Frames out are tx.c, frames in rx.c.
 *
 * The driver has no thread. Its event handler and a timer call the user's wake; the user's
 * thread calls netfront_poll, which does what there is to do. An event's port stays masked from
 * its handler until the poll that found nothing more to do gives the EOI: a storm of events costs
 * at most a poll each time, and is slowed down by kernel/evtchn when these polls find no work.
 *
 * I1 Progress does not depend on the backend's notifications: once a second a timer calls
 *    wake, whatever the backend does.
 * I2 A violation only sets (fault), in any context. The next poll takes the device down.
 * I3 After taking down nothing of the device is left with the backend or the store: pages are freed
 *    or in the grants' quarantine. What remains is a vif without a link, until netfront_close; this
 *    is also the point from which a later reconnection starts.
 * I4 Memory is bounded by the size of the domain: see nr_rx_pages and nr_tx_pages.
 *
 * The checksum flags travel both ways. Segments larger than the mtu, up to 64 KiB, come in as they
 * are (feature-gso), and go out so where the backend takes them: the user sends segments of the
 * mtu's size, segment.c says which of them can be joined.
 */
#include "frontends/netfront/netfront.h"

#include "frontends/netfront/internal.h"
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
    XB_FLAG(struct netfront, rx_copy, "feature-rx-copy", false),
    XB_FLAG(struct netfront, sg, "feature-sg", false),
    XB_FLAG(struct netfront, split, "feature-split-event-channels", false),
    XB_FLAG(struct netfront, no_csum_offload, "feature-no-csum-offload", false),
    XB_FLAG(struct netfront, csum6, "feature-ipv6-csum-offload", false),
    XB_FLAG(struct netfront, gso4, "feature-gso-tcpv4", false),
    XB_FLAG(struct netfront, gso6, "feature-gso-tcpv6", false),
    XB_OPTIONAL_TEXT(struct netfront, info.ip, "ip"),
};

/* In our own. */
static const struct xb_key settings[] = {
    XB_REQUIRED(struct netfront, info.mac, "mac", 0, 0),
    XB_OPTIONAL(struct netfront, mtu, "mtu", MTU_ETHERNET, MTU_MIN, MTU_MAX),
    XB_FLAG(struct netfront, trusted, "trusted", true),
};

/* I4: a 32nd and a 64th of memory, within what the rings can use and need. */
static unsigned nr_rx_pages(void)
{
    return (unsigned)MAX(64, MIN(page_count_total() / 32, rx_ring_SIZE));
}

static unsigned nr_tx_pages(void)
{
    return (unsigned)MAX(32, MIN(page_count_total() / 64, tx_ring_SIZE));
}

/* ---- events ---- */

void netfront_fault(struct netfront *nf, const char *why)
{
    const char *none = NULL;

    if (atomic_cmpxchg(&nf->fault, &none, why)) /* I2 */
        nf->user.wake(nf->user.arg);
}

bool netfront_is_up(const struct netfront *nf)
{
    return load_relaxed(&nf->up) && load_relaxed(&nf->fault) == NULL && xb_connected(&nf->dev);
}

static void on_event(port_t port, void *arg)
{
    struct netfront_queue *q = arg;

    if (port == q->rx_channel.port)
        store_release(&q->rx_channel.owed, true);
    else
        store_release(&q->tx_channel.owed, true);
    q->nf->info.events++;
    q->nf->user.wake(q->nf->user.arg);
}

static void on_repoll(struct timer *t)
{
    struct netfront *nf = CONTAINER_OF(t, struct netfront, repoll);

    if (!load_relaxed(&nf->up))
        return;
    timer_set(t, time_now() + REPOLL); /* I1 */
    nf->user.wake(nf->user.arg);
}

/* In the watch thread. */
static void on_backend_change(void *arg)
{
    struct netfront *nf = arg;

    nf->user.wake(nf->user.arg);
}

static void notify(struct netfront *nf, port_t port)
{
    nf->info.notifies++;
    (void)evtchn_notify(port);
}

void netfront_notify_rx(struct netfront_queue *q)
{
    notify(q->nf, q->rx_channel.port);
}

void netfront_notify_tx(struct netfront_queue *q)
{
    notify(q->nf, q->nf->split ? q->tx_channel.port : q->rx_channel.port);
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
    give_eoi(&q->rx_channel, rx_worked || (tx_worked && !q->nf->split));
    give_eoi(&q->tx_channel, tx_worked);
    return true;
}

/* ---- connecting ---- */

static int negotiate(struct netfront *nf)
{
    int rc = xb_read(&nf->dev, nf->dev.backend, features, ARRAY_SIZE(features), nf);

    if (rc == 0)
        rc = xb_read(&nf->dev, nf->dev.path, settings, ARRAY_SIZE(settings), nf);
    if (rc != 0)
        return rc;
    if (!nf->rx_copy) {
        xb_fail(&nf->dev, -EOPNOTSUPP, "the backend has no feature-rx-copy; it is too old");
        return -EOPNOTSUPP;
    }
    if (nf->info.mac[0] & 1) {
        xb_fail(&nf->dev, -EINVAL, "key \"mac\" is a group address; %s", nf->dev.remedy);
        return -EINVAL;
    }
    nf->info.mtu = (uint16_t)(nf->sg ? nf->mtu : MIN(nf->mtu, MTU_ETHERNET));
    nf->info.csum_offload = !nf->no_csum_offload;
    nf->info.csum_offload6 = nf->csum6;
    nf->info.tx_max = nf->sg ? XEN_NETIF_MAX_TX_SIZE : PAGE_SIZE;
    nf->gso4 &= nf->sg && nf->info.csum_offload;
    nf->gso6 &= nf->sg && nf->info.csum_offload6;
    nf->bounce = !nf->trusted || option_on("bounce");
    return 0;
}

static int open_queue(struct netfront_queue *q)
{
    struct xb_device *dev = &q->nf->dev;
    int rc = xb_ring(dev, &q->tx.page);

    if (rc == 0)
        rc = xb_ring(dev, &q->rx.page);
    if (rc == 0)
        rc = xb_port(dev, on_event, q, &q->rx_channel.port);
    if (rc == 0 && q->nf->split)
        rc = xb_port(dev, on_event, q, &q->tx_channel.port);
    if (rc == 0)
        rc = netfront_tx_open(q, nr_tx_pages());
    if (rc == 0)
        netfront_rx_open(q, nr_rx_pages());
    return rc;
}

/* A backend prefers split channels if it finds them, also those of an earlier life. */
static int publish_queue(struct netfront_queue *q)
{
    bool split = q->nf->split;
    const struct xb_entry keys[] = {
        {.name = "tx-ring-ref", .number = q->tx.page.ref},
        {.name = "rx-ring-ref", .number = q->rx.page.ref},
        {.name = "event-channel", .number = q->rx_channel.port, .remove = split},
        {.name = "event-channel-rx", .number = q->rx_channel.port, .remove = !split},
        {.name = "event-channel-tx", .number = q->tx_channel.port, .remove = !split},
        {.name = "request-rx-copy", .number = 1},
        {.name = "feature-rx-notify", .number = 1},
        {.name = "feature-sg", .number = 1},
        {.name = "feature-ipv6-csum-offload", .number = 1},
        {.name = "feature-gso-tcpv4", .number = 1},
        {.name = "feature-gso-tcpv6", .number = 1},
        {.name = "feature-no-csum-offload", .remove = true},
    };

    return xb_publish(&q->nf->dev, keys, ARRAY_SIZE(keys));
}

static int connect(struct netfront *nf, const char *handle)
{
    nsec_t deadline = time_now() + XB_CONNECT_TIMEOUT;
    int rc = xb_open(&nf->dev, "vif", handle, on_backend_change, nf);

    if (rc == 0)
        rc = xb_await(&nf->dev, XB_READY, deadline);
    if (rc == 0)
        rc = negotiate(nf);
    if (rc == 0)
        rc = open_queue(&nf->queue);
    if (rc == 0)
        rc = publish_queue(&nf->queue);
    if (rc == 0)
        rc = xb_advance(&nf->dev, XB_CONNECTED);
    if (rc == 0)
        rc = xb_await(&nf->dev, XB_MASK(XB_CONNECTED), deadline);
    return rc;
}

static void announce(const struct netfront *nf)
{
    const uint8_t *mac = nf->info.mac;

    log_info("%s: %02x:%02x:%02x:%02x:%02x:%02x, mtu %u%s%s%s, %u + %u pages", nf->info.name,
             mac[0], mac[1], mac[2], mac[3], mac[4], mac[5], nf->info.mtu,
             nf->sg ? ", scatter-gather" : "", nf->split ? ", split channels" : "",
             nf->bounce ? ", bounced" : "", nf->queue.rx.target, nf->queue.tx.slots.nr);
}

/* ---- taking down ---- */

/* The inverse of connect at whatever stage (I3). */
static void disconnect(struct netfront *nf)
{
    xb_close(&nf->dev);
    netfront_tx_close(&nf->queue);
    netfront_rx_close(&nf->queue);
}

static void take_down(struct netfront *nf)
{
    /* A send that is under way ends before, a later one sees that the vif is not up. */
    mutex_lock(&nf->queue.tx.lock);
    store_relaxed(&nf->up, false);
    mutex_unlock(&nf->queue.tx.lock);
    (void)timer_cancel(&nf->repoll);
    if (nf->fault != NULL)
        xb_fail(&nf->dev, -EPROTO, "the backend broke the protocol: %s", nf->fault);
    disconnect(nf);
    log_info("%s: link down", nf->info.name);
}

/* ---- for the user ---- */

int netfront_open(const char *handle, const struct netfront_user *user, struct netfront **out)
{
    struct netfront *nf = heap_alloc_zeroed(sizeof(*nf));
    int rc;

    if (nf == NULL)
        return -ENOMEM;
    nf->user = *user;
    nf->queue.nf = nf;
    timer_init(&nf->repoll, on_repoll);
    format(nf->info.name, sizeof(nf->info.name), "vif%s", handle);
    rc = connect(nf, handle);
    if (rc != 0) {
        disconnect(nf);
        heap_free(nf);
        return rc;
    }
    announce(nf);
    store_relaxed(&nf->up, true);
    timer_set(&nf->repoll, time_now() + REPOLL);
    *out = nf;
    /* The pages were posted before there was anyone to notify. */
    netfront_notify_rx(&nf->queue);
    /* An event may have come before (out) was set. */
    user->wake(user->arg);
    return 0;
}

void netfront_close(struct netfront *nf)
{
    if (nf->up)
        take_down(nf);
    heap_free(nf);
}

bool netfront_poll(struct netfront *nf, unsigned budget)
{
    bool more;

    if (!nf->up)
        return false;
    if (!netfront_is_up(nf)) {
        take_down(nf);
        return false;
    }
    netfront_tx_settle(&nf->queue);
    more = netfront_rx_poll(&nf->queue, budget);
    return more || nf->fault != NULL || !go_idle(&nf->queue);
}

void netfront_get_info(struct netfront *nf, struct netfront_info *out)
{
    *out = nf->info;
    out->link = netfront_is_up(nf);
}
