/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The fake Xen's xenstore server: a tree in memory, transactions that copy it, watches, and faults.
 * What the guest sends is checked; what is not well-formed fails the test.
 */
#include "tests/host/fakestore.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "lib/base/atomic.h"
#include "tests/host/fakexen.h"
#include "tests/host/hostarch.h"
#include "tests/host/test.h"

#define RING XENSTORE_RING_SIZE
#define WATCHES 64
#define HOOKS 32
#define HELD 32
#define STREAM (1U << 20)
#define REQUIRE(cond)                                   \
    do {                                                \
        if (!(cond))                                    \
            test_fail(__FILE__, __LINE__, "%s", #cond); \
    } while (0)

struct fakexen_store_faults fakexen_store_faults = {.list_max = 4096, .part_max = 1024};

static struct xenstore_domain_interface *page;
static port_t guest_port;
static uint32_t req_cons, rsp_prod;

/* ---- the tree: nodes by full path, in order of creation ---- */

struct node {
    char *path, *value; /* value[len] is a NUL */
    size_t len;
    unsigned changed; /* the generation that this made */
};

struct tree {
    struct node *nodes;
    size_t count;
    unsigned generation, removed; /* now; when a node was removed last */
};

static struct tree store;
static struct transaction {
    uint32_t id; /* 0: free */
    unsigned base;
    struct tree tree;
    char *written[64];
    size_t nr_written;
} transactions[8];
static uint32_t last_tx;

static struct node *find(struct tree *t, const char *path)
{
    for (size_t i = 0; i < t->count; i++)
        if (strcmp(t->nodes[i].path, path) == 0)
            return &t->nodes[i];
    return NULL;
}

static bool is_below(const char *path, const char *top)
{
    size_t len = strlen(top);

    return strncmp(path, top, len) == 0 && path[len] == '/';
}

static bool is_at_or_below(const char *path, const char *top)
{
    return strcmp(path, top) == 0 || is_below(path, top);
}

static struct node *add(struct tree *t, const char *path)
{
    struct node *n;

    t->nodes = realloc(t->nodes, (t->count + 1) * sizeof(*t->nodes));
    n = &t->nodes[t->count++];
    *n = (struct node){.path = strdup(path), .value = strdup("")};
    return n;
}

static struct node *make(struct tree *t, const char *path)
{
    char parent[4096];
    char *slash;
    struct node *n = find(t, path);

    if (n != NULL)
        return n;
    snprintf(parent, sizeof(parent), "%s", path);
    slash = strrchr(parent, '/');
    if (slash != NULL && slash != parent) {
        *slash = '\0';
        (void)make(t, parent);
    }
    return add(t, path);
}

static void set(struct tree *t, const char *path, const void *value, size_t len)
{
    struct node *n = make(t, path);

    free(n->value);
    n->value = malloc(len + 1);
    memcpy(n->value, value, len);
    n->value[len] = '\0';
    n->len = len;
    n->changed = ++t->generation;
}

static bool remove_all(struct tree *t, const char *path)
{
    size_t kept = 0, before = t->count;

    for (size_t i = 0; i < t->count; i++) {
        if (!is_at_or_below(t->nodes[i].path, path)) {
            t->nodes[kept++] = t->nodes[i];
            continue;
        }
        free(t->nodes[i].path);
        free(t->nodes[i].value);
    }
    t->count = kept;
    t->removed = ++t->generation;
    return kept != before;
}

static void clear(struct tree *t)
{
    for (size_t i = 0; i < t->count; i++) {
        free(t->nodes[i].path);
        free(t->nodes[i].value);
    }
    free(t->nodes);
    *t = (struct tree){0};
}

static void copy(struct tree *to, const struct tree *from)
{
    for (size_t i = 0; i < from->count; i++) {
        struct node *n = add(to, from->nodes[i].path);

        free(n->value);
        n->len = from->nodes[i].len;
        n->value = malloc(n->len + 1);
        memcpy(n->value, from->nodes[i].value, n->len + 1);
    }
    to->generation = from->generation;
}

/* The names below (path), each with its NUL. */
static size_t children(struct tree *t, const char *path, char *out, size_t size)
{
    size_t skip = strlen(path) + 1, len = 0;

    for (size_t i = 0; i < t->count; i++) {
        const char *p = t->nodes[i].path;

        if (!is_below(p, path) || strchr(p + skip, '/') != NULL)
            continue;
        REQUIRE(len + strlen(p + skip) + 1 <= size);
        strcpy(out + len, p + skip);
        len += strlen(p + skip) + 1;
    }
    return len;
}

static void full_path(const char *path, char out[4096])
{
    snprintf(out, 4096, "%s%s", path[0] == '/' ? "" : FAKE_HOME "/", path);
}

/* ---- the stream of answers ---- */

static char stream[STREAM];
static size_t stream_len;
static struct {
    struct xsd_sockmsg header;
    char *payload;
} held[HELD];
static unsigned nr_held;

void fakexen_store_send(const void *bytes, size_t len)
{
    REQUIRE(stream_len + len <= STREAM);
    memcpy(stream + stream_len, bytes, len);
    stream_len += len;
}

void fakexen_store_send_message(uint32_t type, uint32_t id, const void *payload, size_t len)
{
    struct xsd_sockmsg header = {.type = type, .req_id = id, .len = (uint32_t)len};

    fakexen_store_send(&header, sizeof(header));
    fakexen_store_send(payload, len);
}

static void release_held(void)
{
    while (nr_held > 0) {
        nr_held--;
        fakexen_store_send(&held[nr_held].header, sizeof(held[nr_held].header));
        fakexen_store_send(held[nr_held].payload, held[nr_held].header.len);
        free(held[nr_held].payload);
    }
}

static void hold(const struct xsd_sockmsg *header, const char *payload)
{
    REQUIRE(nr_held < HELD);
    held[nr_held].header = *header;
    held[nr_held].payload = malloc(header->len + 1);
    memcpy(held[nr_held].payload, payload, header->len);
    if (++nr_held >= fakexen_store_faults.hold)
        release_held();
}

static void answer(const struct xsd_sockmsg *request, uint32_t type, const void *payload,
                   size_t len)
{
    struct xsd_sockmsg header = *request;
    char buf[8192] = "";
    size_t real;

    REQUIRE(len <= sizeof(buf));
    memcpy(buf, payload, len);
    header.type = type;
    header.len = (uint32_t)len;
    if (fakexen_store_faults.silent ||
        (fakexen_store_faults.mangle != NULL && !fakexen_store_faults.mangle(&header, buf)))
        return;
    if (fakexen_store_faults.hold > 0) {
        hold(&header, buf);
        return;
    }
    real = header.len <= sizeof(buf) ? header.len : sizeof(buf);
    fakexen_store_send(&header, sizeof(header));
    fakexen_store_send(buf, real);
}

static void answer_ok(const struct xsd_sockmsg *request)
{
    answer(request, request->type, "OK", 3);
}

static void answer_error(const struct xsd_sockmsg *request, const char *name)
{
    answer(request, XS_ERROR, name, strlen(name) + 1);
}

/* ---- watches and hooks ---- */

static struct watch {
    char *path, *token, full[4096];
} watches[WATCHES];

static struct {
    const char *prefix;
    void (*fn)(const char *path, void *arg);
    void *arg;
} hooks[HOOKS];

static void send_event(const char *path, const char *token)
{
    char payload[8192];
    size_t n = strlen(path) + 1, m = strlen(token) + 1;

    memcpy(payload, path, n);
    memcpy(payload + n, token, m);
    fakexen_store_send_message(XS_WATCH_EVENT, 0, payload, n + m);
}

/* What the guest calls (full): as it named the watch's path. */
static void fire_watch(struct watch *w, const char *full)
{
    bool relative = w->path[0] != '/';
    const char *shown = full;

    if (is_below(w->full, full)) /* something above it was removed */
        shown = w->full;
    if (relative && is_below(shown, FAKE_HOME))
        shown += strlen(FAKE_HOME) + 1;
    send_event(shown, w->token);
}

static void fire(const char *full, bool removed)
{
    for (size_t i = 0; i < WATCHES; i++) {
        if (watches[i].path == NULL)
            continue;
        if (is_at_or_below(full, watches[i].full) || (removed && is_below(watches[i].full, full)))
            fire_watch(&watches[i], full);
    }
}

void fakexen_store_fire(const char *path)
{
    char full[4096];

    full_path(path, full);
    fire(full, false);
}

static void call_hooks(const char *full)
{
    for (size_t i = 0; i < HOOKS; i++) {
        char prefix[4096];

        if (hooks[i].fn == NULL)
            continue;
        full_path(hooks[i].prefix, prefix);
        if (is_at_or_below(full, prefix))
            hooks[i].fn(full, hooks[i].arg);
    }
}

static void watch(const struct xsd_sockmsg *h, const char *path, const char *token)
{
    size_t i = 0;

    while (i < WATCHES && watches[i].path != NULL)
        i++;
    if (i == WATCHES) {
        answer_error(h, "E2BIG");
        return;
    }
    watches[i].path = strdup(path);
    watches[i].token = strdup(token);
    full_path(path, watches[i].full);
    answer_ok(h);
    send_event(path, token);
}

static void unwatch(const struct xsd_sockmsg *h, const char *path, const char *token)
{
    for (size_t i = 0; i < WATCHES; i++) {
        if (watches[i].path == NULL || strcmp(watches[i].path, path) != 0 ||
            strcmp(watches[i].token, token) != 0)
            continue;
        free(watches[i].path);
        free(watches[i].token);
        watches[i].path = NULL;
        answer_ok(h);
        return;
    }
    answer_error(h, "ENOENT");
}

unsigned fakexen_store_count_watches(void)
{
    unsigned n = 0;

    for (size_t i = 0; i < WATCHES; i++)
        n += watches[i].path != NULL;
    return n;
}

/* ---- requests ---- */

static unsigned request_counts[XS_TYPE_COUNT];

unsigned fakexen_store_count_requests(unsigned type)
{
    return request_counts[type];
}

static struct transaction *transaction_of(uint32_t id)
{
    for (size_t i = 0; id != 0 && i < 8; i++)
        if (transactions[i].id == id)
            return &transactions[i];
    return NULL;
}

static void start_transaction(const struct xsd_sockmsg *h)
{
    struct transaction *tx = transactions;
    char text[16];

    while (tx < transactions + 8 && tx->id != 0)
        tx++;
    if (tx == transactions + 8) {
        answer_error(h, "ENOSPC");
        return;
    }
    tx->id = ++last_tx;
    tx->base = store.generation;
    copy(&tx->tree, &store);
    snprintf(text, sizeof(text), "%u", tx->id);
    answer(h, h->type, text, strlen(text) + 1);
}

static void free_transaction(struct transaction *tx)
{
    for (size_t i = 0; i < tx->nr_written; i++)
        free(tx->written[i]);
    clear(&tx->tree);
    *tx = (struct transaction){0};
}

/* As xenstored judges it, but that what was only read is not looked at: somebody else changed what
 * it writes, or removed anything. */
static bool may_commit(struct transaction *tx)
{
    if (fakexen_store_faults.failing_commits > 0) {
        fakexen_store_faults.failing_commits--;
        return false;
    }
    if (tx->nr_written > 0 && store.removed > tx->base)
        return false;
    for (size_t i = 0; i < tx->nr_written; i++) {
        struct node *n = find(&store, tx->written[i]);

        if (n != NULL && n->changed > tx->base)
            return false;
    }
    return true;
}

/* What it wrote, as it is in its own tree in the end. */
static void apply(struct transaction *tx)
{
    for (size_t i = 0; i < tx->nr_written; i++) {
        struct node *n = find(&tx->tree, tx->written[i]);

        if (n != NULL)
            set(&store, tx->written[i], n->value, n->len);
        else
            (void)remove_all(&store, tx->written[i]);
    }
}

static void end_transaction(const struct xsd_sockmsg *h, struct transaction *tx, bool commit)
{
    if (tx == NULL) {
        answer_error(h, "ENOENT");
        return;
    }
    if (commit && !may_commit(tx)) {
        answer_error(h, "EAGAIN");
        free_transaction(tx);
        return;
    }
    answer_ok(h);
    if (commit && tx->nr_written > 0) {
        apply(tx);
        for (size_t i = 0; i < tx->nr_written; i++)
            fire(tx->written[i], find(&store, tx->written[i]) == NULL);
        for (size_t i = 0; i < tx->nr_written; i++)
            call_hooks(tx->written[i]);
    }
    free_transaction(tx);
}

/* The guest changed (full): now, or once the transaction ends. */
static void changed(struct transaction *tx, const char *full, bool removed)
{
    if (tx == NULL) {
        fire(full, removed);
        call_hooks(full);
        return;
    }
    REQUIRE(tx->nr_written < 64);
    tx->written[tx->nr_written++] = strdup(full);
}

static void list(const struct xsd_sockmsg *h, struct tree *t, const char *full)
{
    static char names[1 << 18];
    size_t len = children(t, full, names, sizeof(names));

    if (len > fakexen_store_faults.list_max)
        answer_error(h, "E2BIG");
    else
        answer(h, h->type, names, len);
}

static void list_part(const struct xsd_sockmsg *h, struct tree *t, const char *full,
                      const char *offset_text)
{
    static char names[1 << 18];
    size_t len = children(t, full, names, sizeof(names));
    size_t offset = (size_t)atol(offset_text), end = offset, head;
    char reply[8192];

    if (fakexen_store_faults.list_changes > 0) {
        fakexen_store_faults.list_changes--;
        t->generation++;
    }
    REQUIRE(offset <= len || fakexen_store_faults.lied);
    offset = end = offset <= len ? offset : len;
    head = (size_t)snprintf(reply, sizeof(reply), "%u", t->generation) + 1;
    while (end < len && end + strlen(names + end) + 1 - offset <= fakexen_store_faults.part_max)
        end += strlen(names + end) + 1;
    memcpy(reply + head, names + offset, end - offset);
    head += end - offset;
    if (end == len)
        reply[head++] = '\0';
    answer(h, h->type, reply, head);
}

static void on_node(const struct xsd_sockmsg *h, const char *payload)
{
    struct transaction *tx = transaction_of(h->tx_id);
    struct tree *t = tx != NULL ? &tx->tree : &store;
    size_t path_len = strlen(payload) + 1;
    struct node *n;
    char full[4096];

    if (h->tx_id != 0 && tx == NULL) { /* only who was lied to asks for one that is not there */
        REQUIRE(fakexen_store_faults.lied);
        answer_error(h, "ENOENT");
        return;
    }
    REQUIRE(path_len <= h->len && path_len > 1);
    full_path(payload, full);
    n = find(t, full);
    if (n == NULL && h->type != XS_WRITE && h->type != XS_MKDIR)
        answer_error(h, "ENOENT");
    else if (h->type == XS_READ)
        answer(h, h->type, n->value, n->len);
    else if (h->type == XS_DIRECTORY)
        list(h, t, full);
    else if (h->type == XS_DIRECTORY_PART)
        list_part(h, t, full, payload + path_len);
    else if (h->type == XS_RM) {
        remove_all(t, full);
        answer_ok(h);
        changed(tx, full, true);
    } else {
        if (h->type == XS_WRITE)
            set(t, full, payload + path_len, h->len - path_len);
        else if (n == NULL)
            set(t, full, "", 0);
        answer_ok(h);
        changed(tx, full, false);
    }
}

static void handle(const struct xsd_sockmsg *h, const char *payload)
{
    REQUIRE(h->type < XS_TYPE_COUNT);
    request_counts[h->type]++;
    if (fakexen_store_faults.error != NULL && fakexen_store_faults.error_type == h->type) {
        answer_error(h, fakexen_store_faults.error);
        return;
    }
    switch (h->type) {
    case XS_TRANSACTION_START:
        start_transaction(h);
        break;
    case XS_TRANSACTION_END:
        end_transaction(h, transaction_of(h->tx_id), payload[0] == 'T');
        break;
    case XS_WATCH:
        watch(h, payload, payload + strlen(payload) + 1);
        break;
    case XS_UNWATCH:
        unwatch(h, payload, payload + strlen(payload) + 1);
        break;
    case XS_READ:
    case XS_DIRECTORY:
    case XS_DIRECTORY_PART:
    case XS_WRITE:
    case XS_MKDIR:
    case XS_RM:
        on_node(h, payload);
        break;
    default:
        answer_error(h, "ENOSYS");
    }
}

/* ---- the ring ---- */

static size_t limit(size_t len)
{
    size_t max = fakexen_store_faults.max_bytes;

    return max != 0 && len > max ? max : len;
}

static size_t take_requests(void)
{
    static char buf[sizeof(struct xsd_sockmsg) + XENSTORE_PAYLOAD_MAX + 1];
    static size_t have;
    const struct xsd_sockmsg *h = (const void *)buf;
    uint32_t asked = load_acquire(&page->req_prod) - req_cons;
    size_t n = limit(asked), need;

    if (fakexen_store_faults.deaf)
        return 0;
    REQUIRE(asked <= RING);
    for (size_t i = 0; i < n; i++) {
        buf[have++] = page->req[req_cons++ % RING];
        need = sizeof(*h) + (have >= sizeof(*h) ? h->len : 0);
        REQUIRE(need < sizeof(buf));
        if (have < need || have < sizeof(*h))
            continue;
        buf[have] = '\0';
        have = 0;
        handle(h, buf + sizeof(*h));
    }
    store_release(&page->req_cons, req_cons);
    return n;
}

static size_t flush_answers(void)
{
    size_t used = rsp_prod - load_acquire(&page->rsp_cons), n;

    REQUIRE(used <= RING);
    n = limit(stream_len < RING - used ? stream_len : RING - used);
    for (size_t i = 0; i < n; i++)
        page->rsp[rsp_prod++ % RING] = stream[i];
    memmove(stream, stream + n, stream_len - n);
    stream_len -= n;
    if (n > 0)
        store_release(&page->rsp_prod, rsp_prod);
    return n;
}

static bool serve(void *arg)
{
    size_t moved = flush_answers();

    (void)arg;
    /* Answers come a step later, with an event of their own, as a real store's do. */
    moved += take_requests();
    if (moved > 0 && !fakexen_store_faults.mute)
        fakexen_raise(guest_port);
    return moved > 0;
}

struct xenstore_domain_interface *fakexen_store_page(void)
{
    return page;
}

void fakestore_start(void *store_page, port_t port)
{
    page = store_page;
    guest_port = port;
    /* Indices need not start at 0, and soon wrap. */
    req_cons = page->req_cons = page->req_prod = 0xfffffe00;
    rsp_prod = page->rsp_cons = page->rsp_prod = 0xffffff00;
    set(&store, FAKE_HOME, "", 0);
    host_on_idle(serve, NULL);
}

/* ---- for tests ---- */

void fakexen_store_set_bytes(const char *path, const void *value, size_t len)
{
    char full[4096];

    full_path(path, full);
    set(&store, full, value, len);
    fire(full, false);
}

void fakexen_store_set(const char *path, const char *fmt, ...)
{
    char value[4096];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(value, sizeof(value), fmt, ap);
    va_end(ap);
    fakexen_store_set_bytes(path, value, strlen(value));
}

const char *fakexen_store_get(const char *path)
{
    struct node *n;
    char full[4096];

    full_path(path, full);
    n = find(&store, full);
    return n == NULL ? NULL : n->value;
}

void fakexen_store_rm(const char *path)
{
    char full[4096];

    full_path(path, full);
    if (remove_all(&store, full))
        fire(full, true);
}

void fakexen_store_on_write(const char *prefix, void (*fn)(const char *path, void *arg), void *arg)
{
    size_t i = 0;

    while (i < HOOKS && hooks[i].fn != NULL)
        i++;
    REQUIRE(i < HOOKS);
    hooks[i].prefix = strdup(prefix);
    hooks[i].fn = fn;
    hooks[i].arg = arg;
}

void fakexen_store_off_write(const char *prefix, void (*fn)(const char *path, void *arg), void *arg)
{
    for (size_t i = 0; i < HOOKS; i++)
        if (hooks[i].fn == fn && hooks[i].arg == arg && strcmp(hooks[i].prefix, prefix) == 0)
            hooks[i].fn = NULL;
}

/* Open transactions are a leak of the guest's. */
static long count_transactions(void)
{
    long n = 0;

    for (size_t i = 0; i < 8; i++)
        n += transactions[i].id != 0;
    return n;
}
CENSUS("transactions", count_transactions)
