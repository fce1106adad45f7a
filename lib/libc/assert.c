/* SPDX-License-Identifier: BSD-2-Clause */
/* A failed assert() of the program or of newlib: the reason, the registers and a backtrace, then
 * the domain crashes. newlib's own would bring a third printf into every image. */
#include <assert.h>
#include "lib/base/assert.h"

void __assert_func(const char *file, int line, const char *function, const char *text)
{
    panic("%s:%d: assertion \"%s\" failed%s%s", file, line, text, function != NULL ? " in " : "",
          function != NULL ? function : "");
}

void __assert(const char *file, int line, const char *text)
{
    __assert_func(file, line, NULL, text);
}
