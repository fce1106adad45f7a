/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * blkfront on several CPUs at once, under the thread sanitizer: its threads, and those that submit,
 * are threads of the host over the real wait queues and mutexes; so is the backend, which answers
 * out of order, tells of it or not, and is killed and replaced by one with other features at any
 * moment; or it falls silent until it is left, and time flies meanwhile. Xen and the store are as
 * little as that needs.
 *
 * Promises: every transfer ends once, or was taken back, and only silence makes one fail; what a
 * thread wrote it reads back; at the end no grant, no page and no piece of heap is left. Prints
 * nothing and returns 0 when all is well.
 */
#include <pthread.h>
#include <string.h>
#include <unistd.h>
#include "frontends/blkfront/internal.h"
#include "kernel/page.h"
#include "kernel/time.h"
#include "lib/base/assert.h"
#include "tests/host/racerig.h"

#define SUBMITTERS RACE_CPUS
#define SECONDS 4
#define DISK_SECTORS 4096
#define SHARE (DISK_SECTORS / SUBMITTERS)
#define LIVES_MS 120
#define SILENT 16 /* one life of so many */

size_t page_count_total(void)
{
    return 65536;
}

/* ---- events: one backend thread serves all ports; a port is its queue ---- */

static struct {
    evtchn_fn *fn;
    void *arg;
} ports[QUEUES_MAX + 1];
static pthread_mutex_t ports_lock = PTHREAD_MUTEX_INITIALIZER;

int evtchn_alloc_unbound(domid_t remote, evtchn_fn *fn, void *arg, port_t *out)
{
    int rc = -ENOSPC;

    (void)remote;
    pthread_mutex_lock(&ports_lock);
    for (port_t p = 1; p <= QUEUES_MAX && rc != 0; p++)
        if (ports[p].fn == NULL) {
            ports[p].fn = fn;
            ports[p].arg = arg;
            *out = p;
            rc = 0;
        }
    pthread_mutex_unlock(&ports_lock);
    return rc;
}

void evtchn_unbind(port_t port)
{
    pthread_mutex_lock(&ports_lock);
    ports[port].fn = NULL;
    pthread_mutex_unlock(&ports_lock);
}

static void send_event(port_t port)
{
    pthread_mutex_lock(&ports_lock);
    if (ports[port].fn != NULL)
        ports[port].fn(port, ports[port].arg);
    pthread_mutex_unlock(&ports_lock);
}

int evtchn_notify(port_t port)
{
    (void)port;
    return 0;
}

void evtchn_eoi(port_t port, bool worked)
{
    (void)port;
    (void)worked;
}

int evtchn_set_cpu(port_t port, unsigned cpu)
{
    (void)port;
    (void)cpu;
    return 0;
}

/* ---- the store, as the driver sees it ---- */

static uint8_t disk[DISK_SECTORS * 512];
static struct {
    unsigned queues, order, segments;
    bool persistent;
} offer = {4, 1, 256, true};
static bool connected; /* the backend's state */
static struct blkfront *device;

bool xb_connected(const struct xb_device *dev)
{
    (void)dev;
    return load_acquire(&connected);
}

bool xb_attached(const struct xb_device *dev)
{
    return xb_connected(dev);
}

static uint64_t value_of(const char *name)
{
    static const struct {
        const char *name;
        uint64_t value;
    } fixed[] = {{"trusted", 1},
                 {"max-ring-pages", 1},
                 {"sectors", DISK_SECTORS},
                 {"sector-size", 512},
                 {"feature-flush-cache", 1}};

    for (unsigned i = 0; i < ARRAY_SIZE(fixed); i++)
        if (strcmp(name, fixed[i].name) == 0)
            return fixed[i].value;
    if (strcmp(name, "multi-queue-max-queues") == 0)
        return load_relaxed(&offer.queues);
    if (strcmp(name, "max-ring-page-order") == 0)
        return load_relaxed(&offer.order);
    if (strcmp(name, "feature-max-indirect-segments") == 0)
        return load_relaxed(&offer.segments);
    return strcmp(name, "feature-persistent") == 0 && load_relaxed(&offer.persistent);
}

int xb_read(struct xb_device *dev, const char *dir, const struct xb_key *keys, size_t n, void *base)
{
    (void)dev;
    (void)dir;
    for (size_t i = 0; i < n; i++) {
        void *field = (char *)base + keys[i].offset;
        uint64_t value = MAX(keys[i].min, MIN(keys[i].max, value_of(keys[i].name)));

        if (keys[i].kind == XB_TEXT)
            memcpy(field, "w", 2);
        else
            memcpy(field, &value, keys[i].size);
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

/* The backend attaches when we are Initialised; see serve_backend. */
static bool initialised, attached;
static bool is_open; /* the driver is Connected, too */

int xb_advance(struct xb_device *dev, enum xb_state state)
{
    (void)dev;
    store_release(&is_open, state == XB_CONNECTED);
    if (state == XB_INITIALISED)
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
    panic("the device broke (%d): %s", err, fmt);
}

int life_init(struct life *life, struct xb_device *dev, const struct life_driver *driver,
              const char *id, void *arg)
{
    (void)id;
    memset(dev, 0, sizeof(*dev));
    device = arg; /* the backend serves it from its first connection on */
    *life = (struct life){.driver = driver, .arg = arg, .dev = dev};
    return 0;
}

int life_open(struct life *life)
{
    int rc = life->driver->connect(life->arg, time_now() + 10 * NSEC_PER_SEC);

    if (rc != 0)
        life_close(life);
    return rc;
}

void life_close(struct life *life)
{
    while (load_acquire(&attached)) { /* xb_close waits for the backend to let go */
        store_release(&connected, false);
        usleep(100);
    }
    life->driver->disconnect(life->arg);
}

int life_reopen(struct life *life, nsec_t deadline)
{
    if (load_relaxed(&life->dev->cancelled))
        return -ECANCELED;
    (void)deadline;
    return life_open(life);
}

void life_cancel(struct life *life)
{
    store_relaxed(&life->dev->cancelled, true);
}

void life_destroy(struct life *life)
{
    (void)life;
}

/* ---- the backend ---- */

struct back {
    uint32_t req_cons, rsp_prod;
};

static void move(const struct blkif_request *req, struct blkif_request_segment seg, size_t *at,
                 bool write)
{
    size_t len = (seg.last_sect - seg.first_sect + 1) * 512U;
    char *page = (char *)mapped(seg.gref) + seg.first_sect * 512U;

    (void)req;
    ASSERT(*at + len <= sizeof(disk));
    if (write)
        memcpy(disk + *at, page, len);
    else
        memcpy(page, disk + *at, len);
    *at += len;
}

static uint8_t perform(const struct blkif_request *req)
{
    const struct blkif_request_indirect *indirect = (const void *)req;
    bool is_indirect = req->operation == BLKIF_OP_INDIRECT;
    uint8_t operation = is_indirect ? indirect->indirect_op : req->operation;
    size_t at = (is_indirect ? indirect->sector_number : req->sector_number) * 512;
    unsigned n = is_indirect ? indirect->nr_segments : req->nr_segments;

    if (operation == BLKIF_OP_FLUSH_DISKCACHE)
        return operation;
    for (unsigned i = 0; i < n; i++) {
        struct blkif_request_segment *list =
            is_indirect ? mapped(indirect->indirect_grefs[0]) : NULL;

        move(req, is_indirect ? list[i] : req->seg[i], &at, operation == BLKIF_OP_WRITE);
    }
    return operation;
}

/* Some of what queue (q) asks; the backend is the only one that looks at pages with atomics less.
 */
static void serve_queue(struct queue *q, struct back *b)
{
    struct blk_ring_page *page = q->ring.page;
    uint32_t size = q->ring.size, asked = load_acquire(&page->req_prod);
    unsigned n = 1 + random_below(8);

    for (; b->req_cons != asked && n > 0; n--) {
        union blk_ring_slot *slot = &page->slot[b->req_cons++ & (size - 1)];
        struct blkif_request req = slot->req;
        uint8_t operation = perform(&req);

        slot->rsp = (struct blkif_response){.id = req.id, .operation = operation};
        b->rsp_prod++;
        store_release(&page->rsp_prod, b->rsp_prod);
    }
    store_relaxed(&page->req_event, b->req_cons + 1);
    if (random_below(4) != 0)
        send_event(q->port);
}

/* A second in which there are events and no answers. */
static void let_a_second_pass(void)
{
    atomic_add(&skipped, NSEC_PER_SEC);
    for (port_t p = 1; p <= QUEUES_MAX; p++)
        send_event(p);
    usleep(500);
}

static bool begun, over;
static unsigned trouble;  /* odd: from a silent life on until the disk is well again */
static unsigned silences; /* lives in which nothing was answered, until the driver had enough */

static void *backend(void *arg)
{
    bool *stop = arg, silent = false;
    struct back back[QUEUES_MAX];
    nsec_t until = 0;

    while (!load_acquire(stop) || load_acquire(&attached)) {
        if (!load_acquire(&attached)) {
            if (!load_acquire(&initialised) || load_acquire(stop)) {
                usleep(200);
                continue;
            }
            memset(back, 0, sizeof(back));
            store_release(&attached, true);
            store_release(&connected, true);
            until = time_now() + (1 + random_below(LIVES_MS)) * NSEC_PER_MSEC;
            silent = load_relaxed(&begun) && !load_relaxed(&over) && random_below(SILENT) == 0;
            if (silent && trouble % 2 == 0)
                atomic_add(&trouble, 1);
        }
        if (!silent && trouble % 2 == 1 && load_relaxed(&device->down_since) == 0)
            atomic_add(&trouble, 1);
        if (silent && load_acquire(&is_open))
            let_a_second_pass();
        for (unsigned i = 0; i < load_acquire(&device->nr_queues) && !silent; i++)
            serve_queue(device->queue[i], &back[i]);
        if (!load_acquire(&connected) || (time_now() > until && !silent && load_relaxed(&begun))) {
            atomic_add(&silences, silent);
            store_release(&connected, false);
            store_relaxed(&offer.queues, 1 + random_below(4));
            store_relaxed(&offer.order, random_below(3));
            store_relaxed(&offer.segments, random_below(2) * 256);
            store_relaxed(&offer.persistent, random_below(3) > 0);
            store_release(&initialised, false);
            store_release(&attached, false);
            device->life.driver->on_change(device);
        }
        sched_yield();
    }
    return NULL;
}

/* ---- who submits ---- */

static unsigned long transfers;

/* A transfer that is taken back is over: its (done) is not called, or is in a moment. */
static bool is_done[SUBMITTERS];
static unsigned long cancelled, too_late;

/* What a silent backend made fail is to be done again; nothing else may. */
static bool went_well(int rc, const char *what, unsigned before)
{
    if (rc != 0 && (rc != -EIO || (before % 2 == 0 && load_acquire(&trouble) == before)))
        panic("%s failed: %d", what, rc);
    return rc == 0;
}

#define TRY(call, what)                           \
    ({                                            \
        unsigned before = load_acquire(&trouble); \
        went_well(call, what, before);            \
    })

static void on_done(struct blkfront_io *io)
{
    store_release((bool *)io->arg, true);
}

static void take_back(unsigned me)
{
    static uint8_t data[SUBMITTERS][512];
    struct blkfront_io io = {.op = BLKFRONT_READ, .copy = true, .nr_pages = 1, .len = 512};

    io.page[0] = data[me];
    io.done = on_done;
    io.arg = &is_done[me];
    store_relaxed(&is_done[me], false);
    if (!TRY(blkfront_submit(device, &io), "taking a transfer"))
        return;
    usleep(random_below(500));
    if (blkfront_cancel(device, &io)) {
        memset(data[me], 0, sizeof(data[me])); /* ours again */
        atomic_add(&cancelled, 1);
        if (load_acquire(&is_done[me]))
            panic("cancelled and done");
        return;
    }
    atomic_add(&too_late, 1);
    if (load_acquire(&io.under_way))
        panic("neither cancelled nor about to be done");
    while (!load_acquire(&is_done[me]))
        sched_yield();
}

static void submitter(void *arg)
{
    unsigned me = (unsigned)(uintptr_t)arg;
    uint64_t first = me * SHARE;
    static uint8_t want[SUBMITTERS][SHARE * 512], got[SUBMITTERS][SHARE * 512];

    memset(want[me], 0, sizeof(want[me]));
    while (!load_relaxed(&over)) {
        unsigned at = random_below(SHARE), n = 1 + random_below(MIN(SHARE - at, 400u));

        if (random_below(2)) {
            memset(want[me] + at * 512, (int)random_below(256), n * 512);
            while (
                !TRY(blkfront_write(device, first + at, want[me] + at * 512, n * 512), "a write"))
                ;
        } else if (TRY(blkfront_read(device, first + at, got[me], n * 512), "a read") &&
                   memcmp(got[me], want[me] + at * 512, n * 512) != 0) {
            panic("not what was written");
        }
        if (random_below(10) == 0)
            (void)TRY(blkfront_flush(device), "a flush");
        if (random_below(3) == 0)
            take_back(me);
        if (random_below(5) == 0) {
            blkfront_plug(device);
            blkfront_unplug(device);
        }
        atomic_add(&transfers, 1);
    }
}

/* Has everything happened that is to be seen? */
static bool is_enough(void)
{
    struct blkfront_info info;

    blkfront_get_info(device, &info);
    return info.reconnects >= 5 && load_relaxed(&silences) > 0 && load_relaxed(&transfers) >= 100 &&
           load_relaxed(&cancelled) > 0 && load_relaxed(&too_late) > 0;
}

int main(void)
{
    struct thread *threads[SUBMITTERS];
    struct blkfront *opened;
    pthread_t back;
    bool stop = false;

    race_begin(300);
    if (pthread_create(&back, NULL, backend, &stop) != 0)
        return 1;
    if (blkfront_open("51712", &opened) != 0 || opened != device)
        panic("it does not open");
    store_relaxed(&begun, true);
    for (unsigned i = 0; i < SUBMITTERS; i++)
        if (thread_create("submitter", PRIO_NORMAL, 0, submitter, (void *)(uintptr_t)i,
                          &threads[i]) != 0)
            return 1;
    do
        sleep(SECONDS);
    while (!is_enough());
    store_relaxed(&over, true);
    for (unsigned i = 0; i < SUBMITTERS; i++)
        thread_join(threads[i]);
    blkfront_close(device);
    store_release(&stop, true);
    pthread_join(back, NULL);
    if (grants_out != 0 || heap_out != 0 || pages_out != 0 || live_threads != 0)
        panic("left: %u grants, %u pieces of heap, %u pages, %u threads", grants_out, heap_out,
              pages_out, live_threads);
    return 0;
}
