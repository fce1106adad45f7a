/* SPDX-License-Identifier: BSD-2-Clause */
/* One run of one probe: calibration, warm-up, samples, and what happened meanwhile. */
#include "apps/pvbench/hist.h"
#include "apps/pvbench/probe.h"

#define CALIBRATIONS 1000
#define WARM_ROUNDS 8
#define WARM_SHARE 10 /* of the time: a tenth */
#define ROUNDS_LEAST 5
#define WINDOW_NS 10000000ULL
#define WINDOWS_LEAST 15

struct run {
    struct result result;
    double tick;
    bool warm;
    uint64_t turns, limit;
    uint64_t begin_clock, begin_stamp, warm_until, until; /* all but one of the clock */
    struct counters before;
};

static struct hist hists[SERIES_MAX];
static struct run run;

unsigned probe_series(const struct probe *p)
{
    unsigned n = 0;

    while (n < SERIES_MAX && p->series[n].name != NULL)
        n++;
    return n;
}

/* P2 */
static uint64_t least_overhead(double tick)
{
    uint64_t least = UINT64_MAX;

    for (unsigned i = 0; i < CALIBRATIONS; i++) {
        uint64_t begin = stamp(), took = stamp() - begin;

        least = took < least ? took : least;
    }
    return (uint64_t)((double)least * tick);
}

/* Of the measuring. A rate is a sample only every window: of too few, a disturbed one is the
 * result.
 */
static uint64_t time_of(const struct run *r)
{
    uint64_t given = (uint64_t)(options.seconds * 1e9);
    bool rates = false;

    for (unsigned i = 0; i < r->result.nr_series; i++)
        rates |= r->result.probe->series[i].more;
    if (rates && r->limit == 0 && given < WINDOWS_LEAST * WINDOW_NS)
        return WINDOWS_LEAST * WINDOW_NS;
    return given;
}

/* Here the measuring begins; what came before is forgotten (P1). */
static void begin(struct run *r)
{
    r->warm = true;
    r->turns = 1;
    for (unsigned i = 0; i < r->result.nr_series; i++)
        hist_init(r->result.hist[i]);
    r->result.backwards = 0;
    r->result.ops = 0;
    platform_mark(MARK_BEGIN | r->result.number);
    platform_count(&r->before);
    r->begin_clock = platform_clock();
    r->begin_stamp = stamp();
    r->until = r->begin_clock + time_of(r);
}

bool run_more(struct run *r)
{
    uint64_t now;

    if (r->result.given_up != NULL)
        return false;
    now = platform_clock();
    r->turns++;
    if (!r->warm && r->turns > WARM_ROUNDS && now >= r->warm_until)
        begin(r);
    if (!r->warm || r->turns <= ROUNDS_LEAST)
        return true;
    return now < r->until && (r->limit == 0 || r->turns <= r->limit);
}

unsigned long run_arg(const struct run *r)
{
    return r->result.probe->arg;
}

const char *run_name(const struct run *r)
{
    return r->result.probe->series[0].name;
}

unsigned run_nr_series(const struct run *r)
{
    return r->result.nr_series;
}

/* Those of the first series are what hypercalls and events are counted for. */
static void count_ops(struct run *r, unsigned i, uint64_t n)
{
    if (i == 0)
        r->result.ops += n;
}

void run_value(struct run *r, unsigned i, uint64_t thousandths)
{
    hist_add(r->result.hist[i], thousandths);
}

/* (ps) of which (overhead) is ours, and (n) things. */
static void add_time(struct run *r, unsigned i, uint64_t ps, uint64_t overhead, unsigned n)
{
    count_ops(r, i, n);
    run_value(r, i, ps > overhead ? (ps - overhead) / n : 0);
}

void run_batch(struct run *r, unsigned i, uint64_t from, uint64_t to, unsigned n)
{
    r->result.backwards += to < from;
    add_time(r, i, to > from ? (uint64_t)((double)(to - from) * r->tick) : 0, r->result.overhead,
             n);
}

void run_sample(struct run *r, unsigned i, uint64_t from, uint64_t to)
{
    run_batch(r, i, from, to, 1);
}

void run_interval(struct run *r, unsigned i, uint64_t from_ns, uint64_t to_ns)
{
    r->result.backwards += to_ns < from_ns;
    add_time(r, i, to_ns > from_ns ? (to_ns - from_ns) * 1000 : 0, 0, 1);
}

void run_rate(struct run *r, unsigned i, uint64_t n, uint64_t ns)
{
    count_ops(r, i, n);
    run_value(r, i, ns ? (uint64_t)((double)n * 1e12 / (double)ns) : 0);
}

static void close_window(struct run *r, unsigned i, const struct window *w, uint64_t took)
{
    run_rate(r, i, w->n, took);
    run_value(r, i + 1, took ? (uint64_t)((double)w->bytes * 1e6 / (double)took) : 0);
}

void run_window(struct run *r, unsigned i, struct window *w, uint64_t bytes)
{
    uint64_t now = platform_clock(), took = now - w->begin_ns;

    w->n++;
    w->bytes += bytes;
    if (took < WINDOW_NS)
        return;
    close_window(r, i, w, took);
    *w = (struct window){now, 0, 0};
}

void run_window_end(struct run *r, unsigned i, struct window *w)
{
    if (r->result.hist[i]->count == 0 && w->n > 0)
        close_window(r, i, w, platform_clock() - w->begin_ns);
}

void run_count(struct run *r, uint64_t n)
{
    r->result.ops += n;
}

void run_give_up(struct run *r, const char *why)
{
    r->result.given_up = why;
}

static void end(struct run *r)
{
    uint64_t ticks = stamp() - r->begin_stamp, ns = platform_clock() - r->begin_clock;
    struct counters now;

    platform_count(&now);
    platform_mark(MARK_END | r->result.number);
    r->result.disturbed.steal_ns = now.steal_ns - r->before.steal_ns;
    r->result.disturbed.preemptions = now.preemptions - r->before.preemptions;
    r->result.disturbed.hypercalls =
        now.hypercalls == NOT_COUNTED ? NOT_COUNTED : now.hypercalls - r->before.hypercalls;
    r->result.disturbed.events = now.events - r->before.events;
    r->result.clock_ratio = ns ? (double)ticks * r->tick / 1000 / (double)ns : 0;
    r->result.elapsed = (double)ns / 1e9;
}

const struct result *run_probe(const struct probe *p)
{
    static unsigned number;

    run = (struct run){.result = {.probe = p, .number = ++number, .nr_series = probe_series(p)}};
    for (unsigned i = 0; i < run.result.nr_series; i++) {
        run.result.hist[i] = &hists[i];
        hist_init(&hists[i]);
    }
    run.tick = platform_tick();
    run.limit = options.samples;
    run.result.overhead = least_overhead(run.tick);
    platform_count(&run.before);
    run.begin_clock = platform_clock();
    run.begin_stamp = stamp();
    run.warm_until = run.begin_clock + time_of(&run) / WARM_SHARE;
    p->run(&run);
    end(&run);
    return &run.result;
}
