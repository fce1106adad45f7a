/* SPDX-License-Identifier: BSD-2-Clause */
/* basename and dirname: the last name of a path, and the way to it. Both may write to the path that
 * they are given, and return a part of it or a constant. */
#include <libgen.h>

#include <string.h>

static char dot[] = ".", slash[] = "/";

/* Cut trailing slashes off, but not the only one. Its length. */
static size_t cut_slashes(char *path)
{
    size_t len = strlen(path);

    while (len > 1 && path[len - 1] == '/')
        path[--len] = '\0';
    return len;
}

char *basename(char *path)
{
    char *last;

    if (path == NULL || *path == '\0')
        return dot;
    if (cut_slashes(path) == 1)
        return path;
    last = strrchr(path, '/');
    return last != NULL ? last + 1 : path;
}

char *dirname(char *path)
{
    char *last;

    if (path == NULL || *path == '\0')
        return dot;
    cut_slashes(path);
    last = strrchr(path, '/');
    if (last == NULL)
        return dot;
    if (last == path)
        return slash;
    *last = '\0';
    cut_slashes(path);
    return path;
}
