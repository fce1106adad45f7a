/* SPDX-License-Identifier: BSD-2-Clause */
/* The descriptor table and the life of the objects in it. */
#include "lib/posix/fd.h"

#include <errno.h>
#include <fcntl.h>
#include "tests/host/test.h"

static int closed;

static void count_close(struct file *f UNUSED)
{
    closed++;
}

static short ready_for_reading(struct file *f UNUSED)
{
    return POLLIN;
}

static const struct file_ops ops = {.close = count_close, .poll_events = ready_for_reading};
static const struct file_ops no_ops;

static struct file a, b;

static void make(void)
{
    file_init(&a, &ops, O_RDWR);
    file_init(&b, &ops, O_RDONLY | O_NONBLOCK);
}

static long descriptors(void)
{
    return (long)fd_count();
}
CENSUS("descriptors", descriptors)

TEST(fd, gives_the_lowest_free_number)
{
    make();
    for (int i = 0; i < 5; i++) {
        file_get(&a);
        CHECK_EQ(fd_install(&a), i);
    }
    CHECK_EQ(fd_close(1), 0);
    CHECK_EQ(fd_close(3), 0);
    CHECK_EQ(fd_install(&b), 1);
    file_get(&a);
    CHECK_EQ(fd_install_from(&a, 2), 3);
    file_get(&a);
    CHECK_EQ(fd_install_from(&a, 100), 100);
    file_get(&a);
    CHECK_EQ(fd_install(&a), 5);
    for (int i = 0; i <= 5; i++)
        CHECK_EQ(fd_close(i), 0);
    CHECK_EQ(fd_close(100), 0);
}

TEST(fd, closes_with_the_last_reference)
{
    struct file *f;

    make();
    CHECK_EQ(fd_install(&a), 0);
    f = fd_get(0);
    CHECK(f == &a);
    CHECK_EQ(fd_close(0), 0);
    CHECK_EQ(closed, 0);
    CHECK(fd_get(0) == NULL);
    file_put(f);
    CHECK_EQ(closed, 1);
}

TEST(fd, refuses_numbers_that_are_none)
{
    CHECK(fd_get(-1) == NULL);
    CHECK(fd_get(0) == NULL);
    CHECK(fd_get(FD_MAX) == NULL);
    CHECK_EQ(fd_close(-1), -EBADF);
    CHECK_EQ(fd_close(7), -EBADF);
    make();
    CHECK_EQ(fd_replace(FD_MAX, &a), -EBADF);
}

TEST(fd, replacing_closes_what_was_there)
{
    make();
    CHECK_EQ(fd_install(&a), 0);
    CHECK_EQ(fd_replace(0, &b), 0);
    CHECK_EQ(closed, 1);
    CHECK(fd_get(0) == &b);
    file_put(&b);
    CHECK_EQ(fd_close(0), 0);
    CHECK_EQ(closed, 2);
}

TEST(fd, replacing_a_free_number_keeps_the_order)
{
    make();
    CHECK_EQ(fd_replace(0, &a), 0);
    CHECK_EQ(fd_install(&b), 1);
    CHECK_EQ(fd_close(0), 0);
    CHECK_EQ(fd_close(1), 0);
}

TEST(fd, says_when_the_table_is_full)
{
    make();
    for (int i = 0; i < FD_MAX; i++) {
        file_get(&a);
        CHECK_EQ(fd_install(&a), i);
    }
    CHECK_EQ(fd_install(&b), -EMFILE);
    CHECK_EQ(fd_close(77), 0);
    CHECK_EQ(fd_install(&b), 77);
    for (int i = 0; i < FD_MAX; i++)
        CHECK_EQ(fd_close(i), 0);
}

TEST(fd, knows_flags_and_readiness)
{
    struct file plain;

    make();
    CHECK(!file_nonblocking(&a));
    CHECK(file_nonblocking(&b));
    CHECK_EQ(file_poll_events(&a), POLLIN | POLLRDNORM);
    file_init(&plain, &no_ops, 0);
    CHECK(file_poll_events(&plain) & POLLOUT); /* always ready without an operation */
    file_put(&plain);
}

TEST(fd, turns_errors_into_the_form_of_posix)
{
    errno = 0;
    CHECK_EQ(posix_result(5), 5);
    CHECK_EQ(errno, 0);
    CHECK_EQ(posix_result(-EPIPE), -1);
    CHECK_EQ(errno, EPIPE);
}
