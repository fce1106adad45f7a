/* SPDX-License-Identifier: BSD-2-Clause */
/* The parts of apps/httpd that need no socket. Connections are tested by tests/httpd. */
#include <stdio.h>
#include <string.h>
#include "apps/httpd/fields.h"
#include "apps/httpd/path.h"
#include "apps/httpd/request.h"
#include "apps/httpd/text.h"
#include "tests/host/test.h"

/* ---- paths
 * ---------------------------------------------------------------------------------------- */

static const struct {
    const char *target, *path; /* NULL: refused */
} targets[] = {
    {"/", "/"},
    {"/a/b", "/a/b"},
    {"/a/b/", "/a/b/"},
    {"//a///b//", "/a/b/"},
    {"/a/./b/.", "/a/b/"},
    {"/a/../b", "/b"},
    {"/a/b/..", "/a/"},
    {"/a/..", "/"},
    {"/...", "/..."},
    {"/..a/.b", "/..a/.b"},
    {"/%41%2fb", "/A/b"},
    {"/a%20b%C3%a4", "/a b\xc3\xa4"},
    {"/a?b/../..", "/a"},
    {"http://host:8/a", "/a"},
    {"http://host", "/"},
    {"/..", NULL},
    {"/a/../..", NULL},
    {"/%2e%2E", NULL},
    {"/a%2f..%2f..", NULL},
    {"/a%00", NULL},
    {"/%", NULL},
    {"/%a", NULL},
    {"/%g0", NULL},
    {"*", NULL},
    {"host:80", NULL},
    {"a", NULL},
};

TEST(httpd, walks_paths_and_never_leaves_the_root)
{
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        char out[64];
        int rc = path_from_target(targets[i].target, strlen(targets[i].target), out, sizeof(out));

        if (targets[i].path == NULL) {
            CHECK_EQ(rc, -400);
            continue;
        }
        CHECK_STR(out, targets[i].path);
        CHECK_EQ(rc, (int)strlen(out));
    }
}

TEST(httpd, makes_absolute_paths_without_dots_of_any_bytes)
{
    static const char bytes[] = "/./%2e%2fab%00?#";

    for (int round = 0; round < 20000; round++) {
        char target[32] = "/", out[32];
        size_t len = 1 + test_random_below(sizeof(target) - 1);
        for (size_t i = 1; i < len; i++)
            target[i] = bytes[test_random_below(sizeof(bytes) - 1)];
        int rc = path_from_target(target, len, out, sizeof(out));
        CHECK(rc >= 1 || rc == -400);
        if (rc < 1)
            continue;
        CHECK_EQ(out[0], '/');
        CHECK_EQ(strlen(out), (size_t)rc);
        CHECK(strstr(out, "//") == NULL && strstr(out, "/../") == NULL);
        CHECK(rc < 3 || strcmp(out + rc - 3, "/..") != 0);
    }
}

TEST(httpd, refuses_paths_that_do_not_fit)
{
    char out[8];

    CHECK_EQ(path_from_target("/123456", 7, out, sizeof(out)), 7);
    CHECK_EQ(path_from_target("/1234567", 8, out, sizeof(out)), -414);
    CHECK_EQ(path_from_target("/%31%32%33%34%35%36%37", 22, out, sizeof(out)), -414);
}

TEST(httpd, takes_the_content_type_from_the_last_extension)
{
    CHECK_STR(path_content_type("/a.b/c.HTML"), "text/html; charset=utf-8");
    CHECK_STR(path_content_type("/a.tar.gz"), "application/gzip");
    CHECK_STR(path_content_type("/a.html/plain"), "application/octet-stream");
    CHECK_STR(path_content_type("/"), "application/octet-stream");
}

/* ---- fields
 * --------------------------------------------------------------------------------------- */

TEST(httpd, reads_the_dates_it_writes)
{
    char text[DATE_SIZE];
    time_t t, back;

    for (int round = 0; round < 20000; round++) {
        t = (time_t)test_random_below(253402300800); /* the end of the year 9999 */
        date_format(t, text);
        CHECK(date_parse(text, &back));
        CHECK_EQ(back, t);
    }
    date_format(784111777, text);
    CHECK_STR(text, "Sun, 06 Nov 1994 08:49:37 GMT");
}

TEST(httpd, reads_no_other_dates)
{
    static const char *const bad[] = {
        "",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Now 1994 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 32 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, -6 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
    };
    time_t t;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        CHECK(!date_parse(bad[i], &t));
}

static const struct {
    const char *text;
    off_t size;
    int status;
    off_t begin, end;
} ranges[] = {
    {"bytes=0-0", 10, 206, 0, 1},
    {"bytes=3-", 10, 206, 3, 10},
    {"bytes=3-99", 10, 206, 3, 10},
    {"bytes=9-9", 10, 206, 9, 10},
    {"bytes=-3", 10, 206, 7, 10},
    {"bytes=-10", 10, 206, 0, 10},
    {"bytes=-11", 10, 206, 0, 10},
    {"bytes=10-", 10, 416, 0, 10},
    {"bytes=-0", 10, 416, 0, 10},
    {"bytes=0-", 0, 416, 0, 0},
    {"bytes=-1", 0, 416, 0, 0},
    {"bytes=0-18446744073709551599", 10, 206, 0, 10},
    {"bytes=18446744073709551599-", 10, 416, 0, 10},
    {"bytes=99999999999999999999-", 10, 200, 0, 10},
    {"bytes=2-1", 10, 200, 0, 10},
    {"bytes=", 10, 200, 0, 10},
    {"bytes=-", 10, 200, 0, 10},
    {"bytes=1", 10, 200, 0, 10},
    {"bytes=+1-2", 10, 200, 0, 10},
    {"bytes=1-2,4-5", 10, 200, 0, 10},
    {"bytes=1-2 ", 10, 200, 0, 10},
    {"byte=1-2", 10, 200, 0, 10},
    {"", 10, 200, 0, 10},
};

TEST(httpd, cuts_ranges_to_the_file)
{
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        struct range r;
        off_t begin, end;

        range_parse(ranges[i].text, &r);
        CHECK_EQ(range_resolve(&r, ranges[i].size, &begin, &end), ranges[i].status);
        if (ranges[i].status != 416) {
            CHECK_EQ(begin, ranges[i].begin);
            CHECK_EQ(end, ranges[i].end);
        }
    }
}

TEST(httpd, finds_tags_in_lists)
{
    CHECK(etag_in_list("\"a\"", "\"a\""));
    CHECK(etag_in_list(" \"x\" ,, W/\"a\"", "\"a\""));
    CHECK(etag_in_list("*", "\"a\""));
    CHECK(!etag_in_list("", "\"a\""));
    CHECK(!etag_in_list("\"aa\", \"\", a, **", "\"a\""));
}

/* ---- texts
 * ---------------------------------------------------------------------------------------- */

TEST(httpd, escapes_what_strangers_say)
{
    char buf[128];
    struct text t;

    text_init(&t, buf, sizeof(buf));
    text_add_json(&t, "\"\\\n\x7f\xffz");
    CHECK_STR(buf, "\\\"\\\\\\u000a\\u007f\\u00ffz");
    text_init(&t, buf, sizeof(buf));
    text_add_html(&t, "<a b='\"&\x01>");
    CHECK_STR(buf, "&#60;a b=&#39;&#34;&#38;&#63;&#62;");
    text_init(&t, buf, sizeof(buf));
    text_add_url(&t, "/a b\r\n\xc3%");
    CHECK_STR(buf, "/a%20b%0D%0A%C3%25");
}

TEST(httpd, adds_to_a_text_all_or_nothing)
{
    char buf[8];
    struct text t;

    text_init(&t, buf, sizeof(buf));
    text_add(&t, "%s", "1234567");
    CHECK(!t.full);
    text_init(&t, buf, sizeof(buf));
    text_add(&t, "%s", "12345678");
    CHECK(t.full);
    CHECK_STR(buf, "");
    text_init(&t, buf, sizeof(buf));
    text_add(&t, "1");
    text_add_html(&t, "ab<");
    CHECK(t.full);
    CHECK_STR(buf, "1");
    CHECK_EQ(t.len, 1);
}

/* ---- requests
 * ------------------------------------------------------------------------------------- */

static const char whole[] = "GET /a?b HTTP/1.1\r\nhost: x\r\nRange: bytes=1-2 \r\n"
                            "IF-NONE-MATCH:\t\"t\"\r\nUnknown-And-Quite-Long-Name: v\r\n\r\n";

static void check_whole(const struct request *r)
{
    CHECK(request_is_done(r));
    CHECK_EQ(r->refusal, 0);
    CHECK(r->keep_alive && !r->only_head && !r->http_1_0);
    CHECK_STR(r->target, "/a?b");
    CHECK_EQ(r->range.kind, RANGE_FROM);
    CHECK_EQ(r->range.last, 2);
    CHECK_STR(r->none_match, "\"t\"");
}

TEST(httpd, reads_a_request_in_pieces_of_any_size)
{
    size_t len = sizeof(whole) - 1;

    for (size_t piece = 1; piece <= len; piece++) {
        struct request *r = request_create();
        for (size_t at = 0; at < len; at += piece) {
            size_t n = len - at < piece ? len - at : piece;
            CHECK_EQ(request_feed(r, whole + at, n), n);
        }
        check_whole(r);
        request_destroy(r);
    }
}

TEST(httpd, leaves_the_next_request_alone)
{
    char two[2 * sizeof(whole)];
    struct request *r = request_create();

    snprintf(two, sizeof(two), "%s%s", whole, whole);
    CHECK_EQ(request_feed(r, two, strlen(two)), sizeof(whole) - 1);
    check_whole(r);
    request_destroy(r);
}

static const struct {
    int refusal;
    const char *text;
} heads[] = {
    {0, "GET / HTTP/1.0\r\n\r\n"},
    {0, "HEAD / HTTP/1.1\r\nHost:\r\n\r\n"},
    {0, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: a\r\nhOST: b\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost : a\r\n\r\n"},
    {400, "GARBAGE\r\n\r\n"},
    {405, "POST / HTTP/1.1\r\nHost: a\r\n\r\n"},
    {405, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"},
    {413, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"},
    {413, "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
    {505, "GET / HTTP/3.0\r\n\r\n"},
};

TEST(httpd, refuses_requests_that_it_cannot_answer)
{
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        struct request *r = request_create();
        request_feed(r, heads[i].text, strlen(heads[i].text));
        CHECK(request_is_done(r));
        CHECK_EQ(r->refusal, heads[i].refusal);
        CHECK(r->refusal == 0 || r->refusal == 405 || !r->keep_alive);
        request_destroy(r);
    }
}

TEST(httpd, survives_any_bytes_as_a_request)
{
    for (int round = 0; round < 20000; round++) {
        char bytes[sizeof(whole)];
        struct request *r = request_create();
        size_t len = sizeof(whole) - 1;
        memcpy(bytes, whole, len);
        for (int changes = 0; changes < 3; changes++)
            bytes[test_random_below(len)] = (char)test_random();
        CHECK(request_feed(r, bytes, len) <= len);
        CHECK(!request_is_done(r) || r->refusal != 0 || r->target != NULL);
        request_destroy(r);
    }
}
