/* SPDX-License-Identifier: BSD-2-Clause */
/* The scheduler on several CPUs: programs of their own (tests/host/sched), one run of them a test.
 */
#include <stdio.h>
#include <stdlib.h>
#include "tests/host/test.h"

/* (what): a program and its arguments. It says itself what went wrong. */
static void run(const char *what)
{
    char command[512];

    snprintf(command, sizeof(command), "%s/%s", HOST_BIN, what);
    fflush(stdout);
    CHECK_EQ(system(command), 0);
}

#define EXPLORE(name, argument)   \
    TEST(sched, explores_##name)  \
    {                             \
        run("explore " argument); \
    }

EXPLORE(wake, "wake")
EXPLORE(waitq, "waitq")
EXPLORE(satisfied, "satisfied")
EXPLORE(timeout, "timeout")
EXPLORE(sleep, "sleep")
EXPLORE(timer, "timer")
EXPLORE(spread, "spread")
EXPLORE(offer, "offer")
EXPLORE(offer_pinned, "offer-pinned")
EXPLORE(offer_sleep, "offer-sleep")
EXPLORE(wake_many, "wake-many")
EXPLORE(affinity_own, "affinity-own")
EXPLORE(affinity, "affinity")
EXPLORE(affinity_wider, "affinity-wider")
EXPLORE(balance, "balance")
EXPLORE(behind_the_urgent, "behind")
EXPLORE(priority, "priority")
EXPLORE(stolen, "stolen")
EXPLORE(mutex, "mutex")
EXPLORE(mutex_freed, "mutex-freed")
EXPLORE(lend, "lend")
EXPLORE(lend_on, "lend-on")
EXPLORE(condition, "condition")
EXPLORE(signal, "signal")
EXPLORE(life, "life")
EXPLORE(inherit, "inherit")
EXPLORE(park, "park")
EXPLORE(take_down, "take-down")
EXPLORE(slow_stop, "slow-stop")
EXPLORE(wake_to_gone, "wake-to-gone")
EXPLORE(hotplug, "hotplug")
EXPLORE(home, "home")
EXPLORE(call, "call")
EXPLORE(spinlock, "spinlock")

/* For two seconds each. */
#define STORM(name, argument)    \
    TEST(sched, storm_of_##name) \
    {                            \
        run("storm " argument);  \
    }

STORM(life, "life 2")
STORM(ping_pong, "ping-pong 2")
STORM(locks, "locks 2")
STORM(sleepers, "sleepers 2")
STORM(affinity, "affinity 2")
STORM(hotplug, "hotplug 2")

/* With the lock checker in place of the sanitizer. */
TEST(sched, storms_take_locks_in_order)
{
    run("storm-checked locks 1");
    run("storm-checked sleepers 1");
    run("storm-checked hotplug 1");
}
