/* SPDX-License-Identifier: BSD-2-Clause */
/* The few names in /dev that programs expect. */
#ifndef LIB_POSIX_DEVFILE_H
#define LIB_POSIX_DEVFILE_H

struct file;

/* The file behind (path) with a new reference, or NULL when it is no name of ours. */
struct file *devfile_find(const char *path);

#endif
