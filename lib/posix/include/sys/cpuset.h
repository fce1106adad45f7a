/* SPDX-License-Identifier: BSD-2-Clause */
/* Sets of CPUs, for pthread_setaffinity_np and its like. A bit for each CPU that the kernel could
 * run. */
#ifndef _SYS_CPUSET_H_
#define _SYS_CPUSET_H_

#define CPU_SETSIZE 256

typedef struct {
    unsigned long bits[CPU_SETSIZE / (8 * sizeof(unsigned long))];
} cpu_set_t;

#define CPU_WORD_(cpu) ((cpu) / (8 * sizeof(unsigned long)))
#define CPU_BIT_(cpu) (1UL << ((cpu) % (8 * sizeof(unsigned long))))
#define CPU_ZERO(set) ((void)(*(set) = (cpu_set_t){{0}}))
#define CPU_SET(cpu, set) ((void)((set)->bits[CPU_WORD_(cpu)] |= CPU_BIT_(cpu)))
#define CPU_CLR(cpu, set) ((void)((set)->bits[CPU_WORD_(cpu)] &= ~CPU_BIT_(cpu)))
#define CPU_ISSET(cpu, set) (((set)->bits[CPU_WORD_(cpu)] & CPU_BIT_(cpu)) != 0)

static inline int CPU_COUNT(const cpu_set_t *set)
{
    int n = 0;

    for (unsigned long i = 0; i < sizeof(set->bits) / sizeof(set->bits[0]); i++)
        n += __builtin_popcountl(set->bits[i]);
    return n;
}

#endif
