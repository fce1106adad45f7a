/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The PV console, both ways; Xen's own console when we run as dom0. Output never waits longer than
 * a bounded time for a reader: what does not fit is dropped and counted.
 */
#ifndef KERNEL_CONSOLE_H
#define KERNEL_CONSOLE_H

#include <arch/boot.h>
#include <arch/clock.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Early: output works after it by polling. */
void console_init(const struct bootinfo *boot);
/* Late: events and input, once event channels and threads work. */
void console_start(void);

/* How long a writer waits for a reader that takes nothing: the kernel's own words must not stop the
 * kernel, but what a program prints is what its user came for. */
#define CONSOLE_BRIEFLY (100 * NSEC_PER_MSEC)
#define CONSOLE_PATIENTLY (10 * NSEC_PER_SEC)

/* Write (len) bytes; "\n" becomes "\r\n". Waits at most (patience) ns at a time for a reader that
 * took nothing. Any context; handlers are brief. */
void console_write(const char *text, size_t len, nsec_t patience);

/* Take at most (len) input bytes, waiting for the first until (deadline).
 * The count, 0 at (deadline), -EIO without a console. Thread context. */
long console_read(char *buf, size_t len, nsec_t deadline);
/* True when console_read would not wait. */
bool console_readable(void);
/* Call (fn) in event context whenever input arrives; one user (lib/posix). */
void console_on_input(void (*fn)(void));

/* The console's last line, (line) and a newline, at the beginning of a line: what anybody but panic
 * writes afterwards is dropped. At most some 50 characters; all of it or, when the reader makes no
 * room within (timeout) ns, nothing. */
void console_end(const char *line, nsec_t timeout);
/* Wait until the reader took all, at most (timeout) ns: before the domain ends. */
void console_drain(nsec_t timeout);

/* For panic: from now on nobody waits for the console's locks, in whatever state they were left. */
void console_break_locks(void);

/* Output bytes that nobody took in time, and times the other end wrote nonsense into the ring. */
struct console_stats {
    uint64_t dropped, protocol_errors;
};
void console_get_stats(struct console_stats *out);

#endif
