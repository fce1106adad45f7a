/* SPDX-License-Identifier: BSD-2-Clause */
/* What a program may ask about the system: its name, its limits, its size. */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>
#include "kernel/cpus.h"
#include "kernel/option.h"
#include "kernel/page.h"
#include "kernel/xenstore.h"
#include "lib/posix/fd.h"

#ifndef PARAVANE_VERSION
#define PARAVANE_VERSION "unreleased"
#endif

/* paravane.hostname=..., else the domain's name in xenstore, else ours. */
static void find_hostname(char *name, size_t size)
{
    const char *option = option_get("hostname");

    if (option != NULL && *option != '\0')
        strlcpy(name, option, size);
    else if (xs_read(XS_NO_TX, "name", name, size) <= 0)
        strlcpy(name, "paravane", size);
}

int gethostname(char *name, size_t size)
{
    char whole[HOST_NAME_MAX + 1];

    find_hostname(whole, sizeof(whole));
    return (int)posix_result(strlcpy(name, whole, size) < size ? 0 : -ENAMETOOLONG);
}

int uname(struct utsname *out)
{
    *out = (struct utsname){.sysname = "Paravane",
                            .release = PARAVANE_VERSION,
                            .version = "Xen PV",
                            .machine = "x86_64"};
    find_hostname(out->nodename, sizeof(out->nodename));
    return 0;
}

int getpagesize(void)
{
    return PAGE_SIZE;
}

int getdtablesize(void)
{
    return FD_MAX;
}

long sysconf(int name)
{
    switch (name) {
    case _SC_PAGESIZE:
        return PAGE_SIZE;
    case _SC_NPROCESSORS_CONF:
        return (long)cpus_possible();
    case _SC_NPROCESSORS_ONLN:
        return (long)cpus_count();
    case _SC_PHYS_PAGES:
        return (long)page_count_total();
    case _SC_AVPHYS_PAGES:
        return (long)page_count_free();
    case _SC_OPEN_MAX:
        return FD_MAX;
    case _SC_CLK_TCK:
        return CLOCKS_PER_SEC;
    case _SC_VERSION:
        return _POSIX_VERSION;
    case _SC_ARG_MAX:
        return ARG_MAX;
    case _SC_IOV_MAX:
        return IOV_MAX;
    case _SC_HOST_NAME_MAX:
        return HOST_NAME_MAX;
    case _SC_THREADS:
        return _POSIX_THREADS;
    case _SC_THREAD_KEYS_MAX:
        return PTHREAD_KEYS_MAX;
    case _SC_THREAD_STACK_MIN:
        return PTHREAD_STACK_MIN;
    case _SC_THREAD_THREADS_MAX:
        return PTHREAD_THREADS_MAX;
    case _SC_MONOTONIC_CLOCK:
        return _POSIX_MONOTONIC_CLOCK;
    default:
        errno = EINVAL;
        return -1;
    }
}
