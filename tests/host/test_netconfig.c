/* SPDX-License-Identifier: BSD-2-Clause */
/* What users write as addresses of an interface and of name servers. */
#include "lib/net/config.h"
#include <errno.h>
#include <string.h>
#include "lib/net/internal.h"
#include "lib/net/nic.h"
#include "tests/host/test.h"
#include <lwip/dns.h>

static const char *show(const ip4_addr_t *ip)
{
    static char text[4][IP4ADDR_STRLEN_MAX];
    static unsigned next;
    char *buf = text[next++ % 4];
    return ip4addr_ntoa_r(ip, buf, IP4ADDR_STRLEN_MAX);
}

static struct net_config parsed(const char *text)
{
    struct net_config c;
    CHECK_EQ(config_parse(text, &c), 0);
    return c;
}

TEST(netconfig, nothing_and_dhcp_mean_dhcp)
{
    CHECK(parsed("").dhcp);
    CHECK(parsed("dhcp").dhcp);
    CHECK(!parsed("none").dhcp);
    CHECK(!parsed("none").has_ip4);
}

TEST(netconfig, bare_address_gets_a_24_bit_network_and_its_first_gateway)
{
    struct net_config c = parsed("10.0.2.50");
    CHECK(c.has_ip4 && !c.dhcp);
    CHECK_STR(show(&c.addr), "10.0.2.50");
    CHECK_STR(show(&c.mask), "255.255.255.0");
    CHECK_STR(show(&c.gateway), "10.0.2.1");
}

TEST(netconfig, first_address_of_the_network_is_not_its_own_gateway)
{
    struct net_config c = parsed("10.0.2.1/24");
    CHECK(ip4_addr_isany_val(c.gateway));
}

TEST(netconfig, host_route_has_no_gateway)
{
    struct net_config c = parsed("10.0.2.9/32");
    CHECK(ip4_addr_isany_val(c.gateway));
}

TEST(netconfig, prefix_gateway_and_servers)
{
    struct net_config c = parsed("192.168.7.9/20,192.168.0.254,1.1.1.1,2001:db8::53");
    CHECK_STR(show(&c.mask), "255.255.240.0");
    CHECK_STR(show(&c.gateway), "192.168.0.254");
    CHECK_EQ(c.nr_dns, 2);
    CHECK_STR(ipaddr_ntoa(&c.dns[0]), "1.1.1.1");
    CHECK(IP_IS_V6_VAL(c.dns[1]));
}

TEST(netconfig, several_addresses_of_both_families)
{
    struct net_config c = parsed("10.1.2.3/16 2001:db8::2/64 fd00::1");
    CHECK_STR(show(&c.addr), "10.1.2.3");
    CHECK_EQ(c.nr_ip6, 2);
    CHECK_EQ(lwip_ntohl(c.ip6[0].addr[0]), 0x20010db8);
    CHECK_EQ(lwip_ntohl(c.ip6[1].addr[3]), 1);
}

TEST(netconfig, only_ip6)
{
    struct net_config c = parsed("2001:db8::2/64");
    CHECK(!c.has_ip4 && !c.dhcp);
    CHECK_EQ(c.nr_ip6, 1);
}

TEST(netconfig, linux_form)
{
    struct net_config c = parsed("10.0.0.5::10.0.0.254:255.255.0.0:guest:eth0:off:9.9.9.9");
    CHECK_STR(show(&c.addr), "10.0.0.5");
    CHECK_STR(show(&c.gateway), "10.0.0.254");
    CHECK_STR(show(&c.mask), "255.255.0.0");
    CHECK_EQ(c.nr_dns, 1);
    CHECK(parsed("::::guest::dhcp").dhcp);
}

TEST(netconfig, refuses_the_whole_text_when_a_part_is_wrong)
{
    static const char *const wrong[] = {
        "10.0.2",         "10.0.2.256",
        "10.0.2.5/33",    "10.0.2.5/",
        "10.0.2.5/2x",    "10.0.2.5,here",
        "10.0.2.5/24 ,",  "fe80::zz",
        "2001:db8::/129", "-",
        "10.0.2.5 foo",   "10.0.2.5/24,10",
        "1.2.3.4:::x::",  "/24",
    };
    for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
        struct net_config c;
        if (config_parse(wrong[i], &c) != -EINVAL)
            test_fail(__FILE__, __LINE__, "\"%s\" was taken", wrong[i]);
        CHECK(c.dhcp && !c.has_ip4);
    }
}

TEST(netconfig, says_what_becomes_of_an_ip6_address)
{
    static struct netif n;
    char text[64];

    netif_ip6_text(&n, 0, text, sizeof(text));
    CHECK_STR(text, "none");
    ip6addr_aton("fe80::1", ip_2_ip6(&n.ip6_addr[0]));
    n.ip6_addr_state[0] = IP6_ADDR_TENTATIVE;
    netif_ip6_text(&n, 0, text, sizeof(text));
    CHECK_STR(text, "tentative");
    n.ip6_addr_state[0] = IP6_ADDR_PREFERRED;
    netif_ip6_text(&n, 0, text, sizeof(text));
    CHECK_STR(text, "fe80::1");
}

TEST(netconfig, refuses_text_longer_than_it_can_hold)
{
    char text[1000];
    struct net_config c;
    memset(text, '1', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    CHECK_EQ(config_parse(text, &c), -EINVAL);
}

static const ip_addr_t *server(const char *text)
{
    static ip_addr_t ip;
    CHECK(ipaddr_aton(text, &ip));
    return &ip;
}

TEST(netconfig, servers_that_the_user_named_outrank_those_of_the_network)
{
    servers_add(server("192.0.2.53"));
    dns_setserver(0, server("198.51.100.1")); /* as DHCP and routers do */
    dns_setserver(1, server("198.51.100.2"));
    servers_restore();
    CHECK_STR(ipaddr_ntoa(dns_getserver(0)), "192.0.2.53");
    CHECK_STR(ipaddr_ntoa(dns_getserver(1)), "198.51.100.2");
}

TEST(netconfig, servers_beyond_what_can_be_asked_are_left_out)
{
    static const char *const named[] = {"192.0.2.1", "192.0.2.2", "2001:db8::3", "192.0.2.4"};
    for (unsigned i = 0; i < ARRAY_SIZE(named); i++)
        servers_add(server(named[i]));
    CHECK_STR(ipaddr_ntoa(dns_getserver(0)), "192.0.2.1");
    CHECK(IP_IS_V6(dns_getserver(DNS_MAX_SERVERS - 1)));
}
