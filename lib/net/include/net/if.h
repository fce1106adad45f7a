/* SPDX-License-Identifier: BSD-2-Clause */
/* Network interfaces by name ("vif0", "lo") and number. */
#ifndef _NET_IF_H
#define _NET_IF_H

#ifdef __cplusplus
extern "C" {
#endif

#define IF_NAMESIZE 16
#define IFNAMSIZ IF_NAMESIZE

/* 0: no such interface. */
unsigned if_nametoindex(const char *name);
/* (buf) has IF_NAMESIZE bytes. NULL with errno: no such interface. */
char *if_indextoname(unsigned index, char *buf);

#ifdef __cplusplus
}
#endif

#endif
