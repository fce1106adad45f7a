/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory and string functions without vector registers, because the kernel may run with a
 * program's vector registers live.
 *
 * Copies and fills come in three sizes. Up to 16 bytes: two overlapping words, no loop. Up to
 * REP_MIN: a loop of 8-byte words. Above: "rep movsq/stosq", which the microcode does in whole
 * cache lines (its start costs some 30 cycles, hence the limit). By words, because an emulator, and
 * a processor without fast byte strings, really does one step after the other.
 *
 * memcpy copies forward and memmove needs that: a destination below the source may overlap it.
 * The empty asm statements keep the compiler from recognizing a loop as memcpy or memset and
 * calling the function from inside itself.
 */
#include "lib/base/string.h"

#include "lib/base/errno.h"

#define REP_MIN 512

/* A word at any alignment and of any declared type. */
struct word {
    uint64_t v;
} __attribute__((packed, may_alias));
struct half {
    uint32_t v;
} __attribute__((packed, may_alias));
struct quarter {
    uint16_t v;
} __attribute__((packed, may_alias));

#define LOAD(type, p) (((const struct type *)(p))->v)
#define STORE(type, p, x) (((struct type *)(p))->v = (x))
#define NOT_A_LOOP_CALL() __asm__ volatile("" ::: "memory")

/* At most 16 bytes. Everything is loaded before anything is stored, so any overlap is fine. */
static inline void copy_small(char *d, const char *s, size_t len)
{
    if (len >= 8) {
        uint64_t head = LOAD(word, s), tail = LOAD(word, s + len - 8);

        STORE(word, d, head);
        STORE(word, d + len - 8, tail);
    } else if (len >= 4) {
        uint32_t head = LOAD(half, s), tail = LOAD(half, s + len - 4);

        STORE(half, d, head);
        STORE(half, d + len - 4, tail);
    } else if (len >= 2) {
        uint16_t head = LOAD(quarter, s), tail = LOAD(quarter, s + len - 2);

        STORE(quarter, d, head);
        STORE(quarter, d + len - 2, tail);
    } else if (len == 1) {
        *d = *s;
    }
}

/* More than 16 bytes, in order; the tail is loaded first since the loop may overwrite it. */
static inline void copy_forward(char *d, const char *s, size_t len)
{
    char *end = d + len - 16;
    uint64_t tail0 = LOAD(word, s + len - 16), tail1 = LOAD(word, s + len - 8);

    while (d < end) {
        uint64_t a = LOAD(word, s), b = LOAD(word, s + 8);

        STORE(word, d, a);
        STORE(word, d + 8, b);
        d += 16;
        s += 16;
        NOT_A_LOOP_CALL();
    }
    STORE(word, end, tail0);
    STORE(word, end + 8, tail1);
}

static inline void copy_backward(char *d, const char *s, size_t len)
{
    uint64_t head0 = LOAD(word, s), head1 = LOAD(word, s + 8);
    char *start = d;

    while (len > 16) {
        uint64_t a = LOAD(word, s + len - 8), b = LOAD(word, s + len - 16);

        STORE(word, d + len - 8, a);
        STORE(word, d + len - 16, b);
        len -= 16;
        NOT_A_LOOP_CALL();
    }
    STORE(word, start, head0);
    STORE(word, start + 8, head1);
}

/* In order, as copy_forward. */
static inline void copy_rep(char *d, const char *s, size_t len)
{
    char *end = d + len - 8;
    uint64_t tail = LOAD(word, s + len - 8);
    size_t words = len / 8;

    __asm__ volatile("rep movsq" : "+D"(d), "+S"(s), "+c"(words) : : "memory");
    STORE(word, end, tail);
}

void *memcpy(void *restrict dst, const void *restrict src, size_t len)
{
    if (len <= 16)
        copy_small(dst, src, len);
    else if (len < REP_MIN)
        copy_forward(dst, src, len);
    else
        copy_rep(dst, src, len);
    return dst;
}

void *memmove(void *dst, const void *src, size_t len)
{
    size_t ahead = (size_t)((uintptr_t)dst - (uintptr_t)src);
    size_t behind = (size_t)((uintptr_t)src - (uintptr_t)dst);

    if (len <= 16)
        copy_small(dst, src, len);
    else if (ahead < len)
        copy_backward(dst, src, len);
    else if (behind < 64 || len < REP_MIN) /* "rep" is slow on a close overlap */
        copy_forward(dst, src, len);
    else
        copy_rep(dst, src, len);
    return dst;
}

static inline void fill_small(char *d, uint64_t pattern, size_t len)
{
    if (len >= 8) {
        STORE(word, d, pattern);
        STORE(word, d + len - 8, pattern);
    } else if (len >= 4) {
        STORE(half, d, (uint32_t)pattern);
        STORE(half, d + len - 4, (uint32_t)pattern);
    } else if (len >= 2) {
        STORE(quarter, d, (uint16_t)pattern);
        STORE(quarter, d + len - 2, (uint16_t)pattern);
    } else if (len == 1) {
        *d = (char)pattern;
    }
}

static inline void fill_forward(char *d, uint64_t pattern, size_t len)
{
    char *end = d + len - 16;

    while (d < end) {
        STORE(word, d, pattern);
        STORE(word, d + 8, pattern);
        d += 16;
        NOT_A_LOOP_CALL();
    }
    STORE(word, end, pattern);
    STORE(word, end + 8, pattern);
}

static inline void fill_rep(char *d, uint64_t pattern, size_t len)
{
    char *end = d + len - 8;
    size_t words = len / 8;

    __asm__ volatile("rep stosq" : "+D"(d), "+c"(words) : "a"(pattern) : "memory");
    STORE(word, end, pattern);
}

void *memset(void *dst, int byte, size_t len)
{
    uint64_t pattern = (uint8_t)byte * 0x0101010101010101ULL;
    void *d = dst;

    if (len <= 16)
        fill_small(d, pattern, len);
    else if (len < REP_MIN)
        fill_forward(d, pattern, len);
    else
        fill_rep(d, pattern, len);
    return dst;
}

int memcmp(const void *a, const void *b, size_t len)
{
    const uint8_t *x = a, *y = b;

    while (len >= 8 && LOAD(word, x) == LOAD(word, y)) {
        x += 8;
        y += 8;
        len -= 8;
    }
    for (; len > 0; x++, y++, len--)
        if (*x != *y)
            return *x - *y;
    return 0;
}

void *memchr(const void *s, int byte, size_t len)
{
    const uint8_t *p = s;

    for (; len > 0; p++, len--)
        if (*p == (uint8_t)byte)
            return (void *)p;
    return NULL;
}

size_t strlen(const char *s)
{
    const char *p = s;

    while (*p != '\0') {
        p++;
        NOT_A_LOOP_CALL();
    }
    return (size_t)(p - s);
}

size_t strnlen(const char *s, size_t max)
{
    size_t len = 0;

    while (len < max && s[len] != '\0')
        len++;
    return len;
}

int strcmp(const char *a, const char *b)
{
    while (*a != '\0' && *a == *b) {
        a++;
        b++;
    }
    return (uint8_t)*a - (uint8_t)*b;
}

int strncmp(const char *a, const char *b, size_t len)
{
    for (; len > 0; a++, b++, len--)
        if (*a != *b || *a == '\0')
            return (uint8_t)*a - (uint8_t)*b;
    return 0;
}

char *strchr(const char *s, int c)
{
    for (; *s != (char)c; s++)
        if (*s == '\0')
            return NULL;
    return (char *)s;
}

char *strrchr(const char *s, int c)
{
    const char *last = NULL;

    do {
        if (*s == (char)c)
            last = s;
    } while (*s++ != '\0');
    return (char *)last;
}

int string_copy(char *dst, size_t size, const char *src)
{
    size_t len = strnlen(src, size);

    if (len < size) {
        memcpy(dst, src, len + 1);
        return 0;
    }
    if (size > 0) {
        memcpy(dst, src, size - 1);
        dst[size - 1] = '\0';
    }
    return -E2BIG;
}
