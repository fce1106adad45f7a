/* SPDX-License-Identifier: BSD-2-Clause */
/* The pvclock's arithmetic, with the values that Xen really publishes. */
#include "arch/x86/pvclock.h"

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
