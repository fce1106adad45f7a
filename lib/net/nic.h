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

/*
 * The interface over device/vif/(handle). It gets into lwIP, with (config), once its backend is
 * connected for the first time, and stays there; its thread connects it again whenever the link is
 * lost. NULL takes the configuration from the device's "ip" key, and follows it.
 *
 * nic_open: makes the first attempt, as netfront_open does; nic_plug: does not wait for it.
 * 0 or -errno, with a log line; an interface whose first attempt failed goes on trying.
 */
int nic_open(const char *handle, const struct net_config *config) MUST_CHECK;
int nic_plug(const char *handle) MUST_CHECK;
bool nic_exists(const char *handle);

/* Those that are in lwIP, in the order in which they got there. They are never removed. */
unsigned nic_count(void);
struct nic *nic_get(unsigned i);
struct netif *nic_netif(struct nic *nic);
void nic_get_info(struct nic *nic, struct netfront_info *out);
/* Is (p) received data in a page of its own? Then a stream can keep it instead of copying it: the
 * piece to lend holds a reference to (p) until it is released. */
bool nic_is_page(const struct pbuf *p);
struct stream_piece *nic_lend(struct pbuf *p);
/* Does (netif)'s backend cut large TCP segments of IPv4, or of IPv6? The core lock is held. */
bool nic_cuts(const struct netif *netif, bool six);
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
