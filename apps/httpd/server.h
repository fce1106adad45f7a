/* SPDX-License-Identifier: BSD-2-Clause */
/* All connections, in one thread: whoever is ready is served. */
#ifndef APPS_HTTPD_SERVER_H
#define APPS_HTTPD_SERVER_H

#include <stdint.h>

/* A listening socket on (port), or -1 with errno. */
int server_listen(uint16_t port);

/* Serve (listener) with at most (limit) connections at a time. Returns only when there is no memory
 * for the list of them. */
int server_run(int listener, unsigned limit);

#endif
