/* SPDX-License-Identifier: BSD-2-Clause */
/* newlib's <sched.h>, which has affinity only where there is a set of CPUs. */
#ifndef LIB_POSIX_SCHED_H
#define LIB_POSIX_SCHED_H

#include <sys/cpuset.h>
#include_next <sched.h>

#endif
