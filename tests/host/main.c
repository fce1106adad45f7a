/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs the tests: one child process each, under a time limit, and one line at the end:
 * "N passed, N failed".
 *
 *     runner [-v] [-n] [module | module.test]...
 *
 * -v names every test and shows the kernel's messages, -n runs in this process (for a debugger;
 * only with one test chosen).
 */
#include "tests/host/test.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TIME_LIMIT_S 60 /* of its own time: a busy machine is no fault */
#define HANG_S 900      /* of the clock's, for what waits for ever */

static struct test *tests;
static struct census *censuses;
static struct setup *setups;
const struct test *test_current;
bool test_verbose;

static int order(const struct test *a, const struct test *b)
{
    int rc = strcmp(a->module, b->module);

    return rc != 0 ? rc : strcmp(a->name, b->name);
}

void test_register(struct test *t)
{
    struct test **pos = &tests;

    while (*pos != NULL && order(*pos, t) < 0)
        pos = &(*pos)->next;
    t->next = *pos;
    *pos = t;
}

void census_register(struct census *c)
{
    c->next = censuses;
    censuses = c;
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

    printf("%s:%d: %s.%s: ", file, line, test_current->module, test_current->name);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    printf("\n");
    fflush(stdout);
    _exit(1);
}

void test_pass(void)
{
    fflush(stdout);
    _exit(0);
}

static void run(const struct test *t)
{
    const struct rlimit limit = {TIME_LIMIT_S, TIME_LIMIT_S + 1};

    test_current = t;
    test_random_restart();
    (void)setrlimit(RLIMIT_CPU, &limit);
    alarm(HANG_S);
    for (struct setup *s = setups; s != NULL; s = s->next)
        s->fn();
    for (struct census *c = censuses; c != NULL; c = c->next)
        c->before = c->count();
    t->fn();
    for (struct census *c = censuses; c != NULL; c = c->next) {
        long after = c->count();

        if (after != c->before)
            test_fail("census", 0, "%s: %ld before the test, %ld after it", c->name, c->before,
                      after);
    }
}

static bool run_in_child(const struct test *t)
{
    int status;
    pid_t pid;

    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        run(t);
        test_pass();
    }
    if (pid < 0 || waitpid(pid, &status, 0) < 0) {
        perror("runner");
        return false;
    }
    if (WIFSIGNALED(status))
        printf("%s.%s: ended by signal %d (%s)\n", t->module, t->name, WTERMSIG(status),
               strsignal(WTERMSIG(status)));
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool chosen(const struct test *t, char **filters, int n)
{
    for (int i = 0; i < n; i++) {
        size_t len = strlen(t->module);

        if (strncmp(filters[i], t->module, len) != 0)
            continue;
        if (filters[i][len] == '\0' ||
            (filters[i][len] == '.' && strcmp(filters[i] + len + 1, t->name) == 0))
            return true;
    }
    return n == 0;
}

static double seconds(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    unsigned passed = 0, failed = 0;
    bool here = false;
    int opt;

    while ((opt = getopt(argc, argv, "vn")) != -1) {
        test_verbose = test_verbose || opt == 'v';
        here = here || opt == 'n';
        if (opt == '?')
            return 2;
    }
    for (struct test *t = tests; t != NULL; t = t->next) {
        double start = seconds();
        bool ok;

        if (!chosen(t, argv + optind, argc - optind))
            continue;
        if (here) {
            run(t);
            printf("passed\n");
            test_pass();
        }
        ok = run_in_child(t);
        passed += ok;
        failed += !ok;
        if (!ok || test_verbose)
            printf("%s %s.%s (%.0f ms)\n", ok ? "ok    " : "FAILED", t->module, t->name,
                   (seconds() - start) * 1e3);
    }
    if (passed + failed == 0)
        printf("no such test\n");
    printf("%u passed, %u failed\n", passed, failed);
    return failed != 0 || passed == 0;
}
