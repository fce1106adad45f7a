/* SPDX-License-Identifier: BSD-2-Clause */
/* Values of header fields: dates, byte ranges, entity tags (RFC 9110). */
#ifndef APPS_HTTPD_FIELDS_H
#define APPS_HTTPD_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#define DATE_SIZE 30
#define ETAG_SIZE 56

/* (t) as "Sun, 06 Nov 1994 08:49:37 GMT". */
void date_format(time_t t, char out[DATE_SIZE]);
/* False when (text) is not a date of that form. */
bool date_parse(const char *text, time_t *out);

/* One range of bytes, as it was asked for. */
enum range_kind {
    RANGE_NONE,   /* none, one that is not understood, or several: all bytes are sent */
    RANGE_FROM,   /* bytes=FIRST-LAST and bytes=FIRST- (then last is UINT64_MAX) */
    RANGE_SUFFIX, /* bytes=-LAST: so many from the end */
};
struct range {
    enum range_kind kind;
    uint64_t first, last;
};
void range_parse(const char *text, struct range *out);
/* Which bytes [*begin, *end) of (size) are meant: status 200 (all), 206, or 416 (none of them). */
int range_resolve(const struct range *r, off_t size, off_t *begin, off_t *end);

/* True when the tag (etag), with its quotes, is in (list) ("*" is every tag). */
bool etag_in_list(const char *list, const char *etag);

#endif
