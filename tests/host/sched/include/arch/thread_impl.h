/* SPDX-License-Identifier: BSD-2-Clause */
/* A context of tests/host/sched: a stack, and what the thread sanitizer knows of who runs on it. */
#ifndef ARCH_THREAD_IMPL_H
#define ARCH_THREAD_IMPL_H

#include <stdint.h>

struct arch_thread {
    void *sp;    /* NULL: in use */
    void *fiber; /* the sanitizer's */
    void *fpu;
};

#endif
