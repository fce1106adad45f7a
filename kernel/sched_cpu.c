/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CPUs, as the scheduler sees them: they get a queue and an idle thread, take threads, idle, and
 * give what they have to others before they go (kernel/cpus.c does the rest). The context that
 * boots becomes the idle thread of CPU 0.
 */
#include "kernel/sched.h"
#include <arch/irq.h>
#include "kernel/heap.h"
#include "kernel/option.h"
#include "lib/base/assert.h"
#include "lib/base/format.h"
#include "lib/base/string.h"

#define IDLE_STACK_PAGES 4

static struct runq runq0;
static struct thread idle0 = {.name = "idle", .state = RUNNING, .detached = true};

void thread_init(void)
{
    list_init(&idle0.link);
    waitq_init(&idle0.joiners);
    timer_init(&idle0.timer, sched_block_timeout);
    idle0.arch.fpu = heap_alloc_aligned(64, arch_fpu_size());
    if (!idle0.arch.fpu)
        panic("boot: out of memory for the idle thread; give the domain more memory=");
    memset(idle0.arch.fpu, 0, arch_fpu_size());
    memset(&idle0.allowed, 0xff, sizeof(idle0.allowed)); /* what others inherit */
    runq_init(&runq0, 0, &idle0);
    runqs[0] = &runq0;
    runq0.online = true;
    cpu_set_current(&idle0);
    sched_resched_always = option_on("resched-always");
    cpu_set_need_resched(sched_resched_always);
}

int sched_cpu_init(unsigned cpu)
{
    struct runq *q = heap_alloc_zeroed(sizeof(*q));
    struct thread *idle = thread_alloc(IDLE_STACK_PAGES);

    if (!q || !idle) {
        heap_free(q);
        if (idle)
            thread_free(idle);
        return -ENOMEM;
    }
    format(idle->name, sizeof(idle->name), "idle %u", cpu);
    memset(idle->arch.fpu, 0, arch_fpu_size());
    runq_init(q, cpu, idle);
    store_release(&runqs[cpu], q);
    return 0;
}

struct thread *sched_idle_thread(unsigned cpu, void **its_stack_top)
{
    *its_stack_top = thread_stack_top(runqs[cpu]->idle);
    return runqs[cpu]->idle;
}

/* Those that run elsewhere only because none of their CPUs was online. Who waits is found by the
 * idle thread of (back), who sleeps when it wakes. */
static void call_home(const struct runq *back)
{
    for (unsigned cpu = 0; cpu < cpus_known(); cpu++) {
        struct runq *q = runq_of_cpu(cpu);
        irqstate_t irq;

        if (!q || q == back)
            continue;
        irq = spin_lock(&q->lock);
        runq_consider(q);
        spin_unlock(&q->lock, irq);
    }
}

void sched_cpu_set_online(unsigned cpu, bool online)
{
    struct runq *q = runqs[cpu];
    irqstate_t irq = spin_lock(&q->lock);

    store_relaxed(&q->online, online);
    runq_consider(q);
    spin_unlock(&q->lock, irq);
    if (online)
        call_home(q);
}

void sched_cpu_evacuate(unsigned cpu)
{
    struct runq *q = runqs[cpu];

    (void)cpumask_remove(&sched_idle_cpus, cpu);
    (void)timer_cancel(&q->slice);
    for (;;) {
        irqstate_t irq = spin_lock(&q->lock);
        int prio = most_urgent(q);
        struct thread *t;

        if (prio < 0) {
            q->kicked = false;
            spin_unlock_masked(&q->lock);
            sched_offer_all();
            irq_restore(irq);
            return;
        }
        t = list_first(&q->ready[prio], struct thread, link);
        runq_remove(q, t);
        sched_place(q, t);
        irq_restore(irq);
    }
}

NORETURN void thread_idle(void)
{
    cpu_preempt_add(-1); /* the count that boot began with */
    irq_restore(true);
    for (;;) {
        struct runq *q;

        preempt_disable(); /* what is said of a dead thread may meet a full console: idle never
                              waits */
        thread_reap();
        preempt_enable();
        irq_save();
        q = runq_here();
        if (load_relaxed(&q->online))
            sched_idle_once(q);
        else
            cpus_leave();
        irq_restore(true);
    }
}
