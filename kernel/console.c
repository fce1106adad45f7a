/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The PV console (xen/io/console.h): two byte rings in one page, and an event channel. As dom0
 * there is no ring; output goes to Xen's own console and there is no input.
 *
 * Out: text is cooked ("\n" to "\r\n") piece by piece and copied into the ring under (out_lock).
 * When the ring is full the writer lets go of the lock and gives the CPU away until the reader took
 * something, for as long as its caller has patience; then the rest is dropped and counted, and
 * while that reader sleeps on, writers with no more patience drop at once. Writers that meet a full
 * ring may interleave.
 * In: the event handler moves bytes to a small private buffer; readers top it up themselves.
 *
 * I1 The other end may write any index at any time. -EPROTO from the ring makes us believe its
 *    index once and go on with an empty ring; what was in it is lost, nothing else.
 * I2 No lock is held while waiting, and every wait ends, also with a clock that stands still.
 * I3 After console_break_locks no lock is waited for: the caller has stopped all other CPUs. What
 *    it writes then is worth waiting for, also when the reader let others wait for nothing.
 * I4 After console_end nothing follows its line, whoever still runs and writes; only panic does.
 *
 * Contexts: console_write, console_drain: any. console_read: threads.
 */
#include "kernel/console.h"

#include "kernel/bytering.h"
#include "kernel/evtchn.h"
#include "kernel/log.h"
#include "kernel/spinlock.h"
#include "kernel/time.h"
#include "kernel/wait.h"
#include <arch/hypercall.h>
#include <xen/io/console.h>
#include <xen/sched.h>
#include "lib/base/format.h"
#include "lib/base/string.h"

#define COOKED_MAX 128
#define INPUT_MAX 256                  /* power of two */
#define LAST_WORDS (10 * NSEC_PER_SEC) /* patience once only one CPU is left */
#define STALL_PAUSES 20000             /* I2: the bound when the clock does not move */

static bool hypervisor_console;
static struct xencons_interface *page;
static port_t port;  /* PORT_NONE: no events */
static bool started; /* threads run, events arrive */

static struct spinlock out_lock = SPINLOCK_INIT;
static struct bytering out;
static nsec_t waited; /* how long the reader let a writer wait for nothing */
static uint32_t reader_seen;
static bool mid_line; /* the last byte was no newline */
static bool ended;    /* I4 */

static struct spinlock in_lock = SPINLOCK_INIT;
static struct bytering in;
static char input[INPUT_MAX];
static uint32_t input_prod, input_cons;
static struct waitq readers = WAITQ_INIT(readers);
static void (*on_input)(void);

static struct console_stats stats;
static bool broken;

/* I3. An unlock without a lock is harmless then: nobody takes tickets any more. */
static irqstate_t lock(struct spinlock *l)
{
    return load_relaxed(&broken) ? irq_save() : spin_lock(l);
}

void console_break_locks(void)
{
    store_relaxed(&broken, true);
    store_relaxed(&waited, 0);
}

void console_get_stats(struct console_stats *result)
{
    result->dropped = load_relaxed(&stats.dropped);
    result->protocol_errors = load_relaxed(&stats.protocol_errors);
}

void console_init(const struct bootinfo *boot)
{
    hypervisor_console = boot->is_dom0;
    if (boot->is_dom0 || boot->console_page == NULL)
        return;
    page = boot->console_page;
    port = boot->console_port;
    bytering_init_sender(&out, page->out, sizeof(page->out), &page->out_prod, &page->out_cons);
    bytering_init_receiver(&in, page->in, sizeof(page->in), &page->in_prod, &page->in_cons);
}

static void notify(void)
{
    if (port != PORT_NONE)
        (void)evtchn_notify(port);
}

/* ---- output ---- */

/* (rc) from (r): a negative one is the other end's nonsense, and counts as nothing done. I1 */
static size_t judge(struct bytering *r, long rc)
{
    if (rc >= 0)
        return (size_t)rc;
    atomic_add(&stats.protocol_errors, 1);
    bytering_reset(r);
    return 0;
}

/* Whether what is written now comes too late. I4 */
static bool is_over(void)
{
    return load_relaxed(&ended) && !load_relaxed(&broken);
}

/* Under (out_lock): as much as fits now. */
static size_t send(const char *text, size_t len)
{
    size_t n = judge(&out, bytering_send(&out, text, len));

    if (n > 0)
        store_relaxed(&mid_line, text[n - 1] != '\n');
    return n;
}

/* As much as fits now. (A console is slow, and every image has this: small matters more.) */
static NOINLINE size_t put(const char *text, size_t len)
{
    irqstate_t state = lock(&out_lock);
    size_t n = is_over() ? len : send(text, len);

    spin_unlock(&out_lock, state);
    if (n > 0)
        notify();
    return n;
}

static size_t room(void)
{
    irqstate_t state = lock(&out_lock);
    size_t n = judge(&out, bytering_available(&out));

    spin_unlock(&out_lock, state);
    return n;
}

/* Give the CPU away for a moment. Threads sleep, so that a slow reader costs no CPU. */
static void pause_writer(void)
{
    bool may_block = load_relaxed(&started) && !load_relaxed(&broken) && !cpu_in_event() &&
                     irq_enabled() && cpu_preempt_count() == 0;

    if (may_block)
        thread_sleep_until(clock_read() + NSEC_PER_MSEC);
    else
        (void)hypercall_sched(SCHEDOP_yield, NULL);
}

/* Wait until (want) bytes fit: false when that took too long. */
static bool wait_for_room(size_t want, nsec_t deadline)
{
    nsec_t now, before = 0;
    unsigned stalled = 0;

    while (room() < want) {
        now = clock_read();
        stalled = now == before ? stalled + 1 : 0;
        before = now;
        if (now >= deadline || stalled > STALL_PAUSES) /* I2 */
            return false;
        pause_writer();
    }
    return true;
}

static void put_or_drop(const char *text, size_t len, nsec_t patience)
{
    size_t done = put(text, len);
    nsec_t so_far = load_relaxed(&waited), deadline;

    if (load_relaxed(&broken))
        patience = MAX(patience, LAST_WORDS);
    deadline = clock_read() + patience;
    while (done < len && so_far < patience && wait_for_room(len - done, deadline))
        done += put(text + done, len - done); /* less, if somebody else waited for it, too */
    store_relaxed(&waited, done < len ? MAX(so_far, patience) : 0);
    if (done < len)
        atomic_add(&stats.dropped, len - done);
}

/* Cook text[0, len) into (out): returns what was consumed, *(cooked_len) what was made. */
static size_t cook(const char *text, size_t len, char *cooked, size_t *cooked_len)
{
    size_t used = 0, made = 0;

    while (used < len && made + 2 <= COOKED_MAX) {
        if (text[used] == '\n')
            cooked[made++] = '\r';
        cooked[made++] = text[used++];
    }
    *cooked_len = made;
    return used;
}

/* Xen cooks by itself. In pieces, for the sake of who waits for the lock. */
static void tell_xen(const char *text, size_t len)
{
    size_t n;

    for (; len > 0; text += n, len -= n) {
        irqstate_t state = lock(&out_lock);

        n = MIN(len, (size_t)COOKED_MAX);
        if (!is_over()) {
            store_relaxed(&mid_line, text[n - 1] != '\n');
            (void)hypercall_console(text, n);
        }
        spin_unlock(&out_lock, state);
    }
}

void console_write(const char *text, size_t len, nsec_t patience)
{
    char cooked[COOKED_MAX];
    size_t used, made;

    if (hypervisor_console)
        tell_xen(text, len);
    if (page == NULL)
        return;
    for (; len > 0; text += used, len -= used) {
        used = cook(text, len, cooked, &made);
        put_or_drop(cooked, made, patience);
    }
}

/* From now on only the caller writes: whether it begins within somebody's line. */
static bool silence_others(void)
{
    irqstate_t state = lock(&out_lock);
    bool torn = load_relaxed(&mid_line);

    store_relaxed(&ended, true); /* I4 */
    spin_unlock(&out_lock, state);
    return torn;
}

void console_end(const char *line, nsec_t timeout)
{
    char text[COOKED_MAX / 2], cooked[COOKED_MAX];
    size_t len = (size_t)format(text, sizeof(text), "%s%s\n", silence_others() ? "\n" : "", line);
    size_t made;
    irqstate_t state;

    if (hypervisor_console)
        (void)hypercall_console(text, len);
    if (page == NULL)
        return;
    (void)cook(text, len, cooked, &made);
    if (!wait_for_room(made, clock_read() + timeout)) {
        atomic_add(&stats.dropped, made); /* rather than half of it */
        return;
    }
    state = lock(&out_lock);
    (void)send(cooked, made);
    spin_unlock(&out_lock, state);
    notify();
}

void console_drain(nsec_t timeout)
{
    if (page != NULL)
        (void)wait_for_room(sizeof(page->out), clock_read() + timeout);
}

/* ---- input ---- */

/* Move what fits from the ring to the private buffer; under (in_lock). The count. */
static size_t fill_input(void)
{
    char piece[64];
    size_t total = 0, n;

    do {
        n = MIN(sizeof(piece), INPUT_MAX - (size_t)(input_prod - input_cons));
        n = judge(&in, bytering_receive(&in, piece, n));
        for (size_t i = 0; i < n; i++)
            input[input_prod++ & (INPUT_MAX - 1)] = piece[i];
        total += n;
    } while (n > 0);
    return total;
}

/* True when the reader of our output moved since the last time. */
static bool reader_moved(void)
{
    irqstate_t state = lock(&out_lock);
    uint32_t now = bytering_peer(&out);
    bool moved = now != reader_seen;

    reader_seen = now;
    spin_unlock(&out_lock, state);
    return moved;
}

static void handle_event(port_t p, void *arg)
{
    irqstate_t state = lock(&in_lock);
    size_t arrived = fill_input();
    void (*hook)(void) = on_input;

    (void)arg;
    spin_unlock(&in_lock, state);
    if (arrived > 0) {
        notify();
        waitq_wake_all(&readers);
        if (hook != NULL)
            hook();
    }
    evtchn_eoi(p, reader_moved() || arrived > 0);
}

void console_start(void)
{
    int rc;

    store_relaxed(&started, true);
    if (page == NULL || port == PORT_NONE)
        return;
    rc = evtchn_adopt(port, handle_event, NULL);
    if (rc != 0)
        log_warn("console: no input: port %u: %d", port, rc);
}

void console_on_input(void (*fn)(void))
{
    irqstate_t state = lock(&in_lock);

    on_input = fn;
    spin_unlock(&in_lock, state);
}

bool console_readable(void)
{
    irqstate_t state;
    bool readable;

    if (page == NULL)
        return false;
    state = lock(&in_lock);
    readable = input_prod != input_cons || judge(&in, bytering_available(&in)) > 0;
    spin_unlock(&in_lock, state);
    return readable;
}

/* What is there now; the other end hears of the room it made. */
static size_t take_input(char *buf, size_t len)
{
    irqstate_t state = lock(&in_lock);
    size_t moved = fill_input(), n = 0;

    while (n < len && input_cons != input_prod)
        buf[n++] = input[input_cons++ & (INPUT_MAX - 1)];
    moved += fill_input();
    spin_unlock(&in_lock, state);
    if (moved > 0)
        notify();
    return n;
}

long console_read(char *buf, size_t len, nsec_t deadline)
{
    if (page == NULL)
        return -EIO;
    if (wait_until(&readers, console_readable(), deadline) != 0)
        return 0;
    return (long)take_input(buf, len);
}
