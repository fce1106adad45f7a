/* SPDX-License-Identifier: BSD-2-Clause */
/* newlib's <time.h>, and what it lacks. */
#include_next <time.h>

#ifndef _PARAVANE_TIME_H
#define _PARAVANE_TIME_H

#ifdef __cplusplus
extern "C" {
#endif

/* The inverse of gmtime. */
time_t timegm(struct tm *tm);

#ifdef __cplusplus
}
#endif

#endif
