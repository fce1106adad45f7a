/* SPDX-License-Identifier: BSD-2-Clause */
/* Which CPUs the toolstack wants, in all the words it may use, and in none. */
#include "kernel/hotplug.h"

#include <stdio.h>
#include <string.h>
#include "kernel/cpus.h"
#include "lib/base/errno.h"
#include "tests/host/fakexen.h"
#include "tests/host/hostarch.h"
#include "tests/host/test.h"

FAKEXEN_BOOT(hotplug)
FAKEXEN_BOOT(hotplug_dom0, .dom0 = true)

static void want(unsigned cpu, const char *word)
{
    char path[40];

    snprintf(path, sizeof(path), "cpu/%u/availability", cpu);
    fakexen_store_set(path, "%s", word);
}

/* Of four, with CPU 1 wanted from the start and nothing said of CPU 3; the notes begin anew. */
static void start(void)
{
    host_cpus_possible = 4;
    want(0, "online");
    want(1, "online");
    want(2, "offline");
    hotplug_init();
    hotplug_follow();
    CHECK_STR(host_cpus_notes, "+0 +1 -2 ");
    fakexen_settle(); /* a watch fires when it is set */
    host_cpus_notes[0] = '\0';
}

/* All nodes are read at every change, so the others are there as well: what is new is in there. */
static void check_note(const char *note)
{
    fakexen_settle();
    if (strstr(host_cpus_notes, note) == NULL)
        test_fail(__FILE__, __LINE__, "\"%s\" is not in \"%s\"", note, host_cpus_notes);
    host_cpus_notes[0] = '\0';
}

TEST(hotplug, starts_what_is_wanted_at_boot)
{
    start();
    CHECK_EQ(cpus_count(), 2);
    CHECK(host_logged("cpus: 2 of 4 online"));
    test_pass(); /* its watch stays */
}

TEST(hotplug, follows_changes)
{
    start();
    want(2, "online");
    check_note("+2 ");
    CHECK_EQ(cpus_count(), 3);
    want(1, "offline");
    check_note("-1 ");
    CHECK_EQ(cpus_count(), 2);
    want(3, "online");
    check_note("+3 ");
    test_pass();
}

TEST(hotplug, follows_all_nodes_when_events_were_lost)
{
    start();
    fakexen_store_faults.mute = true;
    want(2, "online");
    want(3, "online");
    fakexen_settle();
    CHECK_EQ(cpus_count(), 2);
    fakexen_store_faults.mute = false;
    want(1, "offline");
    fakexen_settle();
    CHECK(!cpumask_has(cpus_online(), 1));
    CHECK(cpumask_has(cpus_online(), 2) && cpumask_has(cpus_online(), 3));
    test_pass();
}

TEST(hotplug, ignores_nonsense_and_says_so)
{
    static const char *const words[] = {
        "", "onlin", "onlinee", "ONLINE", "offline ", "1", "a word that is longer than any wish"};

    start();
    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        want(1, words[i]);
        fakexen_settle();
        CHECK(strchr(host_cpus_notes, '1') == NULL);
        CHECK(cpumask_has(cpus_online(), 1));
        host_cpus_notes[0] = '\0';
        host_advance(10 * 1000000000ULL); /* or there would be too many lines */
    }
    CHECK(host_logged("cpus: cpu/1/availability is neither \"online\" nor \"offline\": ignored"));
    fakexen_store_set_bytes("cpu/1/availability", "offline\0online", 14);
    fakexen_settle();
    CHECK(host_cpus_notes[0] != '\0');
    test_pass();
}

TEST(hotplug, leaves_a_cpu_alone_whose_node_is_gone)
{
    start();
    fakexen_store_rm("cpu/1");
    fakexen_settle();
    CHECK(strchr(host_cpus_notes, '1') == NULL);
    CHECK_EQ(cpus_count(), 2);
    test_pass();
}

TEST(hotplug, lives_with_cpus_that_do_not_start_or_stop)
{
    start();
    host_cpus_error = -ENOMEM; /* for CPU 0, which is there: who asks first */
    want(2, "online");
    check_note("+2 ");
    want(2, "offline");
    check_note("-2 ");
    want(0, "offline");
    check_note("-0 ");
    CHECK(host_logged("CPU 0 always runs"));
    CHECK(cpumask_has(cpus_online(), 0));
    test_pass();
}

TEST(hotplug, says_nothing_on_a_machine_of_one)
{
    unsigned before = fakexen_store_count_watches();

    hotplug_init();
    hotplug_follow();
    CHECK_EQ(fakexen_store_count_watches(), before);
    CHECK_STR(host_cpus_notes, "");
}

TEST(hotplug_dom0, starts_all_without_a_store)
{
    host_cpus_possible = 4;
    hotplug_init();
    hotplug_follow();
    CHECK_STR(host_cpus_notes, "+1 +2 +3 ");
}

TEST(hotplug_dom0, goes_on_when_one_does_not_start)
{
    host_cpus_possible = 4;
    host_cpus_error = -ENOMEM;
    hotplug_init();
    hotplug_follow();
    CHECK_STR(host_cpus_notes, "+1 +2 +3 ");
    CHECK_EQ(cpus_count(), 3);
    CHECK(host_logged("CPU 1 does not start"));
}
