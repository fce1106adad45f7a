/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CPUs as Xen sees them: a block of ours for each (a page, in which Xen writes vcpu_info and
 * runstate), an entry state to start from, and the hypercalls that start and stop them
 * (xen/vcpu.h).
 *
 *      CPU 0                        others
 *      pcpu_boot                    arch_cpu_prepare      block, event stack, vcpu_info
 *      pcpu_entries                 arch_cpu_start        VCPUOP_initialise, VCPUOP_up
 *      pcpu_register                secondary_main        entries, features, kernel_cpu_main
 *                                   arch_cpu_stop         VCPUOP_down, returns by VCPUOP_up
 *
 * vcpu_info is registered while the vCPU is down: a running one can be registered only by itself.
 * Above 32 vCPUs there is no other place for it.
 */
#include "arch/x86/pcpu.h"

#include <arch/boot.h>
#include <arch/evtchn.h>
#include <arch/hypercall.h>
#include <arch/irq.h>
#include "arch/x86/mm.h"
#include "arch/x86/setup.h"
#include "arch/x86/xenabi.h"
#include "kernel/cpumask.h"
#include "kernel/page.h"
#include "kernel/vmap.h"
#include <xen/callback.h>
#include <xen/sched.h>
#include <xen/vcpu.h>
#include "lib/base/assert.h"
#include "lib/base/atomic.h"
#include "lib/base/errno.h"
#include "lib/base/string.h"

#define EVENT_STACK_PAGES 2

void event_entry(void), failsafe_entry(void), nmi_entry(void);

static struct pcpu pcpu0;
static struct pcpu *pcpus[CPU_MAX];
static struct cpumask initialised = CPUMASK_FIRST;

_Static_assert(sizeof(struct pcpu) == PAGE_SIZE, "a block is a page");

struct pcpu *pcpu_of(unsigned cpu)
{
    return load_acquire(&pcpus[cpu]);
}

struct vcpu_info *arch_vcpu_info(unsigned cpu)
{
    return &pcpu_of(cpu)->info;
}

const struct cpumask *pcpu_started(void)
{
    return &initialised;
}

uint64_t hypercall_count(void)
{
    uint64_t sum = 0;

    for (unsigned cpu = 0; cpu < CPU_MAX; cpu++)
        if (pcpu_of(cpu))
            sum += load_relaxed(&pcpu_of(cpu)->hypercalls);
    return sum;
}

static void pcpu_init(struct pcpu *cpu, unsigned id, void *event_stack)
{
    cpu->self = cpu;
    cpu->id = id;
    cpu->event_stack_top = event_stack;
    cpu->preempt = 1; /* until the scheduler runs */
    cpu->info.evtchn_upcall_mask = 1;
}

/* By hand, since the others count themselves in the block that this one makes reachable. Xen
 * refuses only addresses that are not canonical. */
static void set_gs_base(struct pcpu *cpu)
{
    long nr = __HYPERVISOR_set_segment_base;
    unsigned long which = SEGBASE_GS_KERNEL, base = (uintptr_t)cpu;

    __asm__ volatile("syscall"
                     : "+a"(nr), "+D"(which), "+S"(base)
                     :
                     : "rcx", "rdx", "r8", "r10", "r11", "memory");
}

void pcpu_boot(void *event_stack_top)
{
    pcpus[0] = &pcpu0;
    pcpu_init(&pcpu0, 0, event_stack_top);
    set_gs_base(&pcpu0);
}

static void callback_set(unsigned type, void (*entry)(void))
{
    struct callback_register cb = {
        .type = (uint16_t)type, .flags = CALLBACKF_mask_events, .address = (uintptr_t)entry};

    if (hypercall2(__HYPERVISOR_callback_op, CALLBACKOP_register, (uintptr_t)&cb) != 0)
        panic("boot: callback %u refused", type);
}

void pcpu_entries(void)
{
    traps_init();
    callback_set(CALLBACKTYPE_event, event_entry);
    callback_set(CALLBACKTYPE_failsafe, failsafe_entry);
    callback_set(CALLBACKTYPE_nmi, nmi_entry);
}

int pcpu_register(struct pcpu *cpu)
{
    struct vcpu_register_vcpu_info info = {
        .mfn = virt_to_gframe(cpu),
        .offset = offsetof(struct pcpu, info),
    };
    struct vcpu_register_runstate_memory_area runstate = {.addr.v = &cpu->runstate};
    int rc = hypercall_vcpu(VCPUOP_register_vcpu_info, cpu->id, &info);

    cpu->info.evtchn_upcall_mask = 1; /* Xen filled it in anew */
    if (rc == 0)
        rc = hypercall_vcpu(VCPUOP_register_runstate_memory_area, cpu->id, &runstate);
    /* PV vCPUs start with a 10 ms periodic timer; ours are one-shot. */
    if (rc == 0)
        rc = hypercall_vcpu(VCPUOP_stop_periodic_timer, cpu->id, NULL);
    if (rc != 0 && cpu == &pcpu0)
        panic("boot: vcpu_info or runstate refused: %d", rc);
    return rc;
}

void cpu_idle(void)
{
    /* Unmasks and blocks in one step; returns after an upcall ran. */
    hypercall_sched(SCHEDOP_block, NULL);
}

/* --- CPUs other than the first --- */

unsigned arch_cpu_possible(void)
{
    unsigned n = 1;

    while (n < CPU_MAX && hypercall_vcpu(VCPUOP_is_up, n, NULL) >= 0)
        n++;
    return n;
}

bool arch_cpu_is_up(unsigned cpu)
{
    return hypercall_vcpu(VCPUOP_is_up, cpu, NULL) > 0;
}

int arch_cpu_prepare(unsigned cpu)
{
    struct pcpu *block = page_alloc_zeroed();
    char *stack = vmap_alloc(EVENT_STACK_PAGES);
    int rc = -ENOMEM;

    if (block && stack) {
        pcpu_init(block, cpu, stack + EVENT_STACK_PAGES * PAGE_SIZE);
        rc = pcpu_register(block);
    }
    if (rc == 0) {
        store_release(&pcpus[cpu], block);
        return 0;
    }
    if (stack)
        vmap_free(stack, EVENT_STACK_PAGES);
    /* A block that Xen knows is Xen's for ever. */
    if (block && rc == -ENOMEM)
        page_free(block);
    return rc;
}

static void secondary_main(void)
{
    pcpu_entries();
    cpu_features_here();
    kernel_cpu_main();
}

static void entry_state(struct vcpu_guest_context *c, struct pcpu *cpu, void *stack_top)
{
    c->flags = VGCF_in_kernel;
    c->user_regs.rip = (uintptr_t)secondary_main;
    c->user_regs.rsp = (uintptr_t)stack_top - 8; /* as after a call */
    c->user_regs.cs = FLAT_KERNEL_CS;
    c->user_regs.ss = FLAT_KERNEL_SS;
    c->kernel_ss = FLAT_KERNEL_SS;
    c->kernel_sp = (uintptr_t)stack_top;
    c->ctrlreg[3] = mm_cr3();
    c->gs_base_kernel = (uintptr_t)cpu;
    c->event_callback_eip = (uintptr_t)event_entry;
    c->failsafe_callback_eip = (uintptr_t)failsafe_entry;
}

static int initialise(struct pcpu *cpu, void *stack_top)
{
    /* 5 KiB, which Xen reads in one go. */
    struct vcpu_guest_context *context = page_alloc_order(1);
    int rc;

    if (!context)
        return -ENOMEM;
    memset(context, 0, sizeof(*context));
    entry_state(context, cpu, stack_top);
    rc = hypercall_vcpu(VCPUOP_initialise, cpu->id, context);
    page_free_order(context, 1);
    return rc;
}

int arch_cpu_start(unsigned cpu, void *stack_top, struct thread *idle)
{
    struct pcpu *block = pcpu_of(cpu);

    if (!cpumask_has(&initialised, cpu)) {
        int rc;

        block->current = idle;
        rc = initialise(block, stack_top);
        if (rc != 0)
            return rc;
        (void)cpumask_add(&initialised, cpu);
    }
    return hypercall_vcpu(VCPUOP_up, cpu, NULL);
}

void arch_cpu_stop(void)
{
    hypercall_vcpu(VCPUOP_down, cpu_id(), NULL);
}

void arch_cpu_interrupt(unsigned cpu)
{
    hypercall_vcpu(VCPUOP_send_nmi, cpu, NULL);
}
