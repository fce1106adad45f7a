/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A request becomes an answer in three steps: find what is meant (a status page, a file, an error),
 * compare it with what the client has (conditions, ranges), and write the head.
 *
 * A text is written first and its head moved in front of it, because the head tells its length.
 *
 * A tag is made of the start of this server, the file's own time and its size: images of file
 * systems are often made with one time for all files, and a newer image comes with a new start.
 */
#include "apps/httpd/answer.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "apps/httpd/counters.h"
#include "apps/httpd/page.h"
#include "apps/httpd/path.h"
#include "apps/httpd/status.h"
#include "apps/httpd/text.h"

#define PATH_ROOM 1024 /* a decoded path, with its NUL */
#define HEAD_ROOM 4096 /* also with such a path in it, every byte as %XX */

/* An answer on its way. */
struct draft {
    const struct request *request; /* NULL: none that could be understood */
    struct answer *answer;
    struct text head, body;
    const char *type;
    char path[PATH_ROOM]; /* what is meant, and the place for what is opened */
    struct stat st;
    char etag[ETAG_SIZE];
};

static char root[256];
static size_t root_len;
static time_t started;

/* ---- heads
 * ---------------------------------------------------------------------------------------- */

static void begin_head(struct draft *d, int status)
{
    char date[DATE_SIZE];

    d->answer->status = status;
    date_format(time(NULL), date);
    text_add(&d->head, "HTTP/1.1 %d %s\r\nServer: Paravane\r\nDate: %s\r\n", status,
             http_status_str((enum http_status)status), date);
}

static void end_head(struct draft *d)
{
    if (!d->answer->keep_alive)
        text_add(&d->head, "Connection: close\r\n");
    else if (d->request->http_1_0)
        text_add(&d->head, "Connection: keep-alive\r\n");
    text_add(&d->head, "\r\n");
}

/* The head is complete; the text in d->body is all of the answer's body. */
static void finish_with_text(struct draft *d)
{
    bool only_head = d->request != NULL && d->request->only_head;

    text_add(&d->head, "Content-Type: %s\r\nContent-Length: %zu\r\nCache-Control: no-store\r\n",
             d->type, d->body.len);
    end_head(d);
    d->answer->len = d->head.len;
    if (only_head)
        return;
    memmove(d->head.buf + d->head.len, d->body.buf, d->body.len);
    d->answer->len += d->body.len;
}

static void answer_page(struct draft *d, int status)
{
    d->type = "text/html; charset=utf-8";
    page_for_status(&d->body, status);
    begin_head(d, status);
    if (status == 405)
        text_add(&d->head, "Allow: GET, HEAD\r\n");
    if (status == 416)
        text_add(&d->head, "Content-Range: bytes */%lld\r\n", (long long)d->st.st_size);
    if (status == 503)
        text_add(&d->head, "Retry-After: 5\r\n");
    finish_with_text(d);
}

/* d->path is a directory, asked for without its "/". */
static void answer_redirect(struct draft *d)
{
    d->type = "text/html; charset=utf-8";
    page_for_status(&d->body, 301);
    begin_head(d, 301);
    text_add(&d->head, "Location: ");
    text_add_url(&d->head, d->path + root_len);
    text_add(&d->head, "/\r\n");
    finish_with_text(d);
}

/* ---- the server's own pages
 * ----------------------------------------------------------------------- */

static void answer_status(struct draft *d, bool json)
{
    d->type = json ? "application/json" : "text/html; charset=utf-8";
    if (json)
        status_write_json(&d->body);
    else
        status_write_page(&d->body);
    if (d->body.full) {
        text_init(&d->body, d->body.buf, d->body.size);
        answer_page(d, 500);
        return;
    }
    begin_head(d, 200);
    finish_with_text(d);
}

/* ---- files
 * ---------------------------------------------------------------------------------------- */

static int status_of_errno(int error)
{
    switch (error) {
    case EACCES:
    case EPERM:
        return 403;
    case ENOMEM:
    case EMFILE:
    case ENFILE:
        return 503;
    case ENOENT:
    case ENOTDIR:
    case ENAMETOOLONG:
    case ELOOP:
    case ENXIO:
        return 404;
    default:
        return 500; /* EIO, and what else says that the file system is damaged */
    }
}

/* Nothing is opened before it is known to be a regular file: opening a device could do things.
 * 0 with an open file, -1 for a directory, or the status that says why not. */
static int open_file(struct draft *d)
{
    if (stat(d->path, &d->st) != 0)
        return status_of_errno(errno);
    if (S_ISDIR(d->st.st_mode))
        return -1;
    if (!S_ISREG(d->st.st_mode))
        return 404;
    d->answer->file = open(d->path, O_RDONLY | O_NONBLOCK);
    if (d->answer->file < 0 || fstat(d->answer->file, &d->st) != 0)
        return status_of_errno(errno);
    return 0;
}

static void close_file(struct draft *d)
{
    if (d->answer->file >= 0)
        close(d->answer->file);
    d->answer->file = -1;
}

/* The client has this file already. If-None-Match is the better question and silences the other. */
static bool is_known(const struct draft *d)
{
    const struct request *r = d->request;

    if (r->none_match[0] != '\0')
        return etag_in_list(r->none_match, d->etag);
    return r->has_since && d->st.st_mtime > 0 && d->st.st_mtime <= r->since;
}

/* The part that is asked for: 200, 206 or 416. If-Range wants all when its file is another one. */
static int choose_range(struct draft *d)
{
    const struct request *r = d->request;
    struct range range = r->range;
    char date[DATE_SIZE];

    date_format(d->st.st_mtime, date);
    if (r->if_range[0] != '\0' && strcmp(r->if_range, d->etag) != 0 &&
        strcmp(r->if_range, date) != 0)
        range.kind = RANGE_NONE;
    if (r->only_head)
        range.kind = RANGE_NONE;
    return range_resolve(&range, d->st.st_size, &d->answer->offset, &d->answer->end);
}

static void add_validators(struct draft *d)
{
    char date[DATE_SIZE];

    date_format(d->st.st_mtime, date);
    text_add(&d->head, "ETag: %s\r\n", d->etag);
    if (d->st.st_mtime > 0)
        text_add(&d->head, "Last-Modified: %s\r\n", date);
}

/* A head for the open file; its bytes follow only when that is said here. */
static void answer_file(struct draft *d)
{
    struct answer *a = d->answer;
    int status = is_known(d) ? 304 : choose_range(d);

    if (status == 416) {
        answer_page(d, 416);
        close_file(d);
        return;
    }
    begin_head(d, status);
    add_validators(d);
    if (status == 206)
        text_add(&d->head, "Content-Range: bytes %lld-%lld/%lld\r\n", (long long)a->offset,
                 (long long)a->end - 1, (long long)d->st.st_size);
    if (status != 304)
        text_add(&d->head, "Accept-Ranges: bytes\r\nContent-Type: %s\r\nContent-Length: %lld\r\n",
                 path_content_type(d->path), (long long)(a->end - a->offset));
    end_head(d);
    a->len = d->head.len;
    if (status == 304 || d->request->only_head || a->offset == a->end)
        close_file(d);
}

/* d->path is a file, or a directory when it ends with "/": then its index.html is meant. */
static void answer_path(struct draft *d)
{
    size_t len = strlen(d->path);
    bool directory = d->path[len - 1] == '/';

    if (directory && len + sizeof("index.html") > sizeof(d->path)) {
        answer_page(d, 404);
        return;
    }
    if (directory)
        strcpy(d->path + len, "index.html");
    int rc = open_file(d);
    if (rc == -1 && !directory) {
        answer_redirect(d);
        return;
    }
    if (rc != 0) {
        close_file(d);
        answer_page(d, rc == -1 ? 404 : rc);
        return;
    }
    snprintf(d->etag, sizeof(d->etag), "\"%llx-%llx-%llx\"", (unsigned long long)started,
             (unsigned long long)d->st.st_mtime, (unsigned long long)d->st.st_size);
    answer_file(d);
}

/* ---- the whole
 * ------------------------------------------------------------------------------------ */

static bool root_is_there(void)
{
    struct stat st;

    return stat(root_len > 0 ? root : "/", &st) == 0 && S_ISDIR(st.st_mode);
}

static void answer_target(struct draft *d)
{
    const struct request *r = d->request;
    char *path = d->path + root_len;
    int rc = path_from_target(r->target, r->target_len, path, sizeof(d->path) - root_len);

    if (rc < 0)
        answer_page(d, -rc);
    else if (strcmp(path, "/-/status") == 0)
        answer_status(d, false);
    else if (strcmp(path, "/-/status.json") == 0)
        answer_status(d, true);
    else if (!root_is_there())
        answer_page(d, 503);
    else
        answer_path(d);
}

static void draft_init(struct draft *d, struct answer *a, char *buf, size_t size)
{
    memset(d, 0, sizeof(*d));
    *a = (struct answer){.file = -1};
    d->answer = a;
    text_init(&d->head, buf, HEAD_ROOM);
    text_init(&d->body, buf + HEAD_ROOM, size - HEAD_ROOM);
    memcpy(d->path, root, root_len);
}

static void count(const struct answer *a)
{
    counters.answers++;
    counters.errors += a->status >= 400;
}

void answer_request(const struct request *r, struct answer *a, char *buf, size_t size)
{
    struct draft d;

    draft_init(&d, a, buf, size);
    d.request = r;
    a->keep_alive = r->keep_alive;
    if (r->refusal != 0)
        answer_page(&d, r->refusal);
    else
        answer_target(&d);
    count(a);
}

void answer_refusal(int status, struct answer *a, char *buf, size_t size)
{
    struct draft d;

    draft_init(&d, a, buf, size);
    answer_page(&d, status);
    count(a);
}

bool answer_init(const char *dir)
{
    snprintf(root, sizeof(root), "%s", dir);
    root_len = strlen(root);
    while (root_len > 0 && root[root_len - 1] == '/')
        root[--root_len] = '\0';
    started = time(NULL);
    return root_is_there();
}
