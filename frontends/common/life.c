/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One life of a device after the other.
 *
 * A new life begins when there is hope: the toolstack's directory names a backend, that one has a
 * state, and the toolstack does not want it to end ("online" is 0 while a device is unplugged). All
 * this is read from the store before anything is said, so a device that is not there costs one read
 * a second, no memory and no line in the log.
 *
 * I1 Every wait ends at a deadline, and at life_cancel.
 * I2 Attempts are paced: those that fail, and lives that end at once, are followed by a pause that
 *    doubles each time up to PAUSE_MAX. A backend that comes and goes for ever costs little,
 *    and an honest one is taken on again at PAUSE_MAX after it came, at the latest.
 * I3 What backends keep mapped is bounded: no life begins while they hold more than a
 *    HOSTAGES_SHAREth of memory; what a life can lose is bounded by the frontend.
 * I4 The watch on ourselves lasts from life_init to life_destroy: being moved to another backend,
 *    being unplugged and plugged in are seen in every state.
 */
#include "frontends/common/life.h"

#include "kernel/log.h"
#include "kernel/page.h"
#include "kernel/time.h"
#include "lib/base/format.h"

#define LOOK_AGAIN NSEC_PER_SEC
#define SHORT_LIFE (2 * NSEC_PER_SEC)
#define PAUSE_MIN (100 * NSEC_PER_MSEC)
#define PAUSE_DOUBLINGS 7 /* 12.8 s */
#define HOSTAGES_SHARE 16

/* ---- what the store says ---- */

/* In the watch thread. */
static void on_self_change(struct xs_watch *w)
{
    struct life *life = w->arg;

    atomic_add(&life->changes, 1);
    xb_verify(life->dev);
    life->driver->on_change(life->arg);
}

/* A number in the backend's directory (dir); (absent) when there is none. */
static uint64_t backend_number(const char *dir, const char *name, uint64_t absent)
{
    char path[XS_PATH_MAX + 16];
    uint64_t number;

    format(path, sizeof(path), "%s/%s", dir, name);
    return xs_read_u64(XS_NO_TX, path, 0, UINT32_MAX, &number) == 0 ? number : absent;
}

static bool is_wanted(const struct life *life)
{
    char backend[XS_PATH_MAX];

    if (xs_read(XS_NO_TX, life->self.path, backend, sizeof(backend)) <= 0)
        return false;
    return backend_number(backend, "state", XB_UNKNOWN) != XB_UNKNOWN &&
           backend_number(backend, "online", 1) != 0;
}

static bool too_much_is_kept(void)
{
    return grant_count_quarantined() > page_count_total() / HOSTAGES_SHARE;
}

/* ---- pacing ---- */

static nsec_t pause_after(unsigned failures)
{
    return failures == 0 ? 0 : PAUSE_MIN << MIN(failures - 1, (unsigned)PAUSE_DOUBLINGS);
}

static void note_end(struct life *life, bool lived)
{
    life->ended = time_now();
    if (lived && life->ended - life->began >= SHORT_LIFE)
        life->failures = 0;
    else
        life->failures++;
}

static bool is_cancelled(const struct life *life)
{
    return load_relaxed(&life->dev->cancelled);
}

/* Until (deadline), a change when (sees) and (changes) were counted before, or life_cancel. */
static void rest(struct life *life, nsec_t deadline, bool sees, unsigned changes)
{
    (void)wait_until(&life->dev->changed,
                     is_cancelled(life) || (sees && load_relaxed(&life->changes) != changes),
                     deadline); /* I1 */
}

/* ---- one life ---- */

static int attempt(struct life *life, nsec_t deadline)
{
    struct xb_device *dev = life->dev;
    int rc;

    life->began = time_now();
    rc = xb_open(dev);
    if (rc == 0)
        rc = xb_await(dev, XB_READY, deadline);
    life->connected = rc == 0;
    if (rc == 0)
        rc = life->driver->connect(life->arg, deadline);
    if (rc == 0)
        life->began = time_now();
    return rc;
}

/* (lived): it was open. */
static void end(struct life *life, bool lived)
{
    xb_close(life->dev);
    if (life->connected)
        life->driver->disconnect(life->arg);
    life->connected = false;
    note_end(life, lived);
}

/* ---- for frontends ---- */

int life_init(struct life *life, struct xb_device *dev, const struct life_driver *driver,
              const char *id, void *arg)
{
    char path[XS_PATH_MAX];
    int rc = xb_init(dev, driver->class, id, driver->on_change, arg);

    *life = (struct life){.driver = driver, .arg = arg, .dev = dev};
    list_init(&life->self.link);
    if (rc != 0)
        return rc;
    format(path, sizeof(path), "%s/backend", dev->path);
    rc = xs_watch(&life->self, path, on_self_change, life); /* I4 */
    if (rc != 0)
        log_err("%s: cannot watch %s: error %d", dev->name, path, -rc);
    return rc;
}

int life_open(struct life *life)
{
    int rc = attempt(life, time_now() + XB_CONNECT_TIMEOUT);

    if (rc != 0)
        end(life, false);
    return rc;
}

int life_reopen(struct life *life, nsec_t deadline)
{
    while (!is_cancelled(life) && time_now() < deadline) {
        nsec_t ready = life->ended + pause_after(life->failures); /* I2 */
        unsigned changes = load_relaxed(&life->changes);
        int rc;

        if (time_now() < ready) {
            rest(life, MIN(ready, deadline), false, 0);
            continue;
        }
        if (!is_wanted(life) || too_much_is_kept()) { /* I3 */
            rest(life, MIN(time_now() + LOOK_AGAIN, deadline), true, changes);
            continue;
        }
        rc = attempt(life, MIN(time_now() + XB_CONNECT_TIMEOUT, deadline));
        if (rc == 0)
            return 0;
        end(life, false);
    }
    return is_cancelled(life) ? -ECANCELED : -ETIMEDOUT;
}

void life_close(struct life *life)
{
    if (life->connected)
        end(life, true);
}

void life_cancel(struct life *life)
{
    xb_cancel(life->dev);
}

void life_destroy(struct life *life)
{
    life_close(life);
    xs_unwatch(&life->self);
}
