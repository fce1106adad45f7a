/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A panic on CPU 1 of five: CPU 2 holds a spinlock with upcalls masked, 3 spins, 4 waits for the
 * spinlock, 0 is idle. Every one has to say where it was.
 */
#include <stdio.h>
#include "kernel/cpus.h"
#include "kernel/spinlock.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "lib/base/assert.h"
#include "lib/base/macros.h"

#define WAY static __attribute__((noinline, noclone)) void

static struct spinlock lock = SPINLOCK_INIT;
static volatile bool holding, spinning, released; /* nobody sets the last one */

WAY crowd_hold(void)
{
    irqstate_t irq = spin_lock(&lock);

    holding = true;
    while (!released)
        cpu_relax();
    spin_unlock(&lock, irq);
}

WAY crowd_spin(void)
{
    spinning = true;
    while (!released)
        cpu_relax();
}

WAY crowd_wait(void)
{
    while (!holding)
        cpu_relax();
    spin_unlock(&lock, spin_lock(&lock));
}

WAY crowd_panic(void)
{
    while (!holding || !spinning || load_relaxed(&lock.parked) == 0)
        cpu_relax();
    panic("one of a crowd, on CPU %u", cpu_id());
}

static const struct member {
    unsigned cpu;
    const char *name;
    void (*fn)(void);
} members[] = {
    {2, "holds", crowd_hold},
    {3, "spins", crowd_spin},
    {4, "waits", crowd_wait},
    {1, "panics", crowd_panic},
};

static void run(void *arg)
{
    const struct member *m = arg;
    struct cpumask only = {{0}};

    (void)cpumask_add(&only, m->cpu);
    thread_set_affinity(thread_current(), &only);
    m->fn();
}

int main(void)
{
    struct thread *t;

    if (cpus_count() != 5) {
        printf("five CPUs are needed\n");
        return 64;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(members); i++)
        if (thread_create(members[i].name, PRIO_NORMAL, 0, run, (void *)(uintptr_t)&members[i], &t))
            return 1;
    thread_join(t);
    printf("survived\n");
    return 1;
}
