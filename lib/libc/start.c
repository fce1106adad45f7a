/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From the kernel to main and back: the kernel calls app_main in a thread once every module runs.
 * Descriptors 0, 1 and 2 are the console; constructors run before main, destructors and atexit
 * functions in exit(), which ends the domain.
 */
#include <stdlib.h>
#include <unistd.h>
#include "kernel/lifecycle.h"
#include "kernel/main.h"
#include "kernel/thread.h"
#include "lib/libc/process.h"
#include "lib/libc/thread.h"
#include "lib/posix/console_file.h"

typedef void structor_fn(void);

/* The linker script collects them. */
extern structor_fn *const __init_array_start[], *const __init_array_end[];
extern structor_fn *const __fini_array_start[], *const __fini_array_end[];

int main(int argc, char **argv, char **env);

static void run_constructors(void)
{
    for (structor_fn *const *fn = __init_array_start; fn < __init_array_end; fn++)
        (*fn)();
}

static void run_destructors(void)
{
    for (structor_fn *const *fn = __fini_array_end; fn > __fini_array_start; fn--)
        fn[-1]();
}

static void terminate(void *arg)
{
    (void)arg;
    (void)libc_thread_self();
    process_terminate();
}

/* In a thread of its own: what the program does then may take long, and may use xenstore. */
static bool shutdown_requested(enum lifecycle_request request)
{
    struct thread *t;

    (void)request;
    if (thread_create("shutdown", PRIO_HIGH, 0, terminate, NULL, &t) != 0)
        return false;
    thread_detach(t);
    return true;
}

int app_main(int argc, char **argv)
{
    (void)libc_thread_self();
    console_file_install();
    if (&__fini_array_start[0] != &__fini_array_end[0]) /* most programs have none */
        atexit(run_destructors);
    lifecycle_on_shutdown(shutdown_requested);
    run_constructors();
    exit(main(argc, argv, environ));
}

void _exit(int status)
{
    lifecycle_exit(status & 0xff);
}
