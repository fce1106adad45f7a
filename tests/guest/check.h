/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The frame of guest tests that are programs: a case is a function without arguments, CHECK leaves
 * it at the first thing that is not so. One line for each, "N passed, N failed" at the end.
 */
#ifndef TESTS_GUEST_CHECK_H
#define TESTS_GUEST_CHECK_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct test_case {
    const char *name;
    void (*fn)(void);
    bool one_cpu; /* it is about threads of one CPU (census.h) */
};

#define CASE(name)                \
    {                             \
#name, test_##name, false \
    }
#define CASE_ON_ONE_CPU(name)    \
    {                            \
#name, test_##name, true \
    }

/* One for the whole image, however many files it has. */
__attribute__((weak)) char check_reason[160];

#define CHECK(cond)                                                                               \
    do {                                                                                          \
        if (!(cond)) {                                                                            \
            snprintf(check_reason, sizeof(check_reason), "%s:%d: %s", __FILE__, __LINE__, #cond); \
            return;                                                                               \
        }                                                                                         \
    } while (0)

#define CHECK_EQ(a, b)                                                                            \
    do {                                                                                          \
        long long a_ = (long long)(a), b_ = (long long)(b);                                       \
        if (a_ != b_) {                                                                           \
            snprintf(check_reason, sizeof(check_reason), "%s:%d: %s is %lld, not %lld", __FILE__, \
                     __LINE__, #a, a_, b_);                                                       \
            return;                                                                               \
        }                                                                                         \
    } while (0)

/* Run all: the exit status. */
static inline int check_all(const struct test_case *cases, size_t n)
{
    unsigned passed = 0, failed = 0;

    for (size_t i = 0; i < n; i++) {
        check_reason[0] = '\0';
        cases[i].fn();
        if (check_reason[0] == '\0') {
            passed++;
            printf("PASS %s\n", cases[i].name);
        } else {
            failed++;
            printf("FAIL %s: %s\n", cases[i].name, check_reason);
        }
    }
    printf("%u passed, %u failed\n", passed, failed);
    return failed != 0;
}

#endif
