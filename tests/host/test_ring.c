/* SPDX-License-Identifier: BSD-2-Clause */
/* frontends/common/ring.h with both halves in one page: wrap, notifications, lying indices. */
#include "frontends/common/ring.h"

#include <string.h>
#include "tests/host/test.h"

struct ask {
    uint64_t id, what[13]; /* 112 bytes, as a block request: 32 slots */
};
struct answer {
    uint64_t id, what;
};
FRONT_RING(toy_ring, struct ask, struct answer);

static union {
    struct toy_ring_page page;
    uint8_t bytes[4 * 4096];
} shared __attribute__((aligned(4096)));
#define page shared.page
static unsigned nr_pages = 1;
static struct toy_ring ring;

/* Both halves at index (start), as after that many requests. */
static void begin_at(uint32_t start)
{
    memset(&shared, 0, sizeof(shared));
    toy_ring_init_pages(&ring, &page, nr_pages);
    ring.req_prod = ring.req_pub = ring.rsp_cons = start;
    page.req_prod = page.rsp_prod = start;
    page.req_event = page.rsp_event = start + 1;
}

static void ask(uint64_t id)
{
    struct ask *req = toy_ring_reserve(&ring);

    CHECK(req != NULL);
    req->id = id;
}

/* The backend answers the next request in its place. */
static void answer(void)
{
    union toy_ring_slot *slot = &page.slot[page.rsp_prod % toy_ring_size(&ring)];
    uint64_t id = slot->req.id;

    slot->rsp = (struct answer){id, id * 3};
    page.rsp_prod++;
}

TEST(ring, holds_the_largest_power_of_two_of_slots)
{
    CHECK_EQ(RING_SLOTS(112), 32);
    CHECK_EQ(RING_SLOTS(12), 256);
    CHECK_EQ(RING_SLOTS(8), 256);
    CHECK_EQ(RING_SLOTS(4032), 1);
    CHECK_EQ(RING_SLOTS_OF(2, 112), 64);
    CHECK_EQ(RING_SLOTS_OF(8, 112), 256);
    CHECK_EQ(RING_SLOTS_OF(16, 112), 512);
    CHECK_EQ(offsetof(struct toy_ring_page, slot), 64);
}

TEST(ring, starts_empty_and_asks_for_the_first_event_both_ways)
{
    struct answer rsp;

    memset(&shared, 0, sizeof(shared));
    toy_ring_init(&ring, &page);
    CHECK_EQ(page.req_event, 1);
    CHECK_EQ(page.rsp_event, 1);
    CHECK_EQ(toy_ring_take(&ring, &rsp), 0);
    CHECK_EQ(toy_ring_outstanding(&ring), 0);
}

TEST(ring, is_full_after_its_size_of_requests)
{
    begin_at(0);
    for (unsigned i = 0; i < toy_ring_SIZE; i++)
        ask(i);
    CHECK(toy_ring_reserve(&ring) == NULL);
    CHECK_EQ(toy_ring_outstanding(&ring), toy_ring_SIZE);
}

TEST(ring, hides_requests_until_they_are_published)
{
    begin_at(0);
    ask(1);
    CHECK_EQ(page.req_prod, 0);
    (void)toy_ring_publish(&ring);
    CHECK_EQ(page.req_prod, 1);
}

static void carry(uint32_t start, unsigned rounds)
{
    uint64_t asked = 0, answered = 0;
    struct answer rsp;

    begin_at(start);
    for (unsigned round = 0; round < rounds; round++) {
        unsigned n = 1 + (unsigned)test_random_below(toy_ring_size(&ring));

        for (unsigned i = 0; i < n && toy_ring_outstanding(&ring) < toy_ring_size(&ring); i++)
            ask(asked++);
        (void)toy_ring_publish(&ring);
        for (unsigned i = (unsigned)test_random_below(n + 1);
             i > 0 && page.rsp_prod != page.req_prod; i--)
            answer();
        while (toy_ring_take(&ring, &rsp) == 1) {
            CHECK_EQ(rsp.id, answered);
            CHECK_EQ(rsp.what, answered * 3);
            answered++;
        }
    }
    CHECK(answered > rounds);
}

TEST(ring, carries_answers_in_order_over_several_pages)
{
    nr_pages = 4;
    carry(0, 1000);
    CHECK_EQ(toy_ring_size(&ring), 4 * toy_ring_SIZE);
    carry(0xffffff00, 1000);
}

TEST(ring, carries_answers_in_order)
{
    carry(0, 1000);
}

TEST(ring, wraps_at_two_to_the_32)
{
    carry(0xfffffff0, 1000);
}

TEST(ring, notifies_only_when_the_backend_asked_for_it)
{
    begin_at(0);
    page.req_event = 3;
    ask(1);
    ask(2);
    CHECK(!toy_ring_publish(&ring));
    ask(3);
    CHECK(toy_ring_publish(&ring));
    ask(4);
    CHECK(!toy_ring_publish(&ring));
}

TEST(ring, notifies_across_the_wrap)
{
    begin_at(0xffffffff);
    page.req_event = 1;
    ask(1);
    CHECK(!toy_ring_publish(&ring)); /* index 0 */
    ask(2);
    CHECK(toy_ring_publish(&ring));
}

TEST(ring, rearm_tells_of_answers_that_came_before_it)
{
    begin_at(0xfffffffe);
    for (unsigned i = 0; i < 4; i++)
        ask(i);
    (void)toy_ring_publish(&ring);
    CHECK(!toy_ring_rearm(&ring, 1));
    CHECK_EQ(page.rsp_event, 0xffffffff);
    answer();
    CHECK(toy_ring_rearm(&ring, 1));
    CHECK(!toy_ring_rearm(&ring, 2));
    CHECK_EQ(page.rsp_event, 0);
    answer();
    CHECK(toy_ring_rearm(&ring, 2));
}

TEST(ring, names_the_positions_of_the_next_request_and_answer)
{
    struct answer rsp;

    begin_at(0xffffffff);
    CHECK_EQ(toy_ring_next_request(&ring), 31);
    ask(1);
    CHECK_EQ(toy_ring_next_request(&ring), 0);
    (void)toy_ring_publish(&ring);
    CHECK_EQ(toy_ring_next_response(&ring), 31);
    answer();
    CHECK_EQ(toy_ring_take(&ring, &rsp), 1);
    CHECK_EQ(toy_ring_next_response(&ring), 0);
}

/* Three requests published, a fourth only reserved. */
static int take_with_rsp_prod(uint32_t start, uint32_t ahead)
{
    struct answer rsp;

    begin_at(start);
    for (unsigned i = 0; i < 3; i++)
        ask(i);
    (void)toy_ring_publish(&ring);
    ask(3);
    page.rsp_prod = start + ahead;
    return toy_ring_take(&ring, &rsp);
}

TEST(ring, refuses_more_answers_than_published_requests)
{
    static const uint32_t starts[] = {0, 100, 0xfffffffe, 0x7fffffff};
    static const uint32_t lies[] = {4, 5, 32, 33, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffffff0};

    for (unsigned s = 0; s < ARRAY_SIZE(starts); s++) {
        for (unsigned i = 0; i < ARRAY_SIZE(lies); i++)
            CHECK_EQ(take_with_rsp_prod(starts[s], lies[i]), -EPROTO);
        CHECK_EQ(take_with_rsp_prod(starts[s], 3), 1);
        CHECK_EQ(take_with_rsp_prod(starts[s], 0), 0);
    }
}

TEST(ring, refuses_an_index_that_runs_back)
{
    struct answer rsp;

    begin_at(10);
    ask(1);
    ask(2);
    (void)toy_ring_publish(&ring);
    answer();
    CHECK_EQ(toy_ring_take(&ring, &rsp), 1);
    page.rsp_prod--;
    CHECK_EQ(toy_ring_take(&ring, &rsp), -EPROTO);
}

TEST(ring, refuses_answers_while_nothing_is_asked)
{
    struct answer rsp;

    begin_at(0);
    page.rsp_prod = 1;
    CHECK_EQ(toy_ring_take(&ring, &rsp), -EPROTO);
}

TEST(ring, does_not_care_what_is_written_into_its_own_indices)
{
    struct answer rsp;

    begin_at(0);
    ask(7);
    (void)toy_ring_publish(&ring);
    page.req_prod = 0x12345678;
    page.rsp_event = 0x9abcdef0;
    ask(8);
    (void)toy_ring_publish(&ring);
    CHECK_EQ(page.req_prod, 2);
    answer();
    CHECK_EQ(toy_ring_take(&ring, &rsp), 1);
    CHECK_EQ(rsp.id, 7);
    CHECK_EQ(toy_ring_outstanding(&ring), 1);
}

TEST(ring, survives_any_req_event)
{
    for (unsigned i = 0; i < 1000; i++) {
        begin_at((uint32_t)test_random());
        page.req_event = (uint32_t)test_random();
        ask(1);
        (void)toy_ring_publish(&ring);
        CHECK_EQ(toy_ring_outstanding(&ring), 1);
    }
}

TEST(ring, copies_an_answer_out_once)
{
    struct answer rsp;

    begin_at(0);
    ask(5);
    (void)toy_ring_publish(&ring);
    answer();
    CHECK_EQ(toy_ring_take(&ring, &rsp), 1);
    page.slot[0].rsp.what = 0xbad;
    CHECK_EQ(rsp.what, 15);
}
