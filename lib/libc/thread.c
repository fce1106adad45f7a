/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Per-thread state of the C library.
 *
 * The kernel keeps one pointer per thread for us (thread_user); struct libc_thread hangs there.
 * newlib asks for its part by __getreent(), at every use of errno.
 *
 * __thread variables are laid out as the x86-64 psABI says (variant II): the image that the linker
 * collected ends where the thread pointer points, and the word there points to itself:
 *
 *     tls_block            tls_pointer, aligned as the image
 *     | image ... zeroes ...| self | 56 bytes |
 *
 * The bytes behind it keep %fs:40 readable, where compilers look for a stack canary unless they are
 * told otherwise.
 *
 * linker script: __tls_start, __tls_file_end (the initialised part), __tls_end; __tls_align is a
 * symbol whose address is the alignment.
 */
#include "lib/libc/thread.h"

#include <string.h>
#include "kernel/heap.h"
#include "kernel/thread.h"
#include "lib/base/assert.h"

extern const char __tls_start[], __tls_file_end[], __tls_end[], __tls_align[];

struct _reent *__getreent(void);

#define TCB_SIZE 64

static int create_tls(struct libc_thread *t)
{
    size_t file_size = (size_t)(__tls_file_end - __tls_start);
    size_t size = (size_t)(__tls_end - __tls_start);
    size_t align = MAX((uintptr_t)__tls_align, 16);
    size_t room = ALIGN_UP(size, align);
    char *block = heap_alloc_aligned(align, room + TCB_SIZE);

    if (block == NULL)
        return -1;
    memset(block, 0, room + TCB_SIZE);
    /* Offsets count down from the thread pointer, so slack lies in front of the image. */
    char *image = block + room - ALIGN_UP(size, MAX((uintptr_t)__tls_align, 1));
    memcpy(image, __tls_start, file_size);
    t->tls_block = block;
    t->tls_pointer = (uintptr_t)(block + room);
    *(uintptr_t *)t->tls_pointer = t->tls_pointer;
    return 0;
}

struct libc_thread *libc_thread_create(void)
{
    struct libc_thread *t = heap_alloc_zeroed(sizeof(*t));

    if (t == NULL)
        return NULL;
    if (create_tls(t) != 0) {
        heap_free(t);
        return NULL;
    }
    _REENT_INIT_PTR_ZEROED(&t->reent);
    return t;
}

void libc_thread_destroy(struct libc_thread *t)
{
    heap_free(t->tls_block);
    heap_free(t);
}

void libc_thread_enter(struct libc_thread *t)
{
    thread_set_tls(t->tls_pointer);
    thread_set_user(thread_current(), t);
}

void libc_thread_leave(void)
{
    struct libc_thread *t = thread_user(thread_current());

    if (t == NULL)
        return;
    _reclaim_reent(&t->reent);
    thread_set_user(thread_current(), NULL);
    thread_set_tls(0);
    libc_thread_destroy(t);
}

static struct libc_thread *attach(void)
{
    struct libc_thread *t = libc_thread_create();

    if (t == NULL)
        panic("no memory for the C library's state of thread %s", thread_name(thread_current()));
    libc_thread_enter(t);
    return t;
}

struct libc_thread *libc_thread_self(void)
{
    struct libc_thread *t = thread_user(thread_current());

    return __builtin_expect(t != NULL, 1) ? t : attach();
}

struct _reent *__getreent(void)
{
    return &libc_thread_self()->reent;
}
