/* SPDX-License-Identifier: BSD-2-Clause */
/* poll and select over a file whose owner changes at will, and over pipes. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/select.h>
#include <unistd.h>
#include "kernel/thread.h"
#include "lib/posix/fd.h"
#include "lib/posix/pollset.h"
#include "tests/host/hostarch.h"
#include "tests/host/test.h"

/* A file that is ready for (level), and counts how often it was asked. */
static short level;
static unsigned asked;
static void (*when_asked)(void);

static struct file source;

static short tell_level(struct file *f UNUSED)
{
    short now = level;

    asked++;
    if (when_asked != NULL)
        when_asked();
    return now;
}

static const struct file_ops ops = {.poll_events = tell_level};

static int open_source(void)
{
    file_init(&source, &ops, O_RDWR);
    return fd_install(&source);
}

static void become_ready(void *arg UNUSED)
{
    level = POLLIN;
    file_notify(&source, POLLIN);
}

TEST(poll, returns_at_once_what_is_ready)
{
    struct pollfd fd = {open_source(), POLLIN | POLLOUT, 99};

    level = POLLIN;
    CHECK_EQ(poll_until(&fd, 1, NEVER), 1);
    CHECK_EQ(fd.revents, POLLIN);
    CHECK_EQ(asked, 1);
    CHECK(list_empty(&source.pollers));
    CHECK_EQ(fd_close(fd.fd), 0);
}

TEST(poll, sleeps_until_the_owner_notifies)
{
    struct pollfd fd = {open_source(), POLLIN, 0};
    nsec_t start = host_clock;

    host_at(start + 7000, become_ready, NULL);
    CHECK_EQ(poll_until(&fd, 1, start + NSEC_PER_SEC), 1);
    CHECK_EQ(fd.revents, POLLIN);
    CHECK(host_clock >= start + 7000 && host_clock < start + NSEC_PER_SEC);
    CHECK(asked <= 4); /* no busy waiting */
    CHECK_EQ(fd_close(fd.fd), 0);
}

TEST(poll, ends_at_its_deadline)
{
    struct pollfd fd = {open_source(), POLLIN, 0};
    nsec_t start = host_clock;

    CHECK_EQ(poll_until(&fd, 1, start + 5000), 0);
    CHECK(host_clock >= start + 5000);
    CHECK_EQ(fd.revents, 0);
    CHECK(list_empty(&source.pollers));
    CHECK_EQ(fd_close(fd.fd), 0);
}

static void other_event(void *arg UNUSED)
{
    file_notify(&source, POLLOUT);
}

TEST(poll, sleeps_on_when_the_event_is_not_asked_for)
{
    struct pollfd fd = {open_source(), POLLIN, 0};
    nsec_t start = host_clock;

    host_at(start + 1000, other_event, NULL);
    host_at(start + 2000, become_ready, NULL);
    CHECK_EQ(poll_until(&fd, 1, NEVER), 1);
    CHECK(host_clock >= start + 2000);
    CHECK_EQ(asked, 3); /* before, when hung up, when ready */
    CHECK_EQ(fd_close(fd.fd), 0);
}

static void nothing_new(void *arg UNUSED)
{
    file_notify(&source, POLLIN);
}

TEST(poll, sleeps_on_after_a_notice_of_nothing)
{
    struct pollfd fd = {open_source(), POLLIN, 0};
    nsec_t start = host_clock;

    host_at(start + 1000, nothing_new, NULL);
    host_at(start + 2000, become_ready, NULL);
    CHECK_EQ(poll_until(&fd, 1, start + NSEC_PER_SEC), 1);
    CHECK_EQ(asked, 4); /* before, when hung up, at each notice */
    CHECK_EQ(fd_close(fd.fd), 0);
}

/* The change comes right after a look that did not see it: each look in turn. */
static unsigned change_after_look;

static void change_now(void)
{
    if (asked == change_after_look)
        become_ready(NULL);
}

TEST(poll, sees_a_change_between_its_looks)
{
    struct pollfd fd = {open_source(), POLLIN, 0};

    when_asked = change_now;
    for (change_after_look = 1; change_after_look <= 2; change_after_look++) {
        asked = 0;
        level = 0;
        CHECK_EQ(poll_until(&fd, 1, host_clock + NSEC_PER_SEC), 1);
        CHECK_EQ(fd.revents, POLLIN);
    }
    CHECK_EQ(fd_close(fd.fd), 0);
}

static void hang_up(void *arg UNUSED)
{
    level = POLLHUP;
    file_notify(&source, POLLHUP);
}

TEST(poll, reports_errors_that_nobody_asked_for)
{
    struct pollfd fd = {open_source(), 0, 0};

    host_at(host_clock + 1000, hang_up, NULL);
    CHECK_EQ(poll_until(&fd, 1, NEVER), 1);
    CHECK_EQ(fd.revents, POLLHUP);
    CHECK_EQ(fd_close(fd.fd), 0);
}

static void *close_it;

static void close_descriptor(void *arg)
{
    CHECK_EQ(fd_close(*(int *)arg), 0);
    close_it = NULL;
    become_ready(NULL);
}

static void closer(void *arg)
{
    close_descriptor(arg);
}

TEST(poll, keeps_a_file_that_is_closed_meanwhile)
{
    struct pollfd fd = {open_source(), POLLIN, 0};
    int number = fd.fd;
    struct thread *t;

    CHECK_EQ(thread_create("closer", PRIO_NORMAL, 0, closer, &number, &t), 0);
    CHECK_EQ(poll_until(&fd, 1, NEVER), 1);
    CHECK_EQ(fd.revents, POLLIN);
    CHECK_EQ(source.refs, 0);
    thread_join(t);
}

TEST(poll, names_descriptors_that_are_none)
{
    struct pollfd fds[2] = {{-5, POLLIN, 99}, {500, POLLIN, 0}};

    CHECK_EQ(poll_until(fds, 2, NEVER), 1);
    CHECK_EQ(fds[0].revents, 0);
    CHECK_EQ(fds[1].revents, POLLNVAL);
    CHECK_EQ(poll_until(fds, FD_MAX + 1, 0), -EINVAL);
}

TEST(poll, takes_the_same_file_many_times)
{
    static struct pollfd fds[100];
    int fd = open_source();

    for (int i = 0; i < 100; i++)
        fds[i] = (struct pollfd){fd, i % 2 ? POLLIN : POLLOUT, 0};
    host_at(host_clock + 1000, become_ready, NULL);
    CHECK_EQ(poll_until(fds, 100, NEVER), 50);
    CHECK_EQ(source.refs, 1);
    CHECK_EQ(fd_close(fd), 0);
}

TEST(poll, select_answers_in_its_sets)
{
    int fd = open_source();
    fd_set in, out;

    FD_ZERO(&in);
    FD_ZERO(&out);
    FD_SET(fd, &in);
    FD_SET(fd, &out);
    host_at(host_clock + 1000, become_ready, NULL);
    CHECK_EQ(pselect(fd + 1, &in, &out, NULL, NULL, NULL), 1);
    CHECK(FD_ISSET(fd, &in) && !FD_ISSET(fd, &out));
    FD_SET(900, &in);
    CHECK_EQ(pselect(901, &in, NULL, NULL, NULL, NULL), -1);
    CHECK_EQ(errno, EBADF);
    CHECK_EQ(fd_close(fd), 0);
}

/* --- pipes, by their operations --- */

static struct file *ends[2];
static int fds[2];

static void open_pipe(int flags)
{
    CHECK_EQ(pipe2(fds, flags), 0);
    for (int i = 0; i < 2; i++) {
        ends[i] = fd_get(fds[i]);
        CHECK(ends[i] != NULL);
    }
}

static void close_pipe(void)
{
    for (int i = 0; i < 2; i++) {
        file_put(ends[i]);
        (void)fd_close(fds[i]);
    }
}

static void write_then_close(void *arg UNUSED)
{
    CHECK_EQ(ends[1]->ops->write(ends[1], "hello", 5), 5);
    file_put(ends[1]);
    CHECK_EQ(fd_close(fds[1]), 0);
}

TEST(pipes, reader_waits_for_bytes_then_for_the_end)
{
    struct thread *t;
    char buf[8];

    open_pipe(0);
    CHECK_EQ(thread_create("writer", PRIO_NORMAL, 0, write_then_close, NULL, &t), 0);
    CHECK_EQ(ends[0]->ops->read(ends[0], buf, 8), 5);
    CHECK_MEM(buf, "hello", 5);
    CHECK_EQ(ends[0]->ops->read(ends[0], buf, 8), 0);
    CHECK_EQ(file_poll_events(ends[0]), POLLHUP);
    thread_join(t);
    file_put(ends[0]);
    CHECK_EQ(fd_close(fds[0]), 0);
}

TEST(pipes, bytes_go_round_the_buffer_in_order)
{
    uint8_t out = 0, in = 0, buf[700];

    open_pipe(O_NONBLOCK);
    for (int round = 0; round < 200; round++) {
        size_t want = test_random_below(sizeof(buf)) + 1;

        for (size_t i = 0; i < want; i++)
            buf[i] = (uint8_t)(out + i);
        ssize_t n = ends[1]->ops->write(ends[1], buf, want);
        out = (uint8_t)(out + (n > 0 ? n : 0));
        n = ends[0]->ops->read(ends[0], buf, test_random_below(sizeof(buf)) + 1);
        for (ssize_t i = 0; i < n; i++)
            CHECK_EQ(buf[i], in++);
    }
    close_pipe();
}

TEST(pipes, writing_without_a_reader_is_epipe)
{
    open_pipe(0);
    file_put(ends[0]);
    CHECK_EQ(fd_close(fds[0]), 0);
    CHECK_EQ(ends[1]->ops->write(ends[1], "x", 1), -EPIPE);
    CHECK_EQ(file_poll_events(ends[1]), POLLERR);
    file_put(ends[1]);
    CHECK_EQ(fd_close(fds[1]), 0);
}
