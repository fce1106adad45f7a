/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a backend in a process of dom0 needs, by system calls alone: the store, grants, event
 * channels
 * (/dev/xen/xenbus, gntdev, evtchn). Nothing here is honest or hostile. Whatever goes wrong with
 * dom0 itself ends the program; what the guest may cause is a return value.
 */
#ifndef TESTS_HOSTILE_DOM0_H
#define TESTS_HOSTILE_DOM0_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE 4096u
#define PATH 256

/* ---- time: milliseconds ---- */

uint64_t now_ms(void);
void sleep_us(unsigned us);

/* ---- the store ---- */

/* The value in a buffer of this function's, until the next call; NULL: there is none. */
const char *store_read(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
unsigned long store_number(const char *dir, const char *name, unsigned long absent);
void store_write(const char *dir, const char *name, const char *value);
void store_write_number(const char *dir, const char *name, unsigned long value);
void store_write_bytes(const char *dir, const char *name, const void *value, size_t len);
void store_rm(const char *dir, const char *name);

/* ---- grants ---- */

/* Domain (dom)'s page (gref); NULL: it is not granted so. All of it is searched for the canary of
 * tests/system/vitals.h, 15 bytes in a row: canaries_seen counts the pages that show it. */
void *grant_map(unsigned dom, uint32_t gref, bool writable);
void grant_unmap(void *page);
/* Search it once more. */
void grant_inspect(const void *page);
/* Everything that is mapped, but vitals. */
void grant_unmap_all(void);
extern unsigned canaries_seen;

/* ---- event channels ---- */

/* A port of ours bound to one of the domain's; -1: it has none such. */
int port_bind(unsigned dom, unsigned remote);
void port_unbind(int port);
void port_notify(int port);

/* ---- how a domain is (tests/system/vitals.h) ---- */

struct vitals;
volatile struct vitals *vitals_of(unsigned dom);

#endif
