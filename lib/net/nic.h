/* SPDX-License-Identifier: BSD-2-Clause */
/* Network interfaces: lwIP's netif over netfront, one thread each. */
#ifndef LIB_NET_NIC_H
#define LIB_NET_NIC_H

#include <stdbool.h>
#include <stdint.h>
#include "frontends/netfront/netfront.h"
#include "lib/base/macros.h"
#include "lib/net/config.h"
#include "lib/net/stream.h"
#include <lwip/netif.h>

#define NIC_MAX 8

struct nic;

/* Open device/vif/(handle), give it to lwIP with (config) and start its thread; NULL takes the
 * configuration from the device's "ip" key. Blocks as netfront_open does. 0 or -errno, with a log
 * line. */
int nic_open(const char *handle, const struct net_config *config) MUST_CHECK;

unsigned nic_count(void);
/* The (i)th opened, or NULL. They are never closed. */
struct nic *nic_get(unsigned i);
struct netif *nic_netif(struct nic *nic);
void nic_get_info(struct nic *nic, struct netfront_info *out);
/* Is (p) received data in a page of its own? Then a stream can keep it instead of copying it: the
 * piece to lend holds a reference to (p) until it is released. */
bool nic_is_page(const struct pbuf *p);
struct stream_piece *nic_lend(struct pbuf *p);
/* Frames that came in but found no memory. */
uint64_t nic_starved(struct nic *nic);

/* True when (nic) has every address it waits for; the core lock is held. */
bool nic_configured(struct nic *nic);
/* Its IPv6 address number (slot) (0: link-local); "none", or "tentative" while it is tested. The
 * core lock is held.
 */
void netif_ip6_text(const struct netif *n, unsigned slot, char *buf, size_t size);
void nic_ip6_text(struct nic *nic, unsigned slot, char *buf, size_t size);
/* One log line: name and addresses. Core lock not held. */
void nic_announce(struct nic *nic);

#endif
