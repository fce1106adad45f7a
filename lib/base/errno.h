/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one errno numbering: newlib's, so that no layer above the hypercall wrappers
 * and the xenstore parser ever converts (Xen's own numbers are Linux's).
 * lib/libc asserts that these equal <errno.h>. Host tests use the host's numbers.
 */
#ifndef LIB_BASE_ERRNO_H
#define LIB_BASE_ERRNO_H

#ifdef PARAVANE_HOST
#include <errno.h>
#ifndef EFTYPE
#define EFTYPE EINVAL
#endif
#else
#define EPERM 1
#define ENOENT 2
#define EINTR 4
#define EIO 5
#define ENXIO 6
#define E2BIG 7
#define ENOEXEC 8
#define EBADF 9
#define ECHILD 10
#define EAGAIN 11
#define ENOMEM 12
#define EACCES 13
#define EFAULT 14
#define EBUSY 16
#define EEXIST 17
#define EXDEV 18
#define ENODEV 19
#define ENOTDIR 20
#define EISDIR 21
#define EINVAL 22
#define ENFILE 23
#define EMFILE 24
#define ENOTTY 25
#define EFBIG 27
#define ENOSPC 28
#define ESPIPE 29
#define EROFS 30
#define EPIPE 32
#define EDOM 33
#define ERANGE 34
#define EDEADLK 45
#define EPROTO 71
#define EBADMSG 77
#define ENOSYS 88
#define ENOTEMPTY 90
#define ENAMETOOLONG 91
#define ELOOP 92
#define EOPNOTSUPP 95
#define ECONNRESET 104
#define ENOBUFS 105
#define ENOPROTOOPT 109
#define ECONNREFUSED 111
#define EADDRINUSE 112
#define ECONNABORTED 113
#define ENETUNREACH 114
#define ENETDOWN 115
#define ETIMEDOUT 116
#define EHOSTUNREACH 118
#define EINPROGRESS 119
#define EALREADY 120
#define EMSGSIZE 122
#define EADDRNOTAVAIL 125
#define EISCONN 127
#define ENOTCONN 128
#define EDQUOT 132
#define ENOTSUP 134
#define EOVERFLOW 139
#define ECANCELED 140
#define ETIME 62
#define EUCLEAN 144 /* newlib has none; the first number it leaves free */
#define EWOULDBLOCK EAGAIN
#endif

#endif
