/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What stands in for main.c in a libFuzzer binary: the setups run once, a failed check aborts.
 *
 *     make -f tests/host/host.mk fuzz-erofs && build/host-fuzz/fuzz_erofs -max_total_time=60
 * corpus/
 */
#include "tests/host/test.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static struct setup *setups;
static const struct test fuzzing = {"fuzz", "input", NULL, 0, NULL};
const struct test *test_current = &fuzzing;
bool test_verbose;

int LLVMFuzzerInitialize(int *argc, char ***argv);

void test_register(struct test *t)
{
    (void)t;
}

void census_register(struct census *c)
{
    (void)c;
}

void setup_register(struct setup *s)
{
    struct setup **pos = &setups;

    while (*pos != NULL && (*pos)->level <= s->level)
        pos = &(*pos)->next;
    s->next = *pos;
    *pos = s;
}

void test_fail(const char *file, int line, const char *fmt, ...)
{
    va_list ap;

    fprintf(stderr, "%s:%d: ", file, line);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fprintf(stderr, "\n");
    abort();
}

void test_pass(void)
{
    exit(0);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    for (struct setup *s = setups; s != NULL; s = s->next)
        s->fn();
    return 0;
}
