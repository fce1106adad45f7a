/* SPDX-License-Identifier: BSD-2-Clause */
/* The root file system: found and mounted when the first path is looked up. */
#ifndef LIB_POSIX_ROOTFS_H
#define LIB_POSIX_ROOTFS_H

#include "lib/base/macros.h"

struct blkfront;
struct erofs;

/* 0; -ENOENT: the domain has none; or why it could not be mounted, the same at every call. The
 * reason is logged once. */
int rootfs_get(struct erofs **out) MUST_CHECK;

/* The disk that was opened for it; NULL: none was, it is a ramdisk or was not looked for yet. */
struct blkfront *rootfs_disk(void);

#endif
