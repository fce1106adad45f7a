/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's error numbers are newlib's. This file holds no code: the names are read once
 * with each header's values, and the compiler compares.
 */
#include <errno.h>

/* clang-format off */
#define EACH_ERROR(X)                                                                         \
    X(EPERM) X(ENOENT) X(EINTR) X(EIO) X(ENXIO) X(E2BIG) X(ENOEXEC) X(EBADF) X(ECHILD)        \
    X(EAGAIN) X(ENOMEM) X(EACCES) X(EFAULT) X(EBUSY) X(EEXIST) X(EXDEV) X(ENODEV) X(ENOTDIR)  \
    X(EISDIR) X(EINVAL) X(ENFILE) X(EMFILE) X(ENOTTY) X(EFBIG) X(ENOSPC) X(ESPIPE) X(EROFS)   \
    X(EPIPE) X(EDOM) X(ERANGE) X(EDEADLK) X(EPROTO) X(EBADMSG) X(ENOSYS) X(ENAMETOOLONG)      \
    X(ELOOP) X(EOPNOTSUPP) X(ECONNRESET) X(ENOBUFS) X(ENOPROTOOPT) X(ECONNREFUSED)            \
    X(EADDRINUSE) X(ECONNABORTED) X(ENETUNREACH) X(ENETDOWN) X(ETIMEDOUT) X(EHOSTUNREACH)     \
    X(EINPROGRESS) X(EALREADY) X(EMSGSIZE) X(EADDRNOTAVAIL) X(EISCONN) X(ENOTCONN) X(EDQUOT)  \
    X(ENOTSUP) X(EOVERFLOW) X(ECANCELED) X(ETIME) X(EUCLEAN) X(EWOULDBLOCK)
/* clang-format on */

/* newlib's value of each, under a name of ours. */
#define NEWLIB(name) newlib_##name = name,
enum { EACH_ERROR(NEWLIB) };

#include "lib/base/errno.h"

/* A redefinition with another value is already an error of the preprocessor; this also finds
 * names that only newlib's header spells out. */
#define SAME(name) _Static_assert(newlib_##name == name, "errno.h differs from newlib: " #name);
EACH_ERROR(SAME)
