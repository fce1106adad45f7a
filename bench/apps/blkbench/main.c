/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * blkbench SECONDS [JOBS]: how fast the disk xvda is, by the guest's clock. What is on it is lost.
 *
 *   disk_seq      reads the whole disk from one end to the other and again, in requests as large as
 *                 the driver takes, with more under way than the ring holds; MB/s (10^6 bytes)
 *   disk_write    writes it in the same way
 *   disk_rand1    4 KiB at random places, one at a time; requests a second
 *   disk_rand32   the same, 32 at a time
 *
 * With JOBS, only one load: each of the first JOBS CPUs does disk_rand32, all at the same time
 * (scale_disk: requests a second of all together). A transfer is taken on by the queue of its CPU,
 * so all queues have work. The vbd stays afterwards: dom0 looks which queues it saw.
 *
 * The thread that measures submits and reaps, as a program on Linux does with io_submit and
 * io_getevents (bench/linux/disk.c); the driver's thread only puts what ended on a list.
 */
#include <stdio.h>
#include <stdlib.h>
#include "frontends/blkfront/blkfront.h"
#include "kernel/page.h"
#include "kernel/spinlock.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "kernel/wait.h"

#define XVDA "51712"
#define SLOTS 96
#define JOBS_MAX 8
#define STACK_SIZE (32 * 1024)
#define SMALL 1 /* pages */
#define LARGE BLKFRONT_PAGES_MAX

struct load {
    const char *name;
    enum blkfront_op op;
    unsigned depth, pages;
    bool random;
};

static const struct load loads[] = {
    {"disk_seq", BLKFRONT_READ, SLOTS, LARGE, false},
    {"disk_write", BLKFRONT_WRITE, SLOTS, LARGE, false},
    {"disk_rand1", BLKFRONT_READ, 1, SMALL, true},
    {"disk_rand32", BLKFRONT_READ, 32, SMALL, true},
};
static const struct load each_job = {"scale_disk", BLKFRONT_READ, 32, SMALL, true};

/* Who submits and reaps, alone or one for each CPU. */
struct job {
    struct blkfront_io slots[SLOTS];
    struct list ended;
    struct spinlock ended_lock;
    struct waitq wait;
    uint64_t next_page;
    uint32_t seed;
    nsec_t time;
    uint64_t rate; /* what came out, in hundredths */
};

static struct blkfront *disk;
static struct blkfront_info info;
static struct job jobs[JOBS_MAX];

static uint32_t random_below(struct job *job, uint32_t n)
{
    job->seed = job->seed * 1664525 + 1013904223;
    return (uint32_t)((uint64_t)job->seed * n >> 32);
}

/* In the driver's thread. */
static void on_done(struct blkfront_io *io)
{
    struct job *job = io->arg;
    irqstate_t state = spin_lock(&job->ended_lock);

    list_push_back(&job->ended, &io->link);
    spin_unlock(&job->ended_lock, state);
    waitq_wake_all(&job->wait);
}

static struct blkfront_io *reap(struct job *job)
{
    struct blkfront_io *io = NULL;
    irqstate_t state = spin_lock(&job->ended_lock);

    if (!list_empty(&job->ended)) {
        io = list_first(&job->ended, struct blkfront_io, link);
        list_remove(&io->link);
    }
    spin_unlock(&job->ended_lock, state);
    return io;
}

static bool start(struct job *job, const struct load *l, struct blkfront_io *io)
{
    uint64_t nr_pages = info.nr_sectors * BLKFRONT_SECTOR / PAGE_SIZE, at;

    if (l->random) {
        at = random_below(job, (uint32_t)nr_pages);
    } else {
        if (job->next_page + l->pages > nr_pages)
            job->next_page = 0;
        at = job->next_page;
        job->next_page += l->pages;
    }
    io->op = l->op;
    io->sector = at * (PAGE_SIZE / BLKFRONT_SECTOR);
    io->nr_pages = l->pages;
    io->len = l->pages * (uint32_t)PAGE_SIZE;
    io->done = on_done;
    io->arg = job;
    return blkfront_submit(disk, io) == 0;
}

/* Everything that has ended is reaped and, before the time is up, started again: how many ended.
 * One that failed ends the program: its figure would be none. */
static unsigned turn(struct job *job, const struct load *l, bool again)
{
    struct blkfront_io *io;
    unsigned n = 0;

    blkfront_plug(disk);
    while ((io = reap(job)) != NULL) {
        n++;
        if (io->status != 0 || (again && !start(job, l, io))) {
            printf("blkbench: a request failed (%d)\n", io->status);
            exit(1);
        }
    }
    blkfront_unplug(disk);
    return n;
}

/* Leaves its rate in the job: requests a second, or MB. */
static void run(struct job *job, const struct load *l)
{
    nsec_t begin = time_now(), end = begin + job->time, took;
    unsigned busy = l->depth;
    uint64_t done = 0;

    job->next_page = 0;
    for (unsigned i = 0; i < l->depth; i++)
        list_push_back(&job->ended, &job->slots[i].link);
    (void)turn(job, l, true);
    while (busy > 0) {
        bool again = time_now() < end;
        unsigned n;

        (void)wait_until(&job->wait, !list_empty(&job->ended), NEVER);
        n = turn(job, l, again);
        done += n;
        busy -= again ? 0 : n;
    }
    took = time_now() - begin;
    uint64_t units = l->random ? done : done * l->pages * PAGE_SIZE / 1000000;

    job->rate = units * NSEC_PER_SEC / took * 100 + units * NSEC_PER_SEC % took * 100 / took;
}

static void report(const struct load *l, uint64_t rate)
{
    printf("%s %llu.%02llu\n", l->name, (unsigned long long)rate / 100,
           (unsigned long long)rate % 100);
    fflush(stdout);
}

static void run_one(void *job)
{
    run(job, &each_job);
}

/* It stays on (cpu), as what it makes inherits that. NULL: no memory. */
static struct thread *start_on(unsigned cpu, struct job *job)
{
    struct cpumask mask = {0};
    struct thread *t;

    (void)cpumask_add(&mask, cpu);
    thread_set_affinity(thread_current(), &mask);
    return thread_create("job", PRIO_NORMAL, STACK_SIZE, run_one, job, &t) == 0 ? t : NULL;
}

/* For ever: when it is done it has its figure, and waits. */
static int run_together(unsigned n)
{
    struct thread *t[JOBS_MAX];
    uint64_t rate = 0;

    for (unsigned i = 0; i < n; i++)
        if ((t[i] = start_on(i, &jobs[i])) == NULL)
            return 1;
    for (unsigned i = 0; i < n; i++) {
        thread_join(t[i]);
        rate += jobs[i].rate;
    }
    report(&each_job, rate);
    thread_sleep_until(NEVER);
    return 0;
}

/* With memory for (depth) transfers of (pages). */
static bool prepare(struct job *job, uint32_t seed, nsec_t time, unsigned depth, unsigned pages)
{
    list_init(&job->ended);
    spin_init(&job->ended_lock);
    waitq_init(&job->wait);
    job->seed = seed;
    job->time = time;
    for (unsigned i = 0; i < depth; i++)
        for (unsigned p = 0; p < pages; p++)
            if ((job->slots[i].page[p] = page_alloc_zeroed()) == NULL)
                return false;
    return true;
}

int main(int argc, char **argv)
{
    unsigned seconds = argc > 1 ? (unsigned)atoi(argv[1]) : 2;
    unsigned n = argc > 2 ? (unsigned)atoi(argv[2]) : 0;
    nsec_t time = seconds * NSEC_PER_SEC;

    if (n > JOBS_MAX || blkfront_open(XVDA, &disk) != 0)
        return 1;
    blkfront_get_info(disk, &info);
    for (unsigned i = 0; i < n; i++)
        if (!prepare(&jobs[i], i + 1, time, each_job.depth, each_job.pages))
            return 1;
    if (n > 0)
        return run_together(n);
    if (!prepare(&jobs[0], 1, time, SLOTS, LARGE))
        return 1;
    for (unsigned i = 0; i < sizeof(loads) / sizeof(loads[0]); i++) {
        run(&jobs[0], &loads[i]);
        report(&loads[i], jobs[0].rate);
    }
    return 0;
}
