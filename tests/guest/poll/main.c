/* SPDX-License-Identifier: BSD-2-Clause */
/* Descriptors, pipes, poll and select. */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#include "lib/base/macros.h"
#include "tests/guest/check.h"

static long long now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

/* --- descriptors --- */

static void test_lowest_free_descriptor_is_next(void)
{
    int a[2], b;

    CHECK_EQ(pipe(a), 0);
    CHECK_EQ(a[0], 3);
    CHECK_EQ(a[1], 4);
    CHECK_EQ(close(a[0]), 0);
    b = dup(a[1]);
    CHECK_EQ(b, 3);
    CHECK_EQ(fcntl(b, F_DUPFD, 10), 10);
    CHECK_EQ(close(10), 0);
    CHECK_EQ(close(b), 0);
    CHECK_EQ(close(a[1]), 0);
    CHECK_EQ(close(a[1]), -1);
    CHECK_EQ(errno, EBADF);
    CHECK_EQ(close(-1), -1);
}

static void test_dup2_replaces_what_was_there(void)
{
    int a[2], b[2];
    char c;

    CHECK_EQ(pipe(a), 0);
    CHECK_EQ(pipe(b), 0);
    CHECK_EQ(dup2(a[1], b[1]), b[1]);
    CHECK_EQ(read(b[0], &c, 1), 0); /* its writer is gone */
    CHECK_EQ(write(b[1], "x", 1), 1);
    CHECK_EQ(read(a[0], &c, 1), 1);
    CHECK_EQ(dup2(a[0], a[0]), a[0]);
    CHECK_EQ(dup2(a[0], 100000), -1);
    CHECK_EQ(errno, EBADF);
    close(a[0]), close(a[1]), close(b[0]), close(b[1]);
}

static void test_descriptors_run_out_and_come_back(void)
{
    static int fds[4096];
    int p[2], n = 0, error;

    CHECK_EQ(pipe(p), 0);
    while (n < 4096 && (fds[n] = dup(p[0])) >= 0)
        n++;
    error = errno;
    for (int i = 0; i < n; i++)
        close(fds[i]);
    CHECK_EQ(error, EMFILE);
    CHECK_EQ(n, FD_SETSIZE - 5);
    CHECK_EQ(dup(p[0]), 5);
    close(5), close(p[0]), close(p[1]);
}

static void test_flags_can_be_changed(void)
{
    int p[2], on = 1;
    char c;

    CHECK_EQ(pipe(p), 0);
    CHECK_EQ(fcntl(p[0], F_GETFL) & O_ACCMODE, O_RDONLY);
    CHECK_EQ(fcntl(p[0], F_SETFL, O_NONBLOCK), 0);
    CHECK_EQ(read(p[0], &c, 1), -1);
    CHECK_EQ(errno, EAGAIN);
    CHECK_EQ(fcntl(p[0], F_SETFL, 0), 0);
    CHECK_EQ(ioctl(p[0], FIONBIO, &on), 0);
    CHECK(fcntl(p[0], F_GETFL) & O_NONBLOCK);
    CHECK_EQ(write(p[1], "abc", 3), 3);
    CHECK_EQ(ioctl(p[0], FIONREAD, &on), 0);
    CHECK_EQ(on, 3);
    CHECK_EQ(ioctl(p[0], 0x1234), -1);
    CHECK_EQ(errno, ENOTTY);
    close(p[0]), close(p[1]);
}

/* --- pipes --- */

static void test_pipe_ends_with_its_writer(void)
{
    int p[2];
    char buf[10];

    CHECK_EQ(pipe(p), 0);
    CHECK_EQ(write(p[1], "bye", 3), 3);
    CHECK_EQ(close(p[1]), 0);
    CHECK_EQ(read(p[0], buf, 10), 3);
    CHECK_EQ(read(p[0], buf, 10), 0);
    CHECK_EQ(write(p[0], "x", 1), -1);
    CHECK_EQ(errno, EBADF);
    close(p[0]);
}

static void test_pipe_breaks_with_its_reader(void)
{
    int p[2];

    CHECK_EQ(pipe(p), 0);
    CHECK_EQ(close(p[0]), 0);
    CHECK_EQ(write(p[1], "x", 1), -1);
    CHECK_EQ(errno, EPIPE);
    close(p[1]);
}

static void test_small_writes_are_not_split(void)
{
    static char buf[8192];
    int p[2];
    ssize_t n, total = 0;

    CHECK_EQ(pipe2(p, O_NONBLOCK), 0);
    while ((n = write(p[1], buf, PIPE_BUF)) == PIPE_BUF)
        total += n;
    CHECK_EQ(n, -1);
    CHECK_EQ(errno, EAGAIN);
    CHECK_EQ(read(p[0], buf, 100), 100);
    CHECK_EQ(write(p[1], buf, PIPE_BUF), -1);
    CHECK_EQ(write(p[1], buf, sizeof(buf)), 100); /* a long one may be */
    CHECK_EQ(read(p[0], buf, sizeof(buf)), total);
    close(p[0]), close(p[1]);
}

static void test_vectors(void)
{
    char text[] = "abcde", a[3], b[5];
    struct iovec out[3] = {{text, 2}, {NULL, 0}, {text + 2, 3}};
    struct iovec in[2] = {{a, 3}, {b, 5}};
    int p[2];

    CHECK_EQ(pipe(p), 0);
    CHECK_EQ(writev(p[1], out, 3), 5);
    CHECK_EQ(readv(p[0], in, 1), 3);
    CHECK(memcmp(a, "abc", 3) == 0);
    CHECK_EQ(writev(p[1], out, 0), -1);
    CHECK_EQ(errno, EINVAL);
    close(p[0]), close(p[1]);
}

#define STREAM_LEN 1000000

static void *write_stream(void *arg)
{
    unsigned char *buf = malloc(STREAM_LEN);

    for (unsigned i = 0; i < STREAM_LEN; i++)
        buf[i] = (unsigned char)(i * 7 + i / 251);
    if (write(*(int *)arg, buf, STREAM_LEN) != STREAM_LEN)
        perror("write");
    free(buf);
    close(*(int *)arg);
    return NULL;
}

static void test_a_stream_arrives_whole(void)
{
    static unsigned char buf[3000];
    pthread_t t;
    int p[2];
    ssize_t n;
    unsigned at = 0;

    CHECK_EQ(pipe(p), 0);
    CHECK_EQ(pthread_create(&t, NULL, write_stream, &p[1]), 0);
    while ((n = read(p[0], buf, sizeof(buf))) > 0) {
        for (ssize_t i = 0; i < n; i++, at++)
            CHECK_EQ(buf[i], (unsigned char)(at * 7 + at / 251));
    }
    CHECK_EQ(n, 0);
    CHECK_EQ(at, STREAM_LEN);
    CHECK_EQ(pthread_join(t, NULL), 0);
    close(p[0]);
}

/* --- poll --- */

static void test_poll_says_what_is_ready(void)
{
    int p[2];

    CHECK_EQ(pipe(p), 0);
    struct pollfd fds[] = {{p[0], POLLIN, 0}, {p[1], POLLOUT, 0}, {-1, POLLIN, 9}, {77, POLLIN, 0}};

    CHECK_EQ(poll(fds, 3, -1), 1);
    CHECK_EQ(fds[0].revents, 0);
    CHECK_EQ(fds[1].revents, POLLOUT);
    CHECK_EQ(fds[2].revents, 0);
    CHECK_EQ(poll(fds, 4, -1), 2);
    CHECK_EQ(fds[3].revents, POLLNVAL);
    CHECK_EQ(write(p[1], "x", 1), 1);
    CHECK_EQ(poll(fds, 1, -1), 1);
    CHECK_EQ(fds[0].revents, POLLIN);
    close(p[1]);
    CHECK_EQ(poll(fds, 1, -1), 1);
    CHECK_EQ(fds[0].revents, POLLIN | POLLHUP);
    close(p[0]);
}

static void test_poll_times_out(void)
{
    int p[2];
    long long start = now_ms();

    CHECK_EQ(pipe(p), 0);
    struct pollfd fd = {p[0], POLLIN, 0};

    CHECK_EQ(poll(&fd, 1, 0), 0);
    CHECK(now_ms() - start < 20);
    CHECK_EQ(poll(&fd, 1, 50), 0);
    CHECK(now_ms() - start >= 50 && now_ms() - start < 1000);
    CHECK_EQ(ppoll(&fd, 1, &(struct timespec){0, 1000000000}, NULL), -1);
    CHECK_EQ(errno, EINVAL);
    CHECK_EQ(poll(NULL, 0, 10), 0);
    CHECK_EQ(poll(NULL, 100000, 0), -1);
    CHECK_EQ(errno, EINVAL);
    close(p[0]), close(p[1]);
}

static void *write_later(void *arg)
{
    usleep(30000);
    if (write(*(int *)arg, "x", 1) != 1)
        perror("write");
    return NULL;
}

static void test_a_write_wakes_poll(void)
{
    pthread_t t;
    int p[2];
    long long start = now_ms();

    CHECK_EQ(pipe(p), 0);
    struct pollfd fds[] = {{0, POLLIN, 0}, {p[0], POLLIN, 0}};

    CHECK_EQ(pthread_create(&t, NULL, write_later, &p[1]), 0);
    CHECK_EQ(poll(fds, 2, 5000), 1);
    CHECK_EQ(fds[1].revents, POLLIN);
    CHECK(now_ms() - start < 2000);
    CHECK_EQ(pthread_join(t, NULL), 0);
    close(p[0]), close(p[1]);
}

static void *close_later(void *arg)
{
    usleep(30000);
    close(*(int *)arg);
    return NULL;
}

static void test_a_close_wakes_poll(void)
{
    pthread_t t;
    int p[2];

    CHECK_EQ(pipe(p), 0);
    struct pollfd fd = {p[0], POLLIN, 0};

    CHECK_EQ(pthread_create(&t, NULL, close_later, &p[1]), 0);
    CHECK_EQ(poll(&fd, 1, 5000), 1);
    CHECK_EQ(fd.revents, POLLHUP);
    CHECK_EQ(pthread_join(t, NULL), 0);
    close(p[0]);
}

static void test_closing_a_polled_descriptor_is_safe(void)
{
    pthread_t t;
    int p[2];

    CHECK_EQ(pipe(p), 0);
    struct pollfd fd = {p[0], POLLIN, 0};

    CHECK_EQ(pthread_create(&t, NULL, close_later, &p[0]), 0);
    CHECK_EQ(poll(&fd, 1, 200), 0);
    CHECK_EQ(pthread_join(t, NULL), 0);
    CHECK_EQ(write(p[1], "x", 1), -1); /* the reader went with the last reference */
    CHECK_EQ(errno, EPIPE);
    close(p[1]);
}

#define MANY 300

static void test_poll_over_many(void)
{
    static struct pollfd fds[MANY];
    static int p[MANY][2];

    for (int i = 0; i < MANY; i++) {
        CHECK_EQ(pipe(p[i]), 0);
        fds[i] = (struct pollfd){p[i][0], POLLIN, 0};
    }
    CHECK_EQ(poll(fds, MANY, 0), 0);
    for (int i = 0; i < MANY; i += 7)
        CHECK_EQ(write(p[i][1], "x", 1), 1);
    CHECK_EQ(poll(fds, MANY, -1), (MANY + 6) / 7);
    for (int i = 0; i < MANY; i++) {
        CHECK_EQ(fds[i].revents, i % 7 == 0 ? POLLIN : 0);
        close(p[i][0]), close(p[i][1]);
    }
}

#define ROUNDS 5000

/* Answer every byte; both sides wait in poll only. */
static void *answer(void *arg)
{
    int *p = arg;
    struct pollfd fd = {p[0], POLLIN, 0};
    char c;

    for (int i = 0; i < ROUNDS; i++) {
        if (poll(&fd, 1, 10000) != 1 || read(p[0], &c, 1) != 1 || write(p[1], &c, 1) != 1)
            break;
    }
    return NULL;
}

static void test_no_wakeup_is_lost(void)
{
    int there[2], back[2];
    pthread_t t;

    CHECK_EQ(pipe(there), 0);
    CHECK_EQ(pipe(back), 0);
    int far[2] = {there[0], back[1]};
    struct pollfd fd = {back[0], POLLIN, 0};

    CHECK_EQ(pthread_create(&t, NULL, answer, far), 0);
    for (int i = 0; i < ROUNDS; i++) {
        char c = (char)i, d;

        CHECK_EQ(write(there[1], &c, 1), 1);
        CHECK_EQ(poll(&fd, 1, 10000), 1);
        CHECK_EQ(read(back[0], &d, 1), 1);
        CHECK_EQ(c, d);
    }
    CHECK_EQ(pthread_join(t, NULL), 0);
    close(there[0]), close(there[1]), close(back[0]), close(back[1]);
}

/* --- select --- */

static void test_select_keeps_what_is_ready(void)
{
    int p[2];
    fd_set in, out;

    CHECK_EQ(pipe(p), 0);
    FD_ZERO(&in);
    FD_ZERO(&out);
    FD_SET(p[0], &in);
    FD_SET(p[1], &out);
    FD_SET(p[0], &out);
    FD_CLR(p[0], &out);
    CHECK_EQ(select(p[1] + 1, &in, &out, NULL, NULL), 1);
    CHECK(!FD_ISSET(p[0], &in) && FD_ISSET(p[1], &out));
    CHECK_EQ(write(p[1], "x", 1), 1);
    FD_SET(p[0], &in);
    CHECK_EQ(select(p[1] + 1, &in, &out, NULL, &(struct timeval){1, 0}), 2);
    CHECK(FD_ISSET(p[0], &in) && FD_ISSET(p[1], &out));
    close(p[0]), close(p[1]);
}

static void test_select_refuses_and_times_out(void)
{
    fd_set in;
    long long start = now_ms();

    FD_ZERO(&in);
    FD_SET(1000, &in);
    CHECK_EQ(select(1001, &in, NULL, NULL, NULL), -1);
    CHECK_EQ(errno, EBADF);
    CHECK_EQ(select(FD_SETSIZE + 1, NULL, NULL, NULL, NULL), -1);
    CHECK_EQ(errno, EINVAL);
    CHECK_EQ(select(0, NULL, NULL, NULL, &(struct timeval){0, 30000}), 0);
    CHECK(now_ms() - start >= 30);
    CHECK_EQ(pselect(0, NULL, NULL, NULL, &(struct timespec){0, 1000}, NULL), 0);
}

static const struct test_case cases[] = {
    CASE(lowest_free_descriptor_is_next),
    CASE(dup2_replaces_what_was_there),
    CASE(descriptors_run_out_and_come_back),
    CASE(flags_can_be_changed),
    CASE(pipe_ends_with_its_writer),
    CASE(pipe_breaks_with_its_reader),
    CASE(small_writes_are_not_split),
    CASE(vectors),
    CASE(a_stream_arrives_whole),
    CASE(poll_says_what_is_ready),
    CASE(poll_times_out),
    CASE(a_write_wakes_poll),
    CASE(a_close_wakes_poll),
    CASE(closing_a_polled_descriptor_is_safe),
    CASE(poll_over_many),
    CASE(no_wakeup_is_lost),
    CASE(select_keeps_what_is_ready),
    CASE(select_refuses_and_times_out),
};

int main(void)
{
    return check_all(cases, ARRAY_SIZE(cases));
}
