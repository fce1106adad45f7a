/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Xenstore watches. The wire's reader only sets a flag; one thread, the watcher, calls the
 * functions of the watches that have it set, one after the other.
 *
 * I1 Watch events cost no memory: one flag per watch, whatever the rate; and a bounded share of the
 *    CPU: the watcher is paced.
 * I2 The watcher does not touch a watch after calling its function: that may have ended it by
 *    xs_unwatch, and the memory may be gone. So that it runs is no word in the watch but its token
 *    in (running), from before the call until after it, whoever else ends the watch meanwhile.
 * I3 Tokens are never used twice, so an event that crosses an unwatch finds nothing. A watch keeps
 *    its own for good: several may end it at once, and all wait for the same function.
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
static uint32_t running; /* token of the watch whose function runs; 0: none. I2 */

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

static struct xs_watch *start_one(void)
{
    irqstate_t state = spin_lock(&lock);
    struct xs_watch *w = next_pending();

    if (w != NULL) {
        w->pending = false;
        store_relaxed(&running, w->token);
    }
    spin_unlock(&lock, state);
    return w;
}

static void end_one(void)
{
    store_release(&running, 0); /* pairs with wait_until_quiet: all that the function did is done */
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
    struct xs_watch *w;

    (void)arg;
    for (;;) {
        (void)wait_until(&work, (w = start_one()) != NULL, NEVER);
        w->fn(w);
        end_one();
        pace_watches();
    }
}

static int start_watcher(void)
{
    struct thread *t;
    int rc = 0;

    mutex_lock(&starting);
    if (load_relaxed(&watcher) == NULL) {
        rc = thread_create("xenwatch", PRIO_HIGH, STACK_SIZE, run_watches, NULL, &t);
        if (rc == 0)
            store_relaxed(&watcher, t); /* xs_unwatch compares it without a lock */
    }
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

/* Out of the list; false: it was not in it. By its token: the memory may be gone. */
static bool remove_watch(uint32_t token)
{
    irqstate_t state = spin_lock(&lock);
    struct xs_watch *w = watch_of(token);

    if (w != NULL) {
        list_remove(&w->link);
        nr_watches--;
    }
    spin_unlock(&lock, state);
    return w != NULL;
}

/* Wait until the function of the watch is over, unless we are it. */
static void wait_until_quiet(uint32_t token)
{
    if (thread_current() != load_relaxed(&watcher))
        (void)wait_until(&quiet, load_acquire(&running) != token, NEVER);
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
    w->pending = false;
    state = spin_lock(&lock);
    last_token += 1 + (last_token == UINT32_MAX);
    token = w->token = last_token;
    list_push_back(&watches, &w->link);
    nr_watches++;
    spin_unlock(&lock, state);
    rc = call_watch(XS_WATCH, path, token); /* an event may come before the answer, and end (w) */
    if (rc < 0 && remove_watch(token))
        wait_until_quiet(token);
    return (int)MIN(rc, 0);
}

void xs_unwatch(struct xs_watch *w)
{
    uint32_t token = w->token;

    if (token == 0)
        return; /* it never was one */
    if (remove_watch(token))
        (void)call_watch(XS_UNWATCH, w->path, token);
    wait_until_quiet(token);
}

unsigned xs_count_watches(void)
{
    irqstate_t state = spin_lock(&lock);
    unsigned n = nr_watches;

    spin_unlock(&lock, state);
    return n;
}
