/* SPDX-License-Identifier: BSD-2-Clause */
/* The waiting that poll and select share. */
#ifndef LIB_POSIX_POLLSET_H
#define LIB_POSIX_POLLSET_H

#include <poll.h>
#include <arch/clock.h>
#include "lib/base/macros.h"

/* Fill in the revents of (n) entries; wait until one is not 0, or the kernel's clock reaches
 * (deadline); 0 does not wait. The number of such entries, 0 at (deadline), -ENOMEM, -EINVAL. */
int poll_until(struct pollfd *fds, nfds_t n, nsec_t deadline) MUST_CHECK;

/* The deadline that (timeout) from now means; NULL: NEVER. 0 or -EINVAL. */
int poll_deadline(const struct timespec *timeout, nsec_t *out) MUST_CHECK;

#endif
