/* SPDX-License-Identifier: BSD-2-Clause */
/* The address of a local socket, for programs that name the type; socket(AF_UNIX) is refused. */
#ifndef _SYS_UN_H
#define _SYS_UN_H

#include <sys/socket.h>

struct sockaddr_un {
    sa_family_t sun_family;
    char sun_path[108];
};

#endif
