/* SPDX-License-Identifier: BSD-2-Clause */
/* lwIP's view of the compiler and of the few services that are not threads (see sys_arch.h). */
#ifndef LIB_NET_PORT_ARCH_CC_H
#define LIB_NET_PORT_ARCH_CC_H

#include <stdint.h>
#include <stdlib.h>
#include <sys/types.h>

/* newlib has ssize_t but no SSIZE_MAX; without it lwIP would define ssize_t as int. */
#include <limits.h>
#ifndef SSIZE_MAX
#define SSIZE_MAX LONG_MAX
#endif

#ifndef BYTE_ORDER
#define BYTE_ORDER 1234
#endif

#define LWIP_NO_CTYPE_H 1
#define LWIP_ERRNO_STDINCLUDE 1

/* An unforeseeable 32-bit number: transaction ids, ports, first sequence numbers. */
#ifdef PARAVANE_HOST
uint32_t net_random(void);
#define LWIP_RAND() net_random()
#else
#define LWIP_RAND() arc4random()
#endif

_Noreturn void net_assert_failed(const char *text, const char *file, int line);
#define LWIP_PLATFORM_ASSERT(text) net_assert_failed((text), __FILE__, __LINE__)
/* An argument that a caller got wrong: refuse it without a message. */
#define LWIP_PLATFORM_DIAG(text) \
    do {                         \
    } while (0)

#endif
