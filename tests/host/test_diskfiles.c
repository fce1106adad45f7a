/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files of an EROFS image on a disk, lib/fs over frontends/blkfront as lib/posix puts them
 * together: they stay open, and what is read of them is right, whatever becomes of the disk's
 * backend.
 */
#include <stdint.h>
#include <stdio.h>
#include <xen/sched.h>
#include "kernel/lifecycle.h"
#include "kernel/thread.h"
#include "lib/base/errno.h"
#include "lib/fs/erofs.h"
#include "tests/host/blkrig.h"
#include "tests/host/hostarch.h"
#include "tests/host/test.h"

FAKEXEN_BOOT(diskfiles)

#define SIZE 900000
#define CACHE (8 * FS_BLOCK_SIZE) /* most is read from the disk, and again */

static uint8_t content[SIZE];
static struct erofs *fs;
static struct erofs_inode file;

/* At most (size) bytes of it: how many. */
static size_t load(const char *path, void *to, size_t size)
{
    FILE *f = fopen(path, "rb");
    size_t n;

    CHECK(f != NULL);
    n = fread(to, 1, size, f);
    fclose(f);
    return n;
}

static int read_vbd(void *ctx, uint64_t offset, void *to, size_t len)
{
    return blkfront_read(ctx, offset / BLKFRONT_SECTOR, to, len);
}

static void begin_files(void)
{
    struct fs_device dev = {.read = read_vbd};

    CHECK_EQ(load(HOST_IMAGES "/onefile/file", content, SIZE), SIZE);
    fake_blk_create(&blk, "51712");
    CHECK(load(HOST_IMAGES "/onefile.img", blk.data, sizeof(blk.data)) > SIZE);
    CHECK_EQ(open_vbd(), 0);
    dev.ctx = bf;
    dev.size = info().nr_sectors * BLKFRONT_SECTOR;
    CHECK_EQ(erofs_mount(&dev, CACHE, &fs), 0);
    CHECK_EQ(erofs_lookup(fs, "file", &file), 0);
    CHECK_EQ(file.size, SIZE);
}

static void end_files(void)
{
    erofs_unmount(fs);
    end();
}

/* The bytes from (from) to (to), in reads of any length. */
static void read_on(uint64_t from, uint64_t to)
{
    static uint8_t got[20000];

    while (from < to) {
        uint64_t n = 1 + test_random_below(sizeof(got));

        n = MIN(n, to - from);
        CHECK_EQ(erofs_read(fs, &file, from, got, n), n);
        CHECK_MEM(got, content + from, n);
        from += n;
    }
}

/* ---- what becomes of the backend ---- */

static void is_gone(void)
{
    fake_blk_crash(&blk);
    blk.dev.aloof = true;
    fake_dev_set_state(&blk.dev, XenbusStateClosed);
}

static void comes_back(void *unused)
{
    (void)unused;
    blk.hold = blk.dev.aloof = false;
    fake_dev_set_state(&blk.dev, XenbusStateInitWait);
}

static void crashes(void *unused)
{
    (void)unused;
    is_gone();
    host_at(host_clock + 5 * NSEC_PER_SEC, comes_back, NULL);
}

static void closes(void *unused)
{
    (void)unused;
    blk.hold = false;
    fake_dev_set_state(&blk.dev, XenbusStateClosing);
}

static void moves(void *unused)
{
    (void)unused;
    blk.hold = false;
    fake_blk_move(&blk, blk.dev.domid + 1);
}

/* ---- tests ---- */

/* In the midst of a read each time. */
TEST(diskfiles, stay_open_while_the_backend_leaves_and_returns)
{
    static void (*const ways[])(void *) = {crashes, closes, moves};
    const uint64_t part = SIZE / 12;

    begin_files();
    for (unsigned i = 0; i < 12; i++) {
        read_on(i * part, i * part + part / 2);
        blk.hold = true;
        host_at(host_clock + 3 * NSEC_PER_SEC, ways[i % ARRAY_SIZE(ways)], NULL);
        read_on(i * part + part / 2, (i + 1) * part);
        thread_sleep_until(host_clock + 10 * NSEC_PER_SEC);
        CHECK_EQ(info().reconnects, i + 1);
    }
    CHECK(info().replays > 0);
    read_on(0, SIZE);
    end_files();
}

/* It fails in time; what failed is not remembered as if it had been read. */
TEST(diskfiles, are_read_again_after_an_error)
{
    static uint8_t got[100000];
    nsec_t start;

    begin_files();
    read_on(0, SIZE / 2);
    is_gone();
    fakexen_settle();
    start = host_clock;
    CHECK_EQ(erofs_read(fs, &file, SIZE / 2, got, sizeof(got)), -EIO);
    CHECK_EQ(erofs_read(fs, &file, SIZE / 4, got, 100), -EIO);
    CHECK((host_clock - start) / NSEC_PER_SEC <= 30);
    comes_back(NULL);
    thread_sleep_until(host_clock + 20 * NSEC_PER_SEC);
    read_on(SIZE / 4, SIZE);
    read_on(0, SIZE);
    end_files();
}

/* ---- the end of the domain ---- */

static nsec_t asked_at;

static bool in_time(void)
{
    return host_clock - asked_at <= LIFECYCLE_GRACE + 5 * NSEC_PER_SEC;
}

static bool will_end(enum lifecycle_request request)
{
    (void)request;
    return true;
}

static void program(void *unused)
{
    (void)unused;
    read_on(0, SIZE);
    lifecycle_exit(0);
}

/* The program wants to end after it has read a file from a disk that never answers. */
TEST(diskfiles, a_silent_disk_does_not_hold_up_a_shutdown)
{
    struct thread *t;

    begin_files();
    blk.hold = true;
    lifecycle_on_shutdown(will_end);
    CHECK_EQ(thread_create("program", PRIO_NORMAL, 0, program, NULL, &t), 0);
    thread_detach(t);
    fakexen_settle();
    CHECK(blk.nr_held > 0);
    fakexen_expect_shutdown(SHUTDOWN_poweroff, in_time);
    asked_at = host_clock;
    fakexen_store_set("control/shutdown", "poweroff");
    thread_sleep_until(host_clock + 1000 * NSEC_PER_SEC);
    CHECK(false);
}
