/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The messages beneath kernel/xenstore.h (xen/io/xs_wire.h): one function that sends a request and
 * waits for its answer. Used by xenstore.c and xswatch.c only.
 */
#ifndef KERNEL_XSWIRE_H
#define KERNEL_XSWIRE_H

#include <arch/boot.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <xen/io/xs_wire.h>
#include "kernel/thread.h"
#include "lib/base/macros.h"

#define XSWIRE_TIMEOUT (20 * NSEC_PER_SEC)

/* A piece of a request's payload. */
struct xswire_part {
    const void *data;
    size_t len;
};

/* Starts the reader thread, if the domain has a store. */
void xswire_init(const struct bootinfo *boot);
bool xswire_present(void);

/* One request and its answer, NUL-terminated in reply[size]; (reply) may be NULL. Its length,
 * -E2BIG when it does not fit, -errno as the store says, -EIO, -ENXIO or -ETIMEDOUT. May block. */
long xswire_call(enum xsd_sockmsg_type type, uint32_t tx, const struct xswire_part *parts, size_t n,
                 char *reply, size_t size) MUST_CHECK;

#endif
