/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From Xen's entry state to kernel_main: per-CPU block, traps and callbacks, page tables,
 * shared info, and what start_info says as struct bootinfo.
 */
#include "arch/x86/setup.h"
#include <arch/boot.h>
#include <arch/cpu.h>
#include <arch/evtchn.h>
#include <arch/hypercall.h>
#include <arch/irq.h>
#include "arch/x86/mm.h"
#include "arch/x86/xenabi.h"
#include "kernel/console.h"
#include <xen/callback.h>
#include <xen/sched.h>
#include <xen/vcpu.h>
#include "lib/base/assert.h"
#include "lib/base/atomic.h"
#include "lib/base/string.h"

void arch_start(const struct start_info *si, uintptr_t first_unused);
void event_entry(void), failsafe_entry(void), nmi_entry(void);
extern char event_stack_top[];

static struct pcpu pcpu0;
static struct shared_info *shared;
static char cmdline[MAX_GUEST_CMDLINE + 1];

struct shared_info *arch_shared_info(void)
{
    return shared;
}

struct vcpu_info *arch_vcpu_info(unsigned cpu)
{
    ASSERT(cpu == 0);
    return &pcpu0.info;
}

unsigned cpu_count(void)
{
    return 1;
}

void cpu_idle(void)
{
    /* Unmasks and blocks in one step; returns after an upcall ran. */
    hypercall_sched(SCHEDOP_block, NULL);
}

uint64_t hypercall_count(void)
{
    return load_relaxed(&pcpu0.hypercalls);
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

static void pcpu_init(struct pcpu *cpu, unsigned id, void *event_stack)
{
    cpu->self = cpu;
    cpu->id = id;
    cpu->event_stack_top = event_stack;
    cpu->preempt = 1; /* until the scheduler runs */
    cpu->info.evtchn_upcall_mask = 1;
    set_gs_base(cpu);
}

static void callback_set(unsigned type, void (*entry)(void))
{
    struct callback_register cb = {
        .type = (uint16_t)type, .flags = CALLBACKF_mask_events, .address = (uintptr_t)entry};

    if (hypercall2(__HYPERVISOR_callback_op, CALLBACKOP_register, (uintptr_t)&cb) != 0)
        panic("boot: callback %u refused", type);
}

/* Xen starts with every port unmasked; nothing is bound yet, so mask them all. */
static void shared_info_init(const struct start_info *si)
{
    gframe_t frame = si->shared_info >> PAGE_SHIFT;

    if (arch_map_gframes(WINDOW_SHARED_INFO, &frame, 1, PROT_RW) != 0)
        panic("boot: cannot map shared info");
    shared = (struct shared_info *)WINDOW_SHARED_INFO;
    memset(shared->evtchn_mask, 0xff, sizeof(shared->evtchn_mask));
}

/* Tell the toolstack where the p2m list is, for save, dump and migration. */
static void publish_p2m(const struct start_info *si, pfn_t max_pages)
{
    if (!(si->flags & SIF_VIRT_P2M_4TOOLS))
        return;
    shared->arch.max_pfn = max_pages;
    shared->arch.pfn_to_mfn_frame_list_list = ~0UL;
    shared->arch.p2m_vaddr = P2M_BASE;
    shared->arch.p2m_cr3 = mm_cr3();
}

static void vcpu_info_register(struct pcpu *cpu)
{
    struct vcpu_register_vcpu_info reg = {
        .mfn = virt_to_gframe(cpu),
        .offset = offsetof(struct pcpu, info),
    };

    if (hypercall_vcpu(VCPUOP_register_vcpu_info, cpu->id, &reg) != 0)
        panic("boot: vcpu_info of CPU %u refused", cpu->id);
    /* PV vCPUs start with a 10 ms periodic timer; ours are one-shot. */
    hypercall_vcpu(VCPUOP_stop_periodic_timer, cpu->id, NULL);
}

static void runstate_register(struct pcpu *cpu)
{
    struct vcpu_register_runstate_memory_area area = {.addr.v = &cpu->runstate};

    if (hypercall_vcpu(VCPUOP_register_runstate_memory_area, cpu->id, &area) != 0)
        panic("boot: runstate area of CPU %u refused", cpu->id);
}

static void console_and_store(const struct start_info *si, struct bootinfo *boot)
{
    if (boot->is_dom0)
        return;
    boot->console_port = si->console.domU.evtchn;
    boot->console_page = si->console.domU.mfn ? mfn_to_virt(si->console.domU.mfn) : NULL;
    boot->store_port = si->store_evtchn;
    boot->store_page = si->store_mfn ? mfn_to_virt(si->store_mfn) : NULL;
}

static void ramdisk(const struct start_info *si, struct bootinfo *boot)
{
    if (si->mod_len == 0)
        return;
    boot->ramdisk = pfn_to_virt(boot->reserved[1].first);
    boot->ramdisk_len = si->mod_len;
}

void arch_start(const struct start_info *si, uintptr_t first_unused)
{
    static struct bootinfo boot;

    clock_note_entry();
    pcpu_init(&pcpu0, 0, event_stack_top);
    traps_init();
    callback_set(CALLBACKTYPE_event, event_entry);
    callback_set(CALLBACKTYPE_failsafe, failsafe_entry);
    callback_set(CALLBACKTYPE_nmi, nmi_entry);

    string_copy(cmdline, sizeof(cmdline), (const char *)si->cmd_line);
    boot.cmdline = cmdline;
    boot.is_dom0 = (si->flags & SIF_INITDOMAIN) != 0;
    console_and_store(si, &boot);
    console_init(&boot); /* text out, by polling; so that what follows can complain */
    mm_init(si, first_unused, &boot);
    shared_info_init(si);
    publish_p2m(si, boot.max_pages);
    vcpu_info_register(&pcpu0);
    runstate_register(&pcpu0);
    clock_init(shared);
    ramdisk(si, &boot);
    mm_end_of_boot(&boot);
    kernel_main(&boot);
}
