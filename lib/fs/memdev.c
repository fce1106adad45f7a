/* SPDX-License-Identifier: BSD-2-Clause */
/* A device over memory: its context is the first byte. */
#include "lib/fs/memdev.h"

#include "lib/base/string.h"

/* Within bounds: block.c never asks for more than the device has. */
static int memdev_read(void *ctx, uint64_t offset, void *buf, size_t len)
{
    memcpy(buf, (const char *)ctx + offset, len);
    return 0;
}

void memdev_init(struct fs_device *dev, const void *data, size_t len)
{
    dev->read = memdev_read;
    dev->ctx = (void *)(uintptr_t)data;
    dev->size = len;
}
