/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The FIFO event channel ABI (xen/event_channel.h): for each port a word in an array of pages that
 * we give to Xen, and for each CPU a control block with the heads of 16 queues, one a priority.
 *
 *    control block         event words
 *    ready: 0..010000000   [P M L B | link] --link--> [P M L B | link] --> ... 0
 *    head[7]: port --------^
 *
 * Xen sets PENDING, and, unless the port is MASKED or already LINKED, appends it to a queue of the
 * CPU it is bound to: LINKED and the predecessor's link, or head[] of an empty queue, then the
 * queue's ready bit. We unlink from the front. The head we work with is private; the control
 * block's is read only when ours ran out.
 *
 * One scan handles at most SCAN_MAX events. If it stops early, it keeps the ready bits and asks
 * for another upcall. Port 0 is never used: it ends queues.
 */
#include "kernel/evtchn_abi.h"

#include <arch/cpu.h>
#include <arch/evtchn.h>
#include <arch/hypercall.h>
#include <arch/page.h>
#include <xen/event_channel.h>
#include "kernel/page.h"
#include "kernel/spinlock.h"
#include "lib/base/atomic.h"
#include "lib/base/errno.h"

#define PENDING (1U << EVTCHN_FIFO_PENDING)
#define MASKED (1U << EVTCHN_FIFO_MASKED)
#define LINKED (1U << EVTCHN_FIFO_LINKED)
#define BUSY (1U << EVTCHN_FIFO_BUSY)

#define WORDS_PER_PAGE (PAGE_SIZE / sizeof(event_word_t))
#define MAX_ARRAY_PAGES (EVTCHN_FIFO_NR_CHANNELS / WORDS_PER_PAGE)
#define SCAN_MAX 1024

/* One for each CPU, several to a page. Xen keeps the page for ever. */
struct queues {
    struct evtchn_fifo_control_block shared;
    uint32_t head[EVTCHN_FIFO_MAX_QUEUES]; /* private */
    uint32_t ready;                        /* private: taken from shared.ready, not yet empty */
};
#define QUEUES_SIZE 256
#define QUEUES_PER_PAGE (PAGE_SIZE / QUEUES_SIZE)
_Static_assert(sizeof(struct queues) <= QUEUES_SIZE, "queues of a CPU fit their slot");

static char *queue_pages[DIV_ROUND_UP(CPU_MAX, QUEUES_PER_PAGE)];
static event_word_t *array[MAX_ARRAY_PAGES];
static port_t nr_words; /* ports below it have a word */
static struct spinlock growth = SPINLOCK_INIT;

static struct queues *queues_of(unsigned cpu)
{
    return (struct queues *)(queue_pages[cpu / QUEUES_PER_PAGE] +
                             cpu % QUEUES_PER_PAGE * QUEUES_SIZE);
}

static event_word_t *word_of(port_t port)
{
    return &array[port / WORDS_PER_PAGE][port % WORDS_PER_PAGE];
}

static int init_cpu(unsigned cpu)
{
    char **page = &queue_pages[cpu / QUEUES_PER_PAGE];
    struct evtchn_init_control op = {.vcpu = cpu};

    if (*page == NULL)
        *page = page_alloc_zeroed();
    if (*page == NULL)
        return -ENOMEM;
    op.control_gfn = virt_to_gframe(*page);
    op.offset = cpu % QUEUES_PER_PAGE * QUEUES_SIZE;
    return hypercall_evtchn(EVTCHNOP_init_control, &op);
}

static int init(void)
{
    int rc = init_cpu(0);

    if (rc != 0 && queue_pages[0] != NULL) {
        page_free(queue_pages[0]);
        queue_pages[0] = NULL;
    }
    return rc;
}

/* One more page of words, all masked. Under (growth), so that pages are added in order. */
static int add_page(void)
{
    event_word_t *words = page_alloc();
    struct evtchn_expand_array op;
    int rc;

    if (words == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < WORDS_PER_PAGE; i++)
        words[i] = MASKED;
    array[nr_words / WORDS_PER_PAGE] = words;
    op.array_gfn = virt_to_gframe(words);
    rc = hypercall_evtchn(EVTCHNOP_expand_array, &op);
    if (rc != 0) {
        page_free(words);
        return rc;
    }
    store_release(&nr_words, nr_words + (port_t)WORDS_PER_PAGE);
    return 0;
}

static int grow(port_t port)
{
    irqstate_t state = spin_lock(&growth);
    int rc = 0;

    while (rc == 0 && port >= nr_words)
        rc = add_page();
    spin_unlock(&growth, state);
    return rc;
}

static void hasten(port_t port)
{
    struct evtchn_set_priority op = {.port = port, .priority = EVTCHN_FIFO_PRIORITY_MAX};

    /* A refusal costs latency only. */
    (void)hypercall_evtchn(EVTCHNOP_set_priority, &op);
}

static void mask(port_t port)
{
    atomic_or(word_of(port), MASKED);
}

static bool is_pending(port_t port)
{
    return load_acquire(word_of(port)) & PENDING;
}

static bool is_masked(port_t port)
{
    return load_acquire(word_of(port)) & MASKED;
}

static void clear_pending(port_t port)
{
    atomic_and(word_of(port), ~PENDING);
}

static bool unmask_idle(port_t port)
{
    event_word_t *word = word_of(port);
    event_word_t old = load_acquire(word) & ~BUSY;

    /* Xen holds BUSY while it links: only a word at rest may change. */
    do {
        if (old & PENDING)
            return false;
        old &= ~BUSY;
    } while (!atomic_cmpxchg(word, &old, old & ~MASKED));
    return true;
}

/* Take the port off its queue. The next one, 0: it was the last. */
static uint32_t unlink_port(port_t port)
{
    event_word_t *word = word_of(port);
    event_word_t old = load_acquire(word);

    while (!atomic_cmpxchg(word, &old, old & ~(LINKED | EVTCHN_FIFO_LINK_MASK)))
        ;
    return old & EVTCHN_FIFO_LINK_MASK;
}

/* The first event of queue (q). */
static void take_first(struct queues *queues, unsigned q, void (*deliver)(port_t port))
{
    uint32_t port = queues->head[q];

    /* Xen writes the head before the ready bit, which we took with a full fence. */
    if (port == 0)
        port = load_acquire(&queues->shared.head[q]);
    if (port == 0 || port >= load_acquire(&nr_words)) {
        queues->ready &= ~(1U << q);
        return;
    }
    queues->head[q] = unlink_port(port);
    if (queues->head[q] == 0)
        queues->ready &= ~(1U << q);
    if (is_pending(port) && !is_masked(port))
        deliver(port);
}

static void scan(unsigned cpu, void (*deliver)(port_t port))
{
    struct queues *queues = queues_of(cpu);

    for (unsigned n = 0; n < SCAN_MAX; n++) {
        queues->ready |= atomic_exchange(&queues->shared.ready, 0U);
        if (queues->ready == 0)
            return;
        take_first(queues, (unsigned)__builtin_ctz(queues->ready), deliver);
    }
    store_release(&arch_vcpu_info(cpu)->evtchn_upcall_pending, 1);
}

const struct evtchn_abi evtchn_fifo = {
    .name = "fifo",
    .nr_ports = EVTCHN_FIFO_NR_CHANNELS,
    .init = init,
    .init_cpu = init_cpu,
    .grow = grow,
    .hasten = hasten,
    .mask = mask,
    .unmask_idle = unmask_idle,
    .is_pending = is_pending,
    .is_masked = is_masked,
    .clear_pending = clear_pending,
    .scan = scan,
};
