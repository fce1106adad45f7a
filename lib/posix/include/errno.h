/* SPDX-License-Identifier: BSD-2-Clause */
/* newlib's error numbers, and one that file systems need and newlib lacks. */
#include_next <errno.h>

#ifndef EUCLEAN
#define EUCLEAN 144 /* the medium's contents are damaged */
#endif
