/* SPDX-License-Identifier: BSD-2-Clause */
/* Mutexes, the priority they lend, and condition variables. */
#include "kernel/heap.h"
#include "kernel/mutex.h"
#include "tests/guest/kernel-threads/cases.h"

static struct mutex m = MUTEX_INIT(m);
static struct mutex inner = MUTEX_INIT(inner);

static unsigned long shared[2];
static bool torn;

static void add_under_lock(void *arg)
{
    (void)arg;
    for (int i = 0; i < 2000; i++) {
        mutex_lock(&m);
        torn |= shared[0] != shared[1];
        shared[0]++;
        if (i % 16 == 0)
            thread_yield();
        shared[1]++;
        mutex_unlock(&m);
    }
}

static void test_a_mutex_keeps_eight_threads_apart(void)
{
    struct thread *t[8];

    shared[0] = shared[1] = 0;
    torn = false;
    for (size_t i = 0; i < 8; i++)
        t[i] = start((enum prio)(PRIO_LOW + i % 3), add_under_lock, NULL);
    join_all(t, 8);
    CHECK(!torn);
    CHECK_EQ(shared[0], 16000);
    CHECK_EQ(shared[1], 16000);
}

static void test_a_recursive_mutex_needs_as_many_unlocks(void)
{
    mutex_lock_recursive(&m);
    mutex_lock_recursive(&m);
    CHECK(mutex_held(&m));
    mutex_unlock(&m);
    CHECK(mutex_held(&m));
    CHECK_EQ(mutex_trylock(&inner), 0);
    mutex_unlock(&inner);
    mutex_unlock(&m);
    CHECK(!mutex_held(&m));
}

/* Holds m and spins until (released); then spins on without it until (stop). */
struct holder {
    volatile bool holding, release, released, stop;
    bool nested;
};

static void hold(void *arg)
{
    struct holder *h = arg;

    mutex_lock(&m);
    if (h->nested)
        mutex_lock(&inner);
    h->holding = true;
    while (!h->release)
        ;
    mutex_unlock(h->nested ? &inner : &m);
    h->released = true;
    while (!h->stop)
        ;
    if (h->nested)
        mutex_unlock(&m);
}

/* We are more urgent than all others until end_holder, and so decide when they run. */
static struct thread *start_holder(struct holder *h)
{
    struct thread *t;

    thread_set_prio(thread_current(), PRIO_DRIVER);
    t = start(PRIO_LOW, hold, h);
    while (!h->holding)
        sleep_for(MS);
    return t;
}

static void end_holder(struct holder *h, struct thread *t)
{
    h->release = h->stop = true;
    thread_join(t);
    thread_set_prio(thread_current(), PRIO_NORMAL);
}

#define LOAN_WAIT (10 * NSEC_PER_SEC) /* only ends what fails */

/* It runs until it waits for (owner), who then has its priority. */
static struct thread *start_waiter(enum prio prio, void (*fn)(void *), struct thread *owner)
{
    struct thread *t = start(prio, fn, NULL);
    nsec_t end = time_now() + LOAN_WAIT;

    while (thread_prio(owner) < prio && time_now() < end)
        sleep_for(MS);
    return t;
}

static void lock_and_unlock(void *arg)
{
    (void)arg;
    mutex_lock(&m);
    mutex_unlock(&m);
}

static void give_up_soon(void *arg)
{
    int *rc = arg;

    *rc = mutex_lock_until(&m, time_now() + 10 * MS);
    if (*rc == 0)
        mutex_unlock(&m);
}

static void lock_inner(void *arg)
{
    (void)arg;
    mutex_lock(&inner);
    mutex_unlock(&inner);
}

/* Low holds, normal spins, high waits: without the loan low would never let go. */
static void test_a_mutex_lends_its_owner_the_waiters_priority(void)
{
    struct holder h = {0};
    volatile bool stop = false;
    struct spinner s = {&stop, 0};
    struct thread *low = start_holder(&h), *high, *normal;
    enum prio lent, after;

    high = start_waiter(PRIO_HIGH, lock_and_unlock, low);
    lent = thread_prio(low);
    normal = start(PRIO_NORMAL, spin_until_stopped, &s);
    h.release = true;
    thread_join(high); /* for ever, if it fails */
    after = thread_prio(low);
    stop = true;
    thread_join(normal);
    end_holder(&h, low);
    CHECK_EQ(lent, PRIO_HIGH);
    CHECK_EQ(after, PRIO_LOW);
}

/* The list of waiters is empty again when the owner unlocks. */
static void test_a_loan_ends_with_the_lock_although_the_waiter_gave_up(void)
{
    struct holder h = {0};
    struct thread *low = start_holder(&h), *high;
    enum prio prio;
    int rc = 0;

    high = start(PRIO_HIGH, give_up_soon, &rc);
    thread_join(high);
    h.release = true;
    while (!h.released)
        sleep_for(MS);
    prio = thread_prio(low);
    end_holder(&h, low);
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK_EQ(prio, PRIO_LOW);
}

static void test_a_loan_lasts_while_the_outer_mutex_is_held(void)
{
    struct holder h = {.nested = true};
    struct thread *low = start_holder(&h), *outer_waiter, *inner_waiter;
    enum prio prio;

    inner_waiter = start_waiter(PRIO_NORMAL, lock_inner, low); /* before low is lifted above it */
    outer_waiter = start_waiter(PRIO_HIGH, lock_and_unlock, low);
    h.release = true;
    while (!h.released)
        sleep_for(MS);
    prio = thread_prio(low);
    end_holder(&h, low);
    thread_join(inner_waiter);
    thread_join(outer_waiter);
    CHECK_EQ(prio, PRIO_HIGH);
}

/* An equal became ready while the owner was lifted: they must share the CPU afterwards. */
static void test_equals_share_the_cpu_after_a_loan(void)
{
    struct holder h = {0};
    volatile bool stop = false;
    struct spinner s = {&stop, 0};
    struct thread *low = start_holder(&h), *equal, *high;
    bool ran;

    high = start_waiter(PRIO_HIGH, lock_and_unlock, low);
    equal = start(PRIO_LOW, spin_until_stopped, &s);
    h.release = true;
    thread_join(high);
    for (int i = 0; i < 20 && s.count == 0; i++)
        sleep_for(100 * MS);
    ran = s.count > 0;
    stop = true;
    end_holder(&h, low);
    thread_join(equal);
    CHECK(ran);
}

/* Whoever takes the last reference under the lock frees the object with the lock in it. */
struct counted {
    struct mutex lock;
    unsigned refs;
    char rest[400];
};

static void put_counted(void *arg)
{
    struct counted *c = arg;
    bool last;

    mutex_lock(&c->lock);
    last = --c->refs == 0;
    mutex_unlock(&c->lock);
    if (!last)
        return;
    memset(c, 0xa5, sizeof(*c));
    heap_free(c);
}

static void test_a_mutex_may_be_freed_by_the_next_owner(void)
{
    for (int i = 0; i < 200; i++) {
        struct counted *c = heap_alloc(sizeof(*c));
        struct thread *t[4];

        mutex_init(&c->lock);
        c->refs = 4;
        for (size_t j = 0; j < 4; j++)
            t[j] = start((enum prio)(PRIO_LOW + (i + j) % 4), put_counted, c);
        join_all(t, 4);
    }
}

/* --- condition variables --- */

#define SLOTS 7
#define ITEMS 5000

static struct cond not_empty = COND_INIT(not_empty), not_full = COND_INIT(not_full);
static unsigned queue[SLOTS], head, tail, taken;
static unsigned long sum;

static void produce(void *arg)
{
    unsigned first = (unsigned)(uintptr_t)arg;

    for (unsigned i = 0; i < ITEMS; i++) {
        mutex_lock(&m);
        while (head - tail == SLOTS)
            cond_wait(&not_full, &m, NEVER);
        queue[head++ % SLOTS] = first + i;
        cond_signal(&not_empty);
        mutex_unlock(&m);
    }
}

static void consume(void *arg)
{
    (void)arg;
    mutex_lock(&m);
    while (taken < 3 * ITEMS) {
        if (head == tail) {
            cond_wait(&not_empty, &m, NEVER);
            continue;
        }
        sum += queue[tail++ % SLOTS];
        if (++taken == 3 * ITEMS)
            cond_broadcast(&not_empty);
        cond_signal(&not_full);
    }
    mutex_unlock(&m);
}

static void test_a_bounded_queue_carries_every_item_once(void)
{
    unsigned long want = 0;
    struct thread *t[6];

    head = tail = taken = 0;
    sum = 0;
    for (uintptr_t i = 0; i < 3; i++) {
        t[i] = start((enum prio)(PRIO_LOW + i), produce, (void *)(i * ITEMS));
        t[i + 3] = start((enum prio)(PRIO_HIGH - i), consume, NULL);
    }
    join_all(t, 6);
    for (unsigned long i = 0; i < 3 * ITEMS; i++)
        want += i;
    CHECK_EQ(taken, 3 * ITEMS);
    CHECK_EQ(sum, want);
}

static void test_a_condition_times_out_with_the_mutex_held_again(void)
{
    nsec_t start_time = time_now();
    int rc;

    mutex_lock(&m);
    rc = cond_wait(&not_empty, &m, start_time + 5 * MS);
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK(mutex_held(&m));
    mutex_unlock(&m);
    CHECK(time_now() >= start_time + 5 * MS);
}

static unsigned generation, arrived;
static struct cond turned = COND_INIT(turned);

static void barrier(unsigned n)
{
    unsigned mine;

    mutex_lock(&m);
    mine = generation;
    if (++arrived == n) {
        arrived = 0;
        generation++;
        cond_broadcast(&turned);
    }
    while (mine == generation)
        cond_wait(&turned, &m, NEVER);
    mutex_unlock(&m);
}

static void walk_barriers(void *arg)
{
    bool *wrong = arg;

    for (unsigned i = 1; i <= 300; i++) {
        barrier(6);
        *wrong |= generation < i;
    }
}

static void test_six_threads_pass_three_hundred_barriers_together(void)
{
    struct thread *t[6];
    bool wrong = false;

    generation = arrived = 0;
    for (size_t i = 0; i < 6; i++)
        t[i] = start((enum prio)(PRIO_LOW + i % 4), walk_barriers, &wrong);
    join_all(t, 6);
    CHECK(!wrong);
    CHECK_EQ(generation, 300);
}

const struct test_case lock_cases[] = {
    CASE(a_mutex_keeps_eight_threads_apart),
    CASE(a_recursive_mutex_needs_as_many_unlocks),
    CASE_ON_ONE_CPU(a_mutex_lends_its_owner_the_waiters_priority),
    CASE_ON_ONE_CPU(a_loan_ends_with_the_lock_although_the_waiter_gave_up),
    CASE_ON_ONE_CPU(a_loan_lasts_while_the_outer_mutex_is_held),
    CASE_ON_ONE_CPU(equals_share_the_cpu_after_a_loan),
    CASE(a_mutex_may_be_freed_by_the_next_owner),
    CASE(a_bounded_queue_carries_every_item_once),
    CASE(a_condition_times_out_with_the_mutex_held_again),
    CASE(six_threads_pass_three_hundred_barriers_together),
};
const size_t nr_lock_cases = sizeof(lock_cases) / sizeof(lock_cases[0]);
