/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Xenstore, xenbus and the lives of a device on several CPUs at once, under the thread sanitizer.
 * The store is the one of the other host tests (fakestore.c) on a thread of its own, and so is each
 * who uses it here: clients that read, write, list and count in transactions; watchers whose
 * watches end in their own function, in another thread, or in both at once, and are freed as soon
 * as that may be; a device that is closed, unplugged, plugged in and moved at any moment, looked at
 * from everywhere. Four stores: one that does what it should; one that stalls in every way; one
 * that answers nonsense; and one that breaks the ring.
 *
 * Promises: every call ends, and with the first store as it should; what others change a watch
 * sees; after xs_unwatch its function does not run; a device ends up where the store last said;
 * nothing is left. With the next two all is well again when the store is. Prints nothing and
 * returns 0 when all is well.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "frontends/common/life.h"
#include "kernel/heap.h"
#include "kernel/page.h"
#include "kernel/time.h"
#include "lib/base/assert.h"
#include "lib/base/format.h"
#include "tests/host/fakestore.h"
#include "tests/host/fakexen.h"
#include "tests/host/hostarch.h"
#include "tests/host/raceports.h"
#include "tests/host/racerig.h"
#include "tests/host/test.h"

#define CLIENTS 4
#define WATCHERS 3
#define STORM_MS 800
#define LIVES_MIN 8   /* of the device, with the first store */
#define PATIENCE_S 60 /* of the host, for what must happen in the end */
#define DEVICE "device/vif/0"
#define UNKNOWN 9999 /* no domain */
#define IDLE_ROUNDS 20
#define IDLE_SKIP (200 * NSEC_PER_MSEC)
#define AWAIT_SKIP (5 * NSEC_PER_MSEC) /* a busy machine must not make calls run out of time */
#define LIFE_SKIP (3 * NSEC_PER_SEC)

static enum { OBEDIENT, STALLS, LIES, BREAKS } store;
static bool over;

/* ---- what else the kernel would be ---- */

size_t page_count_total(void)
{
    return 65536;
}

unsigned grant_count_quarantined(void)
{
    return 0;
}

int shared_page_create(domid_t dom, struct shared_page *out)
{
    out->va = page_alloc_zeroed();
    return grant_page(dom, out->va, false, &out->ref);
}

void shared_page_destroy(struct shared_page *p)
{
    if (p->va != NULL)
        grant_revoke_and_free(p->ref, p->va);
    p->va = NULL;
}

/* ---- the store's thread; whoever else touches its tree has (tree) ---- */

static pthread_mutex_t tree = PTHREAD_MUTEX_INITIALIZER;
static struct xenstore_domain_interface ring_page;
static bool (*serve)(void *arg);
static struct census *transactions;
static bool store_over, broken; /* broken: it looks at the ring no more */

void host_on_idle(bool (*fn)(void *arg), void *arg)
{
    (void)arg;
    serve = fn;
}

void fakexen_raise(port_t port)
{
    raceports_raise(port);
}

void census_register(struct census *c)
{
    transactions = c;
}

_Noreturn void test_fail(const char *file, int line, const char *fmt, ...)
{
    va_list ap;
    char text[200];

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    panic("%s:%d: %s", file, line, text);
}

/* An answer that nobody waits for any more: the machine was so busy that a call ran out of time. */
static unsigned late_answers;

static void on_log(const char *fmt)
{
    if (strncmp(fmt, "xenstore: dropped", 17) == 0)
        atomic_add(&late_answers, 1);
}

static bool is_idle(void)
{
    return load_acquire(&ring_page.rsp_cons) == load_acquire(&ring_page.rsp_prod);
}

/* While nobody wants anything, time flies. */
static void *run_store(void *arg)
{
    unsigned idle = 0;

    while (!load_acquire(&store_over)) {
        bool busy;

        pthread_mutex_lock(&tree);
        busy = !load_relaxed(&broken) && serve(NULL);
        pthread_mutex_unlock(&tree);
        idle = busy || !is_idle() ? 0 : idle + 1;
        if (idle >= IDLE_ROUNDS || load_relaxed(&broken)) {
            atomic_add(&skipped, IDLE_SKIP);
            idle = 0;
        }
        if (!busy)
            usleep(100);
    }
    return arg;
}

/* ---- clients ---- */

/* Only the first store owes an answer; and time may have flown, if a thread was kept from running
 * for long. */
static int judge(long rc, const char *what)
{
    if (rc < 0 && rc != -EAGAIN && store == OBEDIENT && load_relaxed(&late_answers) == 0 &&
        rc != -ETIMEDOUT)
        panic("%s: error %ld", what, -rc);
    return (int)MIN(rc, 0);
}

static uint64_t commits, commits_unsure;

static int count_once(xs_tx_t tx)
{
    uint64_t n;
    int rc = xs_read_u64(tx, "data/count", 0, UINT64_MAX, &n);

    usleep(random_below(200));
    return rc == 0 ? xs_printf(tx, "data/count", "%llu", (unsigned long long)n + 1) : rc;
}

/* One more, in a transaction. */
static void count(void)
{
    xs_tx_t tx;
    int rc = judge(xs_tx_begin(&tx), "begin");

    if (rc != 0)
        return;
    rc = judge(count_once(tx), "count");
    rc = rc == 0 ? judge(xs_tx_end(tx, true), "commit") : xs_tx_end(tx, false);
    if (rc == 0)
        atomic_add(&commits, 1);
    else if (rc != -EAGAIN)
        atomic_add(&commits_unsure, 1);
}

static void list_all(void)
{
    char **names;
    size_t n;

    if (judge(xs_list(XS_NO_TX, "data/many", &names, &n), "list") != 0)
        return;
    if (store == OBEDIENT && (n != 60 || strcmp(names[59], "a-long-name-of-number-59") != 0))
        panic("%zu names", n);
    heap_free(names);
}

static void write_and_read(const char *path)
{
    char value[400], got[400];
    size_t len = random_below(sizeof(value) - 1);

    memset(value, 'a' + (int)random_below(26), len);
    value[len] = '\0';
    if (judge(xs_write(XS_NO_TX, path, value), "write") != 0 ||
        judge(xs_read(XS_NO_TX, path, got, sizeof(got)), "read") != 0)
        return;
    if (store == OBEDIENT && strcmp(value, got) != 0)
        panic("%s is not what was written", path);
    if (random_below(4) == 0)
        (void)judge(xs_rm(XS_NO_TX, path), "remove");
}

static void client(void *arg)
{
    char path[32], big[XS_VALUE_MAX + 1];

    format(path, sizeof(path), "data/client%u", (unsigned)(uintptr_t)arg);
    while (!load_relaxed(&over)) {
        switch (random_below(4)) {
        case 0:
            write_and_read(path);
            break;
        case 1:
            list_all();
            break;
        case 2:
            count();
            break;
        default:
            if (judge(xs_read(XS_NO_TX, "data/big", big, sizeof(big)), "read") == 0 &&
                store == OBEDIENT && strlen(big) != 4000)
                panic("%zu bytes of 4000", strlen(big));
        }
        usleep(random_below(2000));
    }
}

/* ---- watchers ---- */

#define LIVES 0xa11fe

enum { IS_ENDED_BY_ANY, ENDS_ITSELF, IS_ENDED_TWICE };

struct box {
    struct xs_watch w;
    unsigned magic, kind;
    uint64_t seen;
    unsigned after;
    bool leaves;
};

static struct box *handed[WATCHERS]; /* to be ended by anybody */

static void end_box(struct box *b)
{
    if (b == NULL)
        return;
    xs_unwatch(&b->w);
    b->magic = 0;
    heap_free(b);
}

/* In the watch thread. */
static void on_change(struct xs_watch *w)
{
    struct box *b = w->arg;
    uint64_t n;

    if (b->magic != LIVES)
        panic("a watch runs after its end");
    if (xs_read_u64(XS_NO_TX, w->path, 0, UINT64_MAX, &n) == 0)
        store_relaxed(&b->seen, n);
    if (b->kind == ENDS_ITSELF && load_acquire(&b->leaves)) {
        end_box(b);
    } else if (b->kind == IS_ENDED_TWICE && load_acquire(&b->leaves)) {
        xs_unwatch(w);
        usleep(random_below(300));
        b->after++; /* it is ours until we return */
    }
}

static void await_seen(const struct box *b, uint64_t n)
{
    for (unsigned i = 0; load_relaxed(&b->seen) < n && !load_relaxed(&over); i++) {
        if (i > PATIENCE_S * 5000 && store == OBEDIENT)
            panic("a change that no watch saw");
        usleep(200);
    }
}

static void change(const char *path, uint64_t n)
{
    pthread_mutex_lock(&tree);
    fakexen_store_set(path, "%llu", (unsigned long long)n);
    pthread_mutex_unlock(&tree);
}

/* A watch on (path), and a change of it that it sees; then its end, by whoever. */
static void watch_once(const char *path, uint64_t n)
{
    struct box *b = heap_alloc_zeroed(sizeof(*b));
    bool twice;

    b->magic = LIVES;
    b->kind = random_below(3);
    if (b->kind == ENDS_ITSELF && store > STALLS)
        b->kind = IS_ENDED_TWICE; /* those two stores may forget it */
    if (judge(xs_watch(&b->w, path, on_change, b), "watch") != 0) {
        heap_free(b);
        return;
    }
    if (judge(xs_printf(XS_NO_TX, path, "%llu", (unsigned long long)n), "write") == 0)
        await_seen(b, n);
    if (b->kind == IS_ENDED_BY_ANY) {
        end_box(atomic_exchange(&handed[random_below(WATCHERS)], b));
        return;
    }
    twice = b->kind == IS_ENDED_TWICE;
    store_release(&b->leaves,
                  true); /* and from here on (b) may be gone, unless it is ended twice */
    change(path, n);
    if (twice) {
        usleep(random_below(600));
        end_box(b);
    }
}

static void watcher(void *arg)
{
    unsigned me = (unsigned)(uintptr_t)arg;
    char path[32];

    format(path, sizeof(path), "data/watched%u", me);
    for (uint64_t n = 1; !load_relaxed(&over); n++) {
        watch_once(path, n);
        usleep(random_below(1000));
    }
}

/* ---- backends, of domains 0 and 3: either goes on if the device moves to the other ---- */

static unsigned target; /* where the toolstack put the device last; under (tree) */

static const char *key_of(unsigned domain, const char *key)
{
    static char path[80]; /* under (tree) */

    snprintf(path, sizeof(path), "/local/domain/%u/backend/vif/7/0/%s", domain, key);
    return path;
}

static void set_state(unsigned domain, unsigned state)
{
    fakexen_store_set(key_of(domain, "state"), "%u", state);
}

static unsigned number_at(const char *path)
{
    const char *value = fakexen_store_get(path);

    return value == NULL ? 0 : (unsigned)atoi(value);
}

/* The frontend wrote its state: what an honest backend does then. */
static void on_frontend(const char *path, void *arg)
{
    static const unsigned answer[] = {
        [XB_INITIALISING] = XB_INIT_WAIT,
        [XB_CONNECTED] = XB_CONNECTED,
        [XB_CLOSING] = XB_CLOSING,
        [XB_CLOSED] = XB_CLOSED,
    };
    unsigned state = number_at(path), domain = number_at(DEVICE "/backend-id");

    (void)arg;
    if (fakexen_store_get(key_of(domain, "online")) != NULL && state < ARRAY_SIZE(answer) &&
        answer[state] != 0)
        set_state(domain, answer[state]);
}

/* ---- the toolstack, with (tree) ---- */

static void make_backend(unsigned domain)
{
    fakexen_store_set(key_of(domain, "online"), "1");
    set_state(domain, XB_INIT_WAIT);
}

static void point_at(unsigned domain)
{
    target = domain;
    fakexen_store_set(DEVICE "/backend-id", "%u", domain);
    fakexen_store_set(DEVICE "/backend", "/local/domain/%u/backend/vif/7/0", domain);
}

static void plug_in(void)
{
    make_backend(0);
    make_backend(3);
    point_at(random_below(2) * 3);
    if (fakexen_store_get(DEVICE "/state") == NULL)
        fakexen_store_set(DEVICE "/state", "1");
}

static void unplug(void)
{
    fakexen_store_rm(DEVICE);
    fakexen_store_rm("/local/domain/0/backend/vif/7/0");
    fakexen_store_rm("/local/domain/3/backend/vif/7/0");
}

static void storm_of_states(void)
{
    for (unsigned i = 0; i < 20; i++)
        set_state(target, random_below(10));
}

static void do_something(void)
{
    switch (random_below(6)) {
    case 0:
        unplug();
        break;
    case 1:
        storm_of_states();
        break;
    case 2:
        fakexen_store_set(key_of(target, "online"), "0");
        set_state(target, XB_CLOSING);
        break;
    case 3:
        fakexen_store_rm(random_below(2) ? DEVICE "/backend" : key_of(target, "state"));
        break;
    default:
        plug_in();
    }
}

/* ---- the device ---- */

static struct xb_device dev;
static struct life life;
static struct shared_page device_ring;
static port_t device_port;
static unsigned serving = UNKNOWN, lives;

static void on_event(port_t port, void *arg)
{
    (void)arg;
    evtchn_eoi(port, true);
}

struct offer {
    bool online;
};

static int connect(void *arg, nsec_t deadline)
{
    static const struct xb_key keys[] = {XB_FLAG(struct offer, online, "online", 1)};
    struct xb_entry entries[] = {{.name = "ring-ref"}, {.name = "event-channel"}};
    struct offer offer;
    int rc = xb_read(&dev, dev.backend, keys, ARRAY_SIZE(keys), &offer);

    (void)arg;
    if (rc == 0)
        rc = xb_ring(&dev, &device_ring);
    if (rc == 0)
        rc = xb_port(&dev, on_event, NULL, &device_port);
    if (rc != 0)
        return rc;
    entries[0].number = device_ring.ref;
    entries[1].number = device_port;
    rc = xb_publish(&dev, entries, ARRAY_SIZE(entries));
    if (rc == 0)
        rc = xb_advance(&dev, XB_CONNECTED);
    if (rc == 0)
        rc = xb_await(&dev, XB_MASK(XB_CONNECTED), deadline);
    if (rc == 0)
        store_release(&serving, dev.backend_id);
    return rc;
}

static void disconnect(void *arg)
{
    (void)arg;
    store_release(&serving, UNKNOWN);
}

static void on_device_change(void *arg)
{
    (void)arg;
}

static const struct life_driver driver = {
    .class = "vif", .connect = connect, .disconnect = disconnect, .on_change = on_device_change};

static void serve_device(void *arg)
{
    (void)arg;
    (void)!life_open(&life);
    do {
        if (life.connected && random_below(8) == 0)
            xb_fail(&dev, -EPROTO, "a violation");
        (void)wait_until(&dev.changed, !xb_connected(&dev) || load_relaxed(&dev.cancelled), NEVER);
        life_close(&life);
        atomic_add(&lives, 1);
    } while (life_reopen(&life, NEVER) != -ECANCELED);
}

/* Whoever has work for a device asks after it, from anywhere. */
static void observer(void *arg)
{
    (void)arg;
    while (!load_relaxed(&over)) {
        (void)xb_connected(&dev);
        (void)xb_attached(&dev);
        (void)xs_count_watches();
        usleep(random_below(300));
    }
}

/* What lib/net does when a vif may have come. */
static void on_directory(struct xs_watch *w)
{
    char **names;
    size_t n;

    if (xs_list(XS_NO_TX, w->path, &names, &n) == 0)
        heap_free(names);
}

static bool is_where_it_should(void)
{
    bool is;

    pthread_mutex_lock(&tree);
    is = load_acquire(&serving) == target && xb_connected(&dev);
    pthread_mutex_unlock(&tree);
    return is;
}

/* The toolstack wants it to work, and rests. Time flies: pauses between two lives are long. Then
 * this one was long enough for no pause to follow. */
static void await_device(void)
{
    for (unsigned i = 0; !is_where_it_should(); i++) {
        if (i > PATIENCE_S * 1000)
            panic("the device is with domain %u, state %u, and should be with domain %u",
                  load_relaxed(&serving), load_relaxed(&dev.backend_state), target);
        atomic_add(&skipped, AWAIT_SKIP);
        usleep(1000);
    }
    atomic_add(&skipped, LIFE_SKIP);
}

/* Both backends live, so only the store's word on who it is makes the device go. */
static void move(void)
{
    pthread_mutex_lock(&tree);
    plug_in();
    if (random_below(2)) {
        set_state(target, XB_CLOSING); /* so that it is just opening the one ... */
        set_state(target, XB_INIT_WAIT);
    }
    pthread_mutex_unlock(&tree);
    usleep(random_below(6000));
    pthread_mutex_lock(&tree);
    point_at(3 - target); /* ... when it is moved to the other */
    pthread_mutex_unlock(&tree);
}

static void toolstack_step(void)
{
    if (random_below(3) == 0) {
        move();
        if (store == OBEDIENT)
            await_device();
        return;
    }
    pthread_mutex_lock(&tree);
    do_something();
    pthread_mutex_unlock(&tree);
    usleep(random_below(8000));
}

/* ---- what the store does wrong, with (tree) ---- */

static struct fakexen_store_faults *const faults = &fakexen_store_faults;

static void stall(void)
{
    faults->deaf = random_below(4) == 0;
    faults->silent = random_below(4) == 0;
    faults->mute = random_below(4) == 0;
    faults->max_bytes = random_below(2) * (1 + random_below(20));
    faults->hold = random_below(3) == 0 ? 1 + random_below(6) : 0;
    faults->failing_commits = random_below(3);
    faults->list_changes = random_below(8);
}

static bool lie(struct xsd_sockmsg *header, char *payload)
{
    switch (random_below(24)) {
    case 0:
        header->req_id += 1 - random_below(3);
        break;
    case 1:
        header->type = random_below(24);
        break;
    case 2:
        header->len = random_below(XENSTORE_PAYLOAD_MAX + 1);
        break;
    case 3:
        for (unsigned i = 0; i < 40; i++)
            payload[i] = (char)random_below(256);
        break;
    case 4:
        return false;
    default:
        break;
    }
    return true;
}

static void tell_lies(void)
{
    char event[40];
    int len = snprintf(event, sizeof(event), "data/any%c%u", 0, random_below(300));

    faults->mangle = lie;
    faults->lied = true;
    fakexen_store_send_message(XS_WATCH_EVENT, 0, event, (size_t)len + 1);
    fakexen_store_send_message(random_below(24), random_below(1000), event, random_below(40));
}

static void break_ring(void)
{
    store_relaxed(&broken, true);
    store_release(random_below(2) ? &ring_page.rsp_prod : &ring_page.req_cons,
                  random_below(UINT32_MAX));
    raceports_raise(RACE_PORT_STORE);
}

static void be_good(void)
{
    /* (long lists come in parts) */
    *faults = (struct fakexen_store_faults){.list_max = 200, .part_max = 500, .lied = faults->lied};
}

static void misbehave(unsigned step)
{
    pthread_mutex_lock(&tree);
    if (store == STALLS)
        stall();
    else if (store == LIES)
        tell_lies();
    else if (store == BREAKS && step == 40)
        break_ring();
    pthread_mutex_unlock(&tree);
}

/* ---- the storm ---- */

static void name_one_of_many(unsigned i)
{
    char path[64];

    snprintf(path, sizeof(path), "data/many/a-long-name-of-number-%u", i);
    fakexen_store_set(path, "%u", i);
}

static void fill_store(void)
{
    static char big[4001];

    memset(big, 'b', 4000);
    fakexen_store_set("data/count", "0");
    fakexen_store_set("data/big", "%s", big);
    for (unsigned i = 0; i < 60; i++) /* more than fits one answer */
        name_one_of_many(i);
    plug_in();
    fakexen_store_on_write(DEVICE "/state", on_frontend, NULL);
}

static void start(struct thread **t, void (*fn)(void *arg), uintptr_t arg)
{
    if (thread_create("storm", PRIO_NORMAL, 0, fn, (void *)arg, t) != 0)
        panic("no thread");
}

static void storm(void)
{
    struct thread *threads[CLIENTS + WATCHERS + 3];
    nsec_t end = clock_read() - load_relaxed(&skipped) + STORM_MS * NSEC_PER_MSEC;
    unsigned n = 0, enough = store == OBEDIENT ? LIVES_MIN : 0;

    for (uintptr_t i = 0; i < CLIENTS; i++)
        start(&threads[n++], client, i);
    for (uintptr_t i = 0; i < WATCHERS; i++)
        start(&threads[n++], watcher, i);
    start(&threads[n++], observer, 0);
    start(&threads[n++], observer, 0);
    start(&threads[n++], serve_device, 0);
    for (unsigned step = 0;
         clock_read() - load_relaxed(&skipped) < end || load_relaxed(&lives) < enough; step++) {
        misbehave(step);
        toolstack_step();
    }
    pthread_mutex_lock(&tree);
    be_good();
    plug_in();
    pthread_mutex_unlock(&tree);
    if (store != BREAKS)
        await_device();
    store_relaxed(&over, true);
    life_cancel(&life);
    while (n > 0)
        thread_join(threads[--n]);
    for (unsigned i = 0; i < WATCHERS; i++)
        end_box(handed[i]);
}

/* What the storm must have left: nothing but the reader's buffer and port. */
#define KEPT_HEAP 1
#define KEPT_PORTS 1

static void check_end(void)
{
    uint64_t n = 0;

    if (store != BREAKS && xs_read_u64(XS_NO_TX, "data/count", 0, UINT64_MAX, &n) != 0)
        panic("the store is not well again");
    if (store == OBEDIENT && (n < commits || n > commits + commits_unsure))
        panic("counted to %llu in %llu transactions", (unsigned long long)n,
              (unsigned long long)commits);
    if (xs_count_watches() != 0 || heap_out != KEPT_HEAP || ports_bound != KEPT_PORTS ||
        grants_out != 0 || pages_out != 0)
        panic("left: %u watches, %u pieces of heap, %u ports, %u grants, %u pages",
              xs_count_watches(), heap_out - KEPT_HEAP, ports_bound - KEPT_PORTS, grants_out,
              pages_out);
    pthread_mutex_lock(&tree);
    if (store == OBEDIENT && late_answers == 0 &&
        (fakexen_store_count_watches() != 0 || transactions->count() != 0))
        panic("left in the store: %u watches, %ld transactions", fakexen_store_count_watches(),
              transactions->count());
    pthread_mutex_unlock(&tree);
}

/* Of several first calls one starts the reader, and one the watcher. */
static void call_first(void *arg)
{
    struct xs_watch never = {.token = 0};
    struct box *b = heap_alloc_zeroed(sizeof(*b));

    b->magic = LIVES;
    xs_unwatch(&never);
    if (arg != NULL && xs_watch(&b->w, "data/count", on_change, b) != 0)
        panic("the first watch fails");
    xs_unwatch(&never);
    end_box(b);
}

static void call_first_at_once(void)
{
    struct thread *threads[3];

    for (unsigned i = 0; i < ARRAY_SIZE(threads); i++)
        start(&threads[i], call_first, i);
    for (unsigned i = 0; i < ARRAY_SIZE(threads); i++)
        thread_join(threads[i]);
}

static void run(unsigned which)
{
    struct bootinfo boot = {.store_page = &ring_page, .store_port = RACE_PORT_STORE};
    struct xs_watch directory = {.token = 0};
    pthread_t thread;

    store = which;
    race_begin(240);
    race_on_log = on_log;
    raceports_start();
    fakestore_start(&ring_page, RACE_PORT_STORE);
    be_good();
    fill_store();
    if (pthread_create(&thread, NULL, run_store, NULL) != 0)
        panic("no thread");
    xs_init(&boot);
    call_first_at_once();
    if (xs_watch(&directory, "device/vif", on_directory, NULL) != 0 || /* reader, watcher */
        life_init(&life, &dev, &driver, "0", NULL) != 0)
        panic("it does not begin");
    storm();
    life_destroy(&life);
    xs_unwatch(&directory);
    check_end();
    store_release(&store_over, true);
    pthread_join(thread, NULL);
    raceports_stop();
}

/* The reader ends when the store breaks the ring: nobody is there to join it. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "report_thread_leaks=0";
}

int main(void)
{
    static const char *const names[] = {"an obedient store", "a stalling store", "a lying store",
                                        "a breaking store"};

    return race_scenes(ARRAY_SIZE(names), names, run);
}
