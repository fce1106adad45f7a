/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Kernel messages. A line is built on the caller's stack, appended to a ring in memory (also
 * what was too detailed to print, so that a dump shows it), then given to the console.
 *
 * Any context, event handlers and panic included: the one lock is held for copying a line, never
 * while the console is waited for. Lines of several CPUs may reach ring and console in different
 * orders; each line is whole.
 */
#include "kernel/log.h"

#include <stdarg.h>
#include "kernel/console.h"
#include "kernel/option.h"
#include "kernel/spinlock.h"
#include "kernel/thread.h"
#include "lib/base/format.h"
#include "lib/base/string.h"

#define LINE_MAX_LEN 256
#define RING_SIZE 8192 /* power of two */

#define LIMIT_COUNT 5
#define LIMIT_PERIOD (5 * NSEC_PER_SEC)

static char ring[RING_SIZE];
static uint64_t ring_end; /* bytes ever written */
static enum log_level print_level = LOG_INFO;
static struct spinlock lock = SPINLOCK_INIT; /* ring, and every log_limit */
static bool broken;
static const char *postponed;

static const char *const prefixes[] = {
    [LOG_ERR] = "error: ",
    [LOG_WARN] = "warning: ",
    [LOG_INFO] = "",
    [LOG_DEBUG] = "debug: ",
};

/* Once broken, an unlock without a lock is harmless: nobody takes tickets any more. */
static irqstate_t log_lock(void)
{
    return load_relaxed(&broken) ? irq_save() : spin_lock(&lock);
}

void log_break_locks(void)
{
    store_relaxed(&broken, true);
}

static void ring_append(const char *line, size_t len)
{
    irqstate_t state = log_lock();

    for (size_t i = 0; i < len; i++)
        ring[ring_end++ & (RING_SIZE - 1)] = line[i];
    spin_unlock(&lock, state);
}

/* "[    1.234567] warning: text\n", cut to (size) with its newline. The length. */
static size_t build_line(char *line, size_t size, enum log_level level, const char *fmt, va_list ap)
{
    unsigned long us = clock_read() / 1000;
    size_t len;

    len =
        (size_t)format(line, size, "[%5lu.%06lu] %s", us / 1000000, us % 1000000, prefixes[level]);
    len += (size_t)vformat(line + len, size - len, fmt, ap);
    len = MIN(len, size - 2);
    line[len++] = '\n';
    return len;
}

void log_postpone(const char *text)
{
    store_relaxed(&postponed, text);
}

void log_print(enum log_level level, const char *fmt, ...)
{
    char line[LINE_MAX_LEN];
    const char *late = NULL;
    size_t len;
    va_list ap;

    if (load_relaxed(&postponed) != NULL)
        late = atomic_exchange(&postponed, (const char *)NULL);
    if (late != NULL)
        log_warn("%s, some time ago", late);
    va_start(ap, fmt);
    len = build_line(line, sizeof(line), level, fmt, ap);
    va_end(ap);
    ring_append(line, len);
    if (log_prints(level))
        console_write(line, len, CONSOLE_BRIEFLY);
}

void log_set_level(enum log_level level)
{
    store_relaxed(&print_level, level);
}

bool log_prints(enum log_level level)
{
    return level <= load_relaxed(&print_level);
}

void log_init(void)
{
    static const char *const names[] = {"err", "warn", "info", "debug"};
    const char *name = option_get("log");

    if (name == NULL)
        return;
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
        if (strcmp(name, names[i]) == 0) {
            log_set_level((enum log_level)i);
            return;
        }
    }
    log_warn("option: paravane.log=%s is ignored; write =err, =warn, =info or =debug", name);
}

bool log_allowed(struct log_limit *l)
{
    irqstate_t state = log_lock();
    nsec_t now = clock_read(); /* not before: (since) would be later than that */
    bool allowed;

    if (l->count == 0 || now - l->since >= LIMIT_PERIOD) {
        l->since = now;
        l->count = 0;
    }
    allowed = l->count < LIMIT_COUNT;
    l->count += allowed;
    spin_unlock(&lock, state);
    return allowed;
}

size_t log_copy(char *buf, size_t size)
{
    irqstate_t state = log_lock();
    size_t len = MIN(MIN(ring_end, (uint64_t)RING_SIZE), size - 1);

    for (size_t i = 0; i < len; i++)
        buf[i] = ring[(ring_end - len + i) & (RING_SIZE - 1)];
    spin_unlock(&lock, state);
    buf[len] = '\0';
    return len;
}
