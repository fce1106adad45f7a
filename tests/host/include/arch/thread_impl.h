/* SPDX-License-Identifier: BSD-2-Clause */
/* Host threads are coroutines (hostthread.c); nothing of the architecture is in them. */
#ifndef ARCH_THREAD_IMPL_H
#define ARCH_THREAD_IMPL_H

struct arch_thread {
    int unused;
};

#endif
