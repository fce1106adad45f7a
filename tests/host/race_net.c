/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * netfront on several CPUs at once, under the thread sanitizer: some threads send and kick, one
 * polls and leads the vif from life to life as lib/net/nic.c does, one asks for the state of
 * things, changes the multicast groups and keeps received pages for a while, also into another
 * life. The backend takes and answers in any order, sends frames of its own, breaks the protocol
 * now and then, and is killed and replaced by one with other features at any moment. Handlers of
 * events and the timer run on another CPU. Xen and the store are as little as that needs. Threads
 * are held up where it hurts: before they take a mutex, and when they have just seen that there is
 * a link.
 *
 * Promises:
 *   no frame of a flow overtakes another of it, and a flow has one queue; none that was taken is
 *   missing, but at the end of a life; all arrive whole, those that come in, too;
 *   after a life nothing of it is left: no page, no grant, no port, no timer; and nothing of it is
 *   used any more, which the sanitizer sees;
 *   a received page is its keeper's alone until it is given back;
 *   a backend is told to add groups that it has not, to remove those it has, and never of too many;
 *   what is said of the vif is of one life, and what is counted is right.
 * Prints nothing and returns 0 when all is well.
 */
#include <pthread.h>
#include <string.h>
#include <unistd.h>
#include "frontends/netfront/internal.h"
#include "kernel/page.h"
#include "kernel/time.h"
#include "lib/base/assert.h"
#include "tests/host/racerig.h"

#define SENDERS RACE_CPUS
#define FLOWS 3 /* of each sender */
#define SECONDS 4
#define LIVES_MS 60
#define BREAKS 4 /* one life of so many ends by a violation */
#define PORTS (2 * NETFRONT_QUEUES_MAX)
#define HEADERS 64 /* Ethernet, IPv4, ports; then struct tag */
#define FRAME_MAX 60000
#define MAC_OF(mtu) ((uint8_t)((mtu) / 7))

/* What a frame says of itself; the rest of it follows from (seed). */
struct tag {
    uint32_t len, sender, flow, number, seed;
};

#define TAGGED (HEADERS + sizeof(struct tag))

static struct netfront *device;
static bool over;

/* ---- to be late ---- */

static __thread unsigned luck = 5000;

/* Mostly a little; seldom, long enough for a life to end and another to begin, and then perhaps
 * once more. */
static void maybe_be_late(void)
{
    static __thread bool was_late;
    uint32_t n = random_below(was_late ? 2 : luck);

    was_late = n == 0;
    if (n == 0)
        usleep(random_below(2 * LIVES_MS * 1000));
    else if (n < 50)
        usleep(random_below(300));
}

void __real_mutex_lock(struct mutex *m);
void __wrap_mutex_lock(struct mutex *m);

void __wrap_mutex_lock(struct mutex *m)
{
    maybe_be_late();
    __real_mutex_lock(m);
}

/* ---- memory ---- */

size_t page_count_total(void)
{
    return 16384; /* four queues of half a ring */
}

void *page_alloc(void)
{
    return page_alloc_order(0);
}

/* ---- events: delivered by two threads; a port is masked until its EOI ---- */

static struct port {
    pthread_mutex_t lock;
    evtchn_fn *fn;
    void *arg;
    bool pending, masked;
} ports[PORTS + 1];
static unsigned nr_bound;
static uint64_t notified, delivered;

static int bind(evtchn_fn *fn, void *arg, port_t *out)
{
    for (port_t p = 1; p <= PORTS; p++) {
        bool was_free;

        pthread_mutex_lock(&ports[p].lock);
        was_free = ports[p].fn == NULL;
        if (was_free) {
            ports[p].fn = fn;
            ports[p].arg = arg;
            ports[p].pending = ports[p].masked = false;
        }
        pthread_mutex_unlock(&ports[p].lock);
        if (!was_free)
            continue;
        atomic_add(&nr_bound, 1);
        *out = p;
        return 0;
    }
    return -ENOSPC;
}

static void unbind(port_t p)
{
    pthread_mutex_lock(&ports[p].lock);
    ports[p].fn = NULL;
    pthread_mutex_unlock(&ports[p].lock);
    atomic_sub(&nr_bound, 1);
}

static void raise_event(port_t p)
{
    pthread_mutex_lock(&ports[p].lock);
    ports[p].pending = true;
    pthread_mutex_unlock(&ports[p].lock);
}

static void deliver(port_t p)
{
    struct port *port = &ports[p];

    pthread_mutex_lock(&port->lock);
    if (port->fn != NULL && port->pending && !port->masked) {
        port->pending = false;
        port->masked = true;
        atomic_add(&delivered, 1);
        port->fn(p, port->arg);
    }
    pthread_mutex_unlock(&port->lock);
}

/* The handler's CPU may be another one: no lock. */
void evtchn_eoi(port_t port, bool worked)
{
    (void)worked;
    ASSERT(port != PORT_NONE && port <= PORTS);
    pthread_mutex_lock(&ports[port].lock);
    ASSERT(ports[port].fn != NULL && ports[port].masked);
    ports[port].masked = false;
    pthread_mutex_unlock(&ports[port].lock);
}

int evtchn_notify(port_t port)
{
    ASSERT(port != PORT_NONE && port <= PORTS);
    pthread_mutex_lock(&ports[port].lock);
    ASSERT(ports[port].fn != NULL); /* not of an earlier life */
    pthread_mutex_unlock(&ports[port].lock);
    atomic_add(&notified, 1);
    return 0;
}

/* ---- the timer: its second may be over at any moment ---- */

static pthread_mutex_t timer_lock;
static struct timer *armed;

void timer_init(struct timer *t, void (*fn)(struct timer *t))
{
    *t = (struct timer){.fn = fn};
}

void timer_set(struct timer *t, nsec_t deadline)
{
    (void)deadline;
    pthread_mutex_lock(&timer_lock);
    armed = t;
    pthread_mutex_unlock(&timer_lock);
}

bool timer_cancel(struct timer *t)
{
    bool was_armed;

    pthread_mutex_lock(&timer_lock);
    was_armed = armed == t;
    armed = NULL;
    pthread_mutex_unlock(&timer_lock);
    return was_armed;
}

static void expire(void)
{
    struct timer *t;

    pthread_mutex_lock(&timer_lock); /* recursive: it sets itself again */
    t = armed;
    armed = NULL;
    if (t != NULL)
        t->fn(t);
    pthread_mutex_unlock(&timer_lock);
}

static void interrupts(void *arg)
{
    (void)arg;
    while (!load_acquire(&over)) {
        deliver(1 + random_below(PORTS));
        if (random_below(500) == 0)
            expire();
        if (random_below(8) == 0)
            usleep(20);
    }
}

/* ---- the store and the handshake, as the driver sees them ---- */

/* What the next life's backend can. */
static struct {
    uint32_t queues, mtu;
    bool sg, split, gso, filters, trusted;
} offer = {4, 1500, true, true, true, true, true};
static bool connected;                 /* the backend's state */
static bool initialised;               /* ours: it may attach */
static bool attached;                  /* it uses what is ours */
static bool broke;                     /* the protocol, in this life */
static unsigned lives, broken, parted; /* ended by anybody; by a violation, by us */

bool xb_connected(const struct xb_device *dev)
{
    bool is = load_acquire(&connected);

    (void)dev;
    maybe_be_late();
    return is;
}

static uint64_t value_of(const char *name)
{
    const struct {
        const char *name;
        uint64_t value;
    } values[] = {{"feature-rx-copy", 1},
                  {"feature-sg", offer.sg},
                  {"feature-split-event-channels", offer.split},
                  {"feature-ipv6-csum-offload", 1},
                  {"feature-gso-tcpv4", offer.gso},
                  {"feature-gso-tcpv6", offer.gso},
                  {"feature-multicast-control", offer.filters},
                  {"feature-dynamic-multicast-control", offer.filters},
                  {"multi-queue-max-queues", offer.queues},
                  {"mac", (uint64_t)MAC_OF(offer.mtu) << 40},
                  {"mtu", offer.mtu},
                  {"trusted", offer.trusted}};

    for (unsigned i = 0; i < ARRAY_SIZE(values); i++)
        if (strcmp(name, values[i].name) == 0)
            return values[i].value;
    return 0;
}

int xb_read(struct xb_device *dev, const char *dir, const struct xb_key *keys, size_t n, void *base)
{
    (void)dev;
    (void)dir;
    for (size_t i = 0; i < n; i++) {
        uint64_t value = value_of(keys[i].name);

        if (keys[i].kind != XB_TEXT)
            memcpy((char *)base + keys[i].offset, &value, keys[i].size);
    }
    return 0;
}

int xb_publish(struct xb_device *dev, const struct xb_entry *entries, size_t n)
{
    (void)dev;
    (void)entries;
    (void)n;
    return 0;
}

int xb_advance(struct xb_device *dev, enum xb_state state)
{
    (void)dev;
    (void)state;
    store_release(&initialised, true);
    return 0;
}

int xb_await(struct xb_device *dev, unsigned states, nsec_t deadline)
{
    (void)dev;
    (void)states;
    return race_await(&initialised, &connected, deadline);
}

void xb_fail(struct xb_device *dev, int err, const char *fmt, ...)
{
    (void)dev;
    if (!load_acquire(&broke))
        panic("the device broke (%d): %s", err, fmt);
    atomic_add(&broken, 1);
}

int xb_ring(struct xb_device *dev, struct shared_page *out)
{
    unsigned i = 0;

    while (dev->ring[i].va != NULL)
        i++;
    out->va = page_alloc_zeroed();
    if (grant_page(0, out->va, false, &out->ref) != 0)
        panic("no grants");
    dev->ring[i] = *out;
    return 0;
}

int xb_port(struct xb_device *dev, evtchn_fn *fn, void *arg, port_t *out)
{
    unsigned i = 0;

    while (dev->port[i] != PORT_NONE)
        i++;
    if (bind(fn, arg, out) != 0)
        panic("no ports");
    dev->port[i] = *out;
    return 0;
}

/* Once the backend has let go. */
static void release_all(struct xb_device *dev)
{
    for (unsigned i = 0; i < XB_PORTS_MAX; i++)
        if (dev->port[i] != PORT_NONE)
            unbind(dev->port[i]);
    for (unsigned i = 0; i < XB_RINGS_MAX; i++)
        if (dev->ring[i].va != NULL)
            grant_revoke_and_free(dev->ring[i].ref, dev->ring[i].va);
    memset(dev->port, 0, sizeof(dev->port));
    memset(dev->ring, 0, sizeof(dev->ring));
}

static unsigned nr_kept; /* pages; only the poller makes it more */

static void check_nothing_is_left(void)
{
    unsigned kept = load_acquire(&nr_kept), pages = load_relaxed(&pages_out);

    if (grants_out != 0 || pages > kept || load_relaxed(&nr_bound) != 0)
        panic("left of a life: %u grants, %u pages and %u kept, %u ports", grants_out, pages, kept,
              nr_bound);
    pthread_mutex_lock(&timer_lock);
    if (armed != NULL)
        panic("left of a life: a timer");
    pthread_mutex_unlock(&timer_lock);
}

int life_init(struct life *life, struct xb_device *dev, const struct life_driver *driver,
              const char *id, void *arg)
{
    (void)id;
    memset(dev, 0, sizeof(*dev));
    device = arg;
    *life = (struct life){.driver = driver, .arg = arg, .dev = dev};
    return 0;
}

void life_close(struct life *life)
{
    while (load_acquire(&attached)) { /* xb_close waits for the backend to let go */
        store_release(&connected, false);
        usleep(100);
    }
    release_all(life->dev);
    life->driver->disconnect(life->arg);
    atomic_add(&lives, 1);
}

int life_open(struct life *life)
{
    int rc = life->driver->connect(life->arg, time_now() + 10 * NSEC_PER_SEC);

    if (rc != 0)
        life_close(life);
    return rc;
}

int life_reopen(struct life *life, nsec_t deadline)
{
    (void)deadline;
    check_nothing_is_left();
    return life_open(life);
}

void life_cancel(struct life *life)
{
    (void)life;
}

void life_destroy(struct life *life)
{
    (void)life;
}

/* ---- frames ---- */

static uint8_t content(uint32_t seed, uint32_t at)
{
    return (uint8_t)(seed * 31 + at * 7 + (at >> 8));
}

/* (only these threads' own memory, and much of it) */
#define UNSEEN __attribute__((no_sanitize("thread")))

/* A frame of UDP or so: addresses and ports name sender and flow. */
static UNSEEN void fill_frame(uint8_t *data, const struct tag *tag)
{
    memset(data, 0, HEADERS);
    data[12] = 0x08;
    data[ETHERNET_HEADER] = 0x45;
    data[ETHERNET_HEADER + 12] = (uint8_t)tag->sender;
    data[ETHERNET_HEADER + 20] = (uint8_t)(tag->flow * 37);
    memcpy(data + HEADERS, tag, sizeof(*tag));
    for (uint32_t i = TAGGED; i < tag->len; i++)
        data[i] = content(tag->seed, i);
}

static UNSEEN void check_frame(const uint8_t *data, uint32_t len, struct tag *tag)
{
    if (len < TAGGED)
        panic("a frame of %u bytes", len);
    memcpy(tag, data + HEADERS, sizeof(*tag));
    if (tag->len != len)
        panic("a frame of %u bytes instead of %u", len, tag->len);
    for (uint32_t i = TAGGED; i < len; i++)
        if (data[i] != content(tag->seed, i))
            panic("a frame that is not what was sent, at %u of %u", i, len);
}

/* What was seen of a flow. */
struct flow {
    unsigned next, life, queue;
};

static void check_order(struct flow *f, const struct tag *tag, unsigned life, unsigned queue)
{
    bool same = f->life == life;

    if (tag->number < f->next)
        panic("frame %u overtaken: %u was there", tag->number, f->next - 1);
    if (same && tag->number > f->next)
        panic("frame %u is missing: %u is there", f->next, tag->number);
    if (same && queue != f->queue)
        panic("a flow in queues %u and %u", f->queue, queue);
    *f = (struct flow){.next = tag->number + 1, .life = life, .queue = queue};
}

/* ---- the backend: its only thread; it looks at rings and grants as if it had mapped them ---- */

struct back {
    uint32_t tx_cons, tx_rsp, rx_cons, rx_rsp;
    struct netif_tx_response owed[tx_ring_SIZE]; /* not yet given */
    unsigned nr_owed;
    unsigned sent; /* frames in */
};

static struct back backs[NETFRONT_QUEUES_MAX];
static struct flow flows[SENDERS][FLOWS];
static unsigned back_life; /* counts */
static uint64_t groups_told;

static bool is_told[256];
static unsigned nr_told;

static void owe(struct back *b, uint16_t id, int status)
{
    ASSERT(b->nr_owed < tx_ring_SIZE);
    b->owed[b->nr_owed++] = (struct netif_tx_response){.id = id, .status = (int16_t)status};
}

static void take_group(const struct netif_extra_info *extra)
{
    uint8_t group = extra->u.mcast.addr[5];
    bool add = extra->type == XEN_NETIF_EXTRA_TYPE_MCAST_ADD;

    if (is_told[group] == add)
        panic("group %u is told of again, or was not", group);
    is_told[group] = add;
    nr_told += add ? 1u : -1u;
    if (nr_told > NETFRONT_GROUPS_MAX)
        panic("%u groups", nr_told);
    atomic_add(&groups_told, 1);
}

static union tx_request next_request(struct netfront_queue *q, struct back *b, uint32_t published)
{
    if (b->tx_cons == published)
        panic("half a frame is published");
    return ((struct tx_ring_page *)q->tx.page.va)->slot[b->tx_cons++ % tx_ring_SIZE].req;
}

/* All slots of a frame, or of a note on groups. */
static void take_request(struct netfront_queue *q, struct back *b, uint32_t published)
{
    static uint8_t data[65536];
    struct netif_tx_request head = next_request(q, b, published).req, req = head;
    struct netif_extra_info extra = {0};
    uint32_t at = 0, size;
    struct tag tag;

    if (head.flags & NETTXF_extra_info) {
        extra = next_request(q, b, published).extra;
        owe(b, 0, NETIF_RSP_NULL);
    }
    if (head.size == 0) {
        take_group(&extra);
        owe(b, head.id, random_below(100) == 0 ? NETIF_RSP_ERROR : NETIF_RSP_OKAY);
        return;
    }
    for (;;) {
        size = MIN(at == 0 ? head.size : req.size, PAGE_SIZE);
        memcpy(data + at, (char *)mapped(req.gref) + req.offset, size);
        owe(b, req.id, NETIF_RSP_OKAY);
        at += size;
        if (!(req.flags & NETTXF_more_data))
            break;
        req = next_request(q, b, published).req;
    }
    check_frame(data, head.size, &tag);
    if (at != head.size || tag.sender >= SENDERS || tag.flow >= FLOWS)
        panic("a frame in pieces of %u bytes, of flow %u of %u", at, tag.flow, tag.sender);
    check_order(&flows[tag.sender][tag.flow], &tag, back_life, q->index);
}

/* In any order. */
static void answer(struct netfront_queue *q, struct back *b)
{
    struct tx_ring_page *page = q->tx.page.va;
    unsigned n = random_below(b->nr_owed + 1);

    for (; n > 0; n--) {
        unsigned i = random_below(b->nr_owed);

        page->slot[b->tx_rsp++ % tx_ring_SIZE].rsp = b->owed[i];
        b->owed[i] = b->owed[--b->nr_owed];
    }
    store_release(&page->rsp_prod, b->tx_rsp);
}

static void serve_tx(struct netfront_queue *q, struct back *b)
{
    struct tx_ring_page *page = q->tx.page.va;
    uint32_t published = load_acquire(&page->req_prod);

    for (unsigned n = random_below(20); n > 0 && b->tx_cons != published; n--)
        take_request(q, b, published);
    store_relaxed(&page->req_event, b->tx_cons + 1);
    answer(q, b);
}

/* One frame in, over as many slots as it takes. */
static void send_in(struct netfront_queue *q, struct back *b)
{
    static uint8_t data[FRAME_MAX];
    struct rx_ring_page *page = q->rx.page.va;
    struct tag tag = {.len = TAGGED + random_below(random_below(8) == 0 ? 9000 : 200),
                      .flow = q->index,
                      .number = b->sent,
                      .seed = random_below(256)};
    uint32_t room = load_acquire(&page->req_prod) - b->rx_cons, size;

    if (room * PAGE_SIZE < tag.len)
        return;
    fill_frame(data, &tag);
    for (uint32_t at = 0; at < tag.len; at += size) {
        union rx_ring_slot *slot = &page->slot[b->rx_cons++ % rx_ring_SIZE];
        struct netif_rx_request req = slot->req;

        size = MIN(tag.len - at, PAGE_SIZE);
        memcpy(mapped(req.gref), data + at, size);
        slot->rsp.rsp = (struct netif_rx_response){
            .id = req.id,
            .flags = at + size < tag.len ? NETRXF_more_data : NETRXF_data_validated,
            .status = (int16_t)size};
    }
    b->sent++;
    store_release(&page->rsp_prod, b->rx_cons);
}

static void serve_queue(struct netfront_queue *q, struct back *b)
{
    serve_tx(q, b);
    for (unsigned n = random_below(6); n > 0; n--)
        send_in(q, b);
    if (random_below(4) == 0)
        return; /* says nothing of it */
    raise_event(load_relaxed(&q->rx_channel.port));
    if (q->nf->terms.split)
        raise_event(load_relaxed(&q->tx_channel.port));
}

/* Whichever of our threads looks next finds it. */
static void break_protocol(void)
{
    struct netfront_queue *q = device->queue[random_below(device->nr_queues)];
    bool rx = random_below(2);
    struct tx_ring_page *tx_page = q->tx.page.va;
    struct rx_ring_page *rx_page = q->rx.page.va;

    store_release(&broke, true);
    store_release(rx ? &rx_page->rsp_prod : &tx_page->rsp_prod, 0x80000000u);
    raise_event(load_relaxed(&q->rx_channel.port));
}

static void attach(void)
{
    memset(backs, 0, sizeof(backs));
    memset(is_told, 0, sizeof(is_told));
    nr_told = 0;
    back_life++;
    store_release(&broke, false);
    store_release(&attached, true);
    store_release(&connected, true);
}

static void let_go(void)
{
    store_release(&connected, false);
    offer.queues = 1 + random_below(4);
    offer.mtu = 600 + 7 * random_below(100);
    offer.sg = random_below(4) > 0;
    offer.split = random_below(2);
    offer.gso = random_below(4) > 0;
    offer.filters = random_below(4) > 0;
    offer.trusted = random_below(4) > 0;
    store_release(&initialised, false);
    store_release(&attached, false);
    device->life.driver->on_change(device);
}

static void *backend(void *arg)
{
    bool *stop = arg, breaks = false;
    nsec_t until = 0;

    while (!load_acquire(stop) || load_acquire(&attached)) {
        if (!load_acquire(&attached)) {
            if (!load_acquire(&initialised)) {
                usleep(200);
                continue;
            }
            attach();
            until = time_now() + (1 + random_below(LIVES_MS)) * NSEC_PER_MSEC;
            breaks = random_below(BREAKS) == 0;
        }
        for (unsigned i = 0; i < device->nr_queues && !load_relaxed(&broke); i++)
            serve_queue(device->queue[i], &backs[i]);
        for (port_t p = 1; p <= PORTS; p++)
            deliver(p);
        if (time_now() > until && breaks && !load_relaxed(&broke))
            break_protocol(); /* and then the driver leaves */
        if (!load_acquire(&connected) || (time_now() > until && !breaks))
            let_go();
        sched_yield();
    }
    return NULL;
}

/* ---- who sends ---- */

static uint64_t frames_taken, large_taken, without_room, without_link;

/* In two or three pieces; the first has what names the flow. */
static unsigned cut_up(uint8_t *data, uint32_t len, struct netfront_frag *frag)
{
    uint32_t at = HEADERS + random_below(len - HEADERS), then = at + random_below(len - at);
    unsigned n = 0;

    frag[n++] = (struct netfront_frag){data, (uint16_t)at, NULL};
    if (then > at)
        frag[n++] = (struct netfront_frag){data + at, (uint16_t)(then - at), NULL};
    if (len > then)
        frag[n++] = (struct netfront_frag){data + then, (uint16_t)(len - then), NULL};
    return n;
}

/* True: it was taken. */
static bool send_one(unsigned me, unsigned flow, unsigned number)
{
    static uint8_t data[SENDERS][FRAME_MAX];
    bool is_large = random_below(8) == 0;
    struct tag tag = {.len = TAGGED + random_below(is_large ? FRAME_MAX - TAGGED : 1500),
                      .sender = me,
                      .flow = flow,
                      .number = number,
                      .seed = random_below(256)};
    struct netfront_frag frag[3];
    unsigned n;
    int rc;

    fill_frame(data[me], &tag);
    n = cut_up(data[me], tag.len, frag);
    rc = is_large ? netfront_send_large(device, frag, n, 1448)
                  : netfront_send(device, frag, n, NETFRONT_CSUM_NONE);
    if (rc != 0 && rc != -ENOBUFS && rc != -ENETDOWN && !(is_large && rc == -EMSGSIZE))
        panic("sending: %d", rc);
    memset(data[me], 0xee, tag.len); /* it is ours again */
    atomic_add(&frames_taken, rc == 0);
    atomic_add(&large_taken, rc == 0 && is_large);
    atomic_add(&without_room, rc == -ENOBUFS);
    atomic_add(&without_link, rc == -ENETDOWN);
    return rc == 0;
}

static void sender(void *arg)
{
    unsigned me = (unsigned)(uintptr_t)arg, next[FLOWS] = {0};

    luck = 400;
    while (!load_relaxed(&over)) {
        bool all = true;

        for (unsigned n = 1 + random_below(5); n > 0 && all; n--) {
            unsigned flow = random_below(FLOWS);

            all = send_one(me, flow, next[flow]);
            next[flow] += all;
        }
        if (random_below(8) != 0) /* or somebody else does */
            netfront_kick(device);
        if (!all)
            usleep(random_below(500));
    }
}

/* ---- received pages that somebody keeps ---- */

#define KEPT 32

static struct kept {
    void *page;
    unsigned life;
    uint8_t begin[64]; /* what it begins with */
} kept[KEPT];
static pthread_mutex_t kept_lock = PTHREAD_MUTEX_INITIALIZER;

/* By the poller; false: there is no room. */
static bool keep_page(void *page, unsigned life)
{
    bool room;

    pthread_mutex_lock(&kept_lock);
    room = nr_kept < KEPT;
    if (room) {
        struct kept *k = &kept[nr_kept];

        k->page = page;
        k->life = life;
        memcpy(k->begin, page, sizeof(k->begin));
        atomic_add(&nr_kept, 1);
    }
    pthread_mutex_unlock(&kept_lock);
    return room;
}

/* Any of them. */
static void give_back_one(void)
{
    pthread_mutex_lock(&kept_lock);
    if (nr_kept > 0) {
        struct kept *k = &kept[random_below(nr_kept)];

        if (memcmp(k->begin, k->page, sizeof(k->begin)) != 0)
            panic("a page that was handed up was written to");
        netfront_give_back(device, k->page, k->life);
        *k = kept[nr_kept - 1];
        atomic_add(&nr_kept, -1u);
    }
    pthread_mutex_unlock(&kept_lock);
}

/* ---- who asks, and wants groups ---- */

static void check_info(struct netfront_info *before)
{
    struct netfront_info info;

    netfront_get_info(device, &info);
    if (info.mac[5] != MAC_OF(info.mtu))
        panic("the address of one life and the mtu of another");
    if (info.queues > 4 || info.lives < before->lives || info.tx_frames < before->tx_frames ||
        info.rx_frames < before->rx_frames || info.events < before->events ||
        info.notifies < before->notifies)
        panic("counters that run back");
    *before = info;
}

static void want_groups(void)
{
    static struct netfront_groups wanted;
    unsigned n = random_below(20) == 0 ? NETFRONT_GROUPS_MAX + 1 : random_below(20);

    wanted.nr = 0;
    while (wanted.nr < n) {
        const uint8_t mac[6] = {1, 0, 0x5e, 0, 0, (uint8_t)random_below(256)};

        netfront_add_group(&wanted, mac);
    }
    netfront_set_groups(device, &wanted);
}

static void asker(void *arg)
{
    struct netfront_info before = {0};

    (void)arg;
    while (!load_relaxed(&over)) {
        check_info(&before);
        if (random_below(4) == 0)
            want_groups();
        for (unsigned n = random_below(KEPT); n > 0; n--)
            give_back_one();
        usleep(random_below(1000));
    }
    while (load_relaxed(&nr_kept) > 0)
        give_back_one();
}

/* ---- who polls: as lib/net/nic.c ---- */

static struct waitq wait;
static bool pending;
static uint64_t frames_in;
static unsigned next_in[NETFRONT_QUEUES_MAX]; /* by queue */

static void wake(void *arg)
{
    (void)arg;
    store_release(&pending, true);
    waitq_wake_all(&wait);
}

static void input(void *arg, struct netfront_frame *frame)
{
    static uint8_t data[FRAME_MAX];
    uint32_t at = 0;
    struct tag tag;

    (void)arg;
    for (unsigned i = 0; i < frame->nr_frags; i++) {
        memcpy(data + at, frame->frag[i].data, frame->frag[i].len);
        at += frame->frag[i].len;
        if (frame->frag[i].page != NULL &&
            !(random_below(4) == 0 && keep_page(frame->frag[i].page, frame->life)))
            netfront_give_back(device, frame->frag[i].page, frame->life);
    }
    check_frame(data, frame->len, &tag);
    if (at != frame->len || tag.flow >= NETFRONT_QUEUES_MAX || tag.number != next_in[tag.flow])
        panic("frame %u came in instead of %u", tag.number, next_in[tag.flow]);
    next_in[tag.flow]++;
    atomic_add(&frames_in, 1);
}

static void come_back(void)
{
    while (netfront_reopen(device, time_now() + NSEC_PER_SEC) != 0)
        ;
    store_relaxed(&pending, true);
}

static void poll_once(void)
{
    store_relaxed(&pending, false);
    if (netfront_poll(device, 64)) {
        store_relaxed(&pending, true);
        thread_yield();
    }
    netfront_mind_groups(device);
    if (random_below(50) == 0) {
        netfront_close(device);
        check_nothing_is_left();
        atomic_add(&parted, 1);
    }
}

static void poller(void *arg)
{
    (void)arg;
    while (!load_relaxed(&over)) {
        while (!netfront_link(device)) {
            memset(next_in, 0, sizeof(next_in)); /* the next backend counts anew */
            come_back();
        }
        wait_until(&wait, load_acquire(&pending), NEVER);
        poll_once();
    }
    netfront_close(device);
}

/* ---- all of it ---- */

static void check_counts(void)
{
    struct netfront_info info;

    netfront_get_info(device, &info);
    if (info.tx_frames != frames_taken || info.tx_large != large_taken ||
        info.rx_frames != frames_in || info.notifies != notified || info.events != delivered)
        panic("wrong counts");
}

/* Has everything happened that is to be seen? */
static bool is_enough(void)
{
    return load_relaxed(&lives) >= 20 && load_relaxed(&broken) > 0 && load_relaxed(&parted) > 0 &&
           load_relaxed(&large_taken) > 0 && load_relaxed(&without_room) > 0 &&
           load_relaxed(&without_link) > 0 && load_relaxed(&frames_in) > 0 &&
           load_relaxed(&groups_told) > 0;
}

static void init(void)
{
    pthread_mutexattr_t recursive;

    pthread_mutexattr_init(&recursive);
    pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&timer_lock, &recursive);
    for (unsigned i = 0; i <= PORTS; i++)
        pthread_mutex_init(&ports[i].lock, NULL);
    waitq_init(&wait);
    pending = true;
}

int main(void)
{
    const struct netfront_user user = {.input = input, .wake = wake};
    struct thread *threads[SENDERS + 3];
    unsigned n = 0;
    struct netfront *nf;
    pthread_t back;
    bool stop = false;

    race_begin(300);
    init();
    if (netfront_create("0", &user, &nf) != 0 || nf != device ||
        pthread_create(&back, NULL, backend, &stop) != 0)
        panic("it does not begin");
    (void)!netfront_open(nf); /* the poller tries again */
    for (; n < ARRAY_SIZE(threads); n++) {
        void (*fn)(void *) = n < SENDERS        ? sender
                             : n == SENDERS     ? asker
                             : n == SENDERS + 1 ? poller
                                                : interrupts;

        if (thread_create("", PRIO_NORMAL, 0, fn, (void *)(uintptr_t)n, &threads[n]) != 0)
            return 1;
    }
    do
        sleep(SECONDS);
    while (!is_enough());
    store_release(&over, true);
    wake(NULL);
    while (n > 0)
        thread_join(threads[--n]);
    store_release(&stop, true);
    pthread_join(back, NULL);
    check_nothing_is_left();
    check_counts();
    netfront_destroy(nf);
    if (heap_out != 0 || live_threads != 0)
        panic("left: %u pieces of heap, %u threads", heap_out, live_threads);
    return 0;
}
