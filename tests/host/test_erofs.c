/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lib/fs/erofs.c on images that mkfs.erofs made of real directories (tests/host/erofs-images):
 * everything must come out as the host sees it in the directory. And on damaged images.
 */
#include "lib/fs/erofs.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "lib/base/errno.h"
#include "lib/fs/memdev.h"
#include "tests/host/fuzz_erofs.h"
#include "tests/host/hostarch.h"
#include "tests/host/test.h"

#define IMAGES HOST_IMAGES "/"

static uint8_t *image;
static size_t image_len;

static void load(const char *name)
{
    char path[512];
    FILE *f;

    snprintf(path, sizeof(path), IMAGES "%s.img", name);
    f = fopen(path, "rb");
    CHECK(f != NULL);
    fseek(f, 0, SEEK_END);
    image_len = (size_t)ftell(f);
    image = malloc(image_len);
    rewind(f);
    CHECK_EQ(fread(image, 1, image_len, f), image_len);
    fclose(f);
}

static int mount_image(struct erofs **fs)
{
    struct fs_device dev;

    memdev_init(&dev, image, image_len);
    return erofs_mount(&dev, 64 * FS_BLOCK_SIZE, fs);
}

static struct erofs *mounted(const char *name)
{
    struct erofs *fs;

    load(name);
    CHECK_EQ(mount_image(&fs), 0);
    return fs;
}

/* ---- the same as the directory ---- */

static bool check_mtimes;

static void same_bytes(struct erofs *fs, const struct erofs_inode *inode, const char *path)
{
    static char ours[100000], theirs[100000];
    FILE *f = fopen(path, "rb");
    uint64_t offset = 0;

    CHECK(f != NULL);
    while (offset < inode->size) {
        size_t chunk = 1 + test_random_below(sizeof(ours));
        long got = erofs_read(fs, inode, offset, ours, chunk);

        CHECK(got > 0 && (size_t)got == MIN(chunk, inode->size - offset));
        CHECK_EQ(fread(theirs, 1, (size_t)got, f), got);
        CHECK(memcmp(ours, theirs, (size_t)got) == 0);
        offset += (uint64_t)got;
    }
    CHECK_EQ(erofs_read(fs, inode, offset, ours, 1), 0);
    fclose(f);
}

static void same_link(struct erofs *fs, const struct erofs_inode *inode, const char *path)
{
    char ours[1024], theirs[1024];
    ssize_t len = readlink(path, theirs, sizeof(theirs) - 1);

    CHECK(len > 0);
    theirs[len] = '\0';
    CHECK_EQ(erofs_readlink(fs, inode, ours, sizeof(ours)), len);
    CHECK_STR(ours, theirs);
    CHECK_EQ(erofs_readlink(fs, inode, ours, 3), len);
    CHECK_EQ(strlen(ours), 2);
    CHECK_EQ(erofs_readlink(fs, inode, ours, 0), len);
}

static unsigned files;

static void same_file(struct erofs *fs, const char *root, const char *path);

static void same_dir(struct erofs *fs, const struct erofs_inode *inode, const char *root,
                     const char *path)
{
    char child[1024];
    struct erofs_entry e;
    uint64_t cursor = 0;
    unsigned ours = 0, theirs = 0;
    DIR *d;

    snprintf(child, sizeof(child), "%s%s", root, path);
    d = opendir(child);
    while (readdir(d) != NULL)
        theirs++;
    closedir(d);
    for (; erofs_readdir(fs, inode, &cursor, &e) == 1; ours++) {
        if (strcmp(e.name, ".") == 0 || strcmp(e.name, "..") == 0)
            continue;
        snprintf(child, sizeof(child), "%s/%s", path, e.name);
        same_file(fs, root, child);
    }
    CHECK_EQ(ours, theirs);
}

static void same_file(struct erofs *fs, const char *root, const char *path)
{
    struct erofs_inode inode;
    char full[2048];
    struct stat st;

    files++;
    snprintf(full, sizeof(full), "%s%s", root, path);
    CHECK_EQ(lstat(full, &st), 0);
    CHECK_EQ(erofs_lookup_link(fs, path, &inode), 0);
    CHECK_EQ(inode.mode, st.st_mode);
    CHECK_EQ(inode.uid, st.st_uid);
    CHECK_EQ(inode.gid, st.st_gid);
    CHECK(!check_mtimes || inode.mtime == (uint64_t)st.st_mtime);
    if (S_ISDIR(st.st_mode)) {
        same_dir(fs, &inode, root, path);
        return;
    }
    CHECK_EQ(inode.size, st.st_size);
    CHECK_EQ(inode.nlink, st.st_nlink);
    if (S_ISREG(st.st_mode))
        same_bytes(fs, &inode, full);
    if (S_ISLNK(st.st_mode))
        same_link(fs, &inode, full);
}

static void same_tree(const char *name, const char *tree, bool mtimes)
{
    struct erofs *fs = mounted(name);
    struct erofs_info info;

    check_mtimes = mtimes;
    same_file(fs, tree, "");
    erofs_get_info(fs, &info);
    CHECK_EQ(info.inodes, files - (strcmp(tree, IMAGES "tree") == 0)); /* a hard link */
    erofs_unmount(fs);
    free(image);
}

TEST(erofs, an_image_holds_what_its_directory_held)
{
    same_tree("plain", IMAGES "tree", true);
}

TEST(erofs, a_small_image_too)
{
    same_tree("small", IMAGES "small", true);
}

TEST(erofs, so_do_compact_inodes)
{
    same_tree("compact", IMAGES "tree", false);
}

TEST(erofs, so_do_extended_inodes)
{
    same_tree("extended", IMAGES "tree", true);
}

TEST(erofs, so_do_images_without_inline_data)
{
    same_tree("noinline", IMAGES "tree", true);
}

/* ---- paths ---- */

TEST(erofs, paths_resolve)
{
    static const char *const same[][2] = {
        {"/hello.txt", "hello.txt"},
        {"//hello.txt", "/hello.txt"},
        {"./deep/./a/../../hello.txt", "/hello.txt"},
        {"../../hello.txt", "/hello.txt"},
        {"link", "/hello.txt"},
        {"absolute/up", "/hello.txt"},
        {"absolute/above-root", "/hello.txt"},
        {"absolute", "/deep/a"},
        {"absolute/", "/deep/a"},
        {"slash/c/file", "/deep/a/b/c/file"},
        {"slash", "/deep/a/b"},
        {"deep/a/b/..", "/deep/a"},
        {"chain8", "/hello.txt"},
        {"hardlink", "/hello.txt"},
        {"", "/"},
        {"many/file-1", "many/./file-1"},
    };
    struct erofs *fs = mounted("plain");
    struct erofs_inode a, b;

    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
        CHECK_EQ(erofs_lookup(fs, same[i][0], &a), 0);
        CHECK_EQ(erofs_lookup(fs, same[i][1], &b), 0);
        CHECK_STR(a.nid == b.nid ? "same" : same[i][0], "same");
    }
    erofs_unmount(fs);
}

TEST(erofs, paths_that_lead_nowhere_say_why)
{
    static const struct {
        const char *path;
        int rc;
    } bad[] = {{"missing", -ENOENT},      {"many/file-0", -ENOENT},     {"many/zzz", -ENOENT},
               {"many/\x01", -ENOENT},    {"dangling", -ENOENT},        {"nothing/x", -ENOENT},
               {"hello.txt/", -ENOTDIR},  {"hello.txt/x", -ENOTDIR},    {"link/", -ENOTDIR},
               {"hello.txt/.", -ENOTDIR}, {"hello.txt/..", -ENOTDIR},   {"loop1", -ELOOP},
               {"chain9", -ELOOP},        {"longlink", -ENAMETOOLONG},  {"hello.tx", -ENOENT},
               {"hello.txtt", -ENOENT},   {"absolute/missing", -ENOENT}};
    struct erofs *fs = mounted("plain");
    char long_path[EROFS_PATH_MAX + 10];
    struct erofs_inode inode;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (erofs_lookup(fs, bad[i].path, &inode) != bad[i].rc)
            test_fail(__FILE__, __LINE__, "%s: not %d", bad[i].path, bad[i].rc);
    CHECK_EQ(erofs_lookup_link(fs, "loop1", &inode), 0);
    CHECK_EQ(erofs_lookup_link(fs, "dangling", &inode), 0);
    CHECK_EQ(erofs_lookup_link(fs, "loop1/x", &inode), -ELOOP);
    memset(long_path, '/', sizeof(long_path));
    long_path[EROFS_PATH_MAX - 1] = '\0';
    CHECK_EQ(erofs_lookup(fs, long_path, &inode), 0);
    long_path[EROFS_PATH_MAX - 1] = '/';
    long_path[EROFS_PATH_MAX] = '\0';
    CHECK_EQ(erofs_lookup(fs, long_path, &inode), -ENAMETOOLONG);
    erofs_unmount(fs);
}

TEST(erofs, every_entry_of_a_large_directory_is_found)
{
    struct erofs *fs = mounted("plain");
    struct erofs_inode inode, dir;
    char path[64], buf[8];

    CHECK_EQ(erofs_lookup(fs, "many", &dir), 0);
    CHECK(dir.size > 4 * FS_BLOCK_SIZE);
    for (int i = 1; i <= 1500; i++) {
        snprintf(path, sizeof(path), "many/file-%d", i);
        CHECK_EQ(erofs_lookup(fs, path, &inode), 0);
        CHECK_EQ(erofs_read(fs, &inode, 0, buf, sizeof(buf)), inode.size);
        CHECK_EQ(atoi(buf), i);
    }
    erofs_unmount(fs);
}

TEST(erofs, what_is_no_directory_or_link_says_so)
{
    struct erofs *fs = mounted("plain");
    struct erofs_inode inode;
    struct erofs_entry e;
    uint64_t cursor = 0;
    char buf[8];

    CHECK_EQ(erofs_lookup(fs, "hello.txt", &inode), 0);
    CHECK_EQ(erofs_readdir(fs, &inode, &cursor, &e), -ENOTDIR);
    CHECK_EQ(erofs_readlink(fs, &inode, buf, sizeof(buf)), -EINVAL);
    erofs_unmount(fs);
}

/* ---- images that are refused ---- */

TEST(erofs, a_compressed_image_is_refused_with_the_remedy)
{
    struct erofs *fs;

    load("compressed");
    CHECK_EQ(mount_image(&fs), -EOPNOTSUPP);
    CHECK(host_logged("compression: make the image with mkfs.erofs without -z"));
}

TEST(erofs, a_compressed_file_is_refused_with_the_remedy)
{
    struct erofs_inode inode;
    struct erofs *fs;

    load("legacy");
    CHECK_EQ(mount_image(&fs), 0);
    CHECK_EQ(erofs_lookup(fs, "size-2500000", &inode), -EOPNOTSUPP);
    CHECK(host_logged("make the image with mkfs.erofs without -z"));
    erofs_unmount(fs);
}

TEST(erofs, a_chunked_image_is_refused_with_the_remedy)
{
    struct erofs *fs;

    load("chunked");
    CHECK_EQ(mount_image(&fs), -EOPNOTSUPP);
    CHECK(host_logged("chunk-based files: make the image with mkfs.erofs without --chunksize"));
}

static void put32(size_t at, uint32_t v)
{
    memcpy(image + at, &v, 4);
}

TEST(erofs, unknown_features_are_refused)
{
    struct erofs *fs;

    for (unsigned bit = 1; bit < 32; bit++) {
        load("small");
        image[1032] &= 0xfe; /* no checksum */
        put32(1104, 1U << bit);
        CHECK_EQ(mount_image(&fs), bit == 6 ? 0 : -EOPNOTSUPP);
    }
    test_pass();
}

TEST(erofs, a_wrong_checksum_is_noticed)
{
    struct erofs *fs;

    load("small");
    CHECK(image[1032] & 1);
    image[1024 + 64] ^= 1; /* the volume's name */
    CHECK_EQ(mount_image(&fs), -EUCLEAN);
    image[1032] ^= 1;
    CHECK_EQ(mount_image(&fs), 0);
    erofs_unmount(fs);
}

TEST(erofs, what_is_no_image_is_refused)
{
    struct erofs *fs;

    load("small");
    for (size_t len = 0; len < 1152; len += 128) {
        image_len = len;
        CHECK_EQ(mount_image(&fs), -EINVAL);
    }
    image_len = 4096;
    CHECK_EQ(mount_image(&fs), -EUCLEAN); /* cut */
    CHECK(host_logged("the image is cut"));
    image[1024] ^= 1;
    CHECK_EQ(mount_image(&fs), -EINVAL);
}

TEST(erofs, a_root_that_is_no_directory_is_refused)
{
    struct erofs_inode inode;
    struct erofs *fs;
    uint16_t nid;

    load("small");
    CHECK_EQ(mount_image(&fs), 0);
    CHECK_EQ(erofs_lookup(fs, "file", &inode), 0);
    erofs_unmount(fs);
    nid = (uint16_t)inode.nid;
    image[1032] &= 0xfe; /* no checksum */
    memcpy(image + 1024 + 14, &nid, 2);
    CHECK_EQ(mount_image(&fs), -EUCLEAN);
}

static int failing_read(void *ctx, uint64_t offset, void *buf, size_t len)
{
    (void)ctx;
    if (offset >= 8192)
        return -EIO;
    memcpy(buf, image + offset, len);
    return 0;
}

TEST(erofs, a_failing_device_gives_eio)
{
    struct fs_device dev = {failing_read, NULL, 0};
    struct erofs_inode inode;
    struct erofs *fs;
    char buf[10];

    load("noinline");
    dev.size = image_len;
    CHECK_EQ(erofs_mount(&dev, 0, &fs), 0);
    CHECK_EQ(erofs_lookup(fs, "many/file-1", &inode), -EIO);
    CHECK_EQ(erofs_inode_get(fs, image_len, &inode), -EUCLEAN);
    inode.size = inode.tail_from = 10;
    inode.data_at = 8192;
    CHECK_EQ(erofs_read(fs, &inode, 0, buf, 10), -EIO);
    erofs_unmount(fs);
}

/* ---- damage ---- */

static void damage(uint8_t *copy, size_t *len)
{
    static const uint32_t values[] = {0, 1, 7, 0x7f, 0xff, 0xfff, 0xffff, 0x10000, 0x7fffffff, ~0U};
    size_t at = test_random_below(3) == 0 ? 1024 + test_random_below(128) : test_random_below(*len);
    uint32_t value = values[test_random_below(10)];

    switch (test_random_below(6)) {
    case 0:
    case 1:
        copy[at] = (uint8_t)test_random();
        break;
    case 2:
        copy[at] ^= (uint8_t)(1U << test_random_below(8));
        break;
    case 3:
        memcpy(copy + MIN(at & ~1UL, *len - 2), &value, 2);
        break;
    case 4:
        memcpy(copy + MIN(at & ~3UL, *len - 4), &value, 4);
        break;
    default: /* a piece of it elsewhere */
        memmove(copy + MIN(at, *len - 64), copy + test_random_below(*len - 64), 64);
    }
}

static void feed_mutants(unsigned count)
{
    uint8_t *copy = malloc(image_len);

    for (unsigned i = 0; i < count; i++) {
        size_t len = image_len;

        memcpy(copy, image, image_len);
        for (uint64_t n = 1 + test_random_below(6); n > 0; n--)
            damage(copy, &len);
        if (test_random_below(50) == 0)
            len = test_random_below(image_len);
        else if (test_random_below(4) != 0)
            memcpy(copy + 1024, image + 1024, 48); /* most must get past the superblock */
        LLVMFuzzerTestOneInput(copy, len);
    }
    free(copy);
}

TEST(erofs, mutated_images_do_no_harm)
{
    load("small");
    feed_mutants(6000);
    load("compact");
    image_len = MIN(image_len, (size_t)200000);
    put32(1024 + 36, (uint32_t)(image_len / 4096)); /* as if it ended here */
    feed_mutants(600);
}
