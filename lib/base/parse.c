/* SPDX-License-Identifier: BSD-2-Clause */
/* Strict parsing: every character is judged, every number is bounded before it is used. */
#include "lib/base/parse.h"

#include <stdbool.h>
#include "lib/base/errno.h"

int parse_u64(const char *s, uint64_t min, uint64_t max, uint64_t *out)
{
    uint64_t value = 0;
    bool fits = true;

    if (*s == '\0')
        return -EINVAL;
    /* To the end even when it no longer fits: "99999999999999999999x" is no number. */
    for (; *s != '\0'; s++) {
        if (*s < '0' || *s > '9')
            return -EINVAL;
        fits = fits && !__builtin_mul_overflow(value, 10, &value) &&
               !__builtin_add_overflow(value, (uint64_t)(*s - '0'), &value);
    }
    if (!fits || value < min || value > max)
        return -ERANGE;
    *out = value;
    return 0;
}

int parse_u32(const char *s, uint32_t min, uint32_t max, uint32_t *out)
{
    uint64_t value;
    int rc = parse_u64(s, min, max, &value);

    if (rc == 0)
        *out = (uint32_t)value;
    return rc;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

int parse_mac(const char *s, uint8_t mac[6])
{
    uint8_t bytes[6];

    for (int i = 0; i < 6; i++, s += 3) {
        int high = hex_digit(s[0]);
        int low = high < 0 ? -1 : hex_digit(s[1]);

        if (low < 0 || s[2] != (i < 5 ? ':' : '\0'))
            return -EINVAL;
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    for (int i = 0; i < 6; i++)
        mac[i] = bytes[i];
    return 0;
}
