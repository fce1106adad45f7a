/* SPDX-License-Identifier: BSD-2-Clause */
/* lib/base/string.c, compiled under other names, against the host's library. */
#include <string.h>
#include "lib/base/errno.h"
#include "tests/host/test.h"

void *base_memcpy(void *restrict dst, const void *restrict src, size_t len);
void *base_memmove(void *dst, const void *src, size_t len);
void *base_memset(void *dst, int byte, size_t len);
int base_memcmp(const void *a, const void *b, size_t len);
void *base_memchr(const void *s, int byte, size_t len);
size_t base_strlen(const char *s);
size_t base_strnlen(const char *s, size_t max);
int base_strcmp(const char *a, const char *b);
int base_strncmp(const char *a, const char *b, size_t len);
char *base_strchr(const char *s, int c);
char *base_strrchr(const char *s, int c);
int string_copy(char *dst, size_t size, const char *src);

#define SPACE 2048

static unsigned char ours[SPACE], theirs[SPACE], source[SPACE];

static void randomize(void)
{
    for (size_t i = 0; i < SPACE; i++) {
        ours[i] = theirs[i] = (unsigned char)test_random();
        source[i] = (unsigned char)test_random();
    }
}

TEST(string, memcpy_copies_every_length_at_every_alignment)
{
    randomize();
    for (size_t len = 0; len < 700; len++) {
        size_t to = len % 17, from = len % 13;

        CHECK(base_memcpy(ours + to, source + from, len) == ours + to);
        memcpy(theirs + to, source + from, len);
        CHECK_MEM(ours, theirs, SPACE);
    }
}

TEST(string, memmove_handles_every_overlap)
{
    randomize();
    for (size_t len = 0; len < 800; len += len < 70 ? 1 : 61)
        for (size_t to = 0; to < 140; to++) {
            CHECK(base_memmove(ours + to, ours + 70, len) == ours + to);
            memmove(theirs + to, theirs + 70, len);
            CHECK_MEM(ours, theirs, SPACE);
        }
}

TEST(string, memmove_handles_large_overlaps)
{
    randomize();
    for (int i = 0; i < 2000; i++) {
        size_t to = test_random_below(900), from = test_random_below(900);
        size_t len = test_random_below(SPACE - 900);

        base_memmove(ours + to, ours + from, len);
        memmove(theirs + to, theirs + from, len);
        CHECK_MEM(ours, theirs, SPACE);
    }
}

TEST(string, memset_fills_exactly)
{
    randomize();
    for (size_t len = 0; len < 700; len++) {
        CHECK(base_memset(ours + len % 19, (int)len - 300, len) == ours + len % 19);
        memset(theirs + len % 19, (int)len - 300, len);
        CHECK_MEM(ours, theirs, SPACE);
    }
}

static int sign(int x)
{
    return (x > 0) - (x < 0);
}

TEST(string, memcmp_finds_the_first_difference)
{
    randomize();
    memcpy(ours, source, SPACE);
    for (size_t i = 0; i < 600; i++) {
        ours[i] ^= 0x80;
        ours[i + 1] ^= 0x01;
        for (size_t len = i > 20 ? i - 20 : 0; len < i + 20; len++)
            CHECK_EQ(sign(base_memcmp(ours, source, len)), sign(memcmp(ours, source, len)));
        ours[i] ^= 0x80;
        ours[i + 1] ^= 0x01;
    }
}

static const char *const words[] = {"", "a", "ab", "abc", "abd", "b", "\xff", "abcabcabc", "ABC"};
#define WORDS (sizeof(words) / sizeof(words[0]))

TEST(string, comparisons_agree_with_the_library)
{
    for (size_t i = 0; i < WORDS; i++)
        for (size_t j = 0; j < WORDS; j++) {
            CHECK_EQ(sign(base_strcmp(words[i], words[j])), sign(strcmp(words[i], words[j])));
            for (size_t n = 0; n < 5; n++)
                CHECK_EQ(sign(base_strncmp(words[i], words[j], n)),
                         sign(strncmp(words[i], words[j], n)));
        }
}

TEST(string, searches_agree_with_the_library)
{
    for (size_t i = 0; i < WORDS; i++) {
        const char *w = words[i];

        CHECK_EQ(base_strlen(w), strlen(w));
        CHECK_EQ(base_strnlen(w, 2), strnlen(w, 2));
        for (int c = 0; c < 256; c++) {
            CHECK_EQ(base_strchr(w, c), strchr(w, c));
            CHECK_EQ(base_strrchr(w, c), strrchr(w, c));
            CHECK_EQ(base_memchr(w, c, strlen(w)), memchr(w, c, strlen(w)));
        }
    }
}

TEST(string, copy_cuts_and_says_so)
{
    char buf[4] = "xyz";

    CHECK_EQ(string_copy(buf, 4, "abc"), 0);
    CHECK_STR(buf, "abc");
    CHECK_EQ(string_copy(buf, 4, "defg"), -E2BIG);
    CHECK_STR(buf, "def");
    CHECK_EQ(string_copy(buf, 0, "a"), -E2BIG);
    CHECK_STR(buf, "def");
}
