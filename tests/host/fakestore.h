/* SPDX-License-Identifier: BSD-2-Clause */
/* The xenstore server of the fake Xen, as fakexen.c starts it. Tests use fakexen.h. */
#ifndef TESTS_HOST_FAKESTORE_H
#define TESTS_HOST_FAKESTORE_H

#include "kernel/evtchn.h"

/* Serve the ring in (page), whose events go over guest port (port). */
void fakestore_start(void *page, port_t port);

#endif
