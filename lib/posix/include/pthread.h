/* SPDX-License-Identifier: BSD-2-Clause */
/* newlib's <pthread.h>, and the affinity that it declares for another system alone. */
#ifndef LIB_POSIX_INCLUDE_PTHREAD_H
#define LIB_POSIX_INCLUDE_PTHREAD_H

#include_next <pthread.h>
#include <sys/cpuset.h>

#ifdef __cplusplus
extern "C" {
#endif

#if __GNU_VISIBLE
/* EINVAL: no CPU of the set exists, or (size) is smaller than a set. ESRCH: no such thread. */
int pthread_setaffinity_np(pthread_t id, size_t size, const cpu_set_t *set);
int pthread_getaffinity_np(const pthread_t id, size_t size, cpu_set_t *set);
#endif

#ifdef __cplusplus
}
#endif

#endif
