/* SPDX-License-Identifier: BSD-2-Clause */
/* What POSIX's <stdio.h> has and newlib has not, or only under other names. */
#include <stdio.h>
#include <sys/lock.h>

ssize_t getdelim(char **line, size_t *size, int delimiter, FILE *f)
{
    return __getdelim(line, size, delimiter, f);
}

ssize_t getline(char **line, size_t *size, FILE *f)
{
    return __getdelim(line, size, '\n', f);
}

void(flockfile)(FILE *f)
{
    __lock_acquire_recursive(f->_lock);
}

int(ftrylockfile)(FILE *f)
{
    return __lock_try_acquire_recursive(f->_lock);
}

void(funlockfile)(FILE *f)
{
    __lock_release_recursive(f->_lock);
}
