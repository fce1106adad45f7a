/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The heap. A small object (up to HEAP_CONTIGUOUS_MAX bytes) lives in a slab: one page cut into
 * objects of one size class, whose notes are in its struct page, so that no byte of the page is
 * lost and power-of-two classes are aligned to their size. A larger object is a run of pages from
 * the page allocator or, when memory is too fragmented, of pages side by side in the vmap area;
 * the struct page of its first page says how many.
 *
 *     heap_alloc -> cache of this CPU -> (empty: refill)   slabs of the class -> page allocator
 *     heap_free  -> cache of this CPU -> (full: half back) slabs of the class -> page allocator
 *
 * struct page of a slab: note = class, used = objects not on its free list (those in caches
 * count), owner = its free list, link = in the class's list of partial slabs unless it is full.
 *
 * I1 A slab is on its class's partial list exactly while it has a free object; a slab without used
 *    objects goes back to the page allocator at once.
 * I2 No lock is held over another lock or over a call to the page allocator, because that may
 *    call heap_trim when memory is short.
 * I3 A cache is reached only with upcalls masked on its own CPU, or by heap_trim; both hold its
 *    lock. Caches of CPUs other than the first are heap objects, made when first needed.
 * I4 The states of our pages are stored atomically: the page allocator looks at buddies (its I3).
 */
#include "kernel/heap.h"

#include <arch/cpu.h>
#include "kernel/page.h"
#include "kernel/spinlock.h"
#include "kernel/vmap.h"
#include "lib/base/assert.h"
#include "lib/base/string.h"

#define GRAIN 16

static const uint16_t class_size[] = {16,  32,  48,  64,  96,   128,  192,
                                      256, 384, 512, 768, 1024, 1344, 2048};
#define CLASSES ARRAY_SIZE(class_size)

/* Free objects are chained through their first word. */
struct object {
    struct object *next;
};

struct size_class {
    struct spinlock lock;
    struct list partial;
};

struct cache {
    struct spinlock lock;
    uint8_t count[CLASSES];
    struct object *objects[CLASSES];
    struct heap_stats stats; /* in_use wraps: memory may be freed on another CPU */
};

static struct size_class classes[CLASSES] = {[0 ... CLASSES - 1] = {.lock = SPINLOCK_INIT}};
static uint8_t class_by_grain[HEAP_CONTIGUOUS_MAX / GRAIN + 1];
static uint8_t cache_limit[CLASSES]; /* objects that a cache keeps: a page's worth, within reason */
static struct cache first_cache = {.lock = SPINLOCK_INIT};
static struct cache *caches[CPU_MAX];

static unsigned class_of(size_t size)
{
    return class_by_grain[(size + GRAIN - 1) / GRAIN];
}

/* ---- slabs ---- */

/* Cut a fresh page into objects of (cls). */
static struct page *slab_create(unsigned cls)
{
    char *base = page_alloc();
    struct object *list = NULL;
    struct page *slab;

    if (base == NULL)
        return NULL;
    for (size_t i = PAGE_SIZE / class_size[cls]; i-- > 0;) {
        struct object *o = (void *)(base + i * class_size[cls]);

        o->next = list;
        list = o;
    }
    slab = page_of(base);
    store_relaxed(&slab->state, PAGE_SLAB); /* I4 */
    slab->note = (uint16_t)cls;
    slab->used = 0;
    slab->owner = list;
    return slab;
}

static struct object *slab_take(struct page *slab)
{
    struct object *o = slab->owner;

    slab->owner = o->next;
    slab->used++;
    if (slab->owner == NULL)
        list_remove(&slab->link); /* I1 */
    return o;
}

/* Returns true when the slab is unused now and off the partial list. */
static bool slab_put(struct page *slab, struct object *o)
{
    unsigned cls = slab->note;

    ASSERT(((uintptr_t)o & (PAGE_SIZE - 1)) % class_size[cls] == 0 && o != slab->owner);
    if (slab->owner == NULL)
        list_push_front(&classes[cls].partial, &slab->link); /* I1 */
    o->next = slab->owner;
    slab->owner = o;
    if (--slab->used > 0)
        return false;
    list_remove(&slab->link);
    return true;
}

/* A chain of at most (n) objects of (cls); NULL when memory is out. */
static struct object *take_objects(unsigned cls, unsigned n, unsigned *taken)
{
    struct size_class *c = &classes[cls];
    struct page *fresh = NULL;
    struct object *chain = NULL;
    irqstate_t state = spin_lock(&c->lock);

    if (list_empty(&c->partial)) {
        spin_unlock(&c->lock, state); /* I2 */
        fresh = slab_create(cls);
        state = spin_lock(&c->lock);
    }
    if (fresh != NULL)
        list_push_front(&c->partial, &fresh->link);
    for (*taken = 0; *taken < n && !list_empty(&c->partial); ++*taken) {
        struct object *o = slab_take(list_first(&c->partial, struct page, link));

        o->next = chain;
        chain = o;
    }
    spin_unlock(&c->lock, state);
    return chain;
}

/* Give a chain of objects of one class back to their slabs, and unused slabs to the pages. */
static void give_objects(unsigned cls, struct object *chain)
{
    struct size_class *c = &classes[cls];
    struct list unused = LIST_INIT(unused);
    irqstate_t state = spin_lock(&c->lock);

    while (chain != NULL) {
        struct object *next = chain->next;
        struct page *slab = page_of(chain);

        if (slab_put(slab, chain))
            list_push_back(&unused, &slab->link);
        chain = next;
    }
    spin_unlock(&c->lock, state);
    while (!list_empty(&unused)) { /* I2 */
        struct page *slab = list_first(&unused, struct page, link);
        void *base = (void *)ALIGN_DOWN((uintptr_t)slab->owner, PAGE_SIZE);

        list_remove(&slab->link);
        store_relaxed(&slab->state, PAGE_USED);
        page_free(base);
    }
}

/* ---- caches ---- */

/* This CPU's cache, locked. Upcalls are masked, so that we stay on this CPU (I3). */
static struct cache *cache_lock(void)
{
    struct cache *c = caches[cpu_id()];

    if (c == NULL)
        c = &first_cache;
    spin_lock_masked(&c->lock);
    return c;
}

static void cache_push(struct cache *c, unsigned cls, struct object *o)
{
    o->next = c->objects[cls];
    c->objects[cls] = o;
    c->count[cls]++;
}

static struct object *cache_pop(struct cache *c, unsigned cls)
{
    struct object *o = c->objects[cls];

    if (o != NULL) {
        c->objects[cls] = o->next;
        c->count[cls]--;
    }
    return o;
}

/* Take (n) objects of (cls) out, as a chain. */
static struct object *cache_cut(struct cache *c, unsigned cls, unsigned n)
{
    struct object *chain = NULL;

    for (; n > 0; n--) {
        struct object *o = cache_pop(c, cls);

        o->next = chain;
        chain = o;
    }
    return chain;
}

/* The cache had none: get half of what it keeps from the slabs, and one for the caller. */
static struct object *refill(unsigned cls)
{
    unsigned taken;
    struct object *mine = take_objects(cls, 1 + cache_limit[cls] / 2, &taken);
    struct object *rest, *next;
    struct cache *c;
    irqstate_t state;

    if (mine == NULL)
        return NULL;
    rest = mine->next;
    state = irq_save();
    c = cache_lock();
    for (; rest != NULL && c->count[cls] < cache_limit[cls]; rest = next) {
        next = rest->next;
        cache_push(c, cls, rest);
    }
    spin_unlock(&c->lock, state);
    if (rest != NULL) /* somebody filled it meanwhile */
        give_objects(cls, rest);
    return mine;
}

/* A CPU's first allocation; without memory for a cache of its own it shares the first one. */
static void cache_create(void)
{
    irqstate_t state = irq_save();
    struct cache **mine = &caches[cpu_id()];
    unsigned taken;

    if (*mine == NULL) {
        struct cache *c = (void *)take_objects(class_of(sizeof(*c)), 1, &taken);

        if (c != NULL) {
            memset(c, 0, sizeof(*c));
            spin_name(&c->lock);
            store_release(mine, c); /* pairs with heap_trim */
        }
    }
    irq_restore(state);
}

static void account(size_t size, int sign)
{
    irqstate_t state = irq_save();
    struct cache *c = cache_lock();

    c->stats.in_use += sign < 0 ? -size : size;
    c->stats.allocations += sign > 0;
    c->stats.failures += sign == 0;
    spin_unlock(&c->lock, state);
}

/* ---- small objects ---- */

static void *alloc_small(unsigned cls)
{
    struct object *o;
    struct cache *c;
    irqstate_t state;

    if (caches[cpu_id()] == NULL)
        cache_create();
    state = irq_save();
    c = cache_lock();
    o = cache_pop(c, cls);
    if (o != NULL) {
        c->stats.in_use += class_size[cls];
        c->stats.allocations++;
    }
    spin_unlock(&c->lock, state);
    if (o != NULL)
        return o;
    o = refill(cls);
    account(o == NULL ? 0 : class_size[cls], o != NULL);
    return o;
}

static void free_small(struct page *slab, struct object *o)
{
    unsigned cls = slab->note;
    struct object *surplus = NULL;
    irqstate_t state = irq_save();
    struct cache *c = cache_lock();

    ASSERT(o != c->objects[cls]); /* the easy double free */
    cache_push(c, cls, o);
    c->stats.in_use -= class_size[cls];
    if (c->count[cls] > cache_limit[cls])
        surplus = cache_cut(c, cls, c->count[cls] / 2);
    spin_unlock(&c->lock, state);
    if (surplus != NULL)
        give_objects(cls, surplus);
}

/* ---- large objects ---- */

static bool in_vmap(const void *p)
{
    return (uintptr_t)p >= VMAP_BASE && (uintptr_t)p < VMAP_END;
}

/* The struct page that describes the object at (p). */
static struct page *head_of(const void *p)
{
    return in_vmap(p) ? page_of(pfn_to_virt(arch_mapped_pfn((uintptr_t)p))) : page_of(p);
}

/* (align) > PAGE_SIZE only from the page allocator, which aligns a run to its size. */
static void *alloc_large(size_t align, size_t size)
{
    size_t n = MAX(size, align) / PAGE_SIZE + (MAX(size, align) % PAGE_SIZE != 0);
    void *p = page_alloc_run(n);

    if (p == NULL && align <= PAGE_SIZE && !cpu_in_event())
        p = vmap_alloc(n);
    if (p != NULL) {
        struct page *head = head_of(p);

        store_relaxed(&head->state, PAGE_LARGE);
        head->used = (uint32_t)n;
    }
    account(p == NULL ? 0 : n * PAGE_SIZE, p != NULL);
    return p;
}

static void free_large(struct page *head, void *p)
{
    size_t n = head->used;

    account(n * PAGE_SIZE, -1);
    store_relaxed(&head->state, PAGE_USED);
    if (in_vmap(p))
        vmap_free(p, n);
    else
        page_free_run(p, n);
}

/* ---- the interface ---- */

void heap_init(void)
{
    caches[0] = &first_cache;
    for (unsigned i = 0, grain = 0; i < CLASSES; i++) {
        list_init(&classes[i].partial);
        cache_limit[i] = (uint8_t)MAX(2U, MIN(32U, (unsigned)PAGE_SIZE / class_size[i]));
        for (; grain <= class_size[i] / GRAIN; grain++)
            class_by_grain[grain] = (uint8_t)i;
    }
    page_on_shortage(heap_trim);
}

void *heap_alloc(size_t size)
{
    return size <= HEAP_CONTIGUOUS_MAX ? alloc_small(class_of(size)) : alloc_large(1, size);
}

void *heap_alloc_zeroed(size_t size)
{
    void *p = heap_alloc(size);

    return p == NULL ? NULL : memset(p, 0, size);
}

void *heap_alloc_aligned(size_t align, size_t size)
{
    ASSERT(IS_POW2(align));
    if (align <= GRAIN)
        return heap_alloc(size);
    if (MAX(align, size) > HEAP_CONTIGUOUS_MAX)
        return alloc_large(align, size);
    /* A power-of-two class is aligned to its size. */
    size = MAX(align, size);
    return alloc_small(class_of((size_t)1 << (64 - __builtin_clzl(size - 1))));
}

size_t heap_size_of(const void *p)
{
    struct page *head = head_of(p);

    ASSERT(head->state == PAGE_SLAB || head->state == PAGE_LARGE);
    return head->state == PAGE_SLAB ? class_size[head->note] : head->used * PAGE_SIZE;
}

void heap_free(void *p)
{
    struct page *head;

    if (p == NULL)
        return;
    head = head_of(p);
    ASSERT(head->state == PAGE_SLAB || head->state == PAGE_LARGE);
    if (head->state == PAGE_SLAB)
        free_small(head, p);
    else
        free_large(head, p);
}

void *heap_resize(void *p, size_t size)
{
    size_t have = p == NULL ? 0 : heap_size_of(p);
    void *new;

    if (size <= have && size >= have / 2 && have > 0)
        return p;
    new = heap_alloc(size);
    if (new == NULL)
        return size <= have && have > 0 ? p : NULL;
    memcpy(new, p, MIN(have, size));
    heap_free(p);
    return new;
}

void heap_trim(void)
{
    for (unsigned cpu = 0; cpu < CPU_MAX; cpu++) {
        struct cache *c = load_acquire(&caches[cpu]); /* pairs with cache_create */

        for (unsigned cls = 0; c != NULL && cls < CLASSES; cls++) {
            irqstate_t state = spin_lock(&c->lock);
            struct object *chain = cache_cut(c, cls, c->count[cls]);

            spin_unlock(&c->lock, state);
            give_objects(cls, chain);
        }
    }
}

void heap_get_stats(struct heap_stats *out)
{
    struct heap_stats sum = {0, 0, 0};

    for (unsigned cpu = 0; cpu < CPU_MAX; cpu++) {
        const struct cache *c = load_acquire(&caches[cpu]);

        if (c == NULL)
            continue;
        sum.in_use += load_relaxed(&c->stats.in_use);
        sum.allocations += load_relaxed(&c->stats.allocations);
        sum.failures += load_relaxed(&c->stats.failures);
    }
    *out = sum;
}
