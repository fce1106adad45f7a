/* SPDX-License-Identifier: BSD-2-Clause */
/* Datagrams in pieces, as short and as long as they may be, and longer. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include "kernel/thread.h"
#include "kernel/time.h"
#include "lib/net/net.h"
#include "tests/host/fakeback.h"
#include "tests/host/hostarch.h"
#include "tests/host/packet.h"
#include "tests/host/test.h"

FAKEXEN_BOOT(fragments)

#define PORT 7
#define UDP 17
#define PIECE 1440u
#define LONGEST4 65515u /* UDP's header included */
#define LONGEST6 65423u

static struct fake_net net;
static int fd[2]; /* by (six) */
static uint16_t id;
static uint8_t datagram[1 << 17], got[1 << 17];

static void settle(void)
{
    thread_sleep_until(time_now() + 5 * NSEC_PER_SEC);
}

static void begin(void)
{
    struct sockaddr_in any4 = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    struct sockaddr_in6 any6 = {.sin6_family = AF_INET6, .sin6_port = htons(PORT)};
    int on = 1;

    fake_net_create(&net, "0");
    fake_dev_set_back(&net.dev, "ip", "10.8.0.10 fd00::10");
    CHECK_EQ(net_start(), 0);
    settle();
    fd[0] = socket(AF_INET, SOCK_DGRAM, 0);
    fd[1] = socket(AF_INET6, SOCK_DGRAM, 0);
    CHECK(fd[0] >= 0 && fd[1] >= 0);
    CHECK_EQ(setsockopt(fd[1], IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)), 0);
    CHECK_EQ(bind(fd[0], (struct sockaddr *)&any4, sizeof(any4)), 0);
    CHECK_EQ(bind(fd[1], (struct sockaddr *)&any6, sizeof(any6)), 0);
}

static const uint8_t from4[] = {10, 8, 0, 1}, to4[] = {10, 8, 0, 10}, from6[] = {0xfd, [15] = 1},
                     to6[] = {0xfd, [15] = 0x10};

/* (len) bytes of UDP. Its own length is of 16 bits. */
static void make(bool six, unsigned len)
{
    static uint8_t pseudo[40];
    uint32_t sum;

    memset(datagram, 0, sizeof(datagram));
    put(datagram, 2, 1000);
    put(datagram + 2, 2, PORT);
    put(datagram + 4, 2, len);
    for (unsigned i = 8; i < len; i++)
        datagram[i] = (uint8_t)(i ^ i >> 8);
    memcpy(pseudo, from6, 16);
    memcpy(pseudo + 16, to6, 16);
    put(pseudo + 32, 4, len);
    put(pseudo + 36, 4, UDP);
    sum = ~sum_of(datagram, len + len % 2, sum_of(pseudo, 40, 0)) & 0xffff;
    put(datagram + 6, 2, !six ? 0 : sum == 0 ? 0xffff : sum);
}

/* Bytes (from) to (to) of the datagram; (options) bytes of IPv6's options before them. */
static void deliver(bool six, unsigned from, unsigned to, bool more, unsigned options)
{
    static uint8_t f[4096];
    unsigned at = six ? 62 + options : 34;

    memset(f, 0, at);
    memcpy(f, "\0\x16\x3e\x12\x34\x56\x02\0\0\0\0\x01", 12);
    put(f + 12, 2, six ? 0x86dd : 0x0800);
    if (six) {
        f[14] = 0x60;
        put(f + 18, 2, options + 8 + to - from);
        f[20] = options > 0 ? 60 : 44;
        f[21] = 64;
        memcpy(f + 22, from6, 16);
        memcpy(f + 38, to6, 16);
        if (options > 0) {
            f[54] = 44;
            f[55] = (uint8_t)(options / 8 - 1);
            f[56] = 1; /* padding */
            f[57] = (uint8_t)(options - 4);
        }
        f[at - 8] = UDP;
        put(f + at - 6, 2, from | more);
        put(f + at - 4, 4, id);
    } else {
        f[14] = 0x45;
        put(f + 16, 2, 20 + to - from);
        put(f + 18, 2, id);
        put(f + 20, 2, from / 8 | more << 13);
        f[22] = 64;
        f[23] = UDP;
        memcpy(f + 26, from4, 4);
        memcpy(f + 30, to4, 4);
        put(f + 24, 2, ~sum_of(f + 14, 20, 0));
    }
    memcpy(f + at, datagram + from, to - from);
    CHECK(fake_net_deliver(&net, f, at + to - from, 4096, 0, 0));
    fakexen_settle();
}

static void send_datagram(bool six, unsigned len, unsigned options)
{
    id++;
    make(six, len);
    for (unsigned from = 0; from < len; from += PIECE)
        deliver(six, from, MIN(len, from + PIECE), from + PIECE < len, options);
    settle();
}

static long received(bool six)
{
    return recv(fd[six], got, sizeof(got), MSG_DONTWAIT);
}

static void expect(bool six, unsigned len)
{
    CHECK_EQ(received(six), len - 8);
    CHECK_MEM(got, datagram + 8, len - 8);
    CHECK_EQ(received(six), -1);
}

TEST_RAM(fragments, are_put_together_up_to_the_longest_datagram, 16384)
{
    static const unsigned lens[] = {9, 1440, 1441, 5000, 65000};

    begin();
    for (unsigned six = 0; six < 2; six++) {
        unsigned longest = six ? LONGEST6 : LONGEST4;

        for (unsigned i = 0; i < ARRAY_SIZE(lens); i++) {
            send_datagram(six, lens[i], 0);
            expect(six, lens[i]);
        }
        send_datagram(six, longest, 0);
        expect(six, longest);
    }
    send_datagram(true, LONGEST6, 64);
    expect(true, LONGEST6);
    test_pass();
}

/* lwIP would count them in 16 bits, and find its books wrong. */
TEST_RAM(fragments, of_more_than_the_longest_datagram_are_dropped, 16384)
{
    begin();
    for (unsigned six = 0; six < 2; six++) {
        for (unsigned len = six ? LONGEST6 + 1 : LONGEST4 + 1; len <= 65535; len++) {
            if (len > (six ? LONGEST6 : LONGEST4) + 2 && len < 65470)
                continue;
            send_datagram(six, len, 0);
            CHECK_EQ(received(six), -1);
        }
        send_datagram(six, 3000, 0);
        expect(six, 3000);
    }
    for (unsigned options = 72; options <= 256; options += 8) {
        send_datagram(true, LONGEST6, options);
        CHECK_EQ(received(true), -1);
    }
    send_datagram(true, 3000, 64);
    expect(true, 3000);
    test_pass();
}

/* The last one is not the last one: what is behind it makes the whole too long. */
TEST_RAM(fragments, behind_the_last_one_do_no_harm, 16384)
{
    begin();
    for (unsigned six = 0; six < 2; six++) {
        id++;
        make(six, 65535);
        deliver(six, 64800, 65528, true, 0);
        deliver(six, 63360, 64800, false, 0);
        for (unsigned from = 0; from < 63360; from += PIECE)
            deliver(six, from, from + PIECE, true, 0);
        settle();
        (void)received(six);
        send_datagram(six, 3000, 0);
        expect(six, 3000);
    }
    test_pass();
}
