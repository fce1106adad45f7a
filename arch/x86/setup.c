/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From Xen's entry state to kernel_main: the first CPU's block and entries, page tables, shared
 * info, and what start_info says as struct bootinfo.
 */
#include "arch/x86/setup.h"
#include <arch/boot.h>
#include <arch/cpu.h>
#include <arch/evtchn.h>
#include <arch/hypercall.h>
#include <arch/irq.h>
#include "arch/x86/mm.h"
#include "arch/x86/pcpu.h"
#include "kernel/console.h"
#include <xen/callback.h>
#include <xen/sched.h>
#include <xen/vcpu.h>
#include "lib/base/assert.h"
#include "lib/base/atomic.h"
#include "lib/base/string.h"

void arch_start(const struct start_info *si, uintptr_t first_unused);
extern char event_stack_top[];

static struct shared_info *shared;
static char cmdline[MAX_GUEST_CMDLINE + 1];

struct shared_info *arch_shared_info(void)
{
    return shared;
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

static void console_and_store(const struct start_info *si, struct bootinfo *boot)
{
    if (boot->is_dom0)
        return;
    boot->console_port = si->console.domU.evtchn;
    boot->console_page = si->console.domU.mfn ? mfn_to_virt(si->console.domU.mfn) : NULL;
    boot->store_port = si->store_evtchn;
    boot->store_page = si->store_mfn ? mfn_to_virt(si->store_mfn) : NULL;
}

void arch_start(const struct start_info *si, uintptr_t first_unused)
{
    static struct bootinfo boot;

    clock_note_entry();
    pcpu_boot(event_stack_top);
    pcpu_entries();

    string_copy(cmdline, sizeof(cmdline), (const char *)si->cmd_line);
    boot.cmdline = cmdline;
    boot.is_dom0 = (si->flags & SIF_INITDOMAIN) != 0;
    console_and_store(si, &boot);
    console_init(&boot); /* text out, by polling; so that what follows can complain */
    mm_init(si, first_unused, &boot);
    shared_info_init(si);
    publish_p2m(si, boot.max_pages);
    pcpu_register(pcpu_of(0));
    clock_init(shared);
    kernel_main(&boot);
}
