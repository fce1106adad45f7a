/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which device holds the root file system, and mounting it.
 *
 * paravane.root=ramdisk or =NUMBER (a vbd as in device/vbd/NUMBER) decides; otherwise it is the vbd
 * with the lowest number, and the ramdisk when there is no vbd. This happens at the first use of a
 * path, so a program that opens no file neither waits for a disk nor contains the driver.
 */
#include "lib/posix/rootfs.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include "frontends/blkfront/blkfront.h"
#include "kernel/heap.h"
#include "kernel/log.h"
#include "kernel/main.h"
#include "kernel/mutex.h"
#include "kernel/option.h"
#include "kernel/page.h"
#include "kernel/xenstore.h"
#include "lib/base/format.h"
#include "lib/base/parse.h"
#include "lib/fs/erofs.h"
#include "lib/fs/memdev.h"

#define CACHE_SHARE 8 /* of free memory, one part of so many */
#define CACHE_MAX (64 * 1024 * 1024)

static struct mutex lock = MUTEX_INIT(lock);
static bool tried;
static int result;
static struct erofs *root;
static struct blkfront *disk;

static int read_vbd(void *ctx, uint64_t offset, void *buf, size_t len)
{
    return blkfront_read(ctx, offset / BLKFRONT_SECTOR, buf, len);
}

static int open_vbd(const char *id, struct fs_device *dev)
{
    struct blkfront_info info;
    struct blkfront *bf;
    int rc = blkfront_open(id, &bf);

    if (rc != 0) /* a disk that lacks a key is still a disk */
        return rc == -ENOENT ? -ENODEV : rc;
    blkfront_get_info(bf, &info);
    disk = bf;
    *dev = (struct fs_device){read_vbd, bf, info.nr_sectors * BLKFRONT_SECTOR};
    return 0;
}

static int open_ramdisk(struct fs_device *dev)
{
    const struct bootinfo *boot = boot_info();

    if (boot->ramdisk == NULL)
        return -ENOENT;
    memdev_init(dev, boot->ramdisk, boot->ramdisk_len);
    return 0;
}

/* The lowest vbd number as text: 0, or -ENOENT. */
static int first_vbd(char *id, size_t size)
{
    uint32_t lowest = 0, number;
    bool found = false;
    char **names;
    size_t n;
    int rc = xs_list(XS_NO_TX, "device/vbd", &names, &n);

    if (rc != 0 && rc != -ENOENT)
        log_err("root: device/vbd cannot be read from xenstore (error %d)", -rc);
    if (rc != 0)
        return -ENOENT;
    for (size_t i = 0; i < n; i++) {
        if (parse_u32(names[i], 0, UINT32_MAX, &number) != 0 || (found && number >= lowest))
            continue;
        found = true;
        lowest = number;
    }
    heap_free(names);
    format(id, size, "%u", lowest);
    return found ? 0 : -ENOENT;
}

/* Open what was asked for; its name for messages goes to (id). */
static int open_device(char *id, size_t size, struct fs_device *dev)
{
    const char *option = option_get("root");

    if (option != NULL && strcmp(option, "ramdisk") != 0) {
        strlcpy(id, option, size);
        return open_vbd(id, dev);
    }
    if (option == NULL && first_vbd(id, size) == 0)
        return open_vbd(id, dev);
    strlcpy(id, "ramdisk", size);
    return open_ramdisk(dev);
}

static size_t cache_budget(void)
{
    return MIN(page_count_free() * PAGE_SIZE / CACHE_SHARE, CACHE_MAX);
}

/* Having no file system at all is no error, unless one was asked for. */
static void explain(const char *id, int rc)
{
    if (rc == -ENOENT && option_get("root") == NULL)
        log_info("root: no file system (no key below device/vbd, no ramdisk): give the domain a "
                 "disk=[...] or a ramdisk= made by mkfs.erofs, if its program needs files");
    else if (option_get("root") == NULL)
        log_err("root: %s, the first vbd, cannot be opened (error %d), as said above; "
                "paravane.root= chooses another",
                id, -rc);
    else if (strcmp(id, "ramdisk") == 0)
        log_err("root: paravane.root=ramdisk, but the domain has none: give it a ramdisk= made by "
                "mkfs.erofs");
    else
        log_err("root: %s cannot be opened (error %d): paravane.root= must be \"ramdisk\" or a "
                "number below device/vbd",
                id, -rc);
}

static int mount_root(void)
{
    struct fs_device dev;
    char id[32];
    int rc = open_device(id, sizeof(id), &dev);

    if (rc != 0) {
        explain(id, rc);
        return rc;
    }
    rc = erofs_mount(&dev, cache_budget(), &root);
    if (rc != 0)
        log_err("root: %s holds no EROFS file system that can be read (error %d): make it by "
                "\"mkfs.erofs IMAGE DIRECTORY\"",
                id, -rc);
    return rc;
}

int rootfs_get(struct erofs **out)
{
    mutex_lock(&lock);
    if (!tried)
        result = mount_root();
    tried = true;
    mutex_unlock(&lock);
    *out = root;
    return result;
}

struct blkfront *rootfs_disk(void)
{
    mutex_lock(&lock);
    struct blkfront *found = disk;
    mutex_unlock(&lock);
    return found;
}
