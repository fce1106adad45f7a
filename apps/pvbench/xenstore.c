/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Xenstore: the whole way to xenstored in another domain, and back.
 *
 *   xenstore.read          a node of ours
 *   xenstore.write         a node of ours
 *   xenstore.transaction   begun, a read, a write, ended: four exchanges
 *   xenstore.watch         a node is written that is watched: from the call until the watch's
 *                          function runs
 */
#include "apps/pvbench/probes.h"
#include "kernel/time.h"
#include "kernel/wait.h"
#include "kernel/xenstore.h"
#include "lib/base/atomic.h"

#define NODE "data/pvbench"
#define FAILED "xenstored refused it"

static void forget(struct run *r)
{
    if (xs_rm(XS_NO_TX, NODE) != 0)
        run_give_up(r, FAILED);
}

static void run_read(struct run *r)
{
    char text[64];

    while (run_more(r)) {
        uint64_t begin = stamp();

        if (xs_read(XS_NO_TX, "domid", text, sizeof(text)) < 0)
            run_give_up(r, FAILED);
        run_sample(r, 0, begin, stamp());
    }
}

static void run_write(struct run *r)
{
    while (run_more(r)) {
        uint64_t begin = stamp();

        if (xs_write(XS_NO_TX, NODE, "0123456789") != 0)
            run_give_up(r, FAILED);
        run_sample(r, 0, begin, stamp());
    }
    forget(r);
}

static int transact(void)
{
    char text[64];
    xs_tx_t tx;
    int rc = xs_tx_begin(&tx);

    if (rc != 0)
        return rc;
    rc = xs_read(tx, "domid", text, sizeof(text)) < 0 ? -1 : xs_write(tx, NODE, text);
    return xs_tx_end(tx, rc == 0) != 0 ? -1 : rc;
}

static void run_transaction(struct run *r)
{
    while (run_more(r)) {
        uint64_t begin = stamp();

        if (transact() == 0)
            run_sample(r, 0, begin, stamp()); /* others may have got in between */
    }
    forget(r);
}

static struct waitq queue = WAITQ_INIT(queue);
static uint64_t fired;

static void on_watch(struct xs_watch *w)
{
    (void)w;
    store_release(&fired, stamp());
    waitq_wake_all(&queue);
}

static bool await_watch(void)
{
    return wait_until(&queue, load_acquire(&fired) != 0, time_now() + 5 * NSEC_PER_SEC) == 0;
}

static void run_watch(struct run *r)
{
    static struct xs_watch watch;

    store_release(&fired, 0);
    if (xs_watch(&watch, NODE, on_watch, NULL) != 0) {
        run_give_up(r, FAILED);
        return;
    }
    (void)await_watch(); /* the one at the start */
    while (run_more(r)) {
        uint64_t begin;

        store_release(&fired, 0);
        begin = stamp();
        if (xs_write(XS_NO_TX, NODE, "x") != 0 || !await_watch()) {
            run_give_up(r, FAILED);
            break;
        }
        run_sample(r, 0, begin, load_acquire(&fired));
    }
    xs_unwatch(&watch);
    forget(r);
}

const struct probe xenstore_probes[] = {
    PROBE(run_read, 0, absent_xenstore, NS("xenstore.read")),
    PROBE(run_write, 0, absent_xenstore, NS("xenstore.write")),
    PROBE(run_transaction, 0, absent_xenstore, NS("xenstore.transaction")),
    PROBE(run_watch, 0, absent_xenstore, NS("xenstore.watch")),
};
PROBES_END(xenstore_probes);
