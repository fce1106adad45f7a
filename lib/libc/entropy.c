/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random bytes: getentropy and getrandom; newlib's arc4random takes its seed here.
 *
 * Where they come from, honestly: RDSEED or RDRAND when the CPU has one (nearly every machine of
 * the last ten years). Without it, only from the jitter of the clock while memory is touched, from
 * the wall clock and the domain's UUID, which tell domains apart but are no secret; that is said in
 * the log once and is too little for long-lived keys.
 *
 * The pool is one 256-bit key. Input is absorbed 32 bytes at a time: key = ChaCha20(key ^ input),
 * its first half. Output is ChaCha20's stream under the key, whose first block then replaces the
 * key
 * ("fast key erasure"), so what was given out cannot be computed from a later state. Every request
 * absorbs fresh input first: two domains restored from one saved image part at once.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>
#include <arch/random.h>
#include "kernel/log.h"
#include "kernel/mutex.h"
#include "kernel/time.h"
#include "kernel/xenstore.h"
#include "lib/libc/chacha.h"

#define KEY_WORDS 8
#define JITTER_SAMPLES 1024 /* of the clock's lowest bits; taken as 1/4 bit each at the best */

static struct mutex lock = MUTEX_INIT(lock);
static uint32_t key[KEY_WORDS];
static bool seeded;

static const uint32_t absorb_nonce[3] = {1, 0, 0}, output_nonce[3] = {2, 0, 0};

static void absorb(const void *data, size_t len)
{
    for (const char *p = data; len > 0;) {
        uint32_t input[KEY_WORDS] = {0}, out[16];
        size_t n = MIN(len, sizeof(input));

        memcpy(input, p, n);
        for (unsigned i = 0; i < KEY_WORDS; i++)
            key[i] ^= input[i];
        chacha20_block(key, (uint32_t)len, absorb_nonce, out);
        memcpy(key, out, sizeof(key));
        p += n;
        len -= n;
    }
}

/* How long a walk through memory takes varies with caches, neighbours and the host's interrupts. */
static void absorb_jitter(void)
{
    static volatile uint8_t memory[4096];
    uint8_t low[JITTER_SAMPLES];

    for (unsigned i = 0; i < JITTER_SAMPLES; i++) {
        nsec_t start = time_now();

        for (unsigned j = 0; j < 16; j++)
            memory[(start * 64 + j * 259) % sizeof(memory)]++;
        low[i] = (uint8_t)(time_now() - start);
    }
    absorb(low, sizeof(low));
}

static bool absorb_cpu(void)
{
    uint64_t words[4];

    for (unsigned i = 0; i < 4; i++) {
        if (!arch_random(&words[i]))
            return false;
    }
    absorb(words, sizeof(words));
    return true;
}

static void absorb_clocks(void)
{
    nsec_t now[2] = {time_now(), time_wall()};

    absorb(now, sizeof(now));
}

static void absorb_identity(void)
{
    char uuid[64];
    long len = xs_read(XS_NO_TX, "vm", uuid, sizeof(uuid));

    if (len > 0)
        absorb(uuid, (size_t)len);
}

/* Before the first output, then a little at every request. */
static void refresh(void)
{
    bool cpu = absorb_cpu();

    absorb_clocks();
    if (seeded)
        return;
    absorb_identity();
    absorb_jitter();
    if (!cpu)
        log_warn("random: this CPU has no RDRAND; random numbers come from clock jitter only "
                 "and do not suit long-lived keys");
    seeded = true;
}

static void output(char *buf, size_t len)
{
    uint32_t next[16], block[16];

    chacha20_block(key, 0, output_nonce, next);
    for (uint32_t counter = 1; len > 0; counter++) {
        size_t n = MIN(len, sizeof(block));

        chacha20_block(key, counter, output_nonce, block);
        memcpy(buf, block, n);
        buf += n;
        len -= n;
    }
    memcpy(key, next, sizeof(key));
    explicit_bzero(next, sizeof(next));
    explicit_bzero(block, sizeof(block));
}

ssize_t getrandom(void *buf, size_t len, unsigned flags)
{
    if (flags & ~(GRND_NONBLOCK | GRND_RANDOM)) {
        errno = EINVAL;
        return -1;
    }
    len = MIN(len, GETRANDOM_MAX);
    mutex_lock(&lock);
    refresh();
    output(buf, len);
    mutex_unlock(&lock);
    return (ssize_t)len;
}

int getentropy(void *buf, size_t len)
{
    if (len > GETENTROPY_MAX) {
        errno = EIO;
        return -1;
    }
    return getrandom(buf, len, 0) < 0 ? -1 : 0;
}
