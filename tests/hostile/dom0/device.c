/* SPDX-License-Identifier: BSD-2-Clause */
#include "device.h"

#include <stdio.h>
#include <string.h>

#define PATIENCE_MS 40000 /* only ends what hangs */

void device_init(struct device *d, unsigned dom, const char *class, const char *id)
{
    const char *back;

    *d = (struct device){.dom = dom, .class = class, .id = id};
    snprintf(d->front, PATH, "/local/domain/%u/device/%s/%s", dom, class, id);
    snprintf(d->error, PATH, "/local/domain/%u/error/device/%s/%s", dom, class, id);
    back = store_read("%s/backend", d->front);
    snprintf(d->back, PATH, "%s", back != NULL ? back : "");
}

unsigned device_front_state(const struct device *d)
{
    return (unsigned)store_number(d->front, "state", UNKNOWN);
}

static void say(struct device *d, enum state state)
{
    store_write_number(d->back, "state", state);
}

/* Until the frontend is in one of the states of (mask). */
static bool await_front(struct device *d, unsigned mask)
{
    uint64_t end = now_ms() + PATIENCE_MS;

    while (now_ms() < end) {
        if (mask & 1u << device_front_state(d))
            return true;
        if (d->open)
            d->serve();
        sleep_us(2000);
    }
    return false;
}

bool device_offer(struct device *d)
{
    device_leave(d);
    say(d, INIT_WAIT);
    return await_front(d, 1u << INITIALISED | 1u << CONNECTED);
}

void device_connected(struct device *d)
{
    say(d, CONNECTED);
    d->open = true;
}

void device_leave(struct device *d)
{
    say(d, CLOSING);
    /* It may publish still: what lies there then is of the life that ends. */
    (void)await_front(d, ~(1u << CONNECTED | 1u << INITIALISED));
    say(d, CLOSED);
    d->open = false;
}

bool device_is_accused(const struct device *d)
{
    return store_read("%s/error", d->error) != NULL;
}

void device_forget_error(struct device *d)
{
    store_rm(d->error, "error");
}

/* ---- rings ---- */

bool ring_open(struct device *d, struct ring *r, const char *ref, const char *channel,
               unsigned slot_size)
{
    unsigned long gref = store_number(d->front, ref, 0),
                  remote = store_number(d->front, channel, 0);

    *r = (struct ring){.slot_size = slot_size, .slots = 1, .port = -1};
    while (r->slots * 2 * slot_size <= PAGE - 64)
        r->slots *= 2;
    r->page = grant_map(d->dom, (uint32_t)gref, true);
    if (r->page != NULL)
        r->port = port_bind(d->dom, (unsigned)remote);
    return r->port >= 0;
}

void ring_close(struct ring *r)
{
    port_unbind(r->port);
    grant_unmap(r->page);
    *r = (struct ring){.port = -1};
}

static volatile uint8_t *slot_of(struct ring *r, uint32_t index)
{
    return r->page->slot + (index & (r->slots - 1)) * r->slot_size;
}

bool ring_take(struct ring *r, void *to, size_t len)
{
    uint32_t waiting = r->page == NULL ? 0 : r->page->req_prod - r->req_cons;

    /* More than fit: an attack wrote there, and the guest has not written since. */
    if (waiting == 0 || waiting > r->slots)
        return false;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    memcpy(to, (const void *)slot_of(r, r->req_cons++), len);
    return true;
}

void ring_answer(struct ring *r, const void *from, size_t len)
{
    memcpy((void *)slot_of(r, r->rsp_prod++), from, len);
}

void ring_push(struct ring *r)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    r->page->rsp_prod = r->rsp_prod;
    port_notify(r->port);
}
