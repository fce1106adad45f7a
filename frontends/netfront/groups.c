/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Multicast: which groups the backend lets through (xen/io/netif.h, "feature-multicast-control").
 *
 * The user says which groups it wants, all of them at once. A backend that filters has a list of
 * its own, empty when a life begins and amended by notes in the transmit ring. Whenever either
 * changed, what it was told is made equal to what is wanted, as far as the ring has room:
 *
 *     wanted   a  b     d       the user's
 *     told     a     c          the backend's: DEL c, ADD b, ADD d
 *
 * A filter must not cost a group that is wanted. With more groups than backends keep, or when one
 * refuses a group, it is asked for all multicast as long as that life lasts. So it is asked to
 * filter only where that can be taken back (feature-dynamic-multicast-control).
 *
 * I1 nf->lock guards all but (refused) and (next_try), and is taken before a queue's; nobody waits
 *    for the store with it. Only the user's thread changes (filtering).
 * I2 (told) is the backend's list once it took all requests. It never holds more than
 *    NETFRONT_GROUPS_MAX, and no group twice: backends do not look for that.
 * I3 All of it goes through the first queue: it stays in order, and need not be locked over there.
 */
#include "frontends/netfront/internal.h"

#include "kernel/log.h"
#include "kernel/time.h"
#include "lib/base/string.h"

#define MAC_SIZE 6

/* ---- lists ---- */

/* The place of (mac), or of the end. */
static unsigned find(const struct netfront_groups *g, const uint8_t *mac)
{
    unsigned nr = MIN(g->nr, (unsigned)NETFRONT_GROUPS_MAX), i = 0;

    while (i < nr && memcmp(g->mac[i], mac, MAC_SIZE) != 0)
        i++;
    return i;
}

static bool has(const struct netfront_groups *g, const uint8_t *mac)
{
    return find(g, mac) < MIN(g->nr, (unsigned)NETFRONT_GROUPS_MAX);
}

void netfront_add_group(struct netfront_groups *g, const uint8_t mac[MAC_SIZE])
{
    if (g->nr > NETFRONT_GROUPS_MAX || has(g, mac))
        return;
    if (g->nr < NETFRONT_GROUPS_MAX)
        memcpy(g->mac[g->nr], mac, MAC_SIZE);
    g->nr++;
}

/* The last one takes its place. */
static void remove_group(struct netfront_groups *g, unsigned i)
{
    g->nr--;
    memmove(g->mac[i], g->mac[g->nr], MAC_SIZE);
}

/* ---- the backend's list; the lock is held ---- */

static int forget_others(struct netfront *nf)
{
    struct netfront_groups *told = &nf->multicast.told;
    int rc = 0;

    for (unsigned i = told->nr; i-- > 0 && rc == 0;) {
        if (has(&nf->multicast.wanted, told->mac[i]))
            continue;
        rc = netfront_tx_group(nf->queue[0], XEN_NETIF_EXTRA_TYPE_MCAST_DEL, told->mac[i]);
        if (rc == 0)
            remove_group(told, i);
    }
    return rc;
}

static int tell_new(struct netfront *nf)
{
    const struct netfront_groups *wanted = &nf->multicast.wanted;
    int rc = 0;

    for (unsigned i = 0; i < wanted->nr && rc == 0; i++) {
        if (has(&nf->multicast.told, wanted->mac[i]))
            continue;
        rc = netfront_tx_group(nf->queue[0], XEN_NETIF_EXTRA_TYPE_MCAST_ADD, wanted->mac[i]);
        if (rc == 0)
            netfront_add_group(&nf->multicast.told, wanted->mac[i]);
    }
    return rc;
}

/* Room first (I2). */
static int tell(struct netfront *nf)
{
    int rc = netfront_link(nf) ? forget_others(nf) : -ENETDOWN;

    return rc == 0 ? tell_new(nf) : rc;
}

static bool wants_all(const struct netfront *nf)
{
    return nf->multicast.wanted.nr > NETFRONT_GROUPS_MAX;
}

static void update(struct netfront *nf)
{
    bool due = nf->multicast.filtering && (wants_all(nf) || tell(nf) != 0);

    store_relaxed(&nf->multicast.due, due);
}

/* ---- for netfront.c ---- */

void netfront_groups_begin(struct netfront *nf, bool can_filter)
{
    struct netfront_multicast *m = &nf->multicast;

    m->told.nr = 0;
    m->next_try = 0;
    m->filtering = can_filter && !wants_all(nf);
    store_relaxed(&m->refused, false);
    store_relaxed(&m->due, m->filtering);
}

void netfront_groups_poll(struct netfront *nf)
{
    struct netfront_multicast *m = &nf->multicast;

    if (!load_relaxed(&m->due) && !load_relaxed(&m->refused))
        return;
    mutex_lock(&nf->lock);
    if (!m->filtering)
        store_relaxed(&m->refused, false);
    update(nf);
    mutex_unlock(&nf->lock);
    netfront_kick(nf);
}

/* ---- for the user ---- */

void netfront_set_groups(struct netfront *nf, const struct netfront_groups *wanted)
{
    mutex_lock(&nf->lock);
    nf->multicast.wanted = *wanted;
    update(nf);
    mutex_unlock(&nf->lock);
    netfront_kick(nf);
    if (load_relaxed(&nf->multicast.due))
        nf->user.wake(nf->user.arg);
}

static bool is_to_stop(struct netfront *nf)
{
    struct netfront_multicast *m = &nf->multicast;
    bool stop;

    mutex_lock(&nf->lock);
    stop = m->filtering && (wants_all(nf) || load_relaxed(&m->refused));
    mutex_unlock(&nf->lock);
    return stop;
}

static void note_stopped(struct netfront *nf)
{
    struct netfront_multicast *m = &nf->multicast;
    bool too_many;

    mutex_lock(&nf->lock);
    too_many = wants_all(nf);
    m->filtering = false;
    store_relaxed(&m->refused, false);
    update(nf);
    mutex_unlock(&nf->lock);
    log_warn("%s: all multicast comes in: %s", nf->info.name,
             too_many ? "there are more groups than backends keep" : "the backend refused a group");
}

void netfront_mind_groups(struct netfront *nf)
{
    const struct xb_entry off = {.name = "request-multicast-control", .number = 0};
    struct netfront_multicast *m = &nf->multicast;

    if (!load_relaxed(&m->due) && !load_relaxed(&m->refused))
        return;
    if (!is_to_stop(nf) || time_now() < m->next_try)
        return;
    m->next_try = time_now() + NSEC_PER_SEC; /* the store may be busy */
    if (xb_publish(&nf->dev, &off, 1) == 0)
        note_stopped(nf);
}
