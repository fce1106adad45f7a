/* SPDX-License-Identifier: BSD-2-Clause */
/* Becomes the program that the first argument names; newlib's tests end with exit() or abort(). */
#include <stdio.h>
#include <string.h>
#include "lib/base/macros.h"

#define PROGRAM(name, program) extern int program(int argc, char **argv);
#include "table.h"
#undef PROGRAM

static const struct {
    const char *name;
    int (*main)(int argc, char **argv);
} programs[] = {
#define PROGRAM(name, program) {name, program},
#include "table.h"
#undef PROGRAM
};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < ARRAY_SIZE(programs); i++)
        if (strcmp(argv[1], programs[i].name) == 0)
            return programs[i].main(argc - 1, argv + 1);
    printf("%s: no program \"%s\"\n", argv[0], argc > 1 ? argv[1] : "");
    return 64;
}
