/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Event channels, from this domain to itself. Which of the two ABIs is in use stands in the
 * conditions; paravane.evtchn=2l chooses the other.
 *
 *   evtchn.send             notifying a port that is masked and has its event already: the
 *                           hypercall alone
 *   evtchn.self.handler     notifying one that is not: until the first line of its handler;
 *     .return                 from the handler's last line back to the sender (IRETQ)
 *   evtchn.thread.handler   the same send, by a thread of lower priority; until the handler,
 *     .wake                   from the handler, which wakes a thread, to that thread's next line,
 *     .total                  both
 *   evtchn.unmask           a port whose event is pending is unmasked (EOI): until the handler
 *
 *     sender   --notify--> Xen --upcall--> handler --wake--> thread
 *              |<----------- .handler ---->|<---- .wake ---->|
 */
#include <stdint.h>
#include <xen/xen.h>
#include "apps/pvbench/handler.h"
#include "apps/pvbench/probes.h"
#include "kernel/wait.h"
#include "lib/base/atomic.h"

#define SILENT "the event did not come"

/* A channel from (out) to (in). */
static port_t out, in;
static volatile uint64_t entered, left;
static volatile unsigned heard;
static bool keep_masked, wakes;

static struct waitq queue = WAITQ_INIT(queue);
static unsigned events, taken;
static bool stop;

HANDLER static void on_event(port_t port, void *arg)
{
    (void)arg;
    entered = stamp();
    heard++;
    if (wakes) {
        store_release(&events, events + 1);
        waitq_wake_all(&queue);
    }
    if (!keep_masked)
        evtchn_eoi(port, true);
    left = stamp();
}

HANDLER static void on_nothing(port_t port, void *arg)
{
    (void)arg;
    evtchn_eoi(port, true);
}

static bool open_channel(struct run *r)
{
    domid_t self = own_domid();

    keep_masked = wakes = false;
    if (evtchn_alloc_unbound(self, on_event, NULL, &in) != 0) {
        run_give_up(r, "no event channel");
        return false;
    }
    if (evtchn_bind_interdomain(self, in, on_nothing, NULL, &out) != 0) {
        evtchn_unbind(in);
        run_give_up(r, "no event channel");
        return false;
    }
    return true;
}

static void close_channel(void)
{
    evtchn_unbind(out);
    evtchn_unbind(in);
}

/* Wait for the handler's (n)th call: it comes on the way back from the hypercall, or at once after.
 */
static bool await_call(unsigned n)
{
    uint64_t end = platform_clock() + NSEC_PER_SEC;

    while (heard < n)
        if (platform_clock() > end)
            return false;
    return true;
}

static void run_send(struct run *r)
{
    if (!open_channel(r))
        return;
    keep_masked = true;
    heard = 0;
    (void)evtchn_notify(out);
    if (!await_call(1))
        run_give_up(r, SILENT);
    while (run_more(r)) {
        uint64_t begin = stamp();

        (void)evtchn_notify(out);
        run_sample(r, 0, begin, stamp());
    }
    close_channel();
}

static void run_self(struct run *r)
{
    if (!open_channel(r))
        return;
    heard = 0;
    while (run_more(r)) {
        unsigned next = heard + 1;
        uint64_t begin = stamp(), end;

        (void)evtchn_notify(out);
        end = stamp();
        if (!await_call(next)) {
            run_give_up(r, SILENT);
            break;
        }
        run_sample(r, 0, begin, entered);
        if (end > left)
            run_sample(r, 1, left, end);
    }
    close_channel();
}

/* ---- up to a thread ---- */

static volatile uint64_t awake;

static void wait_for_events(void *arg)
{
    (void)arg;
    while (!load_acquire(&stop)) {
        (void)wait_until(&queue, load_acquire(&events) != taken || load_acquire(&stop), NEVER);
        awake = stamp();
        store_release(&taken, load_acquire(&events));
    }
}

static void run_thread(struct run *r)
{
    struct thread *waiter = NULL;

    if (!open_channel(r))
        return;
    wakes = true;
    stop = false;
    events = taken = 0;
    waiter = thread_on(0, PRIO_HIGH, wait_for_events, NULL);
    if (waiter == NULL)
        run_give_up(r, "no memory for a thread");
    thread_yield();
    while (run_more(r)) {
        unsigned next = load_acquire(&taken) + 1;
        uint64_t begin = stamp(), end = platform_clock() + NSEC_PER_SEC;

        (void)evtchn_notify(out);
        while (load_acquire(&taken) < next && platform_clock() < end)
            ;
        if (load_acquire(&taken) < next) {
            run_give_up(r, SILENT);
            break;
        }
        run_sample(r, 0, begin, entered);
        run_sample(r, 1, entered, awake);
        run_sample(r, 2, begin, awake);
    }
    store_release(&stop, true);
    waitq_wake_all(&queue);
    if (waiter != NULL)
        thread_join(waiter);
    close_channel();
}

static void run_unmask(struct run *r)
{
    if (!open_channel(r))
        return;
    keep_masked = true;
    heard = 0;
    (void)evtchn_notify(out);
    while (run_more(r)) {
        unsigned next = heard + 1;
        uint64_t begin;

        (void)evtchn_notify(out); /* the port is masked since the last call: it stays pending */
        begin = stamp();
        evtchn_eoi(in, true);
        if (!await_call(next)) {
            run_give_up(r, SILENT);
            break;
        }
        run_sample(r, 0, begin, entered);
    }
    close_channel();
}

const struct probe evtchn_probes[] = {
    PROBE(run_send, 0, NULL, NS("evtchn.send")),
    PROBE(run_self, 0, NULL, NS("evtchn.self.handler"), NS("evtchn.self.return")),
    PROBE(run_thread, 0, NULL, NS("evtchn.thread.handler"), NS("evtchn.thread.wake"),
          NS("evtchn.thread.total")),
    PROBE(run_unmask, 0, NULL, NS("evtchn.unmask")),
};
PROBES_END(evtchn_probes);
