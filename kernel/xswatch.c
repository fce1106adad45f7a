/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Xenstore watches. The wire's reader only sets a flag; one thread, the watcher, calls the
 * functions of the watches that have it set, one after the other.
 *
 * I1 Watch events cost no memory: one flag per watch, whatever the rate; and a bounded share of the
 *    CPU: the watcher is paced.
 * I2 The watcher does not touch a watch after calling its function, except when (current) still
 *    names it: xs_unwatch from within the function clears that, and the memory may be gone.
 * I3 Tokens are never used twice, so an event that crosses an unwatch finds nothing.
 */
#include "kernel/xswatch.h"

#include "kernel/mutex.h"
#include "kernel/spinlock.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "kernel/wait.h"
#include "kernel/xenstore.h"
#include "kernel/xswire.h"
#include "lib/base/errno.h"
#include "lib/base/format.h"
#include "lib/base/parse.h"
#include "lib/base/string.h"

#define STACK_SIZE (32 * 1024)
#define WATCH_PERIOD (100 * NSEC_PER_MSEC)
#define WATCH_BURST 50
#define TOKEN_MAX 16 /* digits of a token, with NUL */

static struct spinlock lock = SPINLOCK_INIT; /* all below */
static struct list watches = LIST_INIT(watches);
static unsigned nr_watches;
static uint32_t last_token;
static struct xs_watch *current; /* whose function runs */

static struct waitq work = WAITQ_INIT(work);   /* a watch became pending */
static struct waitq quiet = WAITQ_INIT(quiet); /* a watch's function returned */
static struct thread *watcher;
static struct mutex starting = MUTEX_INIT(starting); /* (watcher) */

/* ---- events ---- */

/* message[len] must be "path\0token\0". The token's text, or NULL. */
static const char *token_of(const char *message, size_t len)
{
    const char *token;

    if (len == 0 || message[len - 1] != '\0')
        return NULL;
    token = message + strlen(message) + 1;
    if (token >= message + len || token + strlen(token) + 1 != message + len)
        return NULL;
    return token;
}

/* Under (lock). NULL: no such watch (any more). */
static struct xs_watch *watch_of(uint32_t token)
{
    list_for_each (pos, &watches) {
        struct xs_watch *w = list_entry(pos, struct xs_watch, link);

        if (w->token == token)
            return w;
    }
    return NULL;
}

bool xswatch_event(const char *message, size_t len)
{
    const char *text = token_of(message, len);
    struct xs_watch *w;
    irqstate_t state;
    uint32_t token;

    if (text == NULL || parse_u32(text, 1, UINT32_MAX, &token) != 0)
        return false;
    state = spin_lock(&lock);
    w = watch_of(token);
    if (w != NULL)
        w->pending = true; /* I1 */
    spin_unlock(&lock, state);
    waitq_wake_all(&work);
    return true; /* I3 */
}

/* ---- the watcher ---- */

/* The next pending watch, to the end of the line for fairness. NULL: none. Under (lock). */
static struct xs_watch *next_pending(void)
{
    list_for_each (pos, &watches) {
        struct xs_watch *w = list_entry(pos, struct xs_watch, link);

        if (!w->pending)
            continue;
        list_remove(&w->link);
        list_push_back(&watches, &w->link);
        return w;
    }
    return NULL;
}

static bool start_one(void)
{
    irqstate_t state = spin_lock(&lock);
    struct xs_watch *w = next_pending();

    if (w != NULL) {
        w->pending = false;
        w->running = true;
    }
    current = w;
    spin_unlock(&lock, state);
    return w != NULL;
}

static void end_one(void)
{
    irqstate_t state = spin_lock(&lock);

    if (current != NULL)
        current->running = false; /* I2 */
    current = NULL;
    spin_unlock(&lock, state);
    waitq_wake_all(&quiet);
}

/* Called for each function run: more than WATCH_BURST of them in WATCH_PERIOD have to wait. */
static void pace_watches(void)
{
    static nsec_t start; /* the watcher's own */
    static unsigned count;

    if (time_now() - start >= WATCH_PERIOD) {
        start = time_now();
        count = 0;
    }
    if (++count > WATCH_BURST)
        thread_sleep_until(start + WATCH_PERIOD);
}

static void run_watches(void *arg)
{
    (void)arg;
    for (;;) {
        (void)wait_until(&work, start_one(), NEVER);
        current->fn(current);
        end_one();
        pace_watches();
    }
}

static int start_watcher(void)
{
    int rc = 0;

    mutex_lock(&starting);
    if (watcher == NULL)
        rc = thread_create("xenwatch", PRIO_HIGH, STACK_SIZE, run_watches, NULL, &watcher);
    mutex_unlock(&starting);
    return rc;
}

/* ---- watching ---- */

static long call_watch(enum xsd_sockmsg_type type, const char *path, uint32_t token)
{
    char text[TOKEN_MAX];
    struct xswire_part parts[] = {{path, strlen(path) + 1}, {text, 0}};

    parts[1].len = (size_t)format(text, sizeof(text), "%u", token) + 1;
    return xswire_call(type, XS_NO_TX, parts, ARRAY_SIZE(parts), NULL, 0);
}

/* Out of the list; false: it was not in it. */
static bool remove_watch(struct xs_watch *w)
{
    irqstate_t state = spin_lock(&lock);
    bool was = w->token != 0 && watch_of(w->token) == w;

    if (was) {
        list_remove(&w->link);
        w->token = 0;
        nr_watches--;
    }
    spin_unlock(&lock, state);
    return was;
}

/* Wait until the function of (w) is over; if we are it, let the watcher forget (w). I2 */
static void wait_until_quiet(struct xs_watch *w)
{
    irqstate_t state;

    if (thread_current() != watcher) {
        (void)wait_until(&quiet, !load_acquire(&w->running), NEVER);
        return;
    }
    state = spin_lock(&lock);
    if (current == w) {
        w->running = false;
        current = NULL;
    }
    spin_unlock(&lock, state);
}

int xs_watch(struct xs_watch *w, const char *path, void (*fn)(struct xs_watch *w), void *arg)
{
    irqstate_t state;
    uint32_t token;
    long rc;

    if (!xswire_present())
        return -ENXIO;
    if (string_copy(w->path, sizeof(w->path), path) != 0)
        return -ENAMETOOLONG;
    rc = start_watcher();
    if (rc != 0)
        return (int)rc;
    w->fn = fn;
    w->arg = arg;
    w->pending = w->running = false;
    state = spin_lock(&lock);
    last_token += 1 + (last_token == UINT32_MAX);
    token = w->token = last_token;
    list_push_back(&watches, &w->link);
    nr_watches++;
    spin_unlock(&lock, state);
    rc = call_watch(XS_WATCH, w->path, token); /* the first event may come before the answer */
    if (rc < 0 && remove_watch(w))
        wait_until_quiet(w);
    return (int)MIN(rc, 0);
}

void xs_unwatch(struct xs_watch *w)
{
    uint32_t token = w->token;

    if (remove_watch(w))
        (void)call_watch(XS_UNWATCH, w->path, token);
    wait_until_quiet(w);
}

unsigned xs_count_watches(void)
{
    return load_relaxed(&nr_watches);
}
