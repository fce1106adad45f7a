/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TCP segments of one flow that follow each other, and the large one that they make together.
 *
 *     [headers|payload] [headers|payload] [headers|rest]   -->   [headers|payload|payload|rest]
 *
 * Who cuts the large one again ("generic segmentation offload": a Linux bridge, a network card, or
 * nobody, when it ends on this machine) makes the headers of each piece from those of the whole:
 * the sequence number goes on with the payload, the identification of IPv4 by one, lengths and sums
 * are those of the piece, and only the last one has PSH.
 *
 * I1 So a segment is taken for the next one when its headers are, byte for byte, those that would
 * be made for it. Cutting then gives back exactly the frames that were sent. No list of fields that
 *    must agree can be incomplete.
 *
 * Sums: TCP's is "blank" here, that is, the sum over the pseudo header alone, which has the length
 * in it. IPv4's is complete.
 */
#include "frontends/netfront/internal.h"

#include "lib/base/string.h"

#define ETHERTYPE_IP4 0x0800
#define ETHERTYPE_IP6 0x86dd
#define IP4_HEADER 20
#define IP6_HEADER 40
#define PROTO_TCP 6
#define TCP_HEADER 20
#define TCP_PSH 0x08
#define TCP_ACK 0x10

/* Offsets in the headers. */
enum { IP4_LENGTH = 2, IP4_ID = 4, IP4_FRAGMENT = 6, IP4_PROTO = 9, IP4_SUM = 10 };
enum { IP6_LENGTH = 4, IP6_NEXT = 6 };
enum { TCP_SEQUENCE = 4, TCP_SIZE = 12, TCP_FLAGS = 13, TCP_SUM = 16 };

static uint16_t get16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static void put16(uint8_t *p, uint32_t value)
{
    p[0] = (uint8_t)(value >> 8);
    p[1] = (uint8_t)value;
}

static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static void put32(uint8_t *p, uint32_t value)
{
    put16(p, value >> 16);
    put16(p + 2, value);
}

/* The end-around carry of sums of 16-bit words. */
static uint16_t fold(uint32_t sum)
{
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

/* ---- what is a segment ---- */

/* Plain IPv4, whole, not padded. */
static bool is_ip4_tcp(const uint8_t *ip, uint32_t len)
{
    return ip[0] == (4 << 4 | IP4_HEADER / 4) && ip[IP4_PROTO] == PROTO_TCP &&
           (get16(ip + IP4_FRAGMENT) & 0x3fff) == 0 && get16(ip + IP4_LENGTH) == len;
}

static bool is_ip6_tcp(const uint8_t *ip, uint32_t len)
{
    return ip[0] >> 4 == 6 && ip[IP6_NEXT] == PROTO_TCP &&
           get16(ip + IP6_LENGTH) + IP6_HEADER == (int)len;
}

bool netfront_segment_of(const uint8_t *head, unsigned n, uint32_t len,
                         struct netfront_segment *out)
{
    const uint8_t *ip = head + ETHERNET_HEADER, *tcp;

    if (n < ETHERNET_HEADER + IP6_HEADER + TCP_HEADER && n < len)
        return false;
    if (len <= ETHERNET_HEADER + IP4_HEADER + TCP_HEADER)
        return false;
    if (get16(head + 12) == ETHERTYPE_IP4 && is_ip4_tcp(ip, len - ETHERNET_HEADER))
        *out = (struct netfront_segment){.gso = XEN_NETIF_GSO_TYPE_TCPV4, .ip_header = IP4_HEADER};
    else if (len > ETHERNET_HEADER + IP6_HEADER + TCP_HEADER && get16(head + 12) == ETHERTYPE_IP6 &&
             is_ip6_tcp(ip, len - ETHERNET_HEADER))
        *out = (struct netfront_segment){.gso = XEN_NETIF_GSO_TYPE_TCPV6, .ip_header = IP6_HEADER};
    else
        return false;
    tcp = ip + out->ip_header;
    out->headers = (uint8_t)(ETHERNET_HEADER + out->ip_header + (tcp[TCP_SIZE] >> 4) * 4);
    out->last = tcp[TCP_FLAGS] & TCP_PSH;
    if (tcp[TCP_SIZE] >> 4 < TCP_HEADER / 4 || out->headers > n || out->headers >= len)
        return false;
    out->payload = len - out->headers;
    return (tcp[TCP_FLAGS] & ~TCP_PSH) == TCP_ACK;
}

/* ---- headers ---- */

static void set_ip4(uint8_t *ip, unsigned index, uint32_t len)
{
    uint32_t sum = 0;

    put16(ip + IP4_LENGTH, len);
    put16(ip + IP4_ID, get16(ip + IP4_ID) + index);
    put16(ip + IP4_SUM, 0);
    for (unsigned i = 0; i < IP4_HEADER; i += 2)
        sum += get16(ip + i);
    put16(ip + IP4_SUM, (uint16_t)~fold(sum));
}

/* (old) and (len): bytes of the segment with its header, before and now. */
static void set_tcp(uint8_t *tcp, uint32_t skip, uint32_t old, uint32_t len, bool last)
{
    put32(tcp + TCP_SEQUENCE, get32(tcp + TCP_SEQUENCE) + skip);
    tcp[TCP_FLAGS] = TCP_ACK | (last ? TCP_PSH : 0);
    put16(tcp + TCP_SUM, fold(get16(tcp + TCP_SUM) + (uint16_t)~old + len));
}

void netfront_segment_headers(uint8_t *out, const uint8_t *first, const struct netfront_segment *s,
                              unsigned index, uint32_t payload, bool last)
{
    uint8_t *ip = out + ETHERNET_HEADER;
    uint32_t tcp_header = s->headers - ETHERNET_HEADER - s->ip_header;

    memcpy(out, first, s->headers);
    if (s->gso == XEN_NETIF_GSO_TYPE_TCPV4)
        set_ip4(ip, index, s->ip_header + tcp_header + payload);
    else
        put16(ip + IP6_LENGTH, tcp_header + payload);
    set_tcp(ip + s->ip_header, index * s->payload, tcp_header + s->payload, tcp_header + payload,
            last);
}

bool netfront_segment_follows(const uint8_t *head, const struct netfront_segment *next,
                              const uint8_t *first, const struct netfront_segment *s,
                              unsigned index)
{
    uint8_t expected[NETFRONT_HEADERS_MAX];

    if (next->gso != s->gso || next->headers != s->headers || next->payload > s->payload)
        return false;
    netfront_segment_headers(expected, first, s, index, next->payload, next->last);
    return memcmp(head, expected, s->headers) == 0; /* I1 */
}
