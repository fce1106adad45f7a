/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests to what stands behind a descriptor. */
#ifndef _SYS_IOCTL_H
#define _SYS_IOCTL_H

#ifdef __cplusplus
extern "C" {
#endif

#define FIONREAD 0x541b   /* int *: bytes that a read would give now */
#define FIONBIO 0x5421    /* const int *: O_NONBLOCK on or off */
#define TIOCGWINSZ 0x5413 /* struct winsize * */

struct winsize {
    unsigned short ws_row, ws_col, ws_xpixel, ws_ypixel;
};

int ioctl(int fd, unsigned long request, ...);

#ifdef __cplusplus
}
#endif

#endif
