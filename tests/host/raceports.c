/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See raceports.h. What a port is (pending, masked) has no lock: a lock would order what the real
 * code must order by itself, and hide from the thread sanitizer that it does not.
 */
#include "tests/host/raceports.h"

#include <arch/cpu.h>
#include <arch/irq.h>
#include <pthread.h>
#include <unistd.h>
#include "kernel/evtchn.h"
#include "lib/base/assert.h"
#include "lib/base/atomic.h"
#include "lib/base/errno.h"
#include "lib/base/macros.h"

#define FIRST_FREE (RACE_PORT_CONSOLE + 1)
#define PORTS 32

static struct port {
    pthread_mutex_t bound; /* fn, arg; held while (fn) runs */
    evtchn_fn *fn;
    void *arg;
    bool pending, masked;
} ports[PORTS];
static pthread_t cpu;
static bool stop;
unsigned ports_bound;

static bool bind(port_t port, evtchn_fn *fn, void *arg)
{
    struct port *p = &ports[port];
    bool was_free;

    pthread_mutex_lock(&p->bound);
    was_free = p->fn == NULL;
    if (was_free) {
        p->fn = fn;
        p->arg = arg;
        store_relaxed(&p->masked, false);
        atomic_add(&ports_bound, 1);
    }
    pthread_mutex_unlock(&p->bound);
    return was_free;
}

int evtchn_adopt(port_t port, evtchn_fn *fn, void *arg)
{
    return bind(port, fn, arg) ? 0 : -EBUSY;
}

int evtchn_alloc_unbound(domid_t remote, evtchn_fn *fn, void *arg, port_t *out)
{
    (void)remote;
    for (port_t port = FIRST_FREE; port < PORTS; port++)
        if (bind(port, fn, arg)) {
            *out = port;
            return 0;
        }
    return -ENOSPC;
}

void evtchn_unbind(port_t port)
{
    pthread_mutex_lock(&ports[port].bound); /* a handler that runs has ended */
    ASSERT(ports[port].fn != NULL);
    ports[port].fn = NULL;
    atomic_sub(&ports_bound, 1);
    pthread_mutex_unlock(&ports[port].bound);
}

/* Nobody is told: the other ends look by themselves. */
int evtchn_notify(port_t port)
{
    ASSERT(port != PORT_NONE && port < PORTS);
    return 0;
}

void evtchn_eoi(port_t port, bool worked)
{
    (void)worked;
    ASSERT(port != PORT_NONE && port < PORTS);
    (void)atomic_exchange(&ports[port].masked, false);
}

void raceports_raise(port_t port)
{
    (void)atomic_exchange(&ports[port].pending, true);
}

static bool deliver(port_t port)
{
    struct port *p = &ports[port];

    if (load_relaxed(&p->masked) || !atomic_exchange(&p->pending, false))
        return false;
    pthread_mutex_lock(&p->bound);
    if (p->fn != NULL) {
        (void)atomic_exchange(&p->masked, true);
        p->fn(port, p->arg);
    }
    pthread_mutex_unlock(&p->bound);
    return true;
}

static void *run_cpu(void *arg)
{
    race_irq_on = false;
    while (!load_acquire(&stop)) {
        bool any = false;

        for (port_t port = 1; port < PORTS; port++)
            any = deliver(port) || any;
        if (!any)
            usleep(50);
    }
    return arg;
}

void raceports_start(void)
{
    for (port_t port = 0; port < PORTS; port++)
        pthread_mutex_init(&ports[port].bound, NULL);
    if (pthread_create(&cpu, NULL, run_cpu, NULL) != 0)
        panic("no thread for events");
}

void raceports_stop(void)
{
    store_release(&stop, true);
    pthread_join(cpu, NULL);
}
