/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Grants: pages that one other domain may map or copy. The only writer of the grant table
 * (version 1, grown on demand up to what Xen allows).
 *
 * I1 A page that was granted returns to its allocator only after grant_revoke returned 0.
 * I2 Revoking is the check: nobody asks "is it still mapped?" and then revokes.
 */
#ifndef KERNEL_GRANT_H
#define KERNEL_GRANT_H

#include <stdbool.h>
#include <stdint.h>
#include <xen/xen.h>
#include "lib/base/macros.h"

typedef uint32_t gref_t;

#define GREF_NONE 0

void grant_init(void);

/* Let domain (dom) map the direct-mapped page at (page). 0, or -ENOSPC when the table is full and
 * cannot grow. Any context. */
int grant_page(domid_t dom, const void *page, bool readonly, gref_t *out) MUST_CHECK;

/* End a grant and free its reference: 0, or -EBUSY while the peer still maps the page; the grant
 * then stays valid. Any context. */
int grant_revoke(gref_t ref) MUST_CHECK;

/* Revoke (ref), then page_free (page). While the peer still maps it, both are kept in
 * quarantine and tried again once a second, at most for ever. (page) may be NULL. */
void grant_revoke_and_free(gref_t ref, void *page);

/* A zeroed page shared read-write with (dom), e.g. a ring. destroy is idempotent. */
struct shared_page {
    void *va;
    gref_t ref;
};
int shared_page_create(domid_t dom, struct shared_page *out) MUST_CHECK;
void shared_page_destroy(struct shared_page *p);

/* Grants in use (quarantined ones included), and in quarantine. */
unsigned grant_count_used(void);
unsigned grant_count_quarantined(void);

#endif
