/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The end of the domain: what the toolstack asks for by control/shutdown in xenstore (xl shutdown,
 * xl reboot), and the orderly way out for ourselves.
 */
#ifndef KERNEL_LIFECYCLE_H
#define KERNEL_LIFECYCLE_H

#include <stdbool.h>
#include "kernel/thread.h"
#include "lib/base/macros.h"

enum lifecycle_request { LIFECYCLE_POWEROFF, LIFECYCLE_REBOOT };

/* Obey control/shutdown from now on, and say so in xenstore. Thread context, may block. */
void lifecycle_init(void);

/* Ask (fn) before obeying. True: the application ends by itself, by lifecycle_exit, within
 * LIFECYCLE_GRACE, after which the request is obeyed anyway; false: obey at once. Runs in the watch
 * thread. NULL: nobody to ask. */
#define LIFECYCLE_GRACE (10 * NSEC_PER_SEC)
void lifecycle_on_shutdown(bool (*fn)(enum lifecycle_request request));

/* The application is over: print "exit status N", write it to data/exit-status, let the console
 * drain and end the domain: reboot if that was asked for, else power off. Thread context. */
NORETURN void lifecycle_exit(int status);

#endif
