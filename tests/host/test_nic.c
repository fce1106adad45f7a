/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lib/net/nic.c and net.c over a backend in memory that sees every frame: which addresses an
 * interface has, who is told of them, and interfaces that are plugged in while the program runs.
 */
#include <stdio.h>
#include <string.h>
#include "kernel/thread.h"
#include "kernel/time.h"
#include "lib/net/internal.h"
#include "lib/net/net.h"
#include "lib/net/nic.h"
#include "tests/host/fakeback.h"
#include "tests/host/hostarch.h"
#include "tests/host/packet.h"
#include "tests/host/test.h"

FAKEXEN_BOOT(nic)

static struct fake_net net, second;
static uint8_t mac[6] = {0, 0x16, 0x3e, 0x12, 0x34, 0x56};

/* What was seen since it was forgotten. */
static struct {
    unsigned arps, advertisements; /* nobody asked for */
    unsigned discovers;            /* of DHCP */
    uint8_t arp_ip[4], advertised[8][16];
} seen;

static void on_arp(const uint8_t *f)
{
    if (memcmp(f + 28, f + 38, 4) != 0) /* sender and target: an announcement */
        return;
    CHECK_MEM(f + 6, mac, 6);
    CHECK_MEM(f + 22, mac, 6);
    memcpy(seen.arp_ip, f + 28, 4);
    seen.arps++;
}

/* To all nodes, override set, solicited not, with our hardware address, and a sum that is right. */
static void on_advertisement(const uint8_t *f)
{
    CHECK_MEM(f, "\x33\x33\0\0\0\1", 6);
    CHECK_MEM(f + 6, mac, 6);
    CHECK_EQ(f[21], 255);
    CHECK_EQ(sum_of(f + 54, 32, sum_of(f + 22, 32, 58 + 32)), 0xffff);
    CHECK_EQ(f[58], 0x20);
    CHECK_MEM(f + 22, f + 62, 16);
    CHECK_MEM(f + 80, mac, 6);
    memcpy(seen.advertised[seen.advertisements++ % 8], f + 62, 16);
}

static void on_frame(struct fake_net *n)
{
    const uint8_t *f = n->last.data;
    unsigned type = get(f + 12, 2);

    if (type == 0x0806)
        on_arp(f);
    else if (type == 0x86dd && f[20] == 58 && f[54] == 136)
        on_advertisement(f);
    else if (type == 0x0800 && f[23] == 17 && get(f + 36, 2) == 67)
        seen.discovers++;
}

static void forget(void)
{
    memset(&seen, 0, sizeof(seen));
}

static bool advertised(const char *ip)
{
    uint8_t want[16] = {0xfd, [15] = (uint8_t)ip[0]};

    for (unsigned i = 0; i < MIN(seen.advertisements, 8u); i++)
        if (memcmp(seen.advertised[i], want, 16) == 0)
            return true;
    return false;
}

static void settle(void)
{
    thread_sleep_until(time_now() + 5 * NSEC_PER_SEC);
}

static void make_vif(struct fake_net *n, const char *handle, const char *ip)
{
    fake_net_create(n, handle);
    fake_dev_set_back(&n->dev, "ip", ip);
    n->on_frame = on_frame;
}

static void begin(const char *ip)
{
    make_vif(&net, "0", ip);
    CHECK_EQ(net_start(), 0);
    settle();
    forget();
}

/* As xl network-detach and network-attach, with this key, or none. */
static void replug(const char *ip)
{
    fake_net_destroy(&net);
    settle();
    forget();
    make_vif(&net, "0", ip);
    if (ip[0] == '\0')
        fakexen_store_rm("/local/domain/0/backend/vif/7/0/ip");
    settle();
}

static const char *address(void)
{
    static char text[64];
    struct netif *n = nic_netif(nic_get(0));

    net_lock();
    ip4addr_ntoa_r(netif_ip4_addr(n), text, sizeof(text));
    net_unlock();
    return text;
}

/* Of those that were given, in order: the last byte of each. */
static const char *addresses6(void)
{
    static char text[8];
    struct netif *n = nic_netif(nic_get(0));
    unsigned k = 0;

    net_lock();
    for (s8_t i = 1; i < LWIP_IPV6_NUM_ADDRESSES; i++)
        if (ip6_addr_isvalid(netif_ip6_addr_state(n, i)))
            text[k++] = (char)(lwip_ntohl(netif_ip6_addr(n, i)->addr[3]) & 0xff);
    net_unlock();
    text[k] = '\0';
    return text;
}

/* ---- addresses that change ---- */

TEST(nic, follows_the_key_of_a_vif_that_is_plugged_in_again)
{
    begin("10.8.0.10/24 fd00::61/64 fd00::62/64");
    CHECK_STR(address(), "10.8.0.10");
    CHECK_STR(addresses6(), "ab");
    replug("10.9.0.20/24 fd00::63/64");
    CHECK_STR(address(), "10.9.0.20");
    CHECK_STR(addresses6(), "c"); /* none of the old ones is left */
    CHECK_MEM(seen.arp_ip, "\x0a\x09\x00\x14", 4);
    CHECK(advertised("c") && !advertised("a") && !advertised("b"));
    CHECK(host_logged("vif0: 10.9.0.20 (static)"));
    replug(""); /* says nothing: all stays */
    CHECK_STR(address(), "10.9.0.20");
    CHECK_STR(addresses6(), "c");
    CHECK_EQ(seen.discovers, 0);
    replug("dhcp");
    CHECK_STR(address(), "0.0.0.0");
    CHECK_STR(addresses6(), "");
    CHECK(seen.discovers > 0);
    replug("10.8.0.10/24");
    CHECK_STR(address(), "10.8.0.10");
    forget();
    thread_sleep_until(time_now() + 200 * NSEC_PER_SEC);
    CHECK_EQ(seen.discovers, 0); /* it was given up */
    test_pass();
}

FAKEXEN_BOOT(nic_given, .cmdline = "ip=10.8.0.10/24")

/* What the command line says outranks it, whatever comes. */
TEST(nic_given, the_key_does_not_count_beside_the_command_line)
{
    begin("10.7.0.1/24");
    CHECK_STR(address(), "10.8.0.10");
    replug("10.9.0.20/24");
    CHECK_STR(address(), "10.8.0.10");
    test_pass();
}

/* ---- neighbours ---- */

/* In each life, with the hardware address of that life. */
TEST(nic, tells_the_neighbours_that_it_is_back)
{
    char text[24];

    begin("10.8.0.10/24 fd00::61/64 fd00::62/64");
    for (unsigned i = 0; i < 5; i++) {
        forget();
        mac[5] = (uint8_t)(0x60 + i);
        snprintf(text, sizeof(text), "00:16:3e:12:34:%02x", mac[5]);
        fake_dev_set_front(&net.dev, "mac", text);
        fake_dev_set_state(&net.dev, XenbusStateClosed); /* it opens again when we do */
        settle();
        CHECK(seen.arps >= 1);
        CHECK_MEM(seen.arp_ip, "\x0a\x08\x00\x0a", 4);
        CHECK(advertised("a") && advertised("b"));
        CHECK_EQ(seen.advertisements, 3); /* and the link's own */
    }
    test_pass();
}

/* ---- plugged in while it runs ---- */

TEST(nic, takes_a_vif_that_is_plugged_in_later)
{
    begin("10.8.0.10/24");
    CHECK_EQ(nic_count(), 1);
    make_vif(&second, "1", "10.9.0.20/24 fd00::63/64");
    settle();
    CHECK_EQ(nic_count(), 2);
    CHECK(host_logged("vif1: 10.9.0.20 (static)"));
    CHECK_MEM(seen.arp_ip, "\x0a\x09\x00\x14", 4);
    net_lock();
    CHECK(netif_default == nic_netif(nic_get(0))); /* the first one's place is not taken */
    net_unlock();
    fake_net_destroy(&second);
    settle();
    make_vif(&second, "1", "10.9.0.20/24");
    forget();
    settle();
    CHECK_EQ(nic_count(), 2); /* it is the same one */
    CHECK_MEM(seen.arp_ip, "\x0a\x09\x00\x14", 4);
    test_pass();
}

/* The domain began without any. */
TEST(nic, takes_the_first_vif_when_it_comes)
{
    CHECK_EQ(net_start(), 0);
    CHECK_EQ(nic_count(), 0);
    make_vif(&net, "0", "10.8.0.10/24");
    settle();
    CHECK_EQ(nic_count(), 1);
    CHECK_STR(address(), "10.8.0.10");
    net_lock();
    CHECK(netif_default == nic_netif(nic_get(0)));
    net_unlock();
    test_pass();
}
