/* SPDX-License-Identifier: BSD-2-Clause */
/* What Paravane has to say: its clock, its counters, and the conditions under which it runs. */
#include <stdint.h>
#include <arch/clock.h>
#include <arch/evtchn.h>
#include <arch/hypercall.h>
#include <ctype.h>
#include <string.h>
#include <xen/vcpu.h>
#include <xen/version.h>
#include "apps/pvbench/bare.h"
#include "apps/pvbench/probes.h"
#include "kernel/cpus.h"
#include "kernel/time.h"
#include "kernel/xenstore.h"

void platform_init(void)
{
    static const struct cpumask first = CPUMASK_FIRST;

    thread_set_affinity(thread_current(), &first); /* P3 */
    setvbuf(stdout, NULL, _IOFBF, 16384);
}

uint64_t platform_clock(void)
{
    return time_now();
}

double platform_tick(void)
{
    const struct vcpu_time_info *t = &arch_vcpu_info(0)->time;
    double ns = (double)t->tsc_to_system_mul / 4294967296.0;

    for (int i = t->tsc_shift; i > 0; i--)
        ns *= 2;
    for (int i = t->tsc_shift; i < 0; i++)
        ns /= 2;
    return ns * 1000;
}

void platform_count(struct counters *c)
{
    struct thread_stats threads;
    struct evtchn_stats events;

    thread_get_stats(&threads);
    evtchn_get_stats(&events);
    *c = (struct counters){.preemptions = threads.preemptions,
                           .hypercalls = hypercall_count(),
                           .events = events.events};
    for (unsigned cpu = 0; cpu < cpus_known(); cpu++)
        c->steal_ns += clock_steal(cpu);
}

/* Of a vCPU that does not exist: its number is the mark. */
void platform_mark(uint32_t mark)
{
    (void)bare4(__HYPERVISOR_vcpu_op, VCPUOP_is_up, mark, 0, 0);
}

/* ---- conditions ---- */

static void cpuid(uint32_t leaf, uint32_t r[4])
{
    __asm__ volatile("cpuid" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3]) : "a"(leaf), "c"(0));
}

/* The same, answered by Xen. */
static void cpuid_of_xen(uint32_t leaf, uint32_t r[4])
{
    __asm__ volatile(".byte 0x0f, 0x0b, 0x78, 0x65, 0x6e; cpuid"
                     : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3])
                     : "a"(leaf), "c"(0));
}

/* Only what a JSON text may hold as it is. */
static void print_text(FILE *out, const char *key, const char *text)
{
    while (*text == ' ')
        text++;
    fprintf(out, "\"%s\": \"", key);
    for (; *text != '\0'; text++)
        if (isprint((unsigned char)*text) && *text != '"' && *text != '\\')
            fputc(*text, out);
    fprintf(out, "\", ");
}

static void print_cpu(FILE *out)
{
    char brand[49] = "";
    uint32_t r[4];

    for (uint32_t i = 0; i < 3; i++) {
        cpuid(0x80000002 + i, r);
        memcpy(brand + i * sizeof(r), r, sizeof(r));
    }
    print_text(out, "cpu", brand);
    fprintf(out, "\"emulated\": %s, ",
            strstr(brand, "QEMU") || strstr(brand, "TCG") ? "true" : "false");
    cpuid_of_xen(0x40000003, r); /* Xen's time leaf */
    fprintf(out, "\"tsc_emulated\": %s, \"tsc_mode\": %u, ", r[0] & 1 ? "true" : "false", r[1]);
}

/* Where the other end of the device (node) is, which names its domain and its kind. */
static void print_backend(FILE *out, const char *key, const char *node)
{
    char path[64], text[128];

    snprintf(path, sizeof(path), "device/%s/backend", node);
    if (xs_read(XS_NO_TX, path, text, sizeof(text)) > 0)
        print_text(out, key, text);
}

void platform_conditions(FILE *out)
{
    char extra[XEN_EXTRAVERSION_LEN + 1] = "", text[64];
    int version = hypercall_version(XENVER_version, NULL);

    (void)hypercall_version(XENVER_extraversion, extra);
    snprintf(text, sizeof(text), "%d.%d%s", version >> 16, version & 0xffff, extra);
    print_text(out, "system", "paravane " PARAVANE_VERSION);
    print_text(out, "xen", text);
    print_cpu(out);
    print_text(out, "evtchn", evtchn_abi_name());
    print_backend(out, "vif_backend", "vif/0");
    print_backend(out, "vbd_backend", "vbd/51712");
    fprintf(out, "\"tick_ns\": %.6f, \"vcpus\": %u", platform_tick() / 1000, cpus_count());
}
