/* SPDX-License-Identifier: BSD-2-Clause */
/* The ways in which a program can end; its first argument names one. test_endings.py looks at what
 * the console and the lab say of it. */
#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void at_exit(void)
{
    printf("at exit;");
}

__attribute__((destructor)) static void destruct(void)
{
    printf("destructor;");
}

static void *outlive_main(void *arg)
{
    usleep(50000);
    printf("main is gone;");
    return arg;
}

static void leave_main(void)
{
    pthread_t t;

    pthread_create(&t, NULL, outlive_main, NULL);
    pthread_exit(NULL);
}

static void *talk_on(void *arg)
{
    for (;;)
        printf("and on ");
    return arg;
}

static void be_interrupted(void)
{
    pthread_t t;

    pthread_create(&t, NULL, talk_on, NULL);
    usleep(50000);
    _exit(6);
}

/* Until the toolstack asks for the end: the handler says so, or atexit does. */
static volatile sig_atomic_t told;

static void on_term(int sig)
{
    told = sig;
}

static void wait_to_be_told(void)
{
    printf("waiting\n");
    while (!told)
        usleep(10000);
    printf("told by %d\n", (int)told);
    exit(9);
}

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "";

    atexit(at_exit);
    printf("begin;"); /* without a newline: only exit writes it out */
    if (strcmp(how, "exit") == 0)
        exit(77);
    if (strcmp(how, "_exit") == 0)
        _exit(78);
    if (strcmp(how, "abort") == 0)
        abort();
    if (strcmp(how, "assert") == 0)
        assert(argc == 0);
    if (strcmp(how, "raise") == 0)
        raise(SIGTERM);
    if (strcmp(how, "handler") == 0)
        signal(SIGTERM, on_term);
    if (strcmp(how, "ignore") == 0)
        signal(SIGTERM, SIG_IGN);
    if (strcmp(how, "handler") == 0 || strcmp(how, "wait") == 0 || strcmp(how, "ignore") == 0)
        wait_to_be_told();
    if (strcmp(how, "leave") == 0)
        leave_main();
    if (strcmp(how, "talk") == 0)
        be_interrupted();
    return 3;
}
