/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The console as a file. There is one object, never freed, behind descriptors 0, 1 and 2. Output
 * goes straight to the kernel's console, which never makes a writer wait for long. Input comes as
 * it was typed, except that Return ("\r") reads as "\n"; there is no echo and no line editing,
 * which the terminal at the other end does if somebody wants it.
 */
#include "lib/posix/console_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include "kernel/console.h"
#include "kernel/thread.h"
#include "lib/base/assert.h"
#include "lib/posix/fd.h"

static const struct file_ops console_ops;
static struct file console = FILE_INIT(console, &console_ops, O_RDWR);

static ssize_t read_console(struct file *f, void *buf, size_t len)
{
    char *text = buf;
    long n;

    if (len == 0)
        return 0;
    if (file_nonblocking(f) && !console_readable())
        return -EAGAIN;
    do {
        n = console_read(text, len, NEVER);
    } while (n == 0);
    for (long i = 0; i < n; i++) {
        if (text[i] == '\r')
            text[i] = '\n';
    }
    return n;
}

static ssize_t write_console(struct file *f UNUSED, const void *buf, size_t len)
{
    console_write(buf, len, CONSOLE_PATIENTLY);
    return (ssize_t)len;
}

static int stat_console(struct file *f UNUSED, struct stat *st)
{
    st->st_mode = S_IFCHR | S_IRUSR | S_IWUSR;
    st->st_nlink = 1;
    st->st_blksize = 1024;
    return 0;
}

static short poll_console(struct file *f UNUSED)
{
    return (short)(POLLOUT | (console_readable() ? POLLIN : 0));
}

static void input_arrived(void)
{
    file_notify(&console, POLLIN);
}

static const struct file_ops console_ops = {
    .read = read_console,
    .write = write_console,
    .fstat = stat_console,
    .poll_events = poll_console,
};

void console_file_install(void)
{
    for (int fd = 0; fd < 3; fd++) {
        int got;

        file_get(&console);
        got = fd_install(&console);
        ASSERT(got == fd);
    }
    console_on_input(input_arrived);
}
