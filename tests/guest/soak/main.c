/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Everything that several CPUs do to each other, at once and for long (seconds=N): threads are made
 * and joined, sleep, lock, signal; timers are set and cancelled; CPUs are called, go and come;
 * memory is allocated here and freed there, mapped and unmapped; ports move while they are
 * notified. Every worker checks its data; after a minute each, all must have done something. At the
 * end pages, grants, ports and threads must be what they were.
 */
#include "kernel/cpus.h"
#include "kernel/mutex.h"
#include "kernel/page.h"
#include "kernel/vmap.h"
#include "lib/base/assert.h"
#include "lib/base/atomic.h"
#include "lib/base/errno.h"
#include "tests/guest/census.h"

#define MS NSEC_PER_MSEC
#define PERIOD (60 * NSEC_PER_SEC)
#define SECONDS 20
#define MYSELF 0 /* our domain number */

static nsec_t end;
static bool over;

struct worker {
    const char *name;
    void (*step)(struct worker *w); /* bounded */
    uint32_t random;
    unsigned long steps;
    struct thread *thread;
};

#define MUST(cond) ((cond) ? (void)0 : panic("soak, %s: not true: %s", w->name, #cond))

static uint32_t next_random(struct worker *w)
{
    w->random = w->random * 1664525 + 1013904223;
    return w->random >> 8;
}

static struct thread *start(enum prio prio, void (*fn)(void *), void *arg)
{
    struct thread *t;

    return thread_create("soak", prio, 16384, fn, arg, &t) == 0 ? t : NULL;
}

/* --- threads --- */

#define LITTER 8

static void doubles(void *arg)
{
    unsigned *n = arg;

    if (*n % 3 == 0)
        thread_yield();
    atomic_add(n, *n);
}

/* None is less urgent than the workers, more of which are always busy than there are CPUs: it might
 * never run. */
static void make_and_join(struct worker *w)
{
    unsigned number[LITTER], want[LITTER];
    struct thread *t[LITTER];

    for (int i = 0; i < LITTER; i++) {
        number[i] = want[i] = 1 + next_random(w) % 1000;
        t[i] = start((enum prio)(PRIO_NORMAL + next_random(w) % 3), doubles, &number[i]);
    }
    for (int i = 0; i < LITTER; i++) {
        if (t[i])
            thread_join(t[i]);
        MUST(number[i] == (t[i] ? 2 * want[i] : want[i]));
    }
}

static void sleep_and_wander(struct worker *w)
{
    nsec_t until = time_now() + next_random(w) % (2 * MS);
    struct cpumask m = {{next_random(w) | 1}};

    thread_set_affinity(thread_current(), &m);
    thread_sleep_until(until);
    MUST(time_now() >= until);
}

/* --- locks --- */

static struct mutex mutex = MUTEX_INIT(mutex);
static struct cond cond = COND_INIT(cond);
static struct spinlock spin = SPINLOCK_INIT;
static unsigned long by_mutex[2], by_spin[2], tokens, made, taken;

static void lock(struct worker *w)
{
    irqstate_t irq;

    for (int i = 0; i < 100; i++) {
        mutex_lock(&mutex);
        MUST(by_mutex[0] == by_mutex[1]);
        by_mutex[0]++;
        if (i == 50)
            thread_yield();
        by_mutex[1]++;
        mutex_unlock(&mutex);
        irq = spin_lock(&spin);
        MUST(by_spin[0] == by_spin[1]);
        by_spin[0]++;
        cpu_relax();
        by_spin[1]++;
        spin_unlock(&spin, irq);
    }
}

static void make_token(struct worker *w)
{
    mutex_lock(&mutex);
    tokens++;
    made++;
    cond_signal(&cond);
    mutex_unlock(&mutex);
    if (w->steps % 16 == 0)
        thread_sleep_until(time_now() + MS / 2);
}

static void take_token(struct worker *w)
{
    mutex_lock(&mutex);
    if (tokens == 0)
        (void)cond_wait(&cond, &mutex, time_now() + next_random(w) % (5 * MS));
    if (tokens > 0) {
        tokens--;
        taken++;
    }
    MUST(made - taken == tokens);
    mutex_unlock(&mutex);
}

/* --- timers: each is set, moved, cancelled; fires at most once for each time it was set --- */

struct alarm {
    struct timer timer;
    unsigned set, fired;
};

static void ring(struct timer *t)
{
    atomic_add(&CONTAINER_OF(t, struct alarm, timer)->fired, 1);
}

static struct alarm alarms[64]; /* of the one worker that sets them */

static void set_timers(struct worker *w)
{
    struct alarm *a = &alarms[next_random(w) % ARRAY_SIZE(alarms)];
    bool was_armed;

    if (a->timer.fn == NULL)
        timer_init(&a->timer, ring);
    was_armed = timer_cancel(&a->timer);
    MUST(a->fired + was_armed == a->set);
    a->set = a->fired + 1;
    timer_set(&a->timer, time_now() + next_random(w) % (3 * MS));
    if (next_random(w) % 16 == 0)
        thread_sleep_until(time_now() + MS / 4);
}

/* --- CPUs --- */

struct call {
    unsigned cpu, count;
};

static void be_called(void *arg)
{
    struct call *c = arg;

    if (cpu_id() != c->cpu || irq_enabled())
        panic("soak: a call to CPU %u runs on CPU %u", c->cpu, cpu_id());
    c->count++;
}

static void call(struct worker *w)
{
    struct call c = {.cpu = next_random(w) % cpus_known()};
    int rc = cpus_call(c.cpu, be_called, &c);

    MUST(rc == 0 || rc == -EINVAL);
    MUST(c.count == (rc == 0));
    thread_sleep_until(time_now() + next_random(w) % MS);
}

static void hotplug(struct worker *w)
{
    unsigned cpu = 1 + next_random(w) % MAX(1U, cpus_possible() - 1);

    if (cpus_possible() > 1)
        MUST((cpumask_has(cpus_online(), cpu) ? cpus_take_down(cpu) : cpus_bring_up(cpu)) == 0);
    thread_sleep_until(time_now() + next_random(w) % (20 * MS));
}

/* --- memory, which others free --- */

#define SHARED 32

struct piece {
    size_t words;
    uint64_t seed, word[];
};

static struct piece *shared[SHARED];

static void check_and_free(struct worker *w, struct piece *p)
{
    for (size_t i = 0; p && i < p->words; i++)
        MUST(p->word[i] == p->seed + i);
    heap_free(p);
}

static void allocate(struct worker *w)
{
    size_t words = next_random(w) % (next_random(w) % 8 == 0 ? 3000 : 100);
    struct piece *p = heap_alloc(sizeof(*p) + words * sizeof(p->word[0]));

    if (p) {
        p->words = words;
        p->seed = next_random(w);
        for (size_t i = 0; i < words; i++)
            p->word[i] = p->seed + i;
    }
    check_and_free(w, atomic_exchange(&shared[next_random(w) % SHARED], p));
}

static void map(struct worker *w)
{
    size_t n = 1 + next_random(w) % 8, words = n * PAGE_SIZE / sizeof(uint64_t);
    volatile uint64_t *va = vmap_alloc(n);

    for (size_t i = 0; va && i < words; i += 64)
        va[i] = (uintptr_t)&va[i];
    thread_yield();
    for (size_t i = 0; va && i < words; i += 64)
        MUST(va[i] == (uintptr_t)&va[i]);
    if (va)
        vmap_free((void *)va, n);
}

/* --- events --- */

static struct {
    port_t near, far;
    unsigned sent, seen;
} line;

static void ignore(port_t port, void *arg)
{
    (void)arg;
    evtchn_eoi(port, true);
}

static void hear(port_t port, void *arg)
{
    (void)arg;
    store_release(&line.seen, load_acquire(&line.sent));
    evtchn_eoi(port, true);
}

static void send(struct worker *w)
{
    nsec_t until = time_now() + PERIOD;

    (void)!evtchn_set_cpu(line.far, next_random(w) % cpus_known()); /* or it is not online */
    atomic_add(&line.sent, 1);
    MUST(evtchn_notify(line.near) == 0);
    while (load_acquire(&line.seen) != load_acquire(&line.sent) && time_now() < until)
        thread_sleep_until(time_now() + MS / 8);
    MUST(line.seen == line.sent);
}

/* --- the whole --- */

static struct worker workers[] = {
    {.name = "threads", .step = make_and_join},
    {.name = "threads too", .step = make_and_join},
    {.name = "sleeper", .step = sleep_and_wander},
    {.name = "sleeper too", .step = sleep_and_wander},
    {.name = "locks", .step = lock},
    {.name = "locks too", .step = lock},
    {.name = "maker", .step = make_token},
    {.name = "taker", .step = take_token},
    {.name = "taker too", .step = take_token},
    {.name = "timers", .step = set_timers},
    {.name = "calls", .step = call},
    {.name = "hotplug", .step = hotplug},
    {.name = "memory", .step = allocate},
    {.name = "memory too", .step = allocate},
    {.name = "mappings", .step = map},
    {.name = "events", .step = send},
};

static void work(void *arg)
{
    struct worker *w = arg;

    while (!load_acquire(&over)) {
        w->step(w);
        store_relaxed(&w->steps, w->steps + 1);
    }
}

/* All have done something since the last time. */
static bool all_went_on(unsigned long *before)
{
    for (size_t i = 0; i < ARRAY_SIZE(workers); i++) {
        if (load_relaxed(&workers[i].steps) == before[i]) {
            snprintf(check_reason, sizeof(check_reason), "%s has done nothing for a minute",
                     workers[i].name);
            return false;
        }
        before[i] = load_relaxed(&workers[i].steps);
    }
    return true;
}

static void print_steps(nsec_t began)
{
    printf("%lu s:", (unsigned long)((time_now() - began) / NSEC_PER_SEC));
    for (size_t i = 0; i < ARRAY_SIZE(workers); i++)
        printf(" %s %lu%s", workers[i].name, load_relaxed(&workers[i].steps),
               i + 1 < ARRAY_SIZE(workers) ? "," : "\n");
}

static void clean_up(void)
{
    struct worker *w = &workers[0];

    for (int i = 0; i < SHARED; i++)
        check_and_free(w, atomic_exchange(&shared[i], (struct piece *)NULL));
    for (unsigned cpu = 1; cpu < cpus_possible(); cpu++)
        MUST(cpus_bring_up(cpu) == 0);
    evtchn_unbind(line.far);
    evtchn_unbind(line.near);
}

static void soak(void)
{
    unsigned long before[ARRAY_SIZE(workers)] = {0};
    nsec_t began = time_now();

    end = began + end;
    store_release(&over, false);
    if (evtchn_alloc_unbound(MYSELF, ignore, NULL, &line.near) != 0 ||
        evtchn_bind_interdomain(MYSELF, line.near, hear, NULL, &line.far) != 0)
        panic("soak: no channel");
    for (size_t i = 0; i < ARRAY_SIZE(workers); i++) {
        workers[i].random = (uint32_t)(i * 7919 + 1);
        workers[i].thread = start(i % 4 == 3 ? PRIO_HIGH : PRIO_NORMAL, work, &workers[i]);
        if (!workers[i].thread)
            panic("soak: no memory for its workers");
    }
    do {
        thread_sleep_until(MIN(end, time_now() + PERIOD));
        print_steps(began);
    } while (time_now() < end && all_went_on(before));
    store_release(&over, true);
    for (size_t i = 0; i < ARRAY_SIZE(workers); i++)
        thread_join(workers[i].thread);
    for (size_t i = 0; i < ARRAY_SIZE(alarms); i++)
        if (alarms[i].timer.fn)
            (void)timer_cancel(&alarms[i].timer);
    clean_up();
}

int main(int argc, char **argv)
{
    const char *seconds = census_option(argc, argv, "seconds=");
    struct census first, last;

    end = (nsec_t)(seconds ? atol(seconds) : SECONDS) * NSEC_PER_SEC;
    printf("%u CPUs of %u\n", cpus_count(), cpus_possible());
    first = census_take();
    soak();
    last = census_settle(&first);
    if (check_reason[0] == '\0' && last.pages + 64 < first.pages) /* tables that stay */
        (void)census_check(&first, &last);
    last.pages = first.pages;
    if (check_reason[0] == '\0')
        (void)census_check(&first, &last);
    printf("%s soak%s%s\n", check_reason[0] == '\0' ? "PASS" : "FAIL",
           check_reason[0] == '\0' ? "" : ": ", check_reason);
    printf("%u passed, %u failed\n", check_reason[0] == '\0', check_reason[0] != '\0');
    return check_reason[0] != '\0';
}
