/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Probes of the kernel, by the module of bench/linux/module: it runs some rounds at a time and
 * gives back what they took; the frame of all probes makes of it what it makes of its own.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "apps/pvbench/lists.h"

#define FILE_NAME "/proc/pvbench"
#define ROUNDS_MAX 4096
#define AT_ONCE_NS 10000000ULL /* about that long */

static uint64_t sample[3 * ROUNDS_MAX];

static const char *absent_module(void)
{
    return access(FILE_NAME, R_OK | W_OK) == 0 ? NULL : "the module is not loaded";
}

static const char *absent_cpu(void)
{
    if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
        return "it needs two vCPUs";
    return absent_module();
}

/* (n) rounds of the probe whose first series is (name): 0, or -1. */
static int ask(const char *name, unsigned n, unsigned nr_series)
{
    ssize_t want = (ssize_t)(nr_series * n * sizeof(sample[0])), got = -1;
    int fd = open(FILE_NAME, O_RDWR);
    char text[80];

    if (fd < 0)
        return -1;
    snprintf(text, sizeof(text), "%s %u", name, n);
    if (write(fd, text, strlen(text)) > 0)
        got = read(fd, sample, (size_t)want);
    close(fd);
    return got == want ? 0 : -1;
}

enum shape { TICKS, NANOSECONDS, HALF, SIXTEENTH };

static void hand_over(struct run *r, unsigned series, unsigned n)
{
    enum shape shape = (enum shape)run_arg(r);

    for (unsigned i = 0; i < n; i++) {
        uint64_t took = sample[series * n + i];

        if (shape == NANOSECONDS)
            run_interval(r, series, 0, took);
        else
            run_batch(r, series, 0, took, shape == HALF ? 2 : shape == SIXTEENTH ? 16 : 1);
    }
}

/* So many that the way in and out does not matter, and not so many that the limit of time does. */
static unsigned next_rounds(unsigned n, uint64_t took)
{
    if (took < AT_ONCE_NS / 2 && n < ROUNDS_MAX / 4)
        return n * 4;
    return took > AT_ONCE_NS * 2 && n > 1 ? n / 2 : n;
}

static void run_rounds(struct run *r, const char *name, unsigned nr_series)
{
    unsigned n = 2;

    while (run_more(r)) {
        uint64_t begin = platform_clock();

        if (ask(name, n, nr_series) != 0) {
            run_give_up(r, "the module refused it");
            return;
        }
        for (unsigned s = 0; s < nr_series; s++)
            hand_over(r, s, n);
        n = next_rounds(n, platform_clock() - begin);
    }
}

static void run_module(struct run *r)
{
    run_rounds(r, run_name(r), run_nr_series(r));
}

/* Against a thread of the same real-time priority. */
static void run_switch(struct run *r)
{
    const struct sched_param urgent = {.sched_priority = 1}, usual = {0};

    if (sched_setscheduler(0, SCHED_FIFO, &urgent) != 0) {
        run_give_up(r, "no real-time priority");
        return;
    }
    run_module(r);
    (void)sched_setscheduler(0, SCHED_OTHER, &usual);
}

const struct probe module_probes[] = {
    PROBE(run_module, TICKS, absent_module, NS("hypercall.null")),
    PROBE(run_module, TICKS, absent_module, NS("hypercall.yield")),
    PROBE(run_module, TICKS, absent_module, NS("hypercall.multicall.1")),
    PROBE(run_module, TICKS, absent_module, NS("hypercall.multicall.8")),
    PROBE(run_module, TICKS, absent_module, NS("hypercall.multicall.64")),
    PROBE(run_module, TICKS, absent_module, NS("trap.page_fault")),
    PROBE(run_module, TICKS, absent_module, NS("mem.update_va")),
    PROBE(run_module, TICKS, absent_module, NS("mem.update_va.flush")),
    PROBE(run_module, TICKS, absent_module, NS("mem.mmu_update.1")),
    PROBE(run_module, TICKS, absent_module, NS("mem.mmu_update.8")),
    PROBE(run_module, TICKS, absent_module, NS("mem.mmu_update.64")),
    PROBE(run_module, TICKS, absent_module, NS("mem.mmu_update.512")),
    PROBE(run_module, TICKS, absent_module, NS("mem.tlb_flush.local")),
    PROBE(run_module, TICKS, absent_module, NS("mem.tlb_flush.all")),
    PROBE(run_module, TICKS, absent_module, NS("evtchn.send")),
    PROBE(run_module, TICKS, absent_module, NS("evtchn.self.handler"), NS("evtchn.self.return")),
    PROBE(run_module, TICKS, absent_module, NS("evtchn.thread.handler"), NS("evtchn.thread.wake"),
          NS("evtchn.thread.total")),
    PROBE(run_module, SIXTEENTH, absent_module, NS("time.read")),
    PROBE(run_module, NANOSECONDS, absent_module, NS("time.lateness.10us")),
    PROBE(run_module, NANOSECONDS, absent_module, NS("time.lateness.100us")),
    PROBE(run_module, NANOSECONDS, absent_module, NS("time.lateness.1ms")),
    PROBE(run_module, NANOSECONDS, absent_module, NS("time.lateness.10ms")),
    PROBE(run_switch, HALF, absent_module, NS("thread.switch")),
    PROBE(run_module, TICKS, absent_module, NS("thread.wake"), NS("thread.block")),
    PROBE(run_module, TICKS, absent_module, NS("thread.create")),
    PROBE(run_module, SIXTEENTH, absent_module, NS("lock.spin")),
    PROBE(run_module, SIXTEENTH, absent_module, NS("lock.mutex")),
    PROBE(run_module, TICKS, absent_cpu, NS("smp.ipi.handler"), NS("smp.ipi.total")),
    PROBE(run_module, TICKS, absent_cpu, NS("smp.wake"), NS("smp.pingpong")),
    PROBE(run_module, TICKS, absent_module, NS("grant.page"), NS("grant.revoke")),
    PROBE(run_module, TICKS, absent_module, NS("grant.copy")),
    PROBE(run_module, TICKS, absent_module, NS("xenstore.read")),
    PROBE(run_module, TICKS, absent_module, NS("xenstore.write")),
    PROBE(run_module, TICKS, absent_module, NS("xenstore.transaction")),
    PROBE(run_module, TICKS, absent_module, NS("xenstore.watch")),
};
PROBES_END(module_probes);
