/* SPDX-License-Identifier: BSD-2-Clause */
/* The smallest appliance: print, show the arguments, exit. An argument that is a number is the
 * status. */
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    printf("Hello from Paravane.\n");
    for (int i = 0; i < argc; i++)
        printf("argv[%d] = %s\n", i, argv[i]);
    return argc > 1 ? atoi(argv[argc - 1]) : 0;
}
