/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the explorer tries. Each is a few threads on two or three CPUs that meet in one promise of
 * the scheduler, as short as can be: every atomic operation more is a factor more of schedules.
 */
#include <arch/irq.h>
#include <string.h>
#include "kernel/cpus.h"
#include "kernel/mutex.h"
#include "kernel/spinlock.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "kernel/wait.h"
#include "lib/base/errno.h"
#include "lib/posix/park.h"
#include "tests/host/sched/explore.h"
#include "tests/host/sched/machine.h"

#define MSEC NSEC_PER_MSEC
#define ANYWHERE (~0U)

static struct thread *start_on(unsigned cpus, const char *name, enum prio prio, void (*fn)(void *),
                               void *arg)
{
    struct cpumask mine, m = {{cpus}};
    struct thread *t;

    thread_get_affinity(thread_current(), &mine);
    thread_set_affinity(thread_current(), &m); /* which it inherits */
    MUST(thread_create(name, prio, 0, fn, arg, &t) == 0);
    thread_set_affinity(thread_current(), &mine);
    return t;
}

static struct thread *start(const char *name, void (*fn)(void *), void *arg)
{
    struct thread *t;

    MUST(thread_create(name, PRIO_NORMAL, 0, fn, arg, &t) == 0);
    return t;
}

static void allow(struct thread *t, unsigned cpus)
{
    struct cpumask m = {{cpus}};

    thread_set_affinity(t, &m);
}

static void busy(void *unused)
{
    (void)unused;
    explore_busy();
}

/* ---- wake against block (I3) ---- */

static bool flag;

static void sleeper(void *unused)
{
    (void)unused;
    for (int i = 0; i < 2; i++) {
        for (;;) {
            thread_prepare_block();
            if (load_acquire(&flag))
                break;
            MUST(thread_block(NEVER) == 0);
        }
        store_release(&flag, false);
    }
}

static void wake_and_block(void)
{
    struct thread *t = start("sleeper", sleeper, NULL);

    for (int i = 0; i < 2; i++) {
        store_release(&flag, true);
        thread_wake(t);
        while (i == 0 && load_acquire(&flag))
            cpu_relax();
    }
    thread_join(t);
}

/* ---- wait queues: two wait, two are woken ---- */

static struct waitq queue = WAITQ_INIT(queue);
static unsigned tickets;

static bool take_ticket(void)
{
    unsigned n = load_acquire(&tickets);

    while (n > 0)
        if (atomic_cmpxchg(&tickets, &n, n - 1))
            return true;
    return false;
}

static void waiter(void *unused)
{
    (void)unused;
    (void)!wait_until(&queue, take_ticket(), NEVER);
}

static void wait_queue(void)
{
    struct thread *a = start("a", waiter, NULL), *b = start("b", waiter, NULL);

    for (int i = 0; i < 2; i++) {
        atomic_add(&tickets, 1);
        waitq_wake_one(&queue);
    }
    thread_join(a);
    thread_join(b);
}

/* One who has what it wants is still on the queue, first, when the second is announced. */
static void wake_of_a_satisfied(void)
{
    struct thread *a, *b;

    atomic_add(&tickets, 1);
    a = start("a", waiter, NULL);
    allow(thread_current(), 1);
    b = start("b", waiter, NULL);
    thread_yield();
    atomic_add(&tickets, 1);
    waitq_wake_one(&queue);
    thread_join(a);
    thread_join(b);
}

/* ---- deadlines against wakes ---- */

static void timed_sleeper(void *unused)
{
    nsec_t end = clock_read() + MSEC;
    int rc;

    (void)unused;
    thread_prepare_block();
    rc = thread_block(end);
    MUST(rc == 0 ? load_acquire(&flag) : clock_read() >= end);
    thread_sleep_until(end + MSEC); /* neither the wake nor the old deadline shortens it */
    MUST(clock_read() >= end + MSEC);
    thread_sleep_until(end); /* in the past */
}

static void timeout_and_wake(void)
{
    struct thread *t = start("sleeper", timed_sleeper, NULL);

    store_release(&flag, true);
    thread_wake(t);
    thread_join(t);
}

static void sleeps(void *arg)
{
    nsec_t end = clock_read() + *(nsec_t *)arg;

    thread_sleep_until(end);
    MUST(clock_read() >= end);
}

static void sleeping(void)
{
    static nsec_t ms[] = {2 * MSEC, MSEC, MSEC};
    struct thread *t[3];

    for (int i = 0; i < 3; i++)
        t[i] = start("sleeps", sleeps, &ms[i]);
    sleeps(&ms[0]);
    for (int i = 0; i < 3; i++)
        thread_join(t[i]);
}

/* ---- a timer that several CPUs set and cancel ---- */

static struct timer timer;
static unsigned fired, in_timer;

static void fire(struct timer *t)
{
    (void)t;
    atomic_add(&in_timer, 1);
    atomic_add(&fired, 1);
    MUST(load_relaxed(&in_timer) == 1);
    atomic_sub(&in_timer, 1);
}

static void sets_timer(void *unused)
{
    (void)unused;
    timer_set(&timer, clock_read() + MSEC);
}

static void timers(void)
{
    struct thread *t;
    unsigned seen;

    timer_init(&timer, fire);
    timer_set(&timer, clock_read() + MSEC);
    t = start("setter", sets_timer, NULL);
    timer_set(&timer, clock_read() + 2 * MSEC);
    thread_join(t);
    (void)timer_cancel(&timer);
    MUST(load_relaxed(&in_timer) == 0);
    seen = load_relaxed(&fired);
    MUST(!timer_cancel(&timer));
    thread_sleep_until(clock_read() + 5 * MSEC);
    MUST(load_relaxed(&fired) == seen);
    timer_set(&timer, clock_read() + MSEC);
    thread_sleep_until(clock_read() + 2 * MSEC);
    MUST(load_relaxed(&fired) == seen + 1);
}

/* ---- no thread waits while a CPU sleeps (I5): explore_busy looks ---- */

static void spread(void)
{
    struct thread *t[3];

    for (int i = 0; i < 3; i++)
        t[i] = start("busy", busy, NULL);
    explore_busy();
    for (int i = 0; i < 3; i++)
        thread_join(t[i]);
}

static void sleep_then_busy(void *arg)
{
    thread_sleep_until(NSEC_PER_SEC + *(nsec_t *)arg);
    explore_busy();
}

/* CPU 0's urgent thread takes it from ours; CPU 1's thread comes back at the same time: the CPU
 * that sleeps is for ours. */
static void offer_against_wake(void)
{
    static nsec_t when = 10 * MSEC;
    struct thread *urgent, *other;

    urgent = start_on(1, "urgent", PRIO_HIGH, sleep_then_busy, &when);
    other = start_on(2, "other", PRIO_NORMAL, sleep_then_busy, &when);
    allow(thread_current(), 1);
    allow(thread_current(), ANYWHERE);
    explore_busy();
    explore_busy();
    thread_join(urgent);
    thread_join(other);
}

/* Two that wait on CPU 0 may run nowhere else, the third may. */
static void offer_past_the_pinned(void)
{
    struct thread *a, *b;

    allow(thread_current(), 1);
    a = start_on(1, "pinned", PRIO_NORMAL, busy, NULL);
    b = start_on(1, "pinned too", PRIO_NORMAL, busy, NULL);
    allow(thread_current(), ANYWHERE);
    explore_busy();
    thread_yield();
    explore_busy();
    thread_join(a);
    thread_join(b);
}

/* One is woken on CPU 0, too little urgent to run there, when CPU 1 has just nothing more to do. */
static void offer_against_sleep(void)
{
    struct thread *woken = start_on(1, "woken", PRIO_LOW, waiter, NULL), *ends;

    allow(thread_current(), 1);
    thread_sleep_until(clock_read() + MSEC); /* it sleeps on CPU 0 */
    allow(woken, ANYWHERE);
    allow(thread_current(), ANYWHERE);
    ends = start("ends", busy, NULL);
    explore_busy();
    atomic_add(&tickets, 1);
    waitq_wake_one(&queue);
    explore_busy();
    thread_join(woken);
    thread_join(ends);
}

static void wakes_many(void)
{
    struct thread *t[3];

    for (int i = 0; i < 3; i++)
        t[i] = start("waiter", waiter, NULL);
    explore_busy();
    atomic_add(&tickets, 3);
    waitq_wake_all(&queue);
    explore_busy();
    for (int i = 0; i < 3; i++)
        thread_join(t[i]);
}

/* ---- affinity: of one who runs, waits, sleeps ---- */

static void moves_itself(void *unused)
{
    (void)unused;
    for (unsigned i = 0; i < 3; i++) {
        allow(thread_current(), 1U << i % 2);
        MUST(cpu_id() == i % 2 || !flag);
    }
}

static void affinity_own(void)
{
    struct thread *t;

    flag = true;
    t = start("mover", moves_itself, NULL);
    moves_itself(NULL);
    thread_join(t);
}

static void busy_twice(void *unused)
{
    (void)unused;
    explore_busy();
    (void)!wait_until(&queue, take_ticket(), NEVER);
    explore_busy();
}

static void affinity_of_another(void)
{
    struct thread *t = start_on(1, "moved", PRIO_NORMAL, busy_twice, NULL);

    allow(t, 2);
    explore_busy();
    allow(t, 1);
    explore_busy();
    atomic_add(&tickets, 1);
    waitq_wake_one(&queue);
    allow(t, 2);
    explore_busy();
    allow(t, 3);
    explore_busy();
    thread_join(t);
}

/* Waits on a CPU it was alone allowed to; then may go to one that sleeps. */
static void affinity_widened(void)
{
    struct thread *t;

    allow(thread_current(), 1);
    t = start_on(1, "waits", PRIO_NORMAL, busy, NULL);
    allow(t, 3);
    explore_busy();
    thread_join(t);
}

/* ---- nobody idles, but one CPU has a longer queue than the other ---- */

static bool all_over;

static void runs_until_over(void *unused)
{
    (void)unused;
    while (!load_acquire(&all_over))
        cpu_relax();
}

/* Four that may run anywhere wait on CPU 0, CPU 1 has one that never sleeps. */
static void balance(void)
{
    struct thread *t[4], *other = start_on(2, "other", PRIO_NORMAL, runs_until_over, NULL);

    allow(thread_current(), 1);
    thread_set_prio(thread_current(), PRIO_HIGH);
    for (int i = 0; i < 4; i++)
        t[i] = start_on(1, "one of four", PRIO_NORMAL, runs_until_over, NULL);
    for (int i = 0; i < 4; i++)
        allow(t[i], 3);
    thread_sleep_until(clock_read() + 100 * MSEC);
    MUST(inside_waiting(1) > 0 && inside_waiting(0) <= 3);
    store_release(&all_over, true);
    for (int i = 0; i < 4; i++)
        thread_join(t[i]);
    thread_join(other);
}

/* Ours is more urgent and never sleeps: who waits for it is better off with another of its kind. */
static bool has_run;

static void says_that_it_runs(void *unused)
{
    (void)unused;
    store_release(&has_run, true);
}

static void behind_the_urgent(void)
{
    struct thread *t, *other = start_on(2, "other", PRIO_NORMAL, runs_until_over, NULL);

    allow(thread_current(), 1);
    thread_set_prio(thread_current(), PRIO_HIGH);
    t = start_on(1, "waits", PRIO_NORMAL, says_that_it_runs, NULL);
    allow(t, 3);
    for (int slices = 0; slices < 10; slices++)
        for (nsec_t end = clock_read() + 10 * MSEC; !load_acquire(&has_run) && clock_read() < end;)
            cpu_relax();
    MUST(load_acquire(&has_run));
    store_release(&all_over, true);
    thread_join(t);
    thread_join(other);
}

/* ---- priorities ---- */

static void priorities(void)
{
    struct thread *low = start_on(1, "low", PRIO_LOW, busy, NULL),
                  *high = start_on(1, "high", PRIO_HIGH, busy, NULL);

    thread_set_prio(low, PRIO_DRIVER);
    thread_set_prio(high, PRIO_LOW);
    explore_busy();
    thread_join(low);
    thread_join(high);
}

/* It waits here, and CPU 1, which has just nothing more to do, takes it while we change it. */
static void change_while_stolen(void)
{
    struct thread *ends = start("ends", busy, NULL), *waits;

    MUST(thread_create("waits", PRIO_LOW, 0, busy, NULL, &waits) == 0);
    explore_busy();
    thread_set_prio(waits, PRIO_NORMAL);
    thread_set_prio(waits, PRIO_LOW);
    explore_busy();
    thread_join(ends);
    thread_join(waits);
}

static struct mutex mutex = MUTEX_INIT(mutex);
static unsigned inside;

static void locks(void *unused)
{
    (void)unused;
    mutex_lock(&mutex);
    MUST(atomic_add(&inside, 1) == 1);
    MUST(atomic_sub(&inside, 1) == 0);
    mutex_unlock(&mutex);
}

static void mutexes(void)
{
    struct thread *high = start_on(ANYWHERE, "high", PRIO_HIGH, locks, NULL),
                  *low = start_on(ANYWHERE, "low", PRIO_LOW, locks, NULL);

    locks(NULL);
    MUST(thread_prio(thread_current()) == PRIO_NORMAL);
    thread_join(high);
    thread_join(low);
    MUST(mutex.owner == 0 && !mutex.lent);
}

/* The last one that has the mutex makes its memory something else; the one before it had waited. */
#define GONE 0x5a
static struct mutex doomed;
static unsigned users;

static void leaves(void *unused)
{
    bool last;

    (void)unused;
    mutex_lock(&doomed);
    last = atomic_sub(&users, 1) == 0;
    mutex_unlock(&doomed);
    if (last)
        memset(&doomed, GONE, sizeof(doomed));
}

static void freed_by_the_last(void)
{
    unsigned char is[sizeof(doomed)];
    struct thread *other;

    mutex_init(&doomed);
    users = 2;
    mutex_lock(&doomed);
    other = start_on(2, "other", PRIO_NORMAL, leaves, NULL);
    explore_busy(); /* until it waits */
    mutex_unlock(&doomed);
    leaves(NULL);
    thread_join(other);
    memcpy(is, &doomed, sizeof(is));
    for (size_t i = 0; i < sizeof(is); i++)
        MUST(is[i] == GONE);
}

/* The one with the lock waits for the CPU of a thread more urgent than itself, but not than who
 * waits for the lock: the loan brings it back. */
static bool passed;

static void takes_and_keeps(void *unused)
{
    (void)unused;
    mutex_lock(&mutex);
    store_release(&flag, true);
    explore_busy();
    MUST(!load_acquire(&passed));
    mutex_unlock(&mutex);
    MUST(thread_prio(thread_current()) == PRIO_LOW);
}

static void is_in_the_way(void *unused)
{
    (void)unused;
    (void)!wait_until(&queue, take_ticket(), NEVER);
    explore_busy();
    store_release(&passed, true);
}

static void lending(void)
{
    struct thread *middle = start_on(2, "middle", PRIO_NORMAL, is_in_the_way, NULL),
                  *low = start_on(2, "low", PRIO_LOW, takes_and_keeps, NULL);

    allow(thread_current(), 1);
    thread_set_prio(thread_current(), PRIO_HIGH);
    while (!load_acquire(&flag))
        cpu_relax();
    atomic_add(&tickets, 1);
    waitq_wake_one(&queue);
    locks(NULL);
    thread_join(low);
    thread_join(middle);
}

/* The same, but between us and the one with the lock is another that has ours and waits for his. */
static struct mutex ours = MUTEX_INIT(ours);
static bool has_ours, may_end;

static void takes_until_it_may_end(void *unused)
{
    (void)unused;
    mutex_lock(&mutex);
    store_release(&flag, true);
    while (!load_acquire(&may_end))
        cpu_relax();
    MUST(!load_acquire(&passed));
    mutex_unlock(&mutex);
    MUST(thread_prio(thread_current()) == PRIO_LOW);
}

static void takes_both(void *unused)
{
    (void)unused;
    mutex_lock(&ours);
    store_release(&has_ours, true);
    mutex_lock(&mutex);
    mutex_unlock(&mutex);
    mutex_unlock(&ours);
    MUST(thread_prio(thread_current()) == PRIO_LOW);
}

static void lending_on(void)
{
    struct thread *middle = start_on(2, "middle", PRIO_NORMAL, is_in_the_way, NULL),
                  *low = start_on(2, "low", PRIO_LOW, takes_until_it_may_end, NULL), *between;

    allow(thread_current(), 1);
    thread_set_prio(thread_current(), PRIO_HIGH);
    while (!load_acquire(&flag))
        cpu_relax();
    between = start_on(1, "between", PRIO_LOW, takes_both, NULL);
    while (!load_acquire(&has_ours))
        thread_sleep_until(clock_read() + MSEC);
    atomic_add(&tickets, 1);
    waitq_wake_one(&queue);
    store_release(&may_end, true);
    mutex_lock(&ours);
    mutex_unlock(&ours);
    thread_join(low);
    thread_join(between);
    thread_join(middle);
}

static struct cond cond = COND_INIT(cond);

static void awaits(void *unused)
{
    (void)unused;
    mutex_lock(&mutex);
    while (!flag)
        MUST(cond_wait(&cond, &mutex, NEVER) == 0);
    mutex_unlock(&mutex);
}

static void conditions(void)
{
    struct thread *t = start("awaits", awaits, NULL);

    mutex_lock(&mutex);
    flag = true;
    cond_signal(&cond);
    mutex_unlock(&mutex);
    thread_join(t);
}

/* A signal is never lost on one whose time runs out. */
static unsigned signalled;

static void awaits_awhile(void *arg)
{
    int rc;

    mutex_lock(&mutex);
    rc = cond_wait(&cond, &mutex, *(nsec_t *)arg);
    signalled += rc == 0;
    mutex_unlock(&mutex);
}

static void signal_and_timeout(void)
{
    static nsec_t soon = NSEC_PER_SEC + 10 * MSEC, for_ever = NEVER;
    struct thread *a = start("in time", awaits_awhile, &soon),
                  *b = start("for ever", awaits_awhile, &for_ever);

    explore_busy(); /* both are there */
    thread_sleep_until(soon);
    cond_signal(&cond);
    explore_busy();
    MUST(signalled == 1);
    cond_signal(&cond);
    thread_join(a);
    cond_signal(&cond);
    thread_join(b);
}

/* ---- life and death ---- */

static void nothing(void *unused)
{
    (void)unused;
}

static void join_and_detach(void)
{
    struct thread *a = start("a", nothing, NULL), *b = start("b", nothing, NULL);

    thread_detach(b);
    thread_join(a);
    explore_busy();
    MUST(thread_count() == 1);
}

/* Made where their maker may run alone, on one CPU after the other. */
static void inheriting(void)
{
    for (unsigned i = 0; i < 4; i++) {
        allow(thread_current(), 1U << i % 2);
        thread_join(start("a", nothing, NULL));
    }
}

/* ---- parking, as pthread_once does it ---- */

static uint32_t once;

static void does_once(void *unused)
{
    (void)unused;
    for (;;) {
        uint32_t seen = load_acquire(&once);

        if (seen == 2)
            return;
        if (seen == 0 && atomic_cmpxchg(&once, &seen, 1U))
            break;
        (void)park_wait(&once, 1, NEVER);
    }
    thread_sleep_until(clock_read() + 10 * MSEC);
    store_release(&once, 2U);
    park_wake(&once, PARK_ALL);
}

static void parking(void)
{
    struct thread *t[3];

    for (int i = 0; i < 3; i++)
        t[i] = start("once", does_once, NULL);
    does_once(NULL);
    for (int i = 0; i < 3; i++)
        thread_join(t[i]);
}

/* ---- meeting, as at a barrier, three times ---- */

static uint32_t meeting;
static unsigned come[3], last_ones;

static void meets(void *unused)
{
    (void)unused;
    for (int i = 0; i < 3; i++) {
        atomic_add(&come[i], 1U);
        if (park_meet(&meeting))
            atomic_add(&last_ones, 1U);
        MUST(load_acquire(&come[i]) == 3);
    }
}

static void meetings(void)
{
    struct thread *t[2];

    meeting = 3;
    come[0] = come[1] = come[2] = last_ones = 0;
    for (int i = 0; i < 2; i++)
        t[i] = start("meets", meets, NULL);
    meets(NULL);
    for (int i = 0; i < 2; i++)
        thread_join(t[i]);
    MUST(meeting == 3 && last_ones == 3);
}

/* ---- CPUs that go and come ---- */

/* The host may not run it for long. */
static void take_down_1(void)
{
    int rc;

    do
        rc = cpus_take_down(1);
    while (rc == -ETIMEDOUT);
    MUST(rc == 0);
}

static void take_down(void)
{
    static nsec_t ms = MSEC;
    struct thread *t[4];

    t[0] = start_on(2, "runs", PRIO_NORMAL, busy_twice, NULL);
    t[1] = start_on(2, "waits", PRIO_NORMAL, busy, NULL);
    t[2] = start_on(2, "sleeps", PRIO_NORMAL, sleeps, &ms);
    t[3] = start_on(2, "blocks", PRIO_HIGH, waiter, NULL);
    take_down_1();
    MUST(inside_waiting(1) == 0);
    atomic_add(&tickets, 2);
    waitq_wake_all(&queue);
    for (int i = 0; i < 4; i++)
        thread_join(t[i]);
}

/* A CPU that does not answer in time, because upcalls are masked there for very long: it goes on as
 * if nobody had asked, and can be asked again. */
static void masks_upcalls(void *unused)
{
    irqstate_t irq;

    (void)unused;
    allow(thread_current(), 2);
    irq = irq_save();
    store_release(&flag, true);
    while (!load_acquire(&may_end))
        cpu_relax();
    irq_restore(irq);
}

static void is_on_cpu_1(void *unused)
{
    (void)unused;
    MUST(cpu_id() == 1);
    store_release(&has_run, true);
}

static void slow_stop(void)
{
    struct thread *slow, *t;

    allow(thread_current(), 1);
    slow = start_on(3, "slow", PRIO_HIGH, masks_upcalls, NULL);
    while (!load_acquire(&flag))
        cpu_relax();
    MUST(cpus_take_down(1) == -ETIMEDOUT && cpumask_has(cpus_online(), 1));
    store_release(&may_end, true);
    thread_join(slow);
    t = start_on(2, "is there", PRIO_NORMAL, is_on_cpu_1, NULL);
    thread_join(t);
    MUST(has_run);
    take_down_1();
}

/* Its way to CPU 1, which is idle, is the longer one: when it is there, nobody may be. */
static void takes_down(void *unused)
{
    (void)unused;
    take_down_1();
    MUST(inside_waiting(1) == 0);
}

static void wake_to_one_that_goes(void)
{
    struct thread *woken = start_on(1, "woken", PRIO_NORMAL, waiter, NULL), *t;

    allow(thread_current(), 1);
    thread_sleep_until(clock_read() + MSEC); /* it sleeps on CPU 0 */
    allow(woken, 2);
    t = start("takes down", takes_down, NULL);
    allow(t, 4);
    atomic_add(&tickets, 1);
    waitq_wake_one(&queue);
    thread_join(woken);
    thread_join(t);
}

/* Nothing of it knows of the wish: threads are made, woken and end while the CPU goes and comes. */
static void goes_and_comes(void *unused)
{
    (void)unused;
    int rc = cpus_take_down(1);

    MUST(rc == 0 || rc == -ETIMEDOUT); /* the host may not have run it */
    rc = cpus_bring_up(1);
    MUST(rc == 0 || rc == -ETIMEDOUT);
}

static void hotplug(void)
{
    struct thread *t = start_on(1, "hotplug", PRIO_HIGH, goes_and_comes, NULL), *a, *b;

    a = start("waiter", waiter, NULL);
    atomic_add(&tickets, 1);
    waitq_wake_one(&queue);
    b = start_on(2, "pinned", PRIO_NORMAL, nothing, NULL);
    thread_join(a);
    thread_join(b);
    thread_join(t);
    b = start_on(2, "back", PRIO_NORMAL, busy, NULL);
    explore_busy();
    thread_join(b);
}

/* Whoever is allowed on CPU 1 alone goes elsewhere with it, and comes home: also who does all that.
 */
static void homecoming(void)
{
    struct thread *t;

    allow(thread_current(), 2);
    t = start("too", busy_twice, NULL);
    take_down_1();
    explore_busy();
    MUST(cpus_bring_up(1) == 0);
    explore_busy();
    MUST(cpu_id() == 1);
    atomic_add(&tickets, 1);
    waitq_wake_one(&queue);
    thread_join(t);
}

static void note_cpu(void *arg)
{
    *(unsigned *)arg = cpu_id() + 1;
}

static void calls(void)
{
    struct thread *t = start_on(2, "runs", PRIO_NORMAL, busy, NULL);
    unsigned at = 0;

    MUST(cpus_call(1, note_cpu, &at) == 0 && at == 2);
    MUST(cpus_call(0, note_cpu, &at) == 0 && at == 1);
    thread_join(t);
}

/* ---- spinlocks whose holder the host does not run ---- */

static struct spinlock spinlock;

static void spins(void *unused)
{
    (void)unused;
    for (int i = 0; i < 2; i++) {
        irqstate_t irq = spin_lock(&spinlock);

        MUST(atomic_add(&inside, 1) == 1);
        MUST(atomic_sub(&inside, 1) == 0);
        spin_unlock(&spinlock, irq);
    }
}

static void spinlocks(void)
{
    struct thread *a = start_on(2, "a", PRIO_NORMAL, spins, NULL),
                  *b = start_on(4, "b", PRIO_NORMAL, spins, NULL);

    spins(NULL);
    thread_join(a);
    thread_join(b);
    MUST(spinlock.word == 0 && spinlock.parked == 0);
}

const struct scenario scenarios[] = {
    {"wake", 2, wake_and_block, 3, false},
    {"waitq", 3, wait_queue, 2, false},
    {"satisfied", 2, wake_of_a_satisfied, 2, false},
    {"timeout", 2, timeout_and_wake, 2, false},
    {"sleep", 3, sleeping, 2, false},
    {"timer", 2, timers, 2, false},
    {"spread", 3, spread, 2, false},
    {"offer", 3, offer_against_wake, 2, false},
    {"offer-pinned", 2, offer_past_the_pinned, 2, false},
    {"offer-sleep", 2, offer_against_sleep, 2, false},
    {"wake-many", 3, wakes_many, 2, false},
    {"affinity-own", 2, affinity_own, 2, false},
    {"affinity", 2, affinity_of_another, 2, false},
    {"affinity-wider", 2, affinity_widened, 2, false},
    {"balance", 2, balance, 1, false},
    {"behind", 2, behind_the_urgent, 1, false},
    {"priority", 2, priorities, 2, false},
    {"stolen", 2, change_while_stolen, 2, false},
    {"mutex", 2, mutexes, 2, false},
    {"mutex-freed", 2, freed_by_the_last, 2, false},
    {"lend", 2, lending, 2, false},
    {"lend-on", 2, lending_on, 2, false},
    {"condition", 2, conditions, 2, false},
    {"signal", 2, signal_and_timeout, 2, false},
    {"life", 2, join_and_detach, 2, false},
    {"inherit", 2, inheriting, 2, false},
    {"park", 3, parking, 2, false},
    {"meet", 3, meetings, 2, false},
    {"take-down", 2, take_down, 2, false},
    {"slow-stop", 2, slow_stop, 0, false},
    {"wake-to-gone", 3, wake_to_one_that_goes, 2, false},
    {"hotplug", 3, hotplug, 2, false},
    {"home", 2, homecoming, 2, false},
    {"call", 2, calls, 2, false},
    {"spinlock", 3, spinlocks, 3, true},
};
const unsigned nr_scenarios = ARRAY_SIZE(scenarios);
