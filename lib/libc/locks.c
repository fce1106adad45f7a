/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * newlib's locks on the kernel's mutexes. newlib knows plain and recursive locks; a recursive mutex
 * serves for both. Its own global locks are defined here statically; those of streams are
 * allocated with the stream. When memory is out, a stream shares one lock with others like it:
 * slower, still correct.
 */
#include <sys/lock.h>
#include "kernel/heap.h"
#include "kernel/mutex.h"

struct __lock {
    struct mutex mutex;
};

#define GLOBAL_LOCK(name) struct __lock name = {MUTEX_INIT(name.mutex)}

GLOBAL_LOCK(__lock___sfp_recursive_mutex);
GLOBAL_LOCK(__lock___malloc_recursive_mutex);
GLOBAL_LOCK(__lock___env_recursive_mutex);
GLOBAL_LOCK(__lock___atexit_recursive_mutex);
GLOBAL_LOCK(__lock___at_quick_exit_mutex);
GLOBAL_LOCK(__lock___tz_mutex);
GLOBAL_LOCK(__lock___dd_hash_mutex);
GLOBAL_LOCK(__lock___arc4random_mutex);

static struct __lock shared = {MUTEX_INIT(shared.mutex)};

void __retarget_lock_init_recursive(_LOCK_T *lock)
{
    struct __lock *l = heap_alloc(sizeof(*l));

    if (l != NULL)
        mutex_init(&l->mutex);
    *lock = l != NULL ? l : &shared;
}

void __retarget_lock_close_recursive(_LOCK_T lock)
{
    if (lock != &shared)
        heap_free(lock);
}

void __retarget_lock_acquire_recursive(_LOCK_T lock)
{
    mutex_lock_recursive(&lock->mutex);
}

int __retarget_lock_try_acquire_recursive(_LOCK_T lock)
{
    if (mutex_held(&lock->mutex)) {
        mutex_lock_recursive(&lock->mutex);
        return 0;
    }
    return mutex_trylock(&lock->mutex);
}

void __retarget_lock_release_recursive(_LOCK_T lock)
{
    mutex_unlock(&lock->mutex);
}

void __retarget_lock_init(_LOCK_T *lock)
{
    __retarget_lock_init_recursive(lock);
}

void __retarget_lock_close(_LOCK_T lock)
{
    __retarget_lock_close_recursive(lock);
}

void __retarget_lock_acquire(_LOCK_T lock)
{
    __retarget_lock_acquire_recursive(lock);
}

int __retarget_lock_try_acquire(_LOCK_T lock)
{
    return __retarget_lock_try_acquire_recursive(lock);
}

void __retarget_lock_release(_LOCK_T lock)
{
    __retarget_lock_release_recursive(lock);
}
