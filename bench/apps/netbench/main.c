/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's end of TCP streams that are measured in dom0 (bench/dom0/peer.c). Plain POSIX: the
 * same file is compiled for the Linux guest.
 *
 *   5001  takes bytes until the client shuts down its side, then says how many came (8 bytes,
 *         little endian)
 *   5002  gives bytes until the client has had enough
 *
 * One connection at a time.
 */
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TAKE_PORT 5001
#define GIVE_PORT 5002
#define BLOCK (128 * 1024) /* iperf3's */

static char block[BLOCK];

static int listen_on(uint16_t port)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&any, sizeof(any)) != 0 || listen(fd, 1) != 0) {
        perror("netbench");
        return -1;
    }
    return fd;
}

static void take(int fd)
{
    uint64_t total = 0;
    ssize_t n;

    while ((n = recv(fd, block, sizeof(block), 0)) > 0)
        total += (uint64_t)n;
    if (n < 0 || send(fd, &total, sizeof(total), MSG_NOSIGNAL) != sizeof(total))
        perror("netbench: take");
}

static void give(int fd)
{
    while (send(fd, block, sizeof(block), MSG_NOSIGNAL) > 0)
        ;
}

int main(void)
{
    struct pollfd port[2] = {
        {.fd = listen_on(TAKE_PORT), .events = POLLIN},
        {.fd = listen_on(GIVE_PORT), .events = POLLIN},
    };

    if (port[0].fd < 0 || port[1].fd < 0)
        return 1;
    memset(block, 'x', sizeof(block));
    printf("netbench: ready\n");
    fflush(stdout);
    while (poll(port, 2, -1) > 0) {
        for (int i = 0; i < 2; i++) {
            int fd = port[i].revents ? accept(port[i].fd, NULL, NULL) : -1;

            if (fd < 0)
                continue;
            (i == 0 ? take : give)(fd);
            close(fd);
        }
    }
    perror("netbench: poll");
    return 1;
}
