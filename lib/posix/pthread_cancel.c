/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Cleanup handlers, which pthread_exit runs, and cancellation, which does not exist: a thread ends
 * by its own will, because nothing here could free what a thread holds when it is cut off.
 */
#include "lib/posix/pthread.h"

#include <errno.h>
#include "lib/base/macros.h"

void _pthread_cleanup_push(struct _pthread_cleanup_context *context, void (*fn)(void *), void *arg)
{
    struct pthread *self = pthread_current();

    context->_routine = fn;
    context->_arg = arg;
    context->_previous = self->cleanup;
    self->cleanup = context;
}

void _pthread_cleanup_pop(struct _pthread_cleanup_context *context, int execute)
{
    pthread_current()->cleanup = context->_previous;
    if (execute)
        context->_routine(context->_arg);
}

int pthread_cancel(pthread_t id UNUSED)
{
    return ENOSYS;
}

int pthread_setcanceltype(int type, int *old)
{
    if (type != PTHREAD_CANCEL_DEFERRED && type != PTHREAD_CANCEL_ASYNCHRONOUS)
        return EINVAL;
    if (old != NULL)
        *old = PTHREAD_CANCEL_DEFERRED;
    return 0;
}

void pthread_testcancel(void)
{
}
