/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command line, split once at boot into a private copy. It is short (Xen's start_info holds
 * 1 KiB), read by one thread before any other runs, and constant after that: no locks.
 * What exceeds the limits is left out, and the log says so.
 */
#include "kernel/option.h"

#include <stddef.h>
#include "kernel/log.h"
#include "lib/base/macros.h"
#include "lib/base/string.h"

#define TEXT_MAX 2048
#define PREFIX "paravane."

/* Every name that option_get and option_on are asked for, in blanks; tests/tools/test_options.py
 * compares with the sources and with docs/options.md. */
static const char known[] =
    " log stack root hostname dns net-wait disk-timeout bounce evtchn xsave fsgsbase "
    "rdrand resched-always ";

/* Those of them that are on or off. */
static const char switches[] = " bounce xsave fsgsbase rdrand resched-always ";
static const char *const yes[] = {"", "1", "on", "yes"};
static const char *const no[] = {"0", "off", "no"};

static char text[TEXT_MAX];
static char *options[OPTION_ARGS_MAX]; /* without the prefix */
static size_t nr_options;
static char *args[OPTION_ARGS_MAX + 1]; /* argv, ends in NULL */
static int nr_args;
static const char *ip;

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool has_prefix(const char *word, const char *prefix)
{
    return strncmp(word, prefix, strlen(prefix)) == 0;
}

/* End the word at (word) in place, its quotes taken out. Returns where the text goes on. */
static char *cut_word(char *word)
{
    bool quoted = false;
    char *from = word, *to = word;

    for (; *from != '\0' && (quoted || !is_blank(*from)); from++) {
        if (*from == '"')
            quoted = !quoted;
        else
            *to++ = *from;
    }
    from += *from != '\0';
    *to = '\0';
    if (quoted)
        log_warn("option: a quote is not closed: the rest of the line is one word: %s", word);
    return from;
}

/* Is name[0, len) a word of (list), which has blanks around each? */
static bool is_in(const char *list, const char *name, size_t len)
{
    for (const char *at = list; at[1] != '\0'; at = strchr(at + 1, ' '))
        if (strncmp(at + 1, name, len) == 0 && at[1 + len] == ' ')
            return true;
    return false;
}

static bool is_one_of(const char *value, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(value, words[i]) == 0)
            return true;
    return false;
}

static bool is_yes(const char *value)
{
    return is_one_of(value, yes, ARRAY_SIZE(yes));
}

static bool is_no(const char *value)
{
    return is_one_of(value, no, ARRAY_SIZE(no));
}

/* (value) NULL: it was given bare. */
static void check_option(const char *word, const char *name, size_t len, const char *value)
{
    if (!is_in(known, name, len))
        log_warn("option: %s is ignored; after paravane. these are known:%s", word, known);
    else if (value != NULL && is_in(switches, name, len) && !is_yes(value) && !is_no(value))
        log_warn("option: %s is ignored; write =on or =off", word);
    else if (is_in(" evtchn ", name, len) && (value == NULL || strcmp(value, "2l") != 0))
        log_warn("option: %s is ignored; write =2l", word);
}

static bool keep_option(char *word)
{
    const char *name = word + strlen(PREFIX), *end = strchr(name, '=');

    if (nr_options == OPTION_ARGS_MAX)
        return false;
    check_option(word, name, end ? (size_t)(end - name) : strlen(name), end ? end + 1 : NULL);
    options[nr_options++] = word + strlen(PREFIX);
    return true;
}

static bool keep_arg(char *word)
{
    if (nr_args == OPTION_ARGS_MAX)
        return false;
    args[nr_args++] = word;
    args[nr_args] = NULL;
    return true;
}

static bool keep_word(char *word)
{
    if (has_prefix(word, PREFIX))
        return keep_option(word);
    if (has_prefix(word, "ip=")) {
        ip = word + strlen("ip=");
        return true;
    }
    return keep_arg(word);
}

void option_init(const char *cmdline, const char *program)
{
    bool all = string_copy(text, sizeof(text), cmdline) == 0;
    char *next = text;

    nr_options = 0;
    nr_args = 0;
    ip = NULL;
    (void)keep_arg((char *)(uintptr_t)program);
    while (*next != '\0') {
        char *word = next;

        if (is_blank(*next)) {
            next++;
            continue;
        }
        next = cut_word(word);
        all = keep_word(word) && all;
    }
    if (!all)
        log_warn("option: the command line is too long, its end is ignored");
}

const char *option_get(const char *name)
{
    size_t len = strlen(name);

    for (size_t i = 0; i < nr_options; i++) {
        if (strncmp(options[i], name, len) != 0)
            continue;
        if (options[i][len] == '=')
            return options[i] + len + 1;
        if (options[i][len] == '\0')
            return "";
    }
    return NULL;
}

bool option_on(const char *name)
{
    const char *value = option_get(name);

    return value != NULL && is_yes(value);
}

bool option_is_off(const char *value)
{
    return value != NULL && is_no(value);
}

const char *option_ip(void)
{
    return ip;
}

int option_argc(void)
{
    return nr_args;
}

char **option_argv(void)
{
    return args;
}
