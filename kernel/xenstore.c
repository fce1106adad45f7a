/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Xenstore's nodes, directories and transactions, as requests over xswire.c. What comes back is
 * text that we judge here: no NUL inside a value, numbers to the last digit, directories that end
 * where a name ends.
 *
 * A directory that does not fit one answer comes in parts. It may change between two of them: then
 * its generation differs, and we start again, a bounded number of times.
 */
#include "kernel/xenstore.h"

#include "kernel/heap.h"
#include "kernel/xswire.h"
#include "lib/base/errno.h"
#include "lib/base/format.h"
#include "lib/base/parse.h"
#include "lib/base/string.h"

_Static_assert(XS_TIMEOUT == XSWIRE_TIMEOUT, "what xenstore.h promises");

#define LIST_RESTARTS 5
#define NUMBER_MAX 24 /* digits of a number, with NUL */

void xs_init(const struct bootinfo *boot)
{
    xswire_init(boot);
}

/* ---- nodes ---- */

/* The common request: a path, with its NUL. */
static long call_path(enum xsd_sockmsg_type type, xs_tx_t tx, const char *path, char *reply,
                      size_t size)
{
    struct xswire_part part = {path, strlen(path) + 1};

    return xswire_call(type, tx, &part, 1, reply, size);
}

/* Paths that do not end in our buffers' time are refused before they are sent. */
static int check_path(const char *path)
{
    return strnlen(path, XS_PATH_MAX) < XS_PATH_MAX ? 0 : -ENAMETOOLONG;
}

long xs_read(xs_tx_t tx, const char *path, char *buf, size_t size)
{
    long len = check_path(path);

    if (len == 0)
        len = call_path(XS_READ, tx, path, buf, size);
    if (len == -E2BIG || (len > 0 && strlen(buf) != (size_t)len))
        return -EINVAL;
    return len;
}

int xs_read_u64(xs_tx_t tx, const char *path, uint64_t min, uint64_t max, uint64_t *out)
{
    char text[NUMBER_MAX];
    long len = xs_read(tx, path, text, sizeof(text));

    return len < 0 ? (int)len : parse_u64(text, min, max, out);
}

int xs_write(xs_tx_t tx, const char *path, const char *value)
{
    struct xswire_part parts[] = {{path, strlen(path) + 1}, {value, strlen(value)}};
    long rc = check_path(path);

    if (rc == 0)
        rc = xswire_call(XS_WRITE, tx, parts, ARRAY_SIZE(parts), NULL, 0);
    return (int)MIN(rc, 0);
}

int xs_printf(xs_tx_t tx, const char *path, const char *fmt, ...)
{
    char value[256];
    va_list ap;
    int len;

    va_start(ap, fmt);
    len = vformat(value, sizeof(value), fmt, ap);
    va_end(ap);
    return (size_t)len < sizeof(value) ? xs_write(tx, path, value) : -E2BIG;
}

int xs_rm(xs_tx_t tx, const char *path)
{
    long rc = check_path(path);

    if (rc == 0)
        rc = call_path(XS_RM, tx, path, NULL, 0);
    return (int)MIN(rc, 0);
}

/* ---- directories ---- */

/* Names as the store sends them, each with its NUL. */
struct names {
    char *text;
    size_t len;
};

/* "a\0b\0" in text[len] to pointers and text in one block. */
static int pack_names(const struct names *from, char ***names, size_t *count)
{
    size_t n = 0;
    char **block, *text;

    for (size_t i = 0; i < from->len; i++)
        n += from->text[i] == '\0';
    block = heap_alloc((n + 1) * sizeof(char *) + from->len);
    if (block == NULL)
        return -ENOMEM;
    text = (char *)(block + n + 1);
    memcpy(text, from->text, from->len);
    for (size_t i = 0; i < n; i++, text += strlen(text) + 1)
        block[i] = text;
    block[n] = NULL;
    *names = block;
    *count = n;
    return 0;
}

static int append_names(struct names *to, const char *text, size_t len)
{
    char *bigger;

    if (to->len + len > XS_LIST_MAX)
        return -E2BIG;
    bigger = heap_resize(to->text, to->len + len + 1);
    if (bigger == NULL)
        return -ENOMEM;
    memcpy(bigger + to->len, text, len);
    to->text = bigger;
    to->len += len;
    return 0;
}

/* Take in one answer to DIRECTORY_PART: "generation\0" and names from offset (to->len) on; the last
 * one ends with an empty name. 1: go on, 0: complete, -EAGAIN: another (generation), -errno. */
static int append_part(struct names *to, const char *reply, size_t len, char *generation)
{
    size_t used = strlen(reply) + 1;
    bool last;
    int rc;

    if (used >= len || used > NUMBER_MAX || reply[len - 1] != '\0')
        return -EIO;
    if (to->len == 0)
        memcpy(generation, reply, used);
    else if (strcmp(generation, reply) != 0)
        return -EAGAIN;
    last = len - used == 1 || reply[len - 2] == '\0';
    rc = append_names(to, reply + used, len - used - last);
    return rc != 0 ? rc : !last;
}

/* The whole directory in parts, with (reply) of XENSTORE_PAYLOAD_MAX + 1 bytes for each answer. */
static int list_parts(xs_tx_t tx, const char *path, struct names *to, char *reply)
{
    char generation[NUMBER_MAX], offset[NUMBER_MAX];
    struct xswire_part parts[] = {{path, strlen(path) + 1}, {offset, 0}};
    long rc;

    to->len = 0;
    do {
        parts[1].len = (size_t)format(offset, sizeof(offset), "%zu", to->len) + 1;
        rc = xswire_call(XS_DIRECTORY_PART, tx, parts, ARRAY_SIZE(parts), reply,
                         XENSTORE_PAYLOAD_MAX + 1);
        if (rc >= 0)
            rc = append_part(to, reply, (size_t)rc, generation);
    } while (rc > 0);
    return (int)rc;
}

/* Whole if it fits an answer, else in parts; again, a few times, when it changes meanwhile. */
static int list_names(xs_tx_t tx, const char *path, struct names *to, char *reply)
{
    long len = call_path(XS_DIRECTORY, tx, path, reply, XENSTORE_PAYLOAD_MAX + 1);
    int rc = -EAGAIN;

    if (len > 0 && reply[len - 1] != '\0')
        return -EIO;
    if (len >= 0)
        return append_names(to, reply, (size_t)len);
    if (len != -E2BIG)
        return (int)len;
    for (unsigned i = 0; i < LIST_RESTARTS && rc == -EAGAIN; i++)
        rc = list_parts(tx, path, to, reply);
    return rc;
}

int xs_list(xs_tx_t tx, const char *path, char ***names, size_t *count)
{
    struct names all = {NULL, 0};
    char *reply;
    int rc = check_path(path);

    if (rc != 0)
        return rc;
    reply = heap_alloc(XENSTORE_PAYLOAD_MAX + 1);
    if (reply == NULL)
        return -ENOMEM;
    rc = list_names(tx, path, &all, reply);
    if (rc == 0)
        rc = pack_names(&all, names, count);
    heap_free(all.text);
    heap_free(reply);
    return rc;
}

/* ---- transactions ---- */

int xs_tx_begin(xs_tx_t *out)
{
    char text[NUMBER_MAX];
    long len = call_path(XS_TRANSACTION_START, XS_NO_TX, "", text, sizeof(text));

    if (len < 0)
        return (int)len;
    return parse_u32(text, 1, UINT32_MAX, out) == 0 ? 0 : -EIO;
}

int xs_tx_end(xs_tx_t tx, bool commit)
{
    long len = call_path(XS_TRANSACTION_END, tx, commit ? "T" : "F", NULL, 0);

    return len < 0 ? (int)len : 0;
}
