/* SPDX-License-Identifier: BSD-2-Clause */
/* /dev/null, /dev/zero, /dev/random and /dev/urandom: files without state, one object each. */
#include "lib/posix/devfile.h"

#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include "lib/posix/fd.h"

static ssize_t read_nothing(struct file *f UNUSED, void *buf UNUSED, size_t len UNUSED)
{
    return 0;
}

static ssize_t read_zeroes(struct file *f UNUSED, void *buf, size_t len)
{
    memset(buf, 0, len);
    return (ssize_t)len;
}

static ssize_t read_random(struct file *f UNUSED, void *buf, size_t len)
{
    return getrandom(buf, len, 0);
}

static ssize_t write_nowhere(struct file *f UNUSED, const void *buf UNUSED, size_t len)
{
    return (ssize_t)len;
}

static int stat_device(struct file *f UNUSED, struct stat *st)
{
    st->st_mode = S_IFCHR | 0666;
    st->st_nlink = 1;
    st->st_blksize = 4096;
    return 0;
}

static const struct file_ops null_ops = {
    .read = read_nothing, .write = write_nowhere, .fstat = stat_device};
static const struct file_ops zero_ops = {
    .read = read_zeroes, .write = write_nowhere, .fstat = stat_device};
static const struct file_ops random_ops = {
    .read = read_random, .write = write_nowhere, .fstat = stat_device};

static struct file null_file = FILE_INIT(null_file, &null_ops, O_RDWR);
static struct file zero_file = FILE_INIT(zero_file, &zero_ops, O_RDWR);
static struct file random_file = FILE_INIT(random_file, &random_ops, O_RDWR);

static const struct {
    const char *path;
    struct file *file;
} names[] = {
    {"/dev/null", &null_file},
    {"/dev/zero", &zero_file},
    {"/dev/random", &random_file},
    {"/dev/urandom", &random_file},
};

struct file *devfile_find(const char *path)
{
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (strcmp(path, names[i].path) == 0) {
            file_get(names[i].file);
            return names[i].file;
        }
    }
    return NULL;
}
