/* SPDX-License-Identifier: BSD-2-Clause */
/* frontends/netfront with too few pages, or too few grants. */
#include "tests/host/netrig.h"

#include "kernel/grant.h"
#include "kernel/page.h"
#include "kernel/time.h"
#include "lib/base/errno.h"
#include "tests/host/hostarch.h"
#include "tests/host/test.h"

/* Take all memory but (n) pages; give it back with n = HOST_RAM_PAGES. */
static void leave_pages(size_t n)
{
    static void *hog[HOST_RAM_PAGES];
    static size_t taken;

    while (taken > 0 && page_count_free() < n)
        page_free(hog[--taken]);
    while (page_count_free() > n)
        CHECK((hog[taken++] = page_alloc()) != NULL);
}

TEST(netfront, posts_pages_again_once_there_is_memory)
{
    begin_vif();
    leave_pages(10);
    hold_pages = true;
    for (unsigned i = 0; i < 60; i++)
        CHECK(fake_net_deliver(&net, pattern, 1514, 4096, 0, 0));
    run_vif();
    CHECK_EQ(nr_frames, 60);
    CHECK_EQ(net.rx.page->req_prod - net.rx.req_cons, 128 - 60 + 10);
    while (nr_held > 0)
        page_free(held[--nr_held]);
    leave_pages(HOST_RAM_PAGES);
    host_advance(2 * NSEC_PER_SEC);
    run_vif();
    CHECK_EQ(net.rx.page->req_prod - net.rx.req_cons, 128);
    end_vif();
}

TEST(netfront, bouncing_drops_frames_without_memory)
{
    fake_net_create(&net, "0");
    fake_dev_set_front(&net.dev, "trusted", "0");
    CHECK_EQ(open_vif(), 0);
    leave_pages(2);
    CHECK(fake_net_deliver(&net, pattern, 20000, 4096, 0, 0));
    run_vif();
    CHECK_EQ(nr_frames, 0);
    CHECK_EQ(vif_info().rx_dropped, 1);
    CHECK_EQ(page_count_free(), 2);
    leave_pages(HOST_RAM_PAGES);
    CHECK(fake_net_deliver(&net, pattern, 20000, 4096, 0, 0));
    run_vif();
    CHECK_EQ(nr_frames, 1);
    end_vif();
}

TEST(netfront, open_fails_cleanly_without_memory)
{
    fake_net_create(&net, "0");
    for (size_t n = 0; n < 80; n++) {
        int rc;

        leave_pages(n);
        rc = open_vif();
        CHECK_EQ(rc, n < 66 ? -ENOMEM : 0);
        if (rc == 0)
            netfront_destroy(nf);
        nf = NULL;
        fakexen_settle();
        CHECK_EQ(page_count_free(), n);
    }
    leave_pages(HOST_RAM_PAGES);
    end_vif();
}

/* ---- few grants ---- */

FAKEXEN_BOOT(netfront_tight, .max_grant_frames = 1) /* 504 grants */

TEST(netfront_tight, open_fails_cleanly_without_grants)
{
    static struct fake_net more[3];
    struct netfront *vif[3] = {NULL, NULL, NULL};
    int rc = 0;

    for (unsigned i = 0; i < 3; i++) {
        fake_net_create(&more[i], i == 0 ? "0" : i == 1 ? "1" : "2");
        rc = create_and_open(i == 0 ? "0" : i == 1 ? "1" : "2", &vif_user, &vif[i]);
        CHECK_EQ(rc, 0); /* the third one has few pages posted */
    }
    CHECK(grant_count_used() >= 490);
    CHECK_EQ(create_and_open("0", &vif_user, &nf), -ENOSPC);
    for (unsigned i = 0; i < 3; i++)
        netfront_destroy(vif[i]);
    for (unsigned i = 0; i < 3; i++)
        fake_net_destroy(&more[i]);
    fakexen_store_rm(FAKE_HOME "/error");
}
