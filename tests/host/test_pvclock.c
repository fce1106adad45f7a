/* SPDX-License-Identifier: BSD-2-Clause */
/* The pvclock's arithmetic, with the values that Xen really publishes, and with those that it never
 * should. */
#include "arch/x86/pvclock.h"

#include "lib/base/macros.h"
#include "tests/host/test.h"

/* 1 GHz: (2^31 << 1) / 2^32 */
static struct vcpu_time_info at(uint64_t tsc, uint64_t ns)
{
    return (struct vcpu_time_info){
        .tsc_timestamp = tsc, .system_time = ns, .tsc_to_system_mul = 0x80000000, .tsc_shift = 1};
}

TEST(pvclock, counts_from_the_stamp)
{
    struct vcpu_time_info t = at(1000, 500);

    CHECK_EQ(pvclock_extrapolate(&t, 1000), 500);
    CHECK_EQ(pvclock_extrapolate(&t, 1777), 1277);
}

TEST(pvclock, scales_both_ways)
{
    struct vcpu_time_info t = at(0, 0);

    t.tsc_shift = -1; /* 4 GHz */
    CHECK_EQ(pvclock_extrapolate(&t, 4000), 1000);
    t.tsc_shift = 3;
    CHECK_EQ(pvclock_extrapolate(&t, 4000), 16000);
}

TEST(pvclock, waits_for_a_stamp_that_is_ahead)
{
    struct vcpu_time_info t = at(1000, 500);

    CHECK_EQ(pvclock_extrapolate(&t, 999), 500);
}

/* A domain with an emulated TSC, created 644 ms after Xen's stamp: it must not stand still until
 * the next one. */
TEST(pvclock, knows_stamps_from_before_the_domain)
{
    struct vcpu_time_info t = at(-644000000UL, 4518000000);

    CHECK_EQ(pvclock_extrapolate(&t, 0), 4518000000 + 644000000);
    CHECK_EQ(pvclock_extrapolate(&t, 1000), 4518000000 + 644001000);
}

TEST(pvclock, does_not_overflow_in_years)
{
    struct vcpu_time_info t = at(0, 0);

    CHECK_EQ(pvclock_extrapolate(&t, 1UL << 58), 1UL << 58);
}

/* ---- values that make no sense ---- */

TEST(pvclock, gives_some_time_for_any_scale)
{
    static const int8_t shifts[] = {0, 1, -1, 31, -31, 63, -63, 64, -64, 127, -127, -128};
    static const uint32_t muls[] = {0, 1, 0x80000000, 0xffffffff};
    static const uint64_t tscs[] = {0, 1, 1000, 1UL << 63, ~0UL};

    for (unsigned i = 0; i < ARRAY_SIZE(shifts) * ARRAY_SIZE(muls) * ARRAY_SIZE(tscs); i++) {
        struct vcpu_time_info t = at(1000, 500);

        t.tsc_shift = shifts[i % ARRAY_SIZE(shifts)];
        t.tsc_to_system_mul = muls[i / ARRAY_SIZE(shifts) % ARRAY_SIZE(muls)];
        CHECK_EQ(pvclock_extrapolate(&t, 1000), 500); /* the stamp's, whatever the scale */
        (void)pvclock_extrapolate(&t, tscs[i / ARRAY_SIZE(shifts) / ARRAY_SIZE(muls)]);
        t.tsc_to_system_mul = 0;
        CHECK_EQ(pvclock_extrapolate(&t, 1UL << 60), 500);
    }
}

static struct vcpu_time_info shared;
static unsigned reads, updates;

/* The TSC; meanwhile Xen changes the stamp (updates) times more. */
static uint64_t read_tsc(void)
{
    reads++;
    if (updates > 0) {
        updates--;
        shared.version += 2;
        shared.system_time += 100;
    }
    return 1000;
}

TEST(pvclock, takes_no_stamp_that_changed_meanwhile)
{
    struct vcpu_time_info copy;
    uint64_t tsc;

    shared = at(1000, 500);
    updates = 3;
    CHECK(pvclock_sample(&shared, read_tsc, &copy, &tsc));
    CHECK_EQ(reads, 4);
    CHECK_EQ(copy.system_time, 800);
    CHECK_EQ(copy.version, 6);
}

TEST(pvclock, gives_up_on_a_version_that_is_odd_or_changes_for_ever)
{
    struct vcpu_time_info copy;
    uint64_t tsc;

    shared = at(1000, 500);
    shared.version = 7;
    CHECK(!pvclock_sample(&shared, read_tsc, &copy, &tsc));
    CHECK_EQ(reads, PVCLOCK_TRIES);
    shared.version = 8;
    updates = ~0U;
    CHECK(!pvclock_sample(&shared, read_tsc, &copy, &tsc));
    CHECK_EQ(reads, 2 * PVCLOCK_TRIES);
}
