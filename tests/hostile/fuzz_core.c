/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A fuzzer for what every device stands on: the store's ring and its client, watches, the console's
 * ring, event channels, and the handshake of a device whose backend, toolstack and store do
 * anything (xenbus and its lives). The input is a program, one act of theirs or of the guest after
 * the other, each with the operands it takes.
 *
 * Whatever it does: no sanitizer's report, no hang, every call ends in bounded time, and at the end
 * no grant, port or watch is left. A store whose stream is whole serves again; one that wrote
 * nonsense into its ring is given up, and every call says so at once.
 *
 * Giving up is for good, so each input runs in a process of its own (fuzz_apart).
 *
 *     make fuzz FUZZ=core FUZZ_SECONDS=3600
 */
#include <stdlib.h>
#include <string.h>
#include "frontends/common/life.h"
#include "kernel/console.h"
#include "kernel/heap.h"
#include "kernel/time.h"
#include "lib/base/errno.h"
#include "tests/host/fakeback.h"
#include "tests/host/fuzz.h"
#include "tests/host/hostarch.h"
#include "tests/host/test.h"
#include "tests/hostile/program.h"

FAKEXEN_BOOT(fuzz)

bool fuzz_forks = true;

#define STEPS_MAX 300
#define WATCHES 4

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static struct program program;
static struct fakexen_store_faults *const faults = &fakexen_store_faults;
static bool stream_torn; /* something was written into the store's ring that is no message */
static struct xs_watch watches[WATCHES];
static bool watched[WATCHES];
static unsigned fired;

static unsigned next(void)
{
    return program_byte(&program);
}

/* ---- a device ---- */

static struct fake_dev back;
static struct xb_device dev;
static struct life life;

struct terms {
    bool flag;
    uint32_t small, large;
    uint64_t sectors;
    char text[32];
    uint8_t mac[6];
};

static const struct xb_key keys[] = {
    XB_FLAG(struct terms, flag, "feature-sg", 0),
    XB_OPTIONAL(struct terms, small, "mtu", 1500, 68, 65521),
    XB_REQUIRED(struct terms, large, "sector-size", 0, UINT32_MAX),
    XB_OPTIONAL(struct terms, sectors, "sectors", 0, 0, UINT64_MAX),
    XB_OPTIONAL_TEXT(struct terms, text, "ip"),
    {"mac", offsetof(struct terms, mac), 6, XB_MAC, false, 0, 0, 0},
};
static const char *const names[] = {"feature-sg", "mtu",   "sector-size", "sectors", "ip",
                                    "mac",        "state", "online",      "backend", "backend-id"};

static void on_event(port_t port, void *arg)
{
    (void)arg;
    evtchn_eoi(port, port & 1);
}

static int connect(void *arg, nsec_t deadline)
{
    struct shared_page ring;
    struct xb_entry key[2] = {{.name = "ring-ref"}, {.name = "event-channel"}};
    struct terms terms = {0};
    port_t port = 0;
    int rc = xb_read(&dev, dev.backend, keys, ARRAY_SIZE(keys), &terms);

    CHECK(terms.text[sizeof(terms.text) - 1] == '\0');
    CHECK(rc != 0 || (terms.small >= 68 && terms.small <= 65521));
    if (rc == 0)
        rc = xb_ring(&dev, &ring);
    if (rc == 0)
        rc = xb_port(&dev, on_event, arg, &port);
    key[0].number = rc == 0 ? ring.ref : 0;
    key[1].number = port;
    if (rc == 0)
        rc = xb_publish(&dev, key, 2);
    if (rc == 0)
        rc = xb_advance(&dev, XB_CONNECTED);
    return rc == 0 ? xb_await(&dev, XB_MASK(XB_CONNECTED), deadline) : rc;
}

static void nothing(void *arg)
{
    (void)arg;
}

static const struct life_driver driver = {
    .class = "vif", .connect = connect, .disconnect = nothing, .on_change = nothing};

/* The backend maps the ring as long as the frontend is there, or does not get it. */
static void *ring_page;
static gref_t ring_ref;

static void map_ring(struct fake_dev *d)
{
    ring_ref = (gref_t)fake_dev_front_number(d, "ring-ref");
    ring_page = fake_grant_try_map(ring_ref, true);
}

static void unmap_ring(struct fake_dev *d)
{
    (void)d;
    if (ring_page != NULL)
        fake_grant_unmap(ring_ref, true);
    ring_page = NULL;
}

static void plug_in(void)
{
    back.connect = map_ring;
    back.disconnect = unmap_ring;
    fake_dev_create(&back, "vif", "vif", "0");
    fake_dev_set_back(&back, "online", "1");
    fake_dev_set_back(&back, "sector-size", "512");
}

/* ---- the guest ---- */

static void guest_reads(void)
{
    char value[40], path[64];
    unsigned size = 1 + next() % sizeof(value);
    long n;

    strcpy(path, FAKE_HOME "/data/");
    strcat(path, names[next() % ARRAY_SIZE(names)]);
    n = xs_read(XS_NO_TX, path, value, size);
    CHECK(n < (long)size);
    CHECK(n < 0 || strlen(value) == (size_t)n);
}

static void guest_lists(void)
{
    char **list;
    size_t count;

    if (xs_list(XS_NO_TX, next() & 1 ? "data" : "/local", &list, &count) != 0)
        return;
    for (size_t i = 0; i < count; i++)
        CHECK(strlen(list[i]) < XS_LIST_MAX);
    heap_free(list);
}

static void guest_writes(void)
{
    xs_tx_t tx = XS_NO_TX;

    if (next() & 1 && xs_tx_begin(&tx) != 0)
        return;
    (void)!xs_printf(tx, "data/mine", "%u", next());
    if (tx != XS_NO_TX)
        (void)!xs_tx_end(tx, next() & 1);
}

static void on_watch(struct xs_watch *w)
{
    CHECK(w >= watches && w < watches + WATCHES);
    fired++;
}

static void guest_watches(void)
{
    unsigned i = next() % WATCHES;

    if (watched[i])
        xs_unwatch(&watches[i]);
    watched[i] = !watched[i] && xs_watch(&watches[i], "data", on_watch, NULL) == 0;
}

static void guest_speaks(void)
{
    static const char text[300] = "text\n";

    console_write(text, 1 + next(), next() & 1 ? CONSOLE_BRIEFLY : CONSOLE_PATIENTLY);
}

static void guest_listens(void)
{
    char text[32];
    long n = console_read(text, sizeof(text), time_now() + next() * NSEC_PER_MSEC);

    CHECK(n <= (long)sizeof(text));
}

static void guest_lives_on(void)
{
    life_close(&life);
    (void)!life_reopen(&life, time_now() + next() * NSEC_PER_SEC / 8);
}

/* ---- the others ---- */

/* The program's next bytes; no word that would end the domain begins so. */
static size_t take_value(char *value, size_t max)
{
    size_t len = next() % max;

    for (size_t i = 0; i < len; i++)
        value[i] = (char)next();
    return len;
}

static void toolstack_writes(void)
{
    static const char *const plain[] = {"0", "1",  "2",          "3",  "4", "5",
                                        "6", "-1", "4294967296", " 1", "x", ""};
    char path[128], value[40];
    unsigned where = next(), how = next();
    size_t len;

    strcpy(path, where & 1 ? back.back : where & 2 ? back.front : FAKE_HOME "/data");
    strcat(path, "/");
    strcat(path, names[(where >> 2) % ARRAY_SIZE(names)]);
    if (how < 20) {
        fakexen_store_rm(path);
    } else if (how < 150) {
        fakexen_store_set(path, "%s", plain[how % ARRAY_SIZE(plain)]);
    } else {
        len = take_value(value, sizeof(value));
        fakexen_store_set_bytes(path, value, len);
    }
}

static void toolstack_replugs(void)
{
    fake_dev_destroy(&back);
    if (next() & 1)
        host_advance(next() * 10 * NSEC_PER_MSEC);
    plug_in();
}

static uint8_t mangling[8];
static unsigned manglings;

/* Type, number, length or content of an answer. */
static bool mangle(struct xsd_sockmsg *header, char *payload)
{
    if (manglings == 0)
        return true;
    manglings--;
    switch (mangling[0] % 6) {
    case 0:
        header->type = mangling[1];
        break;
    case 1:
        header->req_id += mangling[1];
        break;
    case 2:
        header->tx_id = mangling[1];
        break;
    case 3:
        header->len = mangling[1] % 64;
        memset(payload, mangling[2], header->len);
        break;
    case 4:
        if (header->len > 0)
            payload[mangling[1] % header->len] ^= (char)(mangling[2] | 1);
        break;
    default:
        return false;
    }
    return true;
}

static void store_mangles(void)
{
    manglings = 1 + next() % 4;
    for (unsigned i = 0; i < 3; i++)
        mangling[i] = (uint8_t)next();
    faults->mangle = mangle;
}

static void store_dawdles(void)
{
    unsigned how = next();

    faults->max_bytes = how & 1 ? 1 + next() % 32 : 0;
    faults->hold = how & 2 ? next() % 4 : 0;
    faults->failing_commits = how & 4 ? next() % 8 : 0;
    faults->silent = (how & 0xf8) == 0xf8;
    faults->mute = (how & 0xf0) == 0x70;
    faults->list_max = how & 8 ? next() : 4096;
    faults->part_max = how & 16 ? 1 + next() : 1024;
    faults->list_changes = how & 32 ? next() % 6 : 0;
}

static void store_says_what_nobody_asked(void)
{
    static const uint32_t types[] = {XS_WATCH_EVENT, XS_READ, XS_ERROR, XS_DIRECTORY, 127};
    char payload[40];
    unsigned type = next(), id = next();
    size_t len = take_value(payload, sizeof(payload));

    fakexen_store_send_message(types[type % ARRAY_SIZE(types)], id, payload, len);
}

/* The watches' own tokens too: (fire) makes honest events. */
static void store_fires(void)
{
    for (unsigned n = next() % 20; n > 0; n--)
        fakexen_store_fire(n & 1 ? FAKE_HOME "/data" : back.back);
}

static void store_tears_its_stream(void)
{
    struct xenstore_domain_interface *ring = fakexen_store_page();
    char bytes[40];
    unsigned how = next();
    size_t len;

    stream_torn = true;
    if (how & 1) {
        len = take_value(bytes, sizeof(bytes));
        fakexen_store_send(bytes, len);
    } else if (how & 2) {
        ring->rsp_prod += program_word(&program);
    } else if (how & 4) {
        ring->req_cons += program_word(&program);
    } else {
        ring->rsp_cons += program_word(&program);
        ring->req_prod += program_word(&program);
    }
    fakexen_raise(fakexen_bootinfo()->store_port);
}

static void console_acts(void)
{
    struct xencons_interface *ring = fakexen_console_page();
    unsigned how = next();

    switch (how % 6) {
    case 0:
        ring->in_prod += how & 64 ? program_word(&program) : next();
        break;
    case 1:
        ring->out_cons += how & 64 ? program_word(&program) : next();
        break;
    case 2:
        ring->in_cons = ring->out_prod = program_word(&program);
        break;
    case 3:
        (void)fakexen_console_type("typed\r\x03");
        break;
    case 4:
        memset(ring->in, (int)next(), sizeof(ring->in));
        break;
    default:
        fakexen_console_freeze(how & 64);
    }
    fakexen_raise(fakexen_bootinfo()->console_port);
}

static void backend_steps(void)
{
    back.aloof = next() & 1;
    fake_dev_set_state(&back, next() % 9);
}

static void events_come(void)
{
    const struct bootinfo *boot = fakexen_bootinfo();

    for (unsigned n = next() % 64; n > 0; n--)
        fakexen_raise(n & 1 ? boot->store_port : boot->console_port);
}

static void time_goes_on(void)
{
    host_advance(next() * 20 * NSEC_PER_MSEC);
}

/* ---- one input ---- */

static void (*const acts[])(void) = {
    guest_reads,      guest_reads,       guest_writes,
    guest_lists,      guest_watches,     guest_speaks,
    guest_listens,    guest_lives_on,    guest_lives_on,
    backend_steps,    backend_steps,     toolstack_writes,
    toolstack_writes, toolstack_replugs, store_mangles,
    store_dawdles,    store_fires,       store_says_what_nobody_asked,
    console_acts,     events_come,       time_goes_on,
    fakexen_settle,
};

/* The acts after which the store is given up are rarer, so that most inputs go on. */
static void step(void)
{
    unsigned act = next();

    if (act == 255)
        store_tears_its_stream();
    else
        acts[act % ARRAY_SIZE(acts)]();
}

static void begin(void)
{
    plug_in();
    fakexen_store_set("data/mtu", "1500");
    CHECK_EQ(life_init(&life, &dev, &driver, "0", &life), 0);
    (void)!life_open(&life);
}

/* An honest store answers; one that tore its stream is given up, or answers. */
static void judge_store(void)
{
    char value[8];
    long n;

    *faults = (struct fakexen_store_faults){.list_max = 4096, .part_max = 1024};
    fakexen_console_freeze(false);
    host_advance(60 * NSEC_PER_SEC); /* whoever waited for an answer has given up */
    fakexen_store_set("alive", "yes");
    n = xs_read(XS_NO_TX, "alive", value, sizeof(value));
    CHECK(n == 3 || stream_torn);
    CHECK(n != 3 || strcmp(value, "yes") == 0);
}

static void end(void)
{
    judge_store();
    life_destroy(&life);
    for (unsigned i = 0; i < WATCHES; i++)
        if (watched[i])
            xs_unwatch(&watches[i]);
    fake_dev_destroy(&back);
    fakexen_settle();
    for (unsigned i = 0; i < 40 && grant_count_quarantined() > 0; i++)
        host_advance(NSEC_PER_SEC);
}

static void run(const uint8_t *bytes, size_t len)
{
    unsigned grants = grant_count_used(), ports = evtchn_count_bound(), known = xs_count_watches();

    program = (struct program){bytes, bytes + len};
    begin();
    for (unsigned i = 0; i < STEPS_MAX && program.at < program.end; i++)
        step();
    end();
    CHECK_EQ(grant_count_used(), grants);
    CHECK_EQ(grant_count_quarantined(), 0);
    CHECK_EQ(evtchn_count_bound(), ports);
    CHECK_EQ(xs_count_watches(), known);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    fuzz_apart(run, bytes, len);
    return 0;
}
