/* SPDX-License-Identifier: BSD-2-Clause */
/* lib/base/parse.c: what it must accept, and above all what not. */
#include <string.h>
#include "lib/base/errno.h"
#include "lib/base/parse.h"
#include "tests/host/test.h"

TEST(parse, takes_numbers_within_bounds)
{
    uint64_t x;

    CHECK_EQ(parse_u64("0", 0, UINT64_MAX, &x), 0);
    CHECK_EQ(x, 0);
    CHECK_EQ(parse_u64("18446744073709551615", 0, UINT64_MAX, &x), 0);
    CHECK_EQ(x, UINT64_MAX);
    CHECK_EQ(parse_u64("00512", 512, 512, &x), 0);
    CHECK_EQ(x, 512);
}

TEST(parse, refuses_what_is_no_number)
{
    static const char *const bad[] = {
        "", " 1", "1 ", "-1", "+1", "0x10", "1a", "1.0", "a", "\n", "9999999999999999999999x"};
    uint64_t x = 77;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        CHECK_EQ(parse_u64(bad[i], 0, UINT64_MAX, &x), -EINVAL);
    CHECK_EQ(x, 77);
}

TEST(parse, refuses_what_is_out_of_bounds)
{
    uint64_t x = 77;
    uint32_t y = 78;

    CHECK_EQ(parse_u64("18446744073709551616", 0, UINT64_MAX, &x), -ERANGE);
    CHECK_EQ(parse_u64("184467440737095516150", 0, UINT64_MAX, &x), -ERANGE);
    CHECK_EQ(parse_u64("4", 5, 9, &x), -ERANGE);
    CHECK_EQ(parse_u64("10", 5, 9, &x), -ERANGE);
    CHECK_EQ(parse_u32("4294967296", 0, UINT32_MAX, &y), -ERANGE);
    CHECK_EQ(x, 77);
    CHECK_EQ(y, 78);
    CHECK_EQ(parse_u32("4294967295", 0, UINT32_MAX, &y), 0);
    CHECK_EQ(y, UINT32_MAX);
}

TEST(parse, takes_a_mac_address)
{
    uint8_t mac[6];

    CHECK_EQ(parse_mac("00:16:3e:aB:Cd:ff", mac), 0);
    CHECK_MEM(mac, "\x00\x16\x3e\xab\xcd\xff", 6);
}

TEST(parse, refuses_what_is_no_mac_address)
{
    static const char *const bad[] = {"",
                                      "0",
                                      "00:16:3e:01:02",
                                      "00:16:3e:01:02:0",
                                      "00:16:3e:01:02:033",
                                      "00:16:3e:01:02:03:",
                                      "00-16-3e-01-02-03",
                                      "0:16:3e:01:02:03",
                                      "00:16:3g:01:02:03",
                                      "00:16:3e:01:02:03 "};
    uint8_t mac[6] = {1, 2, 3, 4, 5, 6};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char *exact = strdup(bad[i]); /* so that reading too far is seen */

        CHECK_EQ(parse_mac(exact, mac), -EINVAL);
    }
    CHECK_MEM(mac, "\x01\x02\x03\x04\x05\x06", 6);
}
