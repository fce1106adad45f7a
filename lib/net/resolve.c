/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names to addresses: numbers as they are, "localhost" without asking, everything else by lwIP's
 * resolver, which asks, caches and gives up by itself after some seconds. Both families are
 * asked for in turn when the caller takes both; IPv4 comes first in the answer unless only IPv6
 * exists.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include "kernel/heap.h"
#include "kernel/mutex.h"
#include "kernel/time.h"
#include "kernel/wait.h"
#include "lib/base/atomic.h"
#include "lib/base/format.h"
#include "lib/base/parse.h"
#include "lib/net/address.h"
#include "lib/net/internal.h"
#include "lib/net/nic.h"
#include <lwip/dns.h>

#define ASK_TIMEOUT (40 * NSEC_PER_SEC) /* lwIP's own limit is shorter */
#define ADDRESSES_MAX 2                 /* lwIP keeps one for each family */
/* lwIP does not say whether a server said no or none said anything, but the latter takes it more
 * than six seconds. A late no is called silence as well: that invites to ask again. */
#define SILENCE (5 * NSEC_PER_SEC)

/* --- asking --- */

/* One question; the last of asker and answerer frees it. */
struct question {
    struct waitq wait;
    unsigned users;
    bool answered, found;
    ip_addr_t ip;
};

static void put_question(struct question *q)
{
    if (atomic_sub(&q->users, 1) == 0)
        heap_free(q);
}

static void on_answer(const char *name, const ip_addr_t *ip, void *arg)
{
    struct question *q = arg;
    (void)name;
    q->found = ip != NULL;
    if (ip != NULL)
        q->ip = *ip;
    store_release(&q->answered, true);
    waitq_wake_all(&q->wait);
    put_question(q);
}

static int await_answer(struct question *q, ip_addr_t *out)
{
    nsec_t start = time_now();
    if (wait_until(&q->wait, load_acquire(&q->answered), time_now() + ASK_TIMEOUT) != 0)
        return EAI_AGAIN;
    *out = q->ip;
    return q->found ? 0 : time_now() - start > SILENCE ? EAI_AGAIN : EAI_NONAME;
}

static int ask(const char *name, u8_t type, ip_addr_t *out)
{
    struct question *q = heap_alloc_zeroed(sizeof(*q));
    if (q == NULL)
        return EAI_MEMORY;
    waitq_init(&q->wait);
    q->users = 2;
    net_lock();
    servers_restore();
    err_t err = dns_gethostbyname_addrtype(name, out, on_answer, q, type);
    net_unlock();
    if (err != ERR_INPROGRESS)
        put_question(q); /* nobody will answer */
    int rc = err == ERR_OK           ? 0
             : err == ERR_INPROGRESS ? await_answer(q, out)
             : err == ERR_MEM        ? EAI_MEMORY
             : err == ERR_ARG        ? EAI_NONAME
                                     : EAI_AGAIN; /* ERR_VAL: no server is known */
    put_question(q);
    return rc;
}

/* --- node and service to lists of addresses and a port --- */

struct found {
    ip_addr_t ip[ADDRESSES_MAX];
    unsigned n;
};

static bool numeric(const char *node, ip_addr_t *out)
{
    struct in_addr in;
    struct in6_addr in6;
    if (inet_pton(AF_INET6, node, &in6) == 1)
        return ipaddr_aton(node, out) != 0;
    if (inet_aton(node, &in) == 0)
        return false;
    ip_addr_set_ip4_u32_val(*out, in.s_addr);
    return true;
}

static void add(struct found *f, const ip_addr_t *ip)
{
    f->ip[f->n++] = *ip;
}

/* The wildcard for servers, the loopback address for clients, in the families wanted. */
static void add_own(struct found *f, bool v4, bool v6, bool passive)
{
    ip_addr_t four = IPADDR4_INIT(passive ? 0 : PP_HTONL(INADDR_LOOPBACK));
    ip_addr_t six = IPADDR6_INIT(0, 0, 0, passive ? 0 : PP_HTONL(1));
    if (v4)
        add(f, &four);
    if (v6)
        add(f, &six);
}

/* AI_ADDRCONFIG, and the sensible thing for all who take any family: ask for IPv6 addresses only
 * when one could be reached from here. */
static bool has_global_ip6(void)
{
    bool has = false;
    net_lock();
    for (unsigned i = 0; i < nic_count(); i++)
        for (unsigned slot = 1; slot < LWIP_IPV6_NUM_ADDRESSES; slot++)
            has |= ip6_addr_isvalid(netif_ip6_addr_state(nic_netif(nic_get(i)), slot)) != 0;
    net_unlock();
    return has;
}

static int ask_all(const char *node, int family, struct found *f)
{
    int rc4 = EAI_NONAME, rc6 = EAI_NONAME;
    ip_addr_t ip;
    if (family != AF_INET6 && (rc4 = ask(node, LWIP_DNS_ADDRTYPE_IPV4, &ip)) == 0)
        add(f, &ip);
    bool six = family == AF_INET6 ||
               (family == AF_UNSPEC && rc4 != EAI_AGAIN && (rc4 != 0 || has_global_ip6()));
    if (six && (rc6 = ask(node, LWIP_DNS_ADDRTYPE_IPV6, &ip)) == 0)
        add(f, &ip);
    if (f->n > 0)
        return 0;
    return family == AF_INET6 ? rc6 : rc4;
}

static int find_node(const char *node, int family, int flags, struct found *f)
{
    bool v4 = family != AF_INET6, v6 = family != AF_INET;
    ip_addr_t ip;
    if (node == NULL || strcmp(node, "localhost") == 0) {
        add_own(f, v4, v6, node == NULL && (flags & AI_PASSIVE) != 0);
        return 0;
    }
    if (numeric(node, &ip)) {
        if (IP_IS_V4_VAL(ip) ? !v4 : !v6)
            return EAI_NONAME;
        add(f, &ip);
        return 0;
    }
    return flags & AI_NUMERICHOST ? EAI_NONAME : ask_all(node, family, f);
}

static struct servent services[] = {
    {(char *)"http", NULL, 80, (char *)"tcp"},   {(char *)"https", NULL, 443, (char *)"tcp"},
    {(char *)"domain", NULL, 53, (char *)"udp"}, {(char *)"ntp", NULL, 123, (char *)"udp"},
    {(char *)"ftp", NULL, 21, (char *)"tcp"},    {(char *)"ssh", NULL, 22, (char *)"tcp"},
    {(char *)"smtp", NULL, 25, (char *)"tcp"},   {(char *)"syslog", NULL, 514, (char *)"udp"},
    {(char *)"tftp", NULL, 69, (char *)"udp"},   {(char *)"echo", NULL, 7, (char *)"tcp"},
};

static int find_service(const char *service, int flags, uint16_t *port)
{
    uint32_t number = 0;
    *port = 0;
    if (service == NULL)
        return 0;
    if (parse_u32(service, 0, 65535, &number) == 0) {
        *port = (uint16_t)number;
        return 0;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(services) && !(flags & AI_NUMERICSERV); i++) {
        if (strcmp(services[i].s_name, service) != 0)
            continue;
        *port = (uint16_t)services[i].s_port;
        return 0;
    }
    return flags & AI_NUMERICSERV ? EAI_NONAME : EAI_SERVICE;
}

/* --- getaddrinfo --- */

/* One allocation for each entry. */
struct entry {
    struct addrinfo info;
    struct sockaddr_storage addr;
    char name[];
};

static struct addrinfo *make_entry(const ip_addr_t *ip, uint16_t port, int type, int protocol,
                                   const char *name)
{
    struct entry *e = calloc(1, sizeof(*e) + (name == NULL ? 0 : strlen(name) + 1));
    if (e == NULL)
        return NULL;
    int family = IP_IS_V4(ip) ? AF_INET : AF_INET6;
    socklen_t len = sizeof(e->addr);
    address_give(family, ip, port, (struct sockaddr *)&e->addr, &len);
    e->info = (struct addrinfo){.ai_family = family,
                                .ai_socktype = type,
                                .ai_protocol = protocol,
                                .ai_addrlen = len,
                                .ai_addr = (struct sockaddr *)&e->addr};
    if (name != NULL)
        e->info.ai_canonname = strcpy(e->name, name);
    return &e->info;
}

static const struct {
    int type, protocol;
} kinds[] = {{SOCK_STREAM, IPPROTO_TCP}, {SOCK_DGRAM, IPPROTO_UDP}};

/* An entry for each address and each kind of socket that the hints leave open. */
static int make_list(const struct found *f, uint16_t port, const struct addrinfo *hints,
                     const char *name, struct addrinfo **out)
{
    struct addrinfo **tail = out;
    for (unsigned i = 0; i < f->n * ARRAY_SIZE(kinds); i++) {
        int type = kinds[i % ARRAY_SIZE(kinds)].type;
        int protocol = kinds[i % ARRAY_SIZE(kinds)].protocol;
        if ((hints->ai_socktype != 0 && hints->ai_socktype != type) ||
            (hints->ai_protocol != 0 && hints->ai_protocol != protocol))
            continue;
        *tail = make_entry(&f->ip[i / ARRAY_SIZE(kinds)], port, type, protocol,
                           *out == NULL ? name : NULL);
        if (*tail == NULL)
            return EAI_MEMORY;
        tail = &(*tail)->ai_next;
    }
    return *out == NULL ? EAI_SOCKTYPE : 0;
}

static int look_up(const char *node, const char *service, const struct addrinfo *hints,
                   struct addrinfo **out)
{
    struct found f = {.n = 0};
    uint16_t port;
    int family = hints->ai_family, flags = hints->ai_flags;
    if (node == NULL && service == NULL)
        return EAI_NONAME;
    if (family != AF_UNSPEC && family != AF_INET && family != AF_INET6)
        return EAI_FAMILY;
    int rc = find_service(service, flags, &port);
    if (rc == 0)
        rc = find_node(node, family, flags, &f);
    if (rc == 0)
        rc = make_list(&f, port, hints, flags & AI_CANONNAME ? node : NULL, out);
    return rc;
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **out)
{
    static const struct addrinfo no_hints;
    int rc = net_start();
    *out = NULL;
    if (rc != 0) {
        errno = -rc;
        return EAI_SYSTEM;
    }
    rc = look_up(node, service, hints == NULL ? &no_hints : hints, out);
    if (rc != 0) {
        freeaddrinfo(*out);
        *out = NULL;
    }
    return rc;
}

void freeaddrinfo(struct addrinfo *list)
{
    while (list != NULL) {
        struct addrinfo *next = list->ai_next;
        free(list); /* the entry's first member */
        list = next;
    }
}

const char *gai_strerror(int error)
{
    switch (error) {
    case 0:
        return "no error";
    case EAI_NONAME:
        return "name or service not known";
    case EAI_AGAIN:
        return "no name server answered";
    case EAI_FAMILY:
        return "address family not supported";
    case EAI_SOCKTYPE:
        return "socket type not supported";
    case EAI_SERVICE:
        return "service not known";
    case EAI_MEMORY:
        return "out of memory";
    case EAI_SYSTEM:
        return "system error";
    case EAI_OVERFLOW:
        return "buffer too small";
    default:
        return "resolver error";
    }
}

/* --- the other way, and the old calls --- */

static int put_text(char *buf, socklen_t size, const char *text)
{
    if (strlen(text) >= size)
        return EAI_OVERFLOW;
    strcpy(buf, text);
    return 0;
}

int getnameinfo(const struct sockaddr *addr, socklen_t len, char *host, socklen_t hostlen,
                char *serv, socklen_t servlen, int flags)
{
    char text[INET6_ADDRSTRLEN];
    ip_addr_t ip;
    uint16_t port;
    int rc = address_take(addr->sa_family, addr, len, &ip, &port);
    if (rc != 0 || (addr->sa_family != AF_INET && addr->sa_family != AF_INET6))
        return EAI_FAMILY;
    if (flags & NI_NAMEREQD)
        return EAI_NONAME;
    const void *raw = addr->sa_family == AF_INET
                          ? (const void *)&((const struct sockaddr_in *)addr)->sin_addr
                          : (const void *)&((const struct sockaddr_in6 *)addr)->sin6_addr;
    if (inet_ntop(addr->sa_family, raw, text, sizeof(text)) == NULL)
        return EAI_FAMILY;
    rc = host == NULL || hostlen == 0 ? 0 : put_text(host, hostlen, text);
    format(text, sizeof(text), "%u", port);
    if (rc == 0 && serv != NULL && servlen > 0)
        rc = put_text(serv, servlen, text);
    return rc;
}

/* The old calls' answers are static; a mutex keeps two callers from mixing one. */
static struct mutex old_calls = MUTEX_INIT(old_calls);
static int old_error;

int *__h_errno_location(void)
{
    return &old_error;
}

const char *hstrerror(int error)
{
    return error == 0           ? "no error"
           : error == TRY_AGAIN ? "no name server answered"
                                : "unknown host";
}

static void fill_hostent(struct hostent *h, const char *name, const struct in_addr *in)
{
    static char kept_name[NI_MAXHOST];
    static struct in_addr kept_addr;
    static char *aliases[1], *addrs[2];
    format(kept_name, sizeof(kept_name), "%s", name);
    kept_addr = *in;
    addrs[0] = (char *)&kept_addr;
    *h = (struct hostent){kept_name, aliases, AF_INET, sizeof(kept_addr), addrs};
}

struct hostent *gethostbyname(const char *name)
{
    static struct hostent answer;
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *list;
    int rc = getaddrinfo(name, NULL, &hints, &list);
    if (rc != 0) {
        old_error = rc == EAI_AGAIN ? TRY_AGAIN : HOST_NOT_FOUND;
        return NULL;
    }
    struct sockaddr_in in;
    memcpy(&in, list->ai_addr, sizeof(in));
    freeaddrinfo(list);
    mutex_lock(&old_calls);
    fill_hostent(&answer, name, &in.sin_addr);
    mutex_unlock(&old_calls);
    return &answer;
}

struct servent *getservbyname(const char *name, const char *proto)
{
    static struct servent answer;
    static char *aliases[1];
    for (unsigned i = 0; i < ARRAY_SIZE(services); i++) {
        if (strcmp(services[i].s_name, name) != 0)
            continue;
        mutex_lock(&old_calls);
        answer = services[i];
        answer.s_aliases = aliases;
        answer.s_port = htons((uint16_t)services[i].s_port);
        if (proto != NULL)
            answer.s_proto = strcmp(proto, "udp") == 0 ? (char *)"udp" : (char *)"tcp";
        mutex_unlock(&old_calls);
        return &answer;
    }
    return NULL;
}

struct protoent *getprotobyname(const char *name)
{
    static char *aliases[1];
    static struct protoent known[] = {{(char *)"tcp", aliases, IPPROTO_TCP},
                                      {(char *)"udp", aliases, IPPROTO_UDP},
                                      {(char *)"icmp", aliases, IPPROTO_ICMP}};
    for (unsigned i = 0; i < ARRAY_SIZE(known); i++)
        if (strcmp(known[i].p_name, name) == 0)
            return &known[i];
    return NULL;
}
