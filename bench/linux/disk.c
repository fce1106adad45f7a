/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * disk SECONDS [JOBS]: what bench/apps/blkbench does, on Linux; a job is a process with a CPU:
 * direct transfers of /dev/xvda with io_submit and io_getevents and nothing else, so that no tool's
 * own cost counts against Linux.
 */
#define _GNU_SOURCE 1
#include <err.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DEPTH_MAX 32
#define JOBS_MAX 8

struct load {
    const char *name;
    uint16_t op;
    unsigned depth;
    size_t size;
    bool random;
};

static const struct load loads[] = {
    {"disk_seq", IOCB_CMD_PREAD, 8, 1 << 20, false},
    {"disk_write", IOCB_CMD_PWRITE, 8, 1 << 20, false},
    {"disk_rand1", IOCB_CMD_PREAD, 1, 4096, true},
    {"disk_rand32", IOCB_CMD_PREAD, 32, 4096, true},
};
static const struct load each_job = {"scale_disk", IOCB_CMD_PREAD, 32, 4096, true};

static int fd;
static uint64_t disk_size, next_offset;
static aio_context_t context;
static struct iocb slots[DEPTH_MAX];
static void *buffers[DEPTH_MAX];
static uint32_t seed = 1;

static uint32_t random_below(uint32_t n)
{
    seed = seed * 1664525 + 1013904223;
    return (uint32_t)((uint64_t)seed * n >> 32);
}

static uint64_t now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void aim(const struct load *l, struct iocb *io)
{
    io->aio_lio_opcode = l->op;
    io->aio_fildes = (uint32_t)fd;
    io->aio_nbytes = l->size;
    if (l->random) {
        io->aio_offset = (int64_t)random_below((uint32_t)(disk_size / l->size)) * (int64_t)l->size;
        return;
    }
    if (next_offset + l->size > disk_size)
        next_offset = 0;
    io->aio_offset = (int64_t)next_offset;
    next_offset += l->size;
}

static void submit(struct iocb **list, unsigned n)
{
    if (n > 0 && syscall(SYS_io_submit, context, n, list) != (long)n)
        err(1, "io_submit");
}

/* Wait for at least one that ended and, before the time is up, start all again: how many. */
static unsigned turn(const struct load *l, bool again)
{
    struct io_event events[DEPTH_MAX];
    struct iocb *list[DEPTH_MAX];
    long n = syscall(SYS_io_getevents, context, 1, DEPTH_MAX, events, NULL);

    if (n <= 0)
        err(1, "io_getevents");
    for (long i = 0; i < n; i++) {
        list[i] = (struct iocb *)(uintptr_t)events[i].obj;
        if (events[i].res != (int64_t)l->size)
            errx(1, "a request failed (%lld)", (long long)events[i].res);
        aim(l, list[i]);
    }
    if (again)
        submit(list, (unsigned)n);
    return (unsigned)n;
}

/* What came out: requests a second, or MB. */
static double run(const struct load *l, uint64_t time)
{
    uint64_t begin = now(), end = begin + time, done = 0;
    struct iocb *list[DEPTH_MAX];
    unsigned busy = l->depth;

    next_offset = 0;
    for (unsigned i = 0; i < l->depth; i++) {
        slots[i].aio_buf = (uintptr_t)buffers[i];
        aim(l, list[i] = &slots[i]);
    }
    submit(list, l->depth);
    while (busy > 0) {
        bool again = now() < end;
        unsigned n = turn(l, again);

        done += n;
        busy -= again ? 0 : n;
    }
    double per_second = (double)done * 1e9 / (double)(now() - begin);

    return l->random ? per_second : per_second * (double)l->size / 1e6;
}

static void report(const struct load *l, double rate)
{
    printf("%s %.2f\n", l->name, rate);
    fflush(stdout);
}

static void prepare(void)
{
    if (syscall(SYS_io_setup, DEPTH_MAX, &context) != 0)
        err(1, "io_setup");
    for (unsigned i = 0; i < DEPTH_MAX; i++)
        if (posix_memalign(&buffers[i], 4096, 1 << 20) != 0)
            errx(1, "out of memory");
}

/* In a process of its own, on CPU (i). */
static void job(unsigned i, uint64_t time, double *rate)
{
    cpu_set_t cpus;

    CPU_ZERO(&cpus);
    CPU_SET(i, &cpus);
    if (sched_setaffinity(0, sizeof(cpus), &cpus) != 0)
        err(1, "CPU %u", i);
    seed = i + 1;
    prepare();
    *rate = run(&each_job, time);
    exit(0);
}

static int run_together(unsigned n, uint64_t time)
{
    double *rate =
        mmap(NULL, n * sizeof(*rate), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    double sum = 0;
    int status;
    pid_t pid;

    if (rate == MAP_FAILED)
        err(1, "mmap");
    for (unsigned i = 0; i < n; i++) {
        if ((pid = fork()) < 0)
            err(1, "fork");
        if (pid == 0)
            job(i, time, &rate[i]);
    }
    while (wait(&status) > 0)
        if (status != 0)
            return 1;
    for (unsigned i = 0; i < n; i++)
        sum += rate[i];
    report(&each_job, sum);
    return 0;
}

int main(int argc, char **argv)
{
    uint64_t time = (argc > 1 ? strtoul(argv[1], NULL, 10) : 2) * 1000000000;
    unsigned n = argc > 2 ? (unsigned)atoi(argv[2]) : 0;

    fd = open("/dev/xvda", O_RDWR | O_DIRECT);
    if (fd < 0 || ioctl(fd, BLKGETSIZE64, &disk_size) != 0)
        err(1, "/dev/xvda");
    if (n > JOBS_MAX)
        errx(1, "at most %u jobs", JOBS_MAX);
    if (n > 0)
        return run_together(n, time);
    prepare();
    for (unsigned i = 0; i < sizeof(loads) / sizeof(loads[0]); i++)
        report(&loads[i], run(&loads[i], time));
    return 0;
}
