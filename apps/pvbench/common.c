/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/pvbench/probes.h"
#include "kernel/cpus.h"
#include "kernel/time.h"
#include "kernel/xenstore.h"
#include "lib/base/atomic.h"

#define CPUS_MAX 4
#define WINDOW (20 * NSEC_PER_MSEC)

const char *absent_second_cpu(void)
{
    return cpumask_has(cpus_online(), 1) ? NULL : "it needs two vCPUs";
}

const char *absent_fourth_cpu(void)
{
    for (unsigned cpu = 0; cpu < CPUS_MAX; cpu++)
        if (!cpumask_has(cpus_online(), cpu))
            return "it needs four vCPUs";
    return NULL;
}

domid_t own_domid(void)
{
    uint64_t id;

    return xs_read_u64(XS_NO_TX, "domid", 0, DOMID_FIRST_RESERVED - 1, &id) == 0 ? (domid_t)id : 0;
}

const char *absent_xenstore(void)
{
    char text[8];

    return xs_read(XS_NO_TX, "domid", text, sizeof(text)) > 0 ? NULL : "there is no xenstore";
}

struct thread *thread_on(unsigned cpu, enum prio prio, void (*fn)(void *), void *arg)
{
    struct cpumask mask = {{0}}, before;
    struct thread *t = NULL;

    (void)cpumask_add(&mask, cpu);
    thread_get_affinity(thread_current(), &before);
    thread_set_affinity(thread_current(), &mask); /* a new thread inherits it */
    if (thread_create("pvbench", prio, 0, fn, arg, &t) != 0)
        t = NULL;
    thread_set_affinity(thread_current(), &before);
    return t;
}

/* ---- several at once ---- */

struct worker {
    void (*turn)(void *);
    void *arg;
    bool *stop;
    uint64_t turns;
} __attribute__((aligned(64)));

static void work(void *arg)
{
    struct worker *w = arg;

    while (!load_relaxed(w->stop)) {
        w->turn(w->arg);
        store_relaxed(&w->turns, w->turns + 1);
    }
}

static uint64_t turns_of(const struct worker *w, unsigned n)
{
    uint64_t sum = 0;

    while (n-- > 0)
        sum += load_relaxed(&w[n].turns);
    return sum;
}

void run_together(struct run *r, unsigned n, void (*turn)(void *arg), void *arg)
{
    static struct worker worker[CPUS_MAX];
    struct thread *thread[CPUS_MAX];
    bool stop = false;
    unsigned started;

    for (started = 0; started < n; started++) {
        worker[started] = (struct worker){.turn = turn, .arg = arg, .stop = &stop};
        thread[started] = thread_on(started, PRIO_NORMAL, work, &worker[started]);
        if (thread[started] == NULL) {
            run_give_up(r, "no memory for threads");
            break;
        }
    }
    while (run_more(r)) {
        uint64_t before = turns_of(worker, n), begin = time_now();

        thread_sleep_until(begin + WINDOW);
        run_rate(r, 0, turns_of(worker, n) - before, time_now() - begin);
    }
    store_relaxed(&stop, true);
    while (started-- > 0)
        thread_join(thread[started]);
}
