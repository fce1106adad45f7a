/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/httpd/fields.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>

static const char weekdays[] = "SunMonTueWedThuFriSat";
static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

void date_format(time_t t, char out[DATE_SIZE])
{
    struct tm tm;

    gmtime_r(&t, &tm);
    snprintf(out, DATE_SIZE, "%.3s, %02u %.3s %04u %02u:%02u:%02u GMT", weekdays + 3 * tm.tm_wday,
             tm.tm_mday % 32U, months + 3 * tm.tm_mon, (tm.tm_year + 1900U) % 10000,
             tm.tm_hour % 24U, tm.tm_min % 60U, tm.tm_sec % 61U);
}

/* Two digits at (p), or 100. */
static unsigned two_digits(const char *p)
{
    if (!isdigit((unsigned char)p[0]) || !isdigit((unsigned char)p[1]))
        return 100;
    return (unsigned)(p[0] - '0') * 10 + (unsigned)(p[1] - '0');
}

/* 0 to 11, or 12. */
static unsigned month_number(const char *p)
{
    unsigned m = 0;

    while (m < 12 && memcmp(p, months + 3 * m, 3) != 0)
        m++;
    return m;
}

/* Days from 1970-01-01; years begin in March here, so that a leap day is the last of its year. */
static int64_t days_since_epoch(int64_t year, unsigned month, unsigned day)
{
    if (month < 2) {
        year--;
        month += 12;
    }
    int64_t leap_days = year / 4 - year / 100 + year / 400;
    return year * 365 + leap_days + (153 * ((int64_t)month - 2) + 2) / 5 + day - 719469;
}

bool date_parse(const char *text, time_t *out)
{
    /*           0123456789012345678901234567 */
    /* the form: Sun, 06 Nov 1994 08:49:37 GMT */
    if (strlen(text) != DATE_SIZE - 1 || strcmp(text + 25, " GMT") != 0 || text[3] != ',' ||
        text[19] != ':' || text[22] != ':')
        return false;
    unsigned day = two_digits(text + 5), month = month_number(text + 8);
    unsigned century = two_digits(text + 12), year = two_digits(text + 14);
    unsigned hour = two_digits(text + 17), min = two_digits(text + 20), sec = two_digits(text + 23);
    if (day < 1 || day > 31 || month > 11 || century > 99 || year > 99 || hour > 23 || min > 59 ||
        sec > 60)
        return false;
    int64_t days = days_since_epoch(century * 100 + year, month, day);
    *out = (time_t)(((days * 24 + hour) * 60 + min) * 60 + sec);
    return true;
}

/* The decimal number at *p, which moves behind it; false when there is none or it is too large. */
static bool take_number(const char **p, uint64_t *out)
{
    const char *start = *p;
    uint64_t n = 0;

    for (; isdigit((unsigned char)**p); (*p)++) {
        if (n > (UINT64_MAX - 9) / 10)
            return false;
        n = n * 10 + (uint64_t)(**p - '0');
    }
    *out = n;
    return *p != start;
}

void range_parse(const char *text, struct range *out)
{
    struct range r = {RANGE_FROM, 0, UINT64_MAX};

    out->kind = RANGE_NONE;
    if (strncmp(text, "bytes=", 6) != 0)
        return;
    text += 6;
    if (*text == '-')
        r.kind = RANGE_SUFFIX;
    else if (!take_number(&text, &r.first) || *text != '-')
        return;
    text++;
    if ((*text != '\0' || r.kind == RANGE_SUFFIX) && !take_number(&text, &r.last))
        return;
    if (*text == '\0' && (r.kind == RANGE_SUFFIX || r.first <= r.last))
        *out = r;
}

int range_resolve(const struct range *r, off_t size, off_t *begin, off_t *end)
{
    uint64_t have = (uint64_t)size;

    *begin = 0;
    *end = size;
    if (r->kind == RANGE_NONE)
        return 200;
    if (r->kind == RANGE_SUFFIX) {
        *begin = r->last < have ? (off_t)(have - r->last) : 0;
        return r->last > 0 && have > 0 ? 206 : 416;
    }
    if (r->first >= have)
        return 416;
    *begin = (off_t)r->first;
    if (r->last < have)
        *end = (off_t)r->last + 1;
    return 206;
}

bool etag_in_list(const char *list, const char *etag)
{
    size_t len = strlen(etag);

    for (;;) {
        list += strspn(list, " \t,");
        if (*list == '\0')
            return false;
        if (strncmp(list, "W/", 2) == 0)
            list += 2;
        size_t item = strcspn(list, " \t,");
        if ((item == 1 && *list == '*') || (item == len && memcmp(list, etag, len) == 0))
            return true;
        list += item;
    }
}
