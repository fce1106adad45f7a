/* SPDX-License-Identifier: BSD-2-Clause */
/* Files and directories as a program sees them, on the image of make-root. */
#define _GNU_SOURCE 1
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "lib/base/macros.h"
#include "tests/guest/check.h"

#define NUMBERS 40000
#define LINE 8

static void test_streams_read_lines(void)
{
    char *line = NULL;
    size_t room = 0;
    FILE *f = fopen("/etc/motd", "r");

    CHECK(f != NULL);
    CHECK_EQ(getline(&line, &room, f), 21);
    CHECK(strcmp(line, "Hello from the root.\n") == 0);
    CHECK_EQ(getline(&line, &room, f), 12);
    CHECK_EQ(getline(&line, &room, f), -1);
    CHECK(feof(f) && !ferror(f));
    CHECK_EQ(fseek(f, -5, SEEK_END), 0);
    CHECK_EQ(fgetc(f), 'l');
    CHECK_EQ(ftell(f), 29);
    CHECK_EQ(fclose(f), 0);
    free(line);
}

static void test_seek_and_read(void)
{
    char buf[LINE];
    int fd = open("/data/numbers", O_RDONLY);

    CHECK(fd >= 0);
    CHECK_EQ(lseek(fd, 0, SEEK_END), NUMBERS * LINE);
    CHECK_EQ(read(fd, buf, LINE), 0);
    for (int i = 0; i < NUMBERS; i += 997) {
        CHECK_EQ(lseek(fd, (off_t)i * LINE, SEEK_SET), i * LINE);
        CHECK_EQ(read(fd, buf, LINE), LINE);
        CHECK_EQ(atoi(buf), i);
    }
    CHECK_EQ(lseek(fd, -LINE, SEEK_CUR), lseek(fd, 0, SEEK_CUR));
    CHECK_EQ(lseek(fd, -1, SEEK_SET), -1);
    CHECK_EQ(errno, EINVAL);
    CHECK_EQ(pread(fd, buf, LINE, 77 * LINE), LINE);
    CHECK_EQ(atoi(buf), 77);
    CHECK_EQ(lseek(fd, 1000000, SEEK_SET), 1000000);
    CHECK_EQ(read(fd, buf, LINE), 0);
    CHECK_EQ(close(fd), 0);
}

static void test_large_reads_are_whole(void)
{
    char *all = malloc(NUMBERS * LINE + 1);
    int fd = open("data/numbers", O_RDONLY), at = 0;
    ssize_t n;

    CHECK(all != NULL && fd >= 0);
    while ((n = read(fd, all + at, 100000)) > 0)
        at += (int)n;
    CHECK_EQ(n, 0);
    CHECK_EQ(at, NUMBERS * LINE);
    for (int i = 0; i < NUMBERS; i++)
        CHECK_EQ(atoi(all + i * LINE), i);
    free(all);
    close(fd);
}

static void test_stat_tells(void)
{
    struct stat st;

    CHECK_EQ(stat("/etc/motd", &st), 0);
    CHECK_EQ(st.st_size, 33);
    CHECK(S_ISREG(st.st_mode));
    CHECK_EQ(st.st_mode & 0777, 0644);
    CHECK_EQ(st.st_mtime, 1709210096);
    CHECK_EQ(stat("/link", &st), 0);
    CHECK_EQ(st.st_size, 33);
    CHECK_EQ(lstat("/link", &st), 0);
    CHECK(S_ISLNK(st.st_mode));
    CHECK_EQ(stat("/loop", &st), -1);
    CHECK_EQ(errno, ELOOP);
    CHECK_EQ(stat("/etc/motd/x", &st), -1);
    CHECK_EQ(errno, ENOTDIR);
    CHECK_EQ(stat("/many/", &st), 0);
    CHECK(S_ISDIR(st.st_mode));
}

static void test_open_refuses(void)
{
    static const struct {
        const char *path;
        int flags, error;
    } cases[] = {
        {"/none", O_RDONLY, ENOENT},
        {"/none", O_WRONLY | O_CREAT, EROFS},
        {"/etc/motd", O_WRONLY, EROFS},
        {"/etc/motd", O_RDONLY | O_TRUNC, EROFS},
        {"/etc/motd", O_RDWR | O_CREAT | O_EXCL, EEXIST},
        {"/etc", O_WRONLY, EISDIR},
        {"/etc/motd", O_DIRECTORY, ENOTDIR},
        {"/link", O_NOFOLLOW, ELOOP},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        CHECK_EQ(open(cases[i].path, cases[i].flags, 0644), -1);
        CHECK_EQ(errno, cases[i].error);
    }
}

static void test_directories_list_everything_once(void)
{
    static char seen[300];
    struct dirent *e;
    DIR *d = opendir("/many");
    int others = 0, number;

    CHECK(d != NULL);
    while ((e = readdir(d)) != NULL) {
        if (sscanf(e->d_name, "file-%d", &number) == 1) {
            CHECK_EQ(e->d_type, DT_REG);
            seen[number]++;
        } else {
            others++; /* . .. up */
        }
    }
    for (unsigned i = 0; i < ARRAY_SIZE(seen); i++)
        CHECK_EQ(seen[i], 1);
    CHECK_EQ(others, 3);
    rewinddir(d);
    e = readdir(d);
    CHECK(e != NULL);
    long place = telldir(d);
    char name[NAME_MAX + 1];
    snprintf(name, sizeof(name), "%s", readdir(d)->d_name);
    readdir(d);
    seekdir(d, place);
    CHECK(strcmp(readdir(d)->d_name, name) == 0);
    CHECK_EQ(closedir(d), 0);
    CHECK(opendir("/etc/motd") == NULL);
    CHECK_EQ(errno, ENOTDIR);
}

static int only_files(const struct dirent *e)
{
    return e->d_type == DT_REG;
}

static void test_scandir_sorts(void)
{
    struct dirent **list;
    int n = scandir("/many", &list, only_files, alphasort);

    CHECK_EQ(n, 300);
    for (int i = 1; i < n; i++)
        CHECK(strcmp(list[i - 1]->d_name, list[i]->d_name) < 0);
    for (int i = 0; i < n; i++)
        free(list[i]);
    free(list);
    CHECK_EQ(scandir("/none", &list, NULL, NULL), -1);
    CHECK_EQ(errno, ENOENT);
}

static void test_working_directory_and_real_paths(void)
{
    char buf[PATH_MAX];
    struct stat st;

    CHECK_EQ(chdir("many"), 0);
    CHECK(strcmp(getcwd(buf, sizeof(buf)), "/many") == 0);
    CHECK_EQ(stat("file-7", &st), 0);
    CHECK_EQ(stat("../etc/motd", &st), 0);
    CHECK_EQ(chdir("up"), 0); /* a link to /data */
    CHECK(strcmp(getcwd(buf, sizeof(buf)), "/data") == 0);
    CHECK(strcmp(realpath("./../many//up/numbers", buf), "/data/numbers") == 0);
    CHECK(strcmp(realpath("/link", buf), "/etc/motd") == 0);
    CHECK(strcmp(realpath("../../..", buf), "/") == 0);
    CHECK(realpath("/loop", buf) == NULL);
    CHECK_EQ(errno, ELOOP);
    CHECK(realpath("/etc/none", buf) == NULL);
    CHECK_EQ(errno, ENOENT);
    CHECK_EQ(chdir("/etc/motd"), -1);
    CHECK_EQ(errno, ENOTDIR);
    CHECK_EQ(chdir("/"), 0);
}

static void test_access_and_links(void)
{
    char buf[20];

    CHECK_EQ(access("/etc/motd", R_OK), 0);
    CHECK_EQ(access("/bin/tool", X_OK), 0);
    CHECK_EQ(access("/etc/motd", X_OK), -1);
    CHECK_EQ(errno, EACCES);
    CHECK_EQ(access("/etc/motd", W_OK), -1);
    CHECK_EQ(errno, EROFS);
    CHECK_EQ(readlink("/link", buf, sizeof(buf)), 8);
    CHECK(memcmp(buf, "etc/motd", 8) == 0);
    CHECK_EQ(readlink("/link", buf, 3), 3);
    CHECK_EQ(readlink("/etc/motd", buf, sizeof(buf)), -1);
    CHECK_EQ(errno, EINVAL);
}

static void test_figures_of_the_file_system(void)
{
    struct statvfs v;

    CHECK_EQ(statvfs("/", &v), 0);
    CHECK(v.f_blocks > 0 && v.f_bsize >= 512);
    CHECK_EQ(v.f_bfree, 0);
    CHECK(v.f_flag & ST_RDONLY);
    CHECK_EQ(v.f_namemax, 255);
}

static void test_files_are_always_ready(void)
{
    struct pollfd fd = {open("/etc/motd", O_RDONLY), POLLIN | POLLOUT, 0};

    CHECK(fd.fd >= 0);
    CHECK_EQ(poll(&fd, 1, 1000), 1);
    CHECK_EQ(fd.revents, POLLIN | POLLOUT);
    close(fd.fd);
}

static void test_names_are_taken_apart(void)
{
    static const char *const paths[][3] = {
        {"/usr/lib", "/usr", "lib"}, {"/usr/", "/", "usr"}, {"usr", ".", "usr"}, {"/", "/", "/"},
        {"a//b//", "a", "b"},        {"", ".", "."},        {"..", ".", ".."},
    };
    char buf[20];

    for (unsigned i = 0; i < ARRAY_SIZE(paths); i++) {
        strcpy(buf, paths[i][0]);
        CHECK(strcmp(dirname(buf), paths[i][1]) == 0);
        strcpy(buf, paths[i][0]);
        CHECK(strcmp(basename(buf), paths[i][2]) == 0);
    }
}

static int shared_fd;

/* Each reads lines through one descriptor: every line goes to exactly one of them. */
static void *read_lines(void *arg)
{
    char buf[LINE];
    long *sum = arg;

    while (read(shared_fd, buf, LINE) == LINE)
        *sum += atoi(buf);
    return NULL;
}

static void test_threads_share_an_offset(void)
{
    pthread_t t[4];
    long sums[4] = {0};

    shared_fd = open("/data/numbers", O_RDONLY);
    CHECK(shared_fd >= 0);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(pthread_create(&t[i], NULL, read_lines, &sums[i]), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    CHECK_EQ(sums[0] + sums[1] + sums[2] + sums[3], NUMBERS * (NUMBERS - 1L) / 2);
    close(shared_fd);
}

static const struct test_case cases[] = {
    CASE(streams_read_lines),
    CASE(seek_and_read),
    CASE(large_reads_are_whole),
    CASE(stat_tells),
    CASE(open_refuses),
    CASE(directories_list_everything_once),
    CASE(scandir_sorts),
    CASE(working_directory_and_real_paths),
    CASE(access_and_links),
    CASE(figures_of_the_file_system),
    CASE(files_are_always_ready),
    CASE(names_are_taken_apart),
    CASE(threads_share_an_offset),
};

int main(void)
{
    return check_all(cases, ARRAY_SIZE(cases));
}
