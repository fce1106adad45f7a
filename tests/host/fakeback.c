/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The fake backends of fakeback.h. Each works on the shared page through its own private indices,
 * written from the headers under xen/io and not from the frontends, so the two halves check each
 * other.
 */
#include "tests/host/fakeback.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/host/test.h"

/* ---- a device in the store ---- */

static const char *node(const char *dir, const char *name)
{
    static char path[4][160];
    static unsigned next;
    char *p = path[next++ % 4];

    snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
    return p;
}

const char *fake_dev_front(struct fake_dev *dev, const char *name)
{
    return fakexen_store_get(node(dev->front, name));
}

unsigned fake_dev_front_number(struct fake_dev *dev, const char *name)
{
    const char *value = fake_dev_front(dev, name);

    if (value == NULL)
        test_fail(__FILE__, __LINE__, "the frontend did not write %s", name);
    return (unsigned)strtoul(value, NULL, 10);
}

void fake_dev_set_front(struct fake_dev *dev, const char *name, const char *value)
{
    fakexen_store_set(node(dev->front, name), "%s", value);
}

void fake_dev_set_back(struct fake_dev *dev, const char *name, const char *value)
{
    fakexen_store_set(node(dev->back, name), "%s", value);
}

static bool fake_dev_back_is_on(struct fake_dev *dev, const char *name)
{
    const char *value = fakexen_store_get(node(dev->back, name));

    return value != NULL && strtoul(value, NULL, 10) != 0;
}

void fake_dev_set_state(struct fake_dev *dev, unsigned state)
{
    dev->state = state;
    fakexen_store_set(node(dev->back, "state"), "%u", state);
}

static void attach(struct fake_dev *dev)
{
    if (dev->attached)
        return;
    dev->attached = true;
    dev->connect(dev);
    fake_dev_set_state(dev, XenbusStateConnected);
}

static void detach(struct fake_dev *dev)
{
    if (dev->attached)
        dev->disconnect(dev);
    dev->attached = false;
}

/* As Linux's backends answer to the frontend's states. */
static void on_front_state(const char *path, void *arg)
{
    struct fake_dev *dev = arg;
    const char *value = fakexen_store_get(path);

    if (dev->aloof || value == NULL || strcmp(path, node(dev->front, "state")) != 0)
        return;
    switch (strtoul(value, NULL, 10)) {
    case XenbusStateInitialising: /* a frontend that begins anew */
        detach(dev);
        if (dev->state != XenbusStateInitWait && dev->state != XenbusStateInitialising)
            fake_dev_set_state(dev, XenbusStateInitWait);
        break;
    case XenbusStateInitialised:
    case XenbusStateConnected:
        attach(dev);
        break;
    case XenbusStateClosing:
        fake_dev_set_state(dev, XenbusStateClosing);
        break;
    case XenbusStateClosed:
        detach(dev);
        fake_dev_set_state(dev, XenbusStateClosed);
        break;
    }
}

/* What the toolstack writes when the backend is in domain (domid). */
static void plug_into(struct fake_dev *dev, domid_t domid)
{
    char number[8];

    dev->domid = domid;
    snprintf(number, sizeof(number), "%u", domid);
    snprintf(dev->back, sizeof(dev->back), "/local/domain/%u/backend/%s/%u/%s", domid, dev->class,
             FAKE_DOMID, dev->id);
    fake_dev_set_front(dev, "backend", dev->back);
    fake_dev_set_front(dev, "backend-id", number);
    fake_dev_set_front(dev, "state", "1");
    fake_dev_set_back(dev, "frontend", dev->front);
    fake_dev_set_state(dev, XenbusStateInitWait);
}

void fake_dev_create(struct fake_dev *dev, const char *class, const char *back_class,
                     const char *id)
{
    snprintf(dev->front, sizeof(dev->front), FAKE_HOME "/device/%s/%s", class, id);
    snprintf(dev->class, sizeof(dev->class), "%s", back_class);
    snprintf(dev->id, sizeof(dev->id), "%s", id);
    plug_into(dev, 0);
    fakexen_store_on_write(dev->front, on_front_state, dev);
}

void fake_dev_move(struct fake_dev *dev, domid_t domid)
{
    detach(dev);
    plug_into(dev, domid);
}

void fake_dev_destroy(struct fake_dev *dev)
{
    fakexen_store_off_write(dev->front, on_front_state, dev);
    detach(dev);
    fakexen_store_rm(dev->front);
    fakexen_store_rm(dev->back);
}

/* What the frontend shows must be for this backend's domain and no other. */
static void check_grant(const struct fake_dev *dev, gref_t ref)
{
    CHECK(fake_grant_is_to(ref, dev->domid));
}

static void check_port(const struct fake_dev *dev, port_t port)
{
    CHECK_EQ(fakexen_port_remote(port), dev->domid);
}

/* ---- the backend's half of a ring ---- */

void back_ring_attach_pages(struct back_ring *r, const gref_t *ref, unsigned n, port_t port,
                            size_t slot_size, unsigned size)
{
    CHECK(n <= ARRAY_SIZE(r->refs));
    r->ref = ref[0];
    r->port = port;
    r->slot_size = slot_size;
    r->size = size;
    for (r->nr_pages = 0; r->nr_pages < n; r->nr_pages++) {
        void *page = fake_grant_map(ref[r->nr_pages], true);

        r->refs[r->nr_pages] = ref[r->nr_pages];
        if (r->nr_pages == 0)
            r->page = page;
        CHECK((char *)page == (char *)r->page + r->nr_pages * 4096UL);
    }
    r->req_cons = r->rsp_prod = r->page->rsp_prod;
}

void back_ring_attach(struct back_ring *r, gref_t ref, port_t port, size_t slot_size, unsigned size)
{
    back_ring_attach_pages(r, &ref, 1, port, slot_size, size);
}

void back_ring_detach(struct back_ring *r)
{
    while (r->nr_pages > 0)
        fake_grant_unmap(r->refs[--r->nr_pages], true);
    r->page = NULL;
}

static void *place(struct back_ring *r, uint32_t idx)
{
    return r->page->slot + (idx & (r->size - 1)) * r->slot_size;
}

bool back_ring_take(struct back_ring *r, void *req, size_t size)
{
    if (r->page->req_prod == r->req_cons) {
        r->page->req_event = r->req_cons + (r->deaf ? 0x40000000 : 1);
        return false;
    }
    CHECK(r->page->req_prod - r->req_cons <= r->size);
    memcpy(req, place(r, r->req_cons++), size);
    return true;
}

void back_ring_put(struct back_ring *r, const void *rsp, size_t size)
{
    memcpy(place(r, r->rsp_prod++), rsp, size);
}

void back_ring_push(struct back_ring *r)
{
    uint32_t old = r->page->rsp_prod;

    r->page->rsp_prod = r->rsp_prod;
    if (!r->quiet && r->rsp_prod - r->page->rsp_event < r->rsp_prod - old)
        fakexen_raise(r->port);
}

/* ---- network ---- */

static struct back_ring *net_tx(struct fake_net *net)
{
    return net->queue == 0 ? &net->tx : &net->more_tx[net->queue - 1];
}

static struct back_ring *net_rx(struct fake_net *net)
{
    return net->queue == 0 ? &net->rx : &net->more_rx[net->queue - 1];
}

static void net_notified(void *arg)
{
    fake_net_run(arg);
}

/* A key of the current queue. */
static unsigned queue_number(struct fake_net *net, const char *name)
{
    char full[64];

    snprintf(full, sizeof(full), "queue-%u/%s", net->queue, name);
    return fake_dev_front_number(&net->dev, net->nr_queues > 1 ? full : name);
}

static void net_connect_queue(struct fake_net *net)
{
    char name[64];
    port_t tx, rx;
    bool split;

    snprintf(name, sizeof(name), "queue-%u/event-channel-tx", net->queue);
    split = fake_dev_front(&net->dev, net->nr_queues > 1 ? name : "event-channel-tx") != NULL;
    tx = queue_number(net, split ? "event-channel-tx" : "event-channel");
    rx = queue_number(net, split ? "event-channel-rx" : "event-channel");
    back_ring_attach(net_tx(net), queue_number(net, "tx-ring-ref"), tx,
                     sizeof(struct netif_tx_request), 256);
    back_ring_attach(net_rx(net), queue_number(net, "rx-ring-ref"), rx,
                     sizeof(struct netif_rx_request), 256);
    check_grant(&net->dev, net_tx(net)->ref);
    check_grant(&net->dev, net_rx(net)->ref);
    check_port(&net->dev, tx);
    check_port(&net->dev, rx);
    fakexen_on_notify(tx, net_notified, net);
    if (split)
        fakexen_on_notify(rx, net_notified, net);
}

static unsigned long net_max_queues(struct fake_dev *dev)
{
    const char *max = fakexen_store_get(node(dev->back, "multi-queue-max-queues"));

    return max == NULL ? 1 : strtoul(max, NULL, 10);
}

static void net_connect(struct fake_dev *dev)
{
    struct fake_net *net = CONTAINER_OF(dev, struct fake_net, dev);

    CHECK_EQ(fake_dev_front_number(dev, "request-rx-copy"), 1);
    net->nr_queues = fake_dev_front_number(dev, "multi-queue-num-queues");
    CHECK(net->nr_queues >= 1 && net->nr_queues <= FAKE_QUEUES);
    CHECK(net->nr_queues == 1 || net->nr_queues <= net_max_queues(dev));
    net->nr_groups = 0;
    net->sg = fake_dev_back_is_on(dev, "feature-sg");
    net->gso4 = fake_dev_back_is_on(dev, "feature-gso-tcpv4");
    net->gso6 = fake_dev_back_is_on(dev, "feature-gso-tcpv6");
    for (net->queue = 0; net->queue < net->nr_queues; net->queue++)
        net_connect_queue(net);
    net->queue = 0;
}

static void net_disconnect(struct fake_dev *dev)
{
    struct fake_net *net = CONTAINER_OF(dev, struct fake_net, dev);

    for (net->queue = 0; net->queue < net->nr_queues; net->queue++) {
        fakexen_off_notify(net_tx(net)->port);
        if (net_rx(net)->port != net_tx(net)->port)
            fakexen_off_notify(net_rx(net)->port);
        back_ring_detach(net_tx(net));
        back_ring_detach(net_rx(net));
    }
    net->queue = 0;
}

static void net_offer(struct fake_net *net)
{
    fake_dev_set_back(&net->dev, "feature-rx-copy", "1");
    fake_dev_set_back(&net->dev, "feature-sg", "1");
}

void fake_net_create(struct fake_net *net, const char *handle)
{
    memset(net, 0, sizeof(*net));
    net->dev.connect = net_connect;
    net->dev.disconnect = net_disconnect;
    net->groups_max = ARRAY_SIZE(net->group);
    fake_dev_create(&net->dev, "vif", "vif", handle);
    fake_dev_set_front(&net->dev, "mac", "00:16:3e:12:34:56");
    fake_dev_set_front(&net->dev, "handle", handle);
    net_offer(net);
}

void fake_net_move(struct fake_net *net, domid_t domid)
{
    fake_net_let_go(net);
    fake_dev_move(&net->dev, domid);
    net_offer(net);
}

void fake_net_destroy(struct fake_net *net)
{
    fake_net_let_go(net);
    fake_dev_destroy(&net->dev);
}

static void net_keep(struct fake_net *net, gref_t ref, bool writable)
{
    if (!net->keep_mapped || net->nr_kept == ARRAY_SIZE(net->kept))
        return;
    if (fake_grant_try_map(ref, writable) == NULL) {
        CHECK(net->hostile);
        return;
    }
    net->kept[net->nr_kept].ref = ref;
    net->kept[net->nr_kept++].writable = writable;
}

void fake_net_let_go(struct fake_net *net)
{
    while (net->nr_kept > 0) {
        net->nr_kept--;
        fake_grant_unmap(net->kept[net->nr_kept].ref, net->kept[net->nr_kept].writable);
    }
}

void fake_net_answer_tx(struct fake_net *net, unsigned id, int status)
{
    struct netif_tx_response rsp = {.id = (uint16_t)id, .status = (int16_t)status};

    back_ring_put(net_tx(net), &rsp, sizeof(rsp));
}

/* One piece of the frame, and what every backend insists on. */
static void net_take_piece(struct fake_net *net, const struct netif_tx_request *req, unsigned size)
{
    struct fake_frame *f = &net->last;

    CHECK(size > 0);
    CHECK(req->offset + size <= 4096);
    CHECK(f->len + size <= sizeof(f->data));
    if (!net->hostile || fake_grant_is_to(req->gref, net->dev.domid)) {
        check_grant(&net->dev, req->gref);
        CHECK(fake_grant_is_readonly(req->gref));
        CHECK_EQ(fake_grant_read(req->gref, req->offset, f->data + f->len, size), 0);
    }
    f->len += size;
    f->nr_slots++;
    net_keep(net, req->gref, false);
}

static unsigned net_find_group(const struct fake_net *net, const uint8_t *mac)
{
    unsigned i = 0;

    while (i < net->nr_groups && memcmp(net->group[i], mac, 6) != 0)
        i++;
    return i;
}

bool fake_net_has_group(const struct fake_net *net, const uint8_t *mac)
{
    return net_find_group(net, mac) < net->nr_groups;
}

/* Linux's neither looks whether it has a group already, nor locks its list against other queues. */
static int net_take_group(struct fake_net *net, const struct netif_extra_info *extra)
{
    unsigned i = net_find_group(net, extra->u.mcast.addr);
    bool known = i < net->nr_groups, del = extra->type == XEN_NETIF_EXTRA_TYPE_MCAST_DEL;

    CHECK_EQ(net->queue, 0);
    CHECK(fake_dev_back_is_on(&net->dev, "feature-multicast-control"));
    CHECK(extra->u.mcast.addr[0] & 1);
    CHECK(known == del || net->hostile); /* it takes requests and forgets them, too */
    net->nr_group_notes++;
    if (del && known)
        memmove(net->group[i], net->group[--net->nr_groups], 6);
    if (!del && net->nr_groups == net->groups_max)
        return NETIF_RSP_ERROR;
    if (!del)
        memcpy(net->group[net->nr_groups++], extra->u.mcast.addr, 6);
    return NETIF_RSP_OKAY;
}

/* A request with a note and nothing else. */
static void net_take_note(struct fake_net *net, const struct netif_tx_request *req,
                          const struct netif_extra_info *extra)
{
    CHECK_EQ(req->flags, NETTXF_extra_info);
    CHECK_EQ(req->size, 0);
    CHECK(net->hostile || fake_grant_is_readonly(req->gref));
    fake_net_answer_tx(net, req->id, net_take_group(net, extra));
}

static bool is_group(const struct netif_extra_info *extra)
{
    return extra->type == XEN_NETIF_EXTRA_TYPE_MCAST_ADD ||
           extra->type == XEN_NETIF_EXTRA_TYPE_MCAST_DEL;
}

/* The notes that follow the first request: one at most. */
static void net_take_extra(struct fake_net *net, const struct netif_tx_request *req,
                           struct netif_extra_info *extra)
{
    bool six = false;

    memset(extra, 0, sizeof(*extra));
    if (!(req->flags & NETTXF_extra_info))
        return;
    CHECK(back_ring_take(net_tx(net), extra, sizeof(*extra)));
    CHECK_EQ(extra->flags, 0);
    if (is_group(extra))
        return;
    CHECK_EQ(extra->type, XEN_NETIF_EXTRA_TYPE_GSO);
    six = extra->u.gso.type == XEN_NETIF_GSO_TYPE_TCPV6;
    CHECK(six || extra->u.gso.type == XEN_NETIF_GSO_TYPE_TCPV4);
    CHECK(net->sg && (six ? net->gso6 : net->gso4));
    CHECK(extra->u.gso.size > 0 && extra->u.gso.size < req->size);
    CHECK_EQ(extra->u.gso.features, 0);
    CHECK(req->flags & NETTXF_csum_blank);
}

/* As Linux's backend does: the id is whatever lay there. */
static void net_answer_extra(struct fake_net *net, const struct netif_extra_info *extra)
{
    if (extra->type != 0)
        fake_net_answer_tx(net, extra->type | (unsigned)extra->flags << 8, NETIF_RSP_NULL);
}

/* The rest of a frame whose first request is (req[0]). */
static void net_take_frame(struct fake_net *net, struct netif_tx_request *req)
{
    unsigned total = req[0].size, n = 1, first = total;
    struct netif_extra_info extra;

    net_take_extra(net, &req[0], &extra);
    if (is_group(&extra)) {
        net_take_note(net, &req[0], &extra);
        net_answer_extra(net, &extra);
        return;
    }
    while (req[n - 1].flags & NETTXF_more_data) {
        CHECK(net->sg);
        CHECK(n < XEN_NETIF_NR_SLOTS_MIN);
        CHECK(back_ring_take(net_tx(net), &req[n], sizeof(req[n])));
        CHECK(req[n].size < first);
        first -= req[n++].size;
    }
    memset(&net->last, 0, offsetof(struct fake_frame, data));
    net->last.flags = req[0].flags;
    net->last.gso_size = extra.u.gso.size;
    net->last.gso_type = extra.u.gso.type;
    net_take_piece(net, &req[0], first);
    CHECK(net->last.len >= 14);
    for (unsigned i = 1; i < n; i++)
        net_take_piece(net, &req[i], req[i].size);
    CHECK_EQ(net->last.len, total);
    net->nr_sent++;
    net->taken[net->queue]++;
    if (net->on_frame != NULL)
        net->on_frame(net);
    for (unsigned i = 0; i < n; i++) {
        fake_net_answer_tx(net, req[i].id, net->tx_status);
        if (i == 0)
            net_answer_extra(net, &extra);
    }
}

static void net_run_queue(struct fake_net *net)
{
    struct netif_tx_request req[XEN_NETIF_NR_SLOTS_MIN];

    if (net->hold_tx || net_tx(net)->page == NULL)
        return;
    while (back_ring_take(net_tx(net), &req[0], sizeof(req[0])))
        net_take_frame(net, req);
    back_ring_push(net_tx(net));
}

void fake_net_run(struct fake_net *net)
{
    unsigned queue = net->queue;

    for (net->queue = 0; net->queue < MAX(net->nr_queues, 1); net->queue++)
        net_run_queue(net);
    net->queue = queue;
}

/* What else is granted writable to the backend's domain: the rings, and what Xen granted. */
static bool net_is_other(const struct fake_net *net, gref_t ref)
{
    bool is = ref < GNTTAB_NR_RESERVED_ENTRIES || ref == net->tx.ref || ref == net->rx.ref;

    for (unsigned i = 0; i + 1 < net->nr_queues; i++)
        is |= ref == net->more_tx[i].ref || ref == net->more_rx[i].ref;
    return is;
}

/* Take one posted page, in which there must be nothing to see. */
static struct netif_rx_request net_take_page(struct fake_net *net)
{
    struct netif_rx_request req;
    bool posted;

    CHECK(back_ring_take(net_rx(net), &req, sizeof(req)));
    posted = fake_grant_is_to(req.gref, net->dev.domid) && !fake_grant_is_readonly(req.gref) &&
             !net_is_other(net, req.gref);
    CHECK(posted || net->hostile); /* it spoils requests, too */
    CHECK(!posted || fake_grant_shows_nothing(req.gref));
    return req;
}

gref_t fake_net_answer(struct fake_net *net, unsigned id_lie, unsigned offset, unsigned flags,
                       int status)
{
    struct netif_rx_request req = net_take_page(net);
    struct netif_rx_response rsp;

    rsp.id = (uint16_t)(req.id + id_lie);
    rsp.offset = (uint16_t)offset;
    rsp.flags = (uint16_t)flags;
    rsp.status = (int16_t)status;
    back_ring_put(net_rx(net), &rsp, sizeof(rsp));
    net_keep(net, req.gref, true);
    return req.gref;
}

static void net_put_extra(struct fake_net *net, const struct netif_extra_info *extra)
{
    (void)net_take_page(net);
    back_ring_put(net_rx(net), extra, sizeof(*extra));
}

void fake_net_answer_extra(struct fake_net *net, unsigned type, unsigned flags)
{
    struct netif_extra_info extra;

    memset(&extra, 0, sizeof(extra));
    extra.type = (uint8_t)type;
    extra.flags = (uint8_t)flags;
    net_put_extra(net, &extra);
}

void fake_net_answer_gso(struct fake_net *net, unsigned size, unsigned gso_type)
{
    struct netif_extra_info extra;

    memset(&extra, 0, sizeof(extra));
    extra.type = XEN_NETIF_EXTRA_TYPE_GSO;
    extra.u.gso.size = (uint16_t)size;
    extra.u.gso.type = (uint8_t)gso_type;
    net_put_extra(net, &extra);
}

void fake_net_push(struct fake_net *net)
{
    back_ring_push(net_rx(net));
}

/* (cut): 0, or what the note after the first piece says. */
static bool net_deliver(struct fake_net *net, const uint8_t *from, unsigned len, unsigned piece,
                        unsigned offset, unsigned flags, unsigned cut, unsigned gso_type)
{
    unsigned posted = net_rx(net)->page->req_prod - net_rx(net)->req_cons;

    if (posted < (len + piece - 1) / piece + (cut != 0))
        return false;
    while (len > 0) {
        unsigned n = len < piece ? len : piece;
        gref_t ref =
            fake_net_answer(net, 0, offset, flags | (n < len ? NETRXF_more_data : 0), (int)n);

        CHECK(fake_grant_write(ref, offset, from, n) == 0 || net->hostile);
        if (flags & NETRXF_extra_info)
            fake_net_answer_gso(net, cut, gso_type);
        from += n;
        len -= n;
        flags = 0;
    }
    fake_net_push(net);
    return true;
}

bool fake_net_deliver(struct fake_net *net, const void *data, unsigned len, unsigned piece,
                      unsigned offset, unsigned flags)
{
    return net_deliver(net, data, len, piece, offset, flags, 0, 0);
}

bool fake_net_deliver_large(struct fake_net *net, const void *data, unsigned len, unsigned piece,
                            unsigned offset, unsigned flags, unsigned cut, unsigned gso_type)
{
    bool six = gso_type == XEN_NETIF_GSO_TYPE_TCPV6;

    CHECK_EQ(fake_dev_front_number(&net->dev, "feature-sg"), 1);
    CHECK_EQ(fake_dev_front_number(&net->dev, six ? "feature-gso-tcpv6" : "feature-gso-tcpv4"), 1);
    return net_deliver(net, data, len, piece, offset, flags | NETRXF_extra_info, cut, gso_type);
}

/* ---- block ---- */

static void blk_notified(void *arg)
{
    fake_blk_run(arg);
}

struct back_ring *fake_blk_ring(struct fake_blk *blk, unsigned i)
{
    return i == 0 ? &blk->ring : &blk->other[i - 1];
}

static unsigned blk_front_number(struct fake_blk *blk, const char *name, unsigned absent)
{
    return fake_dev_front(&blk->dev, name) == NULL ? absent
                                                   : fake_dev_front_number(&blk->dev, name);
}

/* As xen/io/blkif.h says of several queues and pages. */
static void blk_attach(struct fake_blk *blk, unsigned i)
{
    struct back_ring *r = fake_blk_ring(blk, i);
    unsigned order = blk_front_number(blk, "ring-page-order", 0);
    const char *dir = "";
    char name[60], queue[24];
    gref_t ref[16];

    snprintf(queue, sizeof(queue), "queue-%u/", i);
    if (blk->nr_queues > 1)
        dir = queue;
    CHECK(order <= 4);
    CHECK_EQ(blk_front_number(blk, "num-ring-pages", 1), 1u << order);
    for (unsigned p = 0; p < 1u << order; p++) {
        snprintf(name, sizeof(name), order == 0 ? "%sring-ref" : "%sring-ref%u", dir, p);
        ref[p] = fake_dev_front_number(&blk->dev, name);
    }
    snprintf(name, sizeof(name), "%sevent-channel", dir);
    back_ring_attach_pages(r, ref, 1u << order, fake_dev_front_number(&blk->dev, name),
                           sizeof(struct blkif_request), 32u << order);
    for (unsigned p = 0; p < 1u << order; p++)
        check_grant(&blk->dev, ref[p]);
    check_port(&blk->dev, r->port);
    fakexen_on_notify(r->port, blk_notified, blk);
}

static void blk_connect(struct fake_dev *dev)
{
    struct fake_blk *blk = CONTAINER_OF(dev, struct fake_blk, dev);

    CHECK_STR(fake_dev_front(dev, "protocol"), "x86_64-abi");
    blk->connects++;
    blk->nr_held = 0;
    blk->nr_queues = blk_front_number(blk, "multi-queue-num-queues", 1);
    CHECK(blk->nr_queues >= 1 && blk->nr_queues <= FAKE_BLK_QUEUES);
    CHECK_EQ(fake_dev_front(dev, "event-channel") == NULL, blk->nr_queues > 1);
    for (unsigned i = 0; i < blk->nr_queues; i++)
        blk_attach(blk, i);
    fake_dev_set_back(dev, "feature-flush-cache", blk->no_flush ? "0" : "1");
    fake_dev_set_back(dev, "feature-persistent", blk->persistent ? "1" : "0");
    blk->keeps = blk->persistent && fake_dev_front(dev, "feature-persistent") != NULL;
}

static void blk_disconnect(struct fake_dev *dev)
{
    struct fake_blk *blk = CONTAINER_OF(dev, struct fake_blk, dev);

    for (unsigned i = 0; i < blk->nr_queues; i++) {
        fakexen_off_notify(fake_blk_ring(blk, i)->port);
        back_ring_detach(fake_blk_ring(blk, i));
    }
    if (blk->keeps && !blk->keep_mapped)
        fake_blk_let_go(blk);
}

void fake_blk_crash(struct fake_blk *blk)
{
    if (blk->dev.attached)
        blk_disconnect(&blk->dev);
    blk->dev.attached = false;
    blk->nr_held = 0;
}

static void blk_offer(struct fake_blk *blk)
{
    fake_dev_set_back(&blk->dev, "sectors", "2048");
    fake_dev_set_back(&blk->dev, "sector-size", "512");
    fake_dev_set_back(&blk->dev, "info", "0");
    fake_dev_set_back(&blk->dev, "mode", "w");
}

void fake_blk_create(struct fake_blk *blk, const char *id)
{
    memset(blk, 0, sizeof(*blk));
    blk->dev.connect = blk_connect;
    blk->dev.disconnect = blk_disconnect;
    fake_dev_create(&blk->dev, "vbd", "vbd", id);
    fake_dev_set_front(&blk->dev, "virtual-device", id);
    blk_offer(blk);
}

void fake_blk_move(struct fake_blk *blk, domid_t domid)
{
    fake_blk_crash(blk);
    fake_dev_move(&blk->dev, domid);
    blk_offer(blk);
}

void fake_blk_destroy(struct fake_blk *blk)
{
    fake_blk_let_go(blk);
    fake_dev_destroy(&blk->dev);
}

void fake_blk_let_go(struct fake_blk *blk)
{
    while (blk->nr_kept > 0) {
        blk->nr_kept--;
        fake_grant_unmap(blk->kept[blk->nr_kept].ref, blk->kept[blk->nr_kept].writable);
    }
}

/* Map (ref), unless it is. */
static void blk_keep(struct fake_blk *blk, gref_t ref, bool writable)
{
    for (unsigned i = 0; blk->keeps && i < blk->nr_kept; i++)
        if (blk->kept[i].ref == ref)
            return;
    if (blk->tolerant &&
        (blk->nr_kept == ARRAY_SIZE(blk->kept) || fake_grant_try_map(ref, writable) == NULL))
        return;
    CHECK(blk->nr_kept < ARRAY_SIZE(blk->kept));
    if (!blk->tolerant)
        (void)fake_grant_map(ref, writable);
    blk->kept[blk->nr_kept].ref = ref;
    blk->kept[blk->nr_kept++].writable = writable;
}

static unsigned blk_operation(const struct blkif_request *req)
{
    const struct blkif_request_indirect *indirect = (const void *)req;

    return req->operation == BLKIF_OP_INDIRECT ? indirect->indirect_op : req->operation;
}

unsigned fake_blk_nr_segments(const struct blkif_request *req)
{
    const struct blkif_request_indirect *indirect = (const void *)req;

    if (req->operation == BLKIF_OP_DISCARD)
        return 0;
    return req->operation == BLKIF_OP_INDIRECT ? indirect->nr_segments : req->nr_segments;
}

struct blkif_request_segment fake_blk_segment(const struct blkif_request *req, unsigned i)
{
    const struct blkif_request_indirect *indirect = (const void *)req;
    struct blkif_request_segment seg;
    unsigned per_page = 4096 / sizeof(seg);

    if (req->operation != BLKIF_OP_INDIRECT)
        return req->seg[i];
    CHECK_EQ(fake_grant_read(indirect->indirect_grefs[i / per_page], i % per_page * sizeof(seg),
                             &seg, sizeof(seg)),
             0);
    return seg;
}

/* The page of descriptors holds nothing else. */
static void blk_check_indirect(struct fake_blk *blk, const struct blkif_request *req)
{
    const struct blkif_request_indirect *indirect = (const void *)req;
    size_t used = indirect->nr_segments * sizeof(struct blkif_request_segment);
    uint8_t page[4096], none[4096] = {0};

    CHECK(indirect->nr_segments > BLKIF_MAX_SEGMENTS_PER_REQUEST);
    check_grant(&blk->dev, indirect->indirect_grefs[0]);
    CHECK_EQ(fake_grant_is_readonly(indirect->indirect_grefs[0]), !blk->keeps);
    CHECK_EQ(fake_grant_read(indirect->indirect_grefs[0], 0, page, sizeof(page)), 0);
    if (!blk->keeps)
        CHECK_MEM(page + used, none, sizeof(page) - used);
    for (unsigned i = 1; i < BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST; i++)
        CHECK_EQ(indirect->indirect_grefs[i], 0);
    blk->indirect++;
}

static size_t blk_move(struct fake_blk *blk, const struct blkif_request *req, unsigned i, size_t at)
{
    struct blkif_request_segment segment = fake_blk_segment(req, i), *seg = &segment;
    size_t offset = seg->first_sect * 512U, len = (seg->last_sect - seg->first_sect + 1) * 512U;
    bool write = blk_operation(req) == BLKIF_OP_WRITE;
    int rc;

    CHECK(seg->first_sect <= seg->last_sect && seg->last_sect < 8);
    CHECK(at + len <= sizeof(blk->data));
    if (!blk->tolerant) {
        check_grant(&blk->dev, seg->gref);
        CHECK_EQ(fake_grant_is_readonly(seg->gref), write && !blk->keeps);
    }
    rc = write ? fake_grant_read(seg->gref, offset, blk->data + at, len)
               : fake_grant_write(seg->gref, offset, blk->data + at, len);
    CHECK_EQ(rc, 0);
    if (blk->keeps || blk->keep_mapped)
        blk_keep(blk, seg->gref, blk->keeps || !write);
    return len;
}

void fake_blk_answer(struct fake_blk *blk, uint64_t id, unsigned operation, int status)
{
    struct blkif_response rsp;

    memset(&rsp, 0, sizeof(rsp));
    rsp.id = id;
    rsp.operation = (uint8_t)operation;
    rsp.status = (int16_t)status;
    if (blk->mangle != NULL)
        blk->mangle(&rsp);
    back_ring_put(blk->answering != NULL ? blk->answering : &blk->ring, &rsp, sizeof(rsp));
}

static void blk_discard(struct fake_blk *blk, const struct blkif_request *req)
{
    const struct blkif_request_discard *discard = (const void *)req;

    blk->discards++;
    blk->secure += discard->flag & BLKIF_DISCARD_SECURE;
    CHECK((discard->sector_number - blk->base + discard->nr_sectors) * 512 <= sizeof(blk->data));
    memset(blk->data + (discard->sector_number - blk->base) * 512, 0, discard->nr_sectors * 512);
}

static uint64_t blk_sector(const struct blkif_request *req)
{
    const struct blkif_request_indirect *indirect = (const void *)req;

    return req->operation == BLKIF_OP_INDIRECT ? indirect->sector_number : req->sector_number;
}

static void blk_do_sane(struct fake_blk *blk, const struct blkif_request *req)
{
    size_t at = (blk_sector(req) - blk->base) * 512;
    unsigned n = fake_blk_nr_segments(req), operation = blk_operation(req);
    bool flush = operation == BLKIF_OP_FLUSH_DISKCACHE || operation == BLKIF_OP_WRITE_BARRIER;

    blk->reads += operation == BLKIF_OP_READ;
    blk->writes += operation == BLKIF_OP_WRITE;
    blk->flushes += operation == BLKIF_OP_FLUSH_DISKCACHE;
    blk->barriers += operation == BLKIF_OP_WRITE_BARRIER;
    blk->most_segments = n > blk->most_segments ? n : blk->most_segments;
    if (req->operation == BLKIF_OP_INDIRECT && !blk->tolerant)
        blk_check_indirect(blk, req);
    else if (!blk->tolerant)
        CHECK(n <= BLKIF_MAX_SEGMENTS_PER_REQUEST);
    if (operation == BLKIF_OP_DISCARD)
        blk_discard(blk, req);
    for (unsigned i = 0; i < n; i++)
        at += blk_move(blk, req, i, at);
    if (flush)
        memcpy(blk->stable, blk->data, sizeof(blk->stable));
    if (blk->skip == NULL || !blk->skip(req))
        fake_blk_answer(blk, req->id, operation, BLKIF_RSP_OKAY);
}

/* Could it be done? */
static bool blk_is_sane(struct fake_blk *blk, const struct blkif_request *req)
{
    const struct blkif_request_indirect *indirect = (const void *)req;
    const struct blkif_request_discard *discard = (const void *)req;
    uint64_t sectors = sizeof(blk->data) / 512, first = blk_sector(req), n = 0;
    bool write = blk_operation(req) == BLKIF_OP_WRITE;
    uint8_t probe[512];

    if (req->operation == BLKIF_OP_DISCARD)
        return first <= sectors && discard->nr_sectors <= sectors - first;
    if (req->operation == BLKIF_OP_INDIRECT
            ? indirect->nr_segments > 32 || indirect->nr_segments <= 11 ||
                  fake_grant_read(indirect->indirect_grefs[0], 0, probe, 512) != 0
            : req->nr_segments > BLKIF_MAX_SEGMENTS_PER_REQUEST)
        return false;
    for (unsigned i = 0; i < fake_blk_nr_segments(req); i++) {
        struct blkif_request_segment seg = fake_blk_segment(req, i);

        if (seg.first_sect > seg.last_sect || seg.last_sect > 7 ||
            fake_grant_read(seg.gref, 0, probe, 512) != 0 ||
            (!write && fake_grant_is_readonly(seg.gref)))
            return false;
        n += seg.last_sect - seg.first_sect + 1U;
    }
    return first <= sectors && n <= sectors - first;
}

static void blk_do(struct fake_blk *blk, const struct blkif_request *req)
{
    if (blk->tolerant && !blk_is_sane(blk, req))
        fake_blk_answer(blk, req->id, req->operation, BLKIF_RSP_ERROR);
    else
        blk_do_sane(blk, req);
}

void fake_blk_do(struct fake_blk *blk, unsigned i)
{
    unsigned after = --blk->nr_held - i;

    blk->answering = blk->held_of[i];
    blk_do(blk, &blk->held[i]);
    blk->answering = NULL;
    memmove(&blk->held[i], &blk->held[i + 1], after * sizeof(blk->held[0]));
    memmove(&blk->held_of[i], &blk->held_of[i + 1], after * sizeof(blk->held_of[0]));
}

void fake_blk_release(struct fake_blk *blk)
{
    while (blk->nr_held > 0)
        fake_blk_do(blk, 0);
    for (unsigned i = 0; i < blk->nr_queues; i++)
        back_ring_push(fake_blk_ring(blk, i));
}

void fake_blk_run(struct fake_blk *blk)
{
    for (unsigned i = 0; i < blk->nr_queues; i++) {
        struct back_ring *r = fake_blk_ring(blk, i);

        if (r->page == NULL)
            return;
        while (blk->nr_held + 1 < FAKE_BLK_HELD &&
               back_ring_take(r, &blk->held[blk->nr_held], sizeof(blk->held[0]))) {
            blk->held_of[blk->nr_held++] = r;
            CHECK(blk->tolerant || blk->nr_held + 1 < FAKE_BLK_HELD);
        }
    }
    if (blk->nr_held > blk->most_held)
        blk->most_held = blk->nr_held;
    if (!blk->hold && blk->ring.page != NULL)
        fake_blk_release(blk);
}
