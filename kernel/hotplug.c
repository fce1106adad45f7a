/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The toolstack writes "online" or "offline" into cpu/N/availability (xl vcpu-set); the watch
 * reads all of them, since events may be lost among others, and brings CPUs up or takes them down.
 * What is neither word is ignored with a line in the log: the CPU stays as it is.
 */
#include "kernel/hotplug.h"

#include <arch/boot.h>
#include "kernel/cpus.h"
#include "kernel/log.h"
#include "kernel/main.h"
#include "kernel/xenstore.h"
#include "lib/base/errno.h"
#include "lib/base/format.h"
#include "lib/base/string.h"

#define PATH_MAX_LEN 40
#define WORD_MAX 16

static struct xs_watch watch;
static struct log_limit limit;

static void bring_up(unsigned cpu)
{
    int rc = cpus_bring_up(cpu);

    if (rc != 0 && log_allowed(&limit))
        log_warn("cpus: CPU %u does not start: %d; the domain goes on with %u", cpu, rc,
                 cpus_count());
}

static void take_down(unsigned cpu)
{
    int rc = cpus_take_down(cpu);

    if (rc != 0 && log_allowed(&limit))
        log_warn("cpus: CPU %u %s: %d", cpu, cpu == 0 ? "always runs" : "does not stop", rc);
}

static void follow(unsigned cpu)
{
    char path[PATH_MAX_LEN], word[WORD_MAX] = "";
    long len;

    (void)format(path, sizeof(path), "cpu/%u/availability", cpu);
    len = xs_read(XS_NO_TX, path, word, sizeof(word));
    if (len < 0 && len != -EINVAL)
        return; /* no such node, no such wish */
    if (len > 0 && strcmp(word, "online") == 0)
        bring_up(cpu);
    else if (len > 0 && strcmp(word, "offline") == 0)
        take_down(cpu);
    else if (log_allowed(&limit))
        log_warn("cpus: %s is neither \"online\" nor \"offline\": ignored", path);
}

static void follow_all(void)
{
    unsigned before = cpus_count();

    for (unsigned cpu = 0; cpu < cpus_possible(); cpu++)
        follow(cpu);
    if (cpus_count() != before)
        log_info("cpus: %u of %u online", cpus_count(), cpus_possible());
}

static void changed(struct xs_watch *w)
{
    (void)w;
    follow_all();
}

void hotplug_init(void)
{
    if (!boot_info()->is_dom0) {
        if (cpus_possible() > 1)
            follow_all();
        return;
    }
    for (unsigned cpu = 1; cpu < cpus_possible(); cpu++)
        bring_up(cpu);
}

void hotplug_follow(void)
{
    int rc;

    if (boot_info()->is_dom0 || cpus_possible() == 1)
        return;
    rc = xs_watch(&watch, "cpu", changed, NULL);
    if (rc != 0)
        log_warn("cpus: changes of their number will not be heard: %d", rc);
}
