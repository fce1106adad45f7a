/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Does what it is told on its console, one line at a time:
 *   name HOST   what getaddrinfo finds, or why it finds nothing
 *   sum TEXT    how many letters there are and their sum
 *   hear ADDRESS PORT       joins the group if it is one, waits for a datagram and repeats it
 *   say ADDRESS PORT WORD   fifty times
 *   poll        waits with poll until there is something to read
 *   quit N      ends with status N
 * Everything else is repeated.
 */
#define _GNU_SOURCE 1
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

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

/* (line) begins with an address and a port; what is behind them. NULL: it does not. */
static const char *parse(const char *line, struct sockaddr_in6 *to)
{
    char address[64], mapped[80];
    unsigned port;
    int at = 0;

    if (sscanf(line, "%63s %u %n", address, &port, &at) != 2)
        return NULL;
    snprintf(mapped, sizeof(mapped), "%s%s", strchr(address, ':') == NULL ? "::ffff:" : "",
             address);
    *to = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    return inet_pton(AF_INET6, mapped, &to->sin6_addr) == 1 ? line + at : NULL;
}

/* A group of IPv4 is the only one that is joined. */
static int join(int fd, const struct sockaddr_in6 *to)
{
    struct ip_mreq group = {.imr_interface.s_addr = INADDR_ANY};

    memcpy(&group.imr_multiaddr, &to->sin6_addr.s6_addr[12], 4);
    if (!IN6_IS_ADDR_V4MAPPED(&to->sin6_addr) || !IN_MULTICAST(ntohl(group.imr_multiaddr.s_addr)))
        return 0;
    return setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof(group));
}

static void hear(const char *line)
{
    struct sockaddr_in6 to, any = {.sin6_family = AF_INET6};
    int fd = socket(AF_INET6, SOCK_DGRAM, 0);
    char text[80];
    ssize_t n = -1;

    if (parse(line, &to) != NULL) {
        any.sin6_port = to.sin6_port;
        if (bind(fd, (struct sockaddr *)&any, sizeof(any)) == 0 && join(fd, &to) == 0) {
            printf("hearing %s\n", line);
            n = recv(fd, text, sizeof(text) - 1, 0);
        }
    }
    if (n < 0)
        perror("hear");
    else
        printf("heard %.*s;\n", (int)n, text);
    close(fd);
}

static void say(const char *line)
{
    int fd = socket(AF_INET6, SOCK_DGRAM, 0), said = 0;
    struct sockaddr_in6 to;
    const char *word = parse(line, &to);

    for (int i = 0; i < 50 && word != NULL; i++)
        said += sendto(fd, word, strlen(word), 0, (struct sockaddr *)&to, sizeof(to)) > 0;
    printf("said %d times %s\n", said, word == NULL ? "nothing" : word);
    close(fd);
}

static void wait_for_input(void)
{
    struct pollfd console = {.fd = STDIN_FILENO, .events = POLLIN};
    int ready;

    printf("waiting\n");
    ready = poll(&console, 1, 60000);
    printf("%d ready: %s\n", ready, console.revents == POLLIN ? "input" : "nothing");
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
        else if (strncmp(line, "hear ", 5) == 0)
            hear(line + 5);
        else if (strncmp(line, "say ", 4) == 0)
            say(line + 4);
        else if (strcmp(line, "poll") == 0)
            wait_for_input();
        else if (strncmp(line, "quit ", 5) == 0)
            return atoi(line + 5);
        else
            printf("heard: %s\n", line);
    }
    printf("the console ended\n");
    return 1;
}
