/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Things done once, and values that each thread keeps under a key.
 *
 * A key's generation is odd while the key exists and grows with every create and delete, so that
 * values from before are forgotten without visiting the threads that hold them.
 */
#include "lib/posix/pthread.h"

#include <errno.h>
#include "kernel/heap.h"
#include "kernel/mutex.h"
#include "kernel/thread.h"
#include "lib/base/atomic.h"
#include "lib/posix/park.h"

enum { ONCE_NOT_YET, ONCE_RUNNING, ONCE_DONE };

int pthread_once(pthread_once_t *once, void (*fn)(void))
{
    uint32_t *state = (uint32_t *)&once->init_executed, seen;

    for (;;) {
        seen = load_acquire(state);
        if (seen == ONCE_DONE)
            return 0;
        if (seen == ONCE_NOT_YET && atomic_cmpxchg(state, &seen, ONCE_RUNNING))
            break;
        (void)park_wait(state, ONCE_RUNNING, NEVER);
    }
    fn();
    store_release(state, ONCE_DONE);
    park_wake(state, PARK_ALL);
    return 0;
}

struct key {
    uint32_t generation;
    void (*destructor)(void *);
};

static struct mutex keys_lock = MUTEX_INIT(keys_lock);
static struct key keys[PTHREAD_KEYS_MAX];

static uint32_t generation_of(pthread_key_t key)
{
    uint32_t generation = key < PTHREAD_KEYS_MAX ? load_acquire(&keys[key].generation) : 0;

    return generation % 2 == 1 ? generation : 0;
}

int pthread_key_create(pthread_key_t *out, void (*destructor)(void *))
{
    int error = EAGAIN;

    mutex_lock(&keys_lock);
    for (pthread_key_t key = 0; key < PTHREAD_KEYS_MAX; key++) {
        if (generation_of(key) != 0)
            continue;
        keys[key].destructor = destructor;
        store_release(&keys[key].generation, keys[key].generation + 1);
        *out = key;
        error = 0;
        break;
    }
    mutex_unlock(&keys_lock);
    return error;
}

int pthread_key_delete(pthread_key_t key)
{
    int error = EINVAL;

    mutex_lock(&keys_lock);
    if (generation_of(key) != 0) {
        store_release(&keys[key].generation, keys[key].generation + 1);
        error = 0;
    }
    mutex_unlock(&keys_lock);
    return error;
}

int pthread_setspecific(pthread_key_t key, const void *value)
{
    struct pthread *self = pthread_current();
    uint32_t generation = generation_of(key);

    if (generation == 0)
        return EINVAL;
    if (self->values == NULL)
        self->values = heap_alloc_zeroed(PTHREAD_KEYS_MAX * sizeof(*self->values));
    if (self->values == NULL)
        return ENOMEM;
    self->values[key] = (struct key_value){(void *)value, generation};
    return 0;
}

void *pthread_getspecific(pthread_key_t key)
{
    struct pthread *self = pthread_current();
    uint32_t generation = generation_of(key);

    if (generation == 0 || self->values == NULL || self->values[key].generation != generation)
        return NULL;
    return self->values[key].value;
}

/* Call the destructor of one value. True when there was one to call. */
static bool destroy_value(struct key_value *v, pthread_key_t key)
{
    void (*destructor)(void *) = NULL;
    void *value = v->value;

    v->value = NULL;
    mutex_lock(&keys_lock);
    if (v->generation == generation_of(key) && v->generation != 0)
        destructor = keys[key].destructor;
    mutex_unlock(&keys_lock);
    if (value == NULL || destructor == NULL)
        return false;
    destructor(value);
    return true;
}

/* Destructors may set values again: a few rounds, then what is left stays undestroyed. */
void pthread_run_destructors(struct pthread *self)
{
    bool again = self->values != NULL;

    for (unsigned round = 0; again && round < PTHREAD_DESTRUCTOR_ITERATIONS; round++) {
        again = false;
        for (pthread_key_t key = 0; key < PTHREAD_KEYS_MAX; key++)
            again |= destroy_value(&self->values[key], key);
    }
}
