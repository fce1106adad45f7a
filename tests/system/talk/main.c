/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Does what it is told on its console, one line at a time:
 *   name HOST   what getaddrinfo finds, or why it finds nothing
 *   sum TEXT    how many letters there are and their sum
 *   quit N      ends with status N
 * Everything else is repeated.
 */
#define _GNU_SOURCE 1
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static const void *address_of(const struct sockaddr *addr)
{
    return addr->sa_family == AF_INET
               ? (const void *)&((const struct sockaddr_in *)addr)->sin_addr
               : (const void *)&((const struct sockaddr_in6 *)addr)->sin6_addr;
}

static void look_up(const char *host)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    char text[INET6_ADDRSTRLEN];
    int error = getaddrinfo(host, NULL, &hints, &list);

    printf("%s:", host);
    if (error != 0)
        printf(" %s", gai_strerror(error));
    for (const struct addrinfo *i = list; i != NULL; i = i->ai_next)
        printf(" %s", inet_ntop(i->ai_family, address_of(i->ai_addr), text, sizeof(text)));
    printf(";\n");
    freeaddrinfo(list);
}

static void add_up(const char *letters)
{
    unsigned long sum = 0;

    for (const char *p = letters; *p != '\0'; p++)
        sum += (unsigned char)*p;
    printf("%zu letters, sum %lu\n", strlen(letters), sum);
}

int main(void)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t len;

    printf("listening\n");
    while ((len = getline(&line, &room, stdin)) > 0) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "name ", 5) == 0)
            look_up(line + 5);
        else if (strncmp(line, "sum ", 4) == 0)
            add_up(line + 4);
        else if (strncmp(line, "quit ", 5) == 0)
            return atoi(line + 5);
        else
            printf("heard: %s\n", line);
    }
    printf("the console ended\n");
    return 1;
}
