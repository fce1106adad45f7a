/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Formatted print. One conversion is parsed into a struct spec, its argument is turned into
 * a piece of text (prefix and digits, or a string), and put() lays the piece out. The output keeps
 * counting after the buffer is full, so the caller learns the whole length.
 */
#include "lib/base/format.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include "lib/base/string.h"

struct out {
    char *buf;
    size_t size, len;
};

struct spec {
    bool zero, left, upper, alternate;
    int width, precision; /* precision < 0: none given */
    size_t bytes;         /* size of an integer argument */
    char conversion;
};

static void put(struct out *o, char c, size_t count)
{
    for (; count > 0; count--, o->len++)
        if (o->len + 1 < o->size)
            o->buf[o->len] = c;
}

static void put_text(struct out *o, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        put(o, text[i], 1);
}

/* (prefix) and (text) in the field: blanks left or right, zeros between the two. */
static void put_field(struct out *o, const struct spec *s, const char *prefix, size_t zeros,
                      const char *text, size_t len)
{
    size_t prefix_len = strlen(prefix);
    size_t used = prefix_len + zeros + len;
    size_t blanks = s->width > 0 && (size_t)s->width > used ? (size_t)s->width - used : 0;

    if (!s->left)
        put(o, ' ', blanks);
    put_text(o, prefix, prefix_len);
    put(o, '0', zeros);
    put_text(o, text, len);
    if (s->left)
        put(o, ' ', blanks);
}

static void put_number(struct out *o, const struct spec *s, const char *prefix, uint64_t value,
                       unsigned base)
{
    const char *digits = s->upper ? "0123456789ABCDEF" : "0123456789abcdef";
    char text[24];
    size_t at = sizeof(text), len, wanted = 1;

    for (; value != 0; value /= base)
        text[--at] = digits[value % base];
    len = sizeof(text) - at;
    if (s->precision >= 0)
        wanted = (size_t)s->precision;
    else if (s->zero && !s->left && (size_t)s->width > strlen(prefix))
        wanted = MAX((size_t)s->width - strlen(prefix), 1);
    put_field(o, s, prefix, wanted > len ? wanted - len : 0, text + at, len);
}

static void put_string(struct out *o, const struct spec *s, const char *text)
{
    if (text == NULL)
        text = "(null)";
    put_field(o, s, "", 0, text,
              s->precision < 0 ? strlen(text) : strnlen(text, (size_t)s->precision));
}

/* A number, or * for an argument. */
static const char *parse_count(const char *fmt, int *out, va_list *ap)
{
    if (*fmt == '*') {
        *out = va_arg(*ap, int);
        return fmt + 1;
    }
    for (*out = 0; *fmt >= '0' && *fmt <= '9'; fmt++)
        if (*out < 100000) /* more is a bug, and must not overflow */
            *out = *out * 10 + (*fmt - '0');
    return fmt;
}

static const char *parse_length(const char *fmt, struct spec *s)
{
    static const struct {
        char name[3];
        uint8_t bytes;
    } lengths[] = {{"hh", 1}, {"h", 2}, {"ll", 8}, {"l", 8}, {"z", 8}, {"t", 8}, {"j", 8}};

    s->bytes = sizeof(int);
    for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
        size_t len = strlen(lengths[i].name);

        if (strncmp(fmt, lengths[i].name, len) == 0) {
            s->bytes = lengths[i].bytes;
            return fmt + len;
        }
    }
    return fmt;
}

/* What follows a '%'. */
static const char *parse_spec(const char *fmt, struct spec *s, va_list *ap)
{
    memset(s, 0, sizeof(*s));
    for (; *fmt == '0' || *fmt == '-' || *fmt == '#'; fmt++) {
        s->zero = s->zero || *fmt == '0';
        s->left = s->left || *fmt == '-';
        s->alternate = s->alternate || *fmt == '#';
    }
    fmt = parse_count(fmt, &s->width, ap);
    if (s->width < 0) {
        s->left = true;
        s->width = s->width == INT_MIN ? 0 : -s->width;
    }
    s->precision = -1;
    if (*fmt == '.')
        fmt = parse_count(fmt + 1, &s->precision, ap);
    fmt = parse_length(fmt, s);
    s->conversion = *fmt;
    s->upper = *fmt == 'X';
    return fmt;
}

static int64_t signed_argument(const struct spec *s, va_list *ap)
{
    switch (s->bytes) {
    case 1:
        return (signed char)va_arg(*ap, int);
    case 2:
        return (short)va_arg(*ap, int);
    case 4:
        return va_arg(*ap, int);
    default:
        return va_arg(*ap, int64_t);
    }
}

static uint64_t unsigned_argument(const struct spec *s, va_list *ap)
{
    switch (s->bytes) {
    case 1:
        return (unsigned char)va_arg(*ap, unsigned);
    case 2:
        return (unsigned short)va_arg(*ap, unsigned);
    case 4:
        return va_arg(*ap, unsigned);
    default:
        return va_arg(*ap, uint64_t);
    }
}

static void put_signed(struct out *o, const struct spec *s, int64_t value)
{
    if (value < 0)
        put_number(o, s, "-", -(uint64_t)value, 10);
    else
        put_number(o, s, "", (uint64_t)value, 10);
}

static void put_hex(struct out *o, const struct spec *s, uint64_t value)
{
    const char *prefix = s->upper ? "0X" : "0x";

    put_number(o, s, s->alternate && value != 0 ? prefix : "", value, 16);
}

static void convert(struct out *o, const struct spec *s, va_list *ap)
{
    char c;

    switch (s->conversion) {
    case 'd':
    case 'i':
        put_signed(o, s, signed_argument(s, ap));
        break;
    case 'u':
        put_number(o, s, "", unsigned_argument(s, ap), 10);
        break;
    case 'x':
    case 'X':
        put_hex(o, s, unsigned_argument(s, ap));
        break;
    case 'p':
        put_number(o, s, "0x", (uintptr_t)va_arg(*ap, void *), 16);
        break;
    case 'c':
        c = (char)va_arg(*ap, int);
        put_field(o, s, "", 0, &c, 1);
        break;
    case 's':
        put_string(o, s, va_arg(*ap, const char *));
        break;
    default: /* "%%", and a visible trace of a mistake */
        put(o, s->conversion, 1);
    }
}

int vformat(char *buf, size_t size, const char *fmt, va_list ap)
{
    struct out o = {buf, size, 0};
    struct spec s;
    va_list args;

    va_copy(args, ap);
    for (; *fmt != '\0'; fmt++) {
        if (*fmt != '%') {
            put(&o, *fmt, 1);
            continue;
        }
        fmt = parse_spec(fmt + 1, &s, &args);
        if (s.conversion == '\0')
            break;
        convert(&o, &s, &args);
    }
    va_end(args);
    if (size > 0)
        buf[MIN(o.len, size - 1)] = '\0';
    return (int)MIN(o.len, (size_t)INT_MAX);
}

int format(char *buf, size_t size, const char *fmt, ...)
{
    va_list ap;
    int len;

    va_start(ap, fmt);
    len = vformat(buf, size, fmt, ap);
    va_end(ap);
    return len;
}
