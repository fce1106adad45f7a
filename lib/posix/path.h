/* SPDX-License-Identifier: BSD-2-Clause */
/* Paths: the working directory and where names lead. */
#ifndef LIB_POSIX_PATH_H
#define LIB_POSIX_PATH_H

#include <limits.h>
#include <stdbool.h>
#include "lib/base/macros.h"

struct erofs;
struct erofs_inode;

/* (path) from the root of the file system: 0, -ENOENT (empty), -ENAMETOOLONG. */
int path_absolute(const char *path, char out[PATH_MAX]) MUST_CHECK;

/* The file at (path); (follow) a last symbolic link. 0 or -errno. */
int path_lookup(const char *path, bool follow, struct erofs **fs,
                struct erofs_inode *out) MUST_CHECK;

#endif
