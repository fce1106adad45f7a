/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lock checker: a graph of lock classes, with an edge from A to B once B was taken with A held.
 * A lock that would close a circle is the bug, at whatever time the other half of it happened; who
 * made each edge is kept, to be told then.
 *
 *      lock_want   the graph; the same lock or class twice; upcalls and handlers; mutexes under
 * spinlocks lock_taken  onto the stack of the CPU, or of the thread for a mutex lock_dropped how
 * long it was held, without what the host took
 *
 * I1 A CPU's stack changes only on that CPU with upcalls masked, a thread's only by that thread.
 * I2 The graph grows under (growing), the one lock here, which is not checked. An edge is looked
 * for without it: edges never go away.
 */
#include "kernel/lockcheck.h"

#include <arch/cpu.h>
#include <arch/irq.h>
#include <arch/thread.h>
#include "kernel/console.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "kernel/thread.h"
#include "lib/base/assert.h"
#include "lib/base/atomic.h"
#include "lib/base/string.h"

#define CLASSES_MAX 192
#define EDGES_MAX 2048
#define LONG_NS NSEC_PER_MSEC

struct lock_class {
    const char *name;
    bool is_mutex;
    uint64_t after[CLASSES_MAX / 64]; /* classes taken with one of this class held */
    unsigned long taken;
    unsigned contended, too_long;
    nsec_t longest;
    uintptr_t longest_at;
    uintptr_t unmasked_at, handler_at; /* taken with upcalls on; by a handler */
};

struct edge {
    const struct lock_class *from, *to;
    uintptr_t from_calls[LOCK_CALLS], to_calls[LOCK_CALLS];
};

static struct lock_class classes[CLASSES_MAX];
static struct edge edges[EDGES_MAX];
static unsigned nr_classes, nr_edges;
static unsigned growing; /* I2 */
static bool ended;
static struct lock_stack stacks[CPU_MAX];

/* Upcalls masked. */
static void grow_begin(void)
{
    unsigned is_free = 0;

    while (!atomic_cmpxchg(&growing, &is_free, 1U)) {
        cpu_relax();
        is_free = 0;
    }
}

static void grow_end(void)
{
    store_release(&growing, 0U);
}

static struct lock_stack *stack_of(enum lock_kind kind)
{
    if (kind != LOCK_MUTEX)
        return &stacks[cpu_id()];
    return cpu_current() == NULL ? NULL : thread_locks(cpu_current());
}

/* For a mutex also the calls above it, since it is taken by functions that do only that. */
static void note_calls(uintptr_t *calls, uintptr_t caller, enum lock_kind kind)
{
    uintptr_t all[LOCK_CALLS + 1] = {0};

    if (kind == LOCK_MUTEX)
        (void)arch_backtrace(all, ARRAY_SIZE(all));
    for (unsigned i = 0; i < LOCK_CALLS; i++)
        calls[i] = kind == LOCK_MUTEX ? all[i + 1] : 0;
    if (kind != LOCK_MUTEX)
        calls[0] = caller;
}

/* ---- what is wrong ---- */

static void print_calls(const char *what, const char *name, const uintptr_t *calls)
{
    log_err("  %s %s at %016lx %016lx %016lx %016lx", what, name, calls[0], calls[1], calls[2],
            calls[3]);
}

static void print_stack(const struct lock_stack *s)
{
    for (unsigned i = 0; s != NULL && i < s->n; i++)
        print_calls("holds", s->held[i].class->name, s->held[i].calls);
}

void lock_check_end(void)
{
    store_relaxed(&ended, true);
}

/* Upcalls masked. What follows is the end: nobody else's report may get in between. */
static void say(const struct lock_class *c, const uintptr_t *calls)
{
    panic_take_over();
    log_err("locks: CPU %u, thread %s%s", cpu_id(),
            cpu_current() ? thread_name(cpu_current()) : "(boot)",
            cpu_in_event() ? ", in a handler" : "");
    if (!cpu_in_event())
        print_stack(stack_of(LOCK_MUTEX));
    print_stack(stack_of(LOCK_SPIN));
    print_calls("wants", c->name, calls);
}

/* ---- classes ---- */

static struct lock_class *find_class(const char *name, bool is_mutex)
{
    for (unsigned i = 0; i < nr_classes; i++)
        if (classes[i].is_mutex == is_mutex && strcmp(classes[i].name, name) == 0)
            return &classes[i];
    if (nr_classes == CLASSES_MAX)
        return NULL;
    classes[nr_classes].name = name;
    classes[nr_classes].is_mutex = is_mutex;
    return &classes[nr_classes++];
}

/* Upcalls masked. */
static struct lock_class *class_of(struct lock_tag *tag, enum lock_kind kind)
{
    struct lock_class *c = load_acquire(&tag->class);

    if (c != NULL)
        return c;
    if (load_relaxed(&tag->name) == NULL)
        panic("locks: one without a name: see spin_name");
    grow_begin();
    c = find_class(tag->name, kind == LOCK_MUTEX);
    grow_end();
    if (c == NULL)
        panic("locks: more than %u classes", CLASSES_MAX);
    store_release(&tag->class, c);
    return c;
}

/* ---- the graph ---- */

static unsigned index_of(const struct lock_class *c)
{
    return (unsigned)(c - classes);
}

static bool is_after(const struct lock_class *first, const struct lock_class *c)
{
    return load_relaxed(&first->after[index_of(c) / 64]) >> index_of(c) % 64 & 1;
}

/* The way from (from) to (to), as for each class on it the one before; false: there is none. */
static bool find_way(const struct lock_class *from, const struct lock_class *to,
                     const struct lock_class **before)
{
    static const struct lock_class *queue[CLASSES_MAX];
    unsigned head = 0, tail = 0;

    memset(before, 0, sizeof(*before) * CLASSES_MAX);
    queue[tail++] = from;
    before[index_of(from)] = from;
    while (head < tail && before[index_of(to)] == NULL) {
        const struct lock_class *c = queue[head++];

        for (unsigned i = 0; i < nr_classes; i++)
            if (before[i] == NULL && is_after(c, &classes[i])) {
                before[i] = c;
                queue[tail++] = &classes[i];
            }
    }
    return before[index_of(to)] != NULL;
}

static void print_edge(const struct lock_class *from, const struct lock_class *to)
{
    for (unsigned i = 0; i < nr_edges; i++)
        if (edges[i].from == from && edges[i].to == to) {
            print_calls("elsewhere:", to->name, edges[i].to_calls);
            print_calls("    under", from->name, edges[i].from_calls);
        }
}

static void learn(const struct lock_held *h, const struct lock_class *c, const uintptr_t *calls)
{
    static const struct lock_class *before[CLASSES_MAX];
    const struct lock_class *from = h->class;
    struct edge *e;

    grow_begin();
    if (find_way(c, from, before)) {
        say(c, calls);
        for (const struct lock_class *to = from; to != c; to = before[index_of(to)])
            print_edge(before[index_of(to)], to);
        grow_end();
        panic("lock order: %s is wanted with %s held; elsewhere it is the other way round", c->name,
              from->name);
    }
    if (nr_edges == EDGES_MAX)
        panic("locks: more than %u pairs", EDGES_MAX);
    e = &edges[nr_edges++];
    *e = (struct edge){.from = from, .to = c};
    memcpy(e->from_calls, h->calls, sizeof(e->from_calls));
    memcpy(e->to_calls, calls, sizeof(e->to_calls));
    (void)atomic_or(&h->class->after[index_of(c) / 64], 1UL << index_of(c) % 64);
    grow_end();
}

/* (c) under all that (s) has. */
static void check_order(const struct lock_stack *s, const struct lock_class *c, const void *lock,
                        enum lock_kind kind, const uintptr_t *calls)
{
    for (unsigned i = 0; s != NULL && i < s->n; i++) {
        const struct lock_held *h = &s->held[i];

        if (h->lock == lock || (h->class == c && kind == LOCK_SPIN)) {
            say(c, calls);
            panic("locks: %s is wanted with %s held", c->name,
                  h->lock == lock ? "the same lock" : "another one of its class");
        }
        if (!h->class->is_mutex && cpu_in_event() && !h->in_event) {
            say(c, calls);
            panic("locks: a handler runs while %s is held", h->class->name);
        }
        if (h->class != c && !is_after(h->class, c))
            learn(h, c, calls);
    }
}

/* A handler may interrupt whoever took the lock with upcalls on, and waits for him for ever. */
static void check_upcalls(struct lock_class *c, bool masked, const uintptr_t *calls)
{
    if (!masked)
        store_relaxed(&c->unmasked_at, calls[0]);
    if (cpu_in_event())
        store_relaxed(&c->handler_at, calls[0]);
    if (load_relaxed(&c->unmasked_at) == 0 || load_relaxed(&c->handler_at) == 0)
        return;
    say(c, calls);
    panic("locks: %s is taken with upcalls on at %016lx and by a handler at %016lx", c->name,
          c->unmasked_at, c->handler_at);
}

/* ---- the interface ---- */

void lock_want(struct lock_tag *tag, const void *lock, enum lock_kind kind)
{
    uintptr_t calls[LOCK_CALLS];
    struct lock_class *c;
    irqstate_t irq;

    if (load_relaxed(&ended))
        return;
    note_calls(calls, (uintptr_t)__builtin_return_address(0), kind);
    irq = irq_save();
    c = class_of(tag, kind);
    if (kind != LOCK_MUTEX)
        check_upcalls(c, !irq, calls);
    else if (stacks[cpu_id()].n > 0 || cpu_in_event()) {
        say(c, calls);
        panic("locks: the mutex %s is wanted where nobody may block", c->name);
    }
    if (!cpu_in_event())
        check_order(stack_of(LOCK_MUTEX), c, lock, kind, calls);
    check_order(stack_of(LOCK_SPIN), c, lock, kind, calls);
    irq_restore(irq);
}

void lock_taken(struct lock_tag *tag, const void *lock, enum lock_kind kind)
{
    irqstate_t irq;
    struct lock_stack *s;
    struct lock_held *h;

    if (load_relaxed(&ended))
        return;
    irq = irq_save();
    s = stack_of(kind);
    if (s != NULL) {
        ASSERT(s->n < LOCKS_HELD_MAX);
        h = &s->held[s->n++];
        *h = (struct lock_held){.class = class_of(tag, kind),
                                .lock = lock,
                                .since = clock_read(),
                                .steal = clock_steal(cpu_id()),
                                .in_event = cpu_in_event()};
        note_calls(h->calls, (uintptr_t)__builtin_return_address(0), kind);
        atomic_add(&h->class->taken, 1);
    }
    irq_restore(irq);
}

/* Two CPUs may be at it: then one of them is forgotten. */
static void note_duration(const struct lock_held *h)
{
    nsec_t held = clock_read() - h->since, stolen = clock_steal(cpu_id()) - h->steal;
    struct lock_class *c = h->class;

    held -= MIN(held, stolen);
    if (held > LONG_NS)
        atomic_add(&c->too_long, 1);
    if (held > load_relaxed(&c->longest)) {
        store_relaxed(&c->longest, held);
        store_relaxed(&c->longest_at, h->calls[0]);
    }
}

void lock_dropped(const void *lock, enum lock_kind kind)
{
    irqstate_t irq = irq_save();
    struct lock_stack *s = stack_of(kind);
    unsigned i = s == NULL ? 0 : s->n;

    while (i > 0 && s->held[i - 1].lock != lock)
        i--;
    if (i > 0) {
        if (kind != LOCK_MUTEX) /* who holds a mutex may sleep, and elsewhere */
            note_duration(&s->held[i - 1]);
        s->n--;
        memmove(&s->held[i - 1], &s->held[i], (s->n - (i - 1)) * sizeof(s->held[0]));
    } else if (s != NULL && !load_relaxed(&ended)) {
        panic("locks: one is given back that is not held");
    }
    irq_restore(irq);
}

void lock_contended(struct lock_tag *tag, enum lock_kind kind)
{
    irqstate_t irq = irq_save();

    atomic_add(&class_of(tag, kind)->contended, 1);
    irq_restore(irq);
}

void lock_may_block(void)
{
    irqstate_t irq = irq_save();
    const struct lock_stack *s = &stacks[cpu_id()];

    if (s->n > 0 && !load_relaxed(&ended))
        panic("locks: a thread blocks with %s held", s->held[s->n - 1].class->name);
    irq_restore(irq);
}

void lock_report(void)
{
    for (unsigned i = 0; i < load_relaxed(&nr_classes); i++) {
        const struct lock_class *c = &classes[i];

        log_debug("locks: %s%s: taken %lu times, %u had to wait", c->name,
                  c->is_mutex ? " (mutex)" : "", load_relaxed(&c->taken),
                  load_relaxed(&c->contended));
        if (load_relaxed(&c->too_long) > 0)
            log_info("locks: %s: held for more than 1 ms %u times, once for %lu us at %016lx",
                     c->name, c->too_long, (unsigned long)(c->longest / 1000), c->longest_at);
    }
}
