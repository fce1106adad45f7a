/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command line. Words that start with "paravane." and "ip=..." are the kernel's; all
 * others are the application's argv[1..], in order.
 *
 * Blanks part words. Double quotes, anywhere in a word, keep blanks together and are taken out:
 * `a "b c" d="e f" ""` is four words: a, b c, d=e f and an empty one. Nothing else is special,
 * neither single quotes nor backslashes, and so no word can contain a double quote. One that is
 * not closed holds to the end of the line, and the log says so.
 */
#ifndef KERNEL_OPTION_H
#define KERNEL_OPTION_H

#include <stdbool.h>

#define OPTION_ARGS_MAX 64

/* Split (cmdline) once at boot; (program) becomes argv[0]. */
void option_init(const char *cmdline, const char *program);

/* The value of "paravane.NAME=VALUE" ("" for a bare word), or NULL. */
const char *option_get(const char *name);
/* True when "paravane.NAME" is given, bare or as =1 or =on or =yes. */
bool option_on(const char *name);
/* True for "0", "off" and "no"; false for NULL and everything else. */
bool option_is_off(const char *value);
/* The rest of "ip=...", or NULL. */
const char *option_ip(void);

int option_argc(void);
char **option_argv(void);

#endif
