/* SPDX-License-Identifier: BSD-2-Clause */
/* newlib's <sys/stat.h>, and what it declares for some systems only. */
#include_next <sys/stat.h>

#ifndef _PARAVANE_SYS_STAT_H
#define _PARAVANE_SYS_STAT_H

#ifdef __cplusplus
extern "C" {
#endif

int lstat(const char *__restrict path, struct stat *__restrict out);

#ifdef __cplusplus
}
#endif

#endif
