/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * On which CPUs a thread may run. Sets may name CPUs that are not online now: as long as none of a
 * thread's CPUs is, it runs anywhere (kernel/thread.h).
 */
#define _GNU_SOURCE 1
#include "lib/posix/pthread.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include "kernel/cpus.h"
#include "kernel/thread.h"

_Static_assert(sizeof(cpu_set_t) == sizeof(struct cpumask), "the sets of <sys/cpuset.h> are ours");

static void set_affinity(struct thread *t, void *mask)
{
    thread_set_affinity(t, mask);
}

static void get_affinity(struct thread *t, void *mask)
{
    thread_get_affinity(t, mask);
}

int pthread_setaffinity_np(pthread_t id, size_t size, const cpu_set_t *set)
{
    struct cpumask mask = {{0}};
    unsigned first;

    memcpy(&mask, set, size < sizeof(mask) ? size : sizeof(mask));
    first = cpumask_next(&mask, 0);
    if (first >= cpus_possible())
        return EINVAL;
    return pthread_visit(id, set_affinity, &mask);
}

int pthread_getaffinity_np(const pthread_t id, size_t size, cpu_set_t *set)
{
    struct cpumask mask = {{0}};
    int error = size < sizeof(mask) ? EINVAL : pthread_visit(id, get_affinity, &mask);

    for (unsigned cpu = cpus_possible(); cpu < CPU_MAX; cpu++)
        (void)cpumask_remove(&mask, cpu);
    if (error == 0)
        memcpy(set, &mask, sizeof(mask));
    return error;
}

int sched_getcpu(void)
{
    return (int)cpu_id();
}
