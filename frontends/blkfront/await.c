/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Waiting for a disk that is plugged in while the domain runs: its directory appears in the store,
 * all of it at once (toolstacks write it in one transaction).
 */
#include "frontends/blkfront/internal.h"

#include "kernel/time.h"
#include "kernel/wait.h"
#include "lib/base/format.h"
#include "lib/base/parse.h"

struct arrival {
    struct xs_watch watch;
    struct waitq wait;
    bool news;
};

static void on_change(struct xs_watch *w)
{
    struct arrival *a = w->arg;

    store_release(&a->news, true);
    waitq_wake_all(&a->wait);
}

static bool is_there(const char *path)
{
    char backend[XS_PATH_MAX];

    return xs_read(XS_NO_TX, path, backend, sizeof(backend)) >= 0;
}

int blkfront_await(const char *id, nsec_t deadline)
{
    char path[sizeof("device/vbd/4294967295/backend")];
    struct arrival a = {.news = false};
    uint32_t vbd;
    int rc = parse_u32(id, 0, UINT32_MAX, &vbd);

    if (rc != 0)
        return -EINVAL;
    format(path, sizeof(path), "device/vbd/%u/backend", vbd);
    waitq_init(&a.wait);
    rc = xs_watch(&a.watch, path, on_change, &a);
    if (rc != 0)
        return rc;
    while (rc == 0 && !is_there(path))
        rc = wait_until(&a.wait, atomic_exchange(&a.news, false), deadline);
    xs_unwatch(&a.watch);
    return rc;
}
