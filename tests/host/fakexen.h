/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A Xen for host tests: hypercalls, event channels (both ABIs), grants, a console reader and a
 * xenstore server, all in one process with the kernel modules under test.
 *
 * A module's tests get it by FAKEXEN_BOOT(module, ...) at file scope: then every test of that
 * module starts in a booted domain (console, evtchn, grant, time, xenstore and lifecycle running).
 * Other tests have only the console.
 *
 * The peers (store, console, fake backends) act in host_step, so when the guest blocks, yields or
 * spins; a test may call host_step() itself, or fakexen_settle().
 *
 * The guest is domain FAKE_DOMID, its home in the store FAKE_HOME; relative paths mean that.
 * Whoever plays a backend is domain 0 unless it says otherwise.
 */
#ifndef TESTS_HOST_FAKEXEN_H
#define TESTS_HOST_FAKEXEN_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <xen/xen.h>
#include <xen/event_channel.h>
#include <xen/io/console.h>
#include <xen/io/xs_wire.h>
#include "kernel/evtchn.h"
#include "kernel/grant.h"
#include "lib/base/macros.h"

#define FAKE_DOMID 7
#define FAKE_HOME "/local/domain/7"

/* ---- the domain ---- */

struct fakexen_boot {
    const char *module;
    const char *cmdline;       /* NULL: "" */
    bool no_fifo;              /* Xen without FIFO events */
    bool dom0;                 /* no ring console, no store */
    bool bare;                 /* nothing is booted but the fake itself; the test does it */
    unsigned max_grant_frames; /* 0: 64 */
    unsigned max_ports;        /* 0: 1023 */
    struct fakexen_boot *next;
};
void fakexen_boot_register(struct fakexen_boot *b);

#define FAKEXEN_BOOT(module_, ...)                                             \
    __attribute__((constructor)) static void fakexen_boot_##module_(void)      \
    {                                                                          \
        static struct fakexen_boot self = {.module = #module_, ##__VA_ARGS__}; \
        fakexen_boot_register(&self);                                          \
    }

/* What kernel_main would get. */
const struct bootinfo *fakexen_bootinfo(void);
/* What kernel_main and its first thread do with it. */
void fakexen_boot_kernel(void);

/* Let peers and threads run until nobody has anything to do at this time. */
void fakexen_settle(void);

/* The test passes when the guest ends the domain for (reason), and check() holds then (or is NULL);
 * in all other cases the end of the domain fails the test. */
void fakexen_expect_shutdown(unsigned reason, bool (*check)(void));

/* ---- events ---- */

/* The other end of guest port (port) sends. What Xen does then: pending, queue, upcall. */
void fakexen_raise(port_t port);
/* Bind to a port that the guest allocated, or one that it bound to us: fn(arg) is called by
 * host_step once after the guest notified it (any number of times). Fails the test if there is no
 * such port. */
void fakexen_on_notify(port_t port, void (*fn)(void *arg), void *arg);
/* The other end closes: notifications are lost again. Harmless on a port the guest closed. */
void fakexen_off_notify(port_t port);
/* Notifications of (port) by the guest since it was bound. */
unsigned fakexen_count_notified(port_t port);
/* The guest's port bound to (virq) of (cpu), PORT_NONE if there is none. */
port_t fakexen_virq_port(unsigned virq, unsigned cpu);
/* From now on CPUs other than the first take their events in host_step. Otherwise a test does it.
 */
void fakexen_run_other_cpus(void);
/* (n) CPUs are online, and take their events so. */
void fakexen_use_cpus(unsigned n);
/* EVTCHNSTAT_* of a guest port. */
unsigned fakexen_port_status(port_t port);
/* The domain that may bind to a port which the guest allocated. */
domid_t fakexen_port_remote(port_t port);
/* As the guest has it, in either ABI. */
bool fakexen_port_masked(port_t port);
bool fakexen_port_pending(port_t port);
/* The next event channel hypercall (op) returns (rc). */
void fakexen_fail_evtchn(unsigned op, int rc);

/* ---- grants ---- */

/* Map the guest's page as the domain it is granted to; what is not granted so fails the test. May
 * be called several times; each needs its unmap. */
void *fake_grant_map(gref_t ref, bool writable);
void fake_grant_unmap(gref_t ref, bool writable);
/* The same, NULL when the grant does not allow it. */
void *fake_grant_try_map(gref_t ref, bool writable);
/* As GNTTABOP_copy: bytes out of or into a granted page without mapping. 0 or -1: not granted. */
int fake_grant_read(gref_t ref, size_t offset, void *buf, size_t len);
int fake_grant_write(gref_t ref, size_t offset, const void *buf, size_t len);
/* Does the granted page show its domain nothing new: zeros, and what that domain itself has written
 * there by fake_grant_write, with no other domain's writing since? */
bool fake_grant_shows_nothing(gref_t ref);
/* Is (ref) granted to (dom) now, and read-only? */
bool fake_grant_is_to(gref_t ref, domid_t dom);
bool fake_grant_is_readonly(gref_t ref);
/* Mappings that peers hold. */
unsigned fake_grant_count_mapped(void);
/* The next setup_table fails with this status. */
extern int fake_grant_setup_status;

/* ---- console ---- */

struct xencons_interface *fakexen_console_page(void);
/* The reader takes nothing any more (true), or what is there at each step. */
void fakexen_console_freeze(bool frozen);
/* Type (text) at the guest; what its ring does not take is lost. The bytes taken. */
size_t fakexen_console_type(const char *text);
/* All output so far is also in host_log(). */

/* ---- xenstore ---- */

/* Write a node, with its parents, as a privileged domain; watches of the guest fire. */
void fakexen_store_set(const char *path, const char *fmt, ...) PRINTF_LIKE(2, 3);
void fakexen_store_set_bytes(const char *path, const void *value, size_t len);
/* NULL: no such node. Valid until the node changes. */
const char *fakexen_store_get(const char *path);
/* (path) and all below. */
void fakexen_store_rm(const char *path);
/* Call fn(path, arg) after the guest wrote or removed a node at (prefix) or below it; the full path
 * is given. At most 32. */
void fakexen_store_on_write(const char *prefix, void (*fn)(const char *path, void *arg), void *arg);
void fakexen_store_off_write(const char *prefix, void (*fn)(const char *path, void *arg),
                             void *arg);
/* Watches that the guest has, requests that it made of XS_ (type). */
unsigned fakexen_store_count_watches(void);
unsigned fakexen_store_count_requests(unsigned type);

/* Misbehaviour, all off at the start. */
struct fakexen_store_faults {
    bool silent;        /* reads requests, answers nothing */
    bool deaf;          /* does not even read */
    bool mute;          /* sends no events */
    unsigned max_bytes; /* at most so many bytes per step in each direction, 0: no limit */
    unsigned hold;      /* keep answers back until there are so many, then send the last first */
    unsigned failing_commits; /* the next so many commits end in EAGAIN */
    const char *error;        /* every request is answered with this error ... */
    unsigned error_type;      /* ... if it is of this XS_ type */
    size_t list_max;          /* DIRECTORY above it: E2BIG (default 4096) */
    size_t part_max;          /* names in one answer to DIRECTORY_PART (default 1024) */
    unsigned list_changes;    /* the directory changes in the next so many answers */
    /* Change an answer before it is sent; payload has room for 8192 bytes. False: drop it. */
    bool (*mangle)(struct xsd_sockmsg *header, char *payload);
    bool lied; /* it told of transactions and offsets that are none: those are no fault of ours */
};
extern struct fakexen_store_faults fakexen_store_faults;

struct xenstore_domain_interface *fakexen_store_page(void);
/* Any bytes, or a message, into the stream of answers. */
void fakexen_store_send(const void *bytes, size_t len);
void fakexen_store_send_message(uint32_t type, uint32_t id, const void *payload, size_t len);
/* Events of the guest's watch with (token) numbers 1...: as if (path) had changed. */
void fakexen_store_fire(const char *path);

#endif
