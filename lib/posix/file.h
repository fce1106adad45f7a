/* SPDX-License-Identifier: BSD-2-Clause */
/* What directories need to know of an open file. */
#ifndef LIB_POSIX_FILE_H
#define LIB_POSIX_FILE_H

#include "lib/base/macros.h"

struct erofs;
struct erofs_inode;
struct file;

/* The inode behind (f): 0, or -ENOTDIR when it is no file of the root file system. */
int file_inode(struct file *f, struct erofs **fs, struct erofs_inode *out) MUST_CHECK;

#endif
