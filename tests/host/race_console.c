/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The console on several CPUs at once, under the thread sanitizer: writers, readers, those who only
 * ask, and its handler are threads of the host, and so is the other end of its rings. That one
 * takes and types what it should, if slowly; or sleeps, so that text is dropped; or writes any
 * index at any time.
 *
 * Promises: with a patient writer no byte is lost, and each writer's and each reader's stay in
 * order; what is lost without patience is counted, to the byte; hostile indices end no call's
 * bounds and nothing else, and afterwards it works again; after console_end nothing follows its
 * line. Prints nothing and returns 0 when all is well.
 */
#include <arch/hypercall.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>
#include <xen/io/console.h>
#include "kernel/console.h"
#include "kernel/time.h"
#include "lib/base/assert.h"
#include "lib/base/atomic.h"
#include "lib/base/macros.h"
#include "tests/host/raceports.h"
#include "tests/host/racerig.h"

#define WRITERS 4
#define READERS 2
#define LETTERS 24 /* each writer has so many of its own, in turn: above all controls */
#define TYPED 251  /* so many bytes are typed in turn */
#define STORM_MS 1200
#define PATIENCE (1000 * NSEC_PER_SEC)

static enum { SLOW, ASLEEP, HOSTILE, LAST_LINE } scene;
static struct xencons_interface page;
static bool over, back_over;

int hypercall_sched(unsigned op, void *arg)
{
    (void)op;
    (void)arg;
    sched_yield();
    return 0;
}

int hypercall_console(const char *text, size_t len)
{
    (void)text;
    (void)len;
    panic("this is no dom0");
}

/* ---- the other end: what it took ---- */

static struct {
    uint32_t cons, prod; /* ours of the two rings */
    uint64_t taken, newlines, returns;
    unsigned next[WRITERS]; /* the letter that is to come */
    unsigned type;
    uint64_t typed;
    char last[64]; /* the newest bytes */
} back;

static void take_byte(unsigned char c)
{
    unsigned writer = (c - 'A') / LETTERS, letter = (c - 'A') % LETTERS;

    memmove(back.last, back.last + 1, sizeof(back.last) - 1);
    back.last[sizeof(back.last) - 1] = (char)c;
    back.taken++;
    back.newlines += c == '\n';
    back.returns += c == '\r';
    if (c < 'A' || scene != SLOW)
        return;
    if (letter != back.next[writer])
        panic("writer %u: letter %u instead of %u", writer, letter, back.next[writer]);
    back.next[writer] = (letter + 1) % LETTERS;
}

/* At most (max) bytes. */
static unsigned take(uint32_t max)
{
    uint32_t n = load_acquire(&page.out_prod) - back.cons;

    if (n > sizeof(page.out))
        panic("%u bytes in a ring of %zu", n, sizeof(page.out));
    n = MIN(n, max);
    for (uint32_t i = 0; i < n; i++)
        take_byte((unsigned char)page.out[back.cons++ % sizeof(page.out)]);
    store_release(&page.out_cons, back.cons);
    return n;
}

static unsigned type(uint32_t max)
{
    uint32_t used = back.prod - load_acquire(&page.in_cons), n;

    if (used > sizeof(page.in))
        panic("%u bytes in a ring of %zu", used, sizeof(page.in));
    n = MIN(max, (uint32_t)sizeof(page.in) - used);
    for (uint32_t i = 0; i < n; i++) {
        page.in[back.prod++ % sizeof(page.in)] = (char)back.type;
        back.type = (back.type + 1) % TYPED;
    }
    back.typed += n;
    store_release(&page.in_prod, back.prod);
    return n;
}

static uint32_t any_index(uint32_t near)
{
    return random_below(2) ? near + random_below(8192) - 4096 : random_below(UINT32_MAX);
}

/* Any byte of a ring may change while it is read: of that the sanitizer is not told. */
__attribute__((no_sanitize("thread"))) static void scribble(void)
{
    for (unsigned i = 0; i < 64; i++)
        *(volatile char *)&page.in[random_below(sizeof(page.in))] = (char)random_below(256);
}

static void write_any_index(void)
{
    switch (random_below(8)) {
    case 0:
        store_release(&page.out_prod, any_index(0)); /* ours: of no effect */
        break;
    case 1:
        store_release(&page.in_cons, any_index(0));
        break;
    case 2:
        store_release(&page.out_cons, any_index(load_acquire(&page.out_prod)));
        break;
    case 3:
        store_release(&page.in_prod, any_index(load_acquire(&page.in_cons)));
        break;
    default: /* now and then there is room */
        store_release(&page.out_cons, load_acquire(&page.out_prod));
    }
}

static void act(void)
{
    unsigned moved = 0;

    if (scene == HOSTILE) {
        write_any_index();
        scribble();
    } else if (scene != ASLEEP || random_below(50) == 0) {
        moved = take(random_below(300));
        moved += type(random_below(40));
    }
    if (random_below(3) != 0)
        raceports_raise(RACE_PORT_CONSOLE);
    if (moved < 200)
        usleep(random_below(200));
}

static void *run_back(void *arg)
{
    while (!load_acquire(&back_over))
        act();
    return arg;
}

/* ---- this end ---- */

static uint64_t written, lines; /* cooked bytes */

/* A line of letters in turn: at most what is cooked at once, or several times that. */
static void writer(void *arg)
{
    unsigned me = (unsigned)(uintptr_t)arg, letter = 0;
    char line[400];

    while (!load_relaxed(&over)) {
        size_t len = random_below(random_below(4) == 0 ? sizeof(line) : 60), newline = 0;

        for (size_t i = 0; i < len; i++, letter = (letter + 1) % LETTERS)
            line[i] = (char)('A' + me * LETTERS + letter);
        if (len > 0) {
            letter = (letter + LETTERS - 1) % LETTERS;
            line[len - 1] = '\n';
            newline = 1;
        }
        console_write(line, len, scene == SLOW ? PATIENCE : random_below(3) * NSEC_PER_MSEC);
        atomic_add(&written, len + newline);
        atomic_add(&lines, newline);
    }
}

static uint64_t received;
static unsigned hooked;

static void on_input(void)
{
    atomic_add(&hooked, 1);
}

/* What one call gives was typed without a gap. */
static void reader(void *arg)
{
    char text[100];
    long n;

    (void)arg;
    while (!load_relaxed(&over)) {
        n = console_read(text, 1 + random_below(sizeof(text)), time_now() + 20 * NSEC_PER_MSEC);
        if (n < 0 || n > (long)sizeof(text))
            panic("read: %ld", n);
        atomic_add(&received, (uint64_t)n);
        for (long i = 1; i < n && scene != HOSTILE; i++)
            if ((unsigned char)text[i] != ((unsigned char)text[i - 1] + 1) % TYPED)
                panic("read %u after %u", (unsigned char)text[i], (unsigned char)text[i - 1]);
    }
}

static void asker(void *arg)
{
    struct console_stats stats;

    (void)arg;
    while (!load_relaxed(&over)) {
        (void)console_readable();
        console_get_stats(&stats);
        console_on_input(on_input);
        if (random_below(20) == 0)
            console_drain(NSEC_PER_MSEC);
        usleep(random_below(300));
    }
}

/* ---- what must hold at the end ---- */

static pthread_t back_thread;

static void drain_output(void)
{
    while (take(UINT32_MAX) > 0)
        ;
}

static void drain_input(void)
{
    char text[100];

    for (long n = 1; n > 0; received += (uint64_t)n)
        n = console_read(text, sizeof(text), time_now());
}

static void check_counts(void)
{
    struct console_stats stats;

    drain_output();
    drain_input();
    console_get_stats(&stats);
    if (back.taken + stats.dropped != written || stats.protocol_errors != 0)
        panic("%lu bytes written, %lu taken, %lu dropped, %lu errors", (unsigned long)written,
              (unsigned long)back.taken, (unsigned long)stats.dropped,
              (unsigned long)stats.protocol_errors);
    if (scene == SLOW && (stats.dropped != 0 || back.newlines != lines || back.returns != lines))
        panic("%lu dropped; %lu lines, %lu of them taken", (unsigned long)stats.dropped,
              (unsigned long)lines, (unsigned long)back.newlines);
    if (scene == ASLEEP && stats.dropped == 0)
        panic("nothing was dropped");
    if (received != back.typed || received == 0)
        panic("%lu bytes typed, %lu received", (unsigned long)back.typed, (unsigned long)received);
}

static bool ends_with(const char *text)
{
    size_t len = strlen(text);

    return memcmp(back.last + sizeof(back.last) - len, text, len) == 0;
}

/* Whatever (prod) says, we have read all up to it in the end, and said so. */
static void settle_input(uint32_t prod)
{
    store_release(&page.in_prod, prod);
    drain_input();
}

/* The other end comes to its senses, and begins anew where we are. */
static void check_recovery(void)
{
    struct console_stats stats;
    char text[10];

    console_get_stats(&stats);
    if (stats.protocol_errors == 0)
        panic("no nonsense was seen");
    settle_input(0);
    settle_input(1);
    back.prod = load_acquire(&page.in_cons);
    store_release(&page.out_cons, load_acquire(&page.out_cons) ^ 0x80000000);
    console_write("x", 1, NSEC_PER_SEC);
    back.cons = load_acquire(&page.out_prod);
    store_release(&page.out_cons, back.cons);
    console_write("well\n", 5, NSEC_PER_SEC);
    (void)take(UINT32_MAX);
    (void)type(10);
    if (back.prod != 11 || !ends_with("well\r\n") || console_read(text, 10, time_now()) != 10)
        panic("it does not recover");
}

static void check_last_line(void)
{
    drain_output();
    if (!ends_with("\nexit status 7\r\n"))
        panic("something follows the last line: %.64s", back.last);
    console_break_locks();
    console_write("panic\n", 6, 0);
    drain_output();
    if (!ends_with("7\r\npanic\r\n"))
        panic("a panic is not heard");
}

/* ---- the storm ---- */

static void start(struct thread **t, void (*fn)(void *arg), uintptr_t arg)
{
    if (thread_create("storm", PRIO_NORMAL, 0, fn, (void *)arg, t) != 0)
        panic("no thread");
}

static void storm(void)
{
    struct thread *threads[WRITERS + READERS + 1];
    unsigned n = 0;

    for (uintptr_t i = 0; i < WRITERS; i++)
        start(&threads[n++], writer, i);
    for (uintptr_t i = 0; i < READERS; i++)
        start(&threads[n++], reader, i);
    start(&threads[n++], asker, 0);
    usleep(STORM_MS * 1000 / 2);
    if (scene == LAST_LINE)
        console_end("exit status 7", PATIENCE);
    usleep(STORM_MS * 1000 / 2);
    store_relaxed(&over, true);
    while (n > 0)
        thread_join(threads[--n]);
}

static void run(unsigned which)
{
    static void (*const check[])(void) = {check_counts, check_counts, check_recovery,
                                          check_last_line};
    struct bootinfo boot = {.console_page = &page, .console_port = RACE_PORT_CONSOLE};

    scene = which;
    race_begin(120);
    back.cons = page.out_prod = page.out_cons = 0xfffffc00; /* they wrap soon */
    back.prod = page.in_prod = page.in_cons = 0xffffff00;
    console_init(&boot);
    raceports_start();
    console_start();
    if (pthread_create(&back_thread, NULL, run_back, NULL) != 0)
        panic("no thread");
    storm();
    store_release(&back_over, true);
    pthread_join(back_thread, NULL);
    raceports_stop();
    check[scene]();
}

int main(void)
{
    static const char *const names[] = {"a slow console", "a sleeping console", "a hostile console",
                                        "a slow console, at the end"};

    return race_scenes(ARRAY_SIZE(names), names, run);
}
