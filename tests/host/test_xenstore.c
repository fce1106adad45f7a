/* SPDX-License-Identifier: BSD-2-Clause */
/* Xenstore: requests, transactions, watches; then a store that answers wrongly, late, or not at
 * all. */
#include "kernel/xenstore.h"

#include <stdio.h>
#include <string.h>
#include "kernel/heap.h"
#include "kernel/page.h"
#include "kernel/thread.h"
#include "lib/base/errno.h"
#include "lib/base/macros.h"
#include "tests/host/fakexen.h"
#include "tests/host/hostarch.h"
#include "tests/host/test.h"

FAKEXEN_BOOT(xenstore)

static struct fakexen_store_faults *const faults = &fakexen_store_faults;
static char text[XS_VALUE_MAX + 1];

static long read_node(const char *path)
{
    return xs_read(XS_NO_TX, path, text, sizeof(text));
}

/* The store still serves us. */
static void check_alive(void)
{
    fakexen_store_set("alive", "yes");
    CHECK_EQ(read_node("alive"), 3);
    CHECK_STR(text, "yes");
}

/* ---- nodes ---- */

TEST(xenstore, reads_what_is_written)
{
    CHECK_EQ(xs_write(XS_NO_TX, "data/a", "value"), 0);
    CHECK_STR(fakexen_store_get(FAKE_HOME "/data/a"), "value");
    CHECK_EQ(read_node("data/a"), 5);
    CHECK_STR(text, "value");
    CHECK_EQ(read_node("data"), 0);
    CHECK_STR(text, "");
    CHECK_EQ(xs_printf(XS_NO_TX, "data/n", "%d-%s", 7, "x"), 0);
    CHECK_STR(fakexen_store_get("data/n"), "7-x");
}

TEST(xenstore, reads_other_domains_by_full_path)
{
    fakexen_store_set("/local/domain/0/backend/vif/7/0/state", "%d", 4);
    CHECK_EQ(read_node("/local/domain/0/backend/vif/7/0/state"), 1);
    CHECK_STR(text, "4");
}

TEST(xenstore, says_what_is_missing)
{
    CHECK_EQ(read_node("no/such/node"), -ENOENT);
    CHECK_EQ(xs_rm(XS_NO_TX, "no/such/node"), -ENOENT);
}

TEST(xenstore, removes_nodes_with_all_below)
{
    fakexen_store_set("dir/sub/leaf", "x");
    CHECK_EQ(xs_rm(XS_NO_TX, "dir"), 0);
    CHECK_EQ(read_node("dir/sub/leaf"), -ENOENT);
}

TEST(xenstore, carries_values_up_to_the_limit)
{
    static char value[5000];

    memset(value, 'v', 4000);
    CHECK_EQ(xs_write(XS_NO_TX, "big", value), 0);
    CHECK_EQ(read_node("big"), 4000);
    CHECK_MEM(text, value, 4001);
    memset(value, 'v', 4096);
    CHECK_EQ(xs_write(XS_NO_TX, "big", value), -E2BIG);
    fakexen_store_set_bytes("big", value, 4096);
    CHECK_EQ(read_node("big"), 4096);
}

TEST(xenstore, refuses_values_it_cannot_give_whole)
{
    char small[4];

    fakexen_store_set("v", "four");
    CHECK_EQ(xs_read(XS_NO_TX, "v", small, sizeof(small)), -EINVAL);
    fakexen_store_set("v", "abc");
    CHECK_EQ(xs_read(XS_NO_TX, "v", small, sizeof(small)), 3);
    fakexen_store_set_bytes("v", "a\0b", 3);
    CHECK_EQ(read_node("v"), -EINVAL);
    fakexen_store_set_bytes("v", "a\0", 2);
    CHECK_EQ(read_node("v"), -EINVAL);
    fakexen_store_set_bytes("v", "\xff\xfe", 2);
    CHECK_EQ(read_node("v"), 2); /* no text, but a value */
}

TEST(xenstore, refuses_paths_that_are_too_long)
{
    char path[300];
    struct xs_watch w = {0};

    memset(path, 'p', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    CHECK_EQ(read_node(path), -ENAMETOOLONG);
    CHECK_EQ(xs_write(XS_NO_TX, path, ""), -ENAMETOOLONG);
    CHECK_EQ(xs_watch(&w, path, NULL, NULL), -ENAMETOOLONG);
}

TEST(xenstore, reads_numbers_strictly)
{
    static const struct {
        const char *value;
        int rc;
    } cases[] = {
        {"0", -ERANGE},
        {"1", 0},
        {"100", 0},
        {"101", -ERANGE},
        {"", -EINVAL},
        {" 5", -EINVAL},
        {"5 ", -EINVAL},
        {"-1", -EINVAL},
        {"1e9", -EINVAL},
        {"0x10", -EINVAL},
        {"99999999999999999999999", -EINVAL},
    };
    uint64_t n = 42;

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        int rc;

        fakexen_store_set("n", "%s", cases[i].value);
        rc = xs_read_u64(XS_NO_TX, "n", 1, 100, &n);
        CHECK_EQ(rc == -ERANGE ? -EINVAL : rc, cases[i].rc == 0 ? 0 : -EINVAL);
    }
    CHECK_EQ(n, 100);
    CHECK_EQ(xs_read_u64(XS_NO_TX, "gone", 1, 100, &n), -ENOENT);
}

TEST(xenstore, translates_errors)
{
    static const struct {
        const char *name;
        int rc;
    } cases[] = {
        {"EACCES", -EACCES}, {"ENOSPC", -ENOSPC}, {"EQUOTA", -ENOSPC}, {"EAGAIN", -EAGAIN},
        {"EROFS", -EROFS},   {"EWHAT", -EIO},     {"", -EIO},
    };

    faults->error_type = XS_WRITE;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        faults->error = cases[i].name;
        CHECK_EQ(xs_write(XS_NO_TX, "x", "y"), cases[i].rc);
    }
}

TEST(xenstore, reads_again_what_it_was_not_allowed_to)
{
    char **names;
    size_t count;
    uint64_t n = 42;

    fakexen_store_set("n", "7");
    faults->error = "EACCES";
    faults->error_type = XS_READ;
    CHECK_EQ(read_node("n"), -EACCES);
    CHECK_EQ(xs_read_u64(XS_NO_TX, "n", 0, 10, &n), -EACCES);
    CHECK_EQ(n, 42);
    faults->error_type = XS_DIRECTORY;
    CHECK_EQ(xs_list(XS_NO_TX, "n", &names, &count), -EACCES);
    faults->error = NULL;
    CHECK_EQ(xs_read_u64(XS_NO_TX, "n", 0, 10, &n), 0);
    CHECK_EQ(n, 7);
}

/* ---- directories ---- */

static void make_children(unsigned n)
{
    char path[64];

    for (unsigned i = 0; i < n; i++) {
        snprintf(path, sizeof(path), "many/child-%u", i);
        fakexen_store_set(path, "%u", i);
    }
}

static void check_children(unsigned n)
{
    char **names = NULL, name[32];
    size_t count = 0;

    CHECK_EQ(xs_list(XS_NO_TX, "many", &names, &count), 0);
    CHECK_EQ(count, n);
    for (unsigned i = 0; i < n; i++) {
        snprintf(name, sizeof(name), "child-%u", i);
        CHECK_STR(names[i], name);
    }
    CHECK(names[n] == NULL);
    heap_free(names);
}

TEST(xenstore, lists_directories)
{
    fakexen_store_set_bytes("many", "", 0);
    check_children(0);
    make_children(3);
    check_children(3);
    make_children(100);
    check_children(100);
}

TEST(xenstore, lists_long_directories_in_parts)
{
    make_children(1000);
    check_children(1000);
    CHECK(fakexen_store_count_requests(XS_DIRECTORY_PART) > 5);
    faults->part_max = 12; /* one name each */
    faults->list_max = 0;
    fakexen_store_rm("many");
    make_children(20);
    check_children(20);
}

TEST(xenstore, starts_again_when_a_long_directory_changes)
{
    make_children(1000);
    faults->list_changes = 3;
    check_children(1000);
}

TEST(xenstore, does_not_start_again_for_ever)
{
    char **names;
    size_t count;

    make_children(1000);
    faults->list_changes = ~0U;
    CHECK_EQ(xs_list(XS_NO_TX, "many", &names, &count), -EAGAIN);
    check_alive();
}

static bool spoil_directory(struct xsd_sockmsg *h, char *payload)
{
    static unsigned how;

    if (h->type != XS_DIRECTORY && h->type != XS_DIRECTORY_PART)
        return true;
    switch (how++ % 4) {
    case 0: /* no NUL at the end */
        payload[h->len - 1] = 'x';
        break;
    case 1:
        h->len = 0;
        break;
    case 2: /* a generation and nothing more */
        h->len = (uint32_t)strlen(payload) + 1;
        break;
    default: /* no generation end at all */
        memset(payload, '7', h->len);
    }
    return true;
}

TEST(xenstore, judges_directories)
{
    char **names;
    size_t count;

    faults->mangle = spoil_directory;
    for (int i = 0; i < 8; i++) {
        int rc;

        make_children(2);
        faults->list_max = i < 4 ? 4096 : 0; /* whole, then in parts */
        rc = xs_list(XS_NO_TX, "many", &names, &count);
        if (rc == 0)
            heap_free(names);
        CHECK(rc == 0 ? i < 4 : rc == -EIO);
    }
    faults->mangle = NULL;
    check_alive();
}

/* ---- transactions ---- */

TEST(xenstore, commits_a_transaction_at_once)
{
    xs_tx_t tx;

    CHECK_EQ(xs_tx_begin(&tx), 0);
    CHECK_EQ(xs_write(tx, "t/a", "1"), 0);
    CHECK_EQ(xs_write(tx, "t/b", "2"), 0);
    CHECK(fakexen_store_get("t/a") == NULL);
    CHECK_EQ(xs_read(tx, "t/a", text, sizeof(text)), 1);
    CHECK_EQ(xs_tx_end(tx, true), 0);
    CHECK_STR(fakexen_store_get("t/a"), "1");
    CHECK_STR(fakexen_store_get("t/b"), "2");
}

TEST(xenstore, aborts_a_transaction)
{
    xs_tx_t tx;

    CHECK_EQ(xs_tx_begin(&tx), 0);
    CHECK_EQ(xs_write(tx, "t/a", "1"), 0);
    CHECK_EQ(xs_tx_end(tx, false), 0);
    CHECK(fakexen_store_get("t/a") == NULL);
}

TEST(xenstore, reports_a_conflict)
{
    xs_tx_t tx;

    CHECK_EQ(xs_tx_begin(&tx), 0);
    CHECK_EQ(xs_write(tx, "t/a", "1"), 0);
    fakexen_store_set("t/a", "x");
    CHECK_EQ(xs_tx_end(tx, true), -EAGAIN);
    faults->failing_commits = 3;
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(xs_tx_begin(&tx), 0);
        CHECK_EQ(xs_write(tx, "t/a", "1"), 0);
        CHECK_EQ(xs_tx_end(tx, true), i < 3 ? -EAGAIN : 0);
    }
}

static const char *bad_id;

static bool spoil_id(struct xsd_sockmsg *h, char *payload)
{
    if (h->type == XS_TRANSACTION_START) {
        h->len = (uint32_t)strlen(bad_id);
        memcpy(payload, bad_id, h->len);
    }
    return true;
}

TEST(xenstore, judges_transaction_ids)
{
    static const char *const ids[] = {"",   "0",          "x",
                                      "-1", "4294967296", "12345678901234567890123456789"};
    xs_tx_t tx = 99;

    faults->mangle = spoil_id;
    for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
        int rc;

        bad_id = ids[i];
        rc = xs_tx_begin(&tx);
        CHECK(rc == -EIO || rc == -E2BIG);
        CHECK_EQ(tx, 99);
    }
    test_pass(); /* the server has transactions that nobody knows how to end */
}

/* ---- many at once ---- */

static unsigned readers_done;

static void read_many(void *arg)
{
    char path[32], value[32], buf[32];

    for (int i = 0; i < 20; i++) {
        snprintf(path, sizeof(path), "worker/%s/%d", (char *)arg, i);
        snprintf(value, sizeof(value), "%s-%d", (char *)arg, i);
        CHECK_EQ(xs_write(XS_NO_TX, path, value), 0);
        CHECK_EQ(xs_read(XS_NO_TX, path, buf, sizeof(buf)), (long)strlen(value));
        CHECK_STR(buf, value);
    }
    readers_done++;
}

static void run_workers(void)
{
    static char names[24][12];
    struct thread *t[24];

    readers_done = 0;
    for (int i = 0; i < 24; i++) {
        snprintf(names[i], sizeof(names[i]), "%d", i);
        CHECK_EQ(thread_create("worker", PRIO_NORMAL, 0, read_many, names[i], &t[i]), 0);
    }
    for (int i = 0; i < 24; i++)
        thread_join(t[i]);
    CHECK_EQ(readers_done, 24);
}

TEST(xenstore, serves_many_threads)
{
    run_workers();
}

TEST(xenstore, takes_answers_in_any_order)
{
    static char names[6][12];
    struct thread *t[6];

    faults->hold = 6; /* the last request is answered first */
    for (int i = 0; i < 6; i++) {
        snprintf(names[i], sizeof(names[i]), "%d", i);
        CHECK_EQ(thread_create("worker", PRIO_NORMAL, 0, read_many, names[i], &t[i]), 0);
    }
    for (int i = 0; i < 6; i++)
        thread_join(t[i]);
    CHECK_EQ(readers_done, 6);
}

TEST(xenstore, puts_fragments_together)
{
    faults->max_bytes = 1;
    run_workers();
    CHECK_EQ(read_node("worker/3/7"), 3);
    CHECK_STR(text, "3-7");
}

/* ---- watches ---- */

static unsigned calls;

static void count_calls(struct xs_watch *w)
{
    (void)w;
    calls++;
}

TEST(xenstore, calls_a_watch_at_the_start_and_at_changes)
{
    struct xs_watch w = {0};

    CHECK_EQ(xs_watch(&w, "device", count_calls, NULL), 0);
    fakexen_settle();
    CHECK_EQ(calls, 1);
    fakexen_store_set("device/vif/0/state", "1");
    fakexen_settle();
    CHECK_EQ(calls, 2);
    fakexen_store_set("devices", "1");
    fakexen_settle();
    CHECK_EQ(calls, 2);
    fakexen_store_rm("device");
    fakexen_settle();
    CHECK_EQ(calls, 3);
    xs_unwatch(&w);
    fakexen_store_set("device/vif/0/state", "1");
    fakexen_settle();
    CHECK_EQ(calls, 3);
    xs_unwatch(&w);
    CHECK_EQ(fakexen_store_count_watches(), 1); /* control/shutdown */
}

TEST(xenstore, calls_watches_by_their_own_functions)
{
    struct xs_watch a = {0}, b = {0};

    CHECK_EQ(xs_watch(&a, "a", count_calls, NULL), 0);
    CHECK_EQ(xs_watch(&b, "b", count_calls, NULL), 0);
    fakexen_settle();
    calls = 0;
    fakexen_store_set("b", "1");
    fakexen_settle();
    CHECK_EQ(calls, 1);
    xs_unwatch(&a);
    xs_unwatch(&b);
}

static void unwatch_self(struct xs_watch *w)
{
    calls++;
    xs_unwatch(w);
    memset(w, 0xee, sizeof(*w)); /* it is the function's to free */
    heap_free(w);
}

TEST(xenstore, lets_a_watch_end_itself)
{
    struct xs_watch *w = heap_alloc_zeroed(sizeof(*w));

    CHECK(w != NULL);
    CHECK_EQ(xs_watch(w, "x", unwatch_self, NULL), 0);
    fakexen_settle();
    fakexen_store_set("x", "1");
    fakexen_settle();
    CHECK_EQ(calls, 1);
}

static bool in_slow, slow_done;

static void slow(struct xs_watch *w)
{
    (void)w;
    in_slow = true;
    thread_sleep_until(clock_read() + NSEC_PER_SEC);
    slow_done = true;
}

TEST(xenstore, waits_for_a_running_watch_before_it_is_gone)
{
    struct xs_watch w = {0};

    CHECK_EQ(xs_watch(&w, "x", slow, NULL), 0);
    while (!in_slow)
        thread_sleep_until(clock_read() + 1000);
    CHECK(!slow_done);
    xs_unwatch(&w);
    CHECK(slow_done);
}

static unsigned quota;

static void read_in_watch(struct xs_watch *w)
{
    char value[16];

    CHECK_EQ(xs_read(XS_NO_TX, w->path, value, sizeof(value)), 1);
    quota++;
}

/* A peer that writes its state all the time: one flag, no queue, a bounded number of calls. */
TEST(xenstore, coalesces_a_flood_of_watch_events)
{
    struct xs_watch w = {0};
    size_t pages;

    fakexen_store_set("peer/state", "4");
    CHECK_EQ(xs_watch(&w, "peer/state", read_in_watch, NULL), 0);
    fakexen_settle();
    pages = page_count_free();
    for (int i = 0; i < 20000; i++) {
        fakexen_store_set("peer/state", "%d", i % 8);
        host_advance(10 * 1000);
        host_step();
        thread_yield();
    }
    fakexen_settle();
    CHECK(page_count_free() + 2 >= pages);
    CHECK(quota > 20 && quota <= 200); /* in 0.2 s and a little */
    xs_unwatch(&w);
    check_alive();
}

TEST(xenstore, drops_a_watch_that_the_store_refuses)
{
    struct xs_watch w = {0};

    faults->error = "EACCES";
    faults->error_type = XS_WATCH;
    CHECK_EQ(xs_watch(&w, "x", count_calls, NULL), -EACCES);
    xs_unwatch(&w);
}

/* ---- hostile: events ---- */

/* Payloads that are not "path\0token\0" of a watch of ours. */
TEST(xenstore, ignores_watch_events_that_make_no_sense)
{
    static const struct {
        const char *bytes;
        size_t len;
    } cases[] = {
        {"", 0},
        {"\0", 1},
        {"path", 4},
        {"path\0", 5},
        {"path\0"
         "1",
         6},
        {"p\0"
         "1\0"
         "2\0",
         6},
        {"p\0"
         "999\0",
         6},
        {"p\0"
         "0\0",
         4},
        {"p\0"
         "x\0",
         4},
        {"p\0"
         "-1\0",
         5},
        {"p\0\0", 3},
        {"\0\0\0\0", 4},
        {"p\0"
         "4294967297\0",
         13},
        {"p\0"
         " 1\0",
         5},
    };
    static char long_token[4096] = "p";
    struct xs_watch w = {0};

    CHECK_EQ(xs_watch(&w, "x", count_calls, NULL), 0);
    fakexen_settle();
    calls = 0;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        fakexen_store_send_message(XS_WATCH_EVENT, 0, cases[i].bytes, cases[i].len);
    memset(long_token + 2, '1', sizeof(long_token) - 3);
    fakexen_store_send_message(XS_WATCH_EVENT, 0, long_token, sizeof(long_token));
    fakexen_settle();
    CHECK_EQ(calls, 0);
    check_alive();
    xs_unwatch(&w);
}

/* ---- hostile: answers ---- */

static uint32_t wrong_id(uint32_t id)
{
    return id + 1000;
}

static bool spoil_ids(struct xsd_sockmsg *h, char *payload)
{
    (void)payload;
    if (h->type == XS_READ)
        h->req_id = wrong_id(h->req_id);
    return true;
}

TEST(xenstore, ignores_answers_to_nobody)
{
    nsec_t start = clock_read();

    fakexen_store_set("x", "1");
    faults->mangle = spoil_ids;
    CHECK_EQ(read_node("x"), -ETIMEDOUT);
    CHECK(clock_read() - start >= XS_TIMEOUT && clock_read() - start < XS_TIMEOUT + NSEC_PER_SEC);
    faults->mangle = NULL;
    check_alive();
}

static bool spoil_type(struct xsd_sockmsg *h, char *payload)
{
    (void)payload;
    if (h->type == XS_READ)
        h->type = XS_DIRECTORY;
    return true;
}

TEST(xenstore, refuses_answers_of_another_type)
{
    fakexen_store_set("x", "1");
    faults->mangle = spoil_type;
    CHECK_EQ(read_node("x"), -EIO);
    faults->mangle = NULL;
    check_alive();
}

static bool answer_twice(struct xsd_sockmsg *h, char *payload)
{
    fakexen_store_send(h, sizeof(*h));
    fakexen_store_send(payload, h->len);
    return true;
}

TEST(xenstore, ignores_second_answers)
{
    faults->mangle = answer_twice;
    run_workers();
    faults->mangle = NULL;
    check_alive();
}

static bool random_bytes(struct xsd_sockmsg *h, char *payload)
{
    h->len = (uint32_t)test_random_below(4097);
    for (uint32_t i = 0; i < h->len; i++)
        payload[i] = (char)test_random();
    return true;
}

TEST(xenstore, survives_any_payload)
{
    char **names;
    size_t count;
    uint64_t n;
    xs_tx_t tx;

    make_children(3);
    faults->mangle = random_bytes;
    for (int i = 0; i < 200; i++) {
        (void)!read_node("x");
        (void)!xs_read_u64(XS_NO_TX, "x", 0, 10, &n);
        faults->list_max = i % 2 == 0 ? 4096 : 0;
        if (xs_list(XS_NO_TX, "many", &names, &count) == 0)
            heap_free(names);
        (void)!xs_tx_end(5, true);
        (void)!xs_write(XS_NO_TX, "x", "y");
    }
    (void)!xs_tx_begin(&tx);
    faults->mangle = NULL;
    check_alive();
    test_pass(); /* one transaction is left open in the server */
}

static uint32_t bad_len;

static bool spoil_len(struct xsd_sockmsg *h, char *payload)
{
    (void)payload;
    h->len = bad_len;
    return true;
}

/* The stream is out of step after a length that cannot be: nothing works, and nothing hangs. */
static void check_breaks(void)
{
    nsec_t start = clock_read();
    struct xs_watch w = {0};
    xs_tx_t tx;

    CHECK_EQ(read_node("x"), -EIO);
    CHECK_EQ(xs_write(XS_NO_TX, "x", "y"), -EIO);
    CHECK_EQ(xs_tx_begin(&tx), -EIO);
    CHECK_EQ(xs_watch(&w, "x", count_calls, NULL), -EIO);
    xs_unwatch(&w);
    CHECK(clock_read() - start < 2 * NSEC_PER_SEC);
    CHECK(host_logged("xenstore: "));
    test_pass(); /* the reader thread is over */
}

TEST(xenstore, breaks_at_a_length_of_4097)
{
    faults->mangle = spoil_len;
    bad_len = 4097;
    fakexen_store_set("x", "1");
    check_breaks();
}

TEST(xenstore, breaks_at_a_length_of_4_gigabytes)
{
    faults->mangle = spoil_len;
    bad_len = 0xffffffff;
    fakexen_store_set("x", "1");
    check_breaks();
}

static void lie_about_rsp_prod(void *arg)
{
    (void)arg;
    fakexen_store_page()->rsp_prod += 1025;
    fakexen_raise(fakexen_bootinfo()->store_port);
}

TEST(xenstore, breaks_at_an_impossible_producer)
{
    faults->silent = true;
    host_at(clock_read() + NSEC_PER_MSEC, lie_about_rsp_prod, NULL);
    check_breaks();
}

TEST(xenstore, breaks_at_an_impossible_consumer)
{
    faults->deaf = true;
    fakexen_store_page()->req_cons = fakexen_store_page()->req_prod + 1;
    check_breaks();
}

static bool scribble(void *arg)
{
    struct xenstore_domain_interface *page = fakexen_store_page();

    (void)arg;
    page->rsp_prod = (uint32_t)test_random();
    page->req_cons = (uint32_t)test_random();
    fakexen_raise(fakexen_bootinfo()->store_port);
    return false;
}

TEST(xenstore, ends_every_call_in_a_ring_of_garbage)
{
    faults->deaf = true;
    host_on_idle(scribble, NULL);
    for (int i = 0; i < 20; i++)
        CHECK(read_node("x") < 0);
    test_pass(); /* the reader thread is over */
}

/* ---- hostile: silence ---- */

TEST(xenstore, gives_up_on_a_store_that_does_not_answer)
{
    nsec_t start = clock_read();

    faults->silent = true;
    CHECK_EQ(read_node("x"), -ETIMEDOUT);
    CHECK(clock_read() - start <= XS_TIMEOUT + NSEC_PER_SEC);
    faults->silent = false;
    check_alive();
}

TEST(xenstore, ignores_the_answer_that_comes_too_late)
{
    fakexen_store_set("x", "1");
    faults->hold = 2;
    CHECK_EQ(read_node("x"), -ETIMEDOUT);
    CHECK_EQ(read_node("x"), 1); /* both are answered now */
    faults->hold = 0;
    check_alive();
}

TEST(xenstore, outlasts_a_store_that_restarts)
{
    faults->deaf = true;
    CHECK_EQ(xs_write(XS_NO_TX, "x", "y"), -ETIMEDOUT); /* it waits in the ring */
    CHECK_EQ(xs_write(XS_NO_TX, "x", "z"), -ETIMEDOUT);
    faults->deaf = false;
    check_alive();
    CHECK_STR(fakexen_store_get("x"), "z");
}

static bool forget(struct xsd_sockmsg *h, char *payload)
{
    (void)h;
    (void)payload;
    return false;
}

/* What was under way is lost with it, and nothing else: not the watches, which it keeps. We have
 * not agreed to begin the rings anew, and do not, whatever it says of that. */
TEST(xenstore, loses_only_what_a_store_that_restarts_forgot)
{
    struct xenstore_domain_interface *page = fakexen_store_page();
    struct xs_watch w = {0};

    CHECK_EQ(xs_watch(&w, "x", count_calls, NULL), 0);
    fakexen_settle();
    calls = 0;
    page->server_features = XENSTORE_SERVER_FEATURE_RECONNECTION;
    page->connection = XENSTORE_RECONNECT;
    faults->mangle = forget;
    CHECK_EQ(read_node("x"), -ETIMEDOUT);
    faults->mangle = NULL;
    check_alive();
    fakexen_store_set("x", "1");
    fakexen_settle();
    CHECK_EQ(calls, 1);
    CHECK_EQ(page->connection, XENSTORE_RECONNECT);
    xs_unwatch(&w);
    run_workers();
}

/* A full ring alone breaks nothing: the request was not begun. */
TEST(xenstore, does_not_begin_what_the_ring_has_no_room_for)
{
    static char value[1001 - 18];

    memset(value, 'v', sizeof(value) - 1);
    faults->deaf = true;
    CHECK_EQ(xs_write(XS_NO_TX, "xxxxxx", value), -ETIMEDOUT);
    CHECK_EQ(xs_write(XS_NO_TX, "a", ""), -ETIMEDOUT);
    CHECK_EQ(xs_write(XS_NO_TX, "b", ""), -ETIMEDOUT);
    faults->deaf = false;
    check_alive();
}

TEST(xenstore, breaks_when_a_request_is_stuck_half_way)
{
    static char value[3001];

    memset(value, 'v', sizeof(value) - 1);
    faults->deaf = true;
    CHECK(xs_write(XS_NO_TX, "x", value) < 0);
    faults->deaf = false;
    CHECK_EQ(read_node("x"), -EIO);
}

/* The store's events come one by one: for the request it took, then for the answer it wrote. */
TEST(xenstore, has_its_answer_as_soon_as_the_event_says_so)
{
    nsec_t start = clock_read();

    fakexen_store_set("x", "1");
    for (int i = 0; i < 100; i++)
        CHECK_EQ(read_node("x"), 1);
    CHECK(clock_read() - start < 10 * NSEC_PER_MSEC);
}

TEST(xenstore, needs_no_events_to_make_progress)
{
    nsec_t start = clock_read();

    fakexen_store_set("x", "1");
    faults->mute = true;
    CHECK_EQ(read_node("x"), 1);
    CHECK(clock_read() - start < 3 * NSEC_PER_SEC);
    run_workers();
}

/* ---- without a store ---- */

FAKEXEN_BOOT(xenstore_dom0, .dom0 = true)

TEST(xenstore_dom0, says_that_there_is_none)
{
    struct xs_watch w = {0};
    char **names;
    size_t count;
    xs_tx_t tx;

    CHECK_EQ(read_node("x"), -ENXIO);
    CHECK_EQ(xs_write(XS_NO_TX, "x", "y"), -ENXIO);
    CHECK_EQ(xs_list(XS_NO_TX, "x", &names, &count), -ENXIO);
    CHECK_EQ(xs_tx_begin(&tx), -ENXIO);
    CHECK_EQ(xs_watch(&w, "x", count_calls, NULL), -ENXIO);
    xs_unwatch(&w);
}
