/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Takes any bytes as an EROFS image and does with it all that the reader can do: whatever comes,
 * no access outside an object, no endless loop, no memory kept. For libFuzzer, and for the
 * test of mutated images (test_erofs.c).
 */
#include "tests/host/fuzz_erofs.h"

#include <stdlib.h>
#include <string.h>
#include "lib/fs/erofs.h"
#include "lib/fs/memdev.h"
#include "tests/host/hostarch.h"

#define DEPTH_MAX 5
#define ENTRIES_MAX 400

static unsigned entries_left;

static void read_all(struct erofs *fs, const struct erofs_inode *inode)
{
    char buf[5000];
    uint64_t middle = inode->size / 2;

    if (erofs_read(fs, inode, 0, buf, sizeof(buf)) < 0 ||
        erofs_read(fs, inode, middle, buf, sizeof(buf)) < 0 ||
        erofs_read(fs, inode, inode->size - (inode->size > 100 ? 100 : inode->size), buf, 200) < 0)
        return;
    if (erofs_read(fs, inode, inode->size, buf, 1) != 0)
        abort();
}

static void visit(struct erofs *fs, const struct erofs_inode *dir, unsigned depth);

static void visit_entry(struct erofs *fs, const struct erofs_entry *e, unsigned depth)
{
    struct erofs_inode inode;
    char target[300];

    if (e->name[0] == '\0' || strchr(e->name, '/') != NULL)
        abort();
    if (erofs_inode_get(fs, e->nid, &inode) != 0)
        return;
    read_all(fs, &inode);
    if (erofs_readlink(fs, &inode, target, sizeof(target)) > 0 && strlen(target) == 0)
        abort(); /* would be empty text for a length above 0 */
    if (depth < DEPTH_MAX)
        visit(fs, &inode, depth + 1);
}

static void visit(struct erofs *fs, const struct erofs_inode *dir, unsigned depth)
{
    struct erofs_entry e;
    uint64_t cursor = 0;

    while (entries_left > 0 && erofs_readdir(fs, dir, &cursor, &e) == 1) {
        entries_left--;
        visit_entry(fs, &e, depth);
    }
}

static void look_up(struct erofs *fs)
{
    static const char *const paths[] = {
        "/",       "file",   "link",        "loop",
        "sub/big", "sub/..", "sub/../link", "sub/a-file-with-a-name-7",
        "zzz",     ".."};
    struct erofs_inode inode;

    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        if (erofs_lookup(fs, paths[i], &inode) == 0)
            read_all(fs, &inode);
        if (erofs_lookup_link(fs, paths[i], &inode) == 0)
            read_all(fs, &inode);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct erofs_inode root;
    struct fs_device dev;
    struct erofs *fs;
    uint8_t *copy = malloc(len + (len == 0));

    host_pages_from_malloc = true;
    memcpy(copy, data, len);
    if (len > 1032)
        copy[1032] &= 0xfe; /* no checksum */
    memdev_init(&dev, copy, len);
    entries_left = ENTRIES_MAX;
    if (erofs_mount(&dev, 8 * FS_BLOCK_SIZE, &fs) == 0) {
        if (erofs_lookup(fs, "/", &root) == 0)
            visit(fs, &root, 0);
        look_up(fs);
        erofs_unmount(fs);
    }
    free(copy);
    return 0;
}
