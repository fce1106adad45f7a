/* SPDX-License-Identifier: BSD-2-Clause */
/* The test machine itself: what the other tests rely on. */
#include <arch/page.h>
#include "kernel/page.h"
#include "kernel/thread.h"
#include "lib/base/assert.h"
#include "lib/base/errno.h"
#include "tests/host/hostarch.h"
#include "tests/host/test.h"

TEST(host, block_returns_at_the_deadline)
{
    nsec_t start = host_clock;

    thread_prepare_block();
    CHECK_EQ(thread_block(start + 5 * NSEC_PER_SEC), -ETIMEDOUT);
    CHECK_EQ(host_clock, start + 5 * NSEC_PER_SEC);
}

static void wake(void *arg)
{
    thread_wake(arg);
}

TEST(host, an_event_of_the_world_wakes_a_thread)
{
    nsec_t start = host_clock;

    host_at(start + NSEC_PER_SEC, wake, thread_current());
    thread_prepare_block();
    CHECK_EQ(thread_block(NEVER), 0);
    CHECK_EQ(host_clock, start + NSEC_PER_SEC);
}

static void append_letter(void *arg)
{
    char **at = arg;

    for (char c = 'a'; c <= 'c'; c++) {
        *(*at)++ = c;
        thread_yield();
    }
}

TEST(host, threads_take_turns_and_can_be_joined)
{
    char text[8] = {0}, *at = text;
    struct thread *t, *u;

    CHECK_EQ(thread_create("t", PRIO_NORMAL, 0, append_letter, &at, &t), 0);
    CHECK_EQ(thread_create("u", PRIO_NORMAL, 0, append_letter, &at, &u), 0);
    thread_join(t);
    thread_join(u);
    CHECK_STR(text, "aabbcc");
}

TEST(host, mappings_are_aliases_of_the_same_page)
{
    char *page = page_alloc(), *alias = (char *)VMAP_BASE;
    pfn_t pfn = virt_to_pfn(page);

    CHECK_EQ(arch_map(VMAP_BASE, &pfn, 1, PROT_RW), 0);
    alias[5] = 'x';
    CHECK_EQ(page[5], 'x');
    CHECK_EQ(arch_mapped_pfn(VMAP_BASE + 5), pfn);
    arch_unmap(VMAP_BASE, 1);
    CHECK_EQ(arch_mapped_pfn(VMAP_BASE), PFN_INVALID);
    page_free(page);
}

TEST(host, an_expected_panic_passes)
{
    host_expect_panic("number 5");
    panic("this is number %d", 5);
}
