/* SPDX-License-Identifier: BSD-2-Clause */
/* What Linux has to say: its clock, its counters, and the conditions under which it runs. */
#define _GNU_SOURCE 1
#include <ctype.h>
#include <err.h>
#include <inttypes.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>
#include "apps/pvbench/probe.h"

#define CALIBRATION_NS 50000000ULL

static double tick = 1;

uint64_t platform_clock(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* How fast the counter runs, by the clock. */
static void calibrate(void)
{
    uint64_t begin = platform_clock(), first = stamp(), now;

    while ((now = platform_clock()) < begin + CALIBRATION_NS)
        ;
    tick = (double)(now - begin) * 1000 / (double)(stamp() - first);
}

void platform_init(void)
{
    cpu_set_t first;

    CPU_ZERO(&first);
    CPU_SET(0, &first);
    if (sched_setaffinity(0, sizeof(first), &first) != 0) /* P3 */
        warn("CPU 0");
    calibrate();
}

double platform_tick(void)
{
    return tick;
}

/* All interrupts so far: the rows of /proc/interrupts that have a number, each with a column for
 * each CPU. (The sum in /proc/stat has those between CPUs twice.) */
static uint64_t interrupts(void)
{
    FILE *file = fopen("/proc/interrupts", "r");
    char line[4096];
    uint64_t sum = 0;

    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        char *at = line + strspn(line, " "), *end;

        if (!isdigit((unsigned char)*at) || (at = strchr(at, ':')) == NULL)
            continue;
        for (at++;; at = end) {
            uint64_t n = strtoumax(at, &end, 10);

            if (end == at || *end != ' ')
                break;
            sum += n;
        }
    }
    if (file != NULL)
        fclose(file);
    return sum;
}

/* The number of column (n) behind (word) in /proc/stat. */
static uint64_t stat_of(const char *word, unsigned n)
{
    FILE *file = fopen("/proc/stat", "r");
    char line[4096], *at = NULL;

    while (file != NULL && fgets(line, sizeof(line), file) != NULL && at == NULL)
        if (strncmp(line, word, strlen(word)) == 0)
            at = line + strlen(word);
    if (file != NULL)
        fclose(file);
    for (; at != NULL && n > 0; n--) {
        at += strspn(at, " ");
        at += strcspn(at, " ");
    }
    return at != NULL ? strtoumax(at, NULL, 10) : 0;
}

void platform_count(struct counters *c)
{
    struct rusage used;

    getrusage(RUSAGE_SELF, &used);
    *c = (struct counters){
        .steal_ns = stat_of("cpu ", 7) * (1000000000 / (uint64_t)sysconf(_SC_CLK_TCK)),
        .preemptions = (uint64_t)used.ru_nivcsw,
        .events = interrupts(),
        .hypercalls = NOT_COUNTED,
    };
}

/* By the module, if it is there. */
void platform_mark(uint32_t mark)
{
    FILE *file = fopen("/proc/pvbench", "w");

    if (file == NULL)
        return;
    fprintf(file, "mark %" PRIu32, mark);
    fclose(file);
}

/* ---- conditions ---- */

/* What stands behind the colon of the first line of (file) that begins with (key); all of it
 * without. */
static void print_line(FILE *out, const char *name, const char *path, const char *key)
{
    FILE *file = fopen(path, "r");
    char line[256];
    bool found = false;

    fprintf(out, "\"%s\": \"", name);
    while (!found && file != NULL && fgets(line, sizeof(line), file) != NULL) {
        const char *text = strchr(line, ':');

        found = strncmp(line, key, strlen(key)) == 0;
        text = text ? text + 1 + strspn(text + 1, " ") : line;
        for (; found && *text != '\0'; text++)
            if (isprint((unsigned char)*text) && *text != '"' && *text != '\\')
                fputc(*text, out);
    }
    fprintf(out, "\", ");
    if (file != NULL)
        fclose(file);
}

void platform_conditions(FILE *out)
{
    struct utsname name;

    uname(&name);
    fprintf(out, "\"system\": \"%s %s\", ", name.sysname, name.release);
    print_line(out, "cpu", "/proc/cpuinfo", "model name");
    print_line(out, "clocksource",
               "/sys/devices/system/clocksource/clocksource0/current_clocksource", "");
    fprintf(out, "\"tick_ns\": %.6f, \"vcpus\": %ld", tick / 1000, sysconf(_SC_NPROCESSORS_ONLN));
}

int platform_serve(void)
{
    printf("pvbench: only Paravane serves as a peer\n");
    return 1;
}
