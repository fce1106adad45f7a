/* SPDX-License-Identifier: BSD-2-Clause */
/* The few memory and string functions that the kernel uses; same contracts as ISO C. */
#ifndef LIB_BASE_STRING_H
#define LIB_BASE_STRING_H

#include <stddef.h>
#include <stdint.h>

void *memcpy(void *restrict dst, const void *restrict src, size_t len);
void *memmove(void *dst, const void *src, size_t len);
void *memset(void *dst, int byte, size_t len);
int memcmp(const void *a, const void *b, size_t len);
void *memchr(const void *s, int byte, size_t len);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t len);
char *strchr(const char *s, int c);
char *strrchr(const char *s, int c);

/* Copy (src) into (dst) of (size) bytes, always NUL-terminated.
 * 0, or -E2BIG when it was cut. */
int string_copy(char *dst, size_t size, const char *src);

#endif
