/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Kernel messages: one line each, "[seconds] text", to the console and a ring in memory.
 * paravane.log=err|warn|info|debug chooses what is printed (info). Any context.
 */
#ifndef KERNEL_LOG_H
#define KERNEL_LOG_H

#include <arch/clock.h>
#include <stdbool.h>
#include <stddef.h>
#include "lib/base/macros.h"

enum log_level { LOG_ERR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* Take the level from the command line; before it all is LOG_INFO. */
void log_init(void);
void log_print(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);
void log_set_level(enum log_level level);
bool log_prints(enum log_level level);

#define log_err(...) log_print(LOG_ERR, __VA_ARGS__)
#define log_warn(...) log_print(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_print(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_print(LOG_DEBUG, __VA_ARGS__)

/* From where no lock may be taken, an NMI: (text), which lives for ever, is said before the next
 * line; of several the last. */
void log_postpone(const char *text);

/* For messages that another domain can cause: at most 5 in 5 seconds for each user of it. */
struct log_limit {
    nsec_t since;
    unsigned count;
};
bool log_allowed(struct log_limit *l);

/* The newest messages into buf[size], NUL-terminated; the length. Any context. */
size_t log_copy(char *buf, size_t size);
/* For panic: from now on nobody waits for the log's lock, in whatever state it was left. */
void log_break_locks(void);

#endif
