/* SPDX-License-Identifier: BSD-2-Clause */
/* The vif, its user and the traffic of netrig.h. */
#include "tests/host/netrig.h"

#include <string.h>
#include "kernel/page.h"
#include "kernel/time.h"
#include "tests/host/hostarch.h"
#include "tests/host/test.h"

FAKEXEN_BOOT(netfront)

struct fake_net net;
struct netfront *nf;

/* ---- the user ---- */

bool woken, hold_pages, keep_pages_clean;
unsigned nr_frames, nr_pages_up;
struct netfront_frame last;
uint8_t last_data[65536];
void *held[256];
unsigned nr_held;

static void input(void *arg, struct netfront_frame *frame)
{
    uint32_t len = 0;

    CHECK(arg == &net);
    CHECK(frame->nr_frags >= 1 && frame->nr_frags <= NETFRONT_FRAGS_MAX);
    for (unsigned i = 0; i < frame->nr_frags; i++) {
        struct netfront_frag *frag = &frame->frag[i];

        memcpy(last_data + len, frag->data, frag->len);
        len += frag->len;
        if (frag->page != NULL) {
            nr_pages_up++;
            if (!keep_pages_clean)
                memset(frag->page, 0xee, PAGE_SIZE); /* it is ours alone */
            if (hold_pages)
                held[nr_held++] = frag->page;
            else
                page_free(frag->page);
        }
    }
    CHECK_EQ(len, frame->len);
    last = *frame;
    nr_frames++;
}

static void wake(void *arg)
{
    CHECK(arg == &net);
    woken = true;
}

const struct netfront_user vif_user = {.arg = &net, .input = input, .wake = wake};

int create_and_open(const char *handle, const struct netfront_user *u, struct netfront **out)
{
    int rc = netfront_create(handle, u, out);

    if (rc != 0)
        return rc;
    rc = netfront_open(*out);
    if (rc != 0)
        netfront_destroy(*out);
    if (rc != 0)
        *out = NULL;
    return rc;
}

void run_vif(void)
{
    fakexen_settle();
    while (woken) {
        woken = false;
        while (nf != NULL && netfront_poll(nf, 16))
            ;
        if (nf != NULL && !netfront_link(nf))
            netfront_close(nf);
        fakexen_settle();
    }
}

int open_vif(void)
{
    int rc;

    nf = NULL;
    rc = create_and_open("0", &vif_user, &nf);
    if (rc == 0)
        run_vif();
    return rc;
}

void begin_vif(void)
{
    fake_net_create(&net, "0");
    CHECK_EQ(open_vif(), 0);
}

void end_vif(void)
{
    if (nf != NULL)
        netfront_destroy(nf);
    nf = NULL;
    fake_net_destroy(&net);
    fakexen_store_rm(FAKE_HOME "/error");
    fakexen_settle();
    host_advance(10 * NSEC_PER_SEC); /* the quarantine empties */
}

struct netfront_info vif_info(void)
{
    struct netfront_info i;

    netfront_get_info(nf, &i);
    return i;
}

/* ---- traffic ---- */

uint8_t pattern[65536];

void fill_pattern(unsigned seed)
{
    for (unsigned i = 0; i < sizeof(pattern); i++)
        pattern[i] = (uint8_t)(seed + i * 7 + (i >> 8));
}

int send_pattern(unsigned len, enum netfront_csum csum)
{
    struct netfront_frag frags[2] = {{.data = pattern, .len = (uint16_t)(len / 2)}};

    frags[1] = (struct netfront_frag){pattern + len / 2, (uint16_t)(len - len / 2), NULL};
    return netfront_send(nf, frags, 2, csum);
}

void exchange(unsigned rounds)
{
    net.nr_sent = nr_frames = 0;
    for (unsigned i = 0; i < rounds; i++) {
        unsigned out = 14 + (unsigned)test_random_below(i % 10 ? 1500 : 60000);
        unsigned in = 14 + (unsigned)test_random_below(i % 7 ? 1500 : 60000);

        fill_pattern(i);
        CHECK_EQ(send_pattern(out, NETFRONT_CSUM_BLANK), 0);
        netfront_kick(nf);
        CHECK(fake_net_deliver(&net, pattern, in, 4096, 0, 0));
        run_vif();
        CHECK_EQ(net.nr_sent, i + 1);
        CHECK_MEM(net.last.data, pattern, out);
        CHECK_EQ(nr_frames, i + 1);
        CHECK_MEM(last_data, pattern, in);
    }
}

void reopen_vif(void)
{
    CHECK(!vif_info().link);
    CHECK_EQ(netfront_reopen(nf, time_now() + 30 * NSEC_PER_SEC), 0);
    CHECK(vif_info().link);
    run_vif();
}

void backend_leaves(void)
{
    fake_dev_set_state(&net.dev, XenbusStateClosing);
    fakexen_settle();
}
