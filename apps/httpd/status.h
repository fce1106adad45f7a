/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The numbers of this domain, told once and written twice: as JSON for programs and as a page
 * for people. A teller names groups of values; each value has a key (JSON) and a label (page).
 */
#ifndef APPS_HTTPD_STATUS_H
#define APPS_HTTPD_STATUS_H

#include <stdint.h>
#include "apps/httpd/text.h"

enum status_unit {
    STATUS_COUNT, /* grows; the page also shows how much each second */
    STATUS_LEVEL, /* goes up and down */
    STATUS_BYTES,
    STATUS_BYTES_COUNT, /* bytes that grow */
    STATUS_NSEC,
};

/* What is being written; private. */
struct status {
    struct text *out;
    bool html, first;
    char prefix[64]; /* where we are: "interfaces.vif0." */
};

/* {"key": {...}}, a card of its own. Not nested. */
void status_begin(struct status *s, const char *key, const char *title);
void status_end(struct status *s);
/* Several groups of one kind: {"key": {"name": {...}, ...}}. Groups are begun and ended inside. */
void status_begin_list(struct status *s, const char *key);
void status_end_list(struct status *s);

void status_number(struct status *s, const char *key, const char *label, uint64_t value,
                   enum status_unit unit);
void status_string(struct status *s, const char *key, const char *label, const char *value);

/* The whole of it. */
void status_write_json(struct text *out);
void status_write_page(struct text *out);

/* The seam: what the system below knows. status_paravane.c, or another system's in tests. */
void status_tell_system(struct status *s);
/* An address of this machine as others reach it, "" when there is none yet. */
void status_address(char *out, size_t size);

#endif
