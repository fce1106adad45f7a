/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The fake hypervisor: boot, event channels, grants, console. Written from Xen's side: it
 * does to the shared memory what Xen does, in Xen's order, and checks what the guest may not do.
 */
#include "tests/host/fakexen.h"

#include <arch/boot.h>
#include <arch/cpu.h>
#include <arch/evtchn.h>
#include <arch/hypercall.h>
#include <arch/page.h>
#include <stdlib.h>
#include <string.h>
#include <xen/grant_table.h>
#include <xen/sched.h>
#include "kernel/console.h"
#include "kernel/lifecycle.h"
#include "kernel/log.h"
#include "kernel/main.h"
#include "kernel/option.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "kernel/xenstore.h"
#include "lib/base/atomic.h"
#include "lib/base/errno.h"
#include "tests/host/fakestore.h"
#include "tests/host/hostarch.h"
#include "tests/host/test.h"

/* Where things are among Xen's pages. */
enum { PAGE_SHARED_INFO, PAGE_STORE, PAGE_CONSOLE, PAGE_GRANTS = 16 };

#define PORTS 8192
#define CPUS 8
#define REQUIRE(cond)                                   \
    do {                                                \
        if (!(cond))                                    \
            test_fail(__FILE__, __LINE__, "%s", #cond); \
    } while (0)

static struct fakexen_boot *boots;
static struct fakexen_boot config;
static struct bootinfo bootinfo;

/* ---- event channels ---- */

static struct port {
    unsigned status; /* EVTCHNSTAT_* */
    unsigned vcpu, virq, priority;
    domid_t remote;
    struct queue *last_queue;
    bool pending_without_word;
    bool notified;
    unsigned count;
    void (*fn)(void *arg);
    void *arg;
} ports[PORTS];
static unsigned nr_notified; /* of them, since they were last looked at */

static struct queue {
    port_t tail;
} queues[CPUS][EVTCHN_FIFO_MAX_QUEUES];

static struct vcpu_info vcpus[CPUS];
static struct evtchn_fifo_control_block *control[CPUS]; /* NULL: two-level */
static event_word_t *array[PORTS / 1024];
static unsigned nr_array;
static unsigned failing_op;
static int failing_rc;

struct shared_info *arch_shared_info(void)
{
    return host_xen_page(PAGE_SHARED_INFO);
}

struct vcpu_info *arch_vcpu_info(unsigned cpu)
{
    REQUIRE(cpu < CPUS);
    return &vcpus[cpu];
}

static void upcall(unsigned vcpu)
{
    vcpus[vcpu].evtchn_upcall_pending = 1;
    if (vcpu == host_cpu)
        host_raise_upcall();
}

/* Every other CPU with an event takes it. */
static bool run_other_cpus(void *arg)
{
    bool did = false;

    (void)arg;
    for (unsigned cpu = 1; cpu < ARRAY_SIZE(vcpus); cpu++) {
        if (!vcpus[cpu].evtchn_upcall_pending)
            continue;
        did = true;
        host_cpu = cpu;
        host_irq_on = false;
        host_in_event = true;
        evtchn_dispatch();
        host_in_event = false;
        host_irq_on = true;
        host_cpu = 0;
    }
    return did;
}

void fakexen_run_other_cpus(void)
{
    host_on_idle(run_other_cpus, NULL);
}

void fakexen_use_cpus(unsigned n)
{
    static unsigned known = 1;

    if (known == 1)
        fakexen_run_other_cpus();
    host_cpus_possible = n;
    host_cpus_online = (struct cpumask){{(1UL << n) - 1}};
    for (; known < n; known++)
        REQUIRE(evtchn_cpu_init(known) == 0);
}

static bool fifo(void)
{
    return control[0] != NULL;
}

static event_word_t *word_of(port_t port)
{
    return port / 1024 < nr_array ? &array[port / 1024][port % 1024] : NULL;
}

static xen_ulong_t *word_2l(xen_ulong_t *bits, port_t port)
{
    return &bits[port / 64];
}

static bool raise_2l(port_t port)
{
    struct shared_info *s = arch_shared_info();
    xen_ulong_t bit = 1UL << port % 64;
    struct vcpu_info *v = &vcpus[ports[port].vcpu];

    if (*word_2l(s->evtchn_pending, port) & bit)
        return false;
    *word_2l(s->evtchn_pending, port) |= bit;
    if (*word_2l(s->evtchn_mask, port) & bit)
        return false;
    v->evtchn_pending_sel |= 1UL << port / 64;
    return true;
}

/* Append to its queue; true: the CPU must be told. */
static bool link_port(port_t port, event_word_t *word)
{
    struct port *p = &ports[port];
    struct queue *q = &queues[p->vcpu][p->priority];
    event_word_t *tail;

    *word |= 1U << EVTCHN_FIFO_LINKED;
    if (p->last_queue != NULL && p->last_queue->tail == port)
        p->last_queue->tail = 0;
    p->last_queue = q;
    tail = q->tail != 0 ? word_of(q->tail) : NULL;
    q->tail = port;
    if (tail != NULL && *tail & (1U << EVTCHN_FIFO_LINKED)) {
        *tail = (*tail & ~EVTCHN_FIFO_LINK_MASK) | port;
        return false;
    }
    control[p->vcpu]->head[p->priority] = port;
    tail = &control[p->vcpu]->ready;
    if (*tail & 1U << p->priority)
        return false;
    *tail |= 1U << p->priority;
    return true;
}

static bool raise_fifo(port_t port)
{
    event_word_t *word = word_of(port);

    if (word == NULL) {
        ports[port].pending_without_word = true;
        return false;
    }
    *word |= 1U << EVTCHN_FIFO_PENDING;
    if (*word & (1U << EVTCHN_FIFO_MASKED | 1U << EVTCHN_FIFO_LINKED))
        return false;
    return link_port(port, word);
}

void fakexen_raise(port_t port)
{
    REQUIRE(port < PORTS);
    if (ports[port].status == EVTCHNSTAT_closed)
        return;
    if (fifo() ? raise_fifo(port) : raise_2l(port))
        upcall(ports[port].vcpu);
}

static int unmask(port_t port)
{
    if (fifo()) {
        event_word_t *word = word_of(port);

        REQUIRE(word != NULL);
        *word &= ~(1U << EVTCHN_FIFO_MASKED);
        if (*word & 1U << EVTCHN_FIFO_PENDING && raise_fifo(port))
            upcall(ports[port].vcpu);
    } else {
        struct shared_info *s = arch_shared_info();
        xen_ulong_t bit = 1UL << port % 64;

        *word_2l(s->evtchn_mask, port) &= ~bit;
        if (*word_2l(s->evtchn_pending, port) & bit) {
            vcpus[ports[port].vcpu].evtchn_pending_sel |= 1UL << port / 64;
            upcall(ports[port].vcpu);
        }
    }
    return 0;
}

bool fakexen_port_masked(port_t port)
{
    event_word_t *word = word_of(port);

    if (!fifo())
        return *word_2l(arch_shared_info()->evtchn_mask, port) >> port % 64 & 1;
    return word == NULL || *word >> EVTCHN_FIFO_MASKED & 1;
}

bool fakexen_port_pending(port_t port)
{
    event_word_t *word = word_of(port);

    if (!fifo())
        return *word_2l(arch_shared_info()->evtchn_pending, port) >> port % 64 & 1;
    return word != NULL && *word >> EVTCHN_FIFO_PENDING & 1;
}

static int new_port(unsigned status, unsigned vcpu, port_t *out)
{
    unsigned max = config.max_ports != 0 ? config.max_ports : 1023;

    for (port_t port = 1; port <= max && port < PORTS; port++) {
        if (ports[port].status != EVTCHNSTAT_closed)
            continue;
        nr_notified -= ports[port].notified;
        ports[port] = (struct port){.status = status,
                                    .vcpu = vcpu,
                                    .priority = EVTCHN_FIFO_PRIORITY_DEFAULT,
                                    .last_queue = ports[port].last_queue};
        *out = port;
        return 0;
    }
    return -ENOSPC;
}

static int alloc_unbound(struct evtchn_alloc_unbound *op)
{
    int rc = new_port(EVTCHNSTAT_unbound, 0, &op->port);

    if (rc == 0)
        ports[op->port].remote = op->remote_dom;
    return rc;
}

static int bind_virq(struct evtchn_bind_virq *op)
{
    int rc = fakexen_virq_port(op->virq, op->vcpu) != PORT_NONE ? -EEXIST : 0;

    if (rc == 0)
        rc = new_port(EVTCHNSTAT_virq, op->vcpu, &op->port);
    if (rc == 0)
        ports[op->port].virq = op->virq;
    return rc;
}

static int close_port(port_t port)
{
    event_word_t *word = word_of(port);

    if (port == 0 || port >= PORTS || ports[port].status == EVTCHNSTAT_closed)
        return -EINVAL;
    /* An open port that closes unmasked could be bound again and fire without a handler. */
    REQUIRE(fakexen_port_masked(port));
    ports[port].status = EVTCHNSTAT_closed;
    ports[port].fn = NULL;
    if (!fifo())
        *word_2l(arch_shared_info()->evtchn_pending, port) &= ~(1UL << port % 64);
    else if (word != NULL)
        *word &= ~(1U << EVTCHN_FIFO_PENDING);
    return 0;
}

static int send(port_t port)
{
    if (port == 0 || port >= PORTS)
        return -EINVAL;
    switch (ports[port].status) {
    case EVTCHNSTAT_interdomain:
        nr_notified += !ports[port].notified;
        ports[port].notified = true;
        ports[port].count++;
        return 0;
    case EVTCHNSTAT_ipi:
        fakexen_raise(port);
        return 0;
    case EVTCHNSTAT_unbound:
        return 0;
    default:
        return -EINVAL;
    }
}

static int init_control(struct evtchn_init_control *op)
{
    char *page = host_gframe_to_virt(op->control_gfn);

    if (config.no_fifo)
        return -ENOSYS;
    if (page == NULL || op->vcpu >= CPUS || op->offset > PAGE_SIZE - sizeof(*control[0]) ||
        op->offset % 8 != 0 || control[op->vcpu] != NULL)
        return -EINVAL;
    control[op->vcpu] = (void *)(page + op->offset);
    op->link_bits = EVTCHN_FIFO_LINK_BITS;
    for (port_t port = 1; op->vcpu == 0 && port < EVTCHN_2L_NR_CHANNELS; port++)
        ports[port].pending_without_word =
            *word_2l(arch_shared_info()->evtchn_pending, port) >> port % 64 & 1;
    return 0;
}

static int expand_array(struct evtchn_expand_array *op)
{
    REQUIRE(fifo());
    if (nr_array == PORTS / 1024)
        return -ENOSPC;
    array[nr_array] = host_gframe_to_virt(op->array_gfn);
    REQUIRE(array[nr_array] != NULL);
    nr_array++;
    for (port_t port = (nr_array - 1) * 1024; port < nr_array * 1024; port++)
        if (ports[port].pending_without_word && raise_fifo(port))
            upcall(ports[port].vcpu);
    return 0;
}

static int bind_vcpu(struct evtchn_bind_vcpu *op)
{
    unsigned status = ports[op->port].status;

    if (op->vcpu >= CPUS)
        return -ENOENT;
    if (status != EVTCHNSTAT_interdomain && status != EVTCHNSTAT_unbound)
        return -EINVAL;
    ports[op->port].vcpu = op->vcpu;
    return 0;
}

void fakexen_fail_evtchn(unsigned op, int rc)
{
    failing_op = op;
    failing_rc = rc;
}

int hypercall_evtchn(unsigned op, void *arg)
{
    if (failing_rc != 0 && op == failing_op) {
        int rc = failing_rc;

        failing_rc = 0;
        return rc;
    }
    switch (op) {
    case EVTCHNOP_bind_virq:
        return bind_virq(arg);
    case EVTCHNOP_bind_ipi:
        return new_port(EVTCHNSTAT_ipi, ((struct evtchn_bind_ipi *)arg)->vcpu,
                        &((struct evtchn_bind_ipi *)arg)->port);
    case EVTCHNOP_alloc_unbound:
        return alloc_unbound(arg);
    case EVTCHNOP_bind_interdomain:
        return new_port(EVTCHNSTAT_interdomain, 0,
                        &((struct evtchn_bind_interdomain *)arg)->local_port);
    case EVTCHNOP_bind_vcpu:
        return bind_vcpu(arg);
    case EVTCHNOP_close:
        return close_port(((struct evtchn_close *)arg)->port);
    case EVTCHNOP_send:
        return send(((struct evtchn_send *)arg)->port);
    case EVTCHNOP_unmask:
        return unmask(((struct evtchn_unmask *)arg)->port);
    case EVTCHNOP_init_control:
        return init_control(arg);
    case EVTCHNOP_expand_array:
        return expand_array(arg);
    case EVTCHNOP_set_priority:
        ports[((struct evtchn_set_priority *)arg)->port].priority =
            ((struct evtchn_set_priority *)arg)->priority;
        return 0;
    default:
        return -ENOSYS;
    }
}

void fakexen_on_notify(port_t port, void (*fn)(void *arg), void *arg)
{
    REQUIRE(port > 0 && port < PORTS);
    REQUIRE(ports[port].status == EVTCHNSTAT_unbound ||
            ports[port].status == EVTCHNSTAT_interdomain);
    ports[port].status = EVTCHNSTAT_interdomain;
    ports[port].fn = fn;
    ports[port].arg = arg;
}

void fakexen_off_notify(port_t port)
{
    REQUIRE(port > 0 && port < PORTS);
    ports[port].fn = NULL;
    if (ports[port].status == EVTCHNSTAT_interdomain)
        ports[port].status = EVTCHNSTAT_unbound;
}

unsigned fakexen_count_notified(port_t port)
{
    return ports[port].count;
}

unsigned fakexen_port_status(port_t port)
{
    return ports[port].status;
}

domid_t fakexen_port_remote(port_t port)
{
    return ports[port].remote;
}

port_t fakexen_virq_port(unsigned virq, unsigned cpu)
{
    for (port_t port = 1; port < PORTS; port++)
        if (ports[port].status == EVTCHNSTAT_virq && ports[port].virq == virq &&
            ports[port].vcpu == cpu)
            return port;
    return PORT_NONE;
}

static void timer_expired(void)
{
    port_t port = fakexen_virq_port(VIRQ_TIMER, host_cpu);

    if (port != PORT_NONE)
        fakexen_raise(port);
}

/* Call those whose ports were notified; and give the upcall that the guest asked for itself. */
static bool deliver_notifications(void *arg)
{
    bool worked = vcpus[host_cpu].evtchn_upcall_pending;

    (void)arg;
    if (worked)
        upcall(host_cpu);
    for (port_t port = 1; port < PORTS && nr_notified > 0; port++) {
        if (!ports[port].notified)
            continue;
        ports[port].notified = false;
        nr_notified--;
        worked = true;
        if (ports[port].fn != NULL)
            ports[port].fn(ports[port].arg);
    }
    return worked;
}

/* ---- grants ---- */

#define GRANT_FRAMES 64
#define ENTRIES (PAGE_SIZE / sizeof(struct grant_entry_v1))

static unsigned nr_grant_frames = 1, nr_mapped;
static struct {
    unsigned readers, writers;
} pins[GRANT_FRAMES * ENTRIES];
int fake_grant_setup_status;

static unsigned max_grant_frames(void)
{
    return config.max_grant_frames != 0 ? config.max_grant_frames : GRANT_FRAMES;
}

static struct grant_entry_v1 *entry_of(gref_t ref)
{
    if (ref >= nr_grant_frames * ENTRIES)
        return NULL;
    return (struct grant_entry_v1 *)host_xen_page(PAGE_GRANTS + ref / ENTRIES) + ref % ENTRIES;
}

static void setup_table(struct gnttab_setup_table *op)
{
    op->status = GNTST_okay;
    if (fake_grant_setup_status != 0)
        op->status = (int16_t)fake_grant_setup_status;
    else if (op->nr_frames > max_grant_frames())
        op->status = GNTST_general_error;
    fake_grant_setup_status = 0;
    if (op->status != GNTST_okay)
        return;
    nr_grant_frames = MAX(nr_grant_frames, op->nr_frames);
    for (unsigned i = 0; i < op->nr_frames; i++)
        op->frame_list.p[i] = host_xen_gframe(PAGE_GRANTS + i);
}

int hypercall_grant(unsigned op, void *arg, unsigned count)
{
    struct gnttab_query_size *size = arg;

    REQUIRE(count == 1);
    switch (op) {
    case GNTTABOP_setup_table:
        setup_table(arg);
        return 0;
    case GNTTABOP_query_size:
        size->nr_frames = nr_grant_frames;
        size->max_nr_frames = max_grant_frames();
        size->status = GNTST_okay;
        return 0;
    default:
        return -ENOSYS;
    }
}

static bool allows(gref_t ref, bool writable)
{
    struct grant_entry_v1 *e = entry_of(ref);

    return e != NULL && (e->flags & GTF_type_mask) == GTF_permit_access &&
           !(writable && e->flags & GTF_readonly);
}

static void *page_behind(gref_t ref)
{
    void *page = host_gframe_to_virt(entry_of(ref)->frame);

    REQUIRE(page != NULL);
    return page;
}

static void show_pins(gref_t ref)
{
    uint16_t *flags = &entry_of(ref)->flags;

    *flags &= (uint16_t) ~(GTF_reading | GTF_writing);
    if (pins[ref].readers + pins[ref].writers > 0)
        *flags |= GTF_reading;
    if (pins[ref].writers > 0)
        *flags |= GTF_writing;
}

void *fake_grant_try_map(gref_t ref, bool writable)
{
    if (!allows(ref, writable))
        return NULL;
    pins[ref].writers += writable;
    pins[ref].readers += !writable;
    show_pins(ref);
    nr_mapped++;
    return page_behind(ref);
}

void *fake_grant_map(gref_t ref, bool writable)
{
    void *page = fake_grant_try_map(ref, writable);

    if (page == NULL)
        test_fail(__FILE__, __LINE__, "grant %u is not mappable %s", ref,
                  writable ? "for writing" : "for reading");
    return page;
}

void fake_grant_unmap(gref_t ref, bool writable)
{
    unsigned *count = writable ? &pins[ref].writers : &pins[ref].readers;

    REQUIRE(entry_of(ref) != NULL && *count > 0);
    (*count)--;
    nr_mapped--;
    show_pins(ref);
}

int fake_grant_read(gref_t ref, size_t offset, void *buf, size_t len)
{
    if (!allows(ref, false) || offset > PAGE_SIZE || len > PAGE_SIZE - offset)
        return -1;
    memcpy(buf, (char *)page_behind(ref) + offset, len);
    return 0;
}

/* What the last domain that wrote into a page has written there; by pfn, NULL: none has. */
struct written {
    domid_t by;
    uint8_t bytes[PAGE_SIZE];
};

static struct written **written;

static struct written *written_by(gref_t ref)
{
    domid_t dom = entry_of(ref)->domid;
    struct written **w;

    if (written == NULL)
        REQUIRE((written = calloc(host_ram_pages + HOST_XEN_PAGES, sizeof(*written))) != NULL);
    w = &written[entry_of(ref)->frame - HOST_GFRAME_BASE];
    if (*w == NULL)
        REQUIRE((*w = calloc(1, sizeof(**w))) != NULL);
    if ((*w)->by != dom)
        **w = (struct written){.by = dom};
    return *w;
}

int fake_grant_write(gref_t ref, size_t offset, const void *buf, size_t len)
{
    if (!allows(ref, true) || offset > PAGE_SIZE || len > PAGE_SIZE - offset)
        return -1;
    memcpy((char *)page_behind(ref) + offset, buf, len);
    memcpy(written_by(ref)->bytes + offset, buf, len);
    return 0;
}

bool fake_grant_shows_nothing(gref_t ref)
{
    const uint8_t *page = page_behind(ref), *known = written_by(ref)->bytes;
    size_t i = 0;

    while (i < PAGE_SIZE && (page[i] == 0 || page[i] == known[i]))
        i++;
    return i == PAGE_SIZE;
}

bool fake_grant_is_to(gref_t ref, domid_t dom)
{
    return allows(ref, false) && entry_of(ref)->domid == dom;
}

bool fake_grant_is_readonly(gref_t ref)
{
    return allows(ref, false) && entry_of(ref)->flags & GTF_readonly;
}

unsigned fake_grant_count_mapped(void)
{
    return nr_mapped;
}

/* ---- console ---- */

static bool console_frozen;

struct xencons_interface *fakexen_console_page(void)
{
    return host_xen_page(PAGE_CONSOLE);
}

void fakexen_console_freeze(bool frozen)
{
    console_frozen = frozen;
}

/* Like a console daemon: what the indices say, in sane amounts; then tell the guest of the room. */
static bool read_console(void *arg)
{
    struct xencons_interface *page = fakexen_console_page();
    uint32_t cons = page->out_cons, prod = page->out_prod;
    char text[sizeof(page->out)];
    size_t n = 0;

    (void)arg;
    if (console_frozen || prod == cons || prod - cons > sizeof(page->out))
        return false;
    while (cons != prod)
        text[n++] = page->out[cons++ % sizeof(page->out)];
    page->out_cons = cons;
    host_log_append(text, n);
    fakexen_raise(bootinfo.console_port);
    return true;
}

static void read_console_for_log(void)
{
    (void)read_console(NULL);
}

size_t fakexen_console_type(const char *text)
{
    struct xencons_interface *page = fakexen_console_page();
    size_t n = 0;

    while (text[n] != '\0' && page->in_prod - page->in_cons < sizeof(page->in))
        page->in[page->in_prod++ % sizeof(page->in)] = text[n++];
    fakexen_raise(bootinfo.console_port);
    return n;
}

int hypercall_console(const char *text, size_t len)
{
    host_log_append(text, len);
    return 0;
}

/* ---- the rest of Xen ---- */

static unsigned expected_shutdown = ~0U;
static bool (*check_at_shutdown)(void);

void fakexen_expect_shutdown(unsigned reason, bool (*check)(void))
{
    expected_shutdown = reason;
    check_at_shutdown = check;
}

_Noreturn void hypercall_shutdown(unsigned reason)
{
    if (reason != expected_shutdown)
        test_fail(__FILE__, __LINE__, "the domain ended, reason %u", reason);
    REQUIRE(check_at_shutdown == NULL || check_at_shutdown());
    test_pass();
}

int hypercall_sched(unsigned op, void *arg)
{
    switch (op) {
    case SCHEDOP_shutdown:
        hypercall_shutdown(((struct sched_shutdown *)arg)->reason);
    case SCHEDOP_yield:
    case SCHEDOP_poll:
        cpu_relax();
        return 0;
    case SCHEDOP_block:
        cpu_idle();
        return 0;
    default:
        return -ENOSYS;
    }
}

/* Weak: a test that needs more brings its own. */
__attribute__((weak)) int hypercall_vcpu(unsigned op, unsigned vcpu, void *arg)
{
    (void)op;
    (void)vcpu;
    (void)arg;
    return -ENOSYS;
}

__attribute__((weak)) long hypercall_memory(unsigned op, void *arg)
{
    (void)op;
    (void)arg;
    return -ENOSYS;
}

__attribute__((weak)) int hypercall_version(unsigned op, void *arg)
{
    (void)op;
    (void)arg;
    return -ENOSYS;
}

/* ---- before every test ---- */

void fakexen_boot_register(struct fakexen_boot *b)
{
    b->next = boots;
    boots = b;
}

const struct bootinfo *fakexen_bootinfo(void)
{
    return &bootinfo;
}

const struct bootinfo *boot_info(void)
{
    return &bootinfo;
}

/* By the first grant; what it takes is not the test's. */
static void make_grant_table(void)
{
    struct shared_page first;

    if (shared_page_create(0, &first) == 0)
        shared_page_destroy(&first);
}

void fakexen_boot_kernel(void)
{
    console_init(&bootinfo);
    option_init(bootinfo.cmdline, "test");
    log_init();
    evtchn_init();
    grant_init();
    make_grant_table();
    time_init();
    console_start();
    xs_init(&bootinfo);
    lifecycle_init();
    fakexen_settle();
}

void fakexen_settle(void)
{
    unsigned idle = 0;

    /* A thread that runs may have work for a peer, and the other way round. */
    while (idle < 8) {
        idle = host_step() ? 0 : idle + 1;
        thread_sleep_until(clock_read() + 1);
    }
}

/* A domain whose builder left all ports unmasked, and two of them bound. */
static void build_domain(void)
{
    port_t port;

    bootinfo = (struct bootinfo){.cmdline = config.cmdline != NULL ? config.cmdline : "",
                                 .nr_pages = host_ram_pages,
                                 .max_pages = host_ram_pages,
                                 .is_dom0 = config.dom0};
    host_on_timer(timer_expired);
    host_on_idle(deliver_notifications, NULL);
    if (config.dom0)
        return;
    REQUIRE(new_port(EVTCHNSTAT_interdomain, 0, &port) == 0);
    bootinfo.store_port = port;
    bootinfo.store_page = host_xen_page(PAGE_STORE);
    REQUIRE(new_port(EVTCHNSTAT_interdomain, 0, &port) == 0);
    bootinfo.console_port = port;
    bootinfo.console_page = host_xen_page(PAGE_CONSOLE);
    host_before_log = read_console_for_log;
    host_on_idle(read_console, NULL);
    fakestore_start(host_xen_page(PAGE_STORE), bootinfo.store_port);
}

static void fakexen_setup(void)
{
    static const struct bootinfo none = {.is_dom0 = true};
    struct fakexen_boot *b = boots;

    while (b != NULL && strcmp(b->module, test_current->module) != 0)
        b = b->next;
    if (b == NULL) {
        console_init(&none); /* for messages */
        return;
    }
    config = *b;
    build_domain();
    if (!config.bare)
        fakexen_boot_kernel();
}
SETUP(20, fakexen_setup)

static long count_ports(void)
{
    return evtchn_count_bound();
}
CENSUS("ports", count_ports)

static long count_open_ports(void)
{
    long n = 0;

    for (port_t port = 1; port < PORTS; port++)
        n += ports[port].status != EVTCHNSTAT_closed;
    return n;
}
CENSUS("ports in Xen", count_open_ports)

static long count_grants(void)
{
    return grant_count_used();
}
CENSUS("grants", count_grants)

static long count_watches(void)
{
    return xs_count_watches();
}
CENSUS("watches", count_watches)
