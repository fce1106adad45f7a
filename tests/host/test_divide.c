/* SPDX-License-Identifier: BSD-2-Clause */
/* lib/base/divide.c, compiled under other names, against the host compiler's library. */
#include "tests/host/test.h"

typedef unsigned __int128 u128;
typedef __int128 i128;

u128 base__udivmodti4(u128 n, u128 d, u128 *rem);
u128 base__udivti3(u128 n, u128 d);
u128 base__umodti3(u128 n, u128 d);
i128 base__divti3(i128 n, i128 d);
i128 base__modti3(i128 n, i128 d);

/* Random length, and often many equal bits: where estimates are worst. */
static u128 random_wide(void)
{
    u128 x = (u128)test_random() << 64 | test_random();

    x >>= test_random_below(128);
    switch (test_random_below(4)) {
    case 0:
        return (((u128)1 << test_random_below(128)) - 1) << test_random_below(32);
    case 1:
        return x | ~(u128)0 << test_random_below(128);
    default:
        return x;
    }
}

TEST(divide, unsigned_agrees_with_the_library)
{
    for (int i = 0; i < 300000; i++) {
        u128 n = random_wide(), d = random_wide(), rem;

        if (d == 0)
            continue;
        CHECK(base__udivti3(n, d) == n / d);
        CHECK(base__umodti3(n, d) == n % d);
        CHECK(base__udivmodti4(n, d, &rem) == n / d);
        CHECK(rem == n % d);
    }
}

TEST(divide, signed_agrees_with_the_library)
{
    i128 lowest = (i128)((u128)1 << 127);

    for (int i = 0; i < 300000; i++) {
        i128 n = (i128)random_wide(), d = (i128)random_wide();

        if (d == 0 || (n == lowest && d == -1))
            continue;
        CHECK(base__divti3(n, d) == n / d);
        CHECK(base__modti3(n, d) == n % d);
    }
}

TEST(divide, close_to_the_divisor)
{
    for (int i = 0; i < 100000; i++) {
        u128 d = random_wide() | 1, q = test_random() >> test_random_below(64), n = d * q;

        for (u128 k = n - 1; k != n + 2; k++)
            CHECK(base__udivti3(k, d) == k / d && base__umodti3(k, d) == k % d);
    }
}
