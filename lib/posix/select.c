/* SPDX-License-Identifier: BSD-2-Clause */
/* select and pselect: the three sets become one list for poll, and its answers three sets. */
#include <errno.h>
#include <sys/select.h>
#include <sys/time.h>
#include "kernel/heap.h"
#include "lib/posix/fd.h"
#include "lib/posix/pollset.h"

/* What makes a descriptor a member of each set. */
#define READ_EVENTS (POLLIN | POLLHUP | POLLERR)
#define WRITE_EVENTS (POLLOUT | POLLERR)
#define EXCEPT_EVENTS POLLPRI

struct sets {
    fd_set *read, *write, *except;
};

static bool is_member(int fd, const fd_set *set)
{
    return set != NULL && FD_ISSET(fd, set);
}

static nfds_t to_list(int n, const struct sets *sets, struct pollfd *list)
{
    nfds_t count = 0;

    for (int fd = 0; fd < n; fd++) {
        short events = (short)((is_member(fd, sets->read) ? POLLIN : 0) |
                               (is_member(fd, sets->write) ? POLLOUT : 0) |
                               (is_member(fd, sets->except) ? POLLPRI : 0));

        if (events != 0)
            list[count++] = (struct pollfd){.fd = fd, .events = events};
    }
    return count;
}

/* Leave (fd) in (set) only if it was there and (holds). 1 when it stays. */
static int keep_if(bool holds, int fd, fd_set *set)
{
    if (!is_member(fd, set))
        return 0;
    if (!holds)
        FD_CLR(fd, set);
    return holds;
}

static int to_sets(const struct pollfd *list, nfds_t count, const struct sets *sets)
{
    int members = 0;

    for (nfds_t i = 0; i < count; i++) {
        if (list[i].revents & POLLNVAL)
            return -EBADF;
    }
    for (nfds_t i = 0; i < count; i++) {
        short got = list[i].revents;
        int fd = list[i].fd;

        members += keep_if((got & READ_EVENTS) != 0, fd, sets->read);
        members += keep_if((got & WRITE_EVENTS) != 0, fd, sets->write);
        members += keep_if((got & EXCEPT_EVENTS) != 0, fd, sets->except);
    }
    return members;
}

static int select_until(int n, const struct sets *sets, nsec_t deadline)
{
    struct pollfd *list;
    nfds_t count;
    int rc;

    if (n < 0 || n > FD_SETSIZE)
        return -EINVAL;
    list = heap_alloc((size_t)(n + 1) * sizeof(*list));
    if (list == NULL)
        return -ENOMEM;
    count = to_list(n, sets, list);
    rc = poll_until(list, count, deadline);
    if (rc >= 0)
        rc = to_sets(list, count, sets);
    heap_free(list);
    return rc;
}

int pselect(int n, fd_set *read_set, fd_set *write_set, fd_set *except_set,
            const struct timespec *timeout, const sigset_t *mask UNUSED)
{
    struct sets sets = {read_set, write_set, except_set};
    nsec_t deadline;
    int rc = poll_deadline(timeout, &deadline);

    return (int)posix_result(rc != 0 ? rc : select_until(n, &sets, deadline));
}

int select(int n, fd_set *read_set, fd_set *write_set, fd_set *except_set, struct timeval *timeout)
{
    struct timespec ts;

    if (timeout == NULL)
        return pselect(n, read_set, write_set, except_set, NULL, NULL);
    ts.tv_sec = timeout->tv_sec + timeout->tv_usec / 1000000;
    ts.tv_nsec = timeout->tv_usec % 1000000 * 1000;
    return pselect(n, read_set, write_set, except_set, &ts, NULL);
}
