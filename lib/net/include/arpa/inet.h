/* SPDX-License-Identifier: BSD-2-Clause */
/* Internet addresses as text. */
#ifndef _ARPA_INET_H
#define _ARPA_INET_H

#include <netinet/in.h>

#ifdef __cplusplus
extern "C" {
#endif

in_addr_t inet_addr(const char *text);
int inet_aton(const char *text, struct in_addr *out);
char *inet_ntoa(struct in_addr addr); /* one static buffer */
int inet_pton(int family, const char *text, void *out);
const char *inet_ntop(int family, const void *addr, char *buf, socklen_t size);

#ifdef __cplusplus
}
#endif

#endif
