/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * First sequence numbers as RFC 6528 wants them: a clock that moves 4 microseconds a step, plus a
 * keyed hash of the connection's ends, so that one connection's number says nothing about
 * another's while the same ends never go back. The hash is SipHash-2-4.
 */
#include <string.h>
#include "kernel/time.h"
#include "lib/net/internal.h"
#include <lwip/opt.h>
#include "lib/net/port/hooks.h"

static uint64_t key[2];

void net_random_init(void)
{
    for (unsigned i = 0; i < 2; i++)
        key[i] = (uint64_t)LWIP_RAND() << 32 | LWIP_RAND();
}

static uint64_t rotate(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] = rotate(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] = rotate(v[2], 32);
}

/* SipHash-2-4 of (n) whole words. */
static uint64_t sip_hash(const uint64_t *word, unsigned n)
{
    uint64_t v[4] = {key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d,
                     key[0] ^ 0x6c7967656e657261, key[1] ^ 0x7465646279746573};
    for (unsigned i = 0; i <= n; i++) {
        uint64_t m = i < n ? word[i] : (uint64_t)(n * 8) << 56;
        v[3] ^= m;
        sip_round(v);
        sip_round(v);
        v[0] ^= m;
    }
    v[2] ^= 0xff;
    for (unsigned i = 0; i < 4; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static void put_address(uint64_t out[2], const ip_addr_t *ip)
{
    if (IP_IS_V4(ip))
        out[0] = ip4_addr_get_u32(ip_2_ip4(ip));
    else
        memcpy(out, ip_2_ip6(ip)->addr, 16);
}

u32_t net_first_sequence(const ip_addr_t *local, u16_t local_port, const ip_addr_t *remote,
                         u16_t remote_port)
{
    uint64_t word[5] = {0};
    put_address(word, local);
    put_address(word + 2, remote);
    word[4] = (uint64_t)local_port << 16 | remote_port;
    return (u32_t)(sip_hash(word, 5) + time_now() / 4000);
}
