/* SPDX-License-Identifier: BSD-2-Clause */
/* From the target of a request to a path below the root. */
#ifndef APPS_HTTPD_PATH_H
#define APPS_HTTPD_PATH_H

#include <stddef.h>

/*
 * Take the path out of a request's target ("/a%20b?q" or "http://host/a%20b?q"), decode it and walk
 * it: no empty, "." or ".." segments remain, and a last "/" says that a directory is meant. Writes
 * "/a b" to out[size] and returns its length, or the status to refuse with: -400 (bad escape, a
 * NUL, a way out of the root) or -414.
 */
int path_from_target(const char *target, size_t len, char *out, size_t size);

/* The content type for the last extension of (path). */
const char *path_content_type(const char *path);

#endif
