/* SPDX-License-Identifier: BSD-2-Clause */
/* The types behind lwIP's threads, semaphores and mailboxes; all live in sys_arch.c. */
#ifndef LIB_NET_PORT_ARCH_SYS_ARCH_H
#define LIB_NET_PORT_ARCH_SYS_ARCH_H

#include <stdbool.h>

struct mutex;
struct net_sem;
struct net_mbox;

typedef struct mutex *sys_mutex_t;
typedef struct net_sem *sys_sem_t;
typedef struct net_mbox *sys_mbox_t;
typedef struct thread *sys_thread_t;
typedef bool sys_prot_t; /* upcalls were enabled */

#define sys_mutex_valid(m) (*(m) != NULL)
#define sys_mutex_set_invalid(m) (*(m) = NULL)
#define sys_sem_valid(s) (*(s) != NULL)
#define sys_sem_set_invalid(s) (*(s) = NULL)
#define sys_mbox_valid(m) (*(m) != NULL)
#define sys_mbox_set_invalid(m) (*(m) = NULL)

#endif
