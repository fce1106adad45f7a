/* SPDX-License-Identifier: BSD-2-Clause */
/* frontends/common/slots.h: the judge of ids. */
#include "frontends/common/slots.h"

#include "tests/host/hostarch.h"
#include "tests/host/test.h"

static struct slots slots;

TEST(slots, hands_out_each_slot_once)
{
    bool seen[32] = {false};

    slots_init(&slots, 32, 64);
    for (unsigned i = 0; i < 32; i++) {
        int slot = slots_get(&slots);

        CHECK(slot >= 0 && slot < 32 && !seen[slot]);
        seen[slot] = true;
    }
    CHECK_EQ(slots_get(&slots), -ENOSPC);
    CHECK_EQ(slots_in_use(&slots), 32);
}

TEST(slots, claims_what_is_in_flight_once)
{
    unsigned slot;

    slots_init(&slots, 8, 16);
    slot = (unsigned)slots_get(&slots);
    CHECK_EQ(slots_claim(&slots, slots_id(&slots, slot)), slot);
    CHECK_EQ(slots_claim(&slots, slots_id(&slots, slot)), -EPROTO);
    slots_put(&slots, slot);
    CHECK_EQ(slots_claim(&slots, slots_id(&slots, slot)), -EPROTO);
    CHECK_EQ(slots_in_use(&slots), 0);
}

static const uint64_t bad_ids[] = {
    8,          9,          255,        256,   65535,      65536,      0x80000000,
    0xffffffff, 1ULL << 32, 1ULL << 63, ~0ULL, 0x40000000, 0x7fff0000, 0xdeadbeef00ULL};

static void refuse_bad_ids(unsigned bits)
{
    slots_init(&slots, 8, bits);
    for (unsigned i = 0; i < 4; i++)
        CHECK(slots_get(&slots) >= 0);
    for (unsigned i = 0; i < ARRAY_SIZE(bad_ids); i++) {
        bool sent = false;

        for (unsigned slot = 0; slot < 8; slot++)
            sent |= slots.state[slot] == SLOT_IN_FLIGHT && slots_id(&slots, slot) == bad_ids[i];
        if (!sent)
            CHECK_EQ(slots_claim(&slots, bad_ids[i]), -EPROTO);
    }
    CHECK_EQ(slots_in_use(&slots), 4);
}

TEST(slots, refuses_ids_that_were_never_sent)
{
    refuse_bad_ids(16);
    refuse_bad_ids(64);
}

TEST(slots, refuses_an_id_of_the_slots_earlier_use)
{
    uint64_t old;
    unsigned slot;

    slots_init(&slots, 1, 16);
    slot = (unsigned)slots_get(&slots);
    old = slots_id(&slots, slot);
    CHECK_EQ(slots_claim(&slots, old), slot);
    slots_put(&slots, slot);
    CHECK_EQ(slots_get(&slots), slot);
    CHECK_EQ(slots_claim(&slots, old), -EPROTO);
    CHECK_EQ(slots_claim(&slots, slots_id(&slots, slot)), slot);
}

TEST(slots, keeps_ids_within_the_bits_of_the_wire)
{
    slots_init(&slots, 200, 16);
    for (unsigned i = 0; i < 100000; i++) {
        unsigned slot = (unsigned)slots_get(&slots);

        CHECK(slots_id(&slots, slot) <= 0xffff);
        CHECK_EQ(slots_claim(&slots, slots_id(&slots, slot)), slot);
        slots_put(&slots, slot);
    }
}

TEST(slots, takes_back_what_was_not_sent)
{
    unsigned slot;

    slots_init(&slots, 1, 64);
    slot = (unsigned)slots_get(&slots);
    slots_put(&slots, slot);
    CHECK_EQ(slots_claim(&slots, slots_id(&slots, slot)), -EPROTO);
    CHECK_EQ(slots_get(&slots), slot);
}

TEST(slots, gives_up_all_that_is_in_flight)
{
    unsigned n = 0;
    int slot;

    slots_init(&slots, 32, 64);
    for (unsigned i = 0; i < 20; i++)
        CHECK(slots_get(&slots) >= 0);
    while ((slot = slots_claim_any(&slots)) >= 0) {
        slots_put(&slots, (unsigned)slot);
        n++;
    }
    CHECK_EQ(n, 20);
    CHECK_EQ(slots_in_use(&slots), 0);
}

TEST(slots, panics_when_its_owner_frees_twice)
{
    unsigned slot;

    slots_init(&slots, 4, 64);
    slot = (unsigned)slots_get(&slots);
    slots_put(&slots, slot);
    host_expect_panic("assertion failed");
    slots_put(&slots, slot);
}
