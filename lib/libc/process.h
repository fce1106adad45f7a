/* SPDX-License-Identifier: BSD-2-Clause */
/* What the toolstack's wish that the domain ends means for a program. */
#ifndef LIB_LIBC_PROCESS_H
#define LIB_LIBC_PROCESS_H

/* SIGTERM: run its handler here, or, when there is none, exit(0). */
void process_terminate(void);

#endif
