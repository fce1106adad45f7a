/* SPDX-License-Identifier: BSD-2-Clause */
/* An input of a fuzzer in a process of its own, whose coverage is taken over. (Not in fuzz.c: the
 * first object linked registers the counters, and one that names them itself does it wrongly.) */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/host/fuzz.h"
#include "tests/host/test.h"

#define TIME_LIMIT_S 50 /* of its own time: what the machine does besides is no hang */

/* The linker's names of clang's counters: what an input reached. */
extern uint8_t __start___sancov_cntrs[], __stop___sancov_cntrs[];

static uint8_t *reached; /* the same of the process that just ran */

static void run_apart(void (*fn)(const uint8_t *data, size_t size), const uint8_t *data,
                      size_t size, size_t counters)
{
    const struct rlimit limit = {TIME_LIMIT_S, TIME_LIMIT_S};

    (void)setrlimit(RLIMIT_CPU, &limit);
    fuzz_setup();
    test_random_restart();
    fn(data, size);
    memcpy(reached, __start___sancov_cntrs, counters);
    _exit(0);
}

void fuzz_apart(void (*fn)(const uint8_t *data, size_t size), const uint8_t *data, size_t size)
{
    size_t counters = (size_t)(__stop___sancov_cntrs - __start___sancov_cntrs);
    int status;
    pid_t pid;

    if (reached == NULL)
        reached = mmap(NULL, counters, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid = fork();
    if (pid == 0)
        run_apart(fn, data, size, counters);
    if (pid < 0)
        abort();
    while (waitpid(pid, &status, 0) != pid) /* libFuzzer's alarm clock interrupts it */
        if (errno != EINTR)
            abort();
    if (status != 0) {
        fprintf(stderr, "the process of this input ended with status %#x\n", (unsigned)status);
        abort();
    }
    memcpy(__start___sancov_cntrs, reached, counters);
}
