/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Event channels on several CPUs at once: each CPU is a thread of the host, under the thread
 * sanitizer. Peers send events without rest and move ports to other CPUs, a driver binds and
 * unbinds them on all, threads give EOIs late. Two promises are checked: an event is never lost
 * (work that a peer announced is always seen), and after evtchn_unbind nobody uses the handler's
 * argument, which is freed at once. Once with each ABI, and with many devices or with two whose
 * handlers take long. Prints nothing and returns 0 when all is well.
 */
#include <arch/boot.h>
#include <arch/cpu.h>
#include <arch/evtchn.h>
#include <arch/hypercall.h>
#include <arch/page.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xen/event_channel.h>
#include "kernel/evtchn.h"
#include "kernel/heap.h"
#include "kernel/option.h"
#include "kernel/page.h"
#include "kernel/spinlock.h"
#include "kernel/time.h"
#include "lib/base/assert.h"
#include "lib/base/atomic.h"
#include "lib/base/errno.h"

#define CPUS 3
#define PORTS 32
#define ROUNDS 3000
#define NS_PER_MS 1000000ULL

/* ---- what else the kernel would be ---- */

static const char *abi;

const char *option_get(const char *name)
{
    return strcmp(name, "evtchn") == 0 ? abi : NULL;
}

void thread_preempt_check(void)
{
}

void *page_alloc(void)
{
    return aligned_alloc(PAGE_SIZE, PAGE_SIZE);
}

void *page_alloc_zeroed(void)
{
    return memset(page_alloc(), 0, PAGE_SIZE);
}

void page_free(void *page)
{
    free(page);
}

void *heap_alloc_zeroed(size_t size)
{
    return calloc(1, size);
}

gframe_t virt_to_gframe(const void *va)
{
    return (uintptr_t)va / PAGE_SIZE;
}

/* Timers fire at their deadline, with the clock of the machine. */
static pthread_mutex_t timers_lock = PTHREAD_MUTEX_INITIALIZER;
static struct timer *timers[PORTS * 4];

nsec_t clock_read(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (nsec_t)ts.tv_sec * 1000000000ULL + (nsec_t)ts.tv_nsec;
}

void timer_init(struct timer *t, void (*fn)(struct timer *t))
{
    t->fn = fn;
    t->armed = false;
}

void timer_set(struct timer *t, nsec_t deadline)
{
    size_t i = 0;

    pthread_mutex_lock(&timers_lock);
    while (!t->armed && timers[i] != NULL)
        i++;
    if (!t->armed)
        timers[i] = t;
    t->armed = true;
    t->deadline = deadline;
    pthread_mutex_unlock(&timers_lock);
}

/* Under the lock, so that a running function is over. */
bool timer_cancel(struct timer *t)
{
    bool was;

    pthread_mutex_lock(&timers_lock);
    was = t->armed;
    t->armed = false;
    for (size_t i = 0; i < PORTS * 4; i++)
        if (timers[i] == t)
            timers[i] = NULL;
    pthread_mutex_unlock(&timers_lock);
    return was;
}

static void fire_timers(void)
{
    pthread_mutex_lock(&timers_lock);
    for (size_t i = 0; i < PORTS * 4; i++) {
        struct timer *t = timers[i];

        if (t == NULL || t->deadline > clock_read())
            continue;
        timers[i] = NULL;
        t->armed = false;
        t->fn(t);
    }
    pthread_mutex_unlock(&timers_lock);
}

/* ---- Xen: serialized by one lock among its own, and atomic towards the guest ---- */

static pthread_mutex_t xen_lock = PTHREAD_MUTEX_INITIALIZER;
static struct shared_info shared_info;
static struct vcpu_info vcpus[CPUS];
static struct evtchn_fifo_control_block *control[CPUS];
static event_word_t *words;
static struct {
    bool open;
    unsigned vcpu;
    port_t *tail; /* of the queue it was last on */
} ports[PORTS];
static port_t tails[CPUS][EVTCHN_FIFO_MAX_QUEUES];

struct shared_info *arch_shared_info(void)
{
    return &shared_info;
}

struct vcpu_info *arch_vcpu_info(unsigned cpu)
{
    return &vcpus[cpu];
}

static void raise_2l(port_t port)
{
    xen_ulong_t bit = 1UL << port;

    atomic_or(&shared_info.evtchn_pending[0], bit);
    if (load_acquire(&shared_info.evtchn_mask[0]) & bit)
        return;
    atomic_or(&vcpus[ports[port].vcpu].evtchn_pending_sel, 1UL);
    atomic_exchange(&vcpus[ports[port].vcpu].evtchn_upcall_pending, 1);
}

static bool set_link(port_t tail, port_t port)
{
    event_word_t old = tail != 0 ? load_acquire(&words[tail]) : 0;

    do {
        if (!(old & 1U << EVTCHN_FIFO_LINKED))
            return false;
    } while (!atomic_cmpxchg(&words[tail], &old, (old & ~EVTCHN_FIFO_LINK_MASK) | port));
    return true;
}

static void raise_fifo(port_t port)
{
    unsigned vcpu = ports[port].vcpu, q = EVTCHN_FIFO_PRIORITY_DEFAULT;
    port_t tail;

    atomic_or(&words[port], 1U << EVTCHN_FIFO_PENDING);
    if (load_acquire(&words[port]) & 1U << EVTCHN_FIFO_MASKED)
        return;
    if (atomic_or(&words[port], 1U << EVTCHN_FIFO_LINKED) & 1U << EVTCHN_FIFO_LINKED)
        return;
    if (ports[port].tail != NULL && *ports[port].tail == port)
        *ports[port].tail = 0;
    ports[port].tail = &tails[vcpu][q];
    tail = tails[vcpu][q];
    tails[vcpu][q] = port;
    if (set_link(tail, port))
        return;
    store_release(&control[vcpu]->head[q], port);
    atomic_or(&control[vcpu]->ready, 1U << q);
    atomic_exchange(&vcpus[vcpu].evtchn_upcall_pending, 1);
}

/* Under (xen_lock). */
static void raise_port(port_t port)
{
    if (!ports[port].open)
        return;
    if (words != NULL)
        raise_fifo(port);
    else
        raise_2l(port);
}

static void unmask_port(port_t port)
{
    bool pending;

    if (words != NULL) {
        atomic_and(&words[port], ~(1U << EVTCHN_FIFO_MASKED));
        pending = load_acquire(&words[port]) & 1U << EVTCHN_FIFO_PENDING;
    } else {
        atomic_and(&shared_info.evtchn_mask[0], ~(1UL << port));
        pending = load_acquire(&shared_info.evtchn_pending[0]) & 1UL << port;
    }
    if (pending)
        raise_port(port);
}

static int alloc_port(struct evtchn_alloc_unbound *op)
{
    for (port_t port = 1; port < PORTS; port++) {
        if (ports[port].open)
            continue;
        ports[port].open = true;
        ports[port].vcpu = 0;
        op->port = port;
        return 0;
    }
    return -ENOSPC;
}

static void close_port(port_t port)
{
    ports[port].open = false;
    if (words != NULL)
        atomic_and(&words[port], ~(1U << EVTCHN_FIFO_PENDING));
    else
        atomic_and(&shared_info.evtchn_pending[0], ~(1UL << port));
}

static int init_control(struct evtchn_init_control *op)
{
    control[op->vcpu] = (void *)(op->control_gfn * PAGE_SIZE + op->offset);
    return 0;
}

static int evtchn_op(unsigned op, void *arg)
{
    switch (op) {
    case EVTCHNOP_alloc_unbound:
        return alloc_port(arg);
    case EVTCHNOP_bind_vcpu:
        ports[((struct evtchn_bind_vcpu *)arg)->port].vcpu = ((struct evtchn_bind_vcpu *)arg)->vcpu;
        return 0;
    case EVTCHNOP_close:
        close_port(((struct evtchn_close *)arg)->port);
        return 0;
    case EVTCHNOP_unmask:
        unmask_port(((struct evtchn_unmask *)arg)->port);
        return 0;
    case EVTCHNOP_init_control:
        return init_control(arg);
    case EVTCHNOP_expand_array:
        words = (void *)(((struct evtchn_expand_array *)arg)->array_gfn * PAGE_SIZE);
        return 0;
    default:
        return -ENOSYS;
    }
}

int hypercall_evtchn(unsigned op, void *arg)
{
    int rc;

    pthread_mutex_lock(&xen_lock);
    rc = evtchn_op(op, arg);
    pthread_mutex_unlock(&xen_lock);
    return rc;
}

/* Nobody polls here. */
int hypercall_sched(unsigned op, void *arg)
{
    (void)op;
    (void)arg;
    return -ENOSYS;
}

/* ---- the storm ---- */

static bool over;
static unsigned nr_devices, linger;

/* What a driver shares with its peer, in (peers) while bound; and with its handler. */
struct device {
    port_t port;
    unsigned work; /* announced by the peer, not yet seen */
    unsigned lingered;
    bool eoi_later;
};
static struct device *peers[PORTS];
static pthread_mutex_t peers_lock[PORTS];

static void handle(port_t port, void *arg)
{
    struct device *d = arg;
    bool worked = atomic_exchange(&d->work, 0U) != 0;

    if (load_relaxed(&d->port) != PORT_NONE && d->port != port)
        panic("port %u got an event of port %u", d->port, port);
    if (!d->eoi_later)
        evtchn_eoi(port, worked);
    for (unsigned i = 0; i < linger; i++) /* another CPU may be in here by now */
        atomic_add(&d->lingered, 1);
}

static void *run_cpu(void *arg)
{
    race_cpu = (unsigned)(uintptr_t)arg;
    while (!load_relaxed(&over)) {
        if (!load_acquire(&vcpus[race_cpu].evtchn_upcall_pending)) {
            cpu_relax();
            continue;
        }
        race_irq_on = false;
        evtchn_dispatch();
        race_irq_on = true;
    }
    return NULL;
}

/* Send events, some of them for work, to all who are there; and give EOIs that are left to others.
 */
static void *run_peer(void *arg)
{
    unsigned n = (unsigned)(uintptr_t)arg;

    while (!load_relaxed(&over)) {
        unsigned i = n++ % nr_devices;

        pthread_mutex_lock(&peers_lock[i]);
        if (peers[i] != NULL) {
            atomic_add(&peers[i]->work, n % 3 != 0);
            pthread_mutex_lock(&xen_lock);
            raise_port(peers[i]->port);
            pthread_mutex_unlock(&xen_lock);
            if (peers[i]->eoi_later)
                evtchn_eoi(peers[i]->port, true);
            if (n % 5 == 0 && evtchn_set_cpu(peers[i]->port, n % CPUS) != 0)
                panic("port %u does not move", peers[i]->port);
        }
        pthread_mutex_unlock(&peers_lock[i]);
        fire_timers();
    }
    return NULL;
}

static void connect(unsigned i)
{
    struct device *d = calloc(1, sizeof(*d));

    d->eoi_later = i % 4 == 0;
    if (evtchn_alloc_unbound(0, handle, d, &d->port) != 0)
        panic("no port");
    if (evtchn_set_cpu(d->port, i % CPUS) != 0)
        panic("no CPU");
    pthread_mutex_lock(&peers_lock[i]);
    peers[i] = d;
    pthread_mutex_unlock(&peers_lock[i]);
}

/* The peer rests: its last announcement must be seen. */
static void check_nothing_lost(struct device *d)
{
    nsec_t end = clock_read() + 20000 * NS_PER_MS;

    while (load_acquire(&d->work) != 0) {
        if (clock_read() > end)
            panic("an event of port %u was lost", d->port);
        fire_timers();
        if (d->eoi_later)
            evtchn_eoi(d->port, true);
        cpu_relax();
    }
}

static void disconnect(unsigned i, bool check)
{
    struct device *d = peers[i];

    pthread_mutex_lock(&peers_lock[i]);
    peers[i] = NULL;
    pthread_mutex_unlock(&peers_lock[i]);
    if (check)
        check_nothing_lost(d);
    evtchn_unbind(d->port);
    free(d);
}

static void run(void)
{
    pthread_t thread[CPUS + 2];

    evtchn_init();
    for (unsigned cpu = 1; cpu < CPUS; cpu++)
        if (evtchn_cpu_init(cpu) != 0)
            panic("CPU %u", cpu);
    for (unsigned i = 0; i < PORTS; i++)
        pthread_mutex_init(&peers_lock[i], NULL);
    for (unsigned i = 0; i < CPUS; i++)
        pthread_create(&thread[i], NULL, run_cpu, (void *)(uintptr_t)i);
    for (unsigned i = 0; i < 2; i++)
        pthread_create(&thread[CPUS + i], NULL, run_peer, (void *)(uintptr_t)(i * 7));
    for (unsigned n = 0; n < ROUNDS; n++) {
        unsigned i = (n * 11) % nr_devices;

        if (peers[i] != NULL)
            disconnect(i, n % 4 == 0);
        connect(i);
    }
    for (unsigned i = 0; i < PORTS; i++)
        if (peers[i] != NULL)
            disconnect(i, true);
    store_relaxed(&over, true);
    for (unsigned i = 0; i < CPUS + 2; i++)
        pthread_join(thread[i], NULL);
    if (evtchn_count_bound() != 0)
        panic("%u ports are left", evtchn_count_bound());
}

int main(void)
{
    static const char *const abis[] = {"2l", "fifo"};
    int status = 0, failed = 0;

    for (size_t i = 0; i < 4; i++) {
        if (fork() == 0) {
            abi = abis[i % 2];
            nr_devices = i < 2 ? PORTS - 4 : 2;
            linger = i < 2 ? 0 : 2000;
            alarm(120);
            run();
            exit(0);
        }
        wait(&status);
        if (status != 0)
            printf("%s events: status %x\n", abis[i % 2], (unsigned)status);
        failed |= status != 0;
    }
    return failed;
}
