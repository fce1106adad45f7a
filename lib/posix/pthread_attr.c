/* SPDX-License-Identifier: BSD-2-Clause */
/* Attributes of threads to be created: the stack's size and whether somebody will join. */
#include <errno.h>
#include <limits.h>
#include <pthread.h>

#define STACK_DEFAULT (128 * 1024)
#define STACK_MAX (64 * 1024 * 1024)
#define GUARD_SIZE 4096

int pthread_attr_init(pthread_attr_t *attr)
{
    *attr = (pthread_attr_t){
        .is_initialized = 1, .stacksize = STACK_DEFAULT, .detachstate = PTHREAD_CREATE_JOINABLE};
    return 0;
}

int pthread_attr_destroy(pthread_attr_t *attr)
{
    attr->is_initialized = 0;
    return 0;
}

int pthread_attr_setstacksize(pthread_attr_t *attr, size_t size)
{
    if (size < PTHREAD_STACK_MIN || size > STACK_MAX)
        return EINVAL;
    attr->stacksize = (int)size;
    return 0;
}

int pthread_attr_getstacksize(const pthread_attr_t *attr, size_t *size)
{
    *size = (size_t)attr->stacksize;
    return 0;
}

int pthread_attr_setdetachstate(pthread_attr_t *attr, int state)
{
    if (state != PTHREAD_CREATE_JOINABLE && state != PTHREAD_CREATE_DETACHED)
        return EINVAL;
    attr->detachstate = state;
    return 0;
}

int pthread_attr_getdetachstate(const pthread_attr_t *attr, int *state)
{
    *state = attr->detachstate;
    return 0;
}

/* Every stack has an unmapped page at each end, no more and no less. */
int pthread_attr_setguardsize(pthread_attr_t *attr, size_t size)
{
    (void)attr;
    return size <= GUARD_SIZE ? 0 : EINVAL;
}

int pthread_attr_getguardsize(const pthread_attr_t *attr, size_t *size)
{
    (void)attr;
    *size = GUARD_SIZE;
    return 0;
}

int pthread_attr_setschedparam(pthread_attr_t *attr, const struct sched_param *param)
{
    attr->schedparam = *param;
    return param->sched_priority == 0 ? 0 : ENOTSUP;
}

int pthread_attr_getschedparam(const pthread_attr_t *attr, struct sched_param *param)
{
    *param = attr->schedparam;
    return 0;
}
