/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A socket: the object behind a descriptor, shared by socket.c (calls of programs), tcp.c and
 * dgram.c (protocols) and sockopt.c.
 *
 * I1 All fields but (file), (wait), (ready) and (abandoned) are read and written under the core
 * lock. I2 (ready) is the one published fact, the poll events that hold now. Whoever changes a
 *    field that it follows from calls sock_update before letting the lock go; waiters and poll
 *    read it without lock.
 * I3 lwIP's control block points to the socket as long as the socket points to it: both are cut
 *    together, in one place each (detach in tcp.c and dgram.c).
 */
#ifndef LIB_NET_SOCK_H
#define LIB_NET_SOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include "kernel/wait.h"
#include "lib/base/list.h"
#include "lib/net/stream.h"
#include "lib/posix/fd.h"
#include <lwip/ip_addr.h>

struct sock;
struct tcp_pcb;
struct udp_pcb;
struct raw_pcb;

enum sock_state {
    SOCK_FRESH, /* not connected and not listening */
    SOCK_LISTENING,
    SOCK_CONNECTING,
    SOCK_CONNECTED, /* or was: data and error may remain */
    SOCK_DEAD,      /* closed: callbacks no longer come */
};

/* One transfer, as sendmsg and recvmsg have it. */
struct sock_io {
    struct iovec *iov;
    size_t iovcnt;
    size_t len;     /* of all together */
    int flags;      /* MSG_*; out: MSG_TRUNC */
    bool addressed; /* send: (ip) and (port) are the destination */
    ip_addr_t ip;   /* recv: where it came from */
    uint16_t port;
};

/* A protocol. All but open run under the core lock and do not wait: -EAGAIN means wait for
 * (ready) and call again. */
struct sock_proto {
    int (*open)(struct sock *s);
    int (*bind)(struct sock *s, const ip_addr_t *ip, uint16_t port);
    /* 0: connected at once; -EINPROGRESS. */
    int (*connect)(struct sock *s, const ip_addr_t *ip, uint16_t port);
    int (*listen)(struct sock *s, unsigned backlog);
    int (*accept)(struct sock *s, struct sock **out);
    /* Bytes taken from (done) on. */
    ssize_t (*send)(struct sock *s, const struct sock_io *io, size_t done);
    ssize_t (*recv)(struct sock *s, struct sock_io *io);
    int (*shutdown)(struct sock *s, int how);
    /* Let go of lwIP's side and of everything that is queued. */
    void (*close)(struct sock *s);
    short (*poll)(const struct sock *s);
    size_t (*readable)(const struct sock *s);
};
extern const struct sock_proto sock_tcp, sock_udp, sock_raw;

struct sock {
    struct file file;
    struct list link; /* listener's queue of accepted connections */
    const struct sock_proto *proto;
    int family, type, protocol;
    enum sock_state state;
    struct waitq wait;
    short ready;    /* I2 */
    bool abandoned; /* the last descriptor is closed; without lock */
    int error;      /* SO_ERROR: taken by the next call that would fail */
    bool v6only, nodelay;
    bool no_read, no_write; /* we shut that direction down */
    bool ended;             /* the peer did */
    ip_addr_t local, remote;
    uint16_t local_port, remote_port;
    nsec_t read_timeout, write_timeout; /* 0: none */
    size_t read_limit;                  /* SO_RCVBUF of datagrams */
    struct linger linger;
    union {
        struct tcp_pcb *tcp;
        struct udp_pcb *udp;
        struct raw_pcb *raw;
    };
    /* Streams. */
    struct stream stream;
    struct list accepted;
    size_t withheld; /* bytes that the program read and the peer was not credited */
    bool starved;    /* lwIP had no memory for a write: wait for an acknowledgement or the poll */
    /* Datagrams. */
    struct list datagrams;
    size_t datagram_memory;
    uint64_t datagrams_dropped;
    struct list groups; /* multicast */
};

/* A socket with one reference and no control block, or NULL. */
struct sock *sock_create(const struct sock_proto *proto, int family, int type, int protocol,
                         unsigned flags);
/* Publish what it is ready for and wake whom it concerns. (I2) */
void sock_update(struct sock *s);
/* The pending error, negative, and forget it; 0: none. */
int sock_take_error(struct sock *s);
/* -errno for lwIP's error. */
int sock_errno(int err);
/* lwIP's type of address for a control block of this socket. */
uint8_t sock_ip_type(const struct sock *s);

/* The socket behind (fd) with a reference, or NULL with *rc = -EBADF or -ENOTSOCK. */
struct sock *sock_get(int fd, int *rc);

/* dgram.c: leave the groups that (s) joined. */
void sock_leave_groups(struct sock *s);
int sock_join_group(struct sock *s, const ip_addr_t *interface, unsigned index,
                    const ip_addr_t *group);
int sock_leave_group(struct sock *s, const ip_addr_t *interface, unsigned index,
                     const ip_addr_t *group);

/* Sockets that exist, for the census. */
unsigned sock_count(void);

#endif
