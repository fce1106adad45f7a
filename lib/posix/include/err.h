/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages to standard error in the BSD form: "program: text: what errno says". */
#ifndef _ERR_H
#define _ERR_H

#include <stdarg.h>

#ifdef __cplusplus
extern "C" {
#endif

#define _ERR_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define _ERR_END __attribute__((noreturn))

void warn(const char *fmt, ...) _ERR_LIKE(1, 2);
void warnx(const char *fmt, ...) _ERR_LIKE(1, 2);
void vwarn(const char *fmt, va_list ap) _ERR_LIKE(1, 0);
void vwarnx(const char *fmt, va_list ap) _ERR_LIKE(1, 0);
void err(int status, const char *fmt, ...) _ERR_LIKE(2, 3) _ERR_END;
void errx(int status, const char *fmt, ...) _ERR_LIKE(2, 3) _ERR_END;
void verr(int status, const char *fmt, va_list ap) _ERR_LIKE(2, 0) _ERR_END;
void verrx(int status, const char *fmt, va_list ap) _ERR_LIKE(2, 0) _ERR_END;

#ifdef __cplusplus
}
#endif

#endif
