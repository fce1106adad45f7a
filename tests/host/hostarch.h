/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The machine that host tests run on: the second implementation of <arch/...> plus what a
 * test may do to it.
 *
 * Memory. One file in memory is the machine's: first the domain's pages (gframe = pfn +
 * HOST_GFRAME_BASE), then HOST_XEN_PAGES pages that are Xen's (shared info, grant table, other
 * domains' pages). arch_map really maps pieces of it elsewhere, so aliases are aliases, and guard
 * pages fault.
 *
 * Time. host_clock moves only by host_advance, by cpu_relax (1 us) and when every thread blocks.
 *
 * Threads are coroutines (hostthread.c): one runs until it blocks. When all are blocked, host_step
 * runs the fake backends; when these find nothing to do, the clock jumps to the next deadline,
 * timer or host_at event; when there is none either, the test fails: that was a deadlock.
 */
#ifndef TESTS_HOST_HOSTARCH_H
#define TESTS_HOST_HOSTARCH_H

#include <arch/clock.h>
#include <arch/page.h>
#include <stdbool.h>
#include <stddef.h>

#define HOST_RAM_PAGES 4096 /* 16 MiB, unless TEST_RAM says otherwise */
#define HOST_XEN_PAGES 1024
#define HOST_GFRAME_BASE 0x100000UL

/* ---- memory ---- */

/* Xen's page (i), for fakes to read and write; and its frame number. */
void *host_xen_page(unsigned i);
gframe_t host_xen_gframe(unsigned i);
/* The page behind a frame number as the machine sees it, NULL when there is none. */
void *host_gframe_to_virt(gframe_t frame);
/* Pages of RAM in this test. */
extern size_t host_ram_pages;
/* The next (n) calls of arch_map and arch_map_gframes fail with -ENOMEM. */
extern unsigned host_map_failures;
/* Mappings of arch_map now. */
extern size_t host_mapped;

/* The heap of host tests is the host's malloc (hostmem.c), so that the sanitizer sees every byte
 * beyond an object; kernel/heap.c is tested under other names. Free pages are poisoned. When
 * this is set, page_alloc takes from malloc as well: for modules that never grant or map
 * their pages. */
extern bool host_pages_from_malloc;

/* ---- time ---- */

extern nsec_t host_clock, host_wall_base;
/* Let (ns) pass: timers and host_at events fire at their time, in order. */
void host_advance(nsec_t ns);
/* Call fn(arg) when the clock reaches (when), outside any event handler. At most 64 pending. */
void host_at(nsec_t when, void (*fn)(void *arg), void *arg);
/* Call (fn) when the clock reaches what clock_arm asked for; the fake hypervisor raises the
 * timer's event there. */
void host_on_timer(void (*fn)(void));

/* ---- the outside world ---- */

/* A fake backend: fn(arg) does what is to do and returns true when there was something. It must
 * not block. At most 32. */
void host_on_idle(bool (*fn)(void *arg), void *arg);
void host_off_idle(bool (*fn)(void *arg), void *arg);
/* Run every fake backend once; true when one did something. */
bool host_step(void);
/* An event is pending: calls evtchn_dispatch now, or once upcalls are unmasked. */
void host_raise_upcall(void);

/* ---- CPUs ---- */

/* Which CPU the code believes to run on. */
extern unsigned host_cpu;
extern bool host_irq_on;

/* The host's kernel/cpus.h (hostcpus.c): CPU 0 is online, and those that a test adds here. Whoever
 * brings CPUs up or takes them down changes only this set, and every attempt is noted:
 * "+1 -2 " for CPU 1 up, CPU 2 down. The next one fails with host_cpus_error, if that is not 0. */
struct cpumask;
extern struct cpumask host_cpus_online;
extern unsigned host_cpus_possible;
extern char host_cpus_notes[256];
extern int host_cpus_error;

/* ---- messages ---- */

/* All that was logged and written to the console so far, and whether (part) is in it. */
const char *host_log(void);
bool host_logged(const char *part);
/* For who plays the console: add output; and a function that brings all output in first. */
void host_log_append(const char *text, size_t len);
extern void (*host_before_log)(void);
/* The test passes if panic comes with (part) in its text, and only then. */
void host_expect_panic(const char *part);

#endif
