/* SPDX-License-Identifier: BSD-2-Clause */
/* Shutdown requests of all kinds, and the way out. */
#include "kernel/lifecycle.h"

#include <arch/clock.h>
#include <string.h>
#include <xen/sched.h>
#include "kernel/console.h"
#include "kernel/page.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "lib/base/macros.h"
#include "tests/host/fakexen.h"
#include "tests/host/hostarch.h"
#include "tests/host/test.h"

FAKEXEN_BOOT(lifecycle)

static void request(const char *word)
{
    fakexen_store_set("control/shutdown", "%s", word);
    fakexen_settle();
}

/* The same, and time for the console's reader to take the last line. */
static void request_end(const char *word)
{
    request(word);
    host_advance(10 * NSEC_PER_MSEC);
    fakexen_settle();
}

static bool acknowledged(void)
{
    const char *value = fakexen_store_get("control/shutdown");

    return value != NULL && value[0] == '\0';
}

TEST(lifecycle, says_what_it_can)
{
    CHECK_STR(fakexen_store_get("control/feature-poweroff"), "1");
    CHECK_STR(fakexen_store_get("control/feature-reboot"), "1");
    CHECK(fakexen_store_get("control/feature-suspend") == NULL);
}

static bool left_with_0(void)
{
    return acknowledged() && host_logged("exit status 0\r\n") &&
           strcmp(fakexen_store_get("data/exit-status"), "0") == 0;
}

TEST(lifecycle, powers_off)
{
    fakexen_expect_shutdown(SHUTDOWN_poweroff, left_with_0);
    request_end("poweroff");
    CHECK(false);
}

TEST(lifecycle, halts)
{
    fakexen_expect_shutdown(SHUTDOWN_poweroff, left_with_0);
    request_end("halt");
    CHECK(false);
}

TEST(lifecycle, reboots)
{
    fakexen_expect_shutdown(SHUTDOWN_reboot, left_with_0);
    request_end("reboot");
    CHECK(false);
}

TEST(lifecycle, ignores_what_it_does_not_know)
{
    static const char *const words[] = {"suspend",
                                        "crash",
                                        "poweroff ",
                                        "POWEROFF",
                                        "0",
                                        "off",
                                        "a word that is longer than any that could be known",
                                        "\xff\xfe\x01"};

    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        request(words[i]);
        CHECK(acknowledged());
    }
    CHECK(host_logged("unknown shutdown request ignored"));
}

TEST(lifecycle, survives_a_flood_of_nonsense)
{
    for (int i = 0; i < 2000; i++) {
        fakexen_store_set_bytes("control/shutdown", "power\0off", 9);
        host_step();
        thread_yield();
        host_advance(100 * 1000);
    }
    fakexen_settle();
    host_advance(NSEC_PER_SEC);
    fakexen_settle();
    CHECK(acknowledged());
    CHECK(strlen(host_log()) < 2000); /* the log is limited */
}

static unsigned count_requests(void)
{
    unsigned n = 0;

    for (unsigned type = 0; type < XS_TYPE_COUNT; type++)
        n += fakexen_store_count_requests(type);
    return n;
}

/* We announced none of these, and do not even look: no answer, no line, no page more or less. */
TEST(lifecycle, leaves_alone_what_it_did_not_announce)
{
    static const char *const values[] = {"0", "1", "18446744073709551615", "-1", "x", "", "h"};
    static const char *const nodes[] = {"memory/target", "memory/videoram", "control/sysrq",
                                        "control/laptop-mode"};
    size_t pages, said;
    unsigned requests;

    CHECK(fakexen_store_get("control/feature-sysrq") == NULL);
    CHECK(fakexen_store_get("control/feature-balloon") == NULL);
    fakexen_settle();
    pages = page_count_free();
    said = strlen(host_log());
    requests = count_requests();
    for (size_t i = 0; i < 50 * ARRAY_SIZE(values) * ARRAY_SIZE(nodes); i++) {
        fakexen_store_set(nodes[i % ARRAY_SIZE(nodes)], "%s", values[i % ARRAY_SIZE(values)]);
        host_advance(NSEC_PER_MSEC);
        fakexen_settle();
    }
    CHECK_EQ(count_requests(), requests);
    CHECK_EQ(strlen(host_log()), said);
    CHECK_EQ(page_count_free(), pages);
    request("nonsense");
    CHECK(acknowledged());
}

/* It is said that they are ignored, and the word after them is obeyed. */
TEST(lifecycle, powers_off_after_suspensions_that_it_ignored)
{
    request("suspend");
    CHECK(acknowledged());
    request("suspend");
    CHECK(acknowledged());
    CHECK(host_logged("unknown shutdown request ignored"));
    fakexen_expect_shutdown(SHUTDOWN_poweroff, left_with_0);
    request_end("poweroff");
    CHECK(false);
}

TEST(lifecycle, survives_the_node_being_removed)
{
    fakexen_store_rm("control/shutdown");
    fakexen_store_rm("control");
    fakexen_settle();
}

static bool left_with_3(void)
{
    return host_logged("exit status 3\r\n") &&
           strcmp(fakexen_store_get("data/exit-status"), "3") == 0;
}

TEST(lifecycle, leaves_with_the_programs_status)
{
    fakexen_expect_shutdown(SHUTDOWN_poweroff, left_with_3);
    lifecycle_exit(3);
}

static void chatter(void *arg)
{
    (void)arg;
    for (;;) {
        console_write("and on ", 7, CONSOLE_PATIENTLY);
        thread_sleep_until(time_now() + 100 * 1000);
    }
}

static bool left_with_4_as_the_last_line(void)
{
    const char *last = "\r\nexit status 4\r\n", *log = host_log();

    return strlen(log) > strlen(last) && strcmp(log + strlen(log) - strlen(last), last) == 0 &&
           strstr(log, "and on and on") != NULL;
}

TEST(lifecycle, the_status_is_the_last_line_whoever_talks)
{
    struct thread *t;

    CHECK_EQ(thread_create("chatter", PRIO_NORMAL, 0, chatter, NULL, &t), 0);
    thread_sleep_until(time_now() + NSEC_PER_MSEC);
    fakexen_expect_shutdown(SHUTDOWN_poweroff, left_with_4_as_the_last_line);
    lifecycle_exit(4);
}

static bool left_quickly(void)
{
    return clock_read() < 60 * NSEC_PER_SEC;
}

TEST(lifecycle, leaves_though_nobody_answers_or_reads)
{
    fakexen_store_faults.deaf = true;
    fakexen_console_freeze(true);
    fakexen_expect_shutdown(SHUTDOWN_poweroff, left_quickly);
    lifecycle_exit(0);
}

/* ---- the application is asked ---- */

static enum lifecycle_request asked_for;
static unsigned asked;
static nsec_t asked_at;

static bool will_end(enum lifecycle_request r)
{
    asked++;
    asked_for = r;
    asked_at = clock_read();
    return true;
}

static bool will_not(enum lifecycle_request r)
{
    (void)r;
    asked++;
    return false;
}

static bool left_with_5(void)
{
    return asked == 1 && asked_for == LIFECYCLE_REBOOT && host_logged("exit status 5\r\n");
}

TEST(lifecycle, lets_the_application_end_by_itself)
{
    lifecycle_on_shutdown(will_end);
    request("reboot");
    CHECK_EQ(asked, 1);
    CHECK(acknowledged());
    fakexen_expect_shutdown(SHUTDOWN_reboot, left_with_5);
    lifecycle_exit(5);
}

static bool grace_is_over(void)
{
    return asked == 1 && clock_read() - asked_at >= 10 * NSEC_PER_SEC &&
           clock_read() - asked_at < 13 * NSEC_PER_SEC && host_logged("did not end in time");
}

TEST(lifecycle, does_not_wait_for_ever_for_the_application)
{
    lifecycle_on_shutdown(will_end);
    request("poweroff");
    request("poweroff"); /* once more makes no difference */
    fakexen_expect_shutdown(SHUTDOWN_poweroff, grace_is_over);
    thread_sleep_until(clock_read() + 100 * NSEC_PER_SEC);
    CHECK(false);
}

static bool was_asked(void)
{
    return asked == 1;
}

TEST(lifecycle, obeys_at_once_if_the_application_does_not_care)
{
    lifecycle_on_shutdown(will_not);
    fakexen_expect_shutdown(SHUTDOWN_poweroff, was_asked);
    request_end("poweroff");
    CHECK(false);
}

static bool left_with_4_alone(void)
{
    return host_logged("exit status 4") && !host_logged("exit status 3");
}

static void exit_too(void *arg)
{
    (void)arg;
    lifecycle_exit(4);
}

TEST(lifecycle, leaves_once_when_two_threads_want_to)
{
    struct thread *t;

    CHECK_EQ(thread_create("other", PRIO_HIGH, 0, exit_too, NULL, &t), 0);
    thread_detach(t);
    fakexen_expect_shutdown(SHUTDOWN_poweroff, left_with_4_alone);
    thread_yield();
    lifecycle_exit(3);
}

FAKEXEN_BOOT(lifecycle_dom0, .dom0 = true)

static bool said_so(void)
{
    return host_logged("exit status 7\n");
}

TEST(lifecycle_dom0, leaves_without_a_store)
{
    fakexen_expect_shutdown(SHUTDOWN_poweroff, said_so);
    lifecycle_exit(7);
}
