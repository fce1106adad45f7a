/* SPDX-License-Identifier: BSD-2-Clause */
/* Parking: who sleeps, who is woken, and that nobody who was counted as woken times out. */
#include "lib/posix/park.h"

#include "kernel/thread.h"
#include "lib/base/errno.h"
#include "tests/host/hostarch.h"
#include "tests/host/test.h"

static uint32_t word, other;
static int order[8], woken;

struct sleeper {
    int number, rc;
    const uint32_t *word;
    nsec_t deadline;
    struct thread *thread;
};

static void sleep_on_word(void *arg)
{
    struct sleeper *s = arg;

    s->rc = park_wait(s->word, 0, s->deadline);
    order[woken++] = s->number;
}

static void start(struct sleeper *s, int number, const uint32_t *on, nsec_t deadline)
{
    *s = (struct sleeper){number, 1, on, deadline, NULL};
    CHECK_EQ(thread_create("sleeper", PRIO_NORMAL, 0, sleep_on_word, s, &s->thread), 0);
}

/* Let all others run until they block. */
static void settle(void)
{
    thread_sleep_until(host_clock + 1);
}

TEST(park, does_not_sleep_when_the_word_has_changed)
{
    word = 1;
    CHECK_EQ(park_wait(&word, 0, NEVER), -EAGAIN);
}

TEST(park, times_out_at_the_deadline)
{
    CHECK_EQ(park_wait(&word, 0, host_clock + 1000), -ETIMEDOUT);
    park_wake(&word, PARK_ALL); /* nobody is left on the list */
}

TEST(park, wakes_in_the_order_of_arrival)
{
    struct sleeper s[3];

    for (int i = 0; i < 3; i++) {
        start(&s[i], i, &word, NEVER);
        settle();
    }
    park_wake(&word, 1);
    settle();
    CHECK_EQ(woken, 1);
    park_wake(&word, PARK_ALL);
    for (int i = 0; i < 3; i++) {
        thread_join(s[i].thread);
        CHECK_EQ(order[i], i);
        CHECK_EQ(s[i].rc, 0);
    }
}

TEST(park, does_not_wake_those_on_other_words)
{
    static uint32_t words[300]; /* more than the hash can tell apart */
    struct sleeper s;

    start(&s, 0, &words[0], NEVER);
    settle();
    for (int i = 1; i < 300; i++)
        park_wake(&words[i], PARK_ALL);
    settle();
    CHECK_EQ(woken, 0);
    park_wake(&words[0], 1);
    thread_join(s.thread);
}

TEST(park, wakes_only_those_on_the_same_word)
{
    struct sleeper s[2];

    start(&s[0], 0, &word, NEVER);
    start(&s[1], 1, &other, NEVER);
    settle();
    park_wake(&other, PARK_ALL);
    thread_join(s[1].thread);
    CHECK_EQ(woken, 1);
    park_wake(&word, 1);
    thread_join(s[0].thread);
}

TEST(park, a_wakeup_counts_even_when_the_deadline_passes_too)
{
    struct sleeper s;

    start(&s, 0, &word, host_clock + 1000);
    settle();
    park_wake(&word, 1);
    host_advance(5000);
    thread_join(s.thread);
    CHECK_EQ(s.rc, 0);
}

TEST(park, wakes_not_more_than_asked)
{
    struct sleeper s[4];

    for (int i = 0; i < 4; i++)
        start(&s[i], i, &word, host_clock + 1000000);
    settle();
    park_wake(&word, 2);
    for (int i = 0; i < 4; i++)
        thread_join(s[i].thread);
    CHECK_EQ((s[0].rc == 0) + (s[1].rc == 0) + (s[2].rc == 0) + (s[3].rc == 0), 2);
}
