/* SPDX-License-Identifier: BSD-2-Clause */
/* A device over memory: the ramdisk that the domain's configuration names. */
#ifndef LIB_FS_MEMDEV_H
#define LIB_FS_MEMDEV_H

#include "lib/fs/block.h"

/* (dev) reads from the (len) bytes at (data), which stay in place. */
void memdev_init(struct fs_device *dev, const void *data, size_t len);

#endif
