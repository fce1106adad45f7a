/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Event channels for race_store.c and race_console.c: a thread is the CPU that delivers them. A
 * port is masked from its event to its EOI; an event that comes meanwhile is delivered after it.
 */
#ifndef TESTS_HOST_RACEPORTS_H
#define TESTS_HOST_RACEPORTS_H

#include "kernel/evtchn.h"

/* The ports that were made before boot. */
#define RACE_PORT_STORE 1
#define RACE_PORT_CONSOLE 2

/* Events arrive from now on, and (stop) no more. */
void raceports_start(void);
void raceports_stop(void);

/* The other end sends an event; of a port that nobody has any more it is lost. */
void raceports_raise(port_t port);

extern unsigned ports_bound;

#endif
