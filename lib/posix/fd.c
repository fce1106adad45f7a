/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The descriptor table and the objects in it; see fd.h.
 *
 * One spinlock guards the table; it is held for a few instructions. A file's own lock guards its
 * list of pollers only.
 *
 * I3 A reference is taken under the table's lock, and a descriptor's reference is dropped only
 * after the descriptor left the table; so fd_get never meets an object with none. I4 (lowest) has
 * no free descriptor below it.
 */
#include "lib/posix/fd.h"

#include <errno.h>
#include <fcntl.h>
#include "lib/base/assert.h"
#include "lib/base/atomic.h"

static struct spinlock table_lock = SPINLOCK_INIT;
static struct file *table[FD_MAX];
static int lowest;
static unsigned used;

long posix_result(long rc)
{
    if (rc >= 0)
        return rc;
    errno = (int)-rc;
    return -1;
}

void file_init(struct file *f, const struct file_ops *ops, unsigned flags)
{
    *f = (struct file)FILE_INIT(*f, ops, flags);
}

void file_get(struct file *f)
{
    atomic_add(&f->refs, 1);
}

void file_put(struct file *f)
{
    if (atomic_sub(&f->refs, 1) > 0)
        return;
    ASSERT(list_empty(&f->pollers)); /* a poller holds a reference (I1) */
    if (f->ops->close != NULL)
        f->ops->close(f);
}

bool file_nonblocking(const struct file *f)
{
    return (load_relaxed(&f->flags) & O_NONBLOCK) != 0;
}

/* The older names of the same events, which a caller may ask for instead. */
static short with_older_names(short events)
{
    if (events & POLLIN)
        events |= POLLRDNORM;
    if (events & POLLOUT)
        events |= POLLWRNORM;
    return events;
}

void file_notify(struct file *f, short events)
{
    irqstate_t state = spin_lock(&f->lock);

    events = with_older_names(events);
    list_for_each (node, &f->pollers) {
        struct poller *p = list_entry(node, struct poller, link);

        if (p->events & events)
            poll_wake(p);
    }
    spin_unlock(&f->lock, state);
}

void file_add_poller(struct file *f, struct poller *p)
{
    irqstate_t state = spin_lock(&f->lock);

    p->file = f;
    list_push_back(&f->pollers, &p->link);
    spin_unlock(&f->lock, state);
}

void file_remove_poller(struct poller *p)
{
    irqstate_t state = spin_lock(&p->file->lock);

    list_remove(&p->link);
    spin_unlock(&p->file->lock, state);
}

short file_poll_events(struct file *f)
{
    short events = f->ops->poll_events != NULL ? f->ops->poll_events(f) : POLLIN | POLLOUT;

    return with_older_names(events);
}

int fd_install_from(struct file *f, int min)
{
    irqstate_t state = spin_lock(&table_lock);
    int fd = MAX(min, lowest); /* I4 */

    while (fd < FD_MAX && table[fd] != NULL)
        fd++;
    if (fd < FD_MAX) {
        table[fd] = f;
        f->fds++;
        used++;
        if (min <= lowest)
            lowest = fd + 1;
    }
    spin_unlock(&table_lock, state);
    return fd < FD_MAX ? fd : -EMFILE;
}

int fd_install(struct file *f)
{
    return fd_install_from(f, 0);
}

struct file *fd_get(int fd)
{
    struct file *f = NULL;
    irqstate_t state = spin_lock(&table_lock);

    if (fd >= 0 && fd < FD_MAX)
        f = table[fd];
    if (f != NULL)
        file_get(f); /* I3 */
    spin_unlock(&table_lock, state);
    return f;
}

/* (f) left the table; (last): no other descriptor means it. */
static void drop(struct file *f, bool last)
{
    if (last && f->ops->abandon != NULL)
        f->ops->abandon(f);
    file_put(f);
}

int fd_close(int fd)
{
    struct file *f = NULL;
    bool last = false;
    irqstate_t state = spin_lock(&table_lock);

    if (fd >= 0 && fd < FD_MAX)
        f = table[fd];
    if (f != NULL) {
        table[fd] = NULL;
        last = --f->fds == 0;
        used--;
        lowest = MIN(lowest, fd);
    }
    spin_unlock(&table_lock, state);
    if (f == NULL)
        return -EBADF;
    drop(f, last);
    return 0;
}

int fd_replace(int fd, struct file *f)
{
    struct file *old;
    bool last = false;
    irqstate_t state;

    if (fd < 0 || fd >= FD_MAX)
        return -EBADF;
    state = spin_lock(&table_lock);
    old = table[fd];
    table[fd] = f;
    f->fds++;
    if (old != NULL)
        last = --old->fds == 0;
    used += old == NULL;
    spin_unlock(&table_lock, state);
    if (old != NULL)
        drop(old, last);
    return fd;
}

unsigned fd_count(void)
{
    return load_relaxed(&used);
}
