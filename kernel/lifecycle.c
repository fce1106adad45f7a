/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shutdown and exit. The toolstack writes a word into control/shutdown; we acknowledge it by
 * writing the empty string, then obey. A word that we do not know is acknowledged and ignored: it
 * is no reason to die.
 *
 *    control/shutdown --watch--> obey --> application asked? --yes--> it ends, or its time does
 *                                                  |--no--> lifecycle_exit
 *
 * I1 The way out is walked once, by whoever comes first. Each step on it is bounded: xenstore by
 *    XS_TIMEOUT, the console by DRAIN_NS for the last line and for all of them.
 */
#include "kernel/lifecycle.h"

#include <arch/hypercall.h>
#include <xen/sched.h>
#include "kernel/console.h"
#include "kernel/lockcheck.h"
#include "kernel/log.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "kernel/xenstore.h"
#include "lib/base/atomic.h"
#include "lib/base/errno.h"
#include "lib/base/format.h"
#include "lib/base/string.h"

#define DRAIN_NS (2 * NSEC_PER_SEC)
#define WORD_MAX 32

static const struct command {
    const char *word;
    enum lifecycle_request request;
} commands[] = {
    {"poweroff", LIFECYCLE_POWEROFF},
    {"halt", LIFECYCLE_POWEROFF},
    {"reboot", LIFECYCLE_REBOOT},
};

static const unsigned reasons[] = {
    [LIFECYCLE_POWEROFF] = SHUTDOWN_poweroff,
    [LIFECYCLE_REBOOT] = SHUTDOWN_reboot,
};

static struct xs_watch watch;
static bool (*ask_application)(enum lifecycle_request request);
static enum lifecycle_request wanted = LIFECYCLE_POWEROFF;
static bool obeying, leaving;

void lifecycle_on_shutdown(bool (*fn)(enum lifecycle_request request))
{
    store_release(&ask_application, fn);
}

static void say_status(int status)
{
    char line[WORD_MAX];

    format(line, sizeof(line), "exit status %d", status);
    console_end(line, DRAIN_NS);
}

void lifecycle_exit(int status)
{
    if (atomic_exchange(&leaving, true)) /* I1 */
        thread_exit();
    if (xs_printf(XS_NO_TX, "data/exit-status", "%d", status) != 0)
        log_debug("lifecycle: data/exit-status is not writable");
    lock_report();
    say_status(status);
    console_drain(DRAIN_NS);
    hypercall_shutdown(reasons[load_relaxed(&wanted)]);
}

static void end_after_grace(void *arg)
{
    (void)arg;
    thread_sleep_until(time_now() + LIFECYCLE_GRACE);
    log_warn("lifecycle: the application did not end in time");
    lifecycle_exit(1);
}

static void obey(enum lifecycle_request request)
{
    bool (*ask)(enum lifecycle_request) = load_acquire(&ask_application);
    struct thread *grace;

    if (atomic_exchange(&obeying, true))
        return;
    store_relaxed(&wanted, request);
    if (ask == NULL || !ask(request))
        lifecycle_exit(0);
    if (thread_create("grace", PRIO_HIGH, 0, end_after_grace, NULL, &grace) != 0)
        lifecycle_exit(0);
    thread_detach(grace);
}

static const struct command *find_command(const char *word)
{
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        if (strcmp(word, commands[i].word) == 0)
            return &commands[i];
    return NULL;
}

static void announce(void)
{
    int rc = xs_write(XS_NO_TX, "control/feature-poweroff", "1");

    if (rc == 0)
        rc = xs_write(XS_NO_TX, "control/feature-reboot", "1");
    if (rc != 0)
        log_warn("lifecycle: what we obey cannot be announced: %d", rc);
}

/* Also called once for a new watch: by then it works, and the boot does not wait for us. */
static void shutdown_changed(struct xs_watch *w)
{
    static struct log_limit limit;
    static bool announced;
    const struct command *command = NULL;
    char word[WORD_MAX];
    long len;

    if (!announced)
        announce();
    announced = true;
    len = xs_read(XS_NO_TX, w->path, word, sizeof(word));
    if (len <= 0 && len != -EINVAL)
        return;
    /* What is too long or not text (-EINVAL) is an unknown word as well. */
    if (len > 0)
        command = find_command(word);
    if (xs_write(XS_NO_TX, w->path, "") != 0 && log_allowed(&limit))
        log_warn("lifecycle: control/shutdown cannot be acknowledged");
    if (command != NULL)
        obey(command->request);
    else if (log_allowed(&limit))
        log_warn("lifecycle: unknown shutdown request ignored");
}

void lifecycle_init(void)
{
    int rc = xs_watch(&watch, "control/shutdown", shutdown_changed, NULL);

    if (rc != 0 && rc != -ENXIO)
        log_warn("lifecycle: shutdown requests will not be heard: %d", rc);
}
