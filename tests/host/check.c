/* SPDX-License-Identifier: BSD-2-Clause */
/* What tests and fuzzers check with: comparisons that say what they found, and random numbers. */
#include <string.h>
#include "tests/host/test.h"

void test_check_eq(const char *file, int line, const char *ta, intmax_t a, const char *tb,
                   intmax_t b)
{
    if (a != b)
        test_fail(file, line, "%s is %jd (0x%jx), not %s = %jd (0x%jx)", ta, a, (uintmax_t)a, tb, b,
                  (uintmax_t)b);
}

void test_check_str(const char *file, int line, const char *text, const char *a, const char *b)
{
    if (a == NULL || b == NULL || strcmp(a, b) != 0)
        test_fail(file, line, "%s is \"%s\", not \"%s\"", text, a ? a : "(null)", b ? b : "(null)");
}

void test_check_mem(const char *file, int line, const char *text, const void *a, const void *b,
                    size_t len)
{
    const unsigned char *x = a, *y = b;

    for (size_t i = 0; i < len; i++)
        if (x[i] != y[i])
            test_fail(file, line, "%s[%zu] is 0x%02x, not 0x%02x", text, i, x[i], y[i]);
}

static uint64_t random_state;

void test_random_restart(void)
{
    random_state = 0x9e3779b97f4a7c15ULL;
}

/* xorshift64*: any state but 0. */
uint64_t test_random(void)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return random_state * 0x2545f4914f6cdd1dULL;
}
