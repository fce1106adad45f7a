/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The boot, one line per module, in the order in which they depend on each other; a table of
 * contents of the kernel.
 */
#include "kernel/main.h"
#include <arch/boot.h>
#include <arch/clock.h>
#include <arch/cpu.h>
#include <arch/random.h>
#include "kernel/console.h"
#include "kernel/cpus.h"
#include "kernel/evtchn.h"
#include "kernel/grant.h"
#include "kernel/heap.h"
#include "kernel/hotplug.h"
#include "kernel/lifecycle.h"
#include "kernel/log.h"
#include "kernel/option.h"
#include "kernel/page.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "kernel/xenstore.h"
#include "lib/base/assert.h"
#include "lib/base/parse.h"

#define MAIN_STACK_MAX (1024 * 1024)
#define SERVICES_STACK (16 * 1024)

static const struct bootinfo *info;

/* What stack protectors compare with (-mstack-protector-guard=global). */
uintptr_t __stack_chk_guard = 0x5bd1e995aa55ff00;

const struct bootinfo *boot_info(void)
{
    return info;
}

/* What no program waits for: console input, and what the toolstack may ask. */
static void run_services(void *arg)
{
    (void)arg;
    console_start();
    lifecycle_init();
    hotplug_follow();
}

static void start_services(const struct bootinfo *boot)
{
    struct thread *t;

    if (!boot->is_dom0 &&
        thread_create("services", PRIO_NORMAL, SERVICES_STACK, run_services, NULL, &t) == 0)
        thread_detach(t);
    else
        run_services(NULL);
}

/* All that needs threads, then the program. */
static void main_thread(void *arg)
{
    const struct bootinfo *boot = arg;

    xs_init(boot);
    hotplug_init();
    start_services(boot);
    log_info("%s: %lu MiB, %u CPU%s, %s, %s events%s; ready %lu us after entry", app_name,
             (unsigned long)(boot->nr_pages >> 8), cpus_count(), cpus_count() == 1 ? "" : "s",
             cpu_features(), evtchn_abi_name(), boot->is_dom0 ? ", as dom0" : "",
             (unsigned long)((clock_read() - clock_entry()) / 1000));
    lifecycle_exit(app_main(option_argc(), option_argv()));
}

/* The program's main thread gets what people expect of one, less in a small domain: all of a stack
 * is populated. paravane.stack=KiB chooses. */
static size_t main_stack_size(void)
{
    const char *wanted = option_get("stack");
    uint32_t kib;

    if (wanted && parse_u32(wanted, 16, 64 * 1024, &kib) == 0)
        return (size_t)kib * 1024;
    if (wanted)
        log_warn("option paravane.stack: \"%s\" is not a number of KiB from 16 to 65536", wanted);
    return MAX(MIN(MAIN_STACK_MAX, page_count_total() * PAGE_SIZE / 32), THREAD_STACK_DEFAULT);
}

NORETURN void kernel_main(const struct bootinfo *boot)
{
    struct thread *main;
    uint64_t random;
    size_t stack;

    info = boot;
    option_init(boot->cmdline, app_name); /* paravane.* and argv */
    log_init();                           /* log level */
    if (arch_random(&random))
        __stack_chk_guard ^= random << 8; /* its low byte stays 0: strings end there */
    cpu_features_init();                  /* XSAVE, FSGSBASE */
    heap_init();                          /* memory */
    evtchn_init();                        /* events, upcalls still masked */
    grant_init();                         /* grants */
    time_init();                          /* timers */
    thread_init();                        /* we are the idle thread now */
    cpus_init();                          /* and can be interrupted */
    stack = main_stack_size();
    if (thread_create("main", PRIO_NORMAL, stack, main_thread, (void *)(uintptr_t)boot, &main) != 0)
        panic(
            "boot: no memory for the program's stack of %lu KiB; give the domain more memory= or a "
            "smaller paravane.stack=",
            (unsigned long)(stack / 1024));
    thread_idle();
}
