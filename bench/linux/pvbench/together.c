/* SPDX-License-Identifier: BSD-2-Clause */
/* What several CPUs do at once, by the threads and the mutex of the C library. */
#define _GNU_SOURCE 1
#include "apps/pvbench/together.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#define CPUS_MAX 4
#define WINDOW_NS 20000000

const char *absent_second_cpu(void)
{
    return sysconf(_SC_NPROCESSORS_ONLN) >= 2 ? NULL : "it needs two vCPUs";
}

const char *absent_fourth_cpu(void)
{
    return sysconf(_SC_NPROCESSORS_ONLN) >= 4 ? NULL : "it needs four vCPUs";
}

struct worker {
    pthread_t thread;
    void (*turn)(void *);
    void *arg;
    _Atomic uint64_t turns;
} __attribute__((aligned(64)));

static atomic_bool stop;

static void *work(void *arg)
{
    struct worker *w = arg;

    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        w->turn(w->arg);
        atomic_store_explicit(&w->turns, w->turns + 1, memory_order_relaxed);
    }
    return NULL;
}

static bool start_on(unsigned cpu, struct worker *w)
{
    pthread_attr_t attr;
    cpu_set_t set;
    bool ok;

    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    pthread_attr_init(&attr);
    ok = pthread_attr_setaffinity_np(&attr, sizeof(set), &set) == 0 &&
         pthread_create(&w->thread, &attr, work, w) == 0;
    pthread_attr_destroy(&attr);
    return ok;
}

static uint64_t turns_of(struct worker *w, unsigned n)
{
    uint64_t sum = 0;

    while (n-- > 0)
        sum += atomic_load_explicit(&w[n].turns, memory_order_relaxed);
    return sum;
}

void run_together(struct run *r, unsigned n, void (*turn)(void *arg), void *arg)
{
    static struct worker worker[CPUS_MAX];
    unsigned started;

    stop = false;
    for (started = 0; started < n; started++) {
        worker[started].turn = turn;
        worker[started].arg = arg;
        worker[started].turns = 0;
        if (!start_on(started, &worker[started])) {
            run_give_up(r, "no thread");
            break;
        }
    }
    while (run_more(r)) {
        uint64_t before = turns_of(worker, n), begin = platform_clock();

        (void)nanosleep(&(struct timespec){.tv_nsec = WINDOW_NS}, NULL);
        run_rate(r, 0, turns_of(worker, n) - before, platform_clock() - begin);
    }
    stop = true;
    while (started-- > 0)
        pthread_join(worker[started].thread, NULL);
}

/* ---- contention: as apps/pvbench/lock.c does it with the kernel's mutex ---- */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void take_and_give(void *arg)
{
    pthread_mutex_lock(arg);
    for (int i = 0; i < 100; i++)
        __asm__ volatile("" : : : "memory");
    pthread_mutex_unlock(arg);
}

static void run_contended(struct run *r)
{
    run_together(r, (unsigned)run_arg(r), take_and_give, &mutex);
}

const struct probe contended_probes[] = {
    PROBE(run_contended, 1, NULL, PER_SECOND("lock.contended.1")),
    PROBE(run_contended, 2, absent_second_cpu, PER_SECOND("lock.contended.2")),
    PROBE(run_contended, 4, absent_fourth_cpu, PER_SECOND("lock.contended.4")),
};
PROBES_END(contended_probes);
