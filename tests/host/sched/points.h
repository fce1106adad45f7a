/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lib/base/atomic.h for explore.c: before each of these another CPU may go on. Included before all
 * else. explore_stored lets a store be seen late, as x86 may; everything that is a full fence there
 * ends that.
 */
#ifndef TESTS_HOST_SCHED_POINTS_H
#define TESTS_HOST_SCHED_POINTS_H

#include "lib/base/atomic.h"

void explore_point(const char *file, int line);
/* (size) bytes at (p) are about to be stored to. */
void explore_stored(void *p, unsigned size);
void explore_fence(void);

#define POINT explore_point(__FILE__, __LINE__)

#undef load_relaxed
#undef load_acquire
#undef store_relaxed
#undef store_release
#undef full_fence
#define load_relaxed(p) (POINT, __atomic_load_n((p), __ATOMIC_RELAXED))
#define load_acquire(p) (POINT, __atomic_load_n((p), __ATOMIC_ACQUIRE))
#define store_relaxed(p, v)                              \
    do {                                                 \
        __typeof__(*(p)) value_ = (v);                   \
        POINT;                                           \
        explore_stored((p), sizeof(*(p)));               \
        __atomic_store_n((p), value_, __ATOMIC_RELAXED); \
    } while (0)
#define store_release(p, v) store_relaxed(p, v)
#define full_fence() (POINT, explore_fence())

#define READ_MODIFY_WRITE(operation) (POINT, explore_fence(), (operation))

#undef atomic_add
#undef atomic_sub
#undef atomic_or
#undef atomic_and
#undef atomic_exchange
#undef atomic_cmpxchg
#define atomic_add(p, v) READ_MODIFY_WRITE(__atomic_add_fetch((p), (v), __ATOMIC_SEQ_CST))
#define atomic_sub(p, v) READ_MODIFY_WRITE(__atomic_sub_fetch((p), (v), __ATOMIC_SEQ_CST))
#define atomic_or(p, v) READ_MODIFY_WRITE(__atomic_fetch_or((p), (v), __ATOMIC_SEQ_CST))
#define atomic_and(p, v) READ_MODIFY_WRITE(__atomic_fetch_and((p), (v), __ATOMIC_SEQ_CST))
#define atomic_exchange(p, v) READ_MODIFY_WRITE(__atomic_exchange_n((p), (v), __ATOMIC_SEQ_CST))
#define atomic_cmpxchg(p, old, new) \
    READ_MODIFY_WRITE(              \
        __atomic_compare_exchange_n((p), (old), (new), false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))

#endif
