/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Xenstore's wire: messages of a 16-byte header and up to 4096 bytes, over two byte rings in one
 * page. We send requests; the store answers each, in any order, and sends watch events between.
 *
 *    caller:  struct call on its stack --into (calls)--> header and payload into the ring    waits
 *    reader:  one message out of the ring -- answer: claim the call by its id, copy, wake -----^
 *             (a thread)                  \- watch event: to xswatch.c
 *
 * I1 An answer is believed only if a call with its id is in (calls); the call is taken out, so that
 *    a second answer finds nothing. Its type must be the request's or XS_ERROR. Others are dropped.
 * I2 The bytes of a message must be in step with the ring: a length above 4096, an index that makes
 *    no sense, or a message that could only be sent in part breaks the store for good. Then
 *    every call ends in -EIO, and its port stays masked.
 * I3 A call is in (calls) or finished; only under (lock) it changes from one to the other. So the
 *    reader never touches the stack of a caller that gave up.
 */
#include "kernel/xswire.h"

#include "kernel/bytering.h"
#include "kernel/evtchn.h"
#include "kernel/heap.h"
#include "kernel/log.h"
#include "kernel/mutex.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "kernel/wait.h"
#include "kernel/xswatch.h"
#include "lib/base/errno.h"
#include "lib/base/list.h"
#include "lib/base/string.h"

#define CALLS_MAX 8
#define STACK_SIZE (16 * 1024)
#define POLL_PERIOD NSEC_PER_SEC /* looks at the ring even if no event comes */

/* A request in flight, on its caller's stack. */
struct call {
    struct list link;
    uint32_t id, type;
    char *reply; /* [size], NUL-terminated by the reader */
    size_t size;
    long result; /* length, or -errno; valid once (done) */
    bool done;
};

static bool present;
static port_t port;
static struct bytering to_store, from_store;
static struct mutex sending = MUTEX_INIT(sending);   /* (to_store): one message at a time */
static struct waitq activity = WAITQ_INIT(activity); /* the store read or wrote; or look! */

static struct spinlock lock = SPINLOCK_INIT; /* all below */
static struct list calls = LIST_INIT(calls);
static unsigned nr_calls;
static uint32_t last_id;
static bool broken;
static struct waitq finished = WAITQ_INIT(finished); /* calls: done, or one less */

static struct mutex starting = MUTEX_INIT(starting); /* (reader), (message) */
static struct thread *reader;
static char *message; /* the reader's: payload of the message being read, 4096 bytes and a NUL */

/* ---- breaking ---- */

/* Take (c) out of flight with (result). Under (lock). I3 */
static void finish(struct call *c, long result)
{
    c->result = result;
    list_remove(&c->link);
    nr_calls--;
    store_release(&c->done, true);
}

/* I2. Any thread. */
static void break_store(const char *why)
{
    irqstate_t state = spin_lock(&lock);
    bool first = !broken;

    store_relaxed(&broken, true);
    while (!list_empty(&calls))
        finish(list_first(&calls, struct call, link), -EIO);
    spin_unlock(&lock, state);
    waitq_wake_all(&finished);
    waitq_wake_all(&activity);
    if (first)
        log_err("xenstore: %s: out of use", why);
}

static bool is_broken(void)
{
    return load_relaxed(&broken);
}

/* ---- sending ---- */

static bool has_room(long want)
{
    long room = bytering_available(&to_store);

    return room < 0 || room >= want || is_broken();
}

/* Until the ring takes (want) bytes, or is broken. */
static int wait_for_room(size_t want, nsec_t deadline)
{
    nsec_t until;

    do {
        until = MIN(deadline, time_now() + POLL_PERIOD);
        if (wait_until(&activity, has_room((long)want), until) == 0)
            return 0;
    } while (until < deadline);
    return -ETIMEDOUT;
}

/* All of data[0, len) into the ring, in time. 0 or -errno. Under (sending). */
static int send_bytes(const void *data, size_t len, nsec_t deadline)
{
    const char *from = data;

    while (len > 0) {
        long n = bytering_send(&to_store, from, len);

        if (n < 0 || is_broken())
            return -EIO;
        from += n;
        len -= (size_t)n;
        (void)evtchn_notify(port);
        if (len > 0 && wait_for_room(1, deadline) != 0)
            return -ETIMEDOUT;
    }
    return 0;
}

/* The header and its payload, under (sending). What was sent in part cannot be taken back: I2. */
static int send_parts(const struct xsd_sockmsg *header, const struct xswire_part *parts, size_t n,
                      nsec_t deadline)
{
    int rc = send_bytes(header, sizeof(*header), deadline);

    for (size_t i = 0; i < n && rc == 0; i++)
        rc = send_bytes(parts[i].data, parts[i].len, deadline);
    if (rc != 0)
        break_store("does not take requests as it should");
    return rc;
}

/* Begun only when all of it fits, or the ring is empty: a full ring is no reason to break, and a
 * store that restarts finds whole requests. */
static int send_message(const struct xsd_sockmsg *header, const struct xswire_part *parts, size_t n,
                        nsec_t deadline)
{
    int rc;

    rc = mutex_lock_until(&sending, deadline);
    if (rc != 0)
        return rc;
    rc = wait_for_room(MIN(sizeof(*header) + header->len, (size_t)XENSTORE_RING_SIZE), deadline);
    if (rc == 0)
        rc = send_parts(header, parts, n, deadline);
    mutex_unlock(&sending);
    return rc;
}

/* Put (c) into flight, if there is place. */
static bool enter_call(struct call *c)
{
    irqstate_t state = spin_lock(&lock);
    bool entered = nr_calls < CALLS_MAX && !broken;

    if (entered) {
        c->id = ++last_id;
        list_push_back(&calls, &c->link);
        nr_calls++;
    }
    spin_unlock(&lock, state);
    return entered;
}

static int wait_for_place(struct call *c, nsec_t deadline)
{
    bool entered = false;
    int rc = wait_until(&finished, (entered = entered || enter_call(c)) || is_broken(), deadline);

    if (entered)
        return 0;
    return rc != 0 ? rc : -EIO;
}

/* Out of flight, whatever became of it: the caller gives up. I3 */
static void abandon_call(struct call *c)
{
    irqstate_t state = spin_lock(&lock);

    if (!c->done)
        finish(c, -ETIMEDOUT);
    spin_unlock(&lock, state);
    waitq_wake_all(&finished);
}

/* An answer must not depend on an event: now and then the reader is told to look by itself. */
static void wait_for_answer(struct call *c, nsec_t deadline)
{
    nsec_t until;

    do {
        until = MIN(deadline, time_now() + POLL_PERIOD);
        if (wait_until(&finished, load_acquire(&c->done), until) == 0)
            return;
        waitq_wake_all(&activity);
    } while (until < deadline);
    abandon_call(c);
}

static int start_reader(void);

long xswire_call(enum xsd_sockmsg_type type, uint32_t tx, const struct xswire_part *parts, size_t n,
                 char *reply, size_t size)
{
    struct call c = {.type = type, .reply = reply, .size = size};
    struct xsd_sockmsg header = {.type = type, .tx_id = tx};
    nsec_t deadline = time_now() + XSWIRE_TIMEOUT;
    int rc;

    if (!present)
        return -ENXIO;
    for (size_t i = 0; i < n; i++)
        header.len += (uint32_t)parts[i].len;
    if (header.len > XENSTORE_PAYLOAD_MAX)
        return -E2BIG;
    rc = start_reader();
    if (rc == 0)
        rc = wait_for_place(&c, deadline);
    if (rc != 0)
        return rc;
    header.req_id = c.id;
    if (send_message(&header, parts, n, deadline) != 0)
        abandon_call(&c);
    else
        wait_for_answer(&c, deadline);
    return c.result;
}

/* ---- answers ---- */

/* The store names errors; these are the names, and ours. */
static int errno_of(const char *name)
{
    static const struct {
        const char *name;
        int number;
    } errors[] = {
        {"EINVAL", EINVAL}, {"EACCES", EACCES}, {"EEXIST", EEXIST}, {"EISDIR", EISDIR},
        {"ENOENT", ENOENT}, {"ENOMEM", ENOMEM}, {"ENOSPC", ENOSPC}, {"EIO", EIO},
        {"ENOSYS", ENOSYS}, {"EROFS", EROFS},   {"EBUSY", EBUSY},   {"EAGAIN", EAGAIN},
        {"E2BIG", E2BIG},   {"EPERM", EPERM},   {"EQUOTA", ENOSPC}, {"ENOTEMPTY", ENOTEMPTY},
    };

    for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
        if (strcmp(name, errors[i].name) == 0)
            return errors[i].number;
    return EIO;
}

/* What the answer (type, message[len]) means for (c). Under (lock). */
static long judge_answer(struct call *c, uint32_t type, size_t len)
{
    if (type == XS_ERROR)
        return -errno_of(message);
    if (type != c->type)
        return -EIO; /* I1 */
    if (c->reply == NULL)
        return (long)len;
    if (len >= c->size)
        return -E2BIG;
    memcpy(c->reply, message, len + 1);
    return (long)len;
}

/* I1: the only place where an id from the store is looked up. */
static bool take_answer(const struct xsd_sockmsg *header)
{
    irqstate_t state = spin_lock(&lock);
    bool found = false;

    list_for_each_safe (pos, &calls) {
        struct call *c = list_entry(pos, struct call, link);

        if (c->id != header->req_id)
            continue;
        finish(c, judge_answer(c, header->type, header->len));
        found = true;
        break;
    }
    spin_unlock(&lock, state);
    waitq_wake_all(&finished);
    return found;
}

/* ---- the reader ---- */

static bool event_came; /* since the reader last allowed one */

static void handle_event(port_t p, void *arg)
{
    (void)p;
    (void)arg;
    store_relaxed(&event_came, true);
    waitq_wake_all(&activity);
}

/* What happened since the last EOI; the reader's own. */
static struct {
    bool received;
    uint32_t store_read; /* how far the store had read then */
} since_eoi;

/* Allow the next event. */
static void rearm(void)
{
    uint32_t now = bytering_peer(&to_store);

    evtchn_eoi(port, since_eoi.received || now != since_eoi.store_read);
    since_eoi.received = false;
    since_eoi.store_read = now;
}

static bool readable(void)
{
    return bytering_available(&from_store) != 0 || is_broken();
}

/* Until there is something to read, or the end of it all. An event may only say that the store took
 * our request: then it is allowed again, for the answer. */
static void wait_for_bytes(void)
{
    do {
        store_relaxed(&event_came, false);
        rearm();
        (void)wait_until(&activity, readable() || load_relaxed(&event_came), NEVER);
    } while (!readable());
}

/* Fill buf[len] from the ring, however long it takes. 0, or -EIO: broken. */
static int receive_bytes(void *buf, size_t len)
{
    char *to = buf;

    while (len > 0) {
        long n = bytering_receive(&from_store, to, len);

        if (n < 0)
            break_store("wrote nonsense into the ring");
        if (is_broken())
            return -EIO;
        to += n;
        len -= (size_t)n;
        if (n > 0)
            (void)evtchn_notify(port); /* of the room we made */
        else
            wait_for_bytes();
        since_eoi.received = since_eoi.received || n > 0;
    }
    return 0;
}

static void take_message(const struct xsd_sockmsg *header)
{
    static struct log_limit limit;
    bool known;

    message[header->len] = '\0';
    if (header->type == XS_WATCH_EVENT)
        known = xswatch_event(message, header->len);
    else
        known = take_answer(header);
    if (!known && log_allowed(&limit))
        log_warn("xenstore: dropped a message of type %u, id %u, %u bytes", header->type,
                 header->req_id, header->len);
}

static void read_messages(void *arg)
{
    struct xsd_sockmsg header;

    (void)arg;
    while (receive_bytes(&header, sizeof(header)) == 0) {
        if (header.len > XENSTORE_PAYLOAD_MAX) {
            break_store("sent too long a message"); /* I2 */
            return;
        }
        if (receive_bytes(message, header.len) != 0)
            return;
        take_message(&header);
    }
}

static void read_messages_of_port(void *arg)
{
    int rc = evtchn_adopt(port, handle_event, NULL);

    if (rc == 0)
        read_messages(arg);
    else
        break_store("cannot have its event channel");
}

/* The reader begins with the first call. 0 or -ENOMEM. */
static int start_reader(void)
{
    struct thread *t;
    int rc = 0;

    if (load_acquire(&reader) != NULL)
        return 0;
    mutex_lock(&starting);
    if (message == NULL)
        message = heap_alloc(XENSTORE_PAYLOAD_MAX + 1);
    if (message == NULL)
        rc = -ENOMEM;
    else if (reader == NULL)
        rc = thread_create("xenstore", PRIO_DRIVER, STACK_SIZE, read_messages_of_port, NULL, &t);
    if (rc == 0 && reader == NULL)
        store_release(&reader, t); /* other calls look without the mutex */
    mutex_unlock(&starting);
    return rc;
}

void xswire_init(const struct bootinfo *boot)
{
    struct xenstore_domain_interface *page = boot->store_page;

    if (page == NULL || boot->store_port == PORT_NONE)
        return;
    port = boot->store_port;
    bytering_init_sender(&to_store, page->req, sizeof(page->req), &page->req_prod, &page->req_cons);
    bytering_init_receiver(&from_store, page->rsp, sizeof(page->rsp), &page->rsp_prod,
                           &page->rsp_cons);
    present = true;
}

bool xswire_present(void)
{
    return present;
}
