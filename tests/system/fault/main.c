/* SPDX-License-Identifier: BSD-2-Clause */
/* fault WORD: die in the way that WORD names; each way has a function of its name. */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "lib/base/macros.h"

#define WAY static __attribute__((noinline, noclone)) void

static volatile int one = 1; /* what the compiler cannot know */
static char *volatile nowhere;

WAY fault_null(void)
{
    *nowhere = 1;
}

WAY fault_jump(void)
{
    void (*volatile fn)(void) = (void (*)(void))(uintptr_t)nowhere;

    fn();
    one++;
}

static __attribute__((noinline, noclone)) int fault_stack(int depth)
{
    volatile char frame[200];

    memset((char *)frame, depth, sizeof(frame));
    return depth > 0 ? fault_stack(depth + 1) + frame[7] : 0;
}

/* Touches what lies below the stack, but does not move there. */
WAY fault_below(void)
{
    for (const volatile char *p = __builtin_frame_address(0); one; p -= 4096)
        one += *p & 0;
}

WAY fault_overflow(void)
{
    one = fault_stack(one);
}

WAY fault_smash(void)
{
    char small[16];
    char *volatile p = small; /* no bound that is visible here */

    memset(p, 'x', 16 + 16 * (size_t)one);
    one = small[3];
}

WAY fault_abort(void)
{
    abort();
}

WAY fault_assert(void)
{
    assert(one == 2);
}

WAY fault_text(void)
{
    *(volatile char *)(uintptr_t)fault_null = 0;
}

WAY fault_rodata(void)
{
    static const int fixed = 3;

    *(volatile int *)(uintptr_t)&fixed = one;
}

WAY fault_execute(void)
{
    static unsigned char code[] = {0xc3};
    void (*volatile fn)(void) = (void (*)(void))(uintptr_t)code;

    fn();
    one++;
}

WAY fault_divide(void)
{
    one = 7 / (one - 1);
}

static void *chatter(void *unused)
{
    static const char line[] = "chatter\n";

    for (;;)
        (void)!write(1, line, sizeof(line) - 1);
    return unused;
}

/* While all CPUs write to the console. */
WAY fault_chatter(void)
{
    pthread_t t;

    for (int i = 0; i < 6; i++)
        pthread_create(&t, NULL, chatter, NULL);
    usleep(300000);
    fault_null();
}

static const struct {
    const char *word;
    void (*fn)(void);
} ways[] = {
    {"null", fault_null},     {"jump", fault_jump},     {"overflow", fault_overflow},
    {"smash", fault_smash},   {"abort", fault_abort},   {"assert", fault_assert},
    {"text", fault_text},     {"rodata", fault_rodata}, {"execute", fault_execute},
    {"divide", fault_divide}, {"below", fault_below},   {"chatter", fault_chatter},
};

int main(int argc, char **argv)
{
    for (unsigned i = 0; i < ARRAY_SIZE(ways); i++) {
        if (argc < 2 || strcmp(argv[1], ways[i].word) != 0)
            continue;
        printf("now: %s\n", ways[i].word);
        ways[i].fn();
        printf("survived\n");
        return 1;
    }
    return 64;
}
