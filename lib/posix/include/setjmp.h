/* SPDX-License-Identifier: BSD-2-Clause */
/* newlib's <setjmp.h>, and POSIX's names for the same: there is no signal mask to save. */
#include_next <setjmp.h>

#ifndef _PARAVANE_SETJMP_H
#define _PARAVANE_SETJMP_H

typedef jmp_buf sigjmp_buf;

#define sigsetjmp(env, save_mask) ((void)(save_mask), setjmp(env))
#define siglongjmp(env, value) longjmp((env), (value))
#define _setjmp(env) setjmp(env)
#define _longjmp(env, value) longjmp((env), (value))

#endif
