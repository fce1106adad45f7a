/* SPDX-License-Identifier: BSD-2-Clause */
/* THE CONTRACT, boot: what the architecture hands to kernel_main, and what it calls back. */
#ifndef ARCH_BOOT_H
#define ARCH_BOOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <arch/page.h>

struct bootinfo {
    const char *cmdline; /* NUL-terminated, lives for ever */
    pfn_t nr_pages;      /* pages of RAM now */
    pfn_t max_pages;     /* static maximum */
    const void *ramdisk; /* NULL, or (ramdisk_len) bytes in the direct map */
    size_t ramdisk_len;
    bool is_dom0;          /* booted as Xen's first domain: console by hypercall, no store */
    uint32_t console_port; /* 0: none */
    void *console_page;    /* struct xencons_interface, NULL: none */
    uint32_t store_port;   /* 0: none */
    void *store_page;      /* struct xenstore_domain_interface, NULL: none */
};

/* The kernel's first C function with the machine ready: W^X, traps, upcalls masked, pages handed to
 * the page allocator. Runs on the boot stack. */
NORETURN void kernel_main(const struct bootinfo *boot);

/* The same for every other CPU, each time in the context of its idle thread and on its stack. */
NORETURN void kernel_cpu_main(void);

/* Called by the entry code on the event stack, upcalls masked, for every upcall. */
void evtchn_dispatch(void);

/* Called on return from an upcall when the interrupted code may be preempted: off the event
 * stack, upcalls masked. */
void sched_preempt(void);

#endif
