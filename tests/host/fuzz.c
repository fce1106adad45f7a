/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What stands in for main.c in a libFuzzer binary: the setups run once, or in each process of a
 * target that makes one for every input; a failed check aborts, and so does an input after which
 * some census is not what it was before.
 *
 *     make fuzz FUZZ_SECONDS=3600
 */
#include "tests/host/fuzz.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "tests/host/test.h"

static struct setup *setups;
static struct census *censuses;
static struct test fuzzing = {"fuzz", "input", NULL, 0, NULL};
const struct test *test_current = &fuzzing;
bool test_verbose;
__attribute__((weak)) bool fuzz_forks;
__attribute__((weak)) size_t fuzz_ram_pages;

int LLVMFuzzerInitialize(int *argc, char ***argv);

void test_register(struct test *t)
{
    (void)t;
}

void census_register(struct census *c)
{
    c->next = censuses;
    censuses = c;
}

void fuzz_run(void (*fn)(const uint8_t *data, size_t size), const uint8_t *data, size_t size)
{
    test_random_restart();
    for (struct census *c = censuses; c != NULL; c = c->next)
        c->before = c->count();
    fn(data, size);
    for (struct census *c = censuses; c != NULL; c = c->next)
        if (c->count() != c->before)
            test_fail("census", 0, "%s: %ld before, %ld after", c->name, c->before, c->count());
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

void fuzz_setup(void)
{
    fuzzing.ram_pages = fuzz_ram_pages;
    for (struct setup *s = setups; s != NULL; s = s->next)
        s->fn();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    if (!fuzz_forks)
        fuzz_setup();
    return 0;
}
