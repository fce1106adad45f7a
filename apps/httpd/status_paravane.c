/* SPDX-License-Identifier: BSD-2-Clause */
/* The seam of status.h on Paravane: what the kernel, the frontends and the libraries count. */
#include "apps/httpd/status.h"
#include "kernel/cpus.h"
#include <arch/hypercall.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <xen/xen.h>
#include <xen/version.h>
#include "frontends/blkfront/blkfront.h"
#include "kernel/evtchn.h"
#include "kernel/grant.h"
#include "kernel/heap.h"
#include "kernel/page.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "lib/fs/erofs.h"
#include "lib/net/status.h"
#include "lib/posix/rootfs.h"

static void tell_domain(struct status *s)
{
    struct utsname name;
    char xen[16];
    nsec_t steal = 0;
    int version = hypercall_version(XENVER_version, NULL);

    uname(&name);
    snprintf(xen, sizeof(xen), "%d.%d", version >> 16, version & 0xffff);
    for (unsigned cpu = 0; cpu < cpus_known(); cpu++)
        steal += clock_steal(cpu);
    status_begin(s, "domain", "Domain");
    status_string(s, "name", "name", name.nodename);
    status_string(s, "kernel", "kernel", name.sysname);
    status_string(s, "version", "version", name.release);
    status_string(s, "xen", "Xen", version > 0 ? xen : "");
    status_number(s, "vcpus", "vCPUs", cpus_count(), STATUS_LEVEL);
    status_number(s, "uptime_ns", "up for", time_now() - clock_entry(), STATUS_NSEC);
    status_number(s, "steal_ns", "waited for a CPU", steal, STATUS_NSEC);
    status_end(s);
}

static void tell_memory(struct status *s)
{
    struct heap_stats heap;

    heap_get_stats(&heap);
    status_begin(s, "memory", "Memory");
    status_number(s, "total_bytes", "pages in all", page_count_total() * PAGE_SIZE, STATUS_BYTES);
    status_number(s, "free_bytes", "free", page_count_free() * PAGE_SIZE, STATUS_BYTES);
    status_number(s, "heap_bytes", "heap in use", heap.in_use, STATUS_BYTES);
    status_number(s, "heap_allocations", "allocations", heap.allocations, STATUS_COUNT);
    status_number(s, "heap_failures", "allocations refused", heap.failures, STATUS_COUNT);
    status_end(s);
}

static void tell_events(struct status *s)
{
    struct evtchn_stats events;

    evtchn_get_stats(&events);
    status_begin(s, "xen", "Between Xen and us");
    status_number(s, "hypercalls", "hypercalls", hypercall_count(), STATUS_COUNT);
    status_number(s, "upcalls", "upcalls", events.upcalls, STATUS_COUNT);
    status_number(s, "events", "events", events.events, STATUS_COUNT);
    status_number(s, "spurious", "spurious events", events.spurious, STATUS_COUNT);
    status_number(s, "delayed", "events held back", events.delayed, STATUS_COUNT);
    status_string(s, "evtchn_abi", "event channels", evtchn_abi_name());
    status_number(s, "ports", "ports bound", evtchn_count_bound(), STATUS_LEVEL);
    status_number(s, "grants", "grants in use", grant_count_used(), STATUS_LEVEL);
    status_number(s, "grants_quarantined", "in quarantine", grant_count_quarantined(),
                  STATUS_LEVEL);
    status_end(s);
}

static void tell_threads(struct status *s)
{
    struct thread_stats threads;

    thread_get_stats(&threads);
    status_begin(s, "threads", "Threads");
    status_number(s, "alive", "threads", thread_count(), STATUS_LEVEL);
    status_number(s, "switches", "switches", threads.switches, STATUS_COUNT);
    status_number(s, "preemptions", "preemptions", threads.preemptions, STATUS_COUNT);
    status_end(s);
}

static void tell_nic(struct status *s, const struct net_status_nic *nic)
{
    const struct netfront_info *i = &nic->link;
    const uint8_t *m = i->mac;
    char title[32], mac[18];

    snprintf(title, sizeof(title), "Network %s", i->name);
    snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
    status_begin(s, i->name, title);
    status_string(s, "link", "backend", i->link ? "connected" : "not connected");
    status_string(s, "ip4", "IPv4", nic->ip4);
    status_string(s, "ip6", "IPv6", nic->ip6[nic->ip6[1][0] != '\0']);
    status_string(s, "mac", "MAC", mac);
    status_number(s, "rx_frames", "frames in", i->rx_frames, STATUS_COUNT);
    status_number(s, "rx_bytes", "bytes in", i->rx_bytes, STATUS_BYTES_COUNT);
    status_number(s, "tx_frames", "frames out", i->tx_frames, STATUS_COUNT);
    status_number(s, "tx_large", "of them larger than the mtu", i->tx_large, STATUS_COUNT);
    status_number(s, "tx_bytes", "bytes out", i->tx_bytes, STATUS_BYTES_COUNT);
    status_number(s, "rx_dropped", "dropped, in", i->rx_dropped + nic->starved, STATUS_COUNT);
    status_number(s, "tx_dropped", "dropped, out", i->tx_dropped, STATUS_COUNT);
    status_number(s, "events", "events from it", i->events, STATUS_COUNT);
    status_number(s, "notifies", "events to it", i->notifies, STATUS_COUNT);
    status_end(s);
}

static void tell_net(struct status *s)
{
    struct net_status net;

    net_get_status(&net);
    status_begin_list(s, "interfaces");
    for (unsigned i = 0; i < net.nr_nics; i++)
        tell_nic(s, &net.nic[i]);
    status_end_list(s);
    status_begin(s, "net", "TCP/IP");
    status_number(s, "sockets", "sockets", net.sockets, STATUS_LEVEL);
    status_number(s, "tcp_active", "connections", net.tcp_active, STATUS_LEVEL);
    status_number(s, "tcp_time_wait", "in TIME_WAIT", net.tcp_time_wait, STATUS_LEVEL);
    status_number(s, "memory_bytes", "memory", net.budget.used, STATUS_BYTES);
    status_number(s, "memory_peak_bytes", "at most so far", net.budget.peak, STATUS_BYTES);
    status_number(s, "memory_limit_bytes", "of a budget of", net.budget.limit, STATUS_BYTES);
    status_number(s, "memory_refused", "refused for lack of it", net.budget.refused, STATUS_COUNT);
    status_end(s);
}

static void tell_disk(struct status *s, struct blkfront *disk)
{
    struct blkfront_info i;
    char title[32];

    blkfront_get_info(disk, &i);
    snprintf(title, sizeof(title), "Disk %s", i.name);
    status_begin(s, i.name, title);
    status_number(s, "size_bytes", "size", i.nr_sectors * BLKFRONT_SECTOR, STATUS_BYTES);
    status_string(s, "grants", "grants", i.persistent ? "kept" : "for each request");
    status_number(s, "reads", "reads", i.reads, STATUS_COUNT);
    status_number(s, "writes", "writes", i.writes, STATUS_COUNT);
    status_number(s, "errors", "errors", i.errors, STATUS_COUNT);
    status_number(s, "events", "events from it", i.events, STATUS_COUNT);
    status_number(s, "notifies", "events to it", i.notifies, STATUS_COUNT);
    status_end(s);
}

static void tell_root(struct status *s)
{
    struct erofs *root;
    struct block_stats cache;

    if (rootfs_get(&root) != 0)
        return;
    block_get_stats(erofs_cache(root), &cache);
    status_begin(s, "root", "Root file system");
    status_string(s, "device", "read from", rootfs_disk() != NULL ? "a disk" : "the ramdisk");
    status_number(s, "hits", "blocks found in memory", cache.hits, STATUS_COUNT);
    status_number(s, "misses", "not found", cache.misses, STATUS_COUNT);
    status_number(s, "device_reads", "reads of the device", cache.device_reads, STATUS_COUNT);
    status_number(s, "cached_bytes", "kept in memory", cache.blocks * FS_BLOCK_SIZE, STATUS_BYTES);
    status_number(s, "cache_max_bytes", "at most", cache.blocks_max * FS_BLOCK_SIZE, STATUS_BYTES);
    status_end(s);
}

void status_tell_system(struct status *s)
{
    tell_domain(s);
    tell_memory(s);
    tell_events(s);
    tell_net(s);
    status_begin_list(s, "disks");
    if (rootfs_disk() != NULL)
        tell_disk(s, rootfs_disk());
    status_end_list(s);
    tell_root(s);
    tell_threads(s);
}

void status_address(char *out, size_t size)
{
    struct net_status net;

    net_get_status(&net);
    out[0] = '\0';
    for (unsigned i = 0; i < net.nr_nics && out[0] == '\0'; i++) {
        if (net.nic[i].ip4[0] != '\0')
            snprintf(out, size, "%s", net.nic[i].ip4);
        else if (net.nic[i].ip6[1][0] != '\0')
            snprintf(out, size, "[%s]", net.nic[i].ip6[1]);
    }
}
