/* SPDX-License-Identifier: BSD-2-Clause */
/* The C library as a program sees it: newlib, and what lib/libc and lib/posix put under it. */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <fenv.h>
#include <limits.h>
#include <locale.h>
#include <malloc.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>
#include "lib/base/macros.h"
#include "tests/guest/check.h"

/* --- start --- */

static int constructed[3], constructions;

__attribute__((constructor(200))) static void construct_second(void)
{
    constructed[constructions++] = 2;
}

__attribute__((constructor(150))) static void construct_first(void)
{
    constructed[constructions++] = 1;
}

__attribute__((constructor)) static void construct_last(void)
{
    constructed[constructions++] = 3;
}

static void test_constructors_run_in_order_before_main(void)
{
    CHECK_EQ(constructions, 3);
    CHECK_EQ(constructed[0], 1);
    CHECK_EQ(constructed[1], 2);
    CHECK_EQ(constructed[2], 3);
}

static __thread int tls_value = 4711;
static __thread char tls_zero[100];
static __thread _Alignas(64) char tls_aligned[3] = "ab";

static void test_thread_variables_have_their_image(void)
{
    CHECK_EQ(tls_value, 4711);
    for (size_t i = 0; i < sizeof(tls_zero); i++)
        CHECK_EQ(tls_zero[i], 0);
    CHECK_EQ((uintptr_t)tls_aligned % 64, 0);
    CHECK(strcmp(tls_aligned, "ab") == 0);
}

/* --- text --- */

static void test_printf_knows_every_conversion(void)
{
    volatile size_t room = 4; /* not known to the compiler */
    char s[200];

    snprintf(s, sizeof(s), "%d %5.2f %-4s| %x %lld %zu %c %% %e %g", -7, 3.14159, "ab", 0xbeef,
             1LL << 40, (size_t)42, 'z', 12345.678, 0.0001);
    CHECK(strcmp(s, "-7  3.14 ab  | beef 1099511627776 42 z % 1.234568e+04 0.0001") == 0);
    snprintf(s, sizeof(s), "%.3Lf %a %hhd %*d", 2.5L, 1.0, 300, 6, 12);
    CHECK(strcmp(s, "2.500 0x1p+0 44     12") == 0);
    CHECK_EQ(snprintf(s, room, "abcdef"), 6);
    CHECK(strcmp(s, "abc") == 0);
}

static void test_scanf_reads_back(void)
{
    int a, n;
    double d;
    char word[10];

    n = sscanf("12 -3.5e2 hello 0x1f", "%d %lf %9s %i", &a, &d, word, &(int){0});
    CHECK_EQ(n, 4);
    CHECK_EQ(a, 12);
    CHECK(d == -350.0);
    CHECK(strcmp(word, "hello") == 0);
    CHECK(strtod("1e308", NULL) * 10 == HUGE_VAL);
    CHECK_EQ(strtoull("18446744073709551615", NULL, 10), UINT64_MAX);
    errno = 0;
    CHECK_EQ(strtol("99999999999999999999", NULL, 10), LONG_MAX);
    CHECK_EQ(errno, ERANGE);
}

static void test_strings_and_sorting(void)
{
    char text[] = "a,b,,c", *save = NULL;
    int numbers[] = {5, 3, 9, 1};

    CHECK(strcmp(strtok_r(text, ",", &save), "a") == 0);
    CHECK(strcmp(strtok_r(NULL, ",", &save), "b") == 0);
    CHECK(strcmp(strtok_r(NULL, ",", &save), "c") == 0);
    CHECK(strtok_r(NULL, ",", &save) == NULL);
    CHECK(memmem("needle in hay", 13, "in", 2) != NULL);
    CHECK(strcasecmp("AbC", "aBc") == 0);
    CHECK(strcmp(strerror(ENOENT), "No such file or directory") == 0);
    for (unsigned i = 0; i < 3; i++) /* memmove over itself, both ways */
        memmove(numbers + 1, numbers, 3 * sizeof(*numbers));
    CHECK_EQ(numbers[3], 5);
}

static void test_wide_characters_in_utf8(void)
{
    wchar_t wide[8];
    char narrow[16];

    CHECK(setlocale(LC_ALL, "C.UTF-8") != NULL);
    CHECK_EQ(mbstowcs(wide, "\xc3\xa4\xe2\x82\xac", 8), 2);
    CHECK_EQ(wide[0], 0xe4);
    CHECK_EQ(wide[1], 0x20ac);
    CHECK_EQ(snprintf(narrow, sizeof(narrow), "%ls", wide), 5);
    setlocale(LC_ALL, "C");
}

static void test_streams_in_memory(void)
{
    char *text = NULL, *line = NULL;
    size_t size = 0, room = 0;
    FILE *f = open_memstream(&text, &size);

    CHECK(f != NULL);
    fprintf(f, "first\nsecond %d", 2);
    CHECK_EQ(fclose(f), 0);
    CHECK(strcmp(text, "first\nsecond 2") == 0);
    f = fmemopen(text, size, "r");
    CHECK(f != NULL);
    CHECK_EQ(getline(&line, &room, f), 6);
    CHECK(strcmp(line, "first\n") == 0);
    CHECK_EQ(getline(&line, &room, f), 8);
    CHECK_EQ(getline(&line, &room, f), -1);
    fclose(f);
    free(line);
    free(text);
}

/* --- memory --- */

static void test_malloc_gives_aligned_separate_memory(void)
{
    char *p[200];

    for (unsigned i = 0; i < ARRAY_SIZE(p); i++) {
        p[i] = malloc(i * i);
        CHECK(p[i] != NULL);
        CHECK_EQ((uintptr_t)p[i] % 16, 0);
        memset(p[i], (int)i, i * i);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(p); i++) {
        for (unsigned j = 0; j < i * i; j++)
            CHECK_EQ((unsigned char)p[i][j], i);
        free(p[i]);
    }
}

static void test_realloc_keeps_the_contents(void)
{
    char *p = NULL;

    for (size_t size = 1; size <= 1 << 20; size *= 2) {
        p = realloc(p, size);
        CHECK(p != NULL);
        if (size > 1)
            CHECK_EQ(p[size / 2 - 1], 'x');
        memset(p, 'x', size);
        CHECK(malloc_usable_size(p) >= size);
    }
    p = realloc(p, 10);
    CHECK(p != NULL && memcmp(p, "xxxxxxxxxx", 10) == 0);
    free(p);
}

static void test_impossible_sizes_are_enomem(void)
{
    volatile size_t huge = SIZE_MAX / 2;
    void *p = NULL;

    errno = 0;
    CHECK(malloc(huge) == NULL);
    CHECK_EQ(errno, ENOMEM);
    CHECK(malloc(huge + 2) == NULL);
    CHECK(calloc(huge, 3) == NULL);
    CHECK(reallocarray(NULL, huge, 3) == NULL);
    CHECK_EQ(posix_memalign(&p, 64, huge), ENOMEM);
    CHECK_EQ(posix_memalign(&p, 3, 1), EINVAL);
}

static void test_aligned_and_zeroed_memory(void)
{
    for (size_t align = 8; align <= 65536; align *= 2) {
        void *p = NULL;

        CHECK_EQ(posix_memalign(&p, align, 100), 0);
        CHECK_EQ((uintptr_t)p % align, 0);
        free(p);
    }
    unsigned char *z = calloc(1000, 100);
    CHECK(z != NULL);
    for (unsigned i = 0; i < 100000; i++)
        CHECK_EQ(z[i], 0);
    free(z);
}

static void test_mmap_gives_pages(void)
{
    unsigned char *p =
        mmap(NULL, 100000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    CHECK(p != MAP_FAILED);
    for (unsigned i = 0; i < 100000; i += 1000)
        CHECK_EQ(p[i], 0);
    memset(p, 1, 100000);
    CHECK_EQ(munmap(p, 100000), 0);
    CHECK(mmap(NULL, 1, PROT_READ, MAP_PRIVATE, 3, 0) == MAP_FAILED);
    CHECK_EQ(errno, ENOTSUP);
}

/* --- jumps and numbers --- */

static jmp_buf env;

static void test_longjmp_returns_its_value_and_never_0(void)
{
    volatile int rounds = 0;
    int value = setjmp(env);

    if (rounds == 0) {
        CHECK_EQ(value, 0);
        rounds++;
        longjmp(env, 7);
    }
    if (rounds == 1) {
        CHECK_EQ(value, 7);
        rounds++;
        longjmp(env, 0);
    }
    CHECK_EQ(value, 1);
}

static void test_posix_names_of_setjmp(void)
{
    sigjmp_buf mine;
    volatile int rounds = 0;

    if (sigsetjmp(mine, 1) == 0) {
        rounds++;
        siglongjmp(mine, 2);
    }
    CHECK_EQ(rounds, 1);
    if (_setjmp(mine) == 0)
        _longjmp(mine, 1);
}

static unsigned mxcsr(void)
{
    unsigned v;

    __asm__ volatile("stmxcsr %0" : "=m"(v));
    return v;
}

static unsigned short x87(void)
{
    unsigned short v;

    __asm__ volatile("fnstcw %0" : "=m"(v));
    return v;
}

static void test_longjmp_restores_the_rounding_mode(void)
{
    unsigned before = mxcsr() & ~0x3fu;
    unsigned short before_x87 = x87();

    if (setjmp(env) == 0) {
        fesetround(FE_UPWARD);
        CHECK((mxcsr() & ~0x3fu) != before && x87() != before_x87);
        longjmp(env, 1);
    }
    CHECK_EQ(mxcsr() & ~0x3fu, before);
    CHECK_EQ(x87(), before_x87);
}

static void test_mathematics(void)
{
    volatile double two = 2.0;
    volatile long double one = 1.0L;
    volatile unsigned __int128 big = (unsigned __int128)1 << 100;

    CHECK(fabs(sqrt(two) - 1.4142135623730951) < 1e-15);
    CHECK(fabs(sin(two) - 0.9092974268256817) < 1e-15);
    CHECK(pow(two, 10) == 1024);
    CHECK(fabsl(expl(one) - 2.718281828459045235L) < 1e-17L);
    CHECK((uint64_t)(big / 1000000007) == 13271994342425752125U);
    CHECK_EQ((uint64_t)(big % 1000000007), 976371285);
}

/* --- time --- */

static long long nsec(const struct timespec *ts)
{
    return ts->tv_sec * 1000000000LL + ts->tv_nsec;
}

static void test_clocks_run_forwards(void)
{
    struct timespec last, now, wall;
    struct timeval tv;

    CHECK_EQ(clock_gettime(CLOCK_MONOTONIC, &last), 0);
    for (int i = 0; i < 100000; i++) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        CHECK(nsec(&now) >= nsec(&last));
        last = now;
    }
    CHECK_EQ(clock_gettime(CLOCK_REALTIME, &wall), 0);
    CHECK_EQ(gettimeofday(&tv, NULL), 0);
    CHECK(tv.tv_sec - wall.tv_sec <= 1);
    CHECK(wall.tv_sec > 1577836800); /* 2020 */
    CHECK(time(NULL) - wall.tv_sec <= 1);
    CHECK_EQ(clock_gettime((clockid_t)99, &now), -1);
    CHECK_EQ(errno, EINVAL);
}

static void test_sleeps_last_long_enough(void)
{
    struct timespec ask = {0, 20000000}, start, end, until;

    clock_gettime(CLOCK_MONOTONIC, &start);
    CHECK_EQ(nanosleep(&ask, NULL), 0);
    clock_gettime(CLOCK_MONOTONIC, &end);
    CHECK(nsec(&end) - nsec(&start) >= 20000000);
    CHECK(nsec(&end) - nsec(&start) < 2000000000);
    CHECK_EQ(usleep(1000), 0);
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec++;
    CHECK_EQ(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &until, NULL), 0);
    clock_gettime(CLOCK_REALTIME, &end);
    CHECK(nsec(&end) >= nsec(&until));
    ask.tv_nsec = 1000000000;
    CHECK_EQ(nanosleep(&ask, NULL), -1);
    CHECK_EQ(errno, EINVAL);
}

static void test_wall_clock_can_be_set(void)
{
    struct timespec before, set, after;

    clock_gettime(CLOCK_REALTIME, &before);
    set = before;
    set.tv_sec += 3600;
    CHECK_EQ(clock_settime(CLOCK_REALTIME, &set), 0);
    clock_gettime(CLOCK_REALTIME, &after);
    CHECK(nsec(&after) >= nsec(&set) && nsec(&after) < nsec(&set) + 5000000000);
    set = after;
    set.tv_sec -= 3600;
    CHECK_EQ(clock_settime(CLOCK_REALTIME, &set), 0);
    CHECK_EQ(clock_settime(CLOCK_MONOTONIC, &set), -1);
}

static void test_timegm_inverts_gmtime(void)
{
    static const time_t times[] = {0, -1, 951782400, 1709164800, 4102444800, -2208988800, 68169600};
    struct tm tm;

    for (unsigned i = 0; i < ARRAY_SIZE(times); i++) {
        CHECK(gmtime_r(&times[i], &tm) != NULL);
        CHECK_EQ(timegm(&tm), times[i]);
    }
    tm = (struct tm){.tm_year = 124, .tm_mon = 13, .tm_mday = 0}; /* the last day of January 2025 */
    CHECK_EQ(timegm(&tm), 1738281600);
    CHECK_EQ(tm.tm_mday, 31);
    CHECK_EQ(tm.tm_year, 125);
    tm = (struct tm){.tm_year = 70, .tm_mon = -1, .tm_mday = 1};
    CHECK_EQ(timegm(&tm), -31 * 86400);
}

static void test_clock_and_times_count(void)
{
    struct tms t;
    struct rusage r;
    clock_t start = clock();

    usleep(5000);
    CHECK(clock() > start);
    CHECK(times(&t) != (clock_t)-1 && t.tms_utime > 0);
    CHECK_EQ(getrusage(RUSAGE_SELF, &r), 0);
    CHECK(r.ru_utime.tv_sec > 0 || r.ru_utime.tv_usec > 0);
    CHECK_EQ(sysconf(_SC_CLK_TCK), CLOCKS_PER_SEC);
}

/* --- random numbers --- */

static void test_random_bytes_differ(void)
{
    unsigned char a[256], b[256];
    unsigned bits = 0;

    CHECK_EQ(getentropy(a, sizeof(a)), 0);
    CHECK_EQ(getentropy(b, sizeof(b)), 0);
    CHECK(memcmp(a, b, sizeof(a)) != 0);
    CHECK_EQ(getentropy(a, 257), -1);
    CHECK_EQ(errno, EIO);
    CHECK_EQ(getrandom(a, 100, 0), 100);
    CHECK_EQ(getrandom(a, 1, 0x80), -1);
    for (unsigned i = 0; i < sizeof(b); i++)
        bits += (unsigned)__builtin_popcount(b[i]);
    CHECK(bits > 880 && bits < 1168); /* 1024 expected; 6 standard deviations */
    CHECK(arc4random() != arc4random() || arc4random() != arc4random());
}

/* --- the one process --- */

static volatile int caught;

static void handler(int sig)
{
    caught = sig;
}

static void test_raise_runs_handlers(void)
{
    struct sigaction act = {.sa_handler = handler}, old;

    CHECK(signal(SIGUSR1, handler) == SIG_DFL);
    CHECK_EQ(raise(SIGUSR1), 0);
    CHECK_EQ(caught, SIGUSR1);
    CHECK_EQ(sigaction(SIGTERM, &act, &old), 0);
    CHECK(old.sa_handler == SIG_DFL);
    CHECK_EQ(kill(getpid(), SIGTERM), 0);
    CHECK_EQ(caught, SIGTERM);
    CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    CHECK_EQ(raise(SIGPIPE), 0);
    CHECK_EQ(kill(getpid(), 0), 0);
    CHECK_EQ(kill(77, 0), -1);
    CHECK_EQ(errno, ESRCH);
    CHECK_EQ(raise(SIGCHLD), 0); /* ignored by default */
}

static void test_there_is_one_process(void)
{
    CHECK_EQ(getpid(), 1);
    CHECK_EQ(fork(), -1);
    CHECK_EQ(errno, ENOSYS);
    CHECK_EQ(wait(NULL), -1);
    CHECK_EQ(errno, ECHILD);
    CHECK_EQ(system("ls"), -1);
    CHECK_EQ(getuid(), 0);
}

static void test_environment(void)
{
    CHECK(getenv("NO_SUCH_NAME") == NULL);
    CHECK_EQ(setenv("COLOUR", "green", 1), 0);
    CHECK(strcmp(getenv("COLOUR"), "green") == 0);
    CHECK_EQ(setenv("COLOUR", "red", 0), 0);
    CHECK(strcmp(getenv("COLOUR"), "green") == 0);
    CHECK_EQ(unsetenv("COLOUR"), 0);
    CHECK(getenv("COLOUR") == NULL);
}

static void test_system_names_and_limits(void)
{
    struct utsname u;
    char host[HOST_NAME_MAX + 1];

    CHECK_EQ(uname(&u), 0);
    CHECK(strcmp(u.sysname, "Paravane") == 0);
    CHECK_EQ(gethostname(host, sizeof(host)), 0);
    CHECK(strcmp(host, u.nodename) == 0);
    CHECK_EQ(sysconf(_SC_PAGESIZE), 4096);
    CHECK(sysconf(_SC_NPROCESSORS_ONLN) >= 1);
    CHECK(sysconf(_SC_PHYS_PAGES) > sysconf(_SC_AVPHYS_PAGES));
    CHECK_EQ(sysconf(9999), -1);
    CHECK_EQ(errno, EINVAL);
}

/* --- files --- */

static void test_nothing_can_be_changed(void)
{
    CHECK_EQ(mkdir("/x", 0777), -1);
    CHECK_EQ(errno, EROFS);
    CHECK_EQ(unlink("/x"), -1);
    CHECK_EQ(errno, EROFS);
    CHECK_EQ(rename("/x", "/y"), -1);
    CHECK_EQ(errno, EROFS);
    CHECK_EQ(ftruncate(99, 0), -1);
    CHECK_EQ(errno, EBADF);
}

static void test_names_that_are_not_there(void)
{
    struct stat st;

    CHECK(fopen("/no/such/file", "r") == NULL);
    CHECK_EQ(errno, ENOENT);
    CHECK_EQ(stat("/no/such/file", &st), -1);
    CHECK_EQ(errno, ENOENT);
    CHECK_EQ(open("", O_RDONLY), -1);
    CHECK_EQ(errno, ENOENT);
}

static void test_devices(void)
{
    unsigned char a[32], b[32] = {0};
    FILE *f = fopen("/dev/urandom", "r");

    CHECK(f != NULL);
    CHECK_EQ(fread(a, 1, sizeof(a), f), sizeof(a));
    CHECK_EQ(fclose(f), 0);
    CHECK(memcmp(a, b, sizeof(a)) != 0);
    f = fopen("/dev/null", "r+");
    CHECK(f != NULL);
    CHECK(fprintf(f, "gone") > 0);
    CHECK_EQ(fflush(f), 0);
    CHECK_EQ(fgetc(f), EOF);
    fclose(f);
    int fd = open("/dev/zero", O_RDONLY);
    CHECK_EQ(read(fd, a, sizeof(a)), sizeof(a));
    CHECK(memcmp(a, b, sizeof(a)) == 0);
    CHECK_EQ(close(fd), 0);
}

static void test_working_directory(void)
{
    char buf[PATH_MAX], *p;

    CHECK(getcwd(buf, sizeof(buf)) == buf);
    CHECK(strcmp(buf, "/") == 0);
    CHECK(getcwd(buf, 1) == NULL);
    CHECK_EQ(errno, ERANGE);
    p = realpath("/", NULL);
    CHECK(p != NULL && strcmp(p, "/") == 0);
    free(p);
}

static void test_the_console_is_a_terminal(void)
{
    struct stat st;

    CHECK_EQ(isatty(1), 1);
    CHECK_EQ(fstat(1, &st), 0);
    CHECK(S_ISCHR(st.st_mode));
    CHECK_EQ(lseek(1, 0, SEEK_SET), -1);
    CHECK_EQ(errno, ESPIPE);
    CHECK_EQ(isatty(55), 0);
    CHECK_EQ(errno, EBADF);
}

static const struct test_case cases[] = {
    CASE(constructors_run_in_order_before_main),
    CASE(thread_variables_have_their_image),
    CASE(printf_knows_every_conversion),
    CASE(scanf_reads_back),
    CASE(strings_and_sorting),
    CASE(wide_characters_in_utf8),
    CASE(streams_in_memory),
    CASE(malloc_gives_aligned_separate_memory),
    CASE(realloc_keeps_the_contents),
    CASE(impossible_sizes_are_enomem),
    CASE(aligned_and_zeroed_memory),
    CASE(mmap_gives_pages),
    CASE(longjmp_returns_its_value_and_never_0),
    CASE(posix_names_of_setjmp),
    CASE(longjmp_restores_the_rounding_mode),
    CASE(mathematics),
    CASE(clocks_run_forwards),
    CASE(sleeps_last_long_enough),
    CASE(wall_clock_can_be_set),
    CASE(timegm_inverts_gmtime),
    CASE(clock_and_times_count),
    CASE(random_bytes_differ),
    CASE(raise_runs_handlers),
    CASE(there_is_one_process),
    CASE(environment),
    CASE(system_names_and_limits),
    CASE(nothing_can_be_changed),
    CASE(names_that_are_not_there),
    CASE(devices),
    CASE(working_directory),
    CASE(the_console_is_a_terminal),
};

int main(void)
{
    return check_all(cases, ARRAY_SIZE(cases));
}
