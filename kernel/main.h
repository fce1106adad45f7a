/* SPDX-License-Identifier: BSD-2-Clause */
/* The seam between the kernel and the program that it was linked with. */
#ifndef KERNEL_MAIN_H
#define KERNEL_MAIN_H

#include <arch/boot.h>

/* What the domain was started with; valid for ever. */
const struct bootinfo *boot_info(void);

/* The program: lib/libc's, which sets up the C library and calls main, or a bare one's own. Called
 * in a thread once every module of the kernel runs; what it returns is the domain's exit status. */
int app_main(int argc, char **argv);

/* Name of the program, linked in by the build. */
extern const char app_name[];

#endif
