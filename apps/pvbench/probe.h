/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The frame of the latency suite: what a probe is, and what the frame does for it.
 *
 * A probe is a function that repeats one thing for as long as run_more says and hands over what
 * it measured. Everything else is here, once and the same for all: warm-up, time limit, overhead of
 * the time stamps, distribution, what disturbed the run.
 *
 * P1 What is handed over while the run warms up is forgotten; afterwards nothing is.
 * P2 From each interval between two time stamps the least cost of taking them is subtracted, never
 *    more: no figure is made better than it was.
 * P3 The thread that measures stays on CPU 0, so that its time stamps come from one counter. Where
 *    another CPU takes one, an interval that seems to end before it began is counted, and reported.
 *
 * The same files run in a Linux guest (bench/linux/pvbench), with the probes that make sense there.
 */
#ifndef PVBENCH_PROBE_H
#define PVBENCH_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define SERIES_MAX 6

/* One distribution: samples in thousandths of (unit). */
struct series {
    const char *name, *unit;
    bool more; /* is better */
};

struct run;

struct probe {
    struct series series[SERIES_MAX]; /* up to the first without a name */
    void (*run)(struct run *r);
    unsigned long arg;
    const char *(*absent)(
        void);     /* why it cannot be run here, or NULL; no function: it always can */
    bool destroys; /* what is on the disk */
};

/* All of this program, in the order in which they run. (i)th, or NULL. */
const struct probe *probe_get(unsigned i);

/* ---- what a probe may call ---- */

/* Another round? Call once before each. */
bool run_more(struct run *r);
unsigned long run_arg(const struct run *r);
/* Of the first series. */
const char *run_name(const struct run *r);
unsigned run_nr_series(const struct run *r);

/* A moment, in ticks of the CPU's counter; what was before it is complete, what is after it has not
 * begun. */
static inline uint64_t stamp(void)
{
    uint32_t lo, hi;

    __asm__ volatile("lfence; rdtsc; lfence" : "=a"(lo), "=d"(hi) : : "memory");
    return (uint64_t)hi << 32 | lo;
}

/* A sample for series (i): from (begin) to (end), in stamps; of (n) things one after the other, the
 * mean of which is the sample. */
void run_sample(struct run *r, unsigned i, uint64_t begin, uint64_t end);
void run_batch(struct run *r, unsigned i, uint64_t begin, uint64_t end, unsigned n);
/* An interval of the clock (platform_clock), for what is about the clock itself. */
void run_interval(struct run *r, unsigned i, uint64_t begin_ns, uint64_t end_ns);
/* Any other number, in thousandths of its unit. */
void run_value(struct run *r, unsigned i, uint64_t thousandths);
/* (n) things in (ns): a rate, per second. */
void run_rate(struct run *r, unsigned i, uint64_t n, uint64_t ns);
/* A window of 10 ms or more in which things end that are of some size. Starts as
 * {platform_clock()}. */
struct window {
    uint64_t begin_ns, n, bytes;
};
/* One of (bytes) has ended. When the window is over: samples of how many a second for series (i),
 * and of 10^6 bytes a second for the next; and a new one begins. */
void run_window(struct run *r, unsigned i, struct window *w, uint64_t bytes);
/* The run is over. If no window was full, what there is of the last one counts. */
void run_window_end(struct run *r, unsigned i, struct window *w);
/* (n) more operations have ended that are no samples of their own, but what hypercalls and events
 * are counted for. */
void run_count(struct run *r, uint64_t n);
/* This run can say nothing, for the reason (why), which is static. */
void run_give_up(struct run *r, const char *why);

/* ---- the program ---- */

struct options {
    double seconds;   /* each probe is given */
    uint64_t samples; /* at most, of each; 0: no limit */
    bool json, destroy, list, check;
    const char *peer;  /* address that answers for net.* */
    const char *serve; /* be the other domain's peer: its number */
    const char *await; /* wait for a peer domain */
};
extern struct options options;

/* ---- what the system below has to say (platform.c) ---- */

struct counters {
    uint64_t steal_ns, preemptions, events;
    uint64_t hypercalls; /* NOT_COUNTED where nobody does */
};
#define NOT_COUNTED UINT64_MAX

void platform_init(void);
/* Nanoseconds of the system's clock, the same on all CPUs. */
uint64_t platform_clock(void);
/* Thousandths of a nanosecond in a tick of stamp(). */
double platform_tick(void);
void platform_count(struct counters *c);
/* A hypercall that does nothing but stand in Xen's trace, should there be one: MARK_BEGIN or
 * MARK_END, and the number of the run. bench/hypercalls.py counts what the domain asked of Xen in
 * between. */
void platform_mark(uint32_t mark);
#define MARK_BEGIN 0xb0000000u
#define MARK_END 0xe0000000u
/* Members of a JSON object, each followed by a comma but the last. */
void platform_conditions(FILE *out);
/* Be a peer (--serve) until the domain is destroyed: the exit status. */
int platform_serve(void);

/* ---- run.c, report.c ---- */

struct result {
    const struct probe *probe;
    unsigned number; /* of the run: the first is 1 */
    unsigned nr_series;
    struct hist *hist[SERIES_MAX];
    uint64_t overhead;         /* subtracted from each interval, in thousandths of ns */
    struct counters disturbed; /* during the run, warm-up left out */
    uint64_t ops;              /* things measured, of the first series */
    double clock_ratio;        /* the run's length by the counter over that by the clock */
    uint64_t backwards;        /* intervals whose end came before their begin: they count as 0 */
    double elapsed;            /* seconds */
    const char *given_up;
};

unsigned probe_series(const struct probe *p);
/* Run (p); the result is valid until the next call. */
const struct result *run_probe(const struct probe *p);

void report_head(void);
void report_result(const struct result *r);
void report_skipped(const struct probe *p, const char *why);
/* Of the result of a short run: what is implausible about it, or NULL. */
const char *check_result(const struct result *r);

#endif
