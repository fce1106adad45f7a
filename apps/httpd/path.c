/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Decoding comes first and walking second, so that "%2e%2e" and "%2f" mean what "..", "/" mean and
 * there is only one form of a path behind this file. ".." is resolved by words alone; one that
 * would leave the root is refused rather than clipped, because no browser sends it.
 */
#include "apps/httpd/path.h"
#include <ctype.h>
#include <http_parser.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

/* Where the path of (target) is: 0, or -400. "*" and "host:port" are no paths. */
static int find_path(const char *target, size_t len, const char **path, size_t *path_len)
{
    struct http_parser_url url;

    http_parser_url_init(&url);
    if (http_parser_parse_url(target, len, 0, &url) != 0)
        return -400;
    *path = "/";
    *path_len = 1;
    if (url.field_set & (1 << UF_PATH)) {
        *path = target + url.field_data[UF_PATH].off;
        *path_len = url.field_data[UF_PATH].len;
    }
    return **path == '/' ? 0 : -400;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The next character of a path that has (left) bytes: how many of them it took, 0 when it is bad.
 */
static size_t decode_one(const char *p, size_t left, char *out)
{
    if (*p != '%') {
        *out = *p;
        return *p == '\0' ? 0 : 1;
    }
    int high = left >= 3 ? hex_digit(p[1]) : -1;
    int low = left >= 3 ? hex_digit(p[2]) : -1;
    if (high < 0 || low < 0)
        return 0;
    *out = (char)(high * 16 + low);
    return *out == '\0' ? 0 : 3;
}

/* Length of the decoded path, or -400, -414. */
static int decode(const char *p, size_t len, char *out, size_t size)
{
    size_t n = 0;

    for (size_t i = 0, took; i < len; i += took) {
        if (n + 1 >= size)
            return -414;
        took = decode_one(p + i, len - i, &out[n++]);
        if (took == 0)
            return -400;
    }
    out[n] = '\0';
    return (int)n;
}

static bool segment_is(const char *segment, size_t len, const char *word)
{
    return len == strlen(word) && memcmp(segment, word, len) == 0;
}

/* Rewrite path[] in place, which only gets shorter. Between rounds path[0..n) has no last "/". */
static int walk(char *path)
{
    const char *in = path;
    size_t n = 0;
    bool directory = false;

    while (*in == '/') {
        const char *segment = ++in;
        size_t len = strcspn(segment, "/");

        in += len;
        directory = len == 0 || segment_is(segment, len, ".") || segment_is(segment, len, "..");
        if (segment_is(segment, len, "..")) {
            if (n == 0)
                return -400;
            while (path[--n] != '/')
                ;
        } else if (!directory) {
            path[n++] = '/';
            memmove(path + n, segment, len);
            n += len;
        }
    }
    if (directory)
        path[n++] = '/';
    path[n] = '\0';
    return (int)n;
}

int path_from_target(const char *target, size_t len, char *out, size_t size)
{
    const char *path;
    size_t path_len;
    int rc = find_path(target, len, &path, &path_len);

    if (rc == 0)
        rc = decode(path, path_len, out, size);
    return rc < 0 ? rc : walk(out);
}

static const struct {
    const char *extension, *type;
} types[] = {
    {"html", "text/html; charset=utf-8"},
    {"htm", "text/html; charset=utf-8"},
    {"css", "text/css; charset=utf-8"},
    {"js", "text/javascript; charset=utf-8"},
    {"mjs", "text/javascript; charset=utf-8"},
    {"txt", "text/plain; charset=utf-8"},
    {"md", "text/plain; charset=utf-8"},
    {"csv", "text/csv; charset=utf-8"},
    {"json", "application/json"},
    {"xml", "application/xml"},
    {"svg", "image/svg+xml"},
    {"png", "image/png"},
    {"jpg", "image/jpeg"},
    {"jpeg", "image/jpeg"},
    {"gif", "image/gif"},
    {"webp", "image/webp"},
    {"avif", "image/avif"},
    {"ico", "image/x-icon"},
    {"woff2", "font/woff2"},
    {"mp3", "audio/mpeg"},
    {"ogg", "audio/ogg"},
    {"mp4", "video/mp4"},
    {"webm", "video/webm"},
    {"pdf", "application/pdf"},
    {"wasm", "application/wasm"},
    {"zip", "application/zip"},
    {"gz", "application/gzip"},
};

const char *path_content_type(const char *path)
{
    const char *name = strrchr(path, '/');
    const char *dot = strrchr(name == NULL ? path : name, '.');

    for (size_t i = 0; dot != NULL && i < sizeof(types) / sizeof(types[0]); i++) {
        if (strcasecmp(dot + 1, types[i].extension) == 0)
            return types[i].type;
    }
    return "application/octet-stream";
}
