/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames between lwIP and netfront.
 *
 * In: netfront wakes the interface's thread, which polls a bounded number of frames under the core
 * lock. A frame in private pages becomes a chain of pbufs over them, charged to the budget while
 * they live; a small one that is only lent is copied. The chain goes through lwIP at once;
 * what a socket keeps it copies, so pages come back in microseconds, except those that are full
 * enough for a stream to keep them (tcp.c), and those of fragments and of segments that came too
 * early, whose number is bounded (lwipopts.h). They go back to netfront, which shows them to its
 * backend again.
 *
 * Out: lwIP's chain is handed to netfront, which copies it; of a large TCP segment (tso.c) with the
 * size to cut to. The backend is told when the core lock is let go (lock.c), so a burst costs one
 * notification.
 *
 * Checksums: lwIP verifies TCP and UDP only in frames that the backend does not vouch for: the
 * interface's flags are set for the time of one frame. (Packets to our own address never leave and
 * are not summed.) Out, TCP's sum is left to the backend when it can, with the
 * pseudo header's sum put in its place; UDP and ICMP are summed by lwIP, as they may be fragmented.
 *
 * Links come and go: while there is none, lwIP knows, and the thread waits for the backend's
 * return. Then the neighbours are told where we are, and TCP sends at once what it did not get
 * through, rather than when its time-outs, grown meanwhile, are over. Addresses stay, and with them
 * the connections, unless the toolstack says another one.
 *
 * A flood must not starve the programs it is meant for: a thread that found a full budget of
 * frames several times in a row goes on with normal priority until it has caught up.
 *
 * I1 pbufs made here are freed only by pbuf_free, their page's charge with them.
 * I2 lwIP sees only private memory: netfront revoked the grants or we copy here.
 * I3 lwIP writes into headers: it turns their bytes round and keeps notes of reassembly in them.
 *    They lie in the first piece of a frame, or it drops the frame. So that piece is zeroed before
 *    its page goes back; the others hold what the backend wrote.
 */
#include "lib/net/nic.h"
#include <arpa/inet.h>
#include <string.h>
#include <arch/page.h>
#include "kernel/heap.h"
#include "kernel/log.h"
#include "kernel/thread.h"
#include "kernel/time.h"
#include "kernel/wait.h"
#include "kernel/xenstore.h"
#include "lib/base/atomic.h"
#include "lib/base/format.h"
#include "lib/base/string.h"
#include "lib/net/internal.h"
#include <lwip/dhcp.h>
#include <lwip/ethip6.h>
#include <lwip/etharp.h>
#include <lwip/inet_chksum.h>
#include <lwip/nd6.h>
#include <lwip/priv/tcp_priv.h>
#include <lwip/prot/ethernet.h>
#include <lwip/prot/ip6.h>
#include <lwip/tcpip.h>
#include <netif/ethernet.h>

#define POLL_BUDGET 64
#define BUSY_ROUNDS 8
#define FRAGS_OUT 64 /* pieces of a frame; what has more is copied before */
#define STACK_SIZE (32 * 1024)
#define HOSTNAME_MAX 64
#define HANDLE_MAX 16
#define REOPEN_PERIOD (60 * NSEC_PER_SEC) /* a wait is never longer; then it begins anew */
#define CHECK_PAYLOAD (NETIF_CHECKSUM_CHECK_TCP | NETIF_CHECKSUM_CHECK_UDP)

struct nic {
    struct netif netif;
    struct netfront *nf;
    char handle[HANDLE_MAX];
    unsigned number; /* in the order of creation */
    struct net_config config;
    bool follows; /* the device's key "ip", as it was last: */
    char ip[sizeof(((struct netfront_info *)0)->ip)];
    struct waitq wait;
    bool attached; /* it is in lwIP */
    bool pending;  /* something to poll */
    bool dirty;    /* frames queued, backend not told; core lock */
    bool full;     /* a frame found the ring full; core lock */
    bool announced;
    bool csum4, csum6, large4, large6; /* the backend sums, and cuts, TCP of that family */
    unsigned busy;                     /* rounds in a row that used up the budget */
    uint64_t starved;
};

static struct nic
    *created[NIC_MAX]; /* written by one thread at a time: the watch's, or net_start */
static unsigned nr_created;
static struct nic *nics[NIC_MAX]; /* those in lwIP; core lock */
static unsigned nr_nics;
static char hostname[HOSTNAME_MAX];

/* --- in --- */

struct page_pbuf {
    struct pbuf_custom custom;
    struct netfront *nf;
    unsigned life; /* of the frame, as netfront says */
    void *page, *data;
    u16_t dirty;               /* so many bytes at (data) may not be what the backend wrote */
    struct stream_piece piece; /* in use while a stream keeps it */
};

static void free_page_pbuf(struct pbuf *p)
{
    struct page_pbuf *pp = CONTAINER_OF(p, struct page_pbuf, custom.pbuf);
    memset(pp->data, 0, pp->dirty); /* I3 */
    netfront_give_back(pp->nf, pp->page, pp->life);
    budget_release(PAGE_SIZE); /* I1 */
    net_free(pp);
}

/* A pbuf over the page of piece (i) of (frame), which it then owns. NULL: out of budget, the page
 * is not owned. */
static struct pbuf *page_pbuf(struct netfront *nf, const struct netfront_frame *frame, unsigned i)
{
    const struct netfront_frag *frag = &frame->frag[i];
    if (!budget_charge(PAGE_SIZE))
        return NULL;
    struct page_pbuf *pp = net_alloc(sizeof(*pp));
    if (pp == NULL) {
        budget_release(PAGE_SIZE);
        return NULL;
    }
    pp->nf = nf;
    pp->life = frame->life;
    pp->page = frag->page;
    pp->data = frag->data;
    pp->dirty = i == 0 ? frag->len : 0;
    pp->custom.custom_free_function = free_page_pbuf;
    return pbuf_alloced_custom(PBUF_RAW, frag->len, PBUF_REF, &pp->custom, frag->data, frag->len);
}

static void release_piece(struct stream_piece *piece)
{
    pbuf_free(&CONTAINER_OF(piece, struct page_pbuf, piece)->custom.pbuf);
}

bool nic_is_page(const struct pbuf *p)
{
    return (p->flags & PBUF_FLAG_IS_CUSTOM) &&
           ((const struct pbuf_custom *)p)->custom_free_function == free_page_pbuf;
}

struct stream_piece *nic_lend(struct pbuf *p)
{
    struct page_pbuf *pp = CONTAINER_OF(p, struct page_pbuf, custom.pbuf);
    pbuf_ref(p);
    pp->piece = (struct stream_piece){
        .data = p->payload, .end = p->len, .memory = PAGE_SIZE, .release = release_piece};
    return &pp->piece;
}

static struct pbuf *frag_pbuf(struct netfront *nf, const struct netfront_frame *frame, unsigned i)
{
    const struct netfront_frag *frag = &frame->frag[i];
    if (frag->page != NULL)
        return page_pbuf(nf, frame, i);
    struct pbuf *p = pbuf_alloc(PBUF_RAW, frag->len, PBUF_RAM);
    if (p != NULL)
        memcpy(p->payload, frag->data, frag->len); /* I2 */
    return p;
}

/* The frame as a chain, which owns its pages; NULL when memory is out, pages given back. */
static struct pbuf *frame_pbuf(struct netfront *nf, const struct netfront_frame *frame)
{
    struct pbuf *chain = NULL;
    bool failed = frame->len > UINT16_MAX;
    for (unsigned i = 0; i < frame->nr_frags; i++) {
        struct pbuf *p = failed ? NULL : frag_pbuf(nf, frame, i);
        failed = p == NULL;
        if (failed && frame->frag[i].page != NULL)
            netfront_give_back(nf, frame->frag[i].page, frame->life);
        if (!failed && chain != NULL)
            pbuf_cat(chain, p);
        else if (!failed)
            chain = p;
    }
    if (failed && chain != NULL)
        pbuf_free(chain);
    return failed ? NULL : chain;
}

/* Which sums lwIP verifies in what comes in on (nic). */
static void set_checks(struct nic *nic, u16_t checks)
{
    nic->netif.chksum_flags = (u16_t)((nic->netif.chksum_flags & ~CHECK_PAYLOAD) | checks);
}

/* Called by netfront_poll, core lock held. */
static void input(void *arg, struct netfront_frame *frame)
{
    struct nic *nic = arg;
    struct pbuf *p = frame_pbuf(nic->nf, frame);
    if (p == NULL) {
        nic->starved++;
        return;
    }
    if (frame->csum == NETFRONT_CSUM_NONE)
        set_checks(nic, CHECK_PAYLOAD);
    if (ethernet_input(p, &nic->netif) != ERR_OK)
        pbuf_free(p);
    set_checks(nic, 0);
}

/* --- out --- */

/* The sum over (proto), (len) and both addresses of (addr_len) bytes, not complemented: what
 * summing goes on from. */
static u16_t pseudo_sum(const u8_t *addrs, unsigned addr_len, u8_t proto, u16_t len)
{
    u32_t sum = lwip_htons(proto) + lwip_htons(len);
    for (unsigned i = 0; i < 2 * addr_len; i += 2) {
        u16_t word;
        memcpy(&word, addrs + i, 2);
        sum += word;
    }
    sum = (sum & 0xffff) + (sum >> 16);
    return (u16_t)((sum & 0xffff) + (sum >> 16));
}

/* TCP's header in the frame (p), NULL: it has none. Headers lie in the first pbuf: lwIP makes them
 * in one piece. */
static u8_t *tcp_header(const struct pbuf *p)
{
    u8_t *frame = p->payload, *ip = frame + SIZEOF_ETH_HDR, *tcp = NULL;
    if (p->len < SIZEOF_ETH_HDR + IP_HLEN + TCP_HLEN)
        return NULL;
    u16_t type = ((struct eth_hdr *)p->payload)->type;
    if (type == PP_HTONS(ETHTYPE_IP) && ip[9] == IP_PROTO_TCP)
        tcp = ip + (ip[0] & 15) * 4;
    else if (type == PP_HTONS(ETHTYPE_IPV6) && ip[6] == IP6_NEXTH_TCP)
        tcp = ip + IP6_HLEN;
    return tcp != NULL && tcp + TCP_HLEN <= frame + p->len ? tcp : NULL;
}

/* In the place of TCP's sum, that of the pseudo header. */
static void fill_pseudo_sum(u8_t *frame, u8_t *tcp)
{
    u8_t *ip = frame + SIZEOF_ETH_HDR;
    u16_t sum;
    if (ip[0] >> 4 == 4)
        sum =
            pseudo_sum(ip + 12, 4, IP_PROTO_TCP, (u16_t)((ip[2] << 8 | ip[3]) - (u16_t)(tcp - ip)));
    else
        sum = pseudo_sum(ip + 8, 16, IP_PROTO_TCP, (u16_t)(ip[4] << 8 | ip[5]));
    memcpy(tcp + 16, &sum, sizeof(sum));
}

/* What the backend makes of it: with the pseudo header's in place, the sum of the rest is TCP's. */
static void finish_sum(struct pbuf *p, u8_t *tcp)
{
    size_t before = (size_t)(tcp - (u8_t *)p->payload);
    (void)pbuf_remove_header(p, before);
    u16_t sum = inet_chksum_pbuf(p);
    (void)pbuf_header_force(p, (s16_t)before);
    memcpy(tcp + 16, &sum, sizeof(sum));
}

/* TCP's sum in the frame (p), whole or as far as the backend wants it. */
static enum netfront_csum fill_sum(const struct nic *nic, struct pbuf *p, u8_t *tcp)
{
    bool six = ((u8_t *)p->payload)[SIZEOF_ETH_HDR] >> 4 == 6;
    fill_pseudo_sum(p->payload, tcp);
    if (six ? nic->csum6 : nic->csum4)
        return NETFRONT_CSUM_BLANK;
    finish_sum(p, tcp);
    return NETFRONT_CSUM_NONE;
}

/* Fragments for the chain, neighbours in memory joined. The count, or 0 when there are too many. */
static unsigned chain_frags(const struct pbuf *p, struct netfront_frag frag[FRAGS_OUT])
{
    unsigned n = 0;
    for (; p != NULL; p = p->next) {
        bool joins = n > 0 && (u8_t *)frag[n - 1].data + frag[n - 1].len == p->payload;
        if (joins) {
            frag[n - 1].len = (uint16_t)(frag[n - 1].len + p->len);
            continue;
        }
        if (n == FRAGS_OUT)
            return 0;
        frag[n++] = (struct netfront_frag){p->payload, p->len, NULL};
    }
    return n;
}

/* (cut): 0, or into what size of payload the backend is to cut it. */
static err_t send_frags(struct nic *nic, const struct netfront_frag *frag, unsigned n,
                        enum netfront_csum csum, u16_t cut)
{
    int rc = cut != 0 ? netfront_send_large(nic->nf, frag, n, cut)
                      : netfront_send(nic->nf, frag, n, csum);
    if (rc == 0)
        nic->dirty = true;
    if (rc == -ENOBUFS)
        nic->full = true; /* TCP keeps the segment; see poll_once */
    return rc == 0 ? ERR_OK : rc == -ENOBUFS ? ERR_MEM : ERR_IF;
}

/* lwIP's linkoutput: one frame, (p) stays the caller's. Core lock held. */
static err_t output(struct netif *netif, struct pbuf *p)
{
    struct nic *nic = netif->state;
    struct netfront_frag frag[FRAGS_OUT];
    enum netfront_csum csum = NETFRONT_CSUM_NONE;
    u8_t *tcp = tcp_header(p);
    u16_t cut = 0;
    if (tcp != NULL) {
        unsigned headers = (unsigned)(tcp - (u8_t *)p->payload) + (tcp[12] >> 4) * 4;
        csum = fill_sum(nic, p, tcp);
        cut = p->tot_len > headers + p->cut ? p->cut : 0;
    }
    unsigned n = chain_frags(p, frag);
    if (n > 0)
        return send_frags(nic, frag, n, csum, cut);
    struct pbuf *whole = pbuf_clone(PBUF_RAW, PBUF_RAM, p);
    if (whole == NULL)
        return ERR_MEM;
    err_t err = send_frags(nic, frag, chain_frags(whole, frag), csum, cut);
    pbuf_free(whole);
    return err;
}

bool nic_cuts(const struct netif *netif, bool six)
{
    const struct nic *nic = netif->state;
    return netif->linkoutput == output && (six ? nic->large6 : nic->large4);
}

void nic_kick_all(void)
{
    for (unsigned i = 0; i < nr_nics; i++) {
        if (!nics[i]->dirty)
            continue;
        nics[i]->dirty = false;
        netfront_kick(nics[i]->nf);
    }
}

/* --- the thread --- */

/* netfront's wake: any context, event handlers included. */
static void wake(void *arg)
{
    struct nic *nic = arg;
    store_release(&nic->pending, true);
    waitq_wake_all(&nic->wait);
}

static void mind_priority(struct nic *nic, bool more)
{
    nic->busy = more ? nic->busy + 1 : 0;
    if (nic->busy == BUSY_ROUNDS)
        thread_set_prio(thread_current(), PRIO_NORMAL);
    else if (nic->busy == 0)
        thread_set_prio(thread_current(), PRIO_DRIVER);
}

static void poll_once(struct nic *nic)
{
    net_lock();
    bool more = netfront_poll(nic->nf, POLL_BUDGET);
    if (nic->full) {
        nic->full = false;
        tcp_txnow(); /* segments that found the ring full */
    }
    net_unlock();
    mind_priority(nic, more);
    if (more) {
        store_relaxed(&nic->pending, true);
        thread_yield();
    }
}

/* --- set-up --- */

/* What may be another in each life. Core lock held. */
static void adopt_properties(struct nic *nic, const struct netfront_info *info)
{
    struct netif *netif = &nic->netif;
    netif->mtu = netif->mtu6 = info->mtu;
    memcpy(netif->hwaddr, info->mac, ETH_HWADDR_LEN);
    set_checks(nic, 0);
    nic->csum4 = info->csum_offload;
    nic->csum6 = info->csum_offload6;
    nic->large4 = info->large4;
    nic->large6 = info->large6;
}

/* lwIP's list is the new one already. Core lock held. */
static void tell_groups(struct netif *netif)
{
    struct nic *nic = netif->state;
    struct netfront_groups groups;
    groups_of(netif, &groups);
    netfront_set_groups(nic->nf, &groups);
}

static err_t on_group4(struct netif *netif, const ip4_addr_t *group,
                       enum netif_mac_filter_action action)
{
    (void)group;
    (void)action;
    tell_groups(netif);
    return ERR_OK;
}

static err_t on_group6(struct netif *netif, const ip6_addr_t *group,
                       enum netif_mac_filter_action action)
{
    (void)group;
    (void)action;
    tell_groups(netif);
    return ERR_OK;
}

static err_t init_netif(struct netif *netif)
{
    struct nic *nic = netif->state;
    struct netfront_info info;
    netfront_get_info(nic->nf, &info);
    netif->name[0] = 'v';
    netif->name[1] = 'i';
    netif->hwaddr_len = ETH_HWADDR_LEN;
    adopt_properties(nic, &info);
    netif->output = etharp_output;
    netif->output_ip6 = ethip6_output;
    netif->linkoutput = output;
    netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET |
                   NETIF_FLAG_IGMP | NETIF_FLAG_MLD6;
    netif_set_igmp_mac_filter(netif, on_group4);
    netif_set_mld_mac_filter(netif, on_group6);
    netif_set_hostname(netif, hostname);
    return ERR_OK;
}

/* Addresses that somebody assigned are used at once; those we derive are first asked for. */
static void set_ip6(struct nic *nic)
{
    struct netif *netif = &nic->netif;
    for (unsigned i = 0; i < nic->config.nr_ip6; i++) {
        s8_t slot = -1;
        ip6_addr_t ip = nic->config.ip6[i];
        ip6_addr_assign_zone(&ip, IP6_UNICAST, netif);
        if (netif_add_ip6_address(netif, &ip, &slot) != ERR_OK || slot < 0)
            continue;
        netif_ip6_addr_set_valid_life(netif, slot, IP6_ADDR_LIFE_STATIC);
        netif_ip6_addr_set_state(netif, slot, IP6_ADDR_PREFERRED);
    }
}

static void set_addresses(struct nic *nic)
{
    const struct net_config *c = &nic->config;
    if (c->has_ip4)
        netif_set_addr(&nic->netif, &c->addr, &c->mask, &c->gateway);
    set_ip6(nic);
    for (unsigned i = 0; i < c->nr_dns; i++)
        servers_add(&c->dns[i]);
}

/* A name that DHCP servers accept, from the domain's own. */
static void read_hostname(void)
{
    if (hostname[0] != '\0')
        return;
    if (xs_read(XS_NO_TX, "name", hostname, sizeof(hostname)) <= 0)
        format(hostname, sizeof(hostname), "paravane");
    for (char *p = hostname; *p != '\0'; p++) {
        bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
                     (*p >= '0' && *p <= '9') || *p == '-';
        if (!plain)
            *p = '-';
    }
}

/* Core lock held. */
static void start_dhcp(struct nic *nic)
{
    if (nic->config.dhcp && dhcp_start(&nic->netif) != ERR_OK)
        log_err("net: DHCP does not start: out of memory");
}

/* The configuration that the device's key "ip" gives. */
static void parse_key(struct nic *nic, const struct netfront_info *info)
{
    string_copy(nic->ip, sizeof(nic->ip), info->ip);
    if (config_parse(info->ip, &nic->config) != 0)
        log_warn("%s: xenstore key \"ip\" is not an address (\"%s\"): using DHCP; correct ip= in "
                 "the domain's vif line",
                 info->name, info->ip);
}

/* Into lwIP, in which it stays. */
static int attach(struct nic *nic)
{
    struct netfront_info info;
    netfront_get_info(nic->nf, &info);
    if (nic->follows)
        parse_key(nic, &info);
    net_lock();
    struct netif *added = netif_add_noaddr(&nic->netif, nic, init_netif, tcpip_input);
    if (added != NULL) {
        struct nic *first = netif_default == NULL ? NULL : netif_default->state;
        if (first == NULL || nic->number < first->number)
            netif_set_default(added);
        nics[nr_nics] = nic;
        store_release(&nr_nics, nr_nics + 1); /* some look without the lock */
        nic->attached = true;
        netif_create_ip6_linklocal_address(added, 1);
        netif_set_ip6_autoconfig_enabled(added, 1);
        set_addresses(nic);
        netif_set_up(added);
        netif_set_link_up(added);
        start_dhcp(nic);
    }
    net_unlock();
    if (added == NULL)
        log_err("%s: no memory for an interface", info.name);
    return added == NULL ? -ENOMEM : 0;
}

/* Frames may only come in for an interface that is in lwIP. */
static int attach_or_close(struct nic *nic)
{
    int rc = attach(nic);
    if (rc != 0)
        netfront_close(nic->nf);
    return rc;
}

/* --- the link comes and goes --- */

/* The toolstack plugged the vif in with another address. None says nothing: then the old one stays.
 * Core lock held. */
static void follow_key(struct nic *nic, const struct netfront_info *info)
{
    if (!nic->follows || info->ip[0] == '\0' || strcmp(info->ip, nic->ip) == 0)
        return;
    dhcp_release_and_stop(&nic->netif);
    for (s8_t slot = 1; slot < LWIP_IPV6_NUM_ADDRESSES; slot++)
        if (netif_ip6_addr_isstatic(&nic->netif, slot))
            netif_ip6_addr_set_state(&nic->netif, slot, IP6_ADDR_INVALID);
    netif_set_addr(&nic->netif, NULL, NULL, NULL);
    parse_key(nic, info);
    set_addresses(nic);
    start_dhcp(nic);
    nic->announced = false;
}

static void link_down(struct nic *nic)
{
    net_lock();
    if (nic->attached)
        netif_set_link_down(&nic->netif);
    net_unlock();
}

/* lwIP itself tells the neighbours of IPv4, and the multicast groups. */
static void link_up(struct nic *nic)
{
    struct netfront_info info;
    netfront_get_info(nic->nf, &info);
    net_lock();
    adopt_properties(nic, &info);
    nd6_clear_destination_cache(); /* with each it noted the mtu that was */
    follow_key(nic, &info);
    netif_set_link_up(&nic->netif);
    neighbours_tell(&nic->netif);
    tcp_hurry(&nic->netif);
    net_unlock();
}

/* There is no link: until there is one again. */
static void come_back(struct nic *nic)
{
    link_down(nic);
    while (netfront_reopen(nic->nf, time_now() + REOPEN_PERIOD) != 0)
        ;
    if (nic->attached)
        link_up(nic);
    else
        (void)attach_or_close(nic); /* the next attempt comes after a pause */
}

static void run(void *arg)
{
    struct nic *nic = arg;
    for (;;) {
        while (!netfront_link(nic->nf))
            come_back(nic);
        wait_until(&nic->wait, load_acquire(&nic->pending), NEVER);
        store_relaxed(&nic->pending, false);
        poll_once(nic);
        netfront_mind_groups(nic->nf);
        if (!nic->announced && nic->netif.flags & NETIF_FLAG_UP)
            nic_announce(nic);
    }
}

static int start_thread(struct nic *nic)
{
    struct thread *t;
    store_relaxed(&nic->pending, true); /* what came before the thread */
    char name[HANDLE_MAX + 4];
    format(name, sizeof(name), "vif%s", nic->handle);
    int rc = thread_create(name, PRIO_DRIVER, STACK_SIZE, run, nic, &t);
    if (rc == 0)
        thread_detach(t);
    return rc;
}

/* --- creation --- */

static int create(const char *handle, const struct net_config *config, struct nic **out)
{
    static bool said; /* the watch comes here with every change */
    if (nr_created == NIC_MAX && said)
        return -ENOSPC;
    if (nr_created == NIC_MAX) {
        said = true;
        log_warn("net: vif %s is not used: at most %u interfaces", handle, NIC_MAX);
        return -ENOSPC;
    }
    struct nic *nic = heap_alloc_zeroed(sizeof(*nic));
    if (nic == NULL)
        return -ENOMEM;
    waitq_init(&nic->wait);
    nic->follows = config == NULL;
    if (config != NULL)
        nic->config = *config;
    struct netfront_user user = {.arg = nic, .input = input, .wake = wake};
    int rc = string_copy(nic->handle, sizeof(nic->handle), handle);
    if (rc == 0)
        rc = netfront_create(handle, &user, &nic->nf);
    if (rc != 0) {
        heap_free(nic);
        return rc;
    }
    nic->netif.state = nic;
    tell_groups(&nic->netif); /* before the first life */
    nic->number = nr_created;
    created[nr_created++] = nic;
    read_hostname();
    *out = nic;
    return 0;
}

int nic_open(const char *handle, const struct net_config *config)
{
    struct nic *nic;
    int rc = create(handle, config, &nic);
    if (rc != 0)
        return rc;
    rc = netfront_open(nic->nf);
    if (rc == 0)
        rc = attach_or_close(nic);
    int started = start_thread(nic);
    return rc == 0 ? started : rc;
}

int nic_plug(const char *handle)
{
    struct nic *nic;
    int rc = create(handle, NULL, &nic);
    return rc == 0 ? start_thread(nic) : rc;
}

bool nic_exists(const char *handle)
{
    for (unsigned i = 0; i < nr_created; i++)
        if (strcmp(created[i]->handle, handle) == 0)
            return true;
    return false;
}

unsigned nic_count(void)
{
    return load_acquire(&nr_nics);
}

struct nic *nic_get(unsigned i)
{
    return i < nic_count() ? nics[i] : NULL;
}

struct netif *nic_netif(struct nic *nic)
{
    return &nic->netif;
}

void nic_get_info(struct nic *nic, struct netfront_info *out)
{
    netfront_get_info(nic->nf, out);
}

uint64_t nic_starved(struct nic *nic)
{
    return nic->starved;
}

bool nic_configured(struct nic *nic)
{
    const struct netif *n = &nic->netif;
    if (!netif_is_link_up(n))
        return false;
    if (nic->config.dhcp || nic->config.has_ip4)
        return !ip4_addr_isany(netif_ip4_addr(n));
    return true;
}

void netif_ip6_text(const struct netif *n, unsigned slot, char *buf, size_t size)
{
    bool tentative = ip6_addr_istentative(netif_ip6_addr_state(n, slot));

    format(buf, size, tentative ? "tentative" : "none");
    if (ip6_addr_isvalid(netif_ip6_addr_state(n, slot)))
        inet_ntop(AF_INET6, netif_ip6_addr(n, slot)->addr, buf, (socklen_t)size);
}

void nic_ip6_text(struct nic *nic, unsigned slot, char *buf, size_t size)
{
    netif_ip6_text(&nic->netif, slot, buf, size);
}

void nic_announce(struct nic *nic)
{
    char ip4[IP4ADDR_STRLEN_MAX] = "no IPv4 address", gw[IP4ADDR_STRLEN_MAX] = "none";
    char ip6[IP6ADDR_STRLEN_MAX] = "";
    struct netfront_info info;
    net_lock();
    bool ready = nic_configured(nic);
    bool say = ready && !nic->announced;
    nic->announced |= ready;
    if (!ip4_addr_isany(netif_ip4_addr(&nic->netif)))
        ip4addr_ntoa_r(netif_ip4_addr(&nic->netif), ip4, sizeof(ip4));
    if (!ip4_addr_isany(netif_ip4_gw(&nic->netif)))
        ip4addr_ntoa_r(netif_ip4_gw(&nic->netif), gw, sizeof(gw));
    u8_t slot = ip6_addr_isvalid(netif_ip6_addr_state(&nic->netif, 1)) ? 1 : 0;
    nic_ip6_text(nic, slot, ip6, sizeof(ip6));
    net_unlock();
    if (!say)
        return;
    netfront_get_info(nic->nf, &info);
    log_info("%s: %s (%s), gateway %s, %s", info.name, ip4, nic->config.dhcp ? "DHCP" : "static",
             gw, ip6);
}
