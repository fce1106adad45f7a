/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The explorer: runs small scenarios on the real scheduler in every order of its atomic operations
 * that a few preemptions can make, then in many random ones.
 *
 *      explore                     all scenarios; one line each
 *      explore NAME [SEED]         one; with SEED one random schedule of it, step by step
 *
 * All CPUs are contexts of one thread. explore_point, before every atomic operation (points.h),
 * lets this CPU go on or another one; the first costs nothing, the second is a preemption.
 * Interrupts come at points with upcalls on. A store may become visible late, as x86's store
 * buffers have it: then its old value is in memory while others run. The clock is one more that may
 * act: it jumps to the next deadline, for a preemption, or for nothing when all CPUs sleep.
 *
 * A schedule is the list of choices made. Depth first: the machine's memory is put back to where
 * the scenario began, the list is followed with its last choice changed, and then continued with
 * the first choices. Everything in .data, .bss and (arena) is the machine's; the explorer's own
 * lives in (*x).
 *
 * When no CPU can go on but those in explore_busy, inside_check must be content; when none can at
 * all, the clock must bring somebody back: else threads sleep for ever, and the schedule has
 * failed.
 */
#include "tests/host/sched/explore.h"

#include <arch/boot.h>
#include <arch/irq.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "kernel/cpus.h"
#include "kernel/heap.h"
#include "kernel/thread.h"
#include "kernel/vmap.h"
#include "lib/base/assert.h"
#include "tests/host/sched/machine.h"
#include "tests/host/sched/points.h"

#define SCHEDULES_MAX 20000 /* of one scenario and bound */
#define RANDOM_SCHEDULES 8000
#define STEPS_MAX 20000
#define JUMPS_MAX 6
#define RELAXED_LONG 50 /* so often, and time has passed */
#define TRACE_MAX 120   /* lines */
#define ARENA_SIZE (4UL << 20)
#define STACK_SIZE (16UL * 1024)
#define BOOT_STACK (64UL * 1024)
#define STORES 4
#define DEPTH_MAX STEPS_MAX

/* ---- the machine: all this is put back ---- */

struct sim_cpu {
    struct machine_cpu m;
    void *sp; /* while another one goes on */
    enum { OFF, RUNS, SLEEPS, DOWN } state;
    unsigned events, wanted; /* SLEEPS until it has one of the latter */
    nsec_t until, armed;     /* or so long; its timer, 0: off */
    bool lazy;               /* SLEEPS in explore_busy, since */
    unsigned lazy_since;
    struct { /* stores that others may still not see, oldest first */
        void *at;
        unsigned size;
        uint64_t hidden; /* what is not in memory now: what it was, or will be */
    } stores[STORES];
    unsigned nr_stores;
    const char *file; /* of its last point */
    int line;
};

static struct sim_cpu cpus[MACHINE_CPUS];
static unsigned here;
static nsec_t now = NSEC_PER_SEC;
static unsigned settled; /* how often all was quiet */
static char *arena;
static size_t arena_used;

/* ---- the explorer: this stays ---- */

struct choice {
    uint16_t taken, options;
};

static struct explorer {
    const struct scenario *scenario;
    void *driver, *begin; /* contexts: of main(), and of where the scenario begins */
    bool exploring, tracing, failed;
    unsigned lines;
    bool looking; /* at the scheduler from outside: no points */
    char text[300];
    /* this schedule */
    unsigned preemptions, jumps, relaxed, steps; /* jumps: of the clock while others could go on */
    struct choice choices[DEPTH_MAX];
    unsigned made, prefix; /* choices: made so far, given in advance */
    uint64_t random;       /* 0: exhaustive */
    unsigned rate;         /* of preemptions: one in so many */
    unsigned long seed;    /* 0: exhaustive */
    bool resched_always;
    /* all */
    unsigned long schedules, points;
    char *data, *data_saved, *arena_saved;
    size_t data_size, arena_size;
} * x;

struct machine_cpu *machine_cpu(void)
{
    return &cpus[here].m;
}

static NORETURN void to_driver(void)
{
    void *never;

    machine_swap(&never, x->driver);
    __builtin_unreachable();
}

void machine_fail(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(x->text, sizeof(x->text), fmt, ap);
    va_end(ap);
    x->failed = true;
    to_driver();
}

static uint64_t next_random(void)
{
    x->random ^= x->random << 13;
    x->random ^= x->random >> 7;
    x->random ^= x->random << 17;
    return x->random;
}

/* ---- choices ---- */

static unsigned choose(unsigned options)
{
    struct choice *c = &x->choices[x->made];

    if (!x->exploring || options < 2)
        return 0;
    if (x->random)
        return (unsigned)(next_random() % options);
    if (x->made == DEPTH_MAX)
        machine_fail("too many choices");
    if (x->made++ >= x->prefix)
        *c = (struct choice){0, (uint16_t)options};
    else if (c->options != options)
        machine_fail("the explorer is not deterministic: %u options, not %u", options, c->options);
    return c->taken;
}

/* ---- stores that are seen late ---- */

void explore_stored(void *p, unsigned size)
{
    struct sim_cpu *c = &cpus[here];

    if (c->nr_stores == STORES)
        memmove(&c->stores[0], &c->stores[1], --c->nr_stores * sizeof(c->stores[0]));
    c->stores[c->nr_stores].at = p;
    c->stores[c->nr_stores].size = size;
    c->stores[c->nr_stores].hidden = 0;
    memcpy(&c->stores[c->nr_stores++].hidden, p, size);
}

void explore_fence(void)
{
    cpus[here].nr_stores = 0;
}

static void exchange_store(struct sim_cpu *c, unsigned i)
{
    uint64_t seen = 0;

    memcpy(&seen, c->stores[i].at, c->stores[i].size);
    memcpy(c->stores[i].at, &c->stores[i].hidden, c->stores[i].size);
    c->stores[i].hidden = seen;
}

static void hide_stores(struct sim_cpu *c)
{
    for (unsigned i = c->nr_stores; i-- > 0;)
        exchange_store(c, i);
}

static void show_stores(struct sim_cpu *c)
{
    for (unsigned i = 0; i < c->nr_stores; i++)
        exchange_store(c, i);
}

/* ---- who goes on ---- */

static void trace(const char *what, unsigned cpu)
{
    const struct sim_cpu *c = &cpus[here];

    if (x->tracing && x->exploring && x->lines++ < TRACE_MAX)
        printf("  CPU %u (%s) %s:%d %s %u\n", here, c->m.current ? thread_name(c->m.current) : "",
               c->file, c->line, what, cpu);
}

static bool can_go_on(const struct sim_cpu *c)
{
    if (c->state != SLEEPS)
        return c->state == RUNS;
    return (c->events & c->wanted) != 0 || c->until <= now || (c->lazy && c->lazy_since != settled);
}

static nsec_t next_deadline(void)
{
    nsec_t next = NEVER;

    for (unsigned i = 0; i < MACHINE_CPUS; i++) {
        if (cpus[i].armed != 0)
            next = MIN(next, cpus[i].armed);
        if (cpus[i].state == SLEEPS)
            next = MIN(next, cpus[i].until);
    }
    return next;
}

static void fire_timers(void)
{
    for (unsigned i = 0; i < MACHINE_CPUS; i++)
        if (cpus[i].armed != 0 && cpus[i].armed <= now) {
            cpus[i].armed = 0;
            cpus[i].events |= EVENT_TIMER;
        }
}

static void pass_time(void)
{
    trace("the clock goes on, us", (unsigned)((next_deadline() - now) / 1000));
    now = MAX(now, next_deadline());
    fire_timers();
}

/* Nobody goes on: is all well, and who will? */
static void settle(void)
{
    bool asleep[MACHINE_CPUS], parked = false, busy = false;
    const char *complaint;

    for (unsigned i = 0; i < MACHINE_CPUS; i++) {
        asleep[i] = cpus[i].state == SLEEPS && !cpus[i].lazy;
        parked = parked || (asleep[i] && cpus[i].wanted == EVENT_PARK);
        busy = busy || (cpus[i].state == SLEEPS && cpus[i].lazy);
    }
    x->looking = true;
    complaint = parked || !x->exploring ? NULL : inside_check(asleep);
    x->looking = false;
    if (complaint)
        machine_fail("%s", complaint);
    if (busy && !parked)
        settled++;
    else if (next_deadline() != NEVER)
        pass_time();
    else
        machine_fail("all CPUs sleep for ever");
}

/* The others that can go on, beginning with the next. */
static unsigned list_others(unsigned *others)
{
    unsigned n = 0;

    for (unsigned i = 1; i < MACHINE_CPUS; i++)
        if (can_go_on(&cpus[(here + i) % MACHINE_CPUS]))
            others[n++] = (here + i) % MACHINE_CPUS;
    return n;
}

static void go_on_with(unsigned cpu)
{
    struct sim_cpu *from = &cpus[here];

    if (cpu != here)
        trace("-> CPU", cpu);
    hide_stores(from);
    here = cpu;
    show_stores(&cpus[here]);
    cpus[here].state = RUNS;
    cpus[here].lazy = false;
    cpus[here].until = NEVER;
    if (from != &cpus[here])
        machine_swap(&from->sp, cpus[here].sp);
}

/* This CPU cannot go on, or not at once. */
static void block(void)
{
    unsigned others[MACHINE_CPUS], n;

    explore_fence();
    while ((n = list_others(others)) == 0 && !can_go_on(&cpus[here]))
        settle();
    if (can_go_on(&cpus[here]))
        others[n++] = here;
    go_on_with(others[choose(n)]);
}

static bool wants_preemption(void)
{
    if (!x->exploring)
        return false;
    return x->random ? next_random() % x->rate == 0 : x->preemptions < x->scenario->bound;
}

/* Options: go on; the next CPU, with our stores seen or not; ...; the clock. */
static void maybe_preempt(void)
{
    unsigned others[MACHINE_CPUS], n = list_others(others), taken;
    unsigned ways = cpus[here].nr_stores > 0 ? 2 : 1;
    bool clock = x->jumps < JUMPS_MAX && next_deadline() != NEVER && next_deadline() > now;

    taken = choose(1 + n * ways + clock);
    if (taken == 0)
        return;
    x->preemptions++;
    if (taken-- > n * ways) {
        x->jumps++;
        pass_time();
        return;
    }
    if (taken % ways == 0)
        explore_fence();
    else
        trace("(its last stores are not seen yet)", cpus[here].nr_stores);
    go_on_with(others[taken / ways]);
}

static void take_interrupts(void)
{
    if (cpus[here].m.irq_on && !cpus[here].m.in_event && cpus[here].events & EVENTS_DELIVERED)
        machine_deliver();
}

void explore_point(const char *file, int line)
{
    if (x->looking)
        return;
    cpus[here].file = file;
    cpus[here].line = line;
    x->points++;
    if (++x->steps > STEPS_MAX)
        machine_fail("it does not end");
    if (wants_preemption())
        maybe_preempt();
    take_interrupts();
}

void explore_busy(void)
{
    unsigned since = settled;

    while (settled == since) {
        cpus[here].lazy = true;
        cpus[here].lazy_since = since;
        machine_sleep(EVENTS_DELIVERED, NEVER);
        take_interrupts();
    }
}

void machine_relax(void)
{
    unsigned others[MACHINE_CPUS];

    explore_point("(spins)", 0);
    explore_fence();
    if (list_others(others) > 0 && !x->scenario->hosts_whim)
        go_on_with(others[0]);
    if (++x->relaxed % RELAXED_LONG == 0 && next_deadline() != NEVER)
        pass_time();
    take_interrupts();
}

/* ---- machine.h ---- */

void machine_send(unsigned cpu, unsigned events)
{
    explore_point("(sends an event)", (int)cpu);
    explore_fence();
    cpus[cpu].events |= events;
}

unsigned machine_take_events(void)
{
    unsigned events = cpus[here].events & EVENTS_DELIVERED;

    cpus[here].events &= ~EVENTS_DELIVERED;
    return events;
}

void machine_sleep(unsigned events, nsec_t deadline)
{
    cpus[here].wanted = events;
    cpus[here].until = deadline;
    cpus[here].state = SLEEPS;
    block();
}

void machine_unpark(void)
{
    cpus[here].events &= ~(unsigned)EVENT_PARK;
}

nsec_t clock_read(void)
{
    return now;
}

void clock_arm(nsec_t deadline)
{
    explore_fence();
    cpus[here].armed = deadline;
    fire_timers();
}

static void secondary_main(void *unused)
{
    (void)unused;
    kernel_cpu_main();
}

int arch_cpu_start(unsigned cpu, void *stack_top, struct thread *idle)
{
    struct sim_cpu *c = &cpus[cpu];

    explore_point("(starts a CPU)", (int)cpu);
    explore_fence();
    if (c->state == OFF) {
        c->m = (struct machine_cpu){.id = cpu, .current = idle, .preempt = 1};
        c->sp = machine_context(stack_top, secondary_main, NULL);
    }
    c->until = NEVER;
    c->state = RUNS;
    return 0;
}

bool arch_cpu_is_up(unsigned cpu)
{
    explore_point("(is it up?)", (int)cpu);
    return cpus[cpu].state != OFF && cpus[cpu].state != DOWN;
}

void arch_cpu_stop(void)
{
    explore_point("(stops)", (int)here);
    cpus[here].state = DOWN;
    block();
}

void *machine_new_fiber(void)
{
    return NULL;
}

void *machine_this_fiber(void)
{
    return NULL;
}

void machine_switch_fiber(void *fiber)
{
    (void)fiber;
}

/* ---- memory: never used twice in a schedule, and free memory holds nonsense ---- */

static void *take_memory(size_t size, int fill)
{
    void *p = arena + arena_used;

    arena_used += ALIGN_UP(size, 64UL) + 64;
    if (arena_used > ARENA_SIZE)
        machine_fail("the arena is too small");
    memcpy((char *)p, &size, sizeof(size));
    return memset((char *)p + 64, fill, size);
}

void *heap_alloc(size_t size)
{
    return take_memory(size, 0xa5);
}

void *heap_alloc_zeroed(size_t size)
{
    return take_memory(size, 0);
}

void *heap_alloc_aligned(size_t align, size_t size)
{
    ASSERT(align <= 64);
    return take_memory(size, 0xa5);
}

void heap_free(void *p)
{
    if (p)
        memset(p, 0xdd, *(size_t *)((char *)p - 64));
}

void *vmap_alloc(size_t n)
{
    /* What is behind it is its top, whatever (n) is. */
    return (char *)take_memory(STACK_SIZE, 0xa5) + STACK_SIZE - n * 4096;
}

void vmap_free(void *va, size_t n)
{
    char *end = (char *)va + n * 4096, *sp = __builtin_frame_address(0);

    if (sp < end && sp >= end - STACK_SIZE)
        machine_fail("a stack is freed by who runs on it");
    memset(end - STACK_SIZE, 0xdd, STACK_SIZE);
}

/* ---- schedules ---- */

static void save_machine(void)
{
    memcpy(x->data_saved, x->data, x->data_size);
    memcpy(x->arena_saved, arena, arena_used);
    x->arena_size = arena_used;
}

static void restore_machine(void)
{
    memcpy(x->data, x->data_saved, x->data_size);
    memcpy(arena, x->arena_saved, x->arena_size);
}

/* Thread "main": to the driver once before the scenario, which is where every schedule begins. */
static void main_thread(void *unused)
{
    (void)unused;
    for (unsigned cpu = 1; cpu < x->scenario->cpus; cpu++)
        MUST(cpus_bring_up(cpu) == 0);
    thread_sleep_until(now + NSEC_PER_MSEC); /* until all are idle */
    machine_swap(&x->begin, x->driver);
    x->scenario->run();
    explore_busy();
    to_driver();
}

static void boot_main(void *unused)
{
    (void)unused;
    machine_boot(main_thread);
}

static void boot(const struct scenario *s)
{
    memset(cpus, 0, sizeof(cpus));
    x->scenario = s;
    x->exploring = false;
    x->steps = 0;
    here = 0;
    cpus[0].state = RUNS;
    arena_used = BOOT_STACK;
    machine_swap(&x->driver, machine_context(arena + BOOT_STACK, boot_main, NULL));
    save_machine();
}

static void run_schedule(void)
{
    restore_machine();
    if (x->resched_always)
        inside_resched_always();
    x->exploring = true;
    x->made = x->preemptions = x->jumps = x->relaxed = x->steps = 0;
    x->schedules++;
    machine_swap(&x->driver, x->begin);
    x->exploring = false;
}

/* The next list of choices; false: there is none. */
static bool next_schedule(void)
{
    while (x->made > 0 && x->choices[x->made - 1].taken + 1 == x->choices[x->made - 1].options)
        x->made--;
    if (x->made == 0)
        return false;
    x->choices[x->made - 1].taken++;
    x->prefix = x->made;
    return true;
}

static void report_failure(void)
{
    printf("FAILED %s, schedule %lu", x->scenario->name, x->schedules);
    if (x->seed != 0)
        printf(", seed %lu", x->seed);
    printf(": %s\n", x->text);
    x->looking = true;
    inside_print();
    x->looking = false;
    for (unsigned i = 0; i < MACHINE_CPUS; i++)
        printf("  CPU %u: %s%s, events %x, at %s:%d\n", i,
               (const char *[]){"off", "runs", "sleeps", "is down"}[cpus[i].state],
               cpus[i].lazy ? " (busy)" : "", cpus[i].events, cpus[i].file, cpus[i].line);
}

/* The same once more, step by step. */
static void show_again(uint64_t random)
{
    x->prefix = x->made;
    x->random = random;
    x->tracing = true;
    x->lines = 0;
    run_schedule();
    x->tracing = false;
    printf("  and so: %s\n", x->text);
}

/* All schedules with so many preemptions, or SCHEDULES_MAX of them; true: all. */
static bool run_exhaustive(void)
{
    unsigned long end = x->schedules + SCHEDULES_MAX;

    x->random = x->seed = 0;
    x->resched_always = false;
    x->prefix = 0;
    do {
        run_schedule();
        if (x->failed) {
            report_failure();
            show_again(0);
            return false;
        }
        if (!next_schedule())
            return true;
    } while (x->schedules < end);
    return false;
}

static uint64_t begin_random(unsigned long seed)
{
    static const unsigned rates[] = {3, 8, 20, 60, 200};

    x->rate = rates[seed % ARRAY_SIZE(rates)];
    x->seed = seed;
    x->resched_always = seed % 4 == 0;
    x->random = seed * 0x9e3779b97f4a7c15ULL | 1;
    return x->random;
}

static void run_random(unsigned long seed)
{
    uint64_t random = begin_random(seed);

    run_schedule();
    if (!x->failed)
        return;
    report_failure();
    show_again(random);
}

/* The most that could be done within the limit: fewer preemptions then. */
static bool run_scenario(const struct scenario *s, unsigned long seed)
{
    struct scenario bounded = *s;
    unsigned complete = 0;

    x->schedules = x->points = 0;
    boot(&bounded);
    if (x->failed) {
        report_failure();
        return false;
    }
    if (seed != 0) {
        x->tracing = true;
        run_random(seed);
        return !x->failed;
    }
    for (bounded.bound = 0; bounded.bound <= s->bound && !x->failed; bounded.bound++)
        if (run_exhaustive())
            complete = bounded.bound;
    for (seed = 1; seed <= RANDOM_SCHEDULES && !x->failed; seed++)
        run_random(seed);
    if (!x->failed)
        printf(
            "%-16s %u CPUs: %lu schedules, all with up to %u preemptions, %u random, %lu points\n",
            s->name, s->cpus, x->schedules, complete, RANDOM_SCHEDULES, x->points);
    return !x->failed;
}

/* The scheduler followed a wild pointer. */
static void crashed(int signal)
{
    printf("FAILED %s, schedule %lu, seed %lu: signal %d after %s:%d on CPU %u\n",
           x->scenario->name, x->schedules, x->seed, signal, cpus[here].file, cpus[here].line,
           here);
    fflush(stdout);
    _exit(1);
}

static void catch_crashes(void)
{
    static char stack[65536];
    stack_t alternative = {.ss_sp = stack, .ss_size = sizeof(stack)};
    struct sigaction action = {.sa_handler = crashed, .sa_flags = SA_ONSTACK};

    sigaltstack(&alternative, NULL);
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    sigaction(SIGILL, &action, NULL);
}

static void setup(void)
{
    extern char __data_start[], _end[];

    x = mmap(NULL, sizeof(*x), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    catch_crashes();
    x->data = __data_start;
    x->data_size = (size_t)(_end - __data_start);
    x->data_saved = malloc(x->data_size);
    x->arena_saved = malloc(ARENA_SIZE);
    arena = mmap(NULL, ARENA_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/* Each scenario in a fresh machine: the data as they were at the start of the program. */
int main(int argc, char **argv)
{
    unsigned failed = 0, done = 0;
    char *fresh;

    setup();
    fresh = malloc(x->data_size);
    memcpy(fresh, x->data, x->data_size);
    for (unsigned i = 0; i < nr_scenarios; i++) {
        if (argc > 1 && strcmp(argv[1], scenarios[i].name) != 0)
            continue;
        memcpy(x->data, fresh, x->data_size);
        x->failed = false;
        failed += !run_scenario(&scenarios[i], argc > 2 ? strtoul(argv[2], NULL, 0) : 0);
        done++;
        fflush(stdout);
    }
    return failed != 0 || done == 0;
}
