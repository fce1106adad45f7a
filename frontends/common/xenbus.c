/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Xenbus: the lifecycle of a frontend, walked along the diagram "Startup" of xen/io/blkif.h.
 *
 *   Initialising --xb_open--      (who is the backend; watch its state)
 *                --xb_await(XB_READY)-- --xb_read(features)-- --xb_publish(keys)--
 *                --xb_advance-->  Initialised (vbd) or Connected (vif)
 *                --xb_await(Connected)-- --xb_read(properties)-- --xb_advance-->  Connected
 *   any          --xb_fail-->     Closing, and error/<path>/error says why
 *   any          --xb_close-->    Closing, Closed (bounded), everything released
 *
 * Straight-line calls with deadlines rather than callbacks: opening a device is a thread's work,
 * and reads like the protocol. One watch follows the backend's state for the device's life; it
 * stores the state, wakes who waits and tells the frontend.
 *
 * I1 What the backend or the store says is text until a strict parser took it; a key that is
 *    malformed is an error only if we cannot do without it.
 * I2 Every wait has a deadline and ends early when the backend goes away.
 * I3 The backend is who xb_open found: a path /local/domain/<backend-id>/..., under any class
 *    name. While the device is open neither is replaced; when the store says another, or
 *    none, the device has (gone), and nobody is talked to any more.
 * I4 The device owns its ring pages, ports and watch. xb_close is the only unwinder: a port's
 *    handler has ended before anything it uses is released, and a page that the backend maps goes
 *    to quarantine, not to the allocator.
 * I5 A transaction is repeated a bounded number of times.
 * I6 Our directory is never created: when the toolstack has removed it, writing ends in -ENODEV.
 *
 * Everything here runs in threads and may block, the watch's part in the watch thread. After
 * a resume from suspension the rings, ports and the watch of the old life are to be released
 * without talking to the backend, which is what a device that has (gone) does, and opened again.
 */
#include "frontends/common/xenbus.h"

#include "kernel/log.h"
#include "kernel/time.h"
#include "lib/base/format.h"
#include "lib/base/parse.h"
#include "lib/base/string.h"

#define PUBLISH_TRIES 10      /* I5: with waits of 1, 2, 4, ... ms, one second in all */
#define PUBLISH_WAIT_MAX 256  /* ms */
#define VALUE_MAX XS_PATH_MAX /* of the values we read */
#define BROKEN_CLOSE_TIMEOUT NSEC_PER_SEC

static const char *const state_names[] = {
    "unknown", "Initialising", "InitWait",      "Initialised",  "Connected",
    "Closing", "Closed",       "Reconfiguring", "Reconfigured",
};

/* ---- the backend's state ---- */

static enum xb_state read_backend_state(struct xb_device *dev)
{
    uint64_t state;

    /* watch.path is the backend's state node. Nonsense is as good as nothing (I1). */
    if (xs_read_u64(XS_NO_TX, dev->watch.path, XB_UNKNOWN, XB_RECONFIGURED, &state) != 0)
        return XB_UNKNOWN;
    return (enum xb_state)state;
}

/* In the watch thread. */
static void on_backend_change(struct xs_watch *w)
{
    struct xb_device *dev = w->arg;
    enum xb_state state = read_backend_state(dev);

    if (XB_MASK(state) & XB_READY)
        store_relaxed(&dev->seen_ready, true);
    store_release(&dev->backend_state, state);
    waitq_wake_all(&dev->changed);
    if (dev->on_change != NULL)
        dev->on_change(dev->arg);
}

static enum xb_state backend_state(const struct xb_device *dev)
{
    return load_acquire(&dev->backend_state);
}

/* Closing and Closed are normal before the backend has made itself ready: it may still be
 * parting from an earlier life of this device. */
static bool backend_went_away(const struct xb_device *dev)
{
    switch (backend_state(dev)) {
    case XB_CLOSING:
    case XB_CLOSED:
        return load_relaxed(&dev->seen_ready);
    case XB_UNKNOWN:
        return true;
    default:
        return load_relaxed(&dev->gone);
    }
}

static bool backend_is_in(const struct xb_device *dev, unsigned states)
{
    return (XB_MASK(backend_state(dev)) & states) != 0;
}

int xb_await(struct xb_device *dev, unsigned states, nsec_t deadline)
{
    int rc = wait_until(&dev->changed,
                        backend_is_in(dev, states) || backend_went_away(dev) ||
                            load_relaxed(&dev->cancelled),
                        deadline); /* I2 */

    if (load_relaxed(&dev->cancelled))
        return -ECANCELED;
    if (backend_is_in(dev, states) && !load_relaxed(&dev->gone))
        return 0;
    rc = rc != 0 ? rc : -ENODEV;
    log_err("%s: the backend %s in state %s; see %s in domain %u and its log", dev->name,
            rc == -ENODEV ? "went away" : "did not come up and is", state_names[backend_state(dev)],
            dev->backend, dev->backend_id);
    return rc;
}

bool xb_connected(const struct xb_device *dev)
{
    return !load_relaxed(&dev->broken) && !load_relaxed(&dev->gone) &&
           backend_state(dev) == XB_CONNECTED;
}

/* ---- reading keys ---- */

/* A copy of (value) that is fit for a message. */
static const char *printable(const char *value, char out[40])
{
    size_t i;

    for (i = 0; i < 36 && value[i] != '\0'; i++)
        out[i] = value[i] >= ' ' && value[i] <= '~' ? value[i] : '?';
    string_copy(out + i, 4, value[i] != '\0' ? "..." : "");
    return out;
}

/* A key that we cannot do without is missing (value NULL) or wrong. */
static int complain(struct xb_device *dev, const struct xb_key *key, const char *value, int rc)
{
    char text[160], shown[40];
    int len = value == NULL ? format(text, sizeof(text), "is missing")
                            : format(text, sizeof(text), "is \"%s\", ", printable(value, shown));
    size_t room = sizeof(text) - (size_t)len;

    if (value == NULL)
        ;
    else if (key->kind == XB_MAC)
        format(text + len, room, "not an address like 00:16:3e:01:02:03");
    else if (key->kind == XB_TEXT)
        format(text + len, room, "longer than %zu characters", key->size - 1);
    else
        format(text + len, room, "not a number from %llu to %llu", (unsigned long long)key->min,
               (unsigned long long)key->max);
    xb_fail(dev, rc, "key \"%s\" %s; %s", key->name, text, dev->remedy);
    return rc;
}

static void store_number(const struct xb_key *key, void *field, uint64_t number)
{
    if (key->kind == XB_BOOL)
        *(bool *)field = number != 0;
    else if (key->kind == XB_U32)
        *(uint32_t *)field = (uint32_t)number;
    else
        *(uint64_t *)field = number;
}

static int store_value(const struct xb_key *key, void *field, const char *value)
{
    uint64_t number, bounded;
    int rc;

    if (key->kind == XB_TEXT)
        return strlen(value) < key->size ? string_copy(field, key->size, value) : -ERANGE;
    if (key->kind == XB_MAC)
        return parse_mac(value, field);
    rc = parse_u64(value, 0, UINT64_MAX, &number);
    if (rc == -ERANGE)
        number = UINT64_MAX;
    else if (rc != 0)
        return rc;
    bounded = MAX(key->min, MIN(key->max, number));
    if (key->required && bounded != number)
        return -ERANGE;
    store_number(key, field, bounded);
    return 0;
}

static void store_absent(const struct xb_key *key, void *field)
{
    if (key->kind == XB_TEXT || key->kind == XB_MAC)
        memset(field, 0, key->size);
    else
        store_number(key, field, key->absent);
}

static int read_key(struct xb_device *dev, const char *dir, const struct xb_key *key, void *field)
{
    char path[XS_PATH_MAX], value[VALUE_MAX], shown[40];
    int rc = 0;
    long len;

    store_absent(key, field);
    format(path, sizeof(path), "%s/%s", dir, key->name);
    len = xs_read(XS_NO_TX, path, value, sizeof(value));
    if (len >= 0)
        rc = store_value(key, field, value);
    else if (key->required)
        return complain(dev, key, len == -ENOENT ? NULL : "(unreadable)", (int)len);
    if (rc != 0 && key->required)
        return complain(dev, key, value, rc);
    if (rc != 0 && log_allowed(&dev->limit))
        log_warn("%s: key \"%s\" is \"%s\": ignored; %s", dev->name, key->name,
                 printable(value, shown), dev->remedy);
    return 0;
}

int xb_read(struct xb_device *dev, const char *dir, const struct xb_key *keys, size_t n, void *base)
{
    for (size_t i = 0; i < n; i++) {
        int rc = read_key(dev, dir, &keys[i], (char *)base + keys[i].offset);

        if (rc != 0)
            return rc;
    }
    return 0;
}

/* ---- writing keys ---- */

static int write_entry(struct xb_device *dev, xs_tx_t tx, const struct xb_entry *entry)
{
    char path[XS_PATH_MAX];
    int rc;

    format(path, sizeof(path), "%s/%s", dev->path, entry->name);
    if (entry->remove) {
        rc = xs_rm(tx, path);
        return rc == -ENOENT ? 0 : rc;
    }
    if (entry->text != NULL)
        return xs_write(tx, path, entry->text);
    return xs_printf(tx, path, "%llu", (unsigned long long)entry->number);
}

static int publish_once(struct xb_device *dev, const struct xb_entry *entries, size_t n)
{
    char path[XS_PATH_MAX], state[VALUE_MAX];
    xs_tx_t tx;
    long len;
    int rc = xs_tx_begin(&tx);

    if (rc != 0)
        return rc;
    format(path, sizeof(path), "%s/state", dev->path);
    len = xs_read(tx, path, state, sizeof(state));
    rc = len == -ENOENT ? -ENODEV : 0; /* I6 */
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = write_entry(dev, tx, &entries[i]);
    if (rc == 0)
        return xs_tx_end(tx, true);
    (void)!xs_tx_end(tx, false);
    return rc;
}

int xb_publish(struct xb_device *dev, const struct xb_entry *entries, size_t n)
{
    int rc = -EAGAIN;

    for (unsigned i = 0; i < PUBLISH_TRIES && rc == -EAGAIN; i++) {
        if (i > 0)
            thread_sleep_until(time_now() + MIN(1u << i, PUBLISH_WAIT_MAX) * NSEC_PER_MSEC);
        rc = publish_once(dev, entries, n);
    }
    if (rc != 0 && rc != -ENODEV)
        log_err("%s: cannot write to %s in xenstore: error %d", dev->name, dev->path, -rc);
    return rc;
}

int xb_advance(struct xb_device *dev, enum xb_state state)
{
    struct xb_entry entry = {.name = "state", .number = state};
    int rc = xb_publish(dev, &entry, 1);

    if (rc == 0)
        dev->state = state;
    return rc;
}

/* ---- what the device owns ---- */

int xb_ring(struct xb_device *dev, struct shared_page *out)
{
    for (unsigned i = 0; i < XB_RINGS_MAX; i++) {
        int rc;

        if (dev->ring[i].va != NULL)
            continue;
        rc = shared_page_create(dev->backend_id, &dev->ring[i]);
        if (rc == 0)
            *out = dev->ring[i];
        else
            log_err("%s: no memory or no grant for a ring: error %d", dev->name, -rc);
        return rc;
    }
    return -ENOSPC;
}

int xb_port(struct xb_device *dev, evtchn_fn *fn, void *arg, port_t *out)
{
    for (unsigned i = 0; i < XB_PORTS_MAX; i++) {
        int rc;

        if (dev->port[i] != PORT_NONE)
            continue;
        rc = evtchn_alloc_unbound(dev->backend_id, fn, arg, &dev->port[i]);
        if (rc == 0)
            *out = dev->port[i];
        else
            log_err("%s: no event channel: error %d", dev->name, -rc);
        return rc;
    }
    return -ENOSPC;
}

/* Without a word to the backend: that is xb_close's part, and a resumed domain has nobody to talk
 * to. The order is I4's. */
static void release(struct xb_device *dev)
{
    xs_unwatch(&dev->watch);
    for (unsigned i = 0; i < XB_PORTS_MAX; i++) {
        if (dev->port[i] != PORT_NONE)
            evtchn_unbind(dev->port[i]);
        dev->port[i] = PORT_NONE;
    }
    for (unsigned i = 0; i < XB_RINGS_MAX; i++)
        shared_page_destroy(&dev->ring[i]);
    store_relaxed(&dev->open, false);
}

/* ---- open, fail, close ---- */

struct identity {
    uint32_t backend_id;
    char backend[XS_PATH_MAX - 8]; /* room for "/state" */
};

static const struct xb_key identity_keys[] = {
    XB_REQUIRED(struct identity, backend_id, "backend-id", 0, DOMID_FIRST_RESERVED - 1),
    XB_REQUIRED(struct identity, backend, "backend", 0, 0),
};

/* I3 */
static bool backend_path_is_sane(const struct identity *who)
{
    char prefix[40];
    int len = format(prefix, sizeof(prefix), "/local/domain/%u/", who->backend_id);

    return strncmp(who->backend, prefix, (size_t)len) == 0 && who->backend[len] != '\0';
}

static int find_backend(struct xb_device *dev)
{
    struct identity who;
    char shown[40];
    int rc = xb_read(dev, dev->path, identity_keys, ARRAY_SIZE(identity_keys), &who);

    if (rc != 0)
        return rc;
    if (!backend_path_is_sane(&who)) {
        xb_fail(dev, -EINVAL,
                "key \"backend\" is \"%s\", not below /local/domain/%u/ as backend-id says; %s",
                printable(who.backend, shown), who.backend_id, dev->remedy);
        return -EINVAL;
    }
    dev->backend_id = (domid_t)who.backend_id;
    return string_copy(dev->backend, sizeof(dev->backend), who.backend);
}

static const char *remedy_for(const char *class)
{
    if (strcmp(class, "vbd") == 0)
        return "check the disk= line";
    if (strcmp(class, "vif") == 0)
        return "check the vif= line";
    return "check the domain's configuration";
}

int xb_init(struct xb_device *dev, const char *class, const char *id, void (*on_change)(void *arg),
            void *arg)
{
    memset(dev, 0, sizeof(*dev));
    waitq_init(&dev->changed);
    mutex_init(&dev->identity);
    list_init(&dev->watch.link);
    dev->on_change = on_change;
    dev->arg = arg;
    dev->remedy = remedy_for(class);
    format(dev->name, sizeof(dev->name), "%s/%s", class, id);
    if (format(dev->path, sizeof(dev->path), "device/%s/%s", class, id) >= (int)sizeof(dev->path))
        return -ENAMETOOLONG;
    return 0;
}

int xb_open(struct xb_device *dev)
{
    char path[XS_PATH_MAX];
    int rc;

    /* Before the watch, whose first call comes when it likes; others may ask xb_connected. */
    dev->state = XB_INITIALISING;
    store_release(&dev->backend_state, XB_INITIALISING);
    store_relaxed(&dev->broken, false);
    store_relaxed(&dev->seen_ready, false);
    /* Open from the moment we know who it is: if it is moved while we ask for the watch, xb_verify
     * must see that, for nobody says it again. */
    mutex_lock(&dev->identity);
    store_relaxed(&dev->gone, false);
    rc = find_backend(dev);
    store_relaxed(&dev->open, rc == 0);
    mutex_unlock(&dev->identity);
    if (rc != 0)
        return rc;
    format(path, sizeof(path), "%s/state", dev->backend);
    rc = xs_watch(&dev->watch, path, on_backend_change, dev);
    if (rc != 0) {
        store_relaxed(&dev->open, false); /* nothing to unwind, nobody to part from */
        log_err("%s: cannot watch %s: error %d", dev->name, path, -rc);
        return rc;
    }
    /* The toolstack wrote this already, unless the device had an earlier life. */
    return xb_advance(dev, XB_INITIALISING);
}

/* (identity) is held. An answer that does not come changes nothing. */
static bool backend_is_another(struct xb_device *dev)
{
    char path[XS_PATH_MAX], backend[XS_PATH_MAX];
    uint64_t id = 0;
    long rc;

    format(path, sizeof(path), "%s/backend", dev->path);
    rc = xs_read(XS_NO_TX, path, backend, sizeof(backend));
    if (rc < 0)
        return rc == -ENOENT || rc == -EINVAL;
    format(path, sizeof(path), "%s/backend-id", dev->path);
    rc = xs_read_u64(XS_NO_TX, path, 0, DOMID_FIRST_RESERVED - 1, &id);
    return strcmp(backend, dev->backend) != 0 || rc == -ENOENT ||
           (rc == 0 && id != dev->backend_id);
}

void xb_verify(struct xb_device *dev)
{
    mutex_lock(&dev->identity);
    if (load_relaxed(&dev->open) && backend_is_another(dev))
        store_relaxed(&dev->gone, true); /* I3 */
    mutex_unlock(&dev->identity);
    waitq_wake_all(&dev->changed);
}

void xb_cancel(struct xb_device *dev)
{
    store_relaxed(&dev->cancelled, true);
    waitq_wake_all(&dev->changed);
}

static void write_error(struct xb_device *dev, int err, const char *text)
{
    char path[XS_PATH_MAX];

    format(path, sizeof(path), "error/%s/error", dev->path);
    if (xs_printf(XS_NO_TX, path, "%d %s", err, text) != 0)
        log_warn("%s: cannot write the error to xenstore", dev->name);
}

void xb_fail(struct xb_device *dev, int err, const char *fmt, ...)
{
    char text[200];
    va_list ap;

    if (atomic_exchange(&dev->broken, true))
        return;
    va_start(ap, fmt);
    vformat(text, sizeof(text), fmt, ap);
    va_end(ap);
    log_err("%s: %s", dev->name, text);
    if (!dev->open)
        return; /* the backend does not know of us yet */
    write_error(dev, err < 0 ? -err : err, text);
    if (xb_advance(dev, XB_CLOSING) != 0)
        log_warn("%s: the backend was not told", dev->name);
}

bool xb_attached(const struct xb_device *dev)
{
    enum xb_state state = backend_state(dev);

    if (load_relaxed(&dev->gone))
        return false;
    return state == XB_INITIALISED || state == XB_CONNECTED || state == XB_CLOSING ||
           state == XB_RECONFIGURING || state == XB_RECONFIGURED;
}

static void say_goodbye(struct xb_device *dev)
{
    nsec_t timeout = dev->broken ? BROKEN_CLOSE_TIMEOUT : XB_CLOSE_TIMEOUT;
    nsec_t deadline = time_now() + timeout; /* I2 */

    if (load_relaxed(&dev->gone) || (dev->state < XB_CLOSING && xb_advance(dev, XB_CLOSING) != 0))
        return;
    (void)wait_until(&dev->changed, !backend_is_in(dev, XB_READY), deadline);
    if (xb_advance(dev, XB_CLOSED) != 0)
        return;
    if (wait_until(&dev->changed, !xb_attached(dev), deadline) != 0)
        log_warn("%s: the backend does not let go; its pages stay in quarantine", dev->name);
}

void xb_close(struct xb_device *dev)
{
    if (!dev->open)
        return;
    say_goodbye(dev);
    release(dev);
}
