/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * httpd: serve the files of the root file system over HTTP/1.1, and the numbers of the domain under
 * /-/status.
 *
 *     httpd [--port N] [--root DIR] [--timeout SECONDS] [--connections N] [--log]
 *
 * main.c        options, the first line of the log
 * server.c      the loop over all connections, and who has to go when there are too many
 * conn.c        one connection: read a request, send an answer, again
 * request.c     what a request says               path.c fields.c    its target, its fields
 * answer.c      what is answered                  page.c status.c    the pages of the server itself
 * status_paravane.c   where the numbers come from: the one file that knows the kernel
 */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "apps/httpd/answer.h"
#include "apps/httpd/conn.h"
#include "apps/httpd/server.h"
#include "apps/httpd/status.h"

#define CONNECTIONS 960 /* each may need two descriptors of the 2048 there are */

struct options {
    unsigned port, timeout, connections;
    const char *root;
};

static int usage(void)
{
    fprintf(stderr, "usage: httpd [--port N] [--root DIR] [--timeout SECONDS] [--connections N] "
                    "[--log]\n");
    return 64;
}

static bool take_number(const char *text, unsigned max, unsigned *out)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);

    if (*end != '\0' || n == 0 || n > max)
        return false;
    *out = (unsigned)n;
    return true;
}

static bool take_option(int option, const char *value, struct options *o)
{
    switch (option) {
    case 'p':
        return take_number(value, UINT16_MAX, &o->port);
    case 't':
        return take_number(value, 3600, &o->timeout);
    case 'c':
        return take_number(value, CONNECTIONS, &o->connections);
    case 'r':
        o->root = value;
        return value[0] == '/' && strlen(value) < 256;
    case 'l':
        conn_options.log = true;
        return true;
    }
    return false;
}

static bool take_options(int argc, char **argv, struct options *o)
{
    static const struct option known[] = {
        {"port", required_argument, NULL, 'p'},    {"root", required_argument, NULL, 'r'},
        {"timeout", required_argument, NULL, 't'}, {"connections", required_argument, NULL, 'c'},
        {"log", no_argument, NULL, 'l'},           {NULL, 0, NULL, 0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (!take_option(option, optarg, o))
            return false;
    }
    return optind == argc;
}

static void say_where(const struct options *o)
{
    char address[64], port[8] = "";

    status_address(address, sizeof(address));
    if (o->port != 80)
        snprintf(port, sizeof(port), ":%u", o->port);
    if (address[0] == '\0')
        printf("httpd: serving %s on port %u, but there is no address yet\n", o->root, o->port);
    else
        printf("httpd: serving %s on port %u, http://%s%s/\n", o->root, o->port, address, port);
}

int main(int argc, char **argv)
{
    struct options o = {.port = 80, .timeout = 15, .connections = CONNECTIONS, .root = "/"};

    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    if (!take_options(argc, argv, &o))
        return usage();
    conn_options.timeout_ms = (int64_t)o.timeout * 1000;
    if (!answer_init(o.root))
        printf("httpd: there are no files at %s: only /-/status is served, all else is 503\n",
               o.root);
    int listener = server_listen((uint16_t)o.port);
    if (listener < 0) {
        fprintf(stderr, "httpd: port %u: %s\n", o.port, strerror(errno));
        return 1;
    }
    say_where(&o);
    server_run(listener, o.connections);
    fprintf(stderr, "httpd: %s\n", strerror(errno));
    return 1;
}
