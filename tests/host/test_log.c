/* SPDX-License-Identifier: BSD-2-Clause */
/* Kernel messages: form, levels, the ring, and the limit for what others can cause. */
#include "kernel/log.h"

#include <string.h>
#include "kernel/option.h"
#include "kernel/thread.h"
#include "tests/host/hostarch.h"
#include "tests/host/test.h"

TEST(log, writes_one_line_with_the_time)
{
    host_clock = 12345678901ULL;
    log_info("disk %d of %s", 3, "four");
    CHECK(host_logged("[   12.345678] disk 3 of four\n"));
}

TEST(log, names_the_level_when_it_matters)
{
    log_warn("w");
    log_err("e");
    CHECK(host_logged("] warning: w\n"));
    CHECK(host_logged("] error: e\n"));
}

TEST(log, prints_only_up_to_its_level_but_keeps_all)
{
    char kept[9000];

    log_debug("small things");
    CHECK(!host_logged("small things"));
    log_set_level(LOG_ERR);
    log_warn("bigger things");
    CHECK(!host_logged("bigger things"));
    CHECK(log_copy(kept, sizeof(kept)) > 0);
    CHECK(strstr(kept, "small things") != NULL && strstr(kept, "bigger things") != NULL);
}

TEST(log, takes_its_level_from_the_command_line)
{
    option_init("paravane.log=debug", "test");
    log_init();
    log_debug("visible");
    CHECK(host_logged("visible"));
    option_init("paravane.log=loud", "test");
    log_init();
    CHECK(host_logged("paravane.log=loud is ignored; write =err,"));
}

TEST(log, says_what_was_postponed_before_the_next_line_and_once)
{
    const char *late, *next;

    log_postpone("NMI");
    CHECK(!host_logged("NMI"));
    log_info("next");
    late = strstr(host_log(), "warning: NMI, some time ago\n");
    next = strstr(host_log(), "] next\n");
    CHECK(late != NULL && next != NULL && late < next);
    log_info("another");
    CHECK(strstr(next, "NMI") == NULL);
}

TEST(log, cuts_long_lines_but_ends_them)
{
    char text[1000];
    const char *end;

    memset(text, 'y', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    log_info("%s", text);
    log_info("next");
    end = strstr(host_log(), "yy\n[");
    CHECK(end != NULL && strstr(end, "next") != NULL);
    CHECK(strlen(host_log()) < 400);
}

TEST(log, keeps_the_newest_when_the_ring_is_full)
{
    char kept[9000];

    log_set_level(LOG_ERR);
    for (int i = 0; i < 1000; i++)
        log_info("line %d", i);
    CHECK_EQ(log_copy(kept, sizeof(kept)), 8192);
    CHECK(strstr(kept, "line 999\n") != NULL && strstr(kept, "line 10\n") == NULL);
    CHECK_EQ(log_copy(kept, 10), 9);
    CHECK_STR(kept, "line 999\n");
}

TEST(log, limits_five_in_five_seconds)
{
    struct log_limit one = {0}, other = {0};
    int n = 0;

    for (int i = 0; i < 100; i++)
        n += log_allowed(&one);
    CHECK_EQ(n, 5);
    CHECK(log_allowed(&other));
    host_advance(5 * NSEC_PER_SEC);
    CHECK(log_allowed(&one));
}

TEST(log, goes_on_without_its_lock_after_a_panic)
{
    log_break_locks();
    log_err("last words");
    log_err("and more");
    CHECK(host_logged("last words") && host_logged("and more"));
}
