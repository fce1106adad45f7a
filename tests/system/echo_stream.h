/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's end of `peer stream`: a client says how many bytes, sends them, is told whether all
 * were right, and gets as many back.
 */
#ifndef TESTS_SYSTEM_ECHO_STREAM_H
#define TESTS_SYSTEM_ECHO_STREAM_H

#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "tests/system/pattern.h"

#define ECHO_CHUNK 65536u

static bool echo_receive(int fd, void *buf, size_t len)
{
    return recv(fd, buf, len, MSG_WAITALL) == (ssize_t)len;
}

/* False when the connection broke; (*wrong) when a word was not what it should be. */
static bool echo_take(int fd, uint64_t *buf, uint64_t bytes, uint64_t *wrong)
{
    for (uint64_t at = 0; at < bytes; at += ECHO_CHUNK) {
        size_t len = bytes - at < ECHO_CHUNK ? bytes - at : ECHO_CHUNK;

        if (!echo_receive(fd, buf, len))
            return false;
        *wrong += !stream_right(buf, at / 8, len / 8);
    }
    return true;
}

static bool echo_give(int fd, uint64_t *buf, uint64_t bytes)
{
    for (uint64_t at = 0; at < bytes; at += ECHO_CHUNK) {
        size_t len = bytes - at < ECHO_CHUNK ? bytes - at : ECHO_CHUNK;

        stream_fill(buf, at / 8, len / 8);
        if (send(fd, buf, len, 0) != (ssize_t)len)
            return false;
    }
    return true;
}

static void *echo_connection(void *arg)
{
    int fd = (int)(long)arg;
    uint64_t *buf = malloc(ECHO_CHUNK), bytes, wrong = 0;

    if (buf == NULL || !echo_receive(fd, &bytes, sizeof(bytes)) ||
        !echo_take(fd, buf, bytes, &wrong) || send(fd, &wrong, sizeof(wrong), 0) != sizeof(wrong) ||
        !echo_give(fd, buf, bytes))
        printf("stream: a connection broke\n");
    free(buf);
    close(fd);
    return NULL;
}

/* Returns only when it cannot serve. */
static inline void echo_serve(unsigned port)
{
    struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    int listener = socket(AF_INET6, SOCK_STREAM, 0), fd;

    if (bind(listener, (struct sockaddr *)&any, sizeof(any)) != 0 || listen(listener, 64) != 0) {
        perror("stream");
        return;
    }
    printf("serving\n");
    while ((fd = accept(listener, NULL, NULL)) >= 0) {
        pthread_t t;

        if (pthread_create(&t, NULL, echo_connection, (void *)(long)fd) != 0)
            close(fd);
        else
            pthread_detach(t);
    }
    perror("stream: accept");
}

#endif
