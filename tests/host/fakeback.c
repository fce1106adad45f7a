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

    return value != NULL && strcmp(value, "1") == 0;
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
    case XenbusStateInitialising:
        if (dev->state == XenbusStateClosed)
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

void fake_dev_create(struct fake_dev *dev, const char *class, const char *back_class,
                     const char *id)
{
    snprintf(dev->front, sizeof(dev->front), FAKE_HOME "/device/%s/%s", class, id);
    snprintf(dev->back, sizeof(dev->back), "/local/domain/0/backend/%s/%u/%s", back_class,
             FAKE_DOMID, id);
    fake_dev_set_front(dev, "backend", dev->back);
    fake_dev_set_front(dev, "backend-id", "0");
    fake_dev_set_front(dev, "state", "1");
    fake_dev_set_back(dev, "frontend", dev->front);
    fake_dev_set_state(dev, XenbusStateInitWait);
    fakexen_store_on_write(dev->front, on_front_state, dev);
}

void fake_dev_destroy(struct fake_dev *dev)
{
    fakexen_store_off_write(dev->front, on_front_state, dev);
    detach(dev);
    fakexen_store_rm(dev->front);
    fakexen_store_rm(dev->back);
}

/* ---- the backend's half of a ring ---- */

void back_ring_attach(struct back_ring *r, gref_t ref, port_t port, size_t slot_size, unsigned size)
{
    r->ref = ref;
    r->port = port;
    r->slot_size = slot_size;
    r->size = size;
    r->page = fake_grant_map(ref, true);
    r->req_cons = r->rsp_prod = r->page->rsp_prod;
}

void back_ring_detach(struct back_ring *r)
{
    fake_grant_unmap(r->ref, true);
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

static void net_notified(void *arg)
{
    fake_net_run(arg);
}

static void net_connect(struct fake_dev *dev)
{
    struct fake_net *net = CONTAINER_OF(dev, struct fake_net, dev);
    bool split = fake_dev_front(dev, "event-channel-tx") != NULL;
    port_t tx = fake_dev_front_number(dev, split ? "event-channel-tx" : "event-channel");
    port_t rx = fake_dev_front_number(dev, split ? "event-channel-rx" : "event-channel");

    CHECK_EQ(fake_dev_front_number(dev, "request-rx-copy"), 1);
    back_ring_attach(&net->tx, fake_dev_front_number(dev, "tx-ring-ref"), tx,
                     sizeof(struct netif_tx_request), 256);
    back_ring_attach(&net->rx, fake_dev_front_number(dev, "rx-ring-ref"), rx,
                     sizeof(struct netif_rx_request), 256);
    fakexen_on_notify(tx, net_notified, net);
    if (split)
        fakexen_on_notify(rx, net_notified, net);
}

static void net_disconnect(struct fake_dev *dev)
{
    struct fake_net *net = CONTAINER_OF(dev, struct fake_net, dev);

    fakexen_off_notify(net->tx.port);
    if (net->rx.port != net->tx.port)
        fakexen_off_notify(net->rx.port);
    back_ring_detach(&net->tx);
    back_ring_detach(&net->rx);
}

void fake_net_create(struct fake_net *net, const char *handle)
{
    memset(net, 0, sizeof(*net));
    net->dev.connect = net_connect;
    net->dev.disconnect = net_disconnect;
    fake_dev_create(&net->dev, "vif", "vif", handle);
    fake_dev_set_front(&net->dev, "mac", "00:16:3e:12:34:56");
    fake_dev_set_front(&net->dev, "handle", handle);
    fake_dev_set_back(&net->dev, "feature-rx-copy", "1");
    fake_dev_set_back(&net->dev, "feature-sg", "1");
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
    (void)fake_grant_map(ref, writable);
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

    back_ring_put(&net->tx, &rsp, sizeof(rsp));
}

/* One piece of the frame, and what every backend insists on. */
static void net_take_piece(struct fake_net *net, const struct netif_tx_request *req, unsigned size)
{
    struct fake_frame *f = &net->last;

    CHECK(size > 0);
    CHECK(req->offset + size <= 4096);
    CHECK(f->len + size <= sizeof(f->data));
    CHECK(fake_grant_is_readonly(req->gref));
    CHECK_EQ(fake_grant_read(req->gref, req->offset, f->data + f->len, size), 0);
    f->len += size;
    f->nr_slots++;
    net_keep(net, req->gref, false);
}

/* The notes that follow the first request: only how to cut. */
static void net_take_extra(struct fake_net *net, const struct netif_tx_request *req,
                           struct netif_extra_info *extra)
{
    bool six = false;

    memset(extra, 0, sizeof(*extra));
    if (!(req->flags & NETTXF_extra_info))
        return;
    CHECK(back_ring_take(&net->tx, extra, sizeof(*extra)));
    CHECK_EQ(extra->type, XEN_NETIF_EXTRA_TYPE_GSO);
    CHECK_EQ(extra->flags, 0);
    six = extra->u.gso.type == XEN_NETIF_GSO_TYPE_TCPV6;
    CHECK(six || extra->u.gso.type == XEN_NETIF_GSO_TYPE_TCPV4);
    CHECK(fake_dev_back_is_on(&net->dev, six ? "feature-gso-tcpv6" : "feature-gso-tcpv4"));
    CHECK(fake_dev_back_is_on(&net->dev, "feature-sg"));
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
    while (req[n - 1].flags & NETTXF_more_data) {
        CHECK(n < XEN_NETIF_NR_SLOTS_MIN);
        CHECK(back_ring_take(&net->tx, &req[n], sizeof(req[n])));
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
    if (net->on_frame != NULL)
        net->on_frame(net);
    for (unsigned i = 0; i < n; i++) {
        fake_net_answer_tx(net, req[i].id, net->tx_status);
        if (i == 0)
            net_answer_extra(net, &extra);
    }
}

void fake_net_run(struct fake_net *net)
{
    struct netif_tx_request req[XEN_NETIF_NR_SLOTS_MIN];

    if (net->hold_tx || net->tx.page == NULL)
        return;
    while (back_ring_take(&net->tx, &req[0], sizeof(req[0])))
        net_take_frame(net, req);
    back_ring_push(&net->tx);
}

gref_t fake_net_answer(struct fake_net *net, unsigned id_lie, unsigned offset, unsigned flags,
                       int status)
{
    struct netif_rx_request req;
    struct netif_rx_response rsp;

    CHECK(back_ring_take(&net->rx, &req, sizeof(req)));
    CHECK(!fake_grant_is_readonly(req.gref));
    rsp.id = (uint16_t)(req.id + id_lie);
    rsp.offset = (uint16_t)offset;
    rsp.flags = (uint16_t)flags;
    rsp.status = (int16_t)status;
    back_ring_put(&net->rx, &rsp, sizeof(rsp));
    net_keep(net, req.gref, true);
    return req.gref;
}

void fake_net_answer_extra(struct fake_net *net, unsigned type, unsigned flags)
{
    struct netif_rx_request req;
    struct netif_extra_info extra;

    CHECK(back_ring_take(&net->rx, &req, sizeof(req)));
    memset(&extra, 0, sizeof(extra));
    extra.type = (uint8_t)type;
    extra.flags = (uint8_t)flags;
    back_ring_put(&net->rx, &extra, sizeof(extra));
}

void fake_net_push(struct fake_net *net)
{
    back_ring_push(&net->rx);
}

bool fake_net_deliver(struct fake_net *net, const void *data, unsigned len, unsigned piece,
                      unsigned offset, unsigned flags)
{
    const uint8_t *from = data;

    if (net->rx.page->req_prod - net->rx.req_cons < (len + piece - 1) / piece)
        return false;
    while (len > 0) {
        unsigned n = len < piece ? len : piece;
        gref_t ref =
            fake_net_answer(net, 0, offset, flags | (n < len ? NETRXF_more_data : 0), (int)n);

        CHECK_EQ(fake_grant_write(ref, offset, from, n), 0);
        from += n;
        len -= n;
        flags = 0;
    }
    fake_net_push(net);
    return true;
}

/* ---- block ---- */

static void blk_notified(void *arg)
{
    fake_blk_run(arg);
}

static void blk_connect(struct fake_dev *dev)
{
    struct fake_blk *blk = CONTAINER_OF(dev, struct fake_blk, dev);

    CHECK_STR(fake_dev_front(dev, "protocol"), "x86_64-abi");
    back_ring_attach(&blk->ring, fake_dev_front_number(dev, "ring-ref"),
                     fake_dev_front_number(dev, "event-channel"), sizeof(struct blkif_request), 32);
    fakexen_on_notify(blk->ring.port, blk_notified, blk);
    fake_dev_set_back(dev, "feature-flush-cache", blk->no_flush ? "0" : "1");
    fake_dev_set_back(dev, "feature-persistent", blk->persistent ? "1" : "0");
    blk->keeps = blk->persistent && fake_dev_front(dev, "feature-persistent") != NULL;
}

static void blk_disconnect(struct fake_dev *dev)
{
    struct fake_blk *blk = CONTAINER_OF(dev, struct fake_blk, dev);

    fakexen_off_notify(blk->ring.port);
    back_ring_detach(&blk->ring);
    if (blk->keeps && !blk->keep_mapped)
        fake_blk_let_go(blk);
}

void fake_blk_create(struct fake_blk *blk, const char *id)
{
    memset(blk, 0, sizeof(*blk));
    blk->dev.connect = blk_connect;
    blk->dev.disconnect = blk_disconnect;
    fake_dev_create(&blk->dev, "vbd", "vbd", id);
    fake_dev_set_front(&blk->dev, "virtual-device", id);
    fake_dev_set_back(&blk->dev, "sectors", "2048");
    fake_dev_set_back(&blk->dev, "sector-size", "512");
    fake_dev_set_back(&blk->dev, "info", "0");
    fake_dev_set_back(&blk->dev, "mode", "w");
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
    CHECK(blk->nr_kept < ARRAY_SIZE(blk->kept));
    (void)fake_grant_map(ref, writable);
    blk->kept[blk->nr_kept].ref = ref;
    blk->kept[blk->nr_kept++].writable = writable;
}

static void blk_move(struct fake_blk *blk, const struct blkif_request *req, unsigned i, size_t at)
{
    const struct blkif_request_segment *seg = &req->seg[i];
    size_t offset = seg->first_sect * 512U, len = (seg->last_sect - seg->first_sect + 1) * 512U;
    bool write = req->operation == BLKIF_OP_WRITE;
    int rc;

    CHECK(seg->first_sect <= seg->last_sect && seg->last_sect < 8);
    CHECK(at + len <= sizeof(blk->data));
    CHECK_EQ(fake_grant_is_readonly(seg->gref), write && !blk->keeps);
    rc = write ? fake_grant_read(seg->gref, offset, blk->data + at, len)
               : fake_grant_write(seg->gref, offset, blk->data + at, len);
    CHECK_EQ(rc, 0);
    if (blk->keeps || blk->keep_mapped)
        blk_keep(blk, seg->gref, blk->keeps || !write);
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
    back_ring_put(&blk->ring, &rsp, sizeof(rsp));
}

static void blk_do(struct fake_blk *blk, const struct blkif_request *req)
{
    size_t at = (req->sector_number - blk->base) * 512;

    blk->reads += req->operation == BLKIF_OP_READ;
    blk->writes += req->operation == BLKIF_OP_WRITE;
    blk->flushes += req->operation == BLKIF_OP_FLUSH_DISKCACHE;
    blk->barriers += req->operation == BLKIF_OP_WRITE_BARRIER;
    CHECK(req->nr_segments <= BLKIF_MAX_SEGMENTS_PER_REQUEST);
    for (unsigned i = 0; i < req->nr_segments; i++) {
        blk_move(blk, req, i, at);
        at += (req->seg[i].last_sect - req->seg[i].first_sect + 1) * 512U;
    }
    fake_blk_answer(blk, req->id, req->operation, BLKIF_RSP_OKAY);
}

void fake_blk_do(struct fake_blk *blk, unsigned i)
{
    blk_do(blk, &blk->held[i]);
    memmove(&blk->held[i], &blk->held[i + 1], (--blk->nr_held - i) * sizeof(blk->held[0]));
}

void fake_blk_release(struct fake_blk *blk)
{
    while (blk->nr_held > 0)
        fake_blk_do(blk, 0);
    back_ring_push(&blk->ring);
}

void fake_blk_run(struct fake_blk *blk)
{
    if (blk->ring.page == NULL)
        return;
    while (back_ring_take(&blk->ring, &blk->held[blk->nr_held], sizeof(blk->held[0]))) {
        blk->nr_held++;
        CHECK(blk->nr_held <= 32);
    }
    if (blk->nr_held > blk->most_held)
        blk->most_held = blk->nr_held;
    if (!blk->hold)
        fake_blk_release(blk);
}
