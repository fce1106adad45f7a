/* SPDX-License-Identifier: BSD-2-Clause */
/* The console as descriptors 0, 1 and 2. */
#ifndef LIB_POSIX_CONSOLE_FILE_H
#define LIB_POSIX_CONSOLE_FILE_H

/* Open it as 0, 1 and 2; once, before anything else is open. */
void console_file_install(void);

#endif
