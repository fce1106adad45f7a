/* SPDX-License-Identifier: BSD-2-Clause */
/* Timers in great numbers against a model: an array that is searched. */
#include "kernel/time.h"

#include "tests/host/fakexen.h"
#include "tests/host/hostarch.h"
#include "tests/host/test.h"

FAKEXEN_BOOT(time)

#define TIMERS 700

static struct model {
    struct timer timer;
    bool armed;
    unsigned fired, should_have;
} timers[TIMERS];
static nsec_t last_deadline;

static void fire(struct timer *t)
{
    struct model *m = CONTAINER_OF(t, struct model, timer);

    CHECK(m->armed && !t->armed && t->deadline <= time_now());
    CHECK(t->deadline >= last_deadline); /* in their order */
    last_deadline = t->deadline;
    m->armed = false;
    m->fired++;
}

static void set(struct model *m)
{
    nsec_t deadline = time_now() + 1 + test_random_below(5000);

    timer_set(&m->timer, deadline);
    m->armed = true;
}

static void cancel(struct model *m)
{
    CHECK_EQ(timer_cancel(&m->timer), m->armed);
    m->armed = false;
}

static void advance(nsec_t ns)
{
    for (size_t i = 0; i < TIMERS; i++)
        timers[i].should_have += timers[i].armed && timers[i].timer.deadline <= time_now() + ns;
    last_deadline = 0;
    host_advance(ns);
    for (size_t i = 0; i < TIMERS; i++)
        CHECK_EQ(timers[i].fired, timers[i].should_have);
}

TEST(time, a_storm_of_timers_fires_each_once_and_in_order)
{
    for (size_t i = 0; i < TIMERS; i++)
        timer_init(&timers[i].timer, fire);
    for (int i = 0; i < 60000; i++) {
        struct model *m = &timers[test_random_below(TIMERS)];

        if (test_random_below(4) == 0)
            cancel(m);
        else
            set(m); /* armed or not */
        if (i % 50 == 0)
            advance(test_random_below(400));
    }
    for (size_t i = 0; i < TIMERS; i++)
        if (i % 2)
            cancel(&timers[i]);
    advance(10000);
    for (size_t i = 0; i < TIMERS; i++)
        CHECK(!timers[i].armed && !timers[i].timer.armed && timers[i].fired > 0);
}

TEST(time, timers_of_one_deadline_all_fire)
{
    for (size_t i = 0; i < TIMERS; i++) {
        timer_init(&timers[i].timer, fire);
        timer_set(&timers[i].timer, time_now() + 100);
        timers[i].armed = true;
    }
    for (size_t i = 0; i < TIMERS; i += 3)
        cancel(&timers[i]);
    advance(99);
    advance(1);
    for (size_t i = 0; i < TIMERS; i++)
        CHECK_EQ(timers[i].fired, i % 3 != 0);
}
