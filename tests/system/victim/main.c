/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * victim [DISK-ID]: what a hostile backend is let loose on. It sends small datagrams, serves
 * streams on port 5001, writes and reads all of the disk in rounds, and shows in a page of its own
 * (data/vitals is the grant) how it is: above all a beating heart. Much of its memory holds a
 * canary that nothing outside may ever see: free pages, free blocks of the heap, and, below what
 * they use now, the stacks of the threads that write to the disk and send. One page shows a canary
 * (its grant is data/canary), for whoever searches to see that it would be found. It ends with the
 * node data/stop; the last round then went well or the status is 1.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <arch/clock.h>
#include "frontends/blkfront/blkfront.h"
#include "kernel/evtchn.h"
#include "kernel/grant.h"
#include "kernel/page.h"
#include "kernel/xenstore.h"
#include "lib/base/atomic.h"
#include "tests/system/echo_stream.h"
#include "tests/system/vitals.h"

#define TENTH 100
#define CANARY_PAGES 256
#define BLOCKS_AT_ONCE 16
#define DEEP 16384 /* bytes of stack, more than a driver uses */

static struct vitals *vitals;
static bool stopping;

static void rest(unsigned ms)
{
    const struct timespec t = {ms / 1000, (long)(ms % 1000) * 1000000};

    nanosleep(&t, NULL);
}

static bool is_paused(void)
{
    return load_relaxed(&vitals->pause) != 0;
}

static void *beat(void *arg)
{
    (void)arg;
    for (;;) {
        rest(10);
        store_relaxed(&vitals->stolen, clock_steal(0));
        store_relaxed(&vitals->beats, vitals->beats + 1);
    }
    return NULL;
}

/* ---- canaries ---- */

static void fill_with_canary(void *to, size_t len)
{
    for (size_t i = 0; i < len / sizeof(uint64_t); i++)
        ((uint64_t *)to)[i] = VITALS_CANARY;
}

/* Pages that were used before, and become grants, rings and buffers of drivers now. */
static void soil_free_memory(void)
{
    static void *page[CANARY_PAGES];
    unsigned n = 0;

    while (n < CANARY_PAGES && page_count_free() > CANARY_PAGES && (page[n] = page_alloc()) != NULL)
        fill_with_canary(page[n++], PAGE_SIZE);
    while (n > 0)
        page_free(page[--n]);
    for (unsigned size = 64; size <= 32768; size *= 2) {
        void *block = malloc(size);

        if (block != NULL)
            fill_with_canary(block, size);
        free(block);
    }
}

/* Where the frames of drivers called by this thread will lie. */
static __attribute__((noinline)) void soil_stack(void)
{
    uint64_t deep[DEEP / sizeof(uint64_t)];

    fill_with_canary(deep, sizeof(deep));
    __asm__ volatile("" : : "r"(deep) : "memory"); /* it is wanted */
}

/* As a leak would leave it: at the end of a page, at an odd address. */
static void plant_canary(void *page)
{
    uint64_t canary[2];

    fill_with_canary(canary, sizeof(canary));
    memcpy((char *)page + PAGE_SIZE - VITALS_PLANTED, canary, sizeof(canary));
}

/* ---- network ---- */

/* Something goes out all the time, to all. */
static void *talk(void *arg)
{
    struct sockaddr_in all = {.sin_family = AF_INET, .sin_port = htons(9), .sin_addr = {~0U}};
    int fd = socket(AF_INET, SOCK_DGRAM, 0), yes = 1;
    static char text[700];

    (void)arg;
    setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &yes, sizeof(yes));
    for (;;) {
        rest(50);
        soil_stack();
        if (!is_paused())
            (void)!sendto(fd, text, sizeof(text), 0, (struct sockaddr *)&all, sizeof(all));
    }
    return NULL;
}

static void *serve(void *arg)
{
    echo_serve(5001);
    return arg;
}

/* ---- disk ---- */

static bool write_all(struct blkfront *bf, uint32_t blocks, uint32_t version, uint64_t *buf)
{
    for (uint32_t at = 0; at < blocks; at += BLOCKS_AT_ONCE) {
        uint32_t n = blocks - at < BLOCKS_AT_ONCE ? blocks - at : BLOCKS_AT_ONCE;

        for (uint32_t i = 0; i < n; i++)
            block_fill(buf + i * PATTERN_WORDS, at + i, version);
        if (blkfront_write(bf, (uint64_t)at * 8, buf, n * PATTERN_BLOCK) != 0)
            return false;
    }
    return blkfront_flush(bf) == 0;
}

static bool read_all(struct blkfront *bf, uint32_t blocks, uint32_t version, uint64_t *buf)
{
    for (uint32_t at = 0; at < blocks; at += BLOCKS_AT_ONCE) {
        uint32_t n = blocks - at < BLOCKS_AT_ONCE ? blocks - at : BLOCKS_AT_ONCE;

        if (blkfront_read(bf, (uint64_t)at * 8, buf, n * PATTERN_BLOCK) != 0)
            return false;
        for (uint32_t i = 0; i < n; i++)
            if (!block_right(buf + i * PATTERN_WORDS, at + i, version))
                return false;
    }
    return true;
}

/* Version 1 is left behind when told to stop: whoever looks at the disk later knows what it holds.
 */
static void *use_disk(void *arg)
{
    struct blkfront *bf;
    struct blkfront_info info;
    uint64_t *buf = malloc(BLOCKS_AT_ONCE * PATTERN_BLOCK), sum = 0;
    uint32_t blocks;
    bool good = false;

    if (buf == NULL || blkfront_open(arg, &bf) != 0)
        exit(1);
    blkfront_get_info(bf, &info);
    blocks = (uint32_t)(info.nr_sectors / 8);
    for (uint32_t round = 2; !load_acquire(&stopping); round++) {
        rest(20);
        store_relaxed(&vitals->paused, is_paused());
        if (is_paused())
            continue;
        soil_free_memory();
        soil_stack();
        good = write_all(bf, blocks, round, buf) && read_all(bf, blocks, round, buf);
        if (good)
            store_relaxed(&vitals->rounds_good, vitals->rounds_good + 1);
        else
            store_relaxed(&vitals->rounds_bad, vitals->rounds_bad + 1);
    }
    good = write_all(bf, blocks, 1, buf) && read_all(bf, blocks, 1, buf);
    for (uint32_t i = 0; i < blocks; i++)
        sum = versions_add(sum, 1);
    printf("victim: last round %s, %u blocks, versions %016llx\n", good ? "good" : "bad", blocks,
           (unsigned long long)sum);
    blkfront_close(bf);
    return good ? NULL : arg;
}

/* ---- the rest ---- */

static void take_stock(void)
{
    store_relaxed(&vitals->grants, grant_count_used());
    store_relaxed(&vitals->quarantined, grant_count_quarantined());
    store_relaxed(&vitals->ports, evtchn_count_bound());
    store_relaxed(&vitals->threads, thread_count());
    store_relaxed(&vitals->pages_free, page_count_free());
}

static bool is_told_to_stop(void)
{
    char value[8];

    return xs_read(XS_NO_TX, "data/stop", value, sizeof(value)) >= 0;
}

static void start(void *(*fn)(void *), void *arg)
{
    pthread_t t;

    if (pthread_create(&t, NULL, fn, arg) != 0)
        exit(70);
    pthread_detach(t);
}

static void *show_page(const char *node)
{
    struct shared_page page;

    if (shared_page_create(0, &page) != 0 || xs_printf(XS_NO_TX, node, "%u", page.ref) != 0)
        exit(70);
    return page.va;
}

int main(int argc, char **argv)
{
    pthread_t disk;
    void *bad = NULL;

    plant_canary(show_page("data/canary"));
    vitals = show_page("data/vitals");
    start(beat, NULL);
    start(talk, NULL);
    start(serve, NULL);
    if (argc > 1 && pthread_create(&disk, NULL, use_disk, argv[1]) != 0)
        return 70;
    store_release(&vitals->magic, VITALS_MAGIC);
    for (unsigned i = 0; i % 10 != 9 || !is_told_to_stop(); i++) {
        take_stock();
        rest(TENTH);
    }
    store_release(&stopping, true);
    if (argc > 1)
        pthread_join(disk, &bad);
    return bad != NULL;
}
