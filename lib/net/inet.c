/* SPDX-License-Identifier: BSD-2-Clause */
/* Addresses as text, and interfaces by name. The parsing is lwIP's; POSIX's stricter and odder
 * rules are added here. */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include "lib/base/format.h"
#include "lib/base/macros.h"
#include "lib/net/nic.h"
#include <lwip/ip_addr.h>

const struct in6_addr in6addr_any = IN6ADDR_ANY_INIT;
const struct in6_addr in6addr_loopback = IN6ADDR_LOOPBACK_INIT;

int inet_aton(const char *text, struct in_addr *out)
{
    ip4_addr_t ip;
    if (!ip4addr_aton(text, &ip))
        return 0;
    out->s_addr = ip4_addr_get_u32(&ip);
    return 1;
}

in_addr_t inet_addr(const char *text)
{
    struct in_addr in;
    return inet_aton(text, &in) ? in.s_addr : INADDR_NONE;
}

char *inet_ntoa(struct in_addr addr)
{
    static char text[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, &addr, text, sizeof(text));
    return text;
}

/* Four decimal parts and nothing else: inet_pton knows no octal, no hex and no short forms. */
static bool pton4(const char *text, uint8_t out[4])
{
    for (unsigned part = 0; part < 4; part++) {
        unsigned value = 0, digits = 0;
        for (; *text >= '0' && *text <= '9' && digits < 4; digits++)
            value = value * 10 + (unsigned)(*text++ - '0');
        bool ends = *text == (part < 3 ? '.' : '\0');
        if (digits == 0 || digits > 3 || value > 255 || !ends)
            return false;
        out[part] = (uint8_t)value;
        text++;
    }
    return true;
}

/* lwIP takes a zone ("%vi1") and shrugs at some ends; POSIX takes neither. */
static bool pton6(const char *text, void *out)
{
    ip6_addr_t ip;
    if (text[strspn(text, "0123456789abcdefABCDEF:.")] != '\0' || !ip6addr_aton(text, &ip))
        return false;
    memcpy(out, ip.addr, 16);
    return true;
}

int inet_pton(int family, const char *text, void *out)
{
    uint8_t four[4];
    if (family == AF_INET6)
        return pton6(text, out);
    if (family != AF_INET) {
        errno = EAFNOSUPPORT;
        return -1;
    }
    if (!pton4(text, four))
        return 0;
    memcpy(out, four, sizeof(four));
    return 1;
}

static bool ntop6(const void *addr, char *buf, size_t size)
{
    ip6_addr_t ip;
    memcpy(ip.addr, addr, 16);
    ip6_addr_clear_zone(&ip);
    if (ip6addr_ntoa_r(&ip, buf, (int)MIN(size, INT32_MAX)) == NULL)
        return false;
    for (char *p = buf; *p != '\0'; p++) /* RFC 5952: lower case */
        if (*p >= 'A' && *p <= 'F')
            *p = (char)(*p - 'A' + 'a');
    return true;
}

const char *inet_ntop(int family, const void *addr, char *buf, socklen_t size)
{
    const uint8_t *b = addr;
    bool fits;
    if (family == AF_INET) {
        fits = (size_t)format(buf, size, "%u.%u.%u.%u", b[0], b[1], b[2], b[3]) < size;
    } else if (family == AF_INET6) {
        fits = ntop6(addr, buf, size);
    } else {
        errno = EAFNOSUPPORT;
        return NULL;
    }
    if (!fits)
        errno = ENOSPC;
    return fits ? buf : NULL;
}

/* --- interfaces: lwIP's loopback comes first and is number 1 --- */

#define LOOPBACK_INDEX 1

unsigned if_nametoindex(const char *name)
{
    struct netfront_info info;
    if (strcmp(name, "lo") == 0)
        return LOOPBACK_INDEX;
    for (unsigned i = 0; i < nic_count(); i++) {
        nic_get_info(nic_get(i), &info);
        if (strcmp(name, info.name) == 0)
            return netif_get_index(nic_netif(nic_get(i)));
    }
    return 0;
}

char *if_indextoname(unsigned index, char *buf)
{
    struct netfront_info info;
    if (index == LOOPBACK_INDEX)
        return strcpy(buf, "lo");
    for (unsigned i = 0; i < nic_count(); i++) {
        if (netif_get_index(nic_netif(nic_get(i))) != index)
            continue;
        nic_get_info(nic_get(i), &info);
        return strcpy(buf, info.name);
    }
    errno = ENXIO;
    return NULL;
}
