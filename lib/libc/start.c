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

int app_main(int argc, char **argv)
{
    (void)libc_thread_self();
    console_file_install();
    atexit(run_destructors);
    run_constructors();
    exit(main(argc, argv, environ));
}

void _exit(int status)
{
    lifecycle_exit(status & 0xff);
}
