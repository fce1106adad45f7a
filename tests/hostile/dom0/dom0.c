/* SPDX-License-Identifier: BSD-2-Clause */
#include "dom0.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <xen/xen.h>
#include <xen/grant_table.h>
#include <xen/evtchn.h>
#include <xen/gntdev.h>
#include <xen/io/xs_wire.h>
#include "tests/system/vitals.h"

#define MAPPINGS 4096

unsigned canaries_seen;

static int open_device(const char *name)
{
    int fd = open(name, O_RDWR | O_CLOEXEC);

    if (fd < 0)
        err(70, "%s", name);
    return fd;
}

/* ---- time ---- */

uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void sleep_us(unsigned us)
{
    const struct timespec t = {us / 1000000, us % 1000000 * 1000};

    nanosleep(&t, NULL);
}

/* ---- the store ---- */

static void read_all(int fd, void *to, size_t len)
{
    for (size_t got = 0; got < len;) {
        ssize_t n = read(fd, (char *)to + got, len - got);

        if (n <= 0)
            err(70, "the store");
        got += (size_t)n;
    }
}

/* One request and its answer, NUL-terminated; its length, or -1. */
static long store_call(uint32_t type, const void *payload, size_t len, char *answer)
{
    static int fd = -1;
    struct xsd_sockmsg head = {.type = type, .len = (uint32_t)len};
    static char message[sizeof(head) + XENSTORE_PAYLOAD_MAX];

    if (fd < 0)
        fd = open_device("/dev/xen/xenbus");
    memcpy(message, &head, sizeof(head));
    memcpy(message + sizeof(head), payload, len);
    if (write(fd, message, sizeof(head) + len) != (ssize_t)(sizeof(head) + len))
        err(70, "the store");
    read_all(fd, &head, sizeof(head));
    read_all(fd, answer, head.len);
    answer[head.len] = '\0';
    return head.type == XS_ERROR ? -1 : (long)head.len;
}

const char *store_read(const char *fmt, ...)
{
    static char answer[XENSTORE_PAYLOAD_MAX + 1];
    char path[PATH];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(path, sizeof(path), fmt, ap);
    va_end(ap);
    return store_call(XS_READ, path, strlen(path) + 1, answer) < 0 ? NULL : answer;
}

unsigned long store_number(const char *dir, const char *name, unsigned long absent)
{
    const char *value = store_read("%s/%s", dir, name);

    return value == NULL || *value == '\0' ? absent : strtoul(value, NULL, 10);
}

void store_write_bytes(const char *dir, const char *name, const void *value, size_t len)
{
    char message[XENSTORE_PAYLOAD_MAX], answer[XENSTORE_PAYLOAD_MAX + 1];
    size_t path = (size_t)snprintf(message, PATH, "%s/%s", dir, name) + 1;

    if (len > sizeof(message) - path)
        len = sizeof(message) - path;
    memcpy(message + path, value, len);
    if (store_call(XS_WRITE, message, path + len, answer) < 0)
        errx(70, "%s/%s cannot be written: %s", dir, name, answer);
}

void store_write(const char *dir, const char *name, const char *value)
{
    store_write_bytes(dir, name, value, strlen(value));
}

void store_write_number(const char *dir, const char *name, unsigned long value)
{
    char text[24];

    snprintf(text, sizeof(text), "%lu", value);
    store_write(dir, name, text);
}

void store_rm(const char *dir, const char *name)
{
    char path[PATH], answer[XENSTORE_PAYLOAD_MAX + 1];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    (void)store_call(XS_RM, path, strlen(path) + 1, answer);
}

/* ---- grants ---- */

static struct {
    void *page;
    uint64_t index;
} mappings[MAPPINGS];
static int gntdev = -1;

/* The canary repeats every two bytes: so it looks at even addresses, and so at odd ones. */
static bool is_canary(uint64_t word)
{
    return word == VITALS_CANARY || word == (VITALS_CANARY >> 8 | VITALS_CANARY << 56);
}

void grant_inspect(const void *page)
{
    const uint64_t *word = page;

    for (unsigned i = 0; i < PAGE / sizeof(*word); i++)
        if (is_canary(word[i])) {
            canaries_seen++;
            return;
        }
}

static void release(uint64_t index)
{
    struct ioctl_gntdev_unmap_grant_ref unmap = {.index = index, .count = 1};

    (void)ioctl(gntdev, IOCTL_GNTDEV_UNMAP_GRANT_REF, &unmap);
}

static void *map(unsigned dom, uint32_t gref, bool writable, uint64_t *index)
{
    struct ioctl_gntdev_map_grant_ref map = {.count = 1, .refs[0] = {dom, gref}};
    void *page;

    if (gntdev < 0)
        gntdev = open_device("/dev/xen/gntdev");
    if (ioctl(gntdev, IOCTL_GNTDEV_MAP_GRANT_REF, &map) != 0)
        err(70, "gntdev");
    page = mmap(NULL, PAGE, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, gntdev,
                (off_t)map.index);
    *index = map.index;
    if (page != MAP_FAILED)
        return page;
    release(map.index);
    return NULL;
}

void *grant_map(unsigned dom, uint32_t gref, bool writable)
{
    for (unsigned i = 0; i < MAPPINGS; i++)
        if (mappings[i].page == NULL) {
            mappings[i].page = map(dom, gref, writable, &mappings[i].index);
            if (mappings[i].page != NULL)
                grant_inspect(mappings[i].page);
            return mappings[i].page;
        }
    errx(70, "%u pages are mapped", MAPPINGS);
}

static void end_mapping(unsigned i)
{
    munmap(mappings[i].page, PAGE);
    release(mappings[i].index);
    mappings[i].page = NULL;
}

void grant_unmap(void *page)
{
    for (unsigned i = 0; page != NULL && i < MAPPINGS; i++)
        if (mappings[i].page == page)
            end_mapping(i);
}

void grant_unmap_all(void)
{
    for (unsigned i = 0; i < MAPPINGS; i++)
        if (mappings[i].page != NULL)
            end_mapping(i);
}

/* ---- event channels ---- */

static int evtchn = -1;

int port_bind(unsigned dom, unsigned remote)
{
    struct ioctl_evtchn_bind_interdomain bind = {.remote_domain = dom, .remote_port = remote};

    if (evtchn < 0)
        evtchn = open_device("/dev/xen/evtchn");
    return ioctl(evtchn, IOCTL_EVTCHN_BIND_INTERDOMAIN, &bind);
}

void port_unbind(int port)
{
    struct ioctl_evtchn_unbind unbind = {.port = (unsigned)port};

    if (port >= 0)
        (void)ioctl(evtchn, IOCTL_EVTCHN_UNBIND, &unbind);
}

void port_notify(int port)
{
    struct ioctl_evtchn_notify notify = {.port = (unsigned)port};

    (void)ioctl(evtchn, IOCTL_EVTCHN_NOTIFY, &notify);
}

/* ---- vitals ---- */

volatile struct vitals *vitals_of(unsigned dom)
{
    char home[PATH];
    unsigned long gref;
    struct vitals *v;
    uint64_t index;

    snprintf(home, sizeof(home), "/local/domain/%u/data", dom);
    gref = store_number(home, "vitals", 0);
    v = gref == 0 ? NULL : map(dom, (uint32_t)gref, true, &index);
    if (v == NULL || v->magic != VITALS_MAGIC)
        errx(70, "domain %u shows no vitals", dom);
    return v;
}
