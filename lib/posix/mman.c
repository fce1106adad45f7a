/* SPDX-License-Identifier: BSD-2-Clause */
/* mmap of anonymous memory: pages of the kernel's demand-mapped area, with a guard page at each
 * end. munmap takes back whole mappings; their sizes must match. */
#include <sys/mman.h>

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <arch/page.h>
#include "kernel/vmap.h"
#include "lib/posix/fd.h"

void *mmap(void *addr UNUSED, size_t len, int prot, int flags, int fd UNUSED, off_t offset UNUSED)
{
    int error = 0;
    void *p = NULL;

    if (len == 0 || len > PTRDIFF_MAX)
        error = EINVAL;
    else if (prot != (PROT_READ | PROT_WRITE) || !(flags & MAP_ANONYMOUS) || (flags & MAP_FIXED))
        error = ENOTSUP;
    else if ((p = vmap_alloc(DIV_ROUND_UP(len, PAGE_SIZE))) == NULL)
        error = ENOMEM;
    if (error != 0) {
        errno = error;
        return MAP_FAILED;
    }
    return memset(p, 0, ALIGN_UP(len, PAGE_SIZE));
}

int munmap(void *addr, size_t len)
{
    uintptr_t va = (uintptr_t)addr;

    if (len == 0 || !IS_ALIGNED(va, PAGE_SIZE) || va < VMAP_BASE || va >= VMAP_END)
        return (int)posix_result(-EINVAL);
    vmap_free(addr, DIV_ROUND_UP(len, PAGE_SIZE));
    return 0;
}
