/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * frontends/netfront: received pages that are given back, and posted again as they are. What must
 * not be seen in a posted page, the backend itself looks for whenever it takes one (fakeback.c).
 */
#include "tests/host/netrig.h"

#include "kernel/page.h"
#include "kernel/time.h"
#include "tests/host/hostarch.h"
#include "tests/host/test.h"

#define POSTED 128 /* pages, in this much memory; as many may come back */

static unsigned lives[ARRAY_SIZE(held)];

/* Take (n) frames of a page each; the pages are in (held), with what the backend wrote. */
static void receive(unsigned n)
{
    unsigned before = nr_held;

    hold_pages = keep_pages_clean = true;
    for (unsigned i = 0; i < n; i++)
        CHECK(fake_net_deliver(&net, pattern, PAGE_SIZE, PAGE_SIZE, 0, 0));
    run_vif();
    CHECK_EQ(nr_held, before + n);
    for (unsigned i = before; i < nr_held; i++)
        lives[i] = last.life;
}

static void give_back_all(void)
{
    while (nr_held > 0) {
        nr_held--;
        netfront_give_back(nf, held[nr_held], lives[nr_held]);
    }
}

/* What lies in the next posted page, which is answered with (len) bytes. */
static void check_next_holds_pattern(unsigned flags, int len)
{
    static uint8_t page[PAGE_SIZE];
    gref_t ref = fake_net_answer(&net, 0, 0, flags, len);

    CHECK_EQ(fake_grant_read(ref, 0, page, PAGE_SIZE), 0);
    CHECK_MEM(page, pattern, PAGE_SIZE);
}

TEST(netfront, posts_pages_that_came_back_as_they_are)
{
    begin_vif();
    fill_pattern(1);
    receive(10);
    give_back_all();
    receive(10);          /* in whose place they are posted; */
    receive(POSTED - 10); /* all that was posted before them */
    for (unsigned i = 0; i < 10; i++)
        check_next_holds_pattern(0, 100);
    fake_net_push(&net);
    run_vif();
    give_back_all();
    end_vif();
}

TEST(netfront, frees_pages_that_come_back_after_their_life)
{
    size_t free;

    begin_vif();
    fill_pattern(1);
    receive(20);
    backend_leaves();
    run_vif();
    fake_net_move(&net, 5); /* to whom these pages are nobody's business */
    reopen_vif();
    free = page_count_free();
    give_back_all();
    CHECK_EQ(page_count_free(), free + 20);
    hold_pages = keep_pages_clean = false;
    exchange(300);
    end_vif();
}

TEST(netfront, keeps_no_more_pages_than_are_posted)
{
    size_t free;

    begin_vif();
    receive(POSTED);
    receive(POSTED);
    free = page_count_free();
    give_back_all();
    CHECK_EQ(page_count_free(), free + POSTED);
    end_vif();
}

TEST(netfront, frees_pages_that_nobody_needs_for_a_while)
{
    size_t free;

    begin_vif();
    free = page_count_free();
    receive(40);
    give_back_all();
    host_advance(2 * NSEC_PER_SEC + NSEC_PER_MSEC);
    run_vif();
    CHECK_EQ(page_count_free(), free);
    receive(40);
    give_back_all();
    for (unsigned i = 0; i < 40; i++) { /* ten of them are needed */
        receive(10);
        give_back_all();
        host_advance(NSEC_PER_SEC / 10);
        run_vif();
    }
    CHECK_EQ(page_count_free(), free - 10);
    end_vif();
}

TEST(netfront, keeps_no_page_without_a_link)
{
    size_t free;

    begin_vif();
    receive(20);
    backend_leaves();
    run_vif();
    free = page_count_free();
    give_back_all();
    CHECK_EQ(page_count_free(), free + 20);
    end_vif();
}

/* Pages that are handed up there were the guest's own, with anything in them. */
TEST(netfront, keeps_no_copy_to_post_it)
{
    size_t free;

    fake_net_create(&net, "0");
    fake_dev_set_front(&net.dev, "trusted", "0");
    CHECK_EQ(open_vif(), 0);
    receive(20);
    free = page_count_free();
    give_back_all();
    CHECK_EQ(page_count_free(), free + 20);
    end_vif();
}

/* Each frame takes two pages: one is written to, the other is posted again at once, so it is the
 * first of a frame when the ring has gone round. */
TEST(netfront, posts_pages_of_dropped_frames_again)
{
    begin_vif();
    fill_pattern(1);
    for (unsigned i = 0; i < 2 * POSTED; i++) {
        if (i < POSTED)
            CHECK_EQ(fake_grant_write(fake_net_answer(&net, 0, 0, NETRXF_more_data, 4096), 0,
                                      pattern, 4096),
                     0);
        else
            check_next_holds_pattern(NETRXF_more_data, 4096);
        (void)fake_net_answer(&net, 0, 0, 0, -1);
        fake_net_push(&net);
        run_vif();
    }
    CHECK_EQ(nr_frames, 0);
    CHECK_EQ(vif_info().rx_dropped, 2 * POSTED);
    end_vif();
}
