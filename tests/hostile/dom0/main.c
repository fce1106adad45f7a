/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hostile net|blk DOMID ID SENTINEL all|starred [CASE]...
 *     A hostile backend in dom0 for the device (ID) of a domain that runs `victim`, whose real
 * backend was unbound. Each case is an attack in a life that was honest before, followed by an
 * honest life. A line PASS NAME or FAIL NAME: WHY for each.
 *
 * A case has passed when
 *
 *   - the guest accuses us, or does not, as the case says;
 *   - a backend that is honest again is served, byte for byte, in a new life;
 *   - from the attack until then the guest's heart beat at least 90 % as often as that of the
 *     domain (SENTINEL), which runs the same program on the same processor and is left alone: what
 *     this machine or Xen takes away, it takes from both. With HEARTS=beating in the environment
 *     (where time is the machine's, and not a number of instructions) it only has to go on;
 *   - no page that was ever granted to us showed the guest's canary; before all cases, the one
 *     that shows it on purpose was found (planted_canary);
 *   - the guest has no more ports and threads than when both its devices were honest for the first
 *     time, and no more grants and no fewer free pages, quarantine apart, but for SLACK. The other
 *     device may be under attack: it then has less, not more.
 *
 * hostile vitals DOMID
 *     What that domain has: a line "quarantined N grants N ports N threads N free N good N bad N",
 *     the last two being rounds over its disk.
 *
 * hostile eyes DOMID
 *     Look at every page that it grants to dom0: a line "pages N canaries N".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "device.h"
#include "tests/system/vitals.h"

#define HONEST_MS 2100   /* longer than what the frontend takes for a short life */
#define VERDICT_MS 60000 /* these only end what hangs */
#define CENSUS_MS 60000
#define STOCK_MS 300 /* the guest takes stock of itself ten times a second */
#define BOTH_MS 180000
#define BEATS_MIN 100
#define BEATS_ALIVE 10
#define BEAT_NS 10000000
#define SLACK 16     /* pages: the pool of blkfront grows and shrinks, and so does the heap */
#define FIRST_GREF 8 /* below are the console's and the store's */
#define GREFS 1024

volatile struct vitals *victim;
static volatile struct vitals *sentinel;
static const char *wrong;
static char text[200];
static bool hearts_are_judged = true;

void complain(const char *what)
{
    if (wrong == NULL)
        wrong = what;
}

/* ---- hearts ---- */

struct beats {
    uint64_t victim, sentinel;
    int64_t stolen; /* ns, more of the victim's time than of the other's */
};

static struct beats count_beats(void)
{
    return (struct beats){victim->beats, sentinel->beats,
                          (int64_t)(victim->stolen - sentinel->stolen)};
}

/* Both hearts since (from), which is long ago enough to tell. A domain that does not run cannot
 * beat: what was stolen from the victim alone counts as beats. */
static void judge_hearts(struct beats from)
{
    struct beats now = count_beats();
    uint64_t ours, others;
    int64_t lost;

    for (unsigned i = 0; i < 2000 && now.sentinel - from.sentinel < BEATS_MIN; i++) {
        sleep_us(10000);
        now = count_beats();
    }
    ours = now.victim - from.victim;
    others = now.sentinel - from.sentinel;
    lost = (now.stolen - from.stolen) / BEAT_NS;
    lost = lost > 0 ? lost : 0;
    snprintf(text, sizeof(text),
             "its heart beat %lu times, and %ld while it could not run, another beat %lu times",
             (unsigned long)ours, (long)lost, (unsigned long)others);
    if (others < BEATS_MIN || (ours + (uint64_t)lost) * 10 < others * 9)
        complain(text);
}

/* Whatever the time that takes. */
static void await_beats(struct beats from)
{
    for (unsigned i = 0; i < 6000 && victim->beats - from.victim < BEATS_ALIVE; i++)
        sleep_us(10000);
    snprintf(text, sizeof(text), "its heart beat %lu times",
             (unsigned long)(victim->beats - from.victim));
    if (victim->beats - from.victim < BEATS_ALIVE)
        complain(text);
}

/* ---- the census ---- */

struct census {
    int grants, pages, ports, threads;
};

static struct census at_first;

static struct census take_census(void)
{
    int kept = (int)victim->quarantined;

    return (struct census){(int)victim->grants - kept, (int)victim->pages_free + kept,
                           (int)victim->ports, (int)victim->threads};
}

static bool is_no_more_than_at_first(struct census now)
{
    return now.grants <= at_first.grants + SLACK && now.pages >= at_first.pages - SLACK &&
           now.ports <= at_first.ports && now.threads <= at_first.threads;
}

static void print_census(struct census c)
{
    printf("grants %d, free pages %d, ports %d, threads %d\n", c.grants, c.pages, c.ports,
           c.threads);
}

static void judge_census(const struct play *play)
{
    uint64_t end = now_ms() + CENSUS_MS;

    while (!is_no_more_than_at_first(take_census()) && now_ms() < end)
        if (play->honest(100) != NULL)
            break;
    print_census(take_census());
    if (!is_no_more_than_at_first(take_census()))
        complain("grants, pages, ports or threads were not given back");
}

/* Once the program for the other device was honest, too. */
static void begin_census(const struct play *play)
{
    uint64_t end = now_ms() + BOTH_MS;

    __atomic_fetch_or(&victim->begun, play->device->class[1] == 'i' ? 1 : 2, __ATOMIC_SEQ_CST);
    while (victim->begun != 3 && now_ms() < end)
        if (play->honest(100) != NULL)
            break;
    (void)play->honest(STOCK_MS);
    at_first = take_census();
    print_census(at_first);
}

/* ---- one case ---- */

static bool is_accused_soon(const struct device *d)
{
    for (uint64_t end = now_ms() + VERDICT_MS; now_ms() < end; sleep_us(5000))
        if (device_is_accused(d))
            return true;
    return false;
}

static void judge_outcome(const struct play *play, enum outcome outcome)
{
    if (outcome == ACCUSED && !is_accused_soon(play->device))
        complain("the frontend did not say that the protocol was broken");
    if (outcome == STAYS &&
        (device_is_accused(play->device) || device_front_state(play->device) != CONNECTED))
        complain("the frontend left a backend that did nothing wrong");
    if (outcome == STAYS && wrong == NULL)
        wrong = play->honest(0);
}

static void begin_life(const struct play *play, const char *missing)
{
    const char *found;

    play->leave();
    if (!play->open()) {
        complain(missing);
        return;
    }
    device_forget_error(play->device);
    found = play->honest(HONEST_MS);
    if (found != NULL)
        complain(found);
}

static void report(const struct play *play, const char *name)
{
    printf("%s %s_%s%s%s\n", wrong == NULL ? "PASS" : "FAIL", play->device->class, name,
           wrong == NULL ? "" : ": ", wrong == NULL ? "" : wrong);
}

static bool run(const struct play *play, const struct test_case *c)
{
    struct beats before = count_beats();
    unsigned canaries = canaries_seen;
    uint64_t began = now_ms();

    wrong = NULL;
    c->attack();
    judge_outcome(play, c->outcome);
    begin_life(play, "the frontend does not connect to an honest backend any more");
    (hearts_are_judged ? judge_hearts : await_beats)(before);
    if (canaries_seen != canaries)
        complain("a granted page shows what was never meant for us");
    judge_census(play);
    printf("%s: %lu ms, %s\n", c->name, (unsigned long)(now_ms() - began), text);
    report(play, c->name);
    return wrong == NULL;
}

/* A search that finds nothing where there is something proves nothing. */
static void find_planted_canary(const struct play *play)
{
    char home[PATH];
    unsigned before = canaries_seen;
    void *page;

    snprintf(home, sizeof(home), "/local/domain/%u/data", play->device->dom);
    page = grant_map(play->device->dom, (uint32_t)store_number(home, "canary", 0), false);
    if (page == NULL || canaries_seen != before + 1)
        complain("the canary that the guest shows on purpose is not seen");
    grant_unmap(page);
    report(play, "planted_canary");
}

static bool is_wanted(const struct test_case *c, int argc, char **argv)
{
    if (argc == 6)
        return c->starred || strcmp(argv[5], "all") == 0;
    for (int i = 6; i < argc; i++)
        if (strcmp(argv[i], c->name) == 0)
            return true;
    return false;
}

static int print_vitals(unsigned dom)
{
    volatile struct vitals *v = vitals_of(dom);

    printf("quarantined %u grants %u ports %u threads %u free %lu good %lu bad %lu\n",
           v->quarantined, v->grants, v->ports, v->threads, (unsigned long)v->pages_free,
           (unsigned long)v->rounds_good, (unsigned long)v->rounds_bad);
    return 0;
}

static int look_at_all(unsigned dom)
{
    unsigned pages = 0;

    for (uint32_t gref = FIRST_GREF; gref < GREFS; gref++) {
        void *page = grant_map(dom, gref, false);

        pages += page != NULL;
        grant_unmap(page);
    }
    printf("pages %u canaries %u\n", pages, canaries_seen);
    return 0;
}

int main(int argc, char **argv)
{
    const struct play *play;
    bool good = true;

    if (argc == 3)
        return (argv[1][0] == 'e' ? look_at_all : print_vitals)((unsigned)atoi(argv[2]));
    if (argc < 6) {
        fprintf(stderr, "usage: hostile net|blk DOMID ID SENTINEL all|starred [CASE]...\n       "
                        "hostile vitals|eyes DOMID\n");
        return 64;
    }
    hearts_are_judged = getenv("HEARTS") == NULL || strcmp(getenv("HEARTS"), "beating") != 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    victim = vitals_of((unsigned)atoi(argv[2]));
    sentinel = vitals_of((unsigned)atoi(argv[4]));
    play = (argv[1][0] == 'n' ? play_net : play_blk)((unsigned)atoi(argv[2]), argv[3]);
    begin_life(play, "the frontend does not connect to us");
    report(play, "honest_backend");
    if (wrong == NULL)
        find_planted_canary(play);
    if (wrong != NULL)
        return 1;
    begin_census(play);
    for (unsigned i = 0; i < play->nr_cases; i++)
        if (is_wanted(&play->cases[i], argc, argv))
            good &= run(play, &play->cases[i]);
    play->leave();
    return good ? 0 : 1;
}
