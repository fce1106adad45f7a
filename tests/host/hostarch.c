/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The contract <arch/...> on the host: memory, clock, upcalls and messages. Everything is
 * built anew before every test by host_setup (tests run in processes of their own).
 */
#include "tests/host/hostarch.h"

#include <arch/boot.h>
#include <arch/cpu.h>
#include <arch/irq.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "kernel/console.h"
#include "kernel/log.h"
#include "kernel/page.h"
#include "kernel/spinlock.h"
#include "lib/base/assert.h"
#include "lib/base/errno.h"
#include "tests/host/test.h"

#define VMAP_PAGES 65536UL
#define WINDOW_PAGES (0x20000000UL / PAGE_SIZE)

#define REQUIRE(cond)                                   \
    do {                                                \
        if (!(cond))                                    \
            test_fail(__FILE__, __LINE__, "%s", #cond); \
    } while (0)

/* ---- memory ---- */

uintptr_t host_direct_map, host_memmap, host_vmap, host_vmap_end, host_window;
size_t host_ram_pages, host_mapped;
unsigned host_map_failures;
static int memory_fd = -1;
/* Frame mapped at each page of the vmap area and the window, 0: none. */
static gframe_t mapped[VMAP_PAGES + WINDOW_PAGES];

static uintptr_t reserve(size_t pages, int prot)
{
    void *va =
        mmap(NULL, pages * PAGE_SIZE, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    REQUIRE(va != MAP_FAILED);
    return (uintptr_t)va;
}

static void memory_setup(void)
{
    size_t pages = host_ram_pages + HOST_XEN_PAGES;
    void *va;

    memory_fd = memfd_create("domain", 0);
    REQUIRE(memory_fd >= 0 && ftruncate(memory_fd, (off_t)(pages * PAGE_SIZE)) == 0);
    /* Aligned as a real direct map is, so that blocks are aligned to their size. */
    host_direct_map = ALIGN_UP(reserve(pages + 2048, PROT_NONE), 4UL << 20);
    va = mmap((void *)host_direct_map, pages * PAGE_SIZE, PROT_READ | PROT_WRITE,
              MAP_SHARED | MAP_FIXED, memory_fd, 0);
    REQUIRE(va != MAP_FAILED);
    host_memmap =
        reserve(host_ram_pages * sizeof(struct page) / PAGE_SIZE + 1, PROT_READ | PROT_WRITE);
    host_vmap = reserve(VMAP_PAGES + WINDOW_PAGES, PROT_NONE);
    host_vmap_end = host_vmap + VMAP_PAGES * PAGE_SIZE;
    host_window = host_vmap_end;
}

void *host_xen_page(unsigned i)
{
    REQUIRE(i < HOST_XEN_PAGES);
    return pfn_to_virt(host_ram_pages + i);
}

gframe_t host_xen_gframe(unsigned i)
{
    return HOST_GFRAME_BASE + host_ram_pages + i;
}

void *host_gframe_to_virt(gframe_t frame)
{
    pfn_t pfn = frame - HOST_GFRAME_BASE;

    return pfn < host_ram_pages + HOST_XEN_PAGES ? pfn_to_virt(pfn) : NULL;
}

gframe_t virt_to_gframe(const void *va)
{
    REQUIRE(virt_to_pfn(va) < host_ram_pages);
    return virt_to_pfn(va) + HOST_GFRAME_BASE;
}

static gframe_t *slot_of(uintptr_t va)
{
    size_t i = (va - host_vmap) / PAGE_SIZE;

    REQUIRE(IS_ALIGNED(va, PAGE_SIZE) && i < VMAP_PAGES + WINDOW_PAGES);
    return &mapped[i];
}

static int protection(enum prot prot)
{
    return prot == PROT_RW ? PROT_READ | PROT_WRITE : PROT_READ;
}

static void map_one(uintptr_t va, gframe_t frame, enum prot prot)
{
    gframe_t *slot = slot_of(va);
    void *at;

    REQUIRE(*slot == 0 && host_gframe_to_virt(frame) != NULL);
    at = mmap((void *)va, PAGE_SIZE, protection(prot), MAP_SHARED | MAP_FIXED, memory_fd,
              (off_t)((frame - HOST_GFRAME_BASE) * PAGE_SIZE));
    REQUIRE(at != MAP_FAILED);
    *slot = frame;
    host_mapped++;
}

int arch_map_gframes(uintptr_t va, const gframe_t *frames, size_t n, enum prot prot)
{
    REQUIRE(!host_in_event);
    if (host_map_failures > 0) {
        host_map_failures--;
        return -ENOMEM;
    }
    for (size_t i = 0; i < n; i++)
        map_one(va + i * PAGE_SIZE, frames[i], prot);
    return 0;
}

int arch_map(uintptr_t va, const pfn_t *pfns, size_t n, enum prot prot)
{
    gframe_t frame;
    int rc = 0;

    for (size_t i = 0; i < n && rc == 0; i++) {
        REQUIRE(pfns[i] < host_ram_pages);
        frame = pfns[i] + HOST_GFRAME_BASE;
        rc = arch_map_gframes(va + i * PAGE_SIZE, &frame, 1, prot);
        if (rc != 0)
            arch_unmap(va, i);
    }
    return rc;
}

void arch_unmap(uintptr_t va, size_t n)
{
    for (size_t i = 0; i < n; i++, va += PAGE_SIZE) {
        gframe_t *slot = slot_of(va);

        if (*slot == 0)
            continue;
        REQUIRE(mmap((void *)va, PAGE_SIZE, PROT_NONE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) != MAP_FAILED);
        *slot = 0;
        host_mapped--;
    }
}

int arch_protect(uintptr_t va, size_t n, enum prot prot)
{
    REQUIRE(mprotect((void *)va, n * PAGE_SIZE, protection(prot)) == 0);
    return 0;
}

pfn_t arch_mapped_pfn(uintptr_t va)
{
    gframe_t frame = *slot_of(ALIGN_DOWN(va, PAGE_SIZE));

    return frame == 0 ? PFN_INVALID : frame - HOST_GFRAME_BASE;
}

/* ---- CPUs and upcalls ---- */

unsigned host_cpu, host_preempt_count;
struct thread *host_current;
bool host_irq_on = true, host_upcall_pending, host_in_event, host_need_resched;

/* The kernel's, when it is under test. */
__attribute__((weak)) void evtchn_dispatch(void)
{
}

/* Nothing runs at the same time, so whoever waits for a spinlock waits for ever. */
void spin_wait(struct spinlock *l)
{
    (void)l;
    test_fail("hostarch", 0, "deadlock: a spinlock is taken twice");
}

void spin_kick(const struct spinlock *l, uint16_t claimed)
{
    (void)l;
    (void)claimed;
}

void host_deliver_upcalls(void)
{
    while (host_irq_on && host_upcall_pending) {
        host_upcall_pending = false;
        host_irq_on = false;
        host_in_event = true;
        evtchn_dispatch();
        host_in_event = false;
        host_irq_on = true;
    }
}

void host_raise_upcall(void)
{
    host_upcall_pending = true;
    host_deliver_upcalls();
}

/* ---- time and the outside world ---- */

#define EVENTS_MAX 64
#define BACKENDS_MAX 32

nsec_t host_clock = 1000 * 1000 * 1000, host_wall_base = 1700000000ULL * 1000 * 1000 * 1000;
static nsec_t armed; /* clock_arm's deadline, 0: none */
static void (*timer_fn)(void);
static struct {
    nsec_t when;
    void (*fn)(void *arg);
    void *arg;
} events[EVENTS_MAX];
static struct {
    bool (*fn)(void *arg);
    void *arg;
} backends[BACKENDS_MAX];
static bool stepping;

nsec_t clock_read(void)
{
    return host_clock;
}

nsec_t clock_wall_base(void)
{
    return host_wall_base;
}

void clock_arm(nsec_t deadline)
{
    REQUIRE(!host_irq_on);
    armed = deadline;
}

nsec_t clock_steal(unsigned cpu)
{
    (void)cpu;
    return 0;
}

void host_on_timer(void (*fn)(void))
{
    timer_fn = fn;
}

void host_at(nsec_t when, void (*fn)(void *arg), void *arg)
{
    size_t i = 0;

    while (i < EVENTS_MAX && events[i].fn != NULL)
        i++;
    REQUIRE(i < EVENTS_MAX);
    events[i].when = when;
    events[i].fn = fn;
    events[i].arg = arg;
}

/* When the world next does something by itself; ~0: never. */
nsec_t host_next_event(void);
nsec_t host_next_event(void)
{
    nsec_t next = armed != 0 && timer_fn != NULL ? armed : ~(nsec_t)0;

    for (size_t i = 0; i < EVENTS_MAX; i++)
        if (events[i].fn != NULL)
            next = MIN(next, events[i].when);
    return next;
}

static void fire_due(void)
{
    if (armed != 0 && armed <= host_clock && timer_fn != NULL) {
        armed = 0;
        timer_fn();
    }
    for (size_t i = 0; i < EVENTS_MAX; i++) {
        void (*fn)(void *) = events[i].fn;

        if (fn == NULL || events[i].when > host_clock)
            continue;
        events[i].fn = NULL;
        fn(events[i].arg);
    }
}

void host_advance(nsec_t ns)
{
    nsec_t end = host_clock + ns, next;

    while ((next = host_next_event()) <= end) {
        host_clock = MAX(host_clock, next);
        fire_due();
        if (next == ~(nsec_t)0)
            break;
    }
    host_clock = MAX(host_clock, end);
}

void host_on_idle(bool (*fn)(void *arg), void *arg)
{
    size_t i = 0;

    while (i < BACKENDS_MAX && backends[i].fn != NULL)
        i++;
    REQUIRE(i < BACKENDS_MAX);
    backends[i].fn = fn;
    backends[i].arg = arg;
}

void host_off_idle(bool (*fn)(void *arg), void *arg)
{
    for (size_t i = 0; i < BACKENDS_MAX; i++)
        if (backends[i].fn == fn && backends[i].arg == arg)
            backends[i].fn = NULL;
}

bool host_step(void)
{
    bool worked = false;

    if (stepping)
        return false;
    stepping = true;
    for (size_t i = 0; i < BACKENDS_MAX; i++)
        if (backends[i].fn != NULL)
            worked = backends[i].fn(backends[i].arg) || worked;
    stepping = false;
    return worked;
}

void host_relax(void)
{
    host_advance(1000);
    host_step();
}

void cpu_idle(void)
{
    host_irq_on = true;
    host_deliver_upcalls();
    host_relax();
}

/* ---- messages ---- */

static char log_text[65536];
static size_t log_len;
static const char *expected_panic;

void host_log_append(const char *text, size_t len)
{
    len = MIN(len, sizeof(log_text) - 1 - log_len);
    memcpy(log_text + log_len, text, len);
    log_len += len;
    if (test_verbose)
        fwrite(text, 1, len, stdout);
}

void (*host_before_log)(void);

const char *host_log(void)
{
    if (host_before_log != NULL)
        host_before_log();
    return log_text;
}

bool host_logged(const char *part)
{
    return strstr(host_log(), part) != NULL;
}

/* Weak: the kernel's own log and console win when they are under test. */
__attribute__((weak)) void console_write(const char *text, size_t len, nsec_t patience)
{
    (void)patience;
    host_log_append(text, len);
}

__attribute__((weak)) void log_print(enum log_level level, const char *fmt, ...)
{
    char line[512];
    va_list ap;

    (void)level;
    va_start(ap, fmt);
    vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    host_log_append(line, strlen(line));
    host_log_append("\n", 1);
}

__attribute__((weak)) bool log_allowed(struct log_limit *l)
{
    if (l->count == 0 || host_clock - l->since >= 5000000000ULL) {
        l->since = host_clock;
        l->count = 0;
    }
    return l->count++ < 5;
}

void host_expect_panic(const char *part)
{
    expected_panic = part;
}

void panic(const char *fmt, ...)
{
    char text[512];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (expected_panic != NULL && strstr(text, expected_panic) != NULL)
        test_pass();
    test_fail("panic", 0, "%s", text);
}

/* ---- before every test ---- */

static void host_setup(void)
{
    host_ram_pages = test_current->ram_pages != 0 ? test_current->ram_pages : HOST_RAM_PAGES;
    memory_setup();
}
SETUP(0, host_setup)

static long count_mapped(void)
{
    return (long)host_mapped;
}
CENSUS("mapped pages", count_mapped)
