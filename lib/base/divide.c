/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * 128-bit division, which the compiler calls by these names. The compiler's own library keeps
 * data below the stack pointer (the red zone), where Xen writes event frames; so these come
 * first in the link.
 *
 * The divide instruction does 128 / 64 bits when the quotient fits into 64. A divisor of one word
 * therefore needs two of them; with a larger one the quotient is estimated by normalized leading
 * words, is at most one too large, and is corrected by multiplying back.
 */
#include <stddef.h>
#include <stdint.h>

typedef unsigned __int128 u128;
typedef __int128 i128;

u128 __udivmodti4(u128 n, u128 d, u128 *rem);
u128 __udivti3(u128 n, u128 d);
u128 __umodti3(u128 n, u128 d);
i128 __divti3(i128 n, i128 d);
i128 __modti3(i128 n, i128 d);

#define HIGH(x) ((uint64_t)((x) >> 64))
#define LOW(x) ((uint64_t)(x))

/* (high:low) / d where high < d. */
static inline uint64_t divide_words(uint64_t high, uint64_t low, uint64_t d, uint64_t *rem)
{
    uint64_t q;

    __asm__("divq %4" : "=a"(q), "=d"(*rem) : "0"(low), "1"(high), "rm"(d) : "cc");
    return q;
}

static u128 divide_by_word(u128 n, uint64_t d, u128 *rem)
{
    uint64_t r, high, low;

    high = divide_words(0, HIGH(n), d, &r);
    low = divide_words(r, LOW(n), d, &r);
    *rem = r;
    return (u128)high << 64 | low;
}

/* HIGH(d) != 0, so the quotient has one word. */
static u128 divide_by_two_words(u128 n, u128 d, u128 *rem)
{
    unsigned shift = (unsigned)__builtin_clzll(HIGH(d));
    uint64_t leading = HIGH(d << shift), unused;
    /* n / 2 keeps the first word below the normalized divisor's. */
    uint64_t q = divide_words(HIGH(n >> 1), LOW(n >> 1), leading, &unused);

    /* q is now the quotient scaled by 2^(63 - shift), or one more. */
    q = q >> (63 - shift);
    if (q != 0)
        q--; /* now right, or one too small */
    *rem = n - q * d;
    if (*rem >= d) {
        q++;
        *rem -= d;
    }
    return q;
}

u128 __udivmodti4(u128 n, u128 d, u128 *rem)
{
    u128 q, r;

    if (n < d) {
        q = 0;
        r = n;
    } else if (HIGH(d) == 0) {
        q = divide_by_word(n, LOW(d), &r);
    } else {
        q = divide_by_two_words(n, d, &r);
    }
    if (rem != NULL)
        *rem = r;
    return q;
}

u128 __udivti3(u128 n, u128 d)
{
    return __udivmodti4(n, d, NULL);
}

u128 __umodti3(u128 n, u128 d)
{
    u128 r;

    __udivmodti4(n, d, &r);
    return r;
}

static u128 magnitude(i128 x)
{
    return x < 0 ? -(u128)x : (u128)x;
}

/* Towards zero, as C wants. */
i128 __divti3(i128 n, i128 d)
{
    u128 q = __udivmodti4(magnitude(n), magnitude(d), NULL);

    return (i128)((n < 0) != (d < 0) ? -q : q);
}

/* The remainder has the sign of (n). */
i128 __modti3(i128 n, i128 d)
{
    u128 r;

    __udivmodti4(magnitude(n), magnitude(d), &r);
    return (i128)(n < 0 ? -r : r);
}
