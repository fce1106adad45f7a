/* SPDX-License-Identifier: BSD-2-Clause */
/* newlib's <stdio.h>, and what POSIX has beyond it. */
#include_next <stdio.h>

#ifndef _PARAVANE_STDIO_H
#define _PARAVANE_STDIO_H

#ifdef __cplusplus
extern "C" {
#endif

/* newlib has these under names with underscores. */
ssize_t getline(char **line, size_t *size, FILE *f);
ssize_t getdelim(char **line, size_t *size, int delimiter, FILE *f);

#ifdef __cplusplus
}
#endif

#endif
