/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Starting the network: the budget, lwIP, the interfaces, their addresses, in this order, once.
 * The first vif is the default route. "ip=..." of the kernel's command line configures the first
 * vif and outranks its xenstore key "ip"; all others follow their keys, or DHCP without one, also
 * those that are plugged in later: a watch on device/vif finds them.
 * paravane.dns=ADDR[,ADDR] names servers that are asked before all others.
 */
#include "lib/net/net.h"
#include <stdlib.h>
#include <string.h>
#include <arch/page.h>
#include "kernel/heap.h"
#include "kernel/log.h"
#include "kernel/mutex.h"
#include "kernel/option.h"
#include "kernel/page.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "kernel/xenstore.h"
#include "lib/base/errno.h"
#include "lib/base/parse.h"
#include "lib/base/string.h"
#include "lib/net/internal.h"
#include "lib/net/nic.h"
#include <lwip/tcpip.h>

/* A quarter of memory for everything that the network holds. */
#define BUDGET_SHARE 4
#define BUDGET_MIN (256 * 1024)
#define WAIT_DEFAULT 10
#define WAIT_STEP (20 * NSEC_PER_MSEC)

static struct mutex starting = MUTEX_INIT(starting);
static bool started;

static int by_number(const void *a, const void *b)
{
    const char *x = *(char *const *)a, *y = *(char *const *)b;
    size_t lx = strlen(x), ly = strlen(y);
    return lx != ly ? (lx < ly ? -1 : 1) : strcmp(x, y);
}

static void open_all(char **handles, size_t n)
{
    struct net_config config;
    const char *text = option_ip();
    bool given = text != NULL && config_parse(text, &config) == 0;
    if (text != NULL && !given)
        log_warn("net: ip=%s is not understood: using DHCP; write ip=dhcp or "
                 "ip=ADDRESS/PREFIX,GATEWAY,DNS",
                 text);
    qsort(handles, n, sizeof(*handles), by_number);
    for (size_t i = 0; i < n; i++) {
        int rc = nic_open(handles[i], i == 0 && text != NULL ? &config : NULL);
        if (rc != 0)
            log_err("net: vif %s is not usable (error %d); see the line above", handles[i], -rc);
    }
}

static void open_vifs(void)
{
    char **handles;
    size_t n;
    int rc = xs_list(XS_NO_TX, "device/vif", &handles, &n);
    if (rc == 0) {
        open_all(handles, n);
        heap_free(handles);
    }
    if (rc != 0 || n == 0)
        log_warn("net: this domain has no network interface (no key below device/vif): only the "
                 "loopback address works; add vif=[ 'bridge=...' ] to its configuration");
}

/* In the watch thread, with every change below device/vif. */
static void on_vif_change(struct xs_watch *w)
{
    char **handles;
    size_t n;
    if (xs_list(XS_NO_TX, w->path, &handles, &n) != 0)
        return;
    for (size_t i = 0; i < n; i++)
        if (!nic_exists(handles[i]))
            (void)!nic_plug(handles[i]);
    heap_free(handles);
}

static void watch_vifs(void)
{
    static struct xs_watch watch = {.link = LIST_INIT(watch.link)};
    if (xs_watch(&watch, "device/vif", on_vif_change, NULL) != 0)
        log_warn("net: cannot watch device/vif: vifs plugged in later are not seen");
}

static void set_name_servers(void)
{
    char text[128];
    const char *given = option_get("dns");
    if (given == NULL || string_copy(text, sizeof(text), given) != 0)
        return;
    char *second = strchr(text, ',');
    if (second != NULL)
        *second++ = '\0';
    char *word[] = {text, second};
    net_lock();
    for (unsigned i = 0; i < ARRAY_SIZE(word); i++) {
        ip_addr_t ip;
        if (word[i] != NULL && ipaddr_aton(word[i], &ip))
            servers_add(&ip);
        else if (word[i] != NULL)
            log_warn("net: paravane.dns: \"%s\" is not an address", word[i]);
    }
    net_unlock();
}

static bool all_configured(void)
{
    bool all = true;
    net_lock();
    for (unsigned i = 0; i < nic_count(); i++)
        all &= nic_configured(nic_get(i));
    net_unlock();
    return all;
}

static void wait_for_addresses(void)
{
    uint32_t seconds = WAIT_DEFAULT;
    const char *given = option_get("net-wait");
    if (given != NULL && parse_u32(given, 0, 3600, &seconds) != 0)
        log_warn("net: paravane.net-wait=%s is not a number of seconds", given);
    nsec_t deadline = time_now() + seconds * NSEC_PER_SEC;
    bool all;
    while (!(all = all_configured()) && time_now() < deadline)
        thread_sleep_until(time_now() + WAIT_STEP);
    for (unsigned i = 0; i < nic_count(); i++)
        nic_announce(nic_get(i));
    if (!all)
        log_warn("net: no address after %u s: is there a DHCP server? Going on without; give "
                 "ip=ADDRESS/PREFIX in the vif line or on the kernel's command line",
                 seconds);
}

int net_start(void)
{
    mutex_lock(&starting);
    if (!started) {
        budget_init(MAX(page_count_total() * PAGE_SIZE / BUDGET_SHARE, BUDGET_MIN));
        net_random_init();
        net_lock();
        tcpip_init(net_timers_adopt, NULL);
        net_unlock();
        set_name_servers();
        open_vifs();
        watch_vifs();
        wait_for_addresses();
        started = true;
    }
    mutex_unlock(&starting);
    return 0;
}
