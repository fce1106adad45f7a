/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one process: its number is 1, it has no parent, no children, and one signal from outside:
 * SIGTERM, when the toolstack wants the domain to end. raise and kill run a handler that signal()
 * or sigaction() installed, in the thread that calls them, else do what the signal does by default:
 * those that mean a bug (abort, ...) crash the domain with a backtrace, the others that end a
 * program end the domain with status 128 + signal. Signals go by number here: strsignal would bring
 * a second printf into every image.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "kernel/log.h"
#include "lib/base/assert.h"
#include "lib/base/atomic.h"
#include "lib/libc/process.h"

#define THE_PID 1

static int fail(int error)
{
    errno = error;
    return -1;
}

pid_t getpid(void)
{
    return THE_PID;
}

pid_t getppid(void)
{
    return 0;
}

static bool is_ignored_by_default(int sig)
{
    return sig == SIGCHLD || sig == SIGURG || sig == SIGWINCH || sig == SIGCONT;
}

static bool means_a_bug(int sig)
{
    return sig == SIGABRT || sig == SIGSEGV || sig == SIGBUS || sig == SIGILL || sig == SIGFPE ||
           sig == SIGTRAP || sig == SIGSYS;
}

/* All threads' (newlib's own signal() would keep a table for each thread). */
static _sig_func_ptr handlers[NSIG];

static _sig_func_ptr handler_of(int sig)
{
    return load_acquire(&handlers[sig]);
}

_sig_func_ptr signal(int sig, _sig_func_ptr handler)
{
    if (sig <= 0 || sig >= NSIG || sig == SIGKILL || sig == SIGSTOP) {
        errno = EINVAL;
        return SIG_ERR;
    }
    return atomic_exchange(&handlers[sig], handler);
}

static void do_default(int sig)
{
    if (is_ignored_by_default(sig))
        return;
    if (means_a_bug(sig))
        panic("the program ended itself: signal %d%s", sig, sig == SIGABRT ? " (abort)" : "");
    log_err("the program ended itself: signal %d", sig);
    _exit(128 + sig);
}

int kill(pid_t pid, int sig)
{
    if (pid != THE_PID && pid != 0 && pid != -1)
        return fail(ESRCH);
    if (sig < 0 || sig >= NSIG)
        return fail(EINVAL);
    if (sig == 0 || handler_of(sig) == SIG_IGN)
        return 0;
    if (handler_of(sig) == SIG_DFL)
        do_default(sig);
    else
        handler_of(sig)(sig);
    return 0;
}

int raise(int sig)
{
    return kill(THE_PID, sig);
}

void process_terminate(void)
{
    if (handler_of(SIGTERM) == SIG_DFL)
        exit(0);
    kill(THE_PID, SIGTERM);
}

/* Signals never interrupt a thread, so there is nothing that a mask could hold back. */
int sigprocmask(int how UNUSED, const sigset_t *set UNUSED, sigset_t *old)
{
    if (old != NULL)
        *old = 0;
    return 0;
}

int pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
    return sigprocmask(how, set, old);
}

int sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
    _sig_func_ptr before;

    if (sig <= 0 || sig >= NSIG || sig == SIGKILL || sig == SIGSTOP)
        return fail(EINVAL);
    before = act != NULL ? signal(sig, act->sa_handler) : handler_of(sig);
    if (before == SIG_ERR)
        return -1;
    if (old != NULL)
        *old = (struct sigaction){.sa_handler = before};
    return 0;
}

/* Threads cannot be cancelled, so the state is always "disabled". newlib's streams ask. */
int pthread_setcancelstate(int state, int *old)
{
    if (state != PTHREAD_CANCEL_ENABLE && state != PTHREAD_CANCEL_DISABLE)
        return EINVAL;
    if (old != NULL)
        *old = PTHREAD_CANCEL_DISABLE;
    return 0;
}

pid_t fork(void)
{
    return fail(ENOSYS);
}

pid_t vfork(void)
{
    return fail(ENOSYS);
}

/* What should happen at a fork never happens. */
int pthread_atfork(void (*prepare)(void) UNUSED, void (*parent)(void) UNUSED,
                   void (*child)(void) UNUSED)
{
    return 0;
}

int execve(const char *path UNUSED, char *const argv[] UNUSED, char *const env[] UNUSED)
{
    return fail(ENOSYS);
}

pid_t wait(int *status UNUSED)
{
    return fail(ECHILD);
}

pid_t waitpid(pid_t pid UNUSED, int *status UNUSED, int options UNUSED)
{
    return fail(ECHILD);
}

/* malloc does not use it, and there is no such segment. */
void *sbrk(ptrdiff_t increment UNUSED)
{
    errno = ENOMEM;
    return (void *)-1;
}

/* Identity: one user, root. */
uid_t getuid(void)
{
    return 0;
}

uid_t geteuid(void)
{
    return 0;
}

gid_t getgid(void)
{
    return 0;
}

gid_t getegid(void)
{
    return 0;
}

pid_t getpgrp(void)
{
    return THE_PID;
}
