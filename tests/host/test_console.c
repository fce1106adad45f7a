/* SPDX-License-Identifier: BSD-2-Clause */
/* The console: text both ways, and a reader that is slow, gone or hostile. */
#include "kernel/console.h"

#include <arch/cpu.h>
#include <arch/irq.h>
#include <string.h>
#include "kernel/log.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "lib/base/errno.h"
#include "lib/base/macros.h"
#include "tests/host/fakexen.h"
#include "tests/host/hostarch.h"
#include "tests/host/test.h"

FAKEXEN_BOOT(console)

#define MSEC NSEC_PER_MSEC

static void say(const char *text)
{
    console_write(text, strlen(text), CONSOLE_BRIEFLY);
}

static uint64_t dropped(void)
{
    struct console_stats stats;

    console_get_stats(&stats);
    return stats.dropped;
}

static uint64_t protocol_errors(void)
{
    struct console_stats stats;

    console_get_stats(&stats);
    return stats.protocol_errors;
}

/* ---- output ---- */

TEST(console, writes_lines_as_terminals_want_them)
{
    say("one\ntwo\n");
    CHECK(host_logged("one\r\ntwo\r\n"));
}

TEST(console, tells_the_reader)
{
    unsigned before = fakexen_count_notified(fakexen_bootinfo()->console_port);

    say("x");
    CHECK(fakexen_count_notified(fakexen_bootinfo()->console_port) > before);
}

TEST(console, writes_more_than_the_ring_holds)
{
    static char text[20001];

    for (size_t i = 0; i < sizeof(text) - 1; i++)
        text[i] = (char)('a' + i % 26);
    say(text);
    CHECK(host_logged(text));
    CHECK_EQ(dropped(), 0);
}

static bool ends_with(const char *text)
{
    size_t all = strlen(host_log()), len = strlen(text);

    return all >= len && strcmp(host_log() + all - len, text) == 0;
}

TEST(console, ends_with_a_line_of_its_own)
{
    say("torn");
    console_end("the last", NSEC_PER_SEC);
    say("too late\n");
    console_write("later\n", 6, CONSOLE_PATIENTLY);
    CHECK(ends_with("torn\r\nthe last\r\n"));
    CHECK_EQ(dropped(), 0);
}

TEST(console, ends_without_an_empty_line)
{
    say("whole\n");
    console_end("the last", NSEC_PER_SEC);
    CHECK(ends_with("whole\r\nthe last\r\n"));
}

TEST(console, ends_but_for_a_panic)
{
    console_end("the last", NSEC_PER_SEC);
    console_break_locks();
    say("panic\n");
    CHECK(ends_with("the last\r\npanic\r\n"));
}

TEST(console, ends_though_nobody_reads)
{
    static char text[10000];
    nsec_t start;
    uint64_t before;

    fakexen_console_freeze(true);
    memset(text, 'x', sizeof(text));
    console_write(text, sizeof(text), CONSOLE_BRIEFLY);
    before = dropped();
    start = clock_read();
    console_end("nobody reads this", 300 * MSEC);
    CHECK(clock_read() - start <= 310 * MSEC);
    CHECK_EQ(dropped(), before + strlen("\r\nnobody reads this\r\n"));
}

static void read_at_last(void *unused)
{
    (void)unused;
    thread_sleep_until(time_now() + 700 * MSEC);
    fakexen_console_freeze(false);
}

/* The last line is worth as much as the wait for the others, which comes after it. */
TEST(console, ends_when_the_reader_comes_late)
{
    static char text[10000];
    struct thread *t;

    console_start();
    CHECK_EQ(thread_create("reader", PRIO_NORMAL, 0, read_at_last, NULL, &t), 0);
    fakexen_console_freeze(true);
    memset(text, 'x', sizeof(text));
    console_write(text, sizeof(text), CONSOLE_BRIEFLY);
    console_end("the last", NSEC_PER_SEC);
    CHECK(ends_with("x\r\nthe last\r\n"));
    thread_join(t);
}

TEST(console, ends_its_wait_for_a_reader_that_sleeps)
{
    static char text[10000];
    nsec_t start = clock_read();

    fakexen_console_freeze(true);
    memset(text, 'x', sizeof(text));
    console_write(text, sizeof(text), CONSOLE_BRIEFLY);
    CHECK(clock_read() - start >= 100 * MSEC && clock_read() - start <= 110 * MSEC);
    CHECK(dropped() > 7000);
    start = clock_read();
    for (int i = 0; i < 100; i++)
        say("dropped at once\n");
    CHECK(clock_read() - start < 5 * MSEC);
}

TEST(console, waits_longer_for_what_a_program_says)
{
    static char text[10000];
    nsec_t start = clock_read();

    fakexen_console_freeze(true);
    console_write(text, sizeof(text), CONSOLE_BRIEFLY); /* which must not spoil it for the other */
    console_write(text, sizeof(text), CONSOLE_PATIENTLY);
    CHECK(clock_read() - start >= CONSOLE_PATIENTLY);
    CHECK(clock_read() - start <= CONSOLE_PATIENTLY + 210 * MSEC);
    start = clock_read();
    console_write(text, sizeof(text), CONSOLE_PATIENTLY);
    CHECK(clock_read() - start < 5 * MSEC);
}

TEST(console, writes_again_when_the_reader_wakes_up)
{
    static char text[5000];

    fakexen_console_freeze(true);
    memset(text, 'x', sizeof(text));
    console_write(text, sizeof(text), CONSOLE_BRIEFLY);
    fakexen_console_freeze(false);
    fakexen_settle();
    say("I am back\n");
    CHECK(host_logged("I am back"));
}

TEST(console, waits_in_handlers_and_with_upcalls_masked_just_as_briefly)
{
    static char text[10000];
    irqstate_t state = irq_save();
    nsec_t start = clock_read();

    fakexen_console_freeze(true);
    console_write(text, sizeof(text), CONSOLE_BRIEFLY);
    irq_restore(state);
    CHECK(clock_read() - start <= 110 * MSEC);
}

TEST(console, survives_any_consumer_index)
{
    static const uint32_t lies[] = {1, 2, 2048, 0x7fffffff, 0x80000000, 0xfffff7ff};
    struct xencons_interface *page = fakexen_console_page();

    fakexen_settle();
    fakexen_console_freeze(true);
    for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
        uint64_t before = protocol_errors();

        page->out_cons = page->out_prod + lies[i];
        say("text");
        CHECK_EQ(protocol_errors(), before + 1);
        CHECK(page->out_prod - page->out_cons <= sizeof(page->out));
    }
    fakexen_console_freeze(false);
    fakexen_settle();
    say("still here");
    CHECK(host_logged("still here"));
}

static bool lie_about_out_cons(void *arg)
{
    (void)arg;
    fakexen_console_page()->out_cons = (uint32_t)test_random();
    return false;
}

TEST(console, ends_its_wait_whatever_the_index_does)
{
    static char text[5000];
    nsec_t start = clock_read();

    fakexen_console_freeze(true);
    host_on_idle(lie_about_out_cons, NULL);
    console_write(text, sizeof(text), CONSOLE_BRIEFLY);
    CHECK(clock_read() - start < 10 * NSEC_PER_SEC);
    host_off_idle(lie_about_out_cons, NULL);
}

TEST(console, wraps_its_indices)
{
    struct xencons_interface *page = fakexen_console_page();

    fakexen_settle();
    fakexen_console_freeze(true);
    page->out_cons = 0xfffff000; /* a lie, after which the ring goes on from there */
    say("x");
    fakexen_console_freeze(false);
    for (int i = 0; i < 300; i++)
        say("0123456789 wrap\n");
    say("wrapped\n");
    CHECK(host_logged("wrapped"));
    CHECK(page->out_prod < 0x10000);
    CHECK_EQ(dropped(), 0);
}

TEST(console, drains_or_gives_up)
{
    nsec_t start = clock_read();

    say("goodbye");
    console_drain(NSEC_PER_SEC);
    CHECK_EQ(fakexen_console_page()->out_cons, fakexen_console_page()->out_prod);
    fakexen_console_freeze(true);
    say("again");
    start = clock_read();
    console_drain(NSEC_PER_SEC);
    CHECK(clock_read() - start <= NSEC_PER_SEC + 2 * MSEC);
}

TEST(console, writes_without_locks_after_a_panic)
{
    console_break_locks();
    say("panic text\n");
    console_drain(MSEC);
    CHECK(host_logged("panic text"));
}

static bool read_late(void *start)
{
    if (clock_read() > *(nsec_t *)start + 5 * NSEC_PER_SEC)
        fakexen_console_freeze(false);
    return false;
}

TEST(console, waits_with_the_last_words_for_a_reader_that_others_gave_up)
{
    static char text[10000];
    nsec_t start;

    fakexen_console_freeze(true);
    memset(text, 'x', sizeof(text));
    console_write(text, sizeof(text), CONSOLE_PATIENTLY);
    start = clock_read();
    host_on_idle(read_late, &start);
    console_break_locks();
    say("panic: the reason\n");
    host_off_idle(read_late, &start);
    console_drain(MSEC);
    CHECK(ends_with("xpanic: the reason\r\n"));
}

/* ---- input ---- */

TEST(console, reads_what_was_typed)
{
    char buf[32];

    CHECK(!console_readable());
    CHECK_EQ(fakexen_console_type("ls\r\003"), 4);
    CHECK(console_readable());
    CHECK_EQ(console_read(buf, sizeof(buf), NEVER), 4);
    CHECK_MEM(buf, "ls\r\003", 4);
    CHECK(!console_readable());
}

TEST(console, waits_for_input_until_the_deadline)
{
    char buf[8];
    nsec_t start = clock_read();

    CHECK_EQ(console_read(buf, sizeof(buf), start + 50 * MSEC), 0);
    CHECK_EQ(clock_read(), start + 50 * MSEC);
}

static void type_later(void *arg)
{
    (void)arg;
    (void)fakexen_console_type("hi");
}

TEST(console, wakes_a_reader_when_input_comes)
{
    char buf[8];

    host_at(clock_read() + 30 * MSEC, type_later, NULL);
    CHECK_EQ(console_read(buf, sizeof(buf), NEVER), 2);
    CHECK_MEM(buf, "hi", 2);
}

static unsigned input_calls;

static void count_input(void)
{
    CHECK(cpu_in_event());
    input_calls++;
}

TEST(console, calls_who_wants_to_know_of_input)
{
    char buf[8];

    console_on_input(count_input);
    (void)fakexen_console_type("a");
    (void)fakexen_console_type("b");
    CHECK_EQ(input_calls, 2);
    console_on_input(NULL);
    (void)fakexen_console_type("c");
    CHECK_EQ(input_calls, 2);
    CHECK_EQ(console_read(buf, sizeof(buf), NEVER), 3);
}

TEST(console, keeps_a_flood_of_input_in_order_and_bounded)
{
    static char text[6001], got[6001];
    size_t typed = 0, read = 0;

    for (size_t i = 0; i < sizeof(text) - 1; i++)
        text[i] = (char)('!' + i % 90);
    typed = fakexen_console_type(text);
    CHECK(typed <= 1024 + 256);
    while (read < sizeof(text) - 1) {
        long n = console_read(got + read, 100, NEVER);

        CHECK(n > 0);
        read += (size_t)n;
        typed += fakexen_console_type(text + typed);
    }
    CHECK_MEM(got, text, sizeof(text) - 1);
}

TEST(console, survives_any_producer_index)
{
    static const uint32_t lies[] = {1025, 0x7fffffff, 0x80000000, 0xffffffff};
    struct xencons_interface *page = fakexen_console_page();
    char buf[8];

    for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
        page->in_prod = page->in_cons + lies[i];
        fakexen_raise(fakexen_bootinfo()->console_port);
        CHECK_EQ(console_read(buf, sizeof(buf), clock_read() + 2 * NSEC_PER_SEC), 0);
        CHECK_EQ(page->in_cons, page->in_prod);
    }
    (void)fakexen_console_type("ok");
    CHECK_EQ(console_read(buf, sizeof(buf), NEVER), 2);
    CHECK(protocol_errors() >= ARRAY_SIZE(lies));
}

static unsigned storms;

static bool storm(void *arg)
{
    (void)arg;
    storms++;
    fakexen_raise(fakexen_bootinfo()->console_port);
    return false;
}

TEST(console, is_called_rarely_in_a_storm_of_empty_events)
{
    struct evtchn_stats before, after;

    evtchn_get_stats(&before);
    host_on_idle(storm, NULL);
    for (int i = 0; i < 10000; i++) {
        host_advance(MSEC);
        host_step();
    }
    host_off_idle(storm, NULL);
    evtchn_get_stats(&after);
    CHECK(storms >= 10000);
    CHECK(after.spurious - before.spurious < 30); /* 10 s: up to 1 s, then one a second */
}

/* ---- without a ring ---- */

FAKEXEN_BOOT(console_dom0, .dom0 = true)

TEST(console_dom0, writes_to_the_hypervisor_and_reads_nothing)
{
    char buf[8];

    say("to Xen\n");
    CHECK(host_logged("to Xen\n"));
    CHECK_EQ(console_read(buf, sizeof(buf), NEVER), -EIO);
    CHECK(!console_readable());
    console_drain(NSEC_PER_SEC);
}
