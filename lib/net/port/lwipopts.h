/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lwIP's options for Paravane: threads with one core lock, IPv4 and IPv6, and no memory of its
 * own: every byte comes from net_alloc, so that lib/net/budget.h is the only limit.
 * Sockets are lib/net's, over the raw interface.
 */
#ifndef LIB_NET_PORT_LWIPOPTS_H
#define LIB_NET_PORT_LWIPOPTS_H

#include <stddef.h>
#include <stdint.h>

/* --- threads and locking --- */
#define NO_SYS 0
#define SYS_LIGHTWEIGHT_PROT 1
#define LWIP_TCPIP_CORE_LOCKING 1
#define LWIP_TCPIP_CORE_LOCKING_INPUT 1
#define LWIP_SOCKET 0
#define LWIP_NETCONN 0
#define LWIP_COMPAT_MUTEX 0
#define TCPIP_THREAD_NAME "net-timers"
#define TCPIP_THREAD_STACKSIZE (32 * 1024)
#define TCPIP_THREAD_PRIO 3 /* PRIO_HIGH */
#define TCPIP_MBOX_SIZE 64

/* The core lock inherits priority, and letting it go rings the backends' bells (lock.c). */
void net_lock(void);
void net_unlock(void);
void net_assert_locked(void);
#define LOCK_TCPIP_CORE() net_lock()
#define UNLOCK_TCPIP_CORE() net_unlock()
#define LWIP_ASSERT_CORE_LOCKED() net_assert_locked()

/* --- memory --- */
void *net_alloc(size_t size);
void *net_alloc_zeroed(size_t count, size_t size);
void net_free(void *p);
#define MEM_ALIGNMENT 16
#define MEM_CUSTOM_ALLOCATOR 1
#define MEM_CUSTOM_MALLOC net_alloc
#define MEM_CUSTOM_CALLOC net_alloc_zeroed
#define MEM_CUSTOM_FREE net_free
#define MEMP_MEM_MALLOC 1
#define MEMP_MEM_INIT 1
#define PBUF_POOL_SIZE 0
#define LWIP_SUPPORT_CUSTOM_PBUF 1
/* Of a TCP segment larger than the mtu: payload of those that the backend makes of it (tso.c). */
#define LWIP_PBUF_CUSTOM_DATA u16_t cut;
#define LWIP_PBUF_CUSTOM_DATA_INIT(p) ((p)->cut = 0)

/* --- the link --- */
#define LWIP_ETHERNET 1
#define ETH_PAD_SIZE 0
#define ARP_TABLE_SIZE 64
#define ARP_QUEUEING 1
#define ETHARP_SUPPORT_STATIC_ENTRIES 0
#define LWIP_NETIF_HOSTNAME 1
#define LWIP_NETIF_LINK_CALLBACK 0
#define LWIP_NETIF_STATUS_CALLBACK 1
#define LWIP_CHECKSUM_CTRL_PER_NETIF 1
#define LWIP_CHECKSUM_ON_COPY 0
#define CHECKSUM_GEN_TCP 0 /* nic.c sums, or leaves it to the backend */
#define LWIP_HAVE_LOOPIF 1
#define LWIP_NETIF_LOOPBACK 1
/* One queue of packets to ourselves; full means lost, as on a wire. */
#define LWIP_LOOPBACK_MAX_PBUFS 1024

/* --- IPv4 --- */
#define LWIP_IPV4 1
#define IP_FORWARD 0
#define IP_REASSEMBLY 1
#define IP_FRAG 1
#define IP_REASS_MAX_PBUFS 64
#define LWIP_ICMP 1
#define LWIP_RAW 1
#define LWIP_DHCP 1
/* Asking the network whether the server's answer is right takes seven seconds. */
#define LWIP_DHCP_DOES_ACD_CHECK 0
#define LWIP_ACD 0
#define LWIP_AUTOIP 0
#define LWIP_DHCP_GET_NTP_SRV 0
#define LWIP_IGMP 1
#define LWIP_MULTICAST_TX_OPTIONS 1
#define LWIP_BROADCAST_PING 0
#define LWIP_MULTICAST_PING 0

/* --- IPv6 --- */
#define LWIP_IPV6 1
#define LWIP_IPV6_NUM_ADDRESSES 6
#define LWIP_IPV6_FORWARD 0
#define LWIP_IPV6_FRAG 1
#define LWIP_IPV6_REASS 1
/* The reassembler's notes are larger than an IPv6 fragment header where pointers have 64 bits. */
#define IPV6_FRAG_COPYHEADER 1
#define LWIP_IPV6_AUTOCONFIG 1
#define LWIP_IPV6_DUP_DETECT_ATTEMPTS 1
#define LWIP_IPV6_SEND_ROUTER_SOLICIT 1
#define LWIP_IPV6_MLD 1
#define LWIP_IPV6_DHCP6 0
#define LWIP_ND6_RDNSS_MAX_DNS_SERVERS 2
#define LWIP_ND6_NUM_NEIGHBORS 32
#define LWIP_ND6_NUM_DESTINATIONS 64
#define LWIP_ND6_QUEUEING 1

/* --- names --- */
#define LWIP_DNS 1
#define DNS_TABLE_SIZE 16
#define DNS_MAX_NAME_LENGTH 256
#define DNS_MAX_SERVERS 3
#define LWIP_DNS_SUPPORT_MDNS_QUERIES 0

/* --- UDP --- */
#define LWIP_UDP 1
#define LWIP_UDPLITE 0

/* --- TCP --- */
#define LWIP_TCP 1
/* At most; a connection has what its interface's mtu allows: this is one of 9000 less headers. */
#define TCP_MSS 8960
/* lwIP counts round trips and time-outs in double ticks: with these the shortest retransmission
 * time is 0.3 s and an acknowledgement is delayed by 50 ms at most. */
#define TCP_TMR_INTERVAL 50
#define TCP_MSL 30000UL
#define LWIP_WND_SCALE 1
#define TCP_RCV_SCALE 5
#define LWIP_TCP_TIMESTAMPS 1
#define LWIP_TCP_SACK_OUT 1
#define LWIP_TCP_KEEPALIVE 1
#define TCP_LISTEN_BACKLOG 1
#define TCP_QUEUE_OOSEQ 1
#define TCP_OVERSIZE 1460 /* memory that is asked for in advance of small writes */
#define SO_REUSE 1
#define SO_REUSE_RXTOALL 1
#define LWIP_TCP_MAX_SACK_NUM 4

/*
 * The largest window and send buffer are a ceiling less what this domain's budget takes off: a
 * constant to the preprocessor, for which the variables are 0, and the domain's own number
 * when it runs. lwIP's checks of constants would judge the ceiling only, hence are off.
 */
extern uint32_t net_window_cut, net_send_cut;
#define NET_WINDOW_CEILING 0x100000
#define TCP_WND (NET_WINDOW_CEILING - net_window_cut)
#define TCP_SND_BUF (NET_WINDOW_CEILING - net_send_cut)
/* What was read is announced by tcp.c, which knows how much of the window that is. */
#define TCP_WND_UPDATE_THRESHOLD TCP_WND
#define TCP_SND_QUEUELEN 4096
#define TCP_SNDLOWAT 2921
#define LWIP_DISABLE_TCP_SANITY_CHECKS 1

/* Segments that came too early are kept only within the connection's share of the budget. */
uint16_t net_early_segments(void);
#define TCP_OOSEQ_PBUFS_LIMIT(pcb) net_early_segments()

/* First sequence numbers by RFC 6528, and the gate that every segment passes (tcp.c). */
#define LWIP_HOOK_FILENAME "lib/net/port/hooks.h"
#define LWIP_HOOK_TCP_ISN net_first_sequence
#define LWIP_HOOK_TCP_INPACKET_PCB(pcb, hdr, optlen, opt1len, opt2, p) net_tcp_gate((pcb), (p))

/* --- notes --- */
#define LWIP_STATS 0

#endif
