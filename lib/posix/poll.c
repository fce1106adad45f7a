/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * poll: wait until one of several files is ready, without asking again and again.
 *
 * A call looks at its files once; usually one is ready and that is all. Otherwise it hangs a
 * struct poller on each file, looks again, and sleeps until a file's owner calls file_notify.
 * It looks after it hung its pollers up and after it cleared (woken), so that a change at any
 * moment is either seen or wakes it (fd.h, I2).
 */
#include "lib/posix/pollset.h"

#include <errno.h>
#include <sys/types.h>
#include "kernel/heap.h"
#include "kernel/wait.h"
#include "lib/base/atomic.h"
#include "lib/libc/timespec.h"
#include "lib/posix/fd.h"

#define ON_STACK 8 /* calls with few files need no memory from the heap */

/* One call that waits. */
struct poll_call {
    struct waitq q;
    bool woken;
};

void poll_wake(struct poller *p)
{
    store_release(&p->call->woken, true);
    waitq_wake_all(&p->call->q);
}

/* Take a reference on every file; what is no descriptor gets NULL. */
static void get_files(const struct pollfd *fds, nfds_t n, struct poller *pollers)
{
    for (nfds_t i = 0; i < n; i++) {
        pollers[i].file = fds[i].fd < 0 ? NULL : fd_get(fds[i].fd);
        pollers[i].events = fds[i].events | POLLERR | POLLHUP;
    }
}

static void put_files(struct poller *pollers, nfds_t n)
{
    for (nfds_t i = 0; i < n; i++) {
        if (pollers[i].file != NULL)
            file_put(pollers[i].file);
    }
}

/* Set every revents; how many are not 0. */
static int look(struct pollfd *fds, nfds_t n, struct poller *pollers)
{
    int ready = 0;

    for (nfds_t i = 0; i < n; i++) {
        struct file *f = pollers[i].file;

        if (f != NULL)
            fds[i].revents = file_poll_events(f) & pollers[i].events;
        else
            fds[i].revents = fds[i].fd < 0 ? 0 : POLLNVAL;
        ready += fds[i].revents != 0;
    }
    return ready;
}

static void hang_up(struct poll_call *call, struct poller *pollers, nfds_t n)
{
    for (nfds_t i = 0; i < n; i++) {
        pollers[i].call = call;
        if (pollers[i].file != NULL)
            file_add_poller(pollers[i].file, &pollers[i]);
    }
}

static void take_down(struct poller *pollers, nfds_t n)
{
    for (nfds_t i = 0; i < n; i++) {
        if (pollers[i].file != NULL)
            file_remove_poller(&pollers[i]);
    }
}

static int wait_ready(struct pollfd *fds, nfds_t n, struct poller *pollers, nsec_t deadline)
{
    struct poll_call call = {.woken = false};
    int ready, rc = 0;

    waitq_init(&call.q);
    hang_up(&call, pollers, n);
    while ((ready = look(fds, n, pollers)) == 0 && rc == 0) {
        rc = wait_until(&call.q, load_acquire(&call.woken), deadline);
        (void)atomic_exchange(&call.woken, false); /* before the next look, in this order */
    }
    take_down(pollers, n);
    return ready;
}

int poll_until(struct pollfd *fds, nfds_t n, nsec_t deadline)
{
    struct poller few[ON_STACK], *pollers = few;
    int ready;

    if (n > FD_MAX)
        return -EINVAL;
    if (n > ON_STACK)
        pollers = heap_alloc(n * sizeof(*pollers));
    if (pollers == NULL)
        return -ENOMEM;
    get_files(fds, n, pollers);
    ready = look(fds, n, pollers);
    if (ready == 0 && deadline != 0)
        ready = wait_ready(fds, n, pollers, deadline);
    put_files(pollers, n);
    if (pollers != few)
        heap_free(pollers);
    return ready;
}

int poll_deadline(const struct timespec *timeout, nsec_t *out)
{
    nsec_t ns;

    if (timeout != NULL && !timespec_valid(timeout))
        return -EINVAL;
    ns = timeout == NULL ? NEVER : timespec_to_nsec(timeout);
    *out = ns == 0 ? 0 : deadline_after(ns);
    return 0;
}

int poll(struct pollfd *fds, nfds_t nfds, int timeout_ms)
{
    nsec_t deadline = 0;

    if (timeout_ms != 0)
        deadline = timeout_ms < 0 ? NEVER : deadline_after((nsec_t)timeout_ms * NSEC_PER_MSEC);
    return (int)posix_result(poll_until(fds, nfds, deadline));
}

int ppoll(struct pollfd *fds, nfds_t nfds, const struct timespec *timeout,
          const sigset_t *mask UNUSED)
{
    nsec_t deadline;
    int rc = poll_deadline(timeout, &deadline);

    return (int)posix_result(rc != 0 ? rc : poll_until(fds, nfds, deadline));
}
