/* SPDX-License-Identifier: BSD-2-Clause */
/* lib/base/format.c against the host's snprintf. */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include "lib/base/format.h"
#include "tests/host/test.h"

/* By pointer, so that the compiler does not judge texts that are cut on purpose. */
static int (*volatile reference)(char *, size_t, const char *, ...) = snprintf;
static int (*volatile tested)(char *, size_t, const char *, ...) = format;

/* Both must write the same text and return the same length, whole and cut. */
#define CHECK_FORMAT(...)                                                 \
    do {                                                                  \
        char ours_[256], theirs_[256];                                    \
        int len_ = tested(ours_, sizeof(ours_), __VA_ARGS__);             \
        CHECK_EQ(len_, reference(theirs_, sizeof(theirs_), __VA_ARGS__)); \
        CHECK_STR(ours_, theirs_);                                        \
        memset(ours_, '#', sizeof(ours_));                                \
        CHECK_EQ(tested(ours_, 5, __VA_ARGS__), len_);                    \
        reference(theirs_, 5, __VA_ARGS__);                               \
        CHECK_STR(ours_, theirs_);                                        \
        CHECK_EQ(ours_[5], '#');                                          \
    } while (0)

TEST(format, integers_of_every_length)
{
    CHECK_FORMAT("%d %i %d", 0, INT_MAX, INT_MIN);
    CHECK_FORMAT("%u %x %X", UINT_MAX, 0xdeadbeef, 0xdeadbeef);
    CHECK_FORMAT("%ld %lu", LONG_MIN, ULONG_MAX);
    CHECK_FORMAT("%lld %llu", LLONG_MIN, ULLONG_MAX);
    CHECK_FORMAT("%hhd %hhu %hhx", 300, 300, 300);
    CHECK_FORMAT("%hd %hu", 70000, 70000);
    CHECK_FORMAT("%zu %zd %td", SIZE_MAX, (ssize_t)-1, (ptrdiff_t)-5);
    CHECK_FORMAT("%jd %ju", INTMAX_MIN, UINTMAX_MAX);
}

TEST(format, width_precision_and_flags)
{
    CHECK_FORMAT("[%5d][%-5d][%05d]", 42, 42, 42);
    CHECK_FORMAT("[%5d][%-5d][%05d]", -42, -42, -42);
    CHECK_FORMAT("[%.4d][%8.4d][%-8.4d][%08.4d]", 42, 42, 42, 42);
    CHECK_FORMAT("[%.0d][%.0x][%.d]", 0, 0, 0);
    CHECK_FORMAT("[%016llx]", 0x123456789abcULL);
    CHECK_FORMAT("[%#x][%#lX][%#x][%#12x][%#012x][%-#8x]", 0xab, 0xabL, 0, 0xab, 0xab, 0xab);
    CHECK_FORMAT("[%*d][%-*d][%*d]", 6, 1, 6, 2, -6, 3);
    CHECK_FORMAT("[%.*d][%.*d]", 3, 7, -1, 7);
    CHECK_FORMAT("[%1d][%01d]", 12345, -12345);
}

TEST(format, strings_and_characters)
{
    CHECK_FORMAT("%s|%10s|%-10s|%.2s|%10.2s", "abc", "abc", "abc", "abc", "abc");
    CHECK_FORMAT("%c%3c%-3c|", 'x', 'y', 'z');
    CHECK_FORMAT("100%% %s", "");
    CHECK_FORMAT("%.*s", 3, "abcdef");
}

TEST(format, precision_keeps_it_from_reading_further)
{
    char text[3] = {'a', 'b', 'c'}, buf[8];

    CHECK_EQ(tested(buf, sizeof(buf), "%.3s", text), 3);
    CHECK_STR(buf, "abc");
}

TEST(format, pointers)
{
    CHECK_FORMAT("%p|%20p|%-20p|", (void *)0x1234abcd, (void *)0x1234, (void *)0x1234);
}

TEST(format, null_string_and_null_buffer)
{
    char buf[16];
    const char *volatile none = NULL;

    CHECK_EQ(tested(buf, sizeof(buf), "%s", none), 6);
    CHECK_STR(buf, "(null)");
    CHECK_EQ(tested(NULL, 0, "%d-%s", 1234, "x"), 6);
}

TEST(format, random_numbers)
{
    for (int i = 0; i < 5000; i++) {
        uint64_t x = test_random() >> test_random_below(64);
        int width = (int)test_random_below(30) - 15, precision = (int)test_random_below(25) - 2;

        CHECK_FORMAT("%*.*" PRId64, width, precision, (int64_t)x);
        CHECK_FORMAT("%0*" PRIx64, width, x);
    }
}
