/* SPDX-License-Identifier: BSD-2-Clause */
/* What lwIP calls by LWIP_HOOK_*; lwipopts.h comes too early for lwIP's own types. */
#ifndef LIB_NET_PORT_HOOKS_H
#define LIB_NET_PORT_HOOKS_H

#include <lwip/ip_addr.h>
#include <lwip/pbuf.h>

struct tcp_pcb;

/* A first sequence number that only we can foresee (RFC 6528). */
u32_t net_first_sequence(const ip_addr_t *local, u16_t local_port, const ip_addr_t *remote,
                         u16_t remote_port);

/* ERR_OK: let (segment) in to (pcb), which may be a listening one. */
err_t net_tcp_gate(struct tcp_pcb *pcb, const struct pbuf *segment);

#endif
