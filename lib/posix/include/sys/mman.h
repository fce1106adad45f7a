/* SPDX-License-Identifier: BSD-2-Clause */
/* Anonymous private memory in pages; files cannot be mapped. */
#ifndef _SYS_MMAN_H
#define _SYS_MMAN_H

#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PROT_NONE 0x0
#define PROT_READ 0x1
#define PROT_WRITE 0x2
#define PROT_EXEC 0x4

#define MAP_SHARED 0x01
#define MAP_PRIVATE 0x02
#define MAP_FIXED 0x10
#define MAP_ANONYMOUS 0x20
#define MAP_ANON MAP_ANONYMOUS
#define MAP_NORESERVE 0x4000

#define MAP_FAILED ((void *)-1)

/* (prot) must be PROT_READ | PROT_WRITE and (flags) MAP_ANONYMOUS | MAP_PRIVATE; the address is
 * ours to choose. Zeroed and populated at once. -1: ENOTSUP, EINVAL, ENOMEM. */
void *mmap(void *addr, size_t len, int prot, int flags, int fd, off_t offset);
/* Exactly what one mmap gave. */
int munmap(void *addr, size_t len);

#ifdef __cplusplus
}
#endif

#endif
