/* SPDX-License-Identifier: BSD-2-Clause */
/* Random bytes; what they are worth is said in lib/libc/entropy.c. */
#ifndef _SYS_RANDOM_H
#define _SYS_RANDOM_H

#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Accepted; both sources are one and never block. */
#define GRND_NONBLOCK 0x1
#define GRND_RANDOM 0x2

#define GETENTROPY_MAX 256
#define GETRANDOM_MAX 0x1ffffff

int getentropy(void *buf, size_t len);
/* Gives at most GETRANDOM_MAX bytes. */
ssize_t getrandom(void *buf, size_t len, unsigned flags);

#ifdef __cplusplus
}
#endif

#endif
