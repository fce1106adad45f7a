/* SPDX-License-Identifier: BSD-2-Clause */
/* Addresses between the form of programs (struct sockaddr) and lwIP's. */
#ifndef LIB_NET_ADDRESS_H
#define LIB_NET_ADDRESS_H

#include <sys/socket.h>
#include "lib/base/macros.h"
#include <lwip/ip_addr.h>

/* Judge (addr) of (len) bytes as an address for a socket of (family). An IPv4-mapped IPv6
 * address comes out as IPv4, the IPv6 wildcard as lwIP's "any type". 0, -EINVAL (too short) or
 * -EAFNOSUPPORT. */
int address_take(int family, const struct sockaddr *addr, socklen_t len, ip_addr_t *ip,
                 uint16_t *port) MUST_CHECK;

/* Write (ip) and (port) as a (family) address, cut to *len bytes; *len becomes the full size.
 * IPv4 becomes IPv4-mapped for AF_INET6. (addr) may be NULL. */
void address_give(int family, const ip_addr_t *ip, uint16_t port, struct sockaddr *addr,
                  socklen_t *len);

#endif
