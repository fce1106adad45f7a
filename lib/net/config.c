/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The text is cut into words with one separator at a time; every word must be a whole address
 * or number. Whatever does not parse makes the whole text invalid: half a configuration would be
 * harder to find than none.
 */
#include "lib/net/config.h"
#include <stdint.h>
#include <string.h>
#include "lib/base/errno.h"
#include "lib/base/parse.h"
#include "lib/base/string.h"

#define TEXT_MAX 256
#define PREFIX4_DEFAULT 24

/* Cut the next word off *rest, up to one of (separators) or the end; NULL when none is left. */
static char *next_word(char **rest, const char *separators)
{
    char *word = *rest;
    if (word == NULL)
        return NULL;
    size_t len = strcspn(word, separators);
    *rest = word[len] == '\0' ? NULL : word + len + 1;
    word[len] = '\0';
    return word;
}

static ip4_addr_t mask_of(unsigned prefix)
{
    ip4_addr_t mask;
    ip4_addr_set_u32(&mask, lwip_htonl(prefix == 0 ? 0 : ~0U << (32 - prefix)));
    return mask;
}

/* "a.b.c.d" with all four parts; lwIP alone would also take "10". */
static bool parse_ip4(const char *text, ip4_addr_t *out)
{
    unsigned dots = 0;
    for (const char *p = text; *p != '\0'; p++)
        dots += *p == '.';
    return dots == 3 && ip4addr_aton(text, out);
}

static bool parse_ip(const char *text, ip_addr_t *out)
{
    if (strchr(text, ':') != NULL) /* lwIP stops at what is no digit and is content */
        return text[strspn(text, "0123456789abcdefABCDEF:.")] == '\0' && ipaddr_aton(text, out) &&
               IP_IS_V6(out);
    IP_SET_TYPE(out, IPADDR_TYPE_V4);
    return parse_ip4(text, ip_2_ip4(out));
}

static int add_dns(struct net_config *c, const char *text)
{
    if (c->nr_dns == CONFIG_DNS_MAX)
        return 0;
    return parse_ip(text, &c->dns[c->nr_dns++]) ? 0 : -EINVAL;
}

static int set_gateway(struct net_config *c, const char *text)
{
    ip_addr_t ip;
    if (!parse_ip(text, &ip))
        return -EINVAL;
    if (IP_IS_V4(&ip))
        c->gateway = *ip_2_ip4(&ip);
    else
        c->gateway6 = ip;
    return 0;
}

static void default_gateway(struct net_config *c)
{
    uint32_t net = lwip_ntohl(ip4_addr_get_u32(&c->addr) & ip4_addr_get_u32(&c->mask));
    uint32_t first = lwip_htonl(net + 1);
    bool host_route = ip4_addr_get_u32(&c->mask) == 0xffffffff;
    if (!host_route && first != ip4_addr_get_u32(&c->addr))
        ip4_addr_set_u32(&c->gateway, first);
}

/* ADDR[/PREFIX] */
static int add_address(struct net_config *c, char *word)
{
    char *prefix = word, *addr = next_word(&prefix, "/");
    ip_addr_t ip;
    uint32_t bits = PREFIX4_DEFAULT;
    if (!parse_ip(addr, &ip))
        return -EINVAL;
    if (prefix != NULL && parse_u32(prefix, 0, IP_IS_V4(&ip) ? 32 : 128, &bits) != 0)
        return -EINVAL;
    if (IP_IS_V6(&ip)) {
        if (c->nr_ip6 < CONFIG_IP6_MAX)
            c->ip6[c->nr_ip6++] = *ip_2_ip6(&ip);
        return 0;
    }
    if (c->has_ip4)
        return 0; /* one IPv4 address an interface: the first */
    c->has_ip4 = true;
    c->addr = *ip_2_ip4(&ip);
    c->mask = mask_of(bits);
    return 0;
}

/* ADDR[/PREFIX] ... */
static int parse_list(struct net_config *c, char *rest)
{
    int rc = 0;
    while (rc == 0 && rest != NULL) {
        char *word = next_word(&rest, " ");
        if (*word != '\0')
            rc = add_address(c, word);
    }
    return rc;
}

/* ADDR[/PREFIX],GATEWAY[,DNS...] */
static int parse_comma(struct net_config *c, char *rest)
{
    int rc = add_address(c, next_word(&rest, ","));
    char *word = next_word(&rest, ",");
    if (rc == 0 && *word != '\0')
        rc = set_gateway(c, word);
    while (rc == 0 && (word = next_word(&rest, ",")) != NULL)
        rc = add_dns(c, word);
    return rc;
}

/* The fields by position; empty or missing ones are skipped. */
enum {
    LINUX_CLIENT,
    LINUX_SERVER,
    LINUX_GATEWAY,
    LINUX_MASK,
    LINUX_HOST,
    LINUX_DEVICE,
    LINUX_AUTOCONF,
    LINUX_DNS,
    LINUX_DNS2,
    LINUX_FIELDS
};

static bool wants_dhcp(const char *word)
{
    return strcmp(word, "dhcp") == 0 || strcmp(word, "on") == 0 || strcmp(word, "any") == 0;
}

static int parse_linux(struct net_config *c, char *rest)
{
    char empty[] = "", *field[LINUX_FIELDS];
    for (unsigned i = 0; i < LINUX_FIELDS; i++) {
        field[i] = next_word(&rest, ":");
        field[i] = field[i] == NULL ? empty : field[i];
    }
    int rc = 0;
    if (*field[LINUX_CLIENT] != '\0')
        rc = add_address(c, field[LINUX_CLIENT]);
    else
        c->dhcp = wants_dhcp(field[LINUX_AUTOCONF]);
    if (rc == 0 && *field[LINUX_GATEWAY] != '\0')
        rc = set_gateway(c, field[LINUX_GATEWAY]);
    if (rc == 0 && *field[LINUX_MASK] != '\0')
        rc = parse_ip4(field[LINUX_MASK], &c->mask) ? 0 : -EINVAL;
    for (unsigned i = LINUX_DNS; rc == 0 && i <= LINUX_DNS2; i++)
        if (*field[i] != '\0')
            rc = add_dns(c, field[i]);
    return rc;
}

/* Linux's form has colons but, unlike IPv6 addresses, only before any "/" and with dots or
 * nothing between the first two. */
static bool looks_like_linux(const char *text)
{
    size_t first = strcspn(text, ":");
    return text[first] == ':' && strspn(text, "0123456789.") == first &&
           strchr(text, ' ') == NULL &&
           (first == 0 ? text[1] == ':' && strstr(text, "::::") != NULL
                       : memchr(text, '.', first) != NULL);
}

static int parse_any(struct net_config *c, char *text)
{
    if (*text == '\0' || wants_dhcp(text)) {
        c->dhcp = true;
        return 0;
    }
    if (strcmp(text, "none") == 0 || strcmp(text, "off") == 0)
        return 0;
    if (looks_like_linux(text))
        return parse_linux(c, text);
    return strchr(text, ',') != NULL ? parse_comma(c, text) : parse_list(c, text);
}

int config_parse(const char *text, struct net_config *out)
{
    char copy[TEXT_MAX];
    *out = (struct net_config){.dhcp = false};
    int rc = string_copy(copy, sizeof(copy), text) == 0 ? parse_any(out, copy) : -EINVAL;
    if (rc != 0) {
        *out = (struct net_config){.dhcp = true};
        return rc;
    }
    if (out->has_ip4 && ip4_addr_isany_val(out->gateway))
        default_gateway(out);
    return 0;
}
