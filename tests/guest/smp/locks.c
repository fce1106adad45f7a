/* SPDX-License-Identifier: BSD-2-Clause */
/* Spinlocks, mutexes, condition variables and wake-ups between CPUs. */
#include "kernel/mutex.h"
#include "kernel/spinlock.h"
#include "tests/guest/smp/cases.h"

/* --- spinlocks --- */

#define TAKEN 20000

static struct spinlock lock = SPINLOCK_INIT;
static volatile unsigned long guarded[2]; /* equal whenever the lock is free */

static void lock_often(void *arg)
{
    pin((unsigned)(uintptr_t)arg);
    for (unsigned i = 0; i < TAKEN; i++) {
        irqstate_t irq = spin_lock(&lock);

        if (guarded[0] != guarded[1])
            complain("two hold the lock: CPU %u sees %lu and %lu", cpu_id(), guarded[0],
                     guarded[1]);
        guarded[0]++;
        if (i % 64 == 0)
            cpu_relax();
        guarded[1]++;
        spin_unlock(&lock, irq);
    }
}

static void test_a_spinlock_keeps_all_cpus_apart(void)
{
    struct thread *t[CPUS_MAX];
    unsigned cpus = nr_cpus();

    spin_init(&lock);
    guarded[0] = guarded[1] = 0;
    for (unsigned i = 0; i < cpus; i++)
        t[i] = start(PRIO_NORMAL, lock_often, (void *)(uintptr_t)i);
    join_all(t, cpus);
    CHECK_EQ(guarded[0], (unsigned long)cpus * TAKEN);
    CHECK_EQ(guarded[1], guarded[0]);
    CHECK_EQ(lock.word, 0);
    CHECK_EQ(lock.parked, 0);
}

static bool held;
static unsigned got_it;
static struct cpumask there; /* who waits for (held) */

static void wait_for_lock(void *arg)
{
    irqstate_t irq;

    pin((unsigned)(uintptr_t)arg);
    (void)cpumask_add(&there, (unsigned)(uintptr_t)arg);
    while (!load_acquire(&held))
        thread_yield();
    irq = spin_lock(&lock);
    guarded[0]++;
    spin_unlock(&lock, irq);
    atomic_add(&got_it, 1);
}

/* With the lock held; until (n) wait for it and one of them has parked. */
static void hold_until_they_wait(unsigned n)
{
    nsec_t end = time_now() + PATIENCE;
    bool parked = false;

    while ((!parked || load_relaxed(&lock.contended) < n) && time_now() < end) {
        parked |= load_relaxed(&lock.parked) > 0;
        cpu_relax();
    }
    if (load_relaxed(&lock.contended) < n)
        complain("%u wait for the lock, not %u", load_relaxed(&lock.contended), n);
    if (!parked)
        complain("nobody parked");
    spin_for(5 * MS);
}

static void test_a_lock_that_is_held_long_is_waited_for_and_got_by_all(void)
{
    unsigned cpus = nr_cpus();

    for (unsigned round = 0; round < 10 && !complained(); round++) {
        struct thread *t[CPUS_MAX];
        irqstate_t irq;

        spin_init(&lock);
        got_it = 0;
        guarded[0] = 0;
        held = false;
        there = (struct cpumask){{0}};
        for (unsigned i = 0; i < cpus; i++)
            t[i] = start(PRIO_LOW, wait_for_lock, (void *)(uintptr_t)i);
        pin(round % cpus);
        (void)comes_true(cpumask_count(&there) == cpus);
        irq = spin_lock(&lock);
        store_release(&held, true);
        hold_until_they_wait(cpus - 1);
        if (guarded[0] != 0)
            complain("somebody took a held lock");
        spin_unlock(&lock, irq);
        join_all(t, cpus);
        CHECK_EQ(got_it, cpus);
        CHECK_EQ(guarded[0], cpus);
        CHECK_EQ(lock.word, 0);
        CHECK_EQ(lock.parked, 0);
    }
}

#define MEALS 200

static bool fed;
static unsigned long hunters_meals;

/* Hold it nearly always. */
static void hunt(void *arg)
{
    pin((unsigned)(uintptr_t)arg);
    while (!load_acquire(&fed)) {
        irqstate_t irq = spin_lock(&lock);

        hunters_meals++;
        spin_for(20000);
        spin_unlock(&lock, irq);
    }
}

static void test_nobody_starves_at_a_lock_that_is_nearly_always_held(void)
{
    struct thread *t[CPUS_MAX];
    unsigned meals = 0;
    nsec_t end = time_now() + PATIENCE;

    spin_init(&lock);
    fed = false;
    hunters_meals = 0;
    pin(0);
    for (unsigned i = 1; i < nr_cpus(); i++)
        t[i] = start(PRIO_NORMAL, hunt, (void *)(uintptr_t)i);
    (void)comes_true(load_relaxed(&hunters_meals) > 0);
    while (meals < MEALS && time_now() < end) {
        irqstate_t irq = spin_lock(&lock);

        meals++;
        spin_unlock(&lock, irq);
    }
    store_release(&fed, true);
    join_all(t + 1, nr_cpus() - 1);
    CHECK_EQ(meals, MEALS);
    CHECK(hunters_meals > 0);
}

/* --- mutexes and condition variables --- */

static struct mutex m = MUTEX_INIT(m);

#define ADDED 1500

static void add_under_mutex(void *arg)
{
    unsigned i = (unsigned)(uintptr_t)arg;

    for (unsigned k = 0; k < ADDED; k++) {
        mutex_lock(&m);
        if (guarded[0] != guarded[1])
            complain("two own the mutex: %lu and %lu", guarded[0], guarded[1]);
        guarded[0]++;
        if ((k + i) % 16 == 0)
            thread_yield();
        guarded[1]++;
        mutex_unlock(&m);
    }
}

static void test_a_mutex_keeps_threads_of_all_cpus_apart(void)
{
    struct thread *t[2 * CPUS_MAX + 1];
    unsigned n = 2 * nr_cpus() + 1;

    guarded[0] = guarded[1] = 0;
    for (unsigned i = 0; i < n; i++)
        t[i] = start((enum prio)(PRIO_LOW + i % 3), add_under_mutex, (void *)(uintptr_t)i);
    join_all(t, n);
    CHECK_EQ(guarded[0], (unsigned long)n * ADDED);
    CHECK_EQ(guarded[1], guarded[0]);
}

#define SLOTS 5
#define ITEMS 1500

static struct cond not_empty = COND_INIT(not_empty), not_full = COND_INIT(not_full);
static unsigned queue[SLOTS], head, tail, nr_items, taken;
static uint8_t seen[ITEMS * CPUS_MAX];

static void produce(void *arg)
{
    unsigned first = (unsigned)(uintptr_t)arg * ITEMS;

    for (unsigned i = 0; i < ITEMS; i++) {
        mutex_lock(&m);
        while (head - tail == SLOTS)
            if (cond_wait(&not_full, &m, time_now() + PATIENCE) != 0)
                complain("item %u: nobody made room", first + i);
        queue[head++ % SLOTS] = first + i;
        cond_signal(&not_empty);
        mutex_unlock(&m);
    }
}

static void consume(void *arg)
{
    (void)arg;
    mutex_lock(&m);
    while (taken < nr_items) {
        if (head == tail) {
            if (cond_wait(&not_empty, &m, time_now() + PATIENCE) != 0)
                complain("nobody brought item %u of %u", taken, nr_items);
            continue;
        }
        seen[queue[tail++ % SLOTS]]++;
        if (++taken == nr_items)
            cond_broadcast(&not_empty);
        cond_signal(&not_full);
    }
    mutex_unlock(&m);
}

static void test_a_bounded_queue_carries_each_item_once_between_cpus(void)
{
    struct thread *t[2 * CPUS_MAX];
    unsigned cpus = nr_cpus();

    head = tail = taken = 0;
    nr_items = cpus * ITEMS;
    memset(seen, 0, sizeof(seen));
    for (unsigned i = 0; i < cpus; i++) {
        t[i] = start(PRIO_NORMAL, produce, (void *)(uintptr_t)i);
        t[cpus + i] = start(PRIO_NORMAL, consume, NULL);
    }
    join_all(t, 2 * cpus);
    for (unsigned i = 0; i < nr_items; i++)
        if (seen[i] != 1)
            complain("item %u came %u times", i, seen[i]);
}

#define BARRIERS 300

static struct cond turned = COND_INIT(turned);
static unsigned generation, arrived, walkers;

static void pass_barrier(void)
{
    unsigned mine;

    mutex_lock(&m);
    mine = generation;
    if (++arrived == walkers) {
        arrived = 0;
        generation++;
        cond_broadcast(&turned);
    }
    while (mine == generation)
        if (cond_wait(&turned, &m, time_now() + PATIENCE) != 0 && mine == generation)
            complain("barrier %u: %u of %u arrived", mine, arrived, walkers);
    mutex_unlock(&m);
}

static void walk(void *arg)
{
    (void)arg;
    for (unsigned i = 1; i <= BARRIERS; i++) {
        pass_barrier();
        if (load_relaxed(&generation) < i || load_relaxed(&generation) > i + 1)
            complain("somebody is at barrier %u, another at %u", i, generation);
    }
}

static void test_threads_of_all_cpus_pass_barriers_together(void)
{
    struct thread *t[CPUS_MAX + 2];

    walkers = nr_cpus() + 2;
    generation = arrived = 0;
    for (unsigned i = 0; i < walkers; i++)
        t[i] = start(PRIO_NORMAL, walk, NULL);
    join_all(t, walkers);
    CHECK_EQ(generation, BARRIERS);
}

/* --- wake-ups: two threads on two CPUs, each of which waits for the other --- */

struct player {
    struct waitq q;
    struct mutex lock;
    struct cond cond;
    struct thread *thread;
    unsigned ball;
};

/* How a player hands the ball over and waits for it: three ways to wake. */
struct game {
    const char *name;
    void (*give)(struct player *to, unsigned ball);
    int (*await)(struct player *me, unsigned ball, nsec_t deadline);
};

static void give_by_queue(struct player *to, unsigned ball)
{
    store_release(&to->ball, ball);
    waitq_wake_one(&to->q);
}

static int await_by_queue(struct player *me, unsigned ball, nsec_t deadline)
{
    return wait_until(&me->q, load_acquire(&me->ball) >= ball, deadline);
}

static void give_by_cond(struct player *to, unsigned ball)
{
    mutex_lock(&to->lock);
    to->ball = ball;
    cond_signal(&to->cond);
    mutex_unlock(&to->lock);
}

static int await_by_cond(struct player *me, unsigned ball, nsec_t deadline)
{
    int rc = 0;

    mutex_lock(&me->lock);
    while (me->ball < ball && rc == 0)
        rc = cond_wait(&me->cond, &me->lock, deadline);
    mutex_unlock(&me->lock);
    return rc;
}

static void give_directly(struct player *to, unsigned ball)
{
    store_release(&to->ball, ball);
    thread_wake(to->thread);
}

static int await_directly(struct player *me, unsigned ball, nsec_t deadline)
{
    for (;;) {
        thread_prepare_block();
        if (load_acquire(&me->ball) >= ball)
            return 0;
        if (thread_block(deadline) != 0 && load_acquire(&me->ball) < ball)
            return -ETIMEDOUT;
    }
}

static const struct game games[] = {
    {"queue", give_by_queue, await_by_queue},
    {"condition", give_by_cond, await_by_cond},
    {"thread", give_directly, await_directly},
};

struct side {
    const struct game *game;
    struct player *me, *other;
    unsigned cpu, rounds;
    bool begins, pinned;
};

static void play(void *arg)
{
    struct side *s = arg;

    if (s->pinned)
        pin(s->cpu);
    for (unsigned i = 1; i <= s->rounds; i++) {
        if (s->begins)
            s->game->give(s->other, i);
        if (s->game->await(s->me, i, time_now() + PATIENCE) != 0)
            panic("lost wake-up by %s: CPU %u, round %u, ball %u", s->game->name, s->cpu, i,
                  s->me->ball);
        if (!s->begins)
            s->game->give(s->other, i);
    }
}

#define MATCHES (CPUS_MAX + 2)

static struct player players[MATCHES][2];
static struct side sides[MATCHES][2];

/* (matches) pairs at once; (rounds) in all. A lost wake-up is a panic: all CPUs then say where they
 * are. */
static void play_all(const struct game *game, unsigned matches, unsigned rounds, bool pinned)
{
    struct thread *t[2 * MATCHES];

    for (unsigned i = 0; i < 2 * matches; i++) {
        struct player *p = &players[i / 2][i % 2];

        waitq_init(&p->q);
        mutex_init(&p->lock);
        cond_init(&p->cond);
        p->ball = 0;
    }
    for (unsigned i = 0; i < 2 * matches; i++) {
        unsigned k = i / 2, side = i % 2;

        sides[k][side] = (struct side){.game = game,
                                       .me = &players[k][side],
                                       .other = &players[k][!side],
                                       .cpu = (k + side) % nr_cpus(),
                                       .rounds = rounds / matches,
                                       .begins = side == 1,
                                       .pinned = pinned};
    }
    for (unsigned i = 0; i < 2 * matches;
         i++) { /* first those who answer: they are woken by name */
        unsigned k = i % matches, side = i / matches;
        struct player *p = &players[k][side];

        if (thread_create("test", PRIO_NORMAL, 16384, play, &sides[k][side], &p->thread) != 0)
            panic("no memory for a thread");
        t[2 * k + side] = p->thread; /* which is known before it runs */
    }
    join_all(t, 2 * matches);
}

static void test_no_wake_up_between_two_cpus_is_lost(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(games); i++)
        play_all(&games[i], 1, 1500, true);
}

static void test_no_wake_up_between_all_cpus_is_lost(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(games); i++)
        play_all(&games[i], nr_cpus() + 2, 4000, true);
}

static void test_no_wake_up_of_wandering_threads_is_lost(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(games); i++)
        play_all(&games[i], nr_cpus() + 2, 4000, false);
}

/* Fewer pairs than CPUs, so that all of them go idle all the time. */
static void test_no_wake_up_of_an_idle_cpu_is_lost(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(games); i++)
        play_all(&games[i], 1, 1500, false);
}

/* --- a crowd at one queue --- */

#define CROWD 40
#define CALLS 300

static struct waitq crowd_q = WAITQ_INIT(crowd_q);
static unsigned tokens, served;

static bool take_token(void)
{
    unsigned n = load_relaxed(&tokens);

    while (n > 0)
        if (atomic_cmpxchg(&tokens, &n, n - 1))
            return true;
    return false;
}

static void be_served(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < CALLS; i++) {
        if (wait_until(&crowd_q, take_token(), time_now() + PATIENCE) != 0)
            panic("%u tokens lie there and nobody takes them; %u were taken", tokens, served);
        atomic_add(&served, 1);
    }
}

static void call_crowd(void *arg)
{
    unsigned n = (unsigned)(uintptr_t)arg;

    for (unsigned i = 0; i < n; i++) {
        atomic_add(&tokens, 1);
        waitq_wake_one(&crowd_q);
        if (i % 32 == 0)
            thread_yield();
    }
}

static void test_every_token_wakes_somebody_in_a_crowd(void)
{
    struct thread *t[CROWD + 4];

    tokens = served = 0;
    for (unsigned i = 0; i < CROWD; i++)
        t[i] = start((enum prio)(PRIO_LOW + i % 3), be_served, NULL);
    for (unsigned i = 0; i < 4; i++)
        t[CROWD + i] = start(PRIO_NORMAL, call_crowd, (void *)(uintptr_t)(CROWD * CALLS / 4));
    join_all(t, CROWD + 4);
    CHECK_EQ(served, CROWD * CALLS);
    CHECK_EQ(tokens, 0);
}

const struct test_case lock_cases[] = {
    CASE(a_spinlock_keeps_all_cpus_apart),
    CASE(a_mutex_keeps_threads_of_all_cpus_apart),
    CASE(a_bounded_queue_carries_each_item_once_between_cpus),
    CASE(threads_of_all_cpus_pass_barriers_together),
    CASE(no_wake_up_of_wandering_threads_is_lost),
    CASE(no_wake_up_of_an_idle_cpu_is_lost),
    CASE(every_token_wakes_somebody_in_a_crowd),
};
const size_t nr_lock_cases = ARRAY_SIZE(lock_cases);

const struct test_case pair_lock_cases[] = {
    CASE(a_lock_that_is_held_long_is_waited_for_and_got_by_all),
    CASE(nobody_starves_at_a_lock_that_is_nearly_always_held),
    CASE(no_wake_up_between_two_cpus_is_lost),
    CASE(no_wake_up_between_all_cpus_is_lost),
};
const size_t nr_pair_lock_cases = ARRAY_SIZE(pair_lock_cases);
