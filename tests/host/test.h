/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host test frame. A test is
 *
 *     TEST(heap, gives_back_what_it_took) { CHECK_EQ(rc, 0); }
 *
 * and runs in a process of its own: it starts from the same state whatever ran before, may crash
 * or hang without harm to others, and a failed check simply ends it. Before it, the SETUP
 * functions run by level; after it, every CENSUS count must be what it was before it.
 */
#ifndef TESTS_HOST_TEST_H
#define TESTS_HOST_TEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct test {
    const char *module, *name;
    void (*fn)(void);
    size_t ram_pages; /* 0: HOST_RAM_PAGES */
    struct test *next;
};

struct census {
    const char *name;
    long (*count)(void);
    long before;
    struct census *next;
};

struct setup {
    int level;
    void (*fn)(void);
    struct setup *next;
};

void test_register(struct test *t);
void census_register(struct census *c);
void setup_register(struct setup *s);

/* The running test. */
extern const struct test *test_current;
/* -v was given. */
extern bool test_verbose;

/* End the test as failed, or as passed (then the census is not taken). */
_Noreturn void test_fail(const char *file, int line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
_Noreturn void test_pass(void);

#define TEST(module, name) TEST_RAM(module, name, 0)

/* The same in a domain of (pages) pages. */
#define TEST_RAM(module_, name_, pages)                                                        \
    static void test_##module_##_##name_(void);                                                \
    __attribute__((constructor)) static void register_##module_##_##name_(void)                \
    {                                                                                          \
        static struct test self = {#module_, #name_, test_##module_##_##name_, (pages), NULL}; \
        test_register(&self);                                                                  \
    }                                                                                          \
    static void test_##module_##_##name_(void)

/* long fn(void) must return after every test what it returned before it. */
#define CENSUS(name_, fn_)                                               \
    __attribute__((constructor)) static void census_register_##fn_(void) \
    {                                                                    \
        static struct census self = {name_, fn_, 0, NULL};               \
        census_register(&self);                                          \
    }

/* void fn(void) runs before every test, lower levels first: 0 the machine, 10 its memory, 20 the
 * fake hypervisor, 30 kernel modules. */
#define SETUP(level_, fn_)                                              \
    __attribute__((constructor)) static void setup_register_##fn_(void) \
    {                                                                   \
        static struct setup self = {level_, fn_, NULL};                 \
        setup_register(&self);                                          \
    }

#define CHECK(cond)                                     \
    do {                                                \
        if (!(cond))                                    \
            test_fail(__FILE__, __LINE__, "%s", #cond); \
    } while (0)

/* Integers and pointers of any kind. */
#define CHECK_EQ(a, b) test_check_eq(__FILE__, __LINE__, #a, (intmax_t)(a), #b, (intmax_t)(b))
#define CHECK_STR(a, b) test_check_str(__FILE__, __LINE__, #a, (a), (b))
#define CHECK_MEM(a, b, len) test_check_mem(__FILE__, __LINE__, #a, (a), (b), (len))

void test_check_eq(const char *file, int line, const char *ta, intmax_t a, const char *tb,
                   intmax_t b);
void test_check_str(const char *file, int line, const char *text, const char *a, const char *b);
void test_check_mem(const char *file, int line, const char *text, const void *a, const void *b,
                    size_t len);

/* A reproducible stream of pseudo-random numbers; it starts anew with every test. */
uint64_t test_random(void);
void test_random_restart(void);
/* In [0, bound). */
static inline uint64_t test_random_below(uint64_t bound)
{
    return test_random() % bound;
}

#endif
