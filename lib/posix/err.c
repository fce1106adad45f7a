/* SPDX-License-Identifier: BSD-2-Clause */
/* The err(3) family; the program's name is argv[0]. */
#include <err.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "kernel/option.h"
#include "lib/base/macros.h"

static void print(const char *fmt, va_list ap, const char *reason)
{
    flockfile(stderr);
    fprintf(stderr, "%s: ", option_argv()[0]);
    if (fmt != NULL)
        vfprintf(stderr, fmt, ap);
    if (reason != NULL)
        fprintf(stderr, "%s%s", fmt != NULL ? ": " : "", reason);
    fputc('\n', stderr);
    funlockfile(stderr);
}

void vwarn(const char *fmt, va_list ap)
{
    print(fmt, ap, strerror(errno));
}

void vwarnx(const char *fmt, va_list ap)
{
    print(fmt, ap, NULL);
}

void warn(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vwarn(fmt, ap);
    va_end(ap);
}

void warnx(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vwarnx(fmt, ap);
    va_end(ap);
}

void verr(int status, const char *fmt, va_list ap)
{
    vwarn(fmt, ap);
    exit(status);
}

void verrx(int status, const char *fmt, va_list ap)
{
    vwarnx(fmt, ap);
    exit(status);
}

void err(int status, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    verr(status, fmt, ap);
}

void errx(int status, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    verrx(status, fmt, ap);
}
