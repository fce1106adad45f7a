/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The calls of programs. Each finds the socket behind its descriptor, asks the protocol under the
 * core lock, and, when the answer is -EAGAIN and the caller may wait, lets the lock go and
 * sleeps until the wanted readiness is published (wait_ready).
 *
 * The descriptor table keeps the object alive during a call. When the last descriptor is closed
 * while calls are still waiting, they return (-EBADF).
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include "kernel/time.h"
#include "lib/base/atomic.h"
#include "lib/net/address.h"
#include "lib/net/internal.h"
#include "lib/net/sock.h"
#include <lwip/err.h>

#define READ_LIMIT_DEFAULT (256 * 1024)
#define IOV_MAX_HERE 1024

static const struct file_ops sock_ops;
static unsigned nr_sockets;

/* --- the object --- */

struct sock *sock_create(const struct sock_proto *proto, int family, int type, int protocol,
                         unsigned flags)
{
    struct sock *s = net_alloc_zeroed(1, sizeof(*s));
    if (s == NULL)
        return NULL;
    file_init(&s->file, &sock_ops, flags);
    s->proto = proto;
    s->family = family;
    s->type = type;
    s->protocol = protocol;
    s->read_limit = READ_LIMIT_DEFAULT;
    waitq_init(&s->wait);
    list_init(&s->link);
    list_init(&s->accepted);
    list_init(&s->datagrams);
    list_init(&s->groups);
    stream_init(&s->stream);
    if (family == AF_INET6) {
        IP_SET_TYPE_VAL(s->local, IPADDR_TYPE_V6);
        IP_SET_TYPE_VAL(s->remote, IPADDR_TYPE_V6);
    }
    atomic_add(&nr_sockets, 1);
    return s;
}

static void sock_free(struct sock *s)
{
    atomic_sub(&nr_sockets, 1);
    net_free(s);
}

unsigned sock_count(void)
{
    return load_relaxed(&nr_sockets);
}

void sock_update(struct sock *s)
{
    short ready = s->proto->poll(s);
    store_release(&s->ready, ready);
    if (ready == 0)
        return;
    waitq_wake_all(&s->wait);
    file_notify(&s->file, ready);
}

int sock_take_error(struct sock *s)
{
    int error = s->error;
    s->error = 0;
    return -error;
}

int sock_errno(int err)
{
    switch (err) {
    case ERR_OK:
        return 0;
    case ERR_MEM:
    case ERR_BUF:
        return -ENOBUFS;
    case ERR_RTE:
        return -EHOSTUNREACH;
    case ERR_USE:
        return -EADDRINUSE;
    case ERR_ALREADY:
        return -EALREADY;
    case ERR_ISCONN:
        return -EISCONN;
    case ERR_CONN:
    case ERR_CLSD:
        return -ENOTCONN;
    case ERR_IF:
        return -ENETDOWN;
    case ERR_WOULDBLOCK:
        return -EAGAIN;
    default:
        return -EINVAL;
    }
}

uint8_t sock_ip_type(const struct sock *s)
{
    if (s->family == AF_INET)
        return IPADDR_TYPE_V4;
    return s->v6only ? IPADDR_TYPE_V6 : IPADDR_TYPE_ANY;
}

struct sock *sock_get(int fd, int *rc)
{
    struct file *f = fd_get(fd);
    if (f != NULL && f->ops == &sock_ops)
        return CONTAINER_OF(f, struct sock, file);
    *rc = f == NULL ? -EBADF : -ENOTSOCK;
    if (f != NULL)
        file_put(f);
    return NULL;
}

static void sock_put(struct sock *s)
{
    file_put(&s->file);
}

/* --- waiting --- */

static nsec_t deadline_of(const struct sock *s, short events, int flags)
{
    nsec_t timeout = events & POLLIN ? s->read_timeout : s->write_timeout;
    if (file_nonblocking(&s->file) || (flags & MSG_DONTWAIT) != 0)
        return 0;
    return timeout == 0 ? NEVER : time_now() + timeout;
}

/* After -EAGAIN: 0 when the call is worth repeating. (deadline) 0: may not wait. */
static int wait_ready(struct sock *s, short events, nsec_t deadline)
{
    short wanted = (short)(events | POLLERR | POLLHUP);
    if (deadline == 0)
        return -EAGAIN;
    int rc = wait_until(
        &s->wait, (load_acquire(&s->ready) & wanted) != 0 || load_acquire(&s->abandoned), deadline);
    if (load_acquire(&s->abandoned))
        return -EBADF;
    return rc == 0 ? 0 : -EAGAIN;
}

/* --- transfers --- */

static ssize_t io_length(struct sock_io *io)
{
    io->len = 0;
    if (io->iovcnt > IOV_MAX_HERE)
        return -EMSGSIZE;
    for (size_t i = 0; i < io->iovcnt; i++)
        if (__builtin_add_overflow(io->len, io->iov[i].iov_len, &io->len) || io->len > SIZE_MAX / 2)
            return -EINVAL;
    return 0;
}

/* A blocking send of a stream returns when all is taken, a datagram is all or nothing. */
static ssize_t transfer_out(struct sock *s, struct sock_io *io)
{
    size_t done = 0;
    ssize_t rc = io_length(io);
    nsec_t deadline = deadline_of(s, POLLOUT, io->flags);
    while (rc == 0) {
        net_lock();
        ssize_t n = s->proto->send(s, io, done);
        net_unlock();
        done += n > 0 ? (size_t)n : 0;
        if (n >= 0 && (done >= io->len || deadline == 0))
            break;
        rc = n == -EAGAIN || n >= 0 ? wait_ready(s, POLLOUT, deadline) : n;
    }
    return done > 0 || rc == 0 ? (ssize_t)done : rc;
}

static ssize_t receive_once(struct sock *s, struct sock_io *io, nsec_t deadline)
{
    for (;;) {
        net_lock();
        ssize_t n = s->proto->recv(s, io);
        net_unlock();
        if (n != -EAGAIN)
            return n;
        int rc = wait_ready(s, POLLIN, deadline);
        if (rc != 0)
            return rc;
    }
}

/* MSG_WAITALL of a stream: each buffer is filled before the next. */
static ssize_t receive_all(struct sock *s, struct sock_io *io, nsec_t deadline)
{
    size_t done = 0;
    for (size_t i = 0; i < io->iovcnt; i++) {
        struct iovec rest = io->iov[i];
        struct sock_io part = {.iov = &rest, .iovcnt = 1, .flags = io->flags};
        while (rest.iov_len > 0) {
            ssize_t n = receive_once(s, &part, deadline);
            if (n <= 0)
                return done > 0 ? (ssize_t)done : n;
            rest.iov_base = (char *)rest.iov_base + n;
            rest.iov_len -= (size_t)n;
            done += (size_t)n;
        }
        io->ip = part.ip;
        io->port = part.port;
    }
    return (ssize_t)done;
}

static ssize_t transfer_in(struct sock *s, struct sock_io *io)
{
    ssize_t rc = io_length(io);
    nsec_t deadline = deadline_of(s, POLLIN, io->flags);
    if (rc != 0)
        return rc;
    if (io->len == 0 && s->type == SOCK_STREAM)
        return 0;
    bool all = (io->flags & (MSG_WAITALL | MSG_PEEK)) == MSG_WAITALL;
    return all && s->type == SOCK_STREAM ? receive_all(s, io, deadline)
                                         : receive_once(s, io, deadline);
}

/* --- as a file --- */

static ssize_t file_read(struct file *f, void *buf, size_t len)
{
    struct iovec iov = {buf, len};
    struct sock_io io = {.iov = &iov, .iovcnt = 1};
    return transfer_in(CONTAINER_OF(f, struct sock, file), &io);
}

static ssize_t file_write(struct file *f, const void *buf, size_t len)
{
    struct iovec iov = {(void *)(uintptr_t)buf, len};
    struct sock_io io = {.iov = &iov, .iovcnt = 1};
    return transfer_out(CONTAINER_OF(f, struct sock, file), &io);
}

static int file_stat(struct file *f, struct stat *st)
{
    (void)f;
    st->st_mode = S_IFSOCK | 0777;
    st->st_blksize = 4096;
    return 0;
}

static int file_ioctl(struct file *f, unsigned long request, void *arg)
{
    struct sock *s = CONTAINER_OF(f, struct sock, file);
    if (request != FIONREAD)
        return -ENOTTY;
    net_lock();
    *(int *)arg = (int)s->proto->readable(s);
    net_unlock();
    return 0;
}

static short file_poll(struct file *f)
{
    return load_acquire(&CONTAINER_OF(f, struct sock, file)->ready);
}

/* Nobody can reach the socket by number any more: whoever waits in it gives up. */
static void file_abandon(struct file *f)
{
    struct sock *s = CONTAINER_OF(f, struct sock, file);
    store_release(&s->abandoned, true);
    waitq_wake_all(&s->wait);
}

static void file_close(struct file *f)
{
    struct sock *s = CONTAINER_OF(f, struct sock, file);
    net_lock();
    s->proto->close(s);
    net_unlock();
    list_for_each_safe (pos, &s->accepted)
        sock_free(list_entry(pos, struct sock, link));
    sock_free(s);
}

static const struct file_ops sock_ops = {
    .read = file_read,
    .write = file_write,
    .fstat = file_stat,
    .ioctl = file_ioctl,
    .poll_events = file_poll,
    .abandon = file_abandon,
    .close = file_close,
};

/* --- the calls --- */

static const struct sock_proto *proto_for(int domain, int type, int *protocol)
{
    int icmp = domain == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6;
    if (type == SOCK_STREAM && (*protocol == 0 || *protocol == IPPROTO_TCP)) {
        *protocol = IPPROTO_TCP;
        return &sock_tcp;
    }
    if (type == SOCK_DGRAM && (*protocol == 0 || *protocol == IPPROTO_UDP)) {
        *protocol = IPPROTO_UDP;
        return &sock_udp;
    }
    return type == SOCK_RAW && *protocol == icmp ? &sock_raw : NULL;
}

static int install(struct sock *s)
{
    int fd = fd_install(&s->file);
    if (fd < 0)
        sock_put(s);
    return fd;
}

static int open_socket(int domain, int type, int protocol)
{
    unsigned flags = O_RDWR | (type & SOCK_NONBLOCK ? O_NONBLOCK : 0);
    type &= ~(SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (domain != AF_INET && domain != AF_INET6)
        return -EAFNOSUPPORT;
    const struct sock_proto *proto = proto_for(domain, type, &protocol);
    if (proto == NULL)
        return -EPROTONOSUPPORT;
    int rc = net_start();
    if (rc != 0)
        return rc;
    struct sock *s = sock_create(proto, domain, type, protocol, flags);
    if (s == NULL)
        return -ENOBUFS;
    net_lock();
    rc = proto->open(s);
    if (rc == 0)
        sock_update(s);
    net_unlock();
    if (rc != 0) {
        sock_put(s);
        return rc;
    }
    return install(s);
}

int socket(int domain, int type, int protocol)
{
    return (int)posix_result(open_socket(domain, type, protocol));
}

/* What a program means by the IPv6 wildcard depends on IPV6_V6ONLY. */
static int take_address(const struct sock *s, const struct sockaddr *addr, socklen_t len,
                        ip_addr_t *ip, uint16_t *port)
{
    int rc = address_take(s->family, addr, len, ip, port);
    if (rc == 0 && s->v6only) {
        if (IP_IS_V4_VAL(*ip))
            return -EADDRNOTAVAIL;
        IP_SET_TYPE_VAL(*ip, IPADDR_TYPE_V6);
    }
    return rc;
}

int bind(int fd, const struct sockaddr *addr, socklen_t len)
{
    ip_addr_t ip;
    uint16_t port;
    int rc;
    struct sock *s = sock_get(fd, &rc);
    if (s == NULL)
        return (int)posix_result(rc);
    rc = take_address(s, addr, len, &ip, &port);
    if (rc == 0) {
        net_lock();
        rc = s->proto->bind(s, &ip, port);
        net_unlock();
    }
    sock_put(s);
    return (int)posix_result(rc);
}

int listen(int fd, int backlog)
{
    int rc;
    struct sock *s = sock_get(fd, &rc);
    if (s == NULL)
        return (int)posix_result(rc);
    net_lock();
    rc = s->proto->listen(s, (unsigned)MIN(MAX(backlog, 1), SOMAXCONN));
    net_unlock();
    sock_put(s);
    return (int)posix_result(rc);
}

static int accept_one(struct sock *s, struct sock **out)
{
    nsec_t deadline = deadline_of(s, POLLIN, 0);
    for (;;) {
        net_lock();
        int rc = s->proto->accept(s, out);
        net_unlock();
        if (rc != -EAGAIN)
            return rc;
        rc = wait_ready(s, POLLIN, deadline);
        if (rc != 0)
            return rc;
    }
}

int accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
    struct sock *child;
    int rc;
    struct sock *s = sock_get(fd, &rc);
    if (s == NULL)
        return (int)posix_result(rc);
    rc = accept_one(s, &child);
    sock_put(s);
    if (rc != 0)
        return (int)posix_result(rc);
    if (flags & SOCK_NONBLOCK)
        child->file.flags |= O_NONBLOCK;
    address_give(child->family, &child->remote, child->remote_port, addr, len);
    return (int)posix_result(install(child));
}

int accept(int fd, struct sockaddr *addr, socklen_t *len)
{
    return accept4(fd, addr, len, 0);
}

static int await_connection(struct sock *s)
{
    nsec_t deadline = deadline_of(s, POLLOUT, 0);
    if (deadline == 0)
        return -EINPROGRESS;
    int rc = wait_ready(s, POLLOUT, deadline);
    if (rc != 0)
        return rc == -EAGAIN ? -EINPROGRESS : rc;
    net_lock();
    rc = sock_take_error(s);
    net_unlock();
    return rc;
}

static int connect_to(struct sock *s, const struct sockaddr *addr, socklen_t len)
{
    ip_addr_t ip;
    uint16_t port;
    int rc = take_address(s, addr, len, &ip, &port);
    if (rc != 0)
        return rc;
    if (ip_addr_isany(&ip)) /* as elsewhere, the wildcard means this machine */
        ip = s->family == AF_INET ? (ip_addr_t)IPADDR4_INIT(PP_HTONL(INADDR_LOOPBACK))
                                  : (ip_addr_t)IPADDR6_INIT(0, 0, 0, PP_HTONL(1));
    net_lock();
    rc = s->proto->connect(s, &ip, port);
    net_unlock();
    return rc == -EINPROGRESS ? await_connection(s) : rc;
}

int connect(int fd, const struct sockaddr *addr, socklen_t len)
{
    int rc;
    struct sock *s = sock_get(fd, &rc);
    if (s == NULL)
        return (int)posix_result(rc);
    rc = connect_to(s, addr, len);
    sock_put(s);
    return (int)posix_result(rc);
}

static ssize_t send_to(int fd, struct sock_io *io, const struct sockaddr *addr, socklen_t addrlen)
{
    int rc;
    struct sock *s = sock_get(fd, &rc);
    if (s == NULL)
        return posix_result(rc);
    io->addressed = addr != NULL && s->type != SOCK_STREAM;
    rc = io->addressed ? take_address(s, addr, addrlen, &io->ip, &io->port) : 0;
    ssize_t n = rc != 0 ? rc : transfer_out(s, io);
    sock_put(s);
    return posix_result(n);
}

ssize_t sendto(int fd, const void *buf, size_t len, int flags, const struct sockaddr *addr,
               socklen_t addrlen)
{
    struct iovec iov = {(void *)(uintptr_t)buf, len};
    struct sock_io io = {.iov = &iov, .iovcnt = 1, .flags = flags};
    return send_to(fd, &io, addr, addrlen);
}

ssize_t send(int fd, const void *buf, size_t len, int flags)
{
    return sendto(fd, buf, len, flags, NULL, 0);
}

ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
    struct sock_io io = {.iov = msg->msg_iov, .iovcnt = msg->msg_iovlen, .flags = flags};
    return send_to(fd, &io, msg->msg_name, msg->msg_namelen);
}

static ssize_t recv_from(int fd, struct sock_io *io, struct sockaddr *addr, socklen_t *addrlen)
{
    int rc;
    struct sock *s = sock_get(fd, &rc);
    if (s == NULL)
        return posix_result(rc);
    io->ip = s->local; /* of the right type, should nothing come */
    ssize_t n = transfer_in(s, io);
    if (n >= 0)
        address_give(s->family, &io->ip, io->port, addr, addrlen);
    sock_put(s);
    return posix_result(n);
}

ssize_t recvfrom(int fd, void *buf, size_t len, int flags, struct sockaddr *addr,
                 socklen_t *addrlen)
{
    struct iovec iov = {buf, len};
    struct sock_io io = {.iov = &iov, .iovcnt = 1, .flags = flags};
    return recv_from(fd, &io, addr, addrlen);
}

ssize_t recv(int fd, void *buf, size_t len, int flags)
{
    return recvfrom(fd, buf, len, flags, NULL, NULL);
}

ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
    struct sock_io io = {.iov = msg->msg_iov, .iovcnt = msg->msg_iovlen, .flags = flags};
    socklen_t len = msg->msg_namelen;
    ssize_t n = recv_from(fd, &io, msg->msg_name, &len);
    if (n >= 0) {
        msg->msg_namelen = msg->msg_name == NULL ? 0 : len;
        msg->msg_controllen = 0;
        msg->msg_flags = io.flags & MSG_TRUNC;
    }
    return n;
}

int shutdown(int fd, int how)
{
    int rc;
    struct sock *s = sock_get(fd, &rc);
    if (s == NULL)
        return (int)posix_result(rc);
    rc = how == SHUT_RD || how == SHUT_WR || how == SHUT_RDWR ? 0 : -EINVAL;
    if (rc == 0) {
        net_lock();
        rc = s->proto->shutdown(s, how);
        net_unlock();
    }
    sock_put(s);
    return (int)posix_result(rc);
}

int getsockname(int fd, struct sockaddr *addr, socklen_t *len)
{
    int rc;
    struct sock *s = sock_get(fd, &rc);
    if (s == NULL)
        return (int)posix_result(rc);
    net_lock();
    ip_addr_t ip = s->local;
    uint16_t port = s->local_port;
    net_unlock();
    address_give(s->family, &ip, port, addr, len);
    sock_put(s);
    return 0;
}

int getpeername(int fd, struct sockaddr *addr, socklen_t *len)
{
    int rc;
    struct sock *s = sock_get(fd, &rc);
    if (s == NULL)
        return (int)posix_result(rc);
    net_lock();
    rc = s->state == SOCK_CONNECTED ? 0 : -ENOTCONN;
    ip_addr_t ip = s->remote;
    uint16_t port = s->remote_port;
    net_unlock();
    if (rc == 0)
        address_give(s->family, &ip, port, addr, len);
    sock_put(s);
    return (int)posix_result(rc);
}
